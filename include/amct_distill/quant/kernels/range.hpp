// SPDX-License-Identifier: Apache-2.0
/// The loop that finds the largest and the smallest value, and whether all are finite.
///
///     ValueRange const r = run_on(set, RangeLoop{x, n});      // of no values: {-inf, inf, true}
///
/// A NaN is passed over by the range and makes `finite` false. The zero of a range is +0.0, whichever zeros
/// it was found among. range.hpp makes scales of ranges.
#pragma once
#include <cstddef>
#include <limits>

#include "../../run/vectors.hpp"

namespace amct_distill::detail {

struct ValueRange {
    float max, min;
    bool finite;
};

struct RangeLoop {
    const float* x;
    std::size_t n;

    /// Two vectors at a time: comparing takes longer than the processor needs to begin the next.
    template <class F>
    struct State {
        F max[2], min[2];
        F nan;  ///< the last NaN, or 0
    };

    template <class F>
    [[gnu::always_inline]] static void step(const float* p, State<F>& s, std::size_t k) {
        F v;
        load(p, v);
        s.max[k] = v > s.max[k] ? v : s.max[k];
        s.min[k] = v < s.min[k] ? v : s.min[k];
        s.nan = v == v ? s.nan : v;
    }

    /// The largest or the smallest element: halves are compared with each other, which takes fewer steps one
    /// after the other than elements do. It is what short rows wait for.
    template <bool Largest, class F>
    [[gnu::always_inline]] static float extreme(const F& v) {
        if constexpr (sizeof(F) == 4) {
            return v;
        }
#if defined(__GNUC__)
        else if constexpr (sizeof(F) == 16) {
            F const swapped = __builtin_shufflevector(v, v, 2, 3, 0, 1);
            F const two = Largest ? (v > swapped ? v : swapped) : (v < swapped ? v : swapped);
            return Largest ? (two[0] > two[1] ? two[0] : two[1]) : (two[0] < two[1] ? two[0] : two[1]);
        } else {
            using Half = typename Vectors<sizeof(F) / 2>::floats;
            Half low, high;
            halves(v, low, high);
            Half const both = Largest ? (low > high ? low : high) : (low < high ? low : high);
            return extreme<Largest>(both);
        }
#endif
    }

    template <class F>
    [[gnu::always_inline]] static float sum(const F& v) {
        if constexpr (sizeof(F) == 4) {
            return v;
        }
#if defined(__GNUC__)
        else if constexpr (sizeof(F) == 16) {
            F const two = v + __builtin_shufflevector(v, v, 2, 3, 0, 1);
            return two[0] + two[1];
        } else {
            typename Vectors<sizeof(F) / 2>::floats low, high;
            halves(v, low, high);
            low += high;
            return sum(low);
        }
#endif
    }

    template <int Bytes>
    [[gnu::always_inline]] ValueRange run() const {
        using F = typename Vectors<Bytes>::floats;
        constexpr std::size_t count = Vectors<Bytes>::count;
        constexpr float infinity = std::numeric_limits<float>::infinity();
        State<F> wide{{F{} - infinity, F{} - infinity}, {F{} + infinity, F{} + infinity}, {}};
        State<float> one{{-infinity, -infinity}, {infinity, infinity}, 0.0f};
        std::size_t i = 0;
        for (; n - i >= 2 * count; i += 2 * count) {
            step(x + i, wide, 0);
            step(x + i + count, wide, 1);
        }
        for (; i < n; ++i) step(x + i, one, 0);

        wide.max[0] = wide.max[1] > wide.max[0] ? wide.max[1] : wide.max[0];
        wide.min[0] = wide.min[1] < wide.min[0] ? wide.min[1] : wide.min[0];
        float const max = extreme<true>(wide.max[0]), min = extreme<false>(wide.min[0]);
        one.max[0] = max > one.max[0] ? max : one.max[0];
        one.min[0] = min < one.min[0] ? min : one.min[0];
        return {one.max[0] + 0.0f, one.min[0] + 0.0f,
                sum(wide.nan) + one.nan == 0 && one.max[0] < infinity && one.min[0] > -infinity};
    }
};

}  // namespace amct_distill::detail
