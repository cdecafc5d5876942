// SPDX-License-Identifier: Apache-2.0
/// The activations ReLU, LeakyReLU, Sigmoid, Tanh, element by element as in torch.nn; NaN passes through
/// them.
///
///     net.add("relu1", ReLU{}, {x});
///     net.add("leaky", LeakyReLU(0.1f), {x});
#pragma once
#include <cmath>
#include <limits>
#include <string_view>

#include "../clamp_loops.hpp"
#include "elementwise.hpp"

namespace amct_distill::nn {

template <class T>
class BasicReLU : public detail::Elementwise<BasicReLU<T>, T> {
public:
    static constexpr std::string_view type_name = "ReLU";
    static constexpr std::string_view operation = "Relu";
    static constexpr bool is_homogeneous = true;
    static detail::ClampLoop<T> loop(const T* x, T* y, Index n) { return {x, T(0), none, y, n}; }
    static detail::GateLoop<T> gradient_loop(const T*, const T* y, const T* g, T* gx, Index n) {
        return {y, T(0), none, g, gx, n};
    }

private:
    static constexpr T none = std::numeric_limits<T>::quiet_NaN();
};

struct LeakyReLUOptions {
    double negative_slope = 0.01;
    friend bool operator==(const LeakyReLUOptions&, const LeakyReLUOptions&) = default;
};

/// It runs forward on Eigen's vectors, because g++ at -O2 makes a branch of the comparison, 10 times as slow.
/// Eigen's max and min let NaN pass when it is on their left, as std::max does. The 0 that is added turns -0,
/// which vectors and scalars treat differently, into 0.
template <class T>
class BasicLeakyReLU : public detail::Elementwise<BasicLeakyReLU<T>, T> {
public:
    static constexpr std::string_view type_name = "LeakyReLU";
    static constexpr std::string_view operation = "LeakyRelu";
    static constexpr bool is_homogeneous = true;
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

using ReLU = BasicReLU<float>;
using LeakyReLU = BasicLeakyReLU<float>;
using Sigmoid = BasicSigmoid<float>;
using Tanh = BasicTanh<float>;

}  // namespace amct_distill::nn
