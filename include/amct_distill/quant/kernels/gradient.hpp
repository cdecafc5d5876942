/// The terms of ULQ's gradients: of clips (act_ulq.hpp) and of scales (ulq.hpp), whose formulas are there.
///
///     std::array<double, 2> const sums = ordered_sums(on, n, ClipGradient{x, g, dx, constants});
#pragma once
#include <cstddef>

#include "lanes.hpp"
#include "sums.hpp"

namespace amct_distill::detail {

struct ClipGradientConstants {
    float scale, levels;
    float upper, lower;        ///< outside of them x is clipped
    float clip_max, clip_min;  ///< and has the rounding error of these
};

/// Writes dx and adds the terms of d clip_max and d clip_min, times `levels`: so a division for each element
/// becomes one for the sum. dx may be g. Streaming: past the caches; dx is then a multiple of 64 bytes.
template <bool Streaming>
struct ClipGradient {
    static constexpr std::size_t sums = 2;
    const float* x;
    const float* g;
    float* dx;
    ClipGradientConstants c;

    template <int Bytes>
    [[gnu::always_inline]] void add(std::size_t i, std::size_t lane, SumLanes<Bytes>* to) const {
        using F = typename lanes<Bytes>::floats;
        F const zero{}, levels = zero + c.levels, clip_max = zero + c.clip_max, clip_min = zero + c.clip_min;
        F v, grad;
        load(x + i, v);
        load(g + i, grad);
        auto const up = v > c.upper;
        auto const dn = v < c.lower;
        F t = dn ? clip_min : v;
        t = (up ? clip_max : t) / c.scale;
        F error = t;
        round_lanes(error);
        error = error - t;
        F inside = up ? zero : grad;
        inside = dn ? zero : inside;
        if constexpr (Streaming)
            store_streaming(inside, dx + i);
        else
            store(inside, dx + i);
        F const of_max = error + (up ? levels : zero), of_min = (dn ? levels : zero) - error;
        to[0].add_product(of_max, grad, lane);
        to[1].add_product(of_min, grad, lane);
    }
};

/// The terms of ds, before the division by sqrt(K * qmax).
struct ScaleGradient {
    static constexpr std::size_t sums = 1;
    const float* w;
    const float* g;
    float scale, qmax, qmin;
    float upper, lower;  ///< scale * qmax, scale * qmin

    template <int Bytes>
    [[gnu::always_inline]] void add(std::size_t i, std::size_t lane, SumLanes<Bytes>* to) const {
        using F = typename lanes<Bytes>::floats;
        F const zero{}, highest = zero + qmax, lowest = zero + qmin;
        F v, grad;
        load(w + i, v);
        load(g + i, grad);
        F const t = v / scale;
        F slope = t;
        round_lanes(slope);
        slope = slope - t;
        slope = v < lower ? lowest : slope;
        slope = v > upper ? highest : slope;
        to[0].add_product(slope, grad, lane);
    }
};

}  // namespace amct_distill::detail
