// SPDX-License-Identifier: Apache-2.0
/// Activations: ReLU, LeakyReLU, Sigmoid, Tanh element by element, and Softmax along a dimension; all as in
/// torch.nn, NaN passes through them.
///
///     net.add("relu1", ReLU{}, {x});
///     net.add("leaky", LeakyReLU(0.1f), {x});
///     net.add("probabilities", Softmax(1), {x});
#pragma once
#include <algorithm>
#include <cmath>
#include <span>
#include <stdexcept>
#include <string_view>

#include "../module.hpp"

namespace amct_distill::detail {

/// What the element-wise activations share. `Derived` has `value(x)`, or `values(x, y)` of arrays, and
/// `slope_times(x, y, g)`: the gradient `g` of the output `y`, carried to the input `x`.
template <class Derived, class T>
class Elementwise {
public:
    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        if (inputs.size() != 1) return unexpected_inputs("one input", inputs);
        return inputs[0];
    }
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        const T* const x = inputs[0]->data();
        T* const y = output.data();
        scratch.in_parts(output.size(), [&](std::size_t begin, std::size_t end) {
            auto const n = static_cast<nn::Index>(end - begin);
            nn::ConstArrayMap<T> const from(x + begin, n);
            nn::ArrayMap<T> to(y + begin, n);
            if constexpr (requires { self().values(from, to); })
                self().values(from, to);
            else
                for (nn::Index i = 0; i != n; ++i) to[i] = self().value(from[i]);
        });
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>& output,
                  const nn::BasicTensor<T>& grad_output, std::span<nn::BasicTensor<T>* const> grad_inputs,
                  std::span<nn::BasicTensor<T>>, nn::BasicScratch<T>& scratch, nn::Mode) const {
        if (!grad_inputs[0]) return;
        const T* const x = inputs[0]->data();
        const T* const y = output.data();
        const T* const g = grad_output.data();
        T* const gx = grad_inputs[0]->data();
        scratch.in_parts(output.size(), [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i != end; ++i) gx[i] += self().slope_times(x[i], y[i], g[i]);
        });
    }

private:
    const Derived& self() const { return static_cast<const Derived&>(*this); }
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// ReLU and LeakyReLU run forward on Eigen's vectors, because g++ at -O2 makes a branch of the comparison, 10
/// times as slow. Eigen's max and min let NaN pass when it is on their left, as std::max does. The 0 that is
/// added turns -0, which vectors and scalars treat differently, into 0.
template <class T>
class BasicReLU : public detail::Elementwise<BasicReLU<T>, T> {
public:
    static constexpr std::string_view type_name = "ReLU";
    static constexpr std::string_view operation = "Relu";
    static void values(const ConstArrayMap<T>& x, ArrayMap<T>& y) { y = (x.max)(T(0)) + T(0); }
    static T slope_times(T, T y, T g) { return y <= 0 ? T(0) : g; }
};

struct LeakyReLUOptions {
    double negative_slope = 0.01;
    friend bool operator==(const LeakyReLUOptions&, const LeakyReLUOptions&) = default;
};

template <class T>
class BasicLeakyReLU : public detail::Elementwise<BasicLeakyReLU<T>, T> {
public:
    static constexpr std::string_view type_name = "LeakyReLU";
    static constexpr std::string_view operation = "LeakyRelu";
    explicit BasicLeakyReLU(T negative_slope = T(0.01)) : slopes_{negative_slope, T(1)} {}
    explicit BasicLeakyReLU(const LeakyReLUOptions& options) : BasicLeakyReLU(T(options.negative_slope)) {}
    LeakyReLUOptions options() const { return {double(slopes_[0])}; }
    T negative_slope() const { return slopes_[0]; }
    void values(const ConstArrayMap<T>& x, ArrayMap<T>& y) const {
        y = (x.max)(T(0)) + (x.min)(T(0)) * negative_slope() + T(0);
    }
    T slope_times(T x, T, T g) const { return g * slopes_[x > 0]; }

private:
    T slopes_[2];  ///< of what is not positive, of what is: looked up, not branched on
};

