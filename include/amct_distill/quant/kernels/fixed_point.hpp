// SPDX-License-Identifier: Apache-2.0
/// The loops that turn floats into 24-bit fixed point and count them by its upper bits (histogram.hpp).
///
///     bool const all = run_on(set, FixedPointLoop<false>{x, n, factor, u});      // u[i] = |x[i]| * factor
///     run_on(set, CountLoop<false, 12>{x, n, factor, words, &beyond});            // of 2^12 cells
///
/// The product is rounded to float and its fraction cut off. With `Signed`, 23 bits of magnitude below a bit
/// of sign. Where the magnitude does not fit, u has a higher bit too, and the result is false.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../../run/vectors.hpp"

namespace amct_distill::detail {

template <bool Signed>
struct FixedPointLoop {
    static constexpr int magnitude_bits = Signed ? 23 : 24;
    static constexpr std::int32_t does_not_fit = std::int32_t{1} << 24;

    const float* x;
    std::size_t n;
    float factor;
    std::int32_t* u;

    template <class F>
    [[gnu::always_inline]] void step(std::size_t i, ints_of<F>& all) const {
        using I = ints_of<F>;
        F const limit = F{} + static_cast<float>(1 << magnitude_bits);
        F v;
        load(x + i, v);
        F product = __builtin_bit_cast(F, __builtin_bit_cast(I, v) & INT32_MAX) * factor;
        I fits{}, whole;
        if constexpr (sizeof(F) == 4) {
            fits = product < limit ? -1 : 0;
            product = fits ? product : 0.0f;
            whole = static_cast<I>(product);
        }
#if defined(__GNUC__)
        else {
            fits = product < limit;
            product = __builtin_bit_cast(F, __builtin_bit_cast(I, product) & fits);
            whole = __builtin_convertvector(product, I);
        }
#endif
        if constexpr (Signed) whole |= __builtin_bit_cast(I, v) >> 31 & (1 << 23);
        whole |= ~fits & does_not_fit;
        all &= fits;
        store(whole, u + i);
    }

    template <int Bytes>
    [[gnu::always_inline]] bool run() const {
        using F = typename Vectors<Bytes>::floats;
        constexpr std::size_t count = Vectors<Bytes>::count;
        ints_of<F> wide = ints_of<F>{} - 1;
        std::int32_t one = -1, each[count];
        std::size_t i = 0;
        for (; n - i >= count; i += count) step<F>(i, wide);
        for (; i < n; ++i) step<float>(i, one);
        std::memcpy(each, &wide, sizeof each);
        for (std::int32_t v : each) one &= v;
        return one != 0;
    }
};

/// Adds the values to `words`, one for each of 2^CellBits cells: their number above `sum_bits` bits of the
/// sum of their fixed point (the magnitudes of it). Values that do not fit are appended to `beyond`.
template <bool Signed, int CellBits>
struct CountLoop {
    static constexpr int magnitude_bits = FixedPointLoop<Signed>::magnitude_bits;
    static constexpr std::size_t cells = std::size_t{1} << CellBits;
    static constexpr int sum_bits = 44;

    const float* x;
    std::size_t n;
    float factor;
    std::uint64_t* words;
    std::vector<float>* beyond;

    [[gnu::always_inline]] static void add(std::int32_t u, std::uint64_t* to) {
        auto const w = static_cast<std::uint32_t>(u);
        std::uint32_t const magnitude = Signed ? w & 0x7FFFFFu : w;
        to[w >> (24 - CellBits)] += (std::uint64_t{1} << sum_bits) + magnitude;
    }

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        constexpr std::size_t block = 1024;  // small beside the words, in the first-level cache
        std::int32_t u[block];
        for (std::size_t i = 0; i < n; i += block) {
            std::size_t const size = n - i < block ? n - i : block;
            if (FixedPointLoop<Signed>{x + i, size, factor, u}.template run<Bytes>()) {
                std::size_t k = 0;
                for (; size - k >= 4; k += 4) {
                    add(u[k], words);
                    add(u[k + 1], words);
                    add(u[k + 2], words);
                    add(u[k + 3], words);
                }
                for (; k < size; ++k) add(u[k], words);
            } else {
                for (std::size_t k = 0; k != size; ++k) {
                    if (u[k] >= FixedPointLoop<Signed>::does_not_fit)
                        beyond->push_back(x[i + k]);
                    else
                        add(u[k], words);
                }
            }
        }
    }
};

}  // namespace amct_distill::detail
