// SPDX-License-Identifier: Apache-2.0
/// From a range of values to the scale and offset that cover it, and back.
///
///     ClipRange const range{1.0f, -2.0f};
///     symmetric_scale<Int8>(range);    // {2 / 128, 0}: the longer, negative side has a code more
///     asymmetric_scale<Int8>(range);   // {3 / 255, 42}
///     clip_of<Int8>(p);                // the range of values that the codes of p stand for
///
/// A range that is exactly zero has no scale of its own: it takes 1. So does one whose scale would be below
/// `smallest_scale`, where a float has fewer bits, or not finite; all others have the scale of the formula.
/// (AMCT takes 1 for every scale below 2^-23, which makes zeros of inputs and weights of 1e-6.)
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "../policy/symmetry.hpp"
#include "../run/execution.hpp"
#include "affine.hpp"
#include "kernels/range.hpp"
#include "matrix.hpp"

namespace amct_distill {

/// The values that are kept; what lies outside is clipped.
struct ClipRange {
    float max = 0;
    float min = 0;
    friend constexpr bool operator==(const ClipRange&, const ClipRange&) = default;
};

/// The smallest normal float.
inline constexpr float smallest_scale = 0x1p-126f;

namespace detail {

/// The largest integer that the longer side of a symmetric range is mapped to.
template <BitWidth B>
float symmetric_limit(ClipRange range) {
    return static_cast<float>(B::qmax + (std::abs(range.max) < std::abs(range.min) ? 1 : 0));
}
inline float magnitude(ClipRange range) { return (std::max)(std::abs(range.max), std::abs(range.min)); }

/// Of all parts.
template <class Part>
ValueRange range_in_parts(const Execution& on, std::size_t n, std::size_t size, const Part& range_of_part) {
    if (!on.parallel_for || n <= size) return range_of_part(0, n);
    std::array<ValueRange, 64> parts;  // at a time, on the stack
    std::size_t const step = parts.size() * size;
    ValueRange all = range_of_part(0, 1);
    for (std::size_t first = 0; first < n; first += step) {
        std::size_t const count = (std::min)(step, n - first);
        in_parts(on, count, size, [&](std::size_t begin, std::size_t end) {
            parts[begin / size] = range_of_part(first + begin, first + end);
        });
        std::size_t const used = on.parallel_for && count > size ? (count - 1) / size + 1 : 1;
        for (std::size_t k = 0; k != used; ++k)
            all = {(std::max)(all.max, parts[k].max), (std::min)(all.min, parts[k].min),
                   all.finite && parts[k].finite};
    }
    return all;
}

/// Largest and smallest value; a NaN is passed over. Precondition of its use as a ClipRange: not empty.
inline ValueRange range_of(std::span<const float> x, const Execution& on = {}) {
    return range_in_parts(on, x.size(), task_size, [&](std::size_t begin, std::size_t end) {
        return run_on(on.instructions, range_loop{x.data() + begin, end - begin});
    });
}

inline ValueRange range_of(const ConstMatrixRef& w, const Execution& on = {}) {
    if (w.rows() <= 1 || w.outerStride() == w.cols())
        return range_of(std::span<const float>(w.data(), static_cast<std::size_t>(w.size())), on);
    return range_in_parts(
        on, static_cast<std::size_t>(w.rows()), rows_per_task(w), [&](std::size_t begin, std::size_t end) {
            ValueRange all{-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity(),
                           true};
            for (std::size_t r = begin; r != end; ++r) {
                ValueRange const one =
                    run_on(on.instructions, range_loop{row(w, static_cast<Eigen::Index>(r)).data(),
                                                       static_cast<std::size_t>(w.cols())});
                all = {(std::max)(all.max, one.max), (std::min)(all.min, one.min), all.finite && one.finite};
            }
            return all;
        });
}
inline ClipRange clips(ValueRange range) { return {range.max, range.min}; }

inline bool is_scale(float scale) { return scale >= smallest_scale && std::isfinite(scale); }

/// The formulas, also where what they give is no scale: see `is_scale`.
template <BitWidth B>
float symmetric_quotient(ClipRange range, float ratio) {
    return ratio * magnitude(range) / symmetric_limit<B>(range);
}
template <BitWidth B>
float asymmetric_quotient(ClipRange range) {
    float const max = (std::max)(0.0f, range.max), min = (std::min)(0.0f, range.min);
    return (max - min) / static_cast<float>(B::qmax - B::qmin);
}

/// `offset_of(t)` is the offset, given t = min / scale <= 0.
template <BitWidth B, class OffsetOf>
ScaleOffset asymmetric_scale(ClipRange range, OffsetOf offset_of) {
    float const scale = asymmetric_quotient<B>(range);
    if (!is_scale(scale)) return {1.0f, B::qmin};
    return {scale, static_cast<std::int32_t>(offset_of((std::min)(0.0f, range.min) / scale))};
}

}  // namespace detail

/// Scale ratio * max(|max|, |min|) / limit, offset 0; limit = qmax, or qmax + 1 when |max| < |min|.
template <BitWidth B>
ScaleOffset symmetric_scale(ClipRange range, float ratio = 1.0f) {
    float const scale = detail::symmetric_quotient<B>(range, ratio);
    return {detail::is_scale(scale) ? scale : 1.0f, 0};
}

/// Scale (max - min) / (2^n - 1) of the range extended to hold 0; offset qmin - round(min / scale), so that
/// 0 has a code. AMCT's ARQ and IFMR with offset.
template <BitWidth B>
ScaleOffset asymmetric_scale(ClipRange range) {
    return detail::asymmetric_scale<B>(
        range, [](float t) { return static_cast<float>(B::qmin) - detail::round_half_even(t); });
}

/// The same scale, with the offset round(qmin - min / scale): AMCT's ULQ. It differs from the one above
/// where the float32 subtraction rounds min / scale onto a tie.
template <BitWidth B>
ScaleOffset asymmetric_scale_learned(ClipRange range) {
    return detail::asymmetric_scale<B>(
        range, [](float t) { return detail::round_half_even(static_cast<float>(B::qmin) - t); });
}

/// The values of the highest and the lowest code.
template <BitWidth B>
ClipRange clip_of(ScaleOffset p) {
    return {dequantize(B::qmax, p), dequantize(B::qmin, p)};
}

/// Whether one can compute with p: its scale is at least `smallest_scale`, and what the codes stand for is a
/// range of finite width.
template <BitWidth B>
bool is_usable(ScaleOffset p) {
    ClipRange const clip = clip_of<B>(p);
    return p.scale >= smallest_scale && std::isfinite(clip.max - clip.min);
}

enum class RangeUse { usable, too_narrow, too_wide };

/// Whether a range can be quantized with the scale that it has, symmetric or not. Exactly zero can be; one
/// that is too narrow would take the scale 1 and lose all values. Precondition: not NaN.
template <BitWidth B, Symmetry S>
RangeUse use_of(ClipRange range) {
    range = {(std::max)(0.0f, range.max), (std::min)(0.0f, range.min)};
    if (range.max == range.min) return RangeUse::usable;
    bool constexpr symmetric = std::same_as<S, Symmetric>;
    float const scale =
        symmetric ? detail::symmetric_quotient<B>(range, 1) : detail::asymmetric_quotient<B>(range);
    if (scale < smallest_scale) return RangeUse::too_narrow;
    return is_usable<B>({scale, symmetric ? 0 : asymmetric_scale<B>(range).offset}) ? RangeUse::usable
                                                                                    : RangeUse::too_wide;
}

}  // namespace amct_distill
