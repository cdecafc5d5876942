// SPDX-License-Identifier: Apache-2.0
/// Activations of ONNX as the modules of torch.nn.
#pragma once
#include <array>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "../../nn/layers/activation.hpp"
#include "../../nn/layers/arithmetic.hpp"
#include "../../nn/layers/clamp.hpp"
#include "../../nn/layers/extremes.hpp"
#include "../../nn/layers/prelu.hpp"
#include "../../nn/layers/smooth_activation.hpp"
#include "../../nn/layers/softmax.hpp"
#include "../operation.hpp"

namespace amct_distill::onnx::detail {

/// A module without options.
template <class Module>
void convert_activation(Operation& o) {
    o.attributes().ignore("consumed_inputs");  // of opset 1
    if (o.inputs() != 1)
        return o.fail(amct_distill::detail::concat("expected one input, found ", o.inputs()));
    o.add(Module{}, {0});
}

inline void convert_leaky_relu(Operation& o) {
    o.attributes().ignore("consumed_inputs");
    o.add(nn::LeakyReLU(o.attributes().real("alpha", 0.01f)), {0});
}
/// torch.nn's own number where a float of the model is that, rounded.
inline double number_of(float given, double of_torch) {
    return given == static_cast<float>(of_torch) ? of_torch : double(given);
}
inline void convert_hard_sigmoid(Operation& o) {
    o.attributes().ignore("consumed_inputs");
    double const alpha = number_of(o.attributes().real("alpha", 0.2f), nn::HardsigmoidOptions{}.alpha);
    o.add(nn::Hardsigmoid({.alpha = alpha, .beta = double(o.attributes().real("beta", 0.5f))}), {0});
}
inline void convert_elu(Operation& o) {
    o.attributes().ignore("consumed_inputs");
    o.add(nn::ELU({.alpha = double(o.attributes().real("alpha", 1))}), {0});
}
/// The defaults before opset 6 are rounded to 4 digits.
inline void convert_selu(Operation& o) {
    o.attributes().ignore("consumed_inputs");
    nn::SELUOptions const torch{};
    double const alpha =
        number_of(o.attributes().real("alpha", o.opset() < 6 ? 1.6732f : 1.67326319f), torch.alpha);
    double const gamma =
        number_of(o.attributes().real("gamma", o.opset() < 6 ? 1.0507f : 1.05070102f), torch.gamma);
    o.add(nn::SELU({.alpha = alpha, .gamma = gamma}), {0});
}
inline void convert_celu(Operation& o) {
    float const alpha = o.attributes().real("alpha", 1);
    if (alpha == 0) return o.fail("expected an alpha other than 0");
    o.add(nn::CELU({.alpha = double(alpha)}), {0});
}
inline void convert_thresholded_relu(Operation& o) {
    o.add(nn::Threshold({.threshold = double(o.attributes().real("alpha", 1))}), {0});
}
inline void convert_shrink(Operation& o) {
    double const lambd = double(o.attributes().real("lambd", 0.5f));
    o.add(nn::Shrink({.lambd = lambd, .bias = double(o.attributes().real("bias", 0))}), {0});
}
inline void convert_gelu(Operation& o) {
    std::string const approximate(o.attributes().text("approximate", "none"));
    if (approximate != "none" && approximate != "tanh")
        return o.fail("expected approximate `none` or `tanh`, found `" + approximate + "`");
    o.add(nn::GELU({.approximate = approximate}), {0});
}

template <class Module>
void convert_softmax(Operation& o) {
    std::size_t const axis = o.axis(o.attributes().integer("axis", o.opset() < 13 ? 1 : -1), 0);
    nn::Shape const shape = o.shape(0);
    if (o.failed()) return;
    // Before opset 13 it went along all dimensions from the axis on.
    bool const more = axis + 1 < shape.size() && nn::product(shape, axis + 1, shape.size()) != 1;
    o.add(Module({.dim = static_cast<nn::Index>(axis), .to_end = o.opset() < 13 && more}), {0});
}

/// The bounds: attributes before opset 11, inputs since.
inline void convert_clip(Operation& o) {
    double const infinity = std::numeric_limits<double>::infinity();
    o.attributes().ignore("consumed_inputs");
    nn::HardtanhOptions bounds{-infinity, infinity};
    bool of_activations = false;
    if (o.opset() < 11) {
        if (o.attributes().has("min")) bounds.min_val = double(o.attributes().real("min", 0));
        if (o.attributes().has("max")) bounds.max_val = double(o.attributes().real("max", 0));
    } else {
        for (std::size_t i : {1u, 2u}) {
            if (!o.has(i)) continue;
            if (!o.is_constant(i)) {
                of_activations = true;
                continue;
            }
            nn::Tensor const bound = o.constant(i);
            if (o.failed()) return;
            if (bound.size() != 1) return o.fail("expected bounds of one number");
            (i == 1 ? bounds.min_val : bounds.max_val) = double(bound[0]);
        }
    }
    if (of_activations) {
        amct_distill::NodeId x = o.value(0);
        if (o.has(1) && !o.has(2)) return o.function(nn::Max{}, {0, 1});
        if (o.has(1)) x = o.step("Max", nn::Max{}, {x, o.value(1)});
        return o.function(nn::Min{}, std::vector<amct_distill::NodeId>{x, o.value(2)});
    }
    if (bounds == nn::HardtanhOptions{0, 6}) return o.add(nn::ReLU6{}, {0});
    try {
        o.add(nn::Hardtanh(bounds), {0});
    } catch (const std::invalid_argument& e) {
        o.fail(e.what());
    }
}

/// torch.nn's PReLU for one slope, or one of each channel; any other slope by arithmetic.
inline void convert_prelu(Operation& o) {
    o.attributes().ignore("consumed_inputs");
    nn::Shape const x = o.shape(0), slope = o.shape(1);
    if (o.failed()) return;
    nn::Index const count = nn::product(slope, 0, slope.size());
    // Where the channels lie in the slope: dimension 1 of what it broadcasts to; before opset 7 it was a
    // list.
    bool const is_list = o.opset() < 7 && slope.size() == 1;
    bool const is_long = slope.size() + 1 >= x.size() && slope.size() <= x.size() && x.size() > 1;
    bool const of_channels = is_list
                                 ? x.size() > 1 && count == x[1]
                                 : is_long && count == x[1] && slope[slope.size() + 1 - x.size()] == count;
    if (o.is_constant(1) && (of_channels || (count == 1 && slope.size() <= x.size()))) {
        nn::PReLU module({.num_parameters = count});
        nn::Tensor values = o.constant(1);
        if (o.failed()) return;
        values.resize({count});
        module.weight() = std::move(values);
        return o.add(std::move(module), {0}, 1);
    }
    if (is_list) return o.fail("expected a slope of one number, or one of each channel");
    double const infinity = std::numeric_limits<double>::infinity();
    amct_distill::NodeId const positive = o.step("Relu", nn::ReLU{}, {o.value(0)});
    amct_distill::NodeId const negative =
        o.step("Clip", nn::Hardtanh({.min_val = -infinity, .max_val = 0}), {o.value(0)});
    amct_distill::NodeId const scaled = o.step("Mul", nn::Mul{}, {negative, o.value(1)});
    o.function(nn::Add{}, std::vector<amct_distill::NodeId>{positive, scaled});
}

inline constexpr std::array activation_rules{
    OperatorRule{"Celu", convert_celu, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Clip", convert_clip, Accepts::everything, BatchAt::anywhere},
    OperatorRule{"Elu", convert_elu, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Gelu", convert_gelu, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"HardSigmoid", convert_hard_sigmoid, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"HardSwish", convert_activation<nn::Hardswish>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"LeakyRelu", convert_leaky_relu, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"LogSoftmax", convert_softmax<nn::LogSoftmax>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Mish", convert_activation<nn::Mish>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"PRelu", convert_prelu},
    OperatorRule{"Relu", convert_activation<nn::ReLU>, Accepts::everything, BatchAt::anywhere},
    OperatorRule{"Selu", convert_selu, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Shrink", convert_shrink, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Sigmoid", convert_activation<nn::Sigmoid>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Softmax", convert_softmax<nn::Softmax>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Softplus", convert_activation<nn::Softplus>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Softsign", convert_activation<nn::Softsign>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"Tanh", convert_activation<nn::Tanh>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"ThresholdedRelu", convert_thresholded_relu, Accepts::floats, BatchAt::anywhere},
};

}  // namespace amct_distill::onnx::detail
