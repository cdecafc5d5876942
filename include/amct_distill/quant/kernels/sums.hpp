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
        if constexpr (Bytes == 4) {
            sums[lane] += static_cast<double>(a) * static_cast<double>(b);
        } else {
#if defined(__GNUC__)
            D low_a, high_a, low_b, high_b;
            widen(a, low_a, high_a);
            widen(b, low_b, high_b);
            sums[lane / width] += low_a * low_b;
            sums[(lane + width) % sum_lanes / width] += high_a * high_b;
#endif
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
        for (; n - i >= step; i += step) {
#pragma GCC unroll 8
            for (std::size_t k = 0; k < step; k += count) terms.template add<Bytes>(i + k, k, wide);
        }
        SumLanes<4> one[Terms::sums];
        std::memcpy(one, wide, sizeof one);
        for (; i < n; ++i) terms.template add<4>(i, i % sum_lanes, one);

        std::array<double, Terms::sums> total{};
        for (std::size_t s = 0; s != Terms::sums; ++s)
            for (double lane : one[s].sums) total[s] += lane;
        return total;
    }
};

}  // namespace amct_distill::detail
