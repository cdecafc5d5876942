// SPDX-License-Identifier: Apache-2.0
/// ONNX's Conv as torch.nn's convolutions.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "../../nn/layers/conv2d.hpp"
#include "../operation.hpp"

namespace amct_distill::onnx::detail {

inline void convert_conv(Operation& o) {
    nn::Tensor weight = o.constant(1);
    nn::Tensor bias = o.has(2) ? o.constant(2) : nn::Tensor{};
    if (o.failed()) return;
    if (weight.rank() != 4) return o.fail("expected a weight of 4 dimensions");
    Attributes& a = o.attributes();
    auto const pair = [&](std::string_view name, nn::Index otherwise) {
        std::vector<std::int64_t> const v =
            a.integers(name).value_or(std::vector<std::int64_t>(2, otherwise));
        return v.size() == 2 ? nn::Size2{v[0], v[1]} : (o.fail("expected two numbers"), nn::Size2{});
    };
    nn::Index const groups = a.integer("group", 1);
    std::vector<std::int64_t> const pads = a.integers("pads").value_or(std::vector<std::int64_t>(4, 0));
    a.ignore("kernel_shape");
    if (pads.size() != 4 || pads[0] != pads[2] || pads[1] != pads[3])
        return o.fail("expected symmetric pads");
    nn::Conv2dOptions const options{.in_channels = weight.dim(1) * groups,
                                    .out_channels = weight.dim(0),
                                    .kernel = {weight.dim(2), weight.dim(3)},
                                    .stride = pair("strides", 1),
                                    .padding = {pads[0], pads[1]},
                                    .dilation = pair("dilations", 1),
                                    .groups = groups,
                                    .bias = o.has(2)};
    if (o.failed()) return;
    try {
        nn::Conv2d conv(options);
        conv.weight() = std::move(weight);
        if (o.has(2)) conv.bias() = std::move(bias);
        o.add(std::move(conv), {0}, 1, 2);
    } catch (const std::invalid_argument& e) {
        o.fail(e.what());
    }
}

inline constexpr std::array convolution_rules{
    OperatorRule{"Conv", convert_conv},
};

}  // namespace amct_distill::onnx::detail
