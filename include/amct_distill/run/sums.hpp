// SPDX-License-Identifier: Apache-2.0
/// The loop that adds up a block of terms in double, in the order of ordered_sum.hpp, whatever the width of
/// the vectors.
///
///     struct Dot {                              // terms: products of floats
///         static constexpr std::size_t sums = 1;
///         const float *x, *y;
///         template <int Bytes> [[gnu::always_inline]] void add(std::size_t i, std::size_t accumulator,
///                                                              Accumulators<Bytes>* to) const {
///             typename Vectors<Bytes>::floats a, b;
///             load(x + i, a), load(y + i, b);
///             to[0].add_product(a, b, accumulator);
///         }
///     };
///     std::array<double, 1> const part = run_on(set, BlockSumLoop<Dot>{{x, y}, n});
#pragma once
#include <array>
#include <cstddef>

#include "vectors.hpp"

namespace amct_distill::detail {

inline constexpr std::size_t accumulator_count = 8;
inline constexpr std::size_t sum_block = 4096;

/// The eight accumulators of a sum, in vectors of doubles.
template <int Bytes>
struct Accumulators {
    using F = typename Vectors<Bytes>::floats;
    using D = typename Vectors<Bytes>::doubles;
    static constexpr std::size_t width = sizeof(D) / sizeof(double);

    D sums[accumulator_count / width];

    /// Adds the floats to the accumulators in turn: as many as a vector, but eight of the 16 of 64 bytes.
    template <class Floats>
    [[gnu::always_inline]] void add(const Floats& v, std::size_t accumulator) {
        if constexpr (Bytes == 4) {
            sums[accumulator] += static_cast<double>(v);
        } else {
#if defined(__GNUC__)
            if constexpr (Bytes == 64) {
                sums[0] += __builtin_convertvector(v, D);
            } else {
                D low, high;
                widen(v, low, high);
                sums[accumulator / width] += low;
                sums[(accumulator + width) % accumulator_count / width] += high;
            }
#endif
        }
    }

    /// Adds a * b, exactly formed since the factors are floats, so with or without an FMA instruction; its
    /// first element to `accumulator`.
    [[gnu::always_inline]] void add_product(const F& a, const F& b, std::size_t accumulator) {
        if constexpr (Bytes == 4) {
            sums[accumulator] += static_cast<double>(a) * static_cast<double>(b);
        } else {
#if defined(__GNUC__)
            D low_a, high_a, low_b, high_b;
            widen(a, low_a, high_a);
            widen(b, low_b, high_b);
            sums[accumulator / width] += low_a * low_b;
            sums[(accumulator + width) % accumulator_count / width] += high_a * high_b;
#endif
        }
    }
};

/// Terms that are floats, given by `begin` and `terms` instead of added by `add`, are first added in float in
/// runs of 64 elements, eight terms to an accumulator, and then to the accumulators: converting to double is
/// what takes the time. A run adds pairs of terms 8 apart, and the pair of each 16 elements to those before.
/// Rounding a term to float once, adding a pair and then three more is an error of 5 * 2^-24 (3e-7) at most,
/// relative to the sum of the terms' absolute values.
template <class Terms>
inline constexpr bool in_runs = requires {
    &Terms::template terms<float>;
};
inline constexpr std::size_t sum_run = 64;

/// Eight floats, one for each accumulator, in vectors of 32 bytes at most.
template <int Bytes>
struct FloatAccumulators {
    using F = typename Vectors<(Bytes < 32 ? Bytes : 32)>::floats;
    static constexpr std::size_t count = sizeof(F) / sizeof(float), size = accumulator_count / count;
    F v[size];
};

template <class Terms>
struct BlockSumLoop {
    Terms terms;
    std::size_t n;  ///< at most sum_block

    /// 16 elements at a time.
    static constexpr std::size_t pair = 2 * accumulator_count;
    template <int Bytes>
    static constexpr std::size_t parts = pair / Vectors<Bytes>::count;

