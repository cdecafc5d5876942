// SPDX-License-Identifier: Apache-2.0
/// The check of every input: it holds values, and each of them is finite.
///
///     if (auto ok = check_finite(w, "weights"); !ok) return ok;
///     // weights: value at [3, 5] is nan; only finite values can be quantized: check where they come from
#pragma once
#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>

#include "../core/concat.hpp"
#include "../core/number.hpp"
#include "../core/result.hpp"
#include "affine.hpp"
#include "matrix.hpp"
#include "scale.hpp"

namespace amct_distill {

namespace detail {

inline std::size_t first_not_finite(std::span<const float> x) {
    std::size_t i = 0;
    while (i != x.size() && std::isfinite(x[i])) ++i;
    return i;
}

// Not inlined: an error path is cold, and inlining this one draws a false -Wstringop-overflow from g++ 12.
[[gnu::cold, gnu::noinline]] inline Diagnostic not_finite(std::string_view what, std::string_view index,
                                                          float value) {
    return general_error(concat(what, ": value at [", index, "] is ", number(value),
                                "; only finite values can be quantized: check where they come from"));
}

[[gnu::cold, gnu::noinline]] inline Diagnostic no_values(std::string_view what, std::string_view shape) {
    return general_error(concat(what, ": no values", shape, "; an empty tensor cannot be quantized"));
}

[[gnu::cold, gnu::noinline]] inline Diagnostic too_wide(std::string_view what, ClipRange range,
                                                        std::string_view bits) {
    return general_error(concat(what, ": the range ", number(range.min), " to ", number(range.max),
                                " is too wide: what its ", bits,
                                " codes stand for would leave the range of a float; scale it down"));
}
[[gnu::cold, gnu::noinline]] inline Diagnostic too_narrow(std::string_view what, ClipRange range,
                                                          std::string_view bits) {
    return general_warning(concat(what, ": the range ", number(range.min), " to ", number(range.max),
                                  " is too narrow for a scale of ", bits, ", which would be below ",
                                  number(smallest_scale), "; its values become 0"));
}

}  // namespace detail

/// `what` begins the message and names the tensor, "conv1: weights".
inline result<void> check_finite(std::span<const float> x, std::string_view what, const Execution& on = {}) {
    if (x.empty()) return detail::no_values(what, "");
    if (detail::range_of(x, on).finite) return {};
    std::size_t const i = detail::first_not_finite(x);
    return detail::not_finite(what, detail::concat(i), x[i]);
}

/// The index in the message is [row, column].
inline result<void> check_finite(const ConstMatrixRef& w, std::string_view what, const Execution& on = {}) {
    if (w.size() == 0) return detail::no_values(what, detail::concat(" (", w.rows(), " x ", w.cols(), ")"));
    if (detail::range_of(w, on).finite) return {};
    for (Eigen::Index r = 0;; ++r) {
        auto const x = detail::row(w, r);
        std::size_t const c = detail::first_not_finite(x);
        if (c != x.size()) return detail::not_finite(what, detail::concat(r, ", ", c), x[c]);
    }
}

}  // namespace amct_distill
