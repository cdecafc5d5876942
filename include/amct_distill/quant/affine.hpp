/// Affine quantization, x ~ (code - offset) * scale: of a value, of a span, of a matrix's rows.
///
///     ScaleOffset const p{0.5f, 0};
///     quantize<Int4>(1.3f, p) == 3;   dequantize(3, p) == 1.5f;   fake_quantize<Int4>(1.3f, p) == 1.5f;
///     fake_quantize<Int8>(x, y, p);   // spans of equal size; they may be the same
///
/// code = clamp(round(x / scale + offset), qmin, qmax) in float32, division a true division, round half to
/// even: bit for bit what AMCT computes.
#pragma once
#include <Eigen/Core>
#include <cassert>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "../policy/bits.hpp"

// GCC has a macro for each of the options that -ffast-math stands for, clang only for the first two.
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error \
    "amct_distill rounds by IEEE arithmetic: compile without -ffast-math, -Ofast and their parts \
(-ffinite-math-only, -fassociative-math, -freciprocal-math, -fno-signed-zeros)"
#endif
// 16 differs from 0 in _Float16 only.
static_assert(
    FLT_EVAL_METHOD == 0 || FLT_EVAL_METHOD == 16,
    "amct_distill needs float arithmetic in float precision; on 32-bit x86 use -msse2 -mfpmath=sse");

namespace amct_distill {

struct ScaleOffset {
    float scale = 1;
    std::int32_t offset = 0;
    friend constexpr bool operator==(const ScaleOffset&, const ScaleOffset&) = default;
};

/// A weight as a matrix: a row per output channel (Linear `[out, in]`, Conv2d `[out, in * kh * kw]`).
using RowMajorMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
/// Views of it. Anything that is not float32 does not convert; what is not row-major is copied first.
using ConstMatrixRef = Eigen::Ref<const RowMajorMatrix, 0, Eigen::OuterStride<>>;
using MatrixRef = Eigen::Ref<RowMajorMatrix, 0, Eigen::OuterStride<>>;

/// The integers of a weight, not packed.
struct QuantizedMatrix {
    std::size_t rows = 0;
    std::size_t cols = 0;
    std::vector<std::int8_t> codes{};   ///< row-major
    std::vector<ScaleOffset> scales{};  ///< one, or one per row
};

namespace detail {

/// The nearest integer, ties to even, but zero is +0.0. Precondition: |v| <= 2^22.
///
/// Floats between 2^23 and 2^24 are the integers, so adding 1.5 * 2^23 makes the addition itself round, in
/// the processor's default mode (to nearest, ties to even), and subtracting it again is exact. SSE2 has no
/// rounding instruction: std::nearbyint is a call there, and keeps loops from being vectorized.
inline float round_unsigned_zero(float v) {
    constexpr float shift = 12582912.0f;
    return (v + shift) - shift;
}

/// std::nearbyint: the same, and -0.3 gives -0.0.
inline float round_half_even(float v) { return std::copysign(round_unsigned_zero(v), v); }

/// The code as a float. Clamping to whole numbers first gives the same as rounding first, and keeps to the
/// precondition of the rounding. NaN stays NaN.
template <BitWidth B>
float code_of(float x, float scale, float offset) {
    constexpr auto lowest = static_cast<float>(B::qmin), highest = static_cast<float>(B::qmax);
    float v = x / scale + offset;
    v = v < lowest ? lowest : v;
    v = v > highest ? highest : v;
    return round_half_even(v);
}

inline std::span<const float> row(const ConstMatrixRef& w, Eigen::Index r) {
    return {w.data() + r * w.outerStride(), static_cast<std::size_t>(w.cols())};
}
inline std::span<float> row(MatrixRef& w, Eigen::Index r) {
    return {w.data() + r * w.outerStride(), static_cast<std::size_t>(w.cols())};
}

}  // namespace detail

/// The nearest value that a code stands for. A NaN stays one; an infinity becomes the end of the range.
template <BitWidth B>
float fake_quantize(float x, ScaleOffset p) {
    auto const offset = static_cast<float>(p.offset);
    return (detail::code_of<B>(x, p.scale, offset) - offset) * p.scale;
}

/// The code, in qmin..qmax. Precondition: x is not NaN.
template <BitWidth B>
typename B::storage quantize(float x, ScaleOffset p) {
    return static_cast<typename B::storage>(detail::code_of<B>(x, p.scale, static_cast<float>(p.offset)));
}

/// What a code stands for: fake_quantize, except that a code has no -0.0.
inline float dequantize(std::int32_t code, ScaleOffset p) {
    return (static_cast<float>(code) - static_cast<float>(p.offset)) * p.scale;
}

/// Of every element. Preconditions of the three: equal sizes; x has no NaN to quantize.
template <BitWidth B>
void fake_quantize(std::span<const float> x, std::span<float> y, ScaleOffset p) {
    assert(x.size() == y.size());
    for (std::size_t i = 0; i != x.size(); ++i) y[i] = fake_quantize<B>(x[i], p);
}
template <BitWidth B>
void quantize(std::span<const float> x, std::span<typename B::storage> codes, ScaleOffset p) {
    assert(x.size() == codes.size());
    for (std::size_t i = 0; i != x.size(); ++i) codes[i] = quantize<B>(x[i], p);
}
inline void dequantize(std::span<const std::int8_t> codes, std::span<float> y, ScaleOffset p) {
    assert(codes.size() == y.size());
    for (std::size_t i = 0; i != codes.size(); ++i) y[i] = dequantize(codes[i], p);
}

/// The codes of a matrix with one scale, or one per row. Preconditions: `scales` has 1 or w.rows() entries;
/// w has no NaN.
template <BitWidth B>
QuantizedMatrix quantize(const ConstMatrixRef& w, std::vector<ScaleOffset> scales) {
    assert(scales.size() == 1 || scales.size() == static_cast<std::size_t>(w.rows()));
    QuantizedMatrix q{static_cast<std::size_t>(w.rows()), static_cast<std::size_t>(w.cols()), {}, {}};
    q.codes.resize(q.rows * q.cols);
    for (std::size_t r = 0; r != q.rows; ++r)
        quantize<B>(detail::row(w, static_cast<Eigen::Index>(r)),
                    std::span(q.codes).subspan(r * q.cols, q.cols), scales[scales.size() == 1 ? 0 : r]);
    q.scales = std::move(scales);
    return q;
}

}  // namespace amct_distill
