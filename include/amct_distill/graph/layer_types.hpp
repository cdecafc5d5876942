// SPDX-License-Identifier: Apache-2.0
/// What AMCT makes of a layer, by its type's name: PyTorch's for modules, ONNX's for functional operations.
///
///     is_quantizable_type("Conv2d")       has_channels_by_default("Linear") == false
///
/// Usable in constant evaluation: the compiler and resolve() ask the same functions.
#pragma once
#include <algorithm>
#include <array>
#include <string_view>

namespace amct_distill::detail {

/// The types that are quantized unless the configuration skips them.
inline constexpr std::array<std::string_view, 2> quantizable_types{"Conv2d", "Linear"};
constexpr bool is_quantizable_type(std::string_view type) {
    return std::find(quantizable_types.begin(), quantizable_types.end(), type) != quantizable_types.end();
}
/// Whether its weights have one scale per output channel where the configuration does not say.
constexpr bool has_channels_by_default(std::string_view type) { return type != "Linear"; }

/// A ReLU, as PyTorch's module or as ONNX's operation.
constexpr bool is_relu(std::string_view type) { return type == "ReLU" || type == "Relu"; }
/// The activations that may stand in a block.
constexpr bool is_activation(std::string_view type) {
    return type == "ReLU" || type == "LeakyReLU" || type == "Sigmoid" || type == "Tanh" || type == "Softmax";
}
/// Those that AMCT leaves between blocks; one that follows a residual unit's addition is in the unit.
inline constexpr std::array<std::string_view, 14> further_activations{
    "PReLU", "ReLU6", "Hardtanh", "Hardsigmoid", "Hardswish", "SiLU",     "Mish",
    "GELU",  "ELU",   "SELU",     "CELU",        "Softplus",  "Softsign", "Threshold"};
constexpr bool is_further_activation(std::string_view type) {
    return std::find(further_activations.begin(), further_activations.end(), type) !=
           further_activations.end();
}

}  // namespace amct_distill::detail
