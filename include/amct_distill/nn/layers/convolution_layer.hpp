// SPDX-License-Identifier: Apache-2.0
/// What Conv1d, Conv2d, ConvTranspose1d and ConvTranspose2d share: all but their options' shape.
///
///     class BasicConv1d : public detail::ConvolutionLayer<BasicConv1d<T>, T, Conv1dOptions> {...};
///
/// An image of one dimension is one of a single row. A transposed convolution is the gradient of a
/// convolution that leads from its output to its input, and the other way round; with the same weight.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "../convolution.hpp"
#include "weighted_layer.hpp"

namespace amct_distill::detail {

/// Options have `output_padding` where the convolution is transposed.
template <class Options>
concept TransposedOptions = requires(const Options& o) {
    o.output_padding;
};

template <class Derived, class T, class Options>
class ConvolutionLayer : public WeightedLayer<Derived, T, Options> {
    static constexpr bool transposed = TransposedOptions<Options>;
    using Size = decltype(Options::kernel);  // an Index or a Size2
    static constexpr std::size_t dims = std::is_same_v<Size, nn::Size2> ? 2 : 1;

public:
    /// A module around this one that needs buffers of its own takes them from here on.
    static constexpr std::size_t scratch_tensors = Convolution<T>::scratch_tensors;

    /// [out, in / groups, kernel...]; a transposed one's is [in, out / groups, kernel...].
    std::array<nn::Index, dims + 2> weight_shape() const {
        const auto& o = this->options();
        std::array<nn::Index, dims + 2> shape{from(o), to(o) / o.groups};
        for (std::size_t d = 0; d != dims; ++d) shape[d + 2] = plane(o.kernel)[d + 2 - dims];
        return shape;
    }
    nn::Index output_channels() const { return this->options().out_channels; }
    std::size_t output_axis() const { return transposed ? 1 : 0; }
    nn::Index weight_groups() const { return transposed ? this->options().groups : 1; }
    nn::Index input_groups() const { return this->options().groups; }

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        const auto& o = this->options();
        if (inputs.size() != 1 || inputs[0].size() != dims + 2 || inputs[0][1] != o.in_channels)
            return unexpected_inputs(concat("one input [N, ", o.in_channels, dims == 2 ? ", H, W]" : ", L]"),
                                     inputs);
        nn::Size2 const size = output_size(image(inputs[0]));
        if (size[0] < 1 || size[1] < 1)
            return unexpected_inputs(
                transposed
                    ? concat("an image of whose output the padding ", text(o.padding), " leaves something")
                    : concat("an image that holds the kernel ", text(o.kernel), " (padding ", text(o.padding),
                             ", dilation ", text(o.dilation), ")"),
                inputs);
        nn::Shape shape{inputs[0][0], o.out_channels};
        shape.insert(shape.end(), size.end() - dims, size.end());
        return shape;
    }

    /// The convolution with other weights in the place of its own, such as quantized ones, and its own bias.
    void forward_with(const nn::BasicTensor<T>& weight, const nn::BasicTensor<T>& input,
                      nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch) const {
        const T* const bias = this->options().bias ? this->bias().data() : nullptr;
        if constexpr (transposed) {
            nn::Index const channels = output.dim(1);
            auto const pixels = static_cast<nn::Index>(output.size()) / (output.dim(0) * channels);
            for (nn::Index i = 0; i != output.dim(0) * channels; ++i)
                std::fill_n(output.data() + i * pixels, pixels, bias ? bias[i % channels] : T(0));
            products(output.shape(), input.shape())
                .add_input_gradient(weight.data(), input.data(), output.data(), scratch);
        } else {
            products(input.shape(), output.shape())
                .multiply(weight.data(), input.data(), {.bias = bias}, output.data(), scratch);
        }
    }

