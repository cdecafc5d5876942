/// The loop that adds up a block of terms in double, in the order of ordered_sum.hpp, whatever the width of
/// the vectors.
///
///     struct dot {                              // terms: products of floats
///         static constexpr std::size_t sums = 1;
///         const float *x, *y;
///         template <int Bytes> [[gnu::always_inline]] void add(std::size_t i, std::size_t lane,
///                                                              SumLanes<Bytes>* to) const {
///             typename lanes<Bytes>::floats a, b;
///             load(x + i, a), load(y + i, b);
///             to[0].add_product(a, b, lane);
///         }
///     };
///     std::array<double, 1> const part = run_on(set, block_sum_loop<dot>{{x, y}, n});
#pragma once
#include <array>
#include <cstddef>

#include "lanes.hpp"

namespace amct_distill::detail {

inline constexpr std::size_t sum_lanes = 8;
inline constexpr std::size_t sum_block = 4096;

/// The eight lanes of a sum, in vectors of doubles.
template <int Bytes>
struct SumLanes {
    using F = typename lanes<Bytes>::floats;
    using D = typename lanes<Bytes>::doubles;
    static constexpr std::size_t width = sizeof(D) / sizeof(double);

    D sums[sum_lanes / width];

    /// Adds a * b, exactly formed since the factors are floats, so with or without an FMA instruction; its
    /// first element to `lane`.
    [[gnu::always_inline]] void add_product(const F& a, const F& b, std::size_t lane) {
        D x, y;
        widen<0>(a, x);
        widen<0>(b, y);
        sums[lane / width] += x * y;
        if constexpr (Bytes != 4) {
            widen<1>(a, x);
            widen<1>(b, y);
            sums[(lane + width) % sum_lanes / width] += x * y;
        }
    }
};

template <class Terms>
struct block_sum_loop {
    Terms terms;
    std::size_t n;  ///< at most sum_block

    template <int Bytes>
    [[gnu::always_inline]] std::array<double, Terms::sums> run() const {
        constexpr std::size_t count = lanes<Bytes>::count;
        constexpr std::size_t step = count > sum_lanes ? count : sum_lanes;
        SumLanes<Bytes> wide[Terms::sums] = {};
        std::size_t i = 0;
        for (; i + step <= n; i += step) {
#pragma GCC unroll 8
            for (std::size_t k = 0; k < step; k += count) terms.template add<Bytes>(i + k, k, wide);
        }
        SumLanes<4> one[Terms::sums];
        std::memcpy(one, wide, sizeof one);
        for (; i != n; ++i) terms.template add<4>(i, i % sum_lanes, one);

        std::array<double, Terms::sums> total{};
        for (std::size_t s = 0; s != Terms::sums; ++s)
            for (double lane : one[s].sums) total[s] += lane;
        return total;
    }
};

}  // namespace amct_distill::detail
