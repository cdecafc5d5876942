// SPDX-License-Identifier: Apache-2.0
/// ONNX's Gemm and MatMul: with a constant matrix on the right torch.nn.Linear, else a product of
/// activations.
///
///     add_linear(o, o.value(0), weight, 2);      // weight [out, in]; input 2, or none, is added
///
/// A constant that is added is the bias where it has a value for each output, else a sum of its own.
#pragma once
#include <array>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "../../nn/layers/arithmetic.hpp"
#include "../../nn/layers/linear.hpp"
#include "../../nn/layers/matmul.hpp"
#include "../../nn/layers/transpose.hpp"
#include "../operation.hpp"

namespace amct_distill::onnx::detail {

inline nn::Tensor transposed_matrix(const nn::Tensor& m, nn::Index rows, nn::Index cols) {
    nn::Tensor out({cols, rows});
    amct_distill::detail::transpose(m.data(), cols, rows, cols, out.data(), rows);
    return out;
}
inline void scale_values(nn::Tensor& values, float factor) {
    if (factor != 1)
        for (float& v : values) v *= factor;
}

/// A constant as a bias of `n` values, when it has one for each column, or one for all; `rank`: of what it is
/// added to.
inline std::optional<nn::Tensor> as_bias(const nn::Tensor& constant, nn::Index n, std::size_t rank) {
    auto const size = static_cast<nn::Index>(constant.size());
    if (constant.rank() > rank || (size != 1 && (size != n || constant.shape().back() != n)))
        return std::nullopt;
    nn::Tensor bias({n});
    for (std::size_t i = 0; i != bias.size(); ++i) bias[i] = constant[size == 1 ? 0 : i];
    return bias;
}

/// Output 0 is `sum` + beta * input `c`.
inline void add_to(Operation& o, amct_distill::NodeId sum, std::size_t c, float beta) {
    amct_distill::NodeId other;
    bool const plain = o.layout().is_plain();
    if (!plain && !o.is_constant(c)) return o.fail(o.batch_elsewhere("what is added may not follow it"));
    if (o.is_constant(c)) {
        nn::Tensor value = o.constant(c);
        scale_values(value, beta);
        if (o.failed()) return;
        if (!plain) {  // a value for each column means the same wherever the batch is
            auto const n = static_cast<nn::Index>(value.size());
            if (value.shape().back() != n)
                return o.fail(o.batch_elsewhere("what is added does not follow it"));
            value.resize({n});
        }
        other = beta == 1 && plain ? o.value(c) : o.constant_node("C", std::move(value));
    } else {
        other = o.value(c);
        if (beta != 1)
            other = o.step("Mul", nn::Mul{}, {other, o.constant_node("beta", nn::Tensor({1}, {beta}))});
    }
    o.function(nn::Add{}, {sum, other});
}

/// Linear, with the weight of input 1, of the node `x`; and, where it is given, beta * input `c`.
inline void add_linear(Operation& o, amct_distill::NodeId x, nn::Tensor weight, std::size_t rank,
                       std::optional<std::size_t> c = {}, float beta = 1) {
    if (o.failed()) return;
    nn::Index const out = weight.dim(0), in = weight.dim(1);
    std::optional<nn::Tensor> bias;
    if (c && o.is_constant(*c)) {
        bias = as_bias(o.constant(*c), out, rank);
        if (bias) scale_values(*bias, beta);
    }
    if (o.failed()) return;
    nn::Linear linear({.in_features = in, .out_features = out, .bias = bias.has_value()});
    linear.weight() = std::move(weight);
    if (bias) linear.bias() = *std::move(bias);
    if (o.is_function(1, c, true) || o.is_in_others(1, linear)) {
        // As torch.nn.functional.linear, perhaps with another module's weight: no module of its own. Those of
        // torch.nn.MultiheadAttention are such.
        amct_distill::NodeId const right =
            o.constant_node("weight", transposed_matrix(linear.weight(), out, in));
        if (!c) return o.function(nn::MatMul{}, {x, right});
        return add_to(o, o.step("MatMul", nn::MatMul{}, {x, right}), *c, beta);
    }
    bool const whole = !c || linear.options().bias;
    amct_distill::NodeId const made =
        o.add_step(std::move(linear), {x}, 1, whole ? c : std::optional<std::size_t>{});
    if (!whole && !o.failed()) add_to(o, made, *c, beta);
}

/// A matrix of activations, transposed where it has to be.
inline amct_distill::NodeId matrix_input(Operation& o, std::size_t i, bool transposed) {
    amct_distill::NodeId const x = o.value(i);
    return transposed ? o.step(i == 0 ? "TransposeA" : "TransposeB", nn::Transpose(nn::Shape{1, 0}), {x}) : x;
}

inline void convert_gemm(Operation& o) {
    Attributes& a = o.attributes();
    float const alpha = a.real("alpha", 1), beta = a.real("beta", 1);
    bool const trans_a = a.integer("transA", 0) != 0, trans_b = a.integer("transB", 0) != 0;
    if (o.opset() < 7) a.ignore("broadcast");  // shapes tell whether there is one
    if (o.model_shape(0).size() != 2 || o.model_shape(1).size() != 2) return o.fail("expected matrices");
    if (!o.layout().is_plain()) {  // rows of every kind, but not transposed
        o.axis(-1, 0);
        if (trans_a || !o.is_constant(1)) o.fail(o.batch_elsewhere("it is one of a matrix's dimensions"));
    }
    std::optional<std::size_t> const c = o.has(2) && beta != 0 ? std::optional<std::size_t>(2) : std::nullopt;
    if (o.is_constant(1)) {
        nn::Tensor weight = o.constant(1);
        if (o.failed()) return;
        if (!trans_b) weight = transposed_matrix(weight, weight.dim(0), weight.dim(1));
        scale_values(weight, alpha);
        return add_linear(o, matrix_input(o, 0, trans_a), std::move(weight), 2, c, beta);
    }
    amct_distill::NodeId const left = matrix_input(o, 0, trans_a), right = matrix_input(o, 1, trans_b);
    if (!c && alpha == 1) return o.function(nn::MatMul{}, {left, right});
    amct_distill::NodeId made = o.step("MatMul", nn::MatMul{}, {left, right});
    if (alpha != 1) {
        amct_distill::NodeId const factor = o.constant_node("alpha", nn::Tensor({1}, {alpha}));
        if (!c) return o.function(nn::Mul{}, {made, factor});
        made = o.step("Mul", nn::Mul{}, {made, factor});
    }
    add_to(o, made, 2, beta);
}

/// Whether input 1 is a constant matrix, of which a Linear can be made.
inline bool has_constant_matrix(Operation& o) {
    nn::Shape const left = o.shape(0), right = o.shape(1);
    return !o.is_constant(0) && o.is_constant(1) && left.size() > 1 && right.size() > 1 &&
           left.size() >= right.size() && nn::product(right, 0, right.size() - 2) == 1;
}
/// The product of inputs 0 and 1, and input 2 added where there is one.
inline void convert_matmul(Operation& o) {
    if (o.shape(0).empty() || o.shape(1).empty()) return;
    std::optional<std::size_t> const c = o.has(2) ? std::optional<std::size_t>(2) : std::nullopt;
    bool const linear = has_constant_matrix(o);
    if (!o.layout().is_plain()) {  // the batch may be in neither of the matrix's dimensions that are computed
        std::size_t const i = o.is_constant(0) ? 1 : 0;
        o.axis(-1, i);
        if (!linear) o.axis(-2, i);
        if ((o.is_constant(0) || o.is_constant(1)) && !linear && o.rank(1 - i) > 2)
            o.fail(o.batch_elsewhere("it reads a constant that may differ along it"));
    }
    if (linear) {
        nn::Tensor const right = o.constant(1);
        if (o.failed()) return;
        nn::Index const cols = right.shape().back();
        nn::Index const rows = static_cast<nn::Index>(right.size()) / cols;
        return add_linear(o, o.value(0), transposed_matrix(right, rows, cols), o.rank(0), c);
    }
    if (!c) {
        if (o.rank(0) == 1 && o.rank(1) == 1) o.result_is_scalar();
        return o.function(nn::MatMul{}, {0, 1});
    }
    add_to(o, o.step("MatMul", nn::MatMul{}, {o.value(0), o.value(1)}), *c, 1);
}

inline constexpr std::array linear_rules{
    OperatorRule{"Gemm", convert_gemm, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"MatMul", convert_matmul, Accepts::floats, BatchAt::anywhere},
};

}  // namespace amct_distill::onnx::detail
