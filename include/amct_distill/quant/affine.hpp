// SPDX-License-Identifier: Apache-2.0
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
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "../policy/bits.hpp"
#include "../run/execution.hpp"
#include "../run/instructions.hpp"
#include "kernels/affine.hpp"

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

/// std::nearbyint, which is a call where the processor has no such instruction. Precondition: |v| <= 2^22.
inline float round_half_even(float v) {
    round_lanes(v);
    return v;
}

template <BitWidth B>
AffineConstants constants(ScaleOffset p) {
    return {p.scale, static_cast<float>(p.offset), static_cast<float>(B::qmin), static_cast<float>(B::qmax)};
}

inline std::span<const float> row(const ConstMatrixRef& w, Eigen::Index r) {
    return {w.data() + r * w.outerStride(), static_cast<std::size_t>(w.cols())};
}
inline std::span<float> row(MatrixRef& w, Eigen::Index r) {
    return {w.data() + r * w.outerStride(), static_cast<std::size_t>(w.cols())};
}

/// How many rows a thread takes at a time.
inline std::size_t rows_per_task(std::size_t cols) {
    return (task_size - 1) / (std::max)(cols, std::size_t{1}) + 1;
}
inline std::size_t rows_per_task(const ConstMatrixRef& w) {
    return rows_per_task(static_cast<std::size_t>(w.cols()));
}

/// body(r, serial) for each row, `serial` being `on` without its threads: rows are what threads share.
template <class Body>
void for_each_row(const Execution& on, const ConstMatrixRef& w, const Body& body) {
    Execution serial;
    serial.instructions = on.instructions;
    // A row is written past the caches where the whole would be.
    serial.streaming_size = static_cast<std::size_t>(w.size()) * sizeof(float) > on.streaming_size
                                ? 0
                                : static_cast<std::size_t>(-1);
    in_parts(on, static_cast<std::size_t>(w.rows()), rows_per_task(w),
             [&](std::size_t begin, std::size_t end) {
                 for (std::size_t r = begin; r != end; ++r) body(static_cast<Eigen::Index>(r), serial);
             });
}

/// quantize_row(row of w, its part of `out`, its scale, execution), `out` being equal parts, one per row.
/// Precondition: `scales` has 1 or w.rows() entries.
template <class Code, class QuantizeRow>
void quantize_rows(const Execution& on, const ConstMatrixRef& w, std::span<const ScaleOffset> scales,
                   std::span<Code> out, const QuantizeRow& quantize_row) {
    assert(scales.size() == 1 || scales.size() == static_cast<std::size_t>(w.rows()));
    std::size_t const size = w.rows() == 0 ? 0 : out.size() / static_cast<std::size_t>(w.rows());
    for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
        auto const k = static_cast<std::size_t>(r);
        quantize_row(row(w, r), out.subspan(k * size, size), scales[scales.size() == 1 ? 0 : k], serial);
    });
}

}  // namespace detail

/// The nearest value that a code stands for. A NaN stays one; an infinity becomes the end of the range.
template <BitWidth B>
float fake_quantize(float x, ScaleOffset p) {
    detail::scale_and_clamp(x, detail::constants<B>(p));
    return (detail::round_half_even(x) - static_cast<float>(p.offset)) * p.scale;
}

/// The code, in qmin..qmax. Precondition: x is not NaN.
template <BitWidth B>
typename B::storage quantize(float x, ScaleOffset p) {
    detail::scale_and_clamp(x, detail::constants<B>(p));
    return static_cast<typename B::storage>(detail::round_half_even(x));
}

/// What a code stands for: fake_quantize, except that a code has no -0.0.
inline float dequantize(std::int32_t code, ScaleOffset p) {
    return (static_cast<float>(code) - static_cast<float>(p.offset)) * p.scale;
}

/// Of every element. Preconditions of the three: equal sizes; x has no NaN to quantize. x and y may be the
/// same span, but not overlap otherwise.
template <BitWidth B>
void fake_quantize(std::span<const float> x, std::span<float> y, ScaleOffset p, const Execution& on = {}) {
    assert(x.size() == y.size());
    bool const stream = x.data() != y.data() && y.size_bytes() > on.streaming_size;
    detail::AffineConstants const c = detail::constants<B>(p);
    detail::in_parts(on, x.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
        float const* const from = x.data() + begin;
        float* const to = y.data() + begin;
        if (stream) {
            detail::run_on(on.instructions, detail::fake_quantize_loop<true>{from, to, end - begin, c});
            detail::streaming_fence();
        } else {
            detail::run_on(on.instructions, detail::fake_quantize_loop<false>{from, to, end - begin, c});
        }
    });
}
template <BitWidth B>
void quantize(std::span<const float> x, std::span<typename B::storage> codes, ScaleOffset p,
              const Execution& on = {}) {
    assert(x.size() == codes.size());
    detail::AffineConstants const c = detail::constants<B>(p);
    detail::in_parts(on, x.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
        detail::run_on(on.instructions,
                       detail::quantize_loop{x.data() + begin, codes.data() + begin, end - begin, c});
    });
}
inline void dequantize(std::span<const std::int8_t> codes, std::span<float> y, ScaleOffset p,
                       const Execution& on = {}) {
    assert(codes.size() == y.size());
    detail::in_parts(on, y.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
        detail::run_on(on.instructions,
                       detail::dequantize_loop{codes.data() + begin, y.data() + begin, end - begin, p.scale,
                                               static_cast<float>(p.offset)});
    });
}

/// The codes of a matrix with one scale, or one per row. Preconditions: `scales` has 1 or w.rows() entries;
/// w has no NaN.
template <BitWidth B>
QuantizedMatrix quantize(const ConstMatrixRef& w, std::vector<ScaleOffset> scales, const Execution& on = {}) {
    QuantizedMatrix q{static_cast<std::size_t>(w.rows()), static_cast<std::size_t>(w.cols()), {}, {}};
    q.codes.resize(q.rows * q.cols);
    detail::quantize_rows(
        on, w, scales, std::span(q.codes),
        [](auto x, auto codes, ScaleOffset p, const Execution& serial) { quantize<B>(x, codes, p, serial); });
    q.scales = std::move(scales);
    return q;
}

}  // namespace amct_distill
