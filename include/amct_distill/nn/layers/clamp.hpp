// SPDX-License-Identifier: Apache-2.0
/// Activations that cut: Hardtanh, ReLU6, Hardsigmoid, Hardswish, Threshold, Shrink; as in torch.nn, NaN
/// passes through them.
///
///     net.add("relu6", ReLU6{}, {x});
///     net.add("clip", Hardtanh({.min_val = -2, .max_val = 3}), {x});   // either may be infinite
///     net.add("gate", Hardsigmoid{}, {x});                             // min(max(x / 6 + 1 / 2, 0), 1)
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string_view>

#include "../clamp_loops.hpp"
#include "elementwise.hpp"

namespace amct_distill::detail {

/// min(max(x, low), high); the gradient passes strictly between them.
template <class Derived, class T>
class Clamp : public Elementwise<Derived, T> {
public:
    Clamp(double low, double high) : low_(T(low)), high_(T(high)) {
        if (std::isnan(low) || std::isnan(high))
            throw std::invalid_argument(concat(Derived::type_name, ": expected bounds that are numbers"));
    }
    ClampLoop<T> loop(const T* x, T* y, nn::Index n) const { return {x, low_, high_, y, n}; }
    GateLoop<T> gradient_loop(const T* x, const T*, const T* g, T* gx, nn::Index n) const {
        return {x, low_, high_, g, gx, n};
    }

private:
    T low_, high_;
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

struct HardtanhOptions {
    double min_val = -1;
    double max_val = 1;  ///< below min_val: what every output is, as ONNX's Clip has it
    friend bool operator==(const HardtanhOptions&, const HardtanhOptions&) = default;
};

template <class T>
class BasicHardtanh : public detail::Clamp<BasicHardtanh<T>, T> {
public:
    static constexpr std::string_view type_name = "Hardtanh";
    static constexpr std::string_view operation = "Clip";
    /// Throws std::invalid_argument for bounds that are no numbers.
    explicit BasicHardtanh(const HardtanhOptions& options = {})
        : detail::Clamp<BasicHardtanh, T>(options.min_val, options.max_val), options_(options) {}
    const HardtanhOptions& options() const { return options_; }

private:
    HardtanhOptions options_;
};

template <class T>
class BasicReLU6 : public detail::Clamp<BasicReLU6<T>, T> {
public:
    static constexpr std::string_view type_name = "ReLU6";
    static constexpr std::string_view operation = "Clip";
    BasicReLU6() : detail::Clamp<BasicReLU6, T>(0, 6) {}
};

struct HardsigmoidOptions {
    double alpha = 1.0 / 6;  ///< torch.nn's; ONNX's default is 0.2
    double beta = 0.5;
    friend bool operator==(const HardsigmoidOptions&, const HardsigmoidOptions&) = default;
};

/// min(max(alpha * x + beta, 0), 1).
template <class T>
class BasicHardsigmoid : public detail::Elementwise<BasicHardsigmoid<T>, T> {
public:
    static constexpr std::string_view type_name = "Hardsigmoid";
    static constexpr std::string_view operation = "HardSigmoid";
    explicit BasicHardsigmoid(const HardsigmoidOptions& options = {})
        : options_(options), alpha_(T(options.alpha)), beta_(T(options.beta)) {}
    const HardsigmoidOptions& options() const { return options_; }
    void values(const ConstArrayMap<T>& x, ArrayMap<T>& y) const {
        y = (((x * alpha_ + beta_).max)(T(0)).min)(T(1)) + T(0);
    }
    T slope_times(T, T y, T g) const { return y <= T(0) || y >= T(1) ? T(0) : g * alpha_; }

private:
    HardsigmoidOptions options_;
    T alpha_, beta_;
};

/// x * min(max(x + 3, 0), 6) / 6.
template <class T>
class BasicHardswish : public detail::Elementwise<BasicHardswish<T>, T> {
public:
    static constexpr std::string_view type_name = "Hardswish";
    static constexpr std::string_view operation = "HardSwish";
    static void values(const ConstArrayMap<T>& x, ArrayMap<T>& y) {
        y = x * (((x + T(3)).max)(T(0)).min)(T(6)) / T(6);
    }
    static T slope_times(T x, T, T g) { return x <= T(-3) ? T(0) : x >= T(3) ? g : g * (x / T(3) + T(0.5)); }
};

struct ThresholdOptions {
    double threshold = 1;
    double value = 0;  ///< of what is not above the threshold
    friend bool operator==(const ThresholdOptions&, const ThresholdOptions&) = default;
};

template <class T>
class BasicThreshold : public detail::Elementwise<BasicThreshold<T>, T> {
public:
    static constexpr std::string_view type_name = "Threshold";
    static constexpr std::string_view operation = "ThresholdedRelu";
    explicit BasicThreshold(const ThresholdOptions& options = {})
        : options_(options), threshold_(T(options.threshold)), value_(T(options.value)) {}
    const ThresholdOptions& options() const { return options_; }
    T value(T x) const { return x <= threshold_ ? value_ : x; }
    T slope_times(T x, T, T g) const { return x <= threshold_ ? T(0) : g; }

private:
    ThresholdOptions options_;
    T threshold_, value_;
};

struct ShrinkOptions {
    double lambd = 0.5;
    double bias = 0;  ///< 0: torch.nn.Hardshrink; lambd: torch.nn.Softshrink
    friend bool operator==(const ShrinkOptions&, const ShrinkOptions&) = default;
};

/// x + bias below -lambd, x - bias above lambd, 0 between.
template <class T>
class BasicShrink : public detail::Elementwise<BasicShrink<T>, T> {
public:
    static constexpr std::string_view type_name = "Shrink";
    explicit BasicShrink(const ShrinkOptions& options = {})
        : options_(options), lambda_(T(options.lambd)), bias_(T(options.bias)) {}
    const ShrinkOptions& options() const { return options_; }
    T value(T x) const {
        return x < -lambda_ ? x + bias_ : x > lambda_ ? x - bias_ : std::isnan(x) ? x : T(0);
    }
    T slope_times(T x, T, T g) const { return x >= -lambda_ && x <= lambda_ ? T(0) : g; }

private:
    ShrinkOptions options_;
    T lambda_, bias_;
};

using Hardtanh = BasicHardtanh<float>;
using ReLU6 = BasicReLU6<float>;
using Hardsigmoid = BasicHardsigmoid<float>;
using Hardswish = BasicHardswish<float>;
using Threshold = BasicThreshold<float>;
using Shrink = BasicShrink<float>;

}  // namespace amct_distill::nn
