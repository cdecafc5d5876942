// SPDX-License-Identifier: Apache-2.0
/// A fully connected layer, [N, ..., in] -> [N, ..., out], as torch.nn.Linear.
///
///     Linear fc({.in_features = 64, .out_features = 10});
///     fc.weight();   // [out, in]
///     fc.bias();     // [out]; empty when the options say `.bias = false`
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>

#include "../matrix_product.hpp"
#include "weighted_layer.hpp"

namespace amct_distill::nn {

struct LinearOptions {
    Index in_features = 0;
    Index out_features = 0;
    bool bias = true;
    friend bool operator==(const LinearOptions&, const LinearOptions&) = default;
};

template <class T>
class BasicLinear : public detail::WeightedLayer<BasicLinear<T>, T, LinearOptions> {
public:
    static constexpr std::string_view type_name = "Linear";
    /// A module around this one that needs buffers of its own takes them from here on.
    static constexpr std::size_t scratch_tensors = 3;

    /// Weight and bias are 0; throws std::invalid_argument when the options make no sense.
    explicit BasicLinear(const LinearOptions& options)
        : detail::WeightedLayer<BasicLinear, T, LinearOptions>(options) {
        if (options.in_features < 1 || options.out_features < 1)
            throw std::invalid_argument("Linear: in_features and out_features must be at least 1");
        this->make();
    }
    std::array<Index, 2> weight_shape() const {
        return {this->options().out_features, this->options().in_features};
    }
    Index output_channels() const { return this->options().out_features; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        const LinearOptions& o = this->options();
        if (inputs.size() != 1 || inputs[0].size() < 2 || inputs[0].back() != o.in_features)
            return detail::unexpected_inputs(detail::concat("one input [N, ..., ", o.in_features, "]"),
                                             inputs);
        Shape shape = inputs[0];
        shape.back() = o.out_features;
        return shape;
    }

    /// The layer with other weights in the place of its own, such as quantized ones, and its own bias.
    void forward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input, BasicTensor<T>& output,
                      BasicScratch<T>& scratch) const {
        // The outputs are computed transposed, out x n: so the weights, mostly the larger factor, stay as
        // they are.
        Index const n = rows(input), in = this->options().in_features, out = this->options().out_features;
        T* const transposed = scratch.buffer(1, in * n, 1);
        detail::transpose(input.data(), in, n, in, transposed, n);
        constexpr Index step = detail::product_cols;
        T* const results = scratch.buffer(2, step * step);
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(
            detail::parts(out, step), double(n * in) * double(out), [&](Index task, Index worker) {
                Index const first = task * step, outs = (std::min)(step, out - first);
                T* const result = results + worker * step * step;
                for (Index i = 0; i < n; i += step) {
                    Index const cols = (std::min)(step, n - i);
                    detail::multiply<T>(
                        set,
                        {.c = result,
                         .c_stride = step,
                         .a = weight.data() + first * in,
                         .a_stride = in,
                         .rows = outs,
                         .depth = in,
                         .cols = cols,
                         .add = false},
                        [&](Index k, T*) { return transposed + k * n + i; },
                        buffers + worker * detail::product_buffer);
                    detail::transpose(result, step, outs, cols, output.data() + i * out + first, out);
                    if (this->options().bias)
                        for (Index row = i; row != i + cols; ++row)
                            for (Index o = first; o != first + outs; ++o)
                                output.data()[row * out + o] += this->bias().data()[o];
                }
            });
    }

    /// The gradients of `forward_with`, added to those that are wanted (not null).
    void backward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input,
                       const BasicTensor<T>& grad_output, BasicTensor<T>* grad_input,
                       BasicTensor<T>* grad_weight, BasicTensor<T>* grad_bias,
                       BasicScratch<T>& scratch) const {
        Index const n = rows(input), in = this->options().in_features, out = this->options().out_features;
        const T* const g = grad_output.data();
        double const work = double(n * in) * double(out);
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        // Both gradients have a row per output or sample and `in` columns, whose parts are products each.
        auto const multiply = [&](T* c, const T* a, Index depth, Index rows, const T* b, Index col,
                                  Index worker) {
            detail::multiply<T>(
                set,
                {.c = c + col,
                 .c_stride = in,
                 .a = a,
                 .a_stride = depth,
                 .rows = rows,
                 .depth = depth,
                 .cols = (std::min)(detail::product_cols, in - col)},
                [&](Index k, T*) { return b + k * in + col; }, buffers + worker * detail::product_buffer);
        };
        if (grad_weight) {
            constexpr Index step = 64;
            T* const transposed = scratch.buffer(1, out * n, 1);
            scratch.parallel_for(detail::parts(out, step), work, [&](Index task, Index worker) {
                Index const first = task * step, outs = (std::min)(step, out - first);
                detail::transpose(g + first, out, n, outs, transposed + first * n, n);
                for (Index col = 0; col < in; col += detail::product_cols)
                    multiply(grad_weight->data() + first * in, transposed + first * n, n, outs, input.data(),
                             col, worker);
            });
        }
        if (grad_bias)
            for (Index i = 0; i != n; ++i)
                for (Index o = 0; o != out; ++o) grad_bias->data()[o] += g[i * out + o];
        if (grad_input)
            scratch.parallel_for(detail::parts(in, detail::product_cols), work,
                                 [&](Index task, Index worker) {
                                     multiply(grad_input->data(), g, out, n, weight.data(),
                                              task * detail::product_cols, worker);
                                 });
    }

private:
    /// Every vector of `in_features` is a sample of its own.
    Index rows(const BasicTensor<T>& input) const {
        return static_cast<Index>(input.size()) / this->options().in_features;
    }
};

using Linear = BasicLinear<float>;

}  // namespace amct_distill::nn
