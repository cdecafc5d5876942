// SPDX-License-Identifier: Apache-2.0
/// Pooling of whole images: [N, C, ...] -> [N, C, 1, ...], the mean, the maximum or a norm of each plane.
///
///     net.add("pool", GlobalAveragePool{}, {x});       // torch.nn.AdaptiveAvgPool2d(1)
///     GlobalMaxPool1d{}                                // torch.nn.AdaptiveMaxPool1d(1)
///     GlobalLpPool2d({.norm = 3})
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>

#include "../module.hpp"

namespace amct_distill::detail {

/// (sum |x|^p)^(1/p), in double.
template <class T>
class NormSum {
public:
    explicit NormSum(nn::Index p) : p_(p) {}
    void add(T x) {
        double const a = std::abs(double(x));
        sum_ += p_ == 1 ? a : p_ == 2 ? a * a : std::pow(a, double(p_));
    }
    T norm() const { return T(p_ == 1 ? sum_ : p_ == 2 ? std::sqrt(sum_) : std::pow(sum_, 1 / double(p_))); }

private:
    nn::Index p_;
    double sum_ = 0;
};
/// What a norm y gains of one of its values x: sign(x) (|x| / y)^(p - 1); 0 where y is.
template <class T>
T norm_slope(T x, T y, nn::Index p) {
    if (x == 0 || y == 0) return T(0);
    T const part = std::abs(x) / y;
    return std::copysign(p == 1 ? T(1) : p == 2 ? part : T(std::pow(part, T(p - 1))), x);
}

/// `Derived` has, for a plane of n values, `pooled(plane, n)`, and `carry_back(g, y, plane, n, grad_plane)`:
/// adds the gradient of what `pooled` gave, y.
template <class Derived, class T, std::size_t D>
class GlobalPool {
public:
    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != D + 2)
            return unexpected_inputs(D == 1   ? "one input [N, C, L]"
                                     : D == 2 ? "one input [N, C, H, W]"
                                              : "one input [N, C, D, H, W]",
                                     inputs);
        nn::Shape shape(D + 2, 1);
        std::copy_n(inputs[0].begin(), 2, shape.begin());
        return shape;
    }
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        nn::Index const n = pixels(*inputs[0]);
        for_each_plane(*inputs[0], scratch, [&](std::size_t plane) {
            output[plane] = self().pooled(inputs[0]->data() + static_cast<nn::Index>(plane) * n, n);
        });
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>& output,
                  const nn::BasicTensor<T>& grad_output, std::span<nn::BasicTensor<T>* const> grad_inputs,
                  std::span<nn::BasicTensor<T>>, nn::BasicScratch<T>& scratch, nn::Mode) const {
        if (!grad_inputs[0]) return;
        nn::Index const n = pixels(*inputs[0]);
        for_each_plane(*inputs[0], scratch, [&](std::size_t plane) {
            nn::Index const at = static_cast<nn::Index>(plane) * n;
            self().carry_back(grad_output[plane], output[plane], inputs[0]->data() + at, n,
                              grad_inputs[0]->data() + at);
        });
    }

private:
    const Derived& self() const { return static_cast<const Derived&>(*this); }
    static nn::Index pixels(const nn::BasicTensor<T>& input) { return nn::product(input.shape(), 2, D + 2); }
    template <class F>
    static void for_each_plane(const nn::BasicTensor<T>& input, const nn::BasicScratch<T>& scratch, F f) {
        scratch.parallel_for(input.dim(0) * input.dim(1), double(input.size()),
                             [&](nn::Index plane, nn::Index) { f(static_cast<std::size_t>(plane)); });
    }
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// The mean of each plane.
template <class T, std::size_t D = 2>
class BasicGlobalAveragePool : public detail::GlobalPool<BasicGlobalAveragePool<T, D>, T, D> {
public:
    static constexpr std::string_view type_name = D == 1   ? "AdaptiveAvgPool1d"
                                                  : D == 2 ? "AdaptiveAvgPool2d"
                                                           : "AdaptiveAvgPool3d";
    static constexpr std::string_view operation = "GlobalAveragePool";
    static constexpr bool is_homogeneous = true;

    static T pooled(const T* plane, Index n) { return T(detail::sum_of(plane, n) / double(n)); }
    static void carry_back(T g, T, const T*, Index n, T* grad_plane) {
        ArrayMap<T>(grad_plane, n) += g / T(n);
    }
};

/// The largest value of each plane; the gradient goes to the first that is largest, and NaN is larger than
/// all.
template <class T, std::size_t D = 2>
class BasicGlobalMaxPool : public detail::GlobalPool<BasicGlobalMaxPool<T, D>, T, D> {
public:
    static constexpr std::string_view type_name = D == 1   ? "AdaptiveMaxPool1d"
                                                  : D == 2 ? "AdaptiveMaxPool2d"
                                                           : "AdaptiveMaxPool3d";
    static constexpr std::string_view operation = "GlobalMaxPool";
    static constexpr bool is_homogeneous = true;

    static T pooled(const T* plane, Index n) { return plane[largest(plane, n)]; }
    static void carry_back(T g, T, const T* plane, Index n, T* grad_plane) {
        grad_plane[largest(plane, n)] += g;
    }

private:
    static Index largest(const T* plane, Index n) {
        Index best = 0;
        for (Index i = 1; i < n; ++i)
            if (plane[i] > plane[best] || (std::isnan(plane[i]) && !std::isnan(plane[best]))) best = i;
        return best;
    }
};

struct GlobalLpPoolOptions {
    Index norm = 2;
    friend bool operator==(const GlobalLpPoolOptions&, const GlobalLpPoolOptions&) = default;
};

/// The p-norm of each plane.
template <class T, std::size_t D = 2>
class BasicGlobalLpPool : public detail::GlobalPool<BasicGlobalLpPool<T, D>, T, D> {
public:
    static constexpr std::string_view type_name = D == 1   ? "GlobalLpPool1d"
                                                  : D == 2 ? "GlobalLpPool2d"
                                                           : "GlobalLpPool3d";
    static constexpr std::string_view operation = "GlobalLpPool";
    /// Throws std::invalid_argument when the norm is smaller than 1.
    explicit BasicGlobalLpPool(const GlobalLpPoolOptions& options) : options_(options) {
        if (options.norm < 1) throw std::invalid_argument("pooling: norm must be at least 1");
    }
    const GlobalLpPoolOptions& options() const { return options_; }

    T pooled(const T* plane, Index n) const {
        detail::NormSum<T> sum(options_.norm);
        for (Index i = 0; i != n; ++i) sum.add(plane[i]);
        return sum.norm();
    }
    void carry_back(T g, T y, const T* plane, Index n, T* grad_plane) const {
        for (Index i = 0; i != n; ++i) grad_plane[i] += g * detail::norm_slope(plane[i], y, options_.norm);
    }

private:
    GlobalLpPoolOptions options_;
};

using GlobalAveragePool = BasicGlobalAveragePool<float>;
using GlobalAveragePool1d = BasicGlobalAveragePool<float, 1>;
using GlobalAveragePool3d = BasicGlobalAveragePool<float, 3>;
using GlobalMaxPool = BasicGlobalMaxPool<float>;
using GlobalMaxPool1d = BasicGlobalMaxPool<float, 1>;
using GlobalMaxPool3d = BasicGlobalMaxPool<float, 3>;
using GlobalLpPool1d = BasicGlobalLpPool<float, 1>;
using GlobalLpPool2d = BasicGlobalLpPool<float, 2>;
using GlobalLpPool3d = BasicGlobalLpPool<float, 3>;

}  // namespace amct_distill::nn
