// SPDX-License-Identifier: Apache-2.0
/// Pooling with a sliding window, as in torch.nn: MaxPool, AvgPool and LPPool of one to three dimensions.
///
///     net.add("pool1", MaxPool2d({.kernel = {2, 2}}), {x});          // the stride is the kernel
///     net.add("pool2", AvgPool2d({.kernel = {3, 3}, .stride = {1, 1}, .padding = {1, 1}}), {x});
///     MaxPool1d({.kernel = {3}, .stride = {2}, .padding = {1}, .end_padding = {0}, .ceil_mode = true})
///
/// (Pools of the whole image are in global_pool.hpp.)
#pragma once
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>

#include "../max_planes.hpp"
#include "global_pool.hpp"
#include "sliding_pool.hpp"

namespace amct_distill::nn {

template <std::size_t D>
struct MaxPoolOptions {
    std::array<Index, D> kernel = detail::all_of_them<D>(1);
    std::array<Index, D> stride{};  ///< zeros: the kernel's
    std::array<Index, D> padding{};
    std::array<Index, D> end_padding = detail::all_of_them<D>(-1);  ///< -1 in all dimensions: `padding`
    std::array<Index, D> dilation = detail::all_of_them<D>(1);
    bool ceil_mode = false;  ///< the last window may reach beyond the image and its padding
    friend bool operator==(const MaxPoolOptions&, const MaxPoolOptions&) = default;
};
using PoolOptions = MaxPoolOptions<2>;

template <std::size_t D>
struct AvgPoolOptions {
    std::array<Index, D> kernel = detail::all_of_them<D>(1);
    std::array<Index, D> stride{};
    std::array<Index, D> padding{};
    std::array<Index, D> end_padding = detail::all_of_them<D>(-1);
    std::array<Index, D> dilation = detail::all_of_them<D>(1);
    bool ceil_mode = false;
    bool count_include_pad = true;  ///< padding counts as zeros; else the mean is that of the pixels
    friend bool operator==(const AvgPoolOptions&, const AvgPoolOptions&) = default;
};

template <std::size_t D>
struct LPPoolOptions {
    Index norm = 2;  ///< p
    std::array<Index, D> kernel = detail::all_of_them<D>(1);
    std::array<Index, D> stride{};
    std::array<Index, D> padding{};
    std::array<Index, D> end_padding = detail::all_of_them<D>(-1);
    std::array<Index, D> dilation = detail::all_of_them<D>(1);
    bool ceil_mode = false;
    friend bool operator==(const LPPoolOptions&, const LPPoolOptions&) = default;
};

/// The largest value of each window; the gradient goes to the first that is largest, and NaN is larger than
/// all.
template <class T, std::size_t D>
class BasicMaxPool : public detail::SlidingPool<BasicMaxPool<T, D>, T, MaxPoolOptions<D>> {
public:
    static constexpr std::string_view type_name = D == 1 ? "MaxPool1d" : D == 2 ? "MaxPool2d" : "MaxPool3d";
    static constexpr std::string_view operation = "MaxPool";
    static constexpr bool is_homogeneous = true;
    using Base = detail::SlidingPool<BasicMaxPool, T, MaxPoolOptions<D>>;
    using Base::Base;

    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch, Mode mode) const {
        if constexpr (D <= 2)
            if (!reaches_far(inputs[0]->shape()))
                return planes(inputs[0]->shape(), output.shape())
                    .forward(inputs[0]->data(), output.data(), scratch);
        Base::forward(inputs, output, scratch, mode);
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>& output, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                  BasicScratch<T>& scratch, Mode mode) const {
        if (!grad_inputs[0]) return;
        if constexpr (D <= 2)
            if (!reaches_far(inputs[0]->shape()))
                return planes(inputs[0]->shape(), grad_output.shape())
                    .backward(inputs[0]->data(), grad_output.data(), grad_inputs[0]->data(), scratch);
        Base::backward(inputs, output, grad_output, grad_inputs, grad_parameters, scratch, mode);
    }

