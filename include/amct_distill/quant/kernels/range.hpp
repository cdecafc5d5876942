/// The loop that finds the largest and the smallest value, and whether all are finite.
///
///     ValueRange const r = run_on(set, range_loop{x, n});      // of no values: {-inf, inf, true}
///
/// A NaN is passed over by the range and makes `finite` false. The zero of a range is +0.0, whichever zeros
/// it was found among. range.hpp makes scales of ranges.
#pragma once
#include <cstddef>
#include <limits>

#include "lanes.hpp"

namespace amct_distill::detail {

struct ValueRange {
    float max, min;
    bool finite;
};

struct range_loop {
    const float* x;
    std::size_t n;

    /// Two vectors at a time: comparing takes longer than the processor needs to begin the next.
    template <class F>
    struct State {
        F max[2], min[2];
        ints_of<F> nan;
    };

    template <class F>
    [[gnu::always_inline]] static void step(const float* p, State<F>& s, std::size_t k) {
        F v;
        load(p, v);
        s.max[k] = v > s.max[k] ? v : s.max[k];
        s.min[k] = v < s.min[k] ? v : s.min[k];
        s.nan |= v != v;
    }

    template <int Bytes>
    [[gnu::always_inline]] ValueRange run() const {
        using F = typename lanes<Bytes>::floats;
        constexpr std::size_t count = lanes<Bytes>::count;
        constexpr float infinity = std::numeric_limits<float>::infinity();
        State<F> wide{{F{} - infinity, F{} - infinity}, {F{} + infinity, F{} + infinity}, {}};
        State<float> one{{-infinity, -infinity}, {infinity, infinity}, 0};
        std::size_t i = 0;
        for (; n - i >= 2 * count; i += 2 * count) {
            step(x + i, wide, 0);
            step(x + i + count, wide, 1);
        }
        for (; i < n; ++i) step(x + i, one, 0);

        wide.max[0] = wide.max[1] > wide.max[0] ? wide.max[1] : wide.max[0];
        wide.min[0] = wide.min[1] < wide.min[0] ? wide.min[1] : wide.min[0];
        float max[count], min[count];
        std::int32_t nan[count];
        store(wide.max[0], max);
        store(wide.min[0], min);
        store(wide.nan, nan);
        for (std::size_t k = 0; k != count; ++k) {
            one.max[0] = max[k] > one.max[0] ? max[k] : one.max[0];
            one.min[0] = min[k] < one.min[0] ? min[k] : one.min[0];
            one.nan |= nan[k];
        }
        return {one.max[0] + 0.0f, one.min[0] + 0.0f,
                one.nan == 0 && one.max[0] < infinity && one.min[0] > -infinity};
    }
};

}  // namespace amct_distill::detail
