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
#include "kernels/scale.hpp"
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

template <BitWidth B>
constexpr CodeLimits limits_of() {
    return {static_cast<float>(B::qmin), static_cast<float>(B::qmax)};
}
inline ScaleOffset scale_offset(AffineConstants p) { return {p.scale, static_cast<std::int32_t>(p.offset)}; }
inline float magnitude(ClipRange range) { return (std::max)(std::abs(range.max), std::abs(range.min)); }

/// Of all parts.
inline ValueRange range_in_parts(const Execution& on, std::size_t n, std::size_t size,
                                 function_ref<ValueRange(std::size_t, std::size_t)> range_of_part) {
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
        return run_on(on.instructions, RangeLoop{x.data() + begin, end - begin});
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
                    run_on(on.instructions, RangeLoop{row(w, static_cast<Eigen::Index>(r)).data(),
                                                      static_cast<std::size_t>(w.cols())});
                all = {(std::max)(all.max, one.max), (std::min)(all.min, one.min), all.finite && one.finite};
            }
            return all;
        });
}
inline ClipRange clips(ValueRange range) { return {range.max, range.min}; }

}  // namespace detail

/// Scale ratio * max(|max|, |min|) / limit, offset 0; limit = qmax, or qmax + 1 when |max| < |min|.
template <BitWidth B>
ScaleOffset symmetric_scale(ClipRange range, float ratio = 1.0f) {
    return detail::scale_offset(
        detail::symmetric_constants(range.max, range.min, ratio, detail::limits_of<B>()));
}

/// Scale (max - min) / (2^n - 1) of the range extended to hold 0; offset qmin - round(min / scale), so that
/// 0 has a code. AMCT's ARQ and IFMR with offset.
template <BitWidth B>
ScaleOffset asymmetric_scale(ClipRange range) {
    return detail::scale_offset(detail::asymmetric_constants(range.max, range.min, detail::limits_of<B>()));
}

/// The same scale, with the offset round(qmin - min / scale): AMCT's ULQ. It differs from the one above
/// where the float32 subtraction rounds min / scale onto a tie.
template <BitWidth B>
ScaleOffset asymmetric_scale_learned(ClipRange range) {
    return detail::scale_offset(
        detail::asymmetric_constants(range.max, range.min, detail::limits_of<B>(), true));
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
    auto const limits = detail::limits_of<B>();
    float const scale = symmetric ? detail::symmetric_quotient(range.max, range.min, 1, limits)
                                  : detail::asymmetric_quotient(range.max, range.min, limits);
    if (scale < smallest_scale) return RangeUse::too_narrow;
    return is_usable<B>({scale, symmetric ? 0 : asymmetric_scale<B>(range).offset}) ? RangeUse::usable
                                                                                    : RangeUse::too_wide;
}

}  // namespace amct_distill
