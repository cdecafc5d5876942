// SPDX-License-Identifier: Apache-2.0
/// ONNX's Conv and ConvTranspose as torch.nn's convolutions of one and two dimensions.
///
///     inline constexpr std::array convolution_rules{OperatorRule{"Conv", convert_conv}, ...};
///     ConvolutionWeights w = convolution_weights(o);      // for patterns, which change them
///     add_convolution(o, std::move(w));
///
/// PyTorch's convolutions pad both ends alike: other paddings of a Conv become a Pad before it, those of a
/// ConvTranspose an output_padding.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "../../nn/layers/arithmetic.hpp"
#include "../../nn/layers/conv1d.hpp"
#include "../../nn/layers/conv2d.hpp"
#include "../../nn/layers/conv_function.hpp"
#include "../../nn/layers/conv_transpose.hpp"
#include "../../nn/layers/pad.hpp"
#include "../window_attributes.hpp"

namespace amct_distill::onnx::detail {

/// What a Conv or ConvTranspose reads besides the images.
struct ConvolutionWeights {
    nn::Tensor weight{};
    nn::Tensor bias{};  ///< empty: none
    nn::Index groups = 1;
    bool transposed = false;

    nn::Index output_channels() const { return transposed ? weight.dim(1) * groups : weight.dim(0); }
};

/// Fails where they are no constants, or do not fit each other and the images.
inline ConvolutionWeights convolution_weights(Operation& o) {
    using amct_distill::detail::concat;
    ConvolutionWeights c{.weight = o.constant(1), .transposed = o.op() == "ConvTranspose"};
    if (o.has(2)) c.bias = o.constant(2);
    nn::Shape const input = o.shape(0);
    if (o.failed()) return c;
    if (input.size() != 3 && input.size() != 4)
        o.fail(concat("its images have ", input.size() < 3 ? 0 : input.size() - 2,
                      " dimensions; convolutions of one and two are supported"));
    else if (c.weight.rank() != input.size())
        o.fail(concat("expected a weight of ", input.size(), " dimensions, found ",
                      nn::to_string(c.weight.shape())));
    if (o.failed()) return c;
    std::int64_t const groups = o.attributes().integer("group", 1);
    nn::Index const first = c.weight.dim(0), second = c.weight.dim(1);
    nn::Index const in = c.transposed ? first : second * std::clamp<std::int64_t>(groups, 1, first);
    if (groups < 1 || groups > first || first % groups != 0 || input[1] != in)
        o.fail(concat("expected a weight for ", input[1], " channels in ", groups, " groups, found ",
                      nn::to_string(c.weight.shape())));
    c.groups = groups;
    if (!o.failed() && !c.bias.empty() && c.bias.shape() != nn::Shape{c.output_channels()})
        o.fail(concat("expected a bias of ", c.output_channels(), " values, found ",
                      nn::to_string(c.bias.shape())));
    return c;
}

/// The operation as a module with these weights; or, where PyTorch calls a function, as one that reads them.
template <class Module, class Options>
void add_convolution_module(Operation& o, Options options, ConvolutionWeights c, amct_distill::NodeId input,
                            std::optional<std::size_t> bias) {
    bool const is_function = o.is_function(1, bias, false);
    options.in_channels = c.transposed ? c.weight.dim(0) : c.weight.dim(1) * c.groups;
    options.out_channels = c.output_channels();
    options.groups = c.groups;
    options.bias = !c.bias.empty() && !is_function;
    if (o.failed()) return;
    try {
        Module module(options);
        if (is_function) {
            nn::Shape per_channel(c.weight.rank() - 1, 1);
            per_channel[0] = options.out_channels;
            std::vector const reads{input, o.constant_node("weight", std::move(c.weight))};
            if (c.bias.empty()) return o.function(nn::BasicConvFunction<Module>(options), reads);
            c.bias.resize(per_channel);
            return o.function(nn::Add{}, {o.step("Conv", nn::BasicConvFunction<Module>(options), reads),
                                          o.constant_node("bias", std::move(c.bias))});
        }
        module.weight() = std::move(c.weight);
        module.bias() = std::move(c.bias);
        o.add(std::move(module), {input}, 1, bias);
    } catch (const std::invalid_argument& e) {
        o.fail(e.what());
    }
}

/// A Conv's images with what its own padding cannot give.
inline amct_distill::NodeId padded_images(Operation& o, const WindowAttributes& w) {
    if (w.begin == w.end || o.failed()) return o.value(0);
    nn::Shape begin{0, 0}, end{0, 0};
    begin.insert(begin.end(), w.begin.begin(), w.begin.end());
    end.insert(end.end(), w.end.begin(), w.end.end());
    return o.step("Pad", nn::Pad({.begin = std::move(begin), .end = std::move(end)}), {o.value(0)});
}

/// The paddings of a ConvTranspose from the shape of its output, where that is asked for or follows from
/// auto_pad; and the output_padding with which the module's output has that shape.
inline std::vector<nn::Index> output_padding(Operation& o, const std::vector<nn::Index>& image,
                                             WindowAttributes& w) {
    std::size_t const dims = image.size();
    std::vector<nn::Index> more = read_sizes(o, "output_padding", dims, 0, 0);
    std::vector<std::int64_t> const asked =
        o.attributes().integers("output_shape").value_or(std::vector<std::int64_t>{});
    std::size_t const first = asked.size() == dims + 2 ? 2 : 0;  // some write batch and channels too
    if (!asked.empty() && asked.size() != first + dims)
        o.fail("expected an output_shape of the image's dimensions");
    bool const same = w.auto_pad == AutoPad::upper || w.auto_pad == AutoPad::lower;
    if (o.failed()) return more;
    for (std::size_t d = 0; d != dims; ++d) {
        nn::Index const whole = (image[d] - 1) * w.stride[d] + w.extent(d) + more[d];
        nn::Index out = whole - w.begin[d] - w.end[d];
        if (!asked.empty() || same) {
            out = asked.empty() ? image[d] * w.stride[d] : asked[first + d];
            nn::Index const total = (std::max)(whole - out, nn::Index(0));
            // Of an odd number, one more at the end with SAME_UPPER alone.
            w.begin[d] = w.auto_pad == AutoPad::upper ? total / 2 : total - total / 2;
        }
        more[d] = out - (whole - more[d] - 2 * w.begin[d]);
    }
    return more;
}

/// The operation with these weights instead of its own; `bias`: the input that the bias is named after.
inline void add_convolution(Operation& o, ConvolutionWeights c, std::optional<std::size_t> bias = 2) {
    if (o.failed()) return;
    nn::Shape const shape = o.shape(0);
    std::vector<nn::Index> const image(shape.begin() + 2, shape.end());
    const nn::Shape& weight = c.weight.shape();
    WindowAttributes w = read_window(o, image.size(), {weight.begin() + 2, weight.end()});
    auto const two = [](const std::vector<nn::Index>& v) { return nn::Size2{v[0], v[1]}; };
    bool const one_dimension = image.size() == 1;
    if (c.transposed) {
        std::vector<nn::Index> const more = output_padding(o, image, w);
        if (o.failed()) return;
        if (one_dimension)
            add_convolution_module<nn::ConvTranspose1d>(o,
                                                        nn::ConvTranspose1dOptions{.kernel = w.kernel[0],
                                                                                   .stride = w.stride[0],
                                                                                   .padding = w.begin[0],
                                                                                   .output_padding = more[0],
                                                                                   .dilation = w.dilation[0]},
                                                        std::move(c), o.value(0), bias);
        else
            add_convolution_module<nn::ConvTranspose2d>(
                o,
                nn::ConvTranspose2dOptions{.kernel = two(w.kernel),
                                           .stride = two(w.stride),
                                           .padding = two(w.begin),
                                           .output_padding = two(more),
                                           .dilation = two(w.dilation)},
                std::move(c), o.value(0), bias);
        return;
    }
    w.pad_as_asked(image);
    amct_distill::NodeId const input = padded_images(o, w);
    if (w.begin != w.end) std::ranges::fill(w.begin, 0);
    if (o.failed()) return;
    if (one_dimension)
        add_convolution_module<nn::Conv1d>(o,
                                           nn::Conv1dOptions{.kernel = w.kernel[0],
                                                             .stride = w.stride[0],
                                                             .padding = w.begin[0],
                                                             .dilation = w.dilation[0]},
                                           std::move(c), input, bias);
    else
        add_convolution_module<nn::Conv2d>(o,
                                           nn::Conv2dOptions{.kernel = two(w.kernel),
                                                             .stride = two(w.stride),
                                                             .padding = two(w.begin),
                                                             .dilation = two(w.dilation)},
                                           std::move(c), input, bias);
}

inline void convert_conv(Operation& o) { add_convolution(o, convolution_weights(o)); }

inline constexpr std::array convolution_rules{
    OperatorRule{"Conv", convert_conv},
    OperatorRule{"ConvTranspose", convert_conv},
};

}  // namespace amct_distill::onnx::detail
