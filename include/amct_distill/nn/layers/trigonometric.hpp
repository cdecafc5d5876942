// SPDX-License-Identifier: Apache-2.0
/// The trigonometric and the hyperbolic functions and their inverses, element by element, by ONNX's names.
///
///     x = net.add_function("/Sin", Sin{}, {x});
///     x = net.add_function("/Atanh", Atanh{}, {x});
#pragma once
#include <cmath>
#include <string_view>

#include "unary.hpp"

namespace amct_distill::detail::functions {

struct Sin {
    static constexpr std::string_view name = "Sin";
    template <class T>
    static T value(T x) {
        return std::sin(x);
    }
    template <class T>
    static T slope(T x, T) {
        return std::cos(x);
    }
};
struct Cos {
    static constexpr std::string_view name = "Cos";
    template <class T>
    static T value(T x) {
        return std::cos(x);
    }
    template <class T>
    static T slope(T x, T) {
        return -std::sin(x);
    }
};
struct Tan {
    static constexpr std::string_view name = "Tan";
    template <class T>
    static T value(T x) {
        return std::tan(x);
    }
    template <class T>
    static T slope(T, T y) {
        return T(1) + y * y;
    }
};
struct Asin {
    static constexpr std::string_view name = "Asin";
    template <class T>
    static T value(T x) {
        return std::asin(x);
    }
    template <class T>
    static T slope(T x, T) {
        return T(1) / std::sqrt(T(1) - x * x);
    }
};
struct Acos {
    static constexpr std::string_view name = "Acos";
    template <class T>
    static T value(T x) {
        return std::acos(x);
    }
    template <class T>
    static T slope(T x, T) {
        return T(-1) / std::sqrt(T(1) - x * x);
    }
};
struct Atan {
    static constexpr std::string_view name = "Atan";
    template <class T>
    static T value(T x) {
        return std::atan(x);
    }
    template <class T>
    static T slope(T x, T) {
        return T(1) / (T(1) + x * x);
    }
};
struct Sinh {
    static constexpr std::string_view name = "Sinh";
    template <class T>
    static T value(T x) {
        return std::sinh(x);
    }
    template <class T>
    static T slope(T x, T) {
        return std::cosh(x);
    }
};
struct Cosh {
    static constexpr std::string_view name = "Cosh";
    template <class T>
    static T value(T x) {
        return std::cosh(x);
    }
    template <class T>
    static T slope(T x, T) {
        return std::sinh(x);
    }
};
struct Asinh {
    static constexpr std::string_view name = "Asinh";
    template <class T>
    static T value(T x) {
        return std::asinh(x);
    }
    template <class T>
    static T slope(T x, T) {
        return T(1) / std::sqrt(x * x + T(1));
    }
};
struct Acosh {
    static constexpr std::string_view name = "Acosh";
    template <class T>
    static T value(T x) {
        return std::acosh(x);
    }
    template <class T>
    static T slope(T x, T) {
        return T(1) / std::sqrt(x * x - T(1));
    }
};
struct Atanh {
    static constexpr std::string_view name = "Atanh";
    template <class T>
    static T value(T x) {
        return std::atanh(x);
    }
    template <class T>
    static T slope(T x, T) {
        return T(1) / (T(1) - x * x);
    }
};

}  // namespace amct_distill::detail::functions

namespace amct_distill::nn {

using Sin = Unary<float, detail::functions::Sin>;
using Cos = Unary<float, detail::functions::Cos>;
using Tan = Unary<float, detail::functions::Tan>;
using Asin = Unary<float, detail::functions::Asin>;
using Acos = Unary<float, detail::functions::Acos>;
using Atan = Unary<float, detail::functions::Atan>;
using Sinh = Unary<float, detail::functions::Sinh>;
using Cosh = Unary<float, detail::functions::Cosh>;
using Asinh = Unary<float, detail::functions::Asinh>;
using Acosh = Unary<float, detail::functions::Acosh>;
using Atanh = Unary<float, detail::functions::Atanh>;

}  // namespace amct_distill::nn