template <class T>
class BasicSigmoid : public detail::Elementwise<BasicSigmoid<T>, T> {
public:
    static constexpr std::string_view type_name = "Sigmoid";
    static T value(T x) { return T(1) / (T(1) + std::exp(-x)); }
    static T slope_times(T, T y, T g) { return g * (y * (T(1) - y)); }
};

template <class T>
class BasicTanh : public detail::Elementwise<BasicTanh<T>, T> {
public:
    static constexpr std::string_view type_name = "Tanh";
    static T value(T x) { return std::tanh(x); }
    static T slope_times(T, T y, T g) { return g * (T(1) - y * y); }
};

struct SoftmaxOptions {
    Index dim = 1;
    friend bool operator==(const SoftmaxOptions&, const SoftmaxOptions&) = default;
};

/// exp(x) / sum(exp(x)) along a dimension; shifted by the maximum, so that nothing overflows.
template <class T>
class BasicSoftmax {
public:
    static constexpr std::string_view type_name = "Softmax";
    /// Throws std::invalid_argument for dimension 0, the batch.
    explicit BasicSoftmax(std::size_t dim = 1) : dim_(dim) {
        if (dim == 0) throw std::invalid_argument("Softmax: dim 0 is the batch; expected 1 or more");
    }
    explicit BasicSoftmax(const SoftmaxOptions& options) : BasicSoftmax(detail::dimension(options.dim)) {}
    SoftmaxOptions options() const { return {static_cast<Index>(dim_)}; }
    std::size_t dim() const { return dim_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() <= dim_)
            return detail::unexpected_inputs(detail::concat("one input with a dimension ", dim_), inputs);
        return inputs[0];
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>&, Mode) const {
        const T* const x = inputs[0]->data();
        T* const y = output.data();
        for_each_line(output.shape(), [&](std::size_t first, std::size_t step, std::size_t end) {
            T largest = x[first], sum = 0;
            for (std::size_t i = first; i != end; i += step) largest = (std::max)(largest, x[i]);
            for (std::size_t i = first; i != end; i += step) sum += y[i] = std::exp(x[i] - largest);
            for (std::size_t i = first; i != end; i += step) y[i] /= sum;
        });
    }
    void backward(BasicInputs<T>, const BasicTensor<T>& output, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        if (!grad_inputs[0]) return;
        const T* const y = output.data();
        const T* const g = grad_output.data();
        T* const gx = grad_inputs[0]->data();
        for_each_line(output.shape(), [&](std::size_t first, std::size_t step, std::size_t end) {
            T dot = 0;
            for (std::size_t i = first; i != end; i += step) dot += y[i] * g[i];
            for (std::size_t i = first; i != end; i += step) gx[i] += y[i] * (g[i] - dot);
        });
    }

private:
    /// Calls f(first, step, end) for the flat indices of every line along the dimension.
    template <class F>
    void for_each_line(const Shape& shape, F f) const {
        auto const outer = static_cast<std::size_t>(product(shape, 0, dim_));
        auto const length = static_cast<std::size_t>(shape[dim_]);
        auto const step = static_cast<std::size_t>(product(shape, dim_ + 1, shape.size()));
        for (std::size_t i = 0; i != outer; ++i)
            for (std::size_t j = 0; j != step; ++j) {
                std::size_t const first = i * length * step + j;
                f(first, step, first + length * step);
            }
    }

    std::size_t dim_;
};

using ReLU = BasicReLU<float>;
using LeakyReLU = BasicLeakyReLU<float>;
using Sigmoid = BasicSigmoid<float>;
using Tanh = BasicTanh<float>;
using Softmax = BasicSoftmax<float>;

}  // namespace amct_distill::nn
