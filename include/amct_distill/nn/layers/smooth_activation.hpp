// SPDX-License-Identifier: Apache-2.0
/// The smooth activations: SiLU, Mish, GELU, ELU, SELU, CELU, Softplus, Softsign; element by element as in
/// torch.nn.
///
///     net.add("silu", SiLU{}, {x});
///     net.add("gelu", GELU({.approximate = "tanh"}), {x});
///     net.add("elu", ELU({.alpha = 0.5}), {x});
#pragma once
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>
#include <string_view>

#include "elementwise.hpp"

namespace amct_distill::nn {

/// x * sigmoid(x). ONNX has no operator of its own before opset 24; it is spelled out.
template <class T>
class BasicSiLU : public detail::Elementwise<BasicSiLU<T>, T> {
public:
    static constexpr std::string_view type_name = "SiLU";
    static constexpr std::string_view operation = "Swish";
    static T value(T x) { return x / (T(1) + std::exp(-x)); }
    static T slope_times(T x, T, T g) {
        T const s = T(1) / (T(1) + std::exp(-x));
        return g * (s * (T(1) + x * (T(1) - s)));
    }
};

/// log(1 + exp(beta * x)) / beta; x itself where beta * x exceeds the threshold.
struct SoftplusOptions {
    double beta = 1;
    double threshold = 20;
    friend bool operator==(const SoftplusOptions&, const SoftplusOptions&) = default;
};

template <class T>
class BasicSoftplus : public detail::Elementwise<BasicSoftplus<T>, T> {
public:
    static constexpr std::string_view type_name = "Softplus";
    explicit BasicSoftplus(const SoftplusOptions& options = {})
        : options_(options), beta_(T(options.beta)), threshold_(T(options.threshold)) {}
    const SoftplusOptions& options() const { return options_; }
    T value(T x) const {
        T const z = beta_ * x;
        return z > threshold_ ? x : std::log1p(std::exp(z)) / beta_;
    }
    T slope_times(T x, T, T g) const {
        T const z = beta_ * x;
        return z > threshold_ ? g : g / (T(1) + std::exp(-z));
    }

private:
    SoftplusOptions options_;
    T beta_, threshold_;
};

/// x * tanh(softplus(x)). With e = exp(x) and n = e * (e + 2), the tanh is n / (n + 2): one function to
/// compute in the place of three, and exact where e is small.
template <class T>
class BasicMish : public detail::Elementwise<BasicMish<T>, T> {
public:
    static constexpr std::string_view type_name = "Mish";
    static T value(T x) {
        if (x > T(20)) return x;
        T const n = product(std::exp(x));
        return x * (n / (n + T(2)));
    }
    static T slope_times(T x, T, T g) {
        if (x > T(20)) return g;
        T const e = std::exp(x), n = product(e), whole = n + T(2);
        T const steepness = T(4) * (n + T(1)) / (whole * whole);  // 1 - tanh^2
        return g * (n / whole + x * (e / (T(1) + e)) * steepness);
    }

private:
    static T product(T e) { return e * (e + T(2)); }
};

struct GELUOptions {
    std::string approximate = "none";  ///< or "tanh"
    friend bool operator==(const GELUOptions&, const GELUOptions&) = default;
};

/// x / 2 * (1 + erf(x / sqrt(2))), or its approximation x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715
/// x^3))).
template <class T>
class BasicGELU : public detail::Elementwise<BasicGELU<T>, T> {
public:
    static constexpr std::string_view type_name = "GELU";
    static constexpr std::string_view operation = "Gelu";
    /// Throws std::invalid_argument for an approximation that is none of the two.
    explicit BasicGELU(const GELUOptions& options = {})
        : options_(options), tanh_(options.approximate == "tanh") {
        if (!tanh_ && options.approximate != "none")
            throw std::invalid_argument(detail::concat("GELU: expected approximate `none` or `tanh`, found `",
                                                       options.approximate, "`"));
    }
    const GELUOptions& options() const { return options_; }
    T value(T x) const { return tanh_ ? x * gate(x) : T(0.5) * x * (T(1) + std::erf(x * root_half)); }
    T slope_times(T x, T, T g) const {
        if (!tanh_)
            return g * (T(0.5) * (T(1) + std::erf(x * root_half)) +
                        x * std::exp(T(-0.5) * x * x) * (root_half * std::numbers::inv_sqrtpi_v<T>));
        T const s = gate(x);
        T const inner = T(2) * root_two_by_pi * (T(1) + T(3 * 0.044715) * x * x);
        return g * (s + x * s * (T(1) - s) * inner);
    }

private:
    static constexpr T root_half = std::numbers::sqrt2_v<T> / 2;
    static constexpr T root_two_by_pi = std::numbers::sqrt2_v<T> * std::numbers::inv_sqrtpi_v<T>;
    /// (1 + tanh(z)) / 2 is sigmoid(2 z).
    static T gate(T x) {
        T const z = root_two_by_pi * (x + T(0.044715) * x * x * x);
        return T(1) / (T(1) + std::exp(T(-2) * z));
    }