    /// `begin` is called some time before `terms`: see FakeQuantizeLoop.
    template <int Bytes, class F>
    [[gnu::always_inline]] void begin_pair(std::size_t i, F* quotients) const {
#pragma GCC unroll 16
        for (std::size_t k = 0; k != parts<Bytes>; ++k)
            terms.begin(i + k * Vectors<Bytes>::count, quotients[k]);
    }
    /// Terms are rounded before they are added: not an FMA.
    template <int Bytes, bool First, class F>
    [[gnu::always_inline]] void add_pair(std::size_t i, const F* quotients,
                                         FloatAccumulators<Bytes>* to) const {
        constexpr std::size_t count = Vectors<Bytes>::count;
#pragma GCC unroll 8
        for (std::size_t k = 0; k != FloatAccumulators<Bytes>::size; ++k) {
            F low[Terms::sums], high[Terms::sums];
            terms.terms(i + k * count, quotients[k], low);
            if constexpr (count <= accumulator_count)
                terms.terms(i + k * count + accumulator_count, quotients[k + parts<Bytes> / 2], high);
#pragma GCC unroll 4
            for (std::size_t s = 0; s != Terms::sums; ++s) {
                typename FloatAccumulators<Bytes>::F both, other;
                keep_rounded(low[s]);
                if constexpr (count <= accumulator_count) {
                    keep_rounded(high[s]);
                    both = low[s];
                    other = high[s];
                } else {
#if defined(__GNUC__)
                    halves(low[s], both, other);
#endif
                }
                both += other;
                if constexpr (First)
                    to[s].v[k] = both;
                else
                    to[s].v[k] += both;
            }
        }
    }
    template <int Bytes>
    [[gnu::always_inline]] void add_run(FloatAccumulators<Bytes>* run, Accumulators<Bytes>* to) const {
#pragma GCC unroll 4
        for (std::size_t s = 0; s != Terms::sums; ++s) {
#pragma GCC unroll 8
            for (std::size_t k = 0; k != FloatAccumulators<Bytes>::size; ++k)
                to[s].add(run[s].v[k], k * FloatAccumulators<Bytes>::count);
        }
    }
    template <int Bytes>
    [[gnu::always_inline]] std::size_t add_runs(Accumulators<Bytes>* to) const {
        using F = typename Vectors<Bytes>::floats;
        if (n < sum_run) return 0;
        std::size_t const end = n - n % sum_run;
        F now[parts<Bytes>];
        begin_pair<Bytes>(0, now);
        for (std::size_t i = 0; i != end; i += sum_run) {
            FloatAccumulators<Bytes> run[Terms::sums];
#pragma GCC unroll 4
            for (std::size_t k = 0; k != sum_run; k += pair) {
                F after[parts<Bytes>];
                // After the last there is nothing to begin; its own once more does no harm.
                std::size_t const next = k + pair != sum_run || i + sum_run != end ? i + k + pair : i;
                begin_pair<Bytes>(next, after);
                if (k == 0)
                    add_pair<Bytes, true>(i + k, now, run);
                else
                    add_pair<Bytes, false>(i + k, now, run);
#pragma GCC unroll 16
                for (std::size_t j = 0; j != parts<Bytes>; ++j) now[j] = after[j];
            }
            add_run<Bytes>(run, to);
        }
        return end;
    }

    template <int Bytes>
    [[gnu::always_inline]] std::array<double, Terms::sums> run() const {
        Accumulators<Bytes> wide[Terms::sums] = {};
        std::size_t i = 0;
        if constexpr (in_runs<Terms>) {
            i = add_runs<Bytes>(wide);
        } else {
            constexpr std::size_t count = Vectors<Bytes>::count;
            constexpr std::size_t step = count > accumulator_count ? count : accumulator_count;
            for (; n - i >= step; i += step) {
#pragma GCC unroll 8
                for (std::size_t k = 0; k < step; k += count) terms.template add<Bytes>(i + k, k, wide);
            }
        }
        Accumulators<4> one[Terms::sums];
        std::memcpy(one, wide, sizeof one);
        for (; i < n; ++i) {
            if constexpr (in_runs<Terms>) {
                float quotient, of[Terms::sums];
                terms.begin(i, quotient);
                terms.terms(i, quotient, of);
                for (std::size_t s = 0; s != Terms::sums; ++s) one[s].add(of[s], i % accumulator_count);
            } else {
                terms.template add<4>(i, i % accumulator_count, one);
            }
        }

        std::array<double, Terms::sums> total{};
        for (std::size_t s = 0; s != Terms::sums; ++s)
            for (double accumulator : one[s].sums) total[s] += accumulator;
        return total;
    }
};

}  // namespace amct_distill::detail
