// SPDX-License-Identifier: Apache-2.0
/// One-dimensional convolution, [N, in, L] -> [N, out, L'], as torch.nn.Conv1d with zero padding.
///
///     Conv1d conv({.in_channels = 1, .out_channels = 8, .kernel = 5, .dilation = 2});
///     conv.weight();   // [out, in / groups, kernel]
///     conv.bias();     // [out]; empty when the options say `.bias = false`
#pragma once
#include <string_view>

#include "convolution_layer.hpp"

namespace amct_distill::nn {

struct Conv1dOptions {
    Index in_channels = 0;
    Index out_channels = 0;
    Index kernel = 1;
    Index stride = 1;
    Index padding = 0;
    Index dilation = 1;
    Index groups = 1;
    bool bias = true;
    friend bool operator==(const Conv1dOptions&, const Conv1dOptions&) = default;
};

template <class T>
class BasicConv1d : public detail::ConvolutionLayer<BasicConv1d<T>, T, Conv1dOptions> {
public:
    static constexpr std::string_view type_name = "Conv1d";
    static constexpr std::string_view operation = "Conv";
    /// Weight and bias are 0; throws std::invalid_argument when the options make no sense.
    explicit BasicConv1d(const Conv1dOptions& options)
        : detail::ConvolutionLayer<BasicConv1d, T, Conv1dOptions>(options) {}
};

using Conv1d = BasicConv1d<float>;

}  // namespace amct_distill::nn
