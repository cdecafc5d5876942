// SPDX-License-Identifier: Apache-2.0
/// Transposed convolutions, which upsample: [N, in, H, W] -> [N, out, H', W'] as torch.nn.ConvTranspose2d,
/// [N, in, L] -> [N, out, L'] as torch.nn.ConvTranspose1d.
///
///     ConvTranspose2d up({.in_channels = 8, .out_channels = 4, .kernel = {2, 2}, .stride = {2, 2}});
///     up.weight();   // [in, out / groups, kernel height, kernel width]
///     up.bias();     // [out]; empty when the options say `.bias = false`
///
/// H' = (H - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 + output_padding. PyTorch asks for an
/// output_padding from 0 to below the stride or the dilation; here it is any number: -1 takes the last row
/// away, so that all paddings that differ at the two ends can be said.
#pragma once
#include <string_view>

#include "convolution_layer.hpp"

namespace amct_distill::nn {

struct ConvTranspose2dOptions {
    Index in_channels = 0;
    Index out_channels = 0;
    Size2 kernel{1, 1};
    Size2 stride{1, 1};
    Size2 padding{0, 0};
    Size2 output_padding{0, 0};
    Size2 dilation{1, 1};
    Index groups = 1;
    bool bias = true;
    friend bool operator==(const ConvTranspose2dOptions&, const ConvTranspose2dOptions&) = default;
};

template <class T>
class BasicConvTranspose2d
    : public detail::ConvolutionLayer<BasicConvTranspose2d<T>, T, ConvTranspose2dOptions> {
public:
    static constexpr std::string_view type_name = "ConvTranspose2d";
    static constexpr std::string_view operation = "ConvTranspose";
    /// Weight and bias are 0; throws std::invalid_argument when the options make no sense.
    explicit BasicConvTranspose2d(const ConvTranspose2dOptions& options)
        : detail::ConvolutionLayer<BasicConvTranspose2d, T, ConvTranspose2dOptions>(options) {}
};

struct ConvTranspose1dOptions {
    Index in_channels = 0;
    Index out_channels = 0;
    Index kernel = 1;
    Index stride = 1;
    Index padding = 0;
    Index output_padding = 0;
    Index dilation = 1;
    Index groups = 1;
    bool bias = true;
    friend bool operator==(const ConvTranspose1dOptions&, const ConvTranspose1dOptions&) = default;
};

template <class T>
class BasicConvTranspose1d
    : public detail::ConvolutionLayer<BasicConvTranspose1d<T>, T, ConvTranspose1dOptions> {
public:
    static constexpr std::string_view type_name = "ConvTranspose1d";
    static constexpr std::string_view operation = "ConvTranspose";
    /// Weight and bias are 0; throws std::invalid_argument when the options make no sense.
    explicit BasicConvTranspose1d(const ConvTranspose1dOptions& options)
        : detail::ConvolutionLayer<BasicConvTranspose1d, T, ConvTranspose1dOptions>(options) {}
};

using ConvTranspose1d = BasicConvTranspose1d<float>;
using ConvTranspose2d = BasicConvTranspose2d<float>;

}  // namespace amct_distill::nn
