// SPDX-License-Identifier: Apache-2.0
/// What operators do to single values: to floats, and to integers that may depend on the batch.
///
///     onnx::fold::Divide::of(Size(0, 12), 4)          // 3 N
///     onnx::fold::Floor::of(1.5f) == 1.0f
///
/// Integers give nothing where the result is not one for every batch.
#pragma once
#include <cmath>
#include <cstdint>
#include <optional>

#include "size.hpp"

namespace amct_distill::onnx::fold {

struct Add {
    static std::optional<Size> of(Size a, Size b) { return onnx::add(a, b); }
    static float of(float a, float b) { return a + b; }
};
struct Subtract {
    static std::optional<Size> of(Size a, Size b) { return onnx::subtract(a, b); }
    static float of(float a, float b) { return a - b; }
};
struct Multiply {
    static std::optional<Size> of(Size a, Size b) { return onnx::multiply(a, b); }
    static float of(float a, float b) { return a * b; }
};
struct Divide {
    static std::optional<Size> of(Size a, Size b) { return onnx::divide(a, b); }
    static float of(float a, float b) { return a / b; }
};
struct Modulo {  // of integers: the sign of the divisor
    static std::optional<Size> of(Size a, Size b) {
        if (!a.is_fixed() || !b.is_fixed() || b.fixed == 0) return std::nullopt;
        if (b.fixed == -1) return Size(0);
        std::int64_t const rest = a.fixed % b.fixed;
        return Size(rest != 0 && (rest < 0) != (b.fixed < 0) ? rest + b.fixed : rest);
    }
    static float of(float a, float b) { return std::fmod(a, b); }
};
struct Remainder {  // the sign of the dividend
    static std::optional<Size> of(Size a, Size b) {
        if (!a.is_fixed() || !b.is_fixed() || b.fixed == 0) return std::nullopt;
        return Size(b.fixed == -1 ? 0 : a.fixed % b.fixed);
    }
    static float of(float a, float b) { return std::fmod(a, b); }
};
struct Power {
    static std::optional<Size> of(Size a, Size b) {
        if (!b.is_fixed() || b.fixed < 0 || b.fixed > 64) return std::nullopt;
        std::optional<Size> out = Size(1);
        for (std::int64_t i = 0; i != b.fixed && out; ++i) out = onnx::multiply(*out, a);
        return out;
    }
    static float of(float a, float b) { return std::pow(a, b); }
};
struct Minimum {
    static std::optional<Size> of(Size a, Size b) {
        std::optional<bool> const l = onnx::less(b, a);
        return l ? std::optional<Size>(*l ? b : a) : std::nullopt;
    }
    static float of(float a, float b) { return b < a ? b : a; }
};
struct Maximum {
    static std::optional<Size> of(Size a, Size b) {
        std::optional<bool> const l = onnx::less(a, b);
        return l ? std::optional<Size>(*l ? b : a) : std::nullopt;
    }
    static float of(float a, float b) { return a < b ? b : a; }
};
inline std::optional<bool> negated(std::optional<bool> b) { return b ? std::optional<bool>(!*b) : b; }

struct IsEqual {
    static std::optional<bool> of(Size a, Size b) { return onnx::equal(a, b); }
    static bool of(float a, float b) { return a == b; }
};
struct IsLess {
    static std::optional<bool> of(Size a, Size b) { return onnx::less(a, b); }
    static bool of(float a, float b) { return a < b; }
};
struct IsGreater {
    static std::optional<bool> of(Size a, Size b) { return onnx::less(b, a); }
    static bool of(float a, float b) { return a > b; }
};
struct IsAtMost {
    static std::optional<bool> of(Size a, Size b) { return negated(onnx::less(b, a)); }
    static bool of(float a, float b) { return a <= b; }
};
struct IsAtLeast {
    static std::optional<bool> of(Size a, Size b) { return negated(onnx::less(a, b)); }
    static bool of(float a, float b) { return a >= b; }
};
struct Both {
    static std::optional<bool> of(Size a, Size b) { return !(a == Size(0)) && !(b == Size(0)); }
    static bool of(float a, float b) { return a != 0 && b != 0; }
};
struct Either {
    static std::optional<bool> of(Size a, Size b) { return !(a == Size(0)) || !(b == Size(0)); }
    static bool of(float a, float b) { return a != 0 || b != 0; }
};
struct Negative {
    static std::optional<Size> of(Size a) { return onnx::multiply(-1, a); }
    static float of(float a) { return -a; }
};
struct Absolute {
    static std::optional<Size> of(Size a) {
        std::optional<bool> const l = onnx::less(a, 0);
        return !l ? std::nullopt : *l ? onnx::multiply(-1, a) : std::optional<Size>(a);
    }
    static float of(float a) { return std::abs(a); }
};
struct OfFloats {
    static std::optional<Size> of(Size) { return std::nullopt; }
};
struct SquareRoot : OfFloats {
    using OfFloats::of;
    static float of(float a) { return std::sqrt(a); }
};
struct Inverse : OfFloats {
    using OfFloats::of;
    static float of(float a) { return 1.0f / a; }
};
struct Exponential : OfFloats {
    using OfFloats::of;
    static float of(float a) { return std::exp(a); }
};
struct Logarithm : OfFloats {
    using OfFloats::of;
    static float of(float a) { return std::log(a); }
};
struct Floor : OfFloats {
    using OfFloats::of;
    static float of(float a) { return std::floor(a); }
};
struct Ceiling : OfFloats {
    using OfFloats::of;
    static float of(float a) { return std::ceil(a); }
};

}  // namespace amct_distill::onnx::fold