    static T pooled(const T* plane, const detail::PoolPatch& patch) { return plane[largest(plane, patch)]; }
    static void carry_back(T g, T, const T* plane, const detail::PoolPatch& patch, T* grad_plane) {
        grad_plane[largest(plane, patch)] += g;
    }

private:
    /// Whether windows cover far more padding than image: MaxPlanes lays all of it out.
    bool reaches_far(const Shape& input) const {
        for (std::size_t d = 0; d != D; ++d)
            if ((this->options().kernel[d] - 1) * this->options().dilation[d] > 4 * input[d + 2] + 64)
                return true;
        return false;
    }
    detail::MaxPlanes<T> planes(const Shape& input, const Shape& output) const {
        const auto& o = this->options();
        auto const size = [](const std::array<Index, D>& of, Index row) {
            return D == 2 ? Size2{of[0], of[D - 1]} : Size2{row, of[0]};
        };
        detail::Window const w{.input = {D == 2 ? input[2] : 1, input.back()},
                               .kernel = size(o.kernel, 1),
                               .stride = size(o.stride, 1),
                               .padding = size(o.padding, 0),
                               .dilation = size(o.dilation, 1),
                               .count = {D == 2 ? output[2] : 1, output.back()}};
        return {w, input[0] * input[1]};
    }
    static Index largest(const T* plane, const detail::PoolPatch& patch) {
        Index best = patch.first;
        patch.for_each_pixel([&](Index i) {
            if (plane[i] > plane[best] || (std::isnan(plane[i]) && !std::isnan(plane[best]))) best = i;
        });
        return best;
    }
};

/// The mean of each window.
template <class T, std::size_t D>
class BasicAvgPool : public detail::SlidingPool<BasicAvgPool<T, D>, T, AvgPoolOptions<D>> {
    using Base = detail::SlidingPool<BasicAvgPool, T, AvgPoolOptions<D>>;

public:
    static constexpr std::string_view type_name = D == 1 ? "AvgPool1d" : D == 2 ? "AvgPool2d" : "AvgPool3d";
    static constexpr std::string_view operation = "AveragePool";
    static constexpr bool is_homogeneous = true;
    using Base::Base;
    template <std::same_as<MaxPoolOptions<D>> O>
    explicit BasicAvgPool(const O& o)
        : Base({o.kernel, o.stride, o.padding, o.end_padding, o.dilation, o.ceil_mode}) {}

    T pooled(const T* plane, const detail::PoolPatch& patch) const {
        T sum = 0;
        patch.for_each_pixel([&](Index i) { sum += plane[i]; });
        return sum / divisor(patch);
    }
    void carry_back(T g, T, const T*, const detail::PoolPatch& patch, T* grad_plane) const {
        T const share = g / divisor(patch);
        patch.for_each_pixel([&](Index i) { grad_plane[i] += share; });
    }

private:
    T divisor(const detail::PoolPatch& patch) const {
        return T(this->options().count_include_pad ? patch.counted() : double(patch.pixels()));
    }
};

/// The p-norm of each window, (sum |x|^p)^(1/p), as ONNX defines it. (PyTorch's is that of x^p, without the
/// absolute value; they are the same for an even p.)
template <class T, std::size_t D>
class BasicLPPool : public detail::SlidingPool<BasicLPPool<T, D>, T, LPPoolOptions<D>> {
    using Base = detail::SlidingPool<BasicLPPool, T, LPPoolOptions<D>>;

public:
    static constexpr std::string_view type_name = D == 1 ? "LPPool1d" : D == 2 ? "LPPool2d" : "LPPool3d";
    static constexpr std::string_view operation = "LpPool";
    /// Throws std::invalid_argument when the options make no sense.
    explicit BasicLPPool(const LPPoolOptions<D>& options) : Base(options) {
        if (options.norm < 1) throw std::invalid_argument("pooling: norm must be at least 1");
    }

    T pooled(const T* plane, const detail::PoolPatch& patch) const {
        detail::NormSum<T> sum(this->options().norm);
        patch.for_each_pixel([&](Index i) { sum.add(plane[i]); });
        return sum.norm();
    }
    void carry_back(T g, T y, const T* plane, const detail::PoolPatch& patch, T* grad_plane) const {
        patch.for_each_pixel(
            [&](Index i) { grad_plane[i] += g * detail::norm_slope(plane[i], y, this->options().norm); });
    }
};

template <class T>
using BasicMaxPool2d = BasicMaxPool<T, 2>;
template <class T>
using BasicAvgPool2d = BasicAvgPool<T, 2>;

using MaxPool1d = BasicMaxPool<float, 1>;
using MaxPool2d = BasicMaxPool<float, 2>;
using MaxPool3d = BasicMaxPool<float, 3>;
using AvgPool1d = BasicAvgPool<float, 1>;
using AvgPool2d = BasicAvgPool<float, 2>;
using AvgPool3d = BasicAvgPool<float, 3>;
using LPPool1d = BasicLPPool<float, 1>;
using LPPool2d = BasicLPPool<float, 2>;
using LPPool3d = BasicLPPool<float, 3>;

}  // namespace amct_distill::nn
