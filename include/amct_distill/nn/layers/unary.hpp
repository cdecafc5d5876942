// SPDX-License-Identifier: Apache-2.0
/// Functions of one number, element by element, by ONNX's names: Exp, Log, Sqrt, Erf, Abs, Neg, Reciprocal,
/// Sign, and the roundings. See trigonometric.hpp for more.
///
///     x = net.add_function("/Sqrt", Sqrt{}, {x});
///
/// `Unary` takes any struct with a name, a value, and the slope at x, where the value is y.
#pragma once
#include <cmath>
#include <numbers>
#include <string_view>

#include "elementwise.hpp"

namespace amct_distill::nn {

template <class T, class Function>
struct Unary : detail::Elementwise<Unary<T, Function>, T> {
    static constexpr std::string_view type_name = Function::name;
    static T value(T x) { return Function::value(x); }
    static T slope_times(T x, T y, T g) { return g * Function::slope(x, y); }
};

}  // namespace amct_distill::nn

namespace amct_distill::detail::functions {

/// -1, 0 or 1; NaN of NaN.
template <class T>
T sign(T x) {
    return x > T(0) ? T(1) : x < T(0) ? T(-1) : x;
}

struct Exp {
    static constexpr std::string_view name = "Exp";
    template <class T>
    static T value(T x) {
        return std::exp(x);
    }
    template <class T>
    static T slope(T, T y) {
        return y;
    }
};
struct Log {
    static constexpr std::string_view name = "Log";
    template <class T>
    static T value(T x) {
        return std::log(x);
    }
    template <class T>
    static T slope(T x, T) {
        return T(1) / x;
    }
};
struct Sqrt {
    static constexpr std::string_view name = "Sqrt";
    template <class T>
    static T value(T x) {
        return std::sqrt(x);
    }
    template <class T>
    static T slope(T, T y) {
        return T(0.5) / y;
    }
};
struct Erf {
    static constexpr std::string_view name = "Erf";
    template <class T>
    static T value(T x) {
        return std::erf(x);
    }
    template <class T>
    static T slope(T x, T) {
        return T(2) * std::numbers::inv_sqrtpi_v<T> * std::exp(-x * x);
    }
};
struct Abs {
    static constexpr std::string_view name = "Abs";
    template <class T>
    static T value(T x) {
        return std::abs(x);
    }
    template <class T>
    static T slope(T x, T) {
        return sign(x);
    }
};
struct Neg {
    static constexpr std::string_view name = "Neg";
    template <class T>
    static T value(T x) {
        return -x;
    }
    template <class T>
    static T slope(T, T) {
        return T(-1);
    }
};
struct Reciprocal {
    static constexpr std::string_view name = "Reciprocal";
    template <class T>
    static T value(T x) {
        return T(1) / x;
    }
    template <class T>
    static T slope(T, T y) {
        return -y * y;
    }
};
struct Sign {
    static constexpr std::string_view name = "Sign";
    template <class T>
    static T value(T x) {
        return sign(x);
    }
    template <class T>
    static T slope(T, T) {
        return T(0);
    }
};
struct Floor {
    static constexpr std::string_view name = "Floor";
    template <class T>
    static T value(T x) {
        return std::floor(x);
    }
    template <class T>
    static T slope(T, T) {
        return T(0);
    }
};
struct Ceil {
    static constexpr std::string_view name = "Ceil";
    template <class T>
    static T value(T x) {
        return std::ceil(x);
    }
    template <class T>
    static T slope(T, T) {
        return T(0);
    }
};
/// Half-way to the even.
struct Round {
    static constexpr std::string_view name = "Round";
    template <class T>
    static T value(T x) {
        return std::nearbyint(x);
    }
    template <class T>
    static T slope(T, T) {
        return T(0);
    }
};

}  // namespace amct_distill::detail::functions

namespace amct_distill::nn {

using Exp = Unary<float, detail::functions::Exp>;
using Log = Unary<float, detail::functions::Log>;
using Sqrt = Unary<float, detail::functions::Sqrt>;
using Erf = Unary<float, detail::functions::Erf>;
using Abs = Unary<float, detail::functions::Abs>;
using Neg = Unary<float, detail::functions::Neg>;
using Reciprocal = Unary<float, detail::functions::Reciprocal>;
using Sign = Unary<float, detail::functions::Sign>;
using Floor = Unary<float, detail::functions::Floor>;
using Ceil = Unary<float, detail::functions::Ceil>;
using Round = Unary<float, detail::functions::Round>;

}  // namespace amct_distill::nn
