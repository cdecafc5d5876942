// SPDX-License-Identifier: Apache-2.0
/// Arithmetic of ONNX: of two or more tensors with broadcasting, and functions of one.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "../../nn/layers/arithmetic.hpp"
#include "../../nn/layers/extremes.hpp"
#include "../../nn/layers/trigonometric.hpp"
#include "../../nn/layers/unary.hpp"
#include "../operation.hpp"

namespace amct_distill::onnx::detail {

template <class Module>
void convert_unary(Operation& o) {
    o.attributes().ignore("consumed_inputs");  // of opset 1
    if (o.inputs() != 1)
        return o.fail(amct_distill::detail::concat("expected one input, found ", o.inputs()));
    o.function(Module{}, {0});
}

/// Any number of inputs.
template <class Module>
void convert_variadic(Operation& o) {
    o.attributes().ignore("consumed_inputs");
    std::vector<amct_distill::NodeId> reads;
    for (std::size_t i = 0; i != o.inputs(); ++i) reads.push_back(o.value(i));
    if (reads.empty()) return o.fail("expected one or more inputs");
    o.function(Module{}, reads);
}

/// Before opset 7 the second operand was broadcast only when `broadcast` said so, and `axis` told to which
/// dimension of the first its first belongs: dimensions of 1 then follow its own.
inline amct_distill::NodeId second_operand(Operation& o) {
    o.attributes().ignore("consumed_inputs");
    if (o.opset() >= 7) return o.value(1);
    bool const broadcast = o.attributes().integer("broadcast", 0) != 0;
    std::optional<std::int64_t> const axis = o.attributes().integer("axis");
    nn::Shape const a = o.shape(0), b = o.shape(1);
    if (o.failed()) return {};
    if (!broadcast) {
        if (a != b) o.fail("the operands have different shapes, and its attribute `broadcast` is not set");
        return o.value(1);
    }
    std::size_t const at = axis ? o.axis(*axis, 0) : a.size() - (std::min)(a.size(), b.size());
    if (at + b.size() == a.size() || o.is_scalar(1) || o.failed()) return o.value(1);
    if (at + b.size() > a.size())
        return o.fail("its `axis` does not fit the operands"), amct_distill::NodeId{};
    if (!o.is_constant(1))
        return o.fail(
                   "its second operand is broadcast along `axis`, and is no constant; convert the model to "
                   "opset 7 or later"),
               amct_distill::NodeId{};
    nn::Tensor value = o.constant(1);
    if (o.failed()) return {};
    nn::Shape shape = b;
    shape.resize(a.size() - at, 1);
    value.resize(shape);
    return o.constant_node("operand", std::move(value));
}
template <class Module>
void convert_binary(Operation& o) {
    if (o.inputs() != 2)
        return o.fail(amct_distill::detail::concat("expected two inputs, found ", o.inputs()));
    amct_distill::NodeId const second = second_operand(o);
    o.function(Module{}, std::vector<amct_distill::NodeId>{o.value(0), second});
}

/// The exponent may be of integers, the base not.
inline void convert_pow(Operation& o) {
    if (!o.has(0) || !o.has(1)) return o.fail("expected two inputs");
    if (!is_floating(o.type(0))) return o.fail("its base is of integers; give floats");
    convert_binary<nn::Pow>(o);
}

inline constexpr std::array arithmetic_rules{
    OperatorRule{"Abs", convert_unary<nn::Abs>, Accepts::int32_and_64, BatchAt::anywhere},
    OperatorRule{"Acos", convert_unary<nn::Acos>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Acosh", convert_unary<nn::Acosh>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Add", convert_binary<nn::Add>, Accepts::int32_and_64, BatchAt::broadcasts},
    OperatorRule{"Asin", convert_unary<nn::Asin>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Asinh", convert_unary<nn::Asinh>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Atan", convert_unary<nn::Atan>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Atanh", convert_unary<nn::Atanh>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Ceil", convert_unary<nn::Ceil>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Cos", convert_unary<nn::Cos>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Cosh", convert_unary<nn::Cosh>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Div", convert_binary<nn::Div>, Accepts::floats, BatchAt::broadcasts},
    OperatorRule{"Erf", convert_unary<nn::Erf>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Exp", convert_unary<nn::Exp>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Floor", convert_unary<nn::Floor>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Log", convert_unary<nn::Log>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Max", convert_variadic<nn::Max>, Accepts::everything, BatchAt::broadcasts},
    OperatorRule{"Mean", convert_variadic<nn::Mean>, Accepts::floats, BatchAt::broadcasts},
    OperatorRule{"Min", convert_variadic<nn::Min>, Accepts::everything, BatchAt::broadcasts},
    OperatorRule{"Mul", convert_binary<nn::Mul>, Accepts::int32_and_64, BatchAt::broadcasts},
    OperatorRule{"Neg", convert_unary<nn::Neg>, Accepts::int32_and_64, BatchAt::anywhere},
    OperatorRule{"Pow", convert_pow, Accepts::everything, BatchAt::broadcasts},
    OperatorRule{"Reciprocal", convert_unary<nn::Reciprocal>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Round", convert_unary<nn::Round>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Sign", convert_unary<nn::Sign>, Accepts::everything, BatchAt::anywhere},
    OperatorRule{"Sin", convert_unary<nn::Sin>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Sinh", convert_unary<nn::Sinh>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Sqrt", convert_unary<nn::Sqrt>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Sub", convert_binary<nn::Sub>, Accepts::int32_and_64, BatchAt::broadcasts},
    OperatorRule{"Sum", convert_variadic<nn::Sum>, Accepts::floats, BatchAt::broadcasts},
    OperatorRule{"Tan", convert_unary<nn::Tan>, Accepts::floats, BatchAt::anywhere},
};

}  // namespace amct_distill::onnx::detail
