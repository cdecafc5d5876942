// SPDX-License-Identifier: Apache-2.0
/// Softmax and its logarithm along a dimension, as in torch.nn, or along all dimensions from one on.
///
///     net.add("probabilities", Softmax(1), {x});
///     net.add("log_probabilities", LogSoftmax(2), {x});
///     net.add("all", Softmax({.dim = 1, .to_end = true}), {x});      // ONNX's before opset 13
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>

#include "../module.hpp"

namespace amct_distill::nn {

struct SoftmaxOptions {
    Index dim = 1;
    bool to_end = false;  ///< along dim and all dimensions after it, as if they were one
    friend bool operator==(const SoftmaxOptions&, const SoftmaxOptions&) = default;
};

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// What the two share: options, shapes, and the lines along which they go. All sums are in double.
template <class Derived, class T>
class AlongDimension {
public:
    /// Throws std::invalid_argument for a negative dimension.
    explicit AlongDimension(const nn::SoftmaxOptions& options) : options_(options) {
        if (options.dim < 0)
            throw std::invalid_argument(
                concat(Derived::type_name, ": expected a dim of 0 or more, found ", options.dim));
    }
    explicit AlongDimension(std::size_t dim = 1)
        : AlongDimension(nn::SoftmaxOptions{.dim = static_cast<nn::Index>(dim)}) {}
    const nn::SoftmaxOptions& options() const { return options_; }
    std::size_t dim() const { return static_cast<std::size_t>(options_.dim); }

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() <= dim())
            return unexpected_inputs(concat("one input with a dimension ", dim()), inputs);
        if (dim() == 0 && inputs[0][0] == nn::any_batch)
            return unexpected_inputs("an input of a fixed size, because dim 0 is the batch", inputs);
        return inputs[0];
    }
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        const T* const x = inputs[0]->data();
        T* const y = output.data();
        for_each_line(output.shape(), scratch, [&](std::size_t first, std::size_t step, std::size_t end) {
            T largest = x[first];
            for (std::size_t i = first; i != end; i += step) largest = (std::max)(largest, x[i]);
            Derived::line(x, y, largest, first, step, end);
        });
    }
    void backward(nn::BasicInputs<T>, const nn::BasicTensor<T>& output, const nn::BasicTensor<T>& grad_output,
                  std::span<nn::BasicTensor<T>* const> grad_inputs, std::span<nn::BasicTensor<T>>,
                  nn::BasicScratch<T>& scratch, nn::Mode) const {
        if (!grad_inputs[0]) return;
        const T *const y = output.data(), *const g = grad_output.data();
        T* const gx = grad_inputs[0]->data();
        for_each_line(output.shape(), scratch, [&](std::size_t first, std::size_t step, std::size_t end) {
            Derived::line_back(y, g, gx, first, step, end);
        });
    }

private:
    /// Calls f(first, step, end) for the flat indices of every line.
    template <class F>
    void for_each_line(const nn::Shape& shape, const nn::BasicScratch<T>& scratch, F f) const {
        std::size_t const after = options_.to_end ? shape.size() : dim() + 1;
        auto const length = static_cast<std::size_t>(nn::product(shape, dim(), after));
        auto const step = static_cast<std::size_t>(nn::product(shape, after, shape.size()));
        nn::Index const outer = nn::product(shape, 0, dim());
        if (length == 0 || step == 0) return;
        scratch.parallel_for(outer, 16 * double(outer) * double(length * step), [&](nn::Index i, nn::Index) {
            for (std::size_t j = 0; j != step; ++j) {
                std::size_t const first = static_cast<std::size_t>(i) * length * step + j;
                f(first, step, first + length * step);
            }
        });
    }

    nn::SoftmaxOptions options_;
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// exp(x) / sum(exp(x)); shifted by the maximum, so that nothing overflows.
template <class T>
class BasicSoftmax : public detail::AlongDimension<BasicSoftmax<T>, T> {
public:
    static constexpr std::string_view type_name = "Softmax";
    using detail::AlongDimension<BasicSoftmax, T>::AlongDimension;

    static void line(const T* x, T* y, T largest, std::size_t first, std::size_t step, std::size_t end) {
        double sum = 0;
        for (std::size_t i = first; i != end; i += step) sum += double(y[i] = std::exp(x[i] - largest));
        T const whole = T(sum);
        for (std::size_t i = first; i != end; i += step) y[i] /= whole;
    }
    static void line_back(const T* y, const T* g, T* gx, std::size_t first, std::size_t step,
                          std::size_t end) {
        double dot = 0;
        for (std::size_t i = first; i != end; i += step) dot += double(y[i]) * double(g[i]);
        for (std::size_t i = first; i != end; i += step) gx[i] += y[i] * (g[i] - T(dot));
    }
};

/// x - log(sum(exp(x))), shifted likewise.
template <class T>
class BasicLogSoftmax : public detail::AlongDimension<BasicLogSoftmax<T>, T> {
public:
    static constexpr std::string_view type_name = "LogSoftmax";
    using detail::AlongDimension<BasicLogSoftmax, T>::AlongDimension;

    static void line(const T* x, T* y, T largest, std::size_t first, std::size_t step, std::size_t end) {
        double sum = 0;
        for (std::size_t i = first; i != end; i += step) sum += double(std::exp(x[i] - largest));
        T const log_sum = T(std::log(sum));
        for (std::size_t i = first; i != end; i += step) y[i] = x[i] - largest - log_sum;
    }
    static void line_back(const T* y, const T* g, T* gx, std::size_t first, std::size_t step,
                          std::size_t end) {
        double sum = 0;
        for (std::size_t i = first; i != end; i += step) sum += double(g[i]);
        for (std::size_t i = first; i != end; i += step) gx[i] += g[i] - std::exp(y[i]) * T(sum);
    }
};

using Softmax = BasicSoftmax<float>;
using LogSoftmax = BasicLogSoftmax<float>;

}  // namespace amct_distill::nn
