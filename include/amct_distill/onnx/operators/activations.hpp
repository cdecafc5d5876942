// SPDX-License-Identifier: Apache-2.0
/// Activations of ONNX as the modules of nn/layers/activation.hpp.
#pragma once
#include <array>

#include "../../nn/layers/activation.hpp"
#include "../operation.hpp"

namespace amct_distill::onnx::detail {

inline void convert_relu(Operation& o) { o.add(nn::ReLU{}, {0}); }
inline void convert_leaky_relu(Operation& o) {
    o.add(nn::LeakyReLU(o.attributes().real("alpha", 0.01f)), {0});
}
inline void convert_sigmoid(Operation& o) { o.add(nn::Sigmoid{}, {0}); }
inline void convert_tanh(Operation& o) { o.add(nn::Tanh{}, {0}); }

inline constexpr std::array activation_rules{
    OperatorRule{"LeakyRelu", convert_leaky_relu},
    OperatorRule{"Relu", convert_relu},
    OperatorRule{"Sigmoid", convert_sigmoid},
    OperatorRule{"Tanh", convert_tanh},
};

}  // namespace amct_distill::onnx::detail
