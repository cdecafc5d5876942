// SPDX-License-Identifier: Apache-2.0
/// The terms of a candidate's loss (ifmr.hpp): squares of the float32 errors of fake quantization.
///
///     double const sum = ordered_sums(on, n, SquaredError{x, upper, lower, scale})[0];
#pragma once
#include <cstddef>

#include "../../run/sums.hpp"
#include "../../run/vectors.hpp"

namespace amct_distill::detail {

struct SquaredError {
    static constexpr std::size_t sums = 1;
    const float* x;
    float upper, lower;  ///< values are clamped to these
    float scale;

    /// Errors are those of float32, whose product is rounded before the subtraction. Giving the product its
    /// sign (the scale is positive) after the multiplication keeps the two apart: next to each other, g++
    /// makes an FMA of them where the target has one.
    template <int Bytes>
    [[gnu::always_inline]] void add(std::size_t i, std::size_t accumulator, Accumulators<Bytes>* to) const {
        using F = typename Vectors<Bytes>::floats;
        using I = typename Vectors<Bytes>::ints;
        F const highest = F{} + upper, lowest = F{} + lower;
        F v;
        load(x + i, v);
        F t = v > highest ? highest : v;
        t = t < lowest ? lowest : t;
        t = t / scale;
        I const sign = __builtin_bit_cast(I, t) & INT32_MIN;
        F const nearest = ((t + rounding_shift) - rounding_shift) * scale;
        F const error = __builtin_bit_cast(F, (__builtin_bit_cast(I, nearest) & INT32_MAX) | sign) - v;
        to[0].add_product(error, error, accumulator);
    }
};

}  // namespace amct_distill::detail
