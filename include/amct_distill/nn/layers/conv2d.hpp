// SPDX-License-Identifier: Apache-2.0
/// Two-dimensional convolution, [N, in, H, W] -> [N, out, H', W'], as torch.nn.Conv2d with zero padding.
///
///     Conv2d conv({.in_channels = 1, .out_channels = 8, .kernel = {3, 3}, .stride = {2, 2}});
///     conv.weight();   // [out, in / groups, kernel height, kernel width]
///     conv.bias();     // [out]; empty when the options say `.bias = false`
#pragma once
#include <string_view>

#include "convolution_layer.hpp"

namespace amct_distill::nn {

struct Conv2dOptions {
    Index in_channels = 0;
    Index out_channels = 0;
    Size2 kernel{1, 1};
    Size2 stride{1, 1};
    Size2 padding{0, 0};
    Size2 dilation{1, 1};
    Index groups = 1;
    bool bias = true;
    friend bool operator==(const Conv2dOptions&, const Conv2dOptions&) = default;
};

template <class T>
class BasicConv2d : public detail::ConvolutionLayer<BasicConv2d<T>, T, Conv2dOptions> {
public:
    static constexpr std::string_view type_name = "Conv2d";
    static constexpr std::string_view operation = "Conv";
    /// Weight and bias are 0; throws std::invalid_argument when the options make no sense.
    explicit BasicConv2d(const Conv2dOptions& options)
        : detail::ConvolutionLayer<BasicConv2d, T, Conv2dOptions>(options) {}
};

using Conv2d = BasicConv2d<float>;

}  // namespace amct_distill::nn
