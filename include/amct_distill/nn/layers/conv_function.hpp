// SPDX-License-Identifier: Apache-2.0
/// Convolutions whose weight is an input, without a bias, as torch.nn.functional has them.
///
///     x = net.add_function("/Conv", FunctionalConv2d({.in_channels = 1, .out_channels = 8, .bias = false}),
///                          {x, weight});  // a constant node, or what another one computes
///
/// The options are those of Conv1d, Conv2d, ConvTranspose1d or ConvTranspose2d.
#pragma once
#include <algorithm>
#include <span>
#include <stdexcept>
#include <string_view>
#include <type_traits>

#include "conv1d.hpp"
#include "conv2d.hpp"
#include "conv_transpose.hpp"

namespace amct_distill::nn {

/// `Layer`: a convolution with a weight of its own.
template <class Layer>
class BasicConvFunction {
    using Tensor = std::remove_cvref_t<decltype(std::declval<Layer&>().weight())>;
    using T = typename Tensor::value_type;
    using Options = std::remove_cvref_t<decltype(std::declval<Layer&>().options())>;

public:
    static constexpr std::string_view type_name = Layer::type_name == "Conv1d"   ? "FunctionalConv1d"
                                                  : Layer::type_name == "Conv2d" ? "FunctionalConv2d"
                                                  : Layer::type_name == "ConvTranspose1d"
                                                      ? "FunctionalConvTranspose1d"
                                                      : "FunctionalConvTranspose2d";
    static constexpr std::string_view operation = Layer::operation;

    /// Throws std::invalid_argument when the options make no sense, or ask for a bias.
    explicit BasicConvFunction(const Options& options) : layer_(options) {
        if (options.bias)
            throw std::invalid_argument(
                detail::concat(type_name, ": it has no bias; set the option to false, and add one"));
        layer_.weight() = Tensor();
    }
    const Options& options() const { return layer_.options(); }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        auto const weight = layer_.weight_shape();
        if (inputs.size() != 2 || !std::ranges::equal(inputs[1], weight))
            return detail::unexpected_inputs(
                detail::concat("an image and a weight ", to_string(Shape(weight.begin(), weight.end()))),
                inputs);
        return layer_.output_shape(inputs.first(1));
    }
    void forward(BasicInputs<T> inputs, Tensor& output, BasicScratch<T>& scratch, Mode) const {
        layer_.forward_with(*inputs[1], *inputs[0], output, scratch);
    }
    void backward(BasicInputs<T> inputs, const Tensor&, const Tensor& grad_output,
                  std::span<Tensor* const> grad_inputs, std::span<Tensor>, BasicScratch<T>& scratch,
                  Mode) const {
        layer_.backward_with(*inputs[1], *inputs[0], grad_output, grad_inputs[0], grad_inputs[1], nullptr,
                             scratch);
    }

private:
    Layer layer_;  // whose own weight is empty
};

using FunctionalConv1d = BasicConvFunction<Conv1d>;
using FunctionalConv2d = BasicConvFunction<Conv2d>;
using FunctionalConvTranspose1d = BasicConvFunction<ConvTranspose1d>;
using FunctionalConvTranspose2d = BasicConvFunction<ConvTranspose2d>;

}  // namespace amct_distill::nn