    GELUOptions options_;
    bool tanh_;
};

struct ELUOptions {
    double alpha = 1;
    friend bool operator==(const ELUOptions&, const ELUOptions&) = default;
};

/// x above 0, alpha * (exp(x) - 1) below.
template <class T>
class BasicELU : public detail::Elementwise<BasicELU<T>, T> {
public:
    static constexpr std::string_view type_name = "ELU";
    static constexpr std::string_view operation = "Elu";
    explicit BasicELU(const ELUOptions& options = {}) : options_(options), alpha_(T(options.alpha)) {}
    const ELUOptions& options() const { return options_; }
    T value(T x) const { return x > T(0) ? x : alpha_ * std::expm1(x); }
    T slope_times(T x, T, T g) const { return x > T(0) ? g : g * (alpha_ * std::exp(x)); }

private:
    ELUOptions options_;
    T alpha_;
};

/// torch.nn's are constants; ONNX's may be others.
struct SELUOptions {
    double alpha = 1.6732632423543772848170429916717;
    double gamma = 1.0507009873554804934193349852946;
    friend bool operator==(const SELUOptions&, const SELUOptions&) = default;
};

/// gamma * x above 0, gamma * alpha * (exp(x) - 1) below.
template <class T>
class BasicSELU : public detail::Elementwise<BasicSELU<T>, T> {
public:
    static constexpr std::string_view type_name = "SELU";
    static constexpr std::string_view operation = "Selu";
    explicit BasicSELU(const SELUOptions& options = {})
        : options_(options), gamma_(T(options.gamma)), both_(T(options.gamma * options.alpha)) {}
    const SELUOptions& options() const { return options_; }
    T value(T x) const { return x > T(0) ? gamma_ * x : both_ * std::expm1(x); }
    T slope_times(T x, T, T g) const { return g * (x > T(0) ? gamma_ : both_ * std::exp(x)); }

private:
    SELUOptions options_;
    T gamma_, both_;
};

struct CELUOptions {
    double alpha = 1;
    friend bool operator==(const CELUOptions&, const CELUOptions&) = default;
};

/// x above 0, alpha * (exp(x / alpha) - 1) below.
template <class T>
class BasicCELU : public detail::Elementwise<BasicCELU<T>, T> {
public:
    static constexpr std::string_view type_name = "CELU";
    static constexpr std::string_view operation = "Celu";
    /// Throws std::invalid_argument for an alpha of 0.
    explicit BasicCELU(const CELUOptions& options = {}) : options_(options), alpha_(T(options.alpha)) {
        if (options.alpha == 0) throw std::invalid_argument("CELU: expected an alpha other than 0");
    }
    const CELUOptions& options() const { return options_; }
    T value(T x) const { return x > T(0) ? x : alpha_ * std::expm1(x / alpha_); }
    T slope_times(T x, T, T g) const { return x > T(0) ? g : g * std::exp(x / alpha_); }

private:
    CELUOptions options_;
    T alpha_;
};

/// x / (1 + |x|).
template <class T>
class BasicSoftsign : public detail::Elementwise<BasicSoftsign<T>, T> {
public:
    static constexpr std::string_view type_name = "Softsign";
    static T value(T x) { return x / (T(1) + std::abs(x)); }
    static T slope_times(T x, T, T g) {
        T const below = T(1) + std::abs(x);
        return g / (below * below);
    }
};

using SiLU = BasicSiLU<float>;
using Softplus = BasicSoftplus<float>;
using Mish = BasicMish<float>;
using GELU = BasicGELU<float>;
using ELU = BasicELU<float>;
using SELU = BasicSELU<float>;
using CELU = BasicCELU<float>;
using Softsign = BasicSoftsign<float>;

}  // namespace amct_distill::nn