    /// The gradients of `forward_with`, added to those that are wanted (not null).
    void backward_with(const nn::BasicTensor<T>& weight, const nn::BasicTensor<T>& input,
                       const nn::BasicTensor<T>& grad_output, nn::BasicTensor<T>* grad_input,
                       nn::BasicTensor<T>* grad_weight, nn::BasicTensor<T>* grad_bias,
                       nn::BasicScratch<T>& scratch) const {
        const nn::BasicTensor<T>& large = transposed ? grad_output : input;  // what the window slides over
        const nn::BasicTensor<T>& small = transposed ? input : grad_output;
        auto const c = products(large.shape(), small.shape());
        if (grad_weight) c.add_weight_gradient(large.data(), small.data(), grad_weight->data(), scratch);
        if (grad_bias) {
            nn::Index const images = grad_output.dim(0), channels = grad_output.dim(1);
            add_channel_sums(grad_output.data(), images, channels,
                             static_cast<nn::Index>(grad_output.size()) / (images * channels),
                             grad_bias->data(), scratch);
        }
        if (!grad_input) return;
        if constexpr (transposed)
            c.multiply(weight.data(), grad_output.data(), {.add = true}, grad_input->data(), scratch);
        else
            c.add_input_gradient(weight.data(), grad_output.data(), grad_input->data(), scratch);
    }

protected:
    /// Weight and bias are 0; throws std::invalid_argument when the options make no sense.
    explicit ConvolutionLayer(const Options& o) : WeightedLayer<Derived, T, Options>(o) {
        auto const least = [](const Size& size, nn::Index bound) {
            return plane(size, bound)[0] >= bound && plane(size, bound)[1] >= bound;
        };
        if (o.in_channels < 1 || o.out_channels < 1 || o.groups < 1 || !least(o.kernel, 1) ||
            !least(o.stride, 1) || !least(o.dilation, 1) || !least(o.padding, 0))
            throw std::invalid_argument(concat(Derived::type_name,
                                               ": channels, groups, kernel, stride, dilation must be at "
                                               "least 1, padding at least 0"));
        auto const large = [](const Size& size) {
            return plane(size, 0)[0] > nn::largest_size || plane(size, 0)[1] > nn::largest_size;
        };
        bool outside = false;
        if constexpr (transposed) {
            nn::Size2 const more = plane(o.output_padding, 0);
            outside = (std::max)(std::abs(more[0]), std::abs(more[1])) > nn::largest_size;
        }
        if (outside || o.in_channels > nn::largest_size || o.out_channels > nn::largest_size ||
            large(o.kernel) || large(o.stride) || large(o.dilation) || large(o.padding))
            throw std::invalid_argument(concat(Derived::type_name, ": a size is above ", nn::largest_size));
        if (o.in_channels % o.groups != 0 || o.out_channels % o.groups != 0)
            throw std::invalid_argument(concat(Derived::type_name, ": ", o.groups, " groups must divide the ",
                                               o.in_channels, " input and the ", o.out_channels,
                                               " output channels"));
        this->make();
    }

private:
    /// The channels that the weight's dimensions 0 and 1 count.
    static nn::Index from(const Options& o) { return transposed ? o.in_channels : o.out_channels; }
    static nn::Index to(const Options& o) { return transposed ? o.out_channels : o.in_channels; }

    static nn::Size2 plane(const nn::Size2& size, nn::Index = 1) { return size; }
    static nn::Size2 plane(nn::Index size, nn::Index row = 1) { return {row, size}; }
    static std::string text(const nn::Size2& size) { return nn::to_string(size); }
    static std::string text(nn::Index size) { return concat(size); }
    static nn::Size2 image(const nn::Shape& shape) { return {dims == 2 ? shape[2] : 1, shape.back()}; }

    Window window(const nn::Size2& image) const {
        const auto& o = this->options();
        return {.input = image,
                .kernel = plane(o.kernel),
                .stride = plane(o.stride),
                .padding = plane(o.padding, 0),
                .dilation = plane(o.dilation)};
    }
    nn::Size2 output_size(const nn::Size2& image) const {
        Window const w = window(image);
        if constexpr (transposed) {
            nn::Size2 const more = plane(this->options().output_padding, 0);
            auto const size = [&](std::size_t d) {
                return (image[d] - 1) * w.stride[d] - 2 * w.padding[d] + w.dilation[d] * (w.kernel[d] - 1) +
                       1 + more[d];
            };
            return {size(0), size(1)};
        } else {
            return {w.output(0), w.output(1)};
        }
    }
    Convolution<T> products(const nn::Shape& large, const nn::Shape& small) const {
        const auto& o = this->options();
        Window w = window(image(large));
        w.count = image(small);
        return Convolution<T>(w, large[0], o.groups, to(o) / o.groups, from(o) / o.groups);
    }
};

}  // namespace amct_distill::detail
