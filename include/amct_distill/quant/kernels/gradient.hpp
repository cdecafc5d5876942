// SPDX-License-Identifier: Apache-2.0
/// The terms of ULQ's gradients: of clips (act_ulq.hpp) and of scales (ulq.hpp), whose formulas are there.
///
///     std::array<double, 2> const sums = ordered_sums(on, n, ClipGradient<false>{x, g, dx, constants});
///
/// A term is a factor times g, in float; the factor is round(x / scale) - x / scale within the range, and a
/// constant for all that is clipped to one end of it.
#pragma once
#include <cstddef>

#include "../../run/sums.hpp"
#include "../../run/vectors.hpp"

namespace amct_distill::detail {

/// round(t) - t; of no use where t is beyond 2^22.
template <class F>
[[gnu::always_inline]] inline void residual_of(const F& t, F& residual) {
    residual = ((t + rounding_shift) - rounding_shift) - t;
}

/// The three sums that both gradients of clips are made of: of the residual times g within the range, of g
/// above it, and of g below. Writes dx, which may be g. Streaming: past the caches; dx is then a multiple of
/// 64 bytes.
template <bool Streaming>
struct ClipGradient {
    static constexpr std::size_t sums = 3;
    const float* x;
    const float* g;
    float* dx;
    float scale, upper;
    float lower;  ///< not +0 but -0: see `less`

    template <class F>
    [[gnu::always_inline]] void begin(std::size_t i, F& quotient) const {
        prefetch(x + i, read_ahead);
        prefetch(g + i, read_ahead);
        load(x + i, quotient);
        quotient = quotient / scale;
    }
    template <class F>
    [[gnu::always_inline]] void terms(std::size_t i, const F& quotient, F* of) const {
        F v, grad, residual;
        load(x + i, v);
        load(g + i, grad);
        residual_of(quotient, residual);
        ints_of<F> above, below;
        less(upper - F{}, v, above);
        less(v, lower - F{}, below);  // F{} + lower would not be -0
        F inside = grad;
        mask(inside, ~(above | below));
        if constexpr (Streaming)
            store_streaming(inside, dx + i);
        else
            store(inside, dx + i);
        mask(residual, ~(above | below));  // it can be a NaN outside
        of[0] = residual * inside;
        of[1] = of[2] = grad;
        mask(of[1], above);
        mask(of[2], below);
    }
};

/// The terms of ds, before the division by sqrt(K * qmax).
struct ScaleGradient {
    static constexpr std::size_t sums = 1;
    const float* w;
    const float* g;
    float scale, qmax, qmin;
    float upper, lower;  ///< scale * qmax, scale * qmin

    template <class F>
    [[gnu::always_inline]] void begin(std::size_t i, F& quotient) const {
        prefetch(w + i, read_ahead);
        prefetch(g + i, read_ahead);
        load(w + i, quotient);
        quotient = quotient / scale;
    }
    template <class F>
    [[gnu::always_inline]] void terms(std::size_t i, const F& quotient, F* of) const {
        F const zero{};
        F v, grad, factor;
        load(w + i, v);
        load(g + i, grad);
        residual_of(quotient, factor);
        factor = v < lower ? zero + qmin : factor;
        factor = v > upper ? zero + qmax : factor;
        of[0] = factor * grad;
    }
};

}  // namespace amct_distill::detail
