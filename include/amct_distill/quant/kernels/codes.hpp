// SPDX-License-Identifier: Apache-2.0
/// The loops that make codes: of floats, a code in each byte or two; and two of one and back.
///
///     run_on(set, QuantizeLoop<false>{x, codes, n, {scale, offset, -128, 127}});
///     bool const all_in_range = run_on(set, PackInt4Loop{codes, bytes, n});
///
/// n packed codes take n / 2 bytes, and one more where n is odd; its high nibble is 0. affine.hpp and
/// int4.hpp have the functions for callers.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../run/vectors.hpp"
#include "affine.hpp"

namespace amct_distill::detail {

/// The code is in the low bits of what rounding by `rounding_shift` leaves there.
template <class F>
[[gnu::always_inline]] inline void codes_of(const float* x, AffineConstants p, ints_of<F>& codes) {
    constexpr std::int32_t shift = 0x4B400000;  // the bits of rounding_shift
    F v;
    load(x, v);
    scale_and_clamp(v, p);
    v = v + rounding_shift;
    codes = __builtin_bit_cast(ints_of<F>, v) - shift;
}

#if defined(__GNUC__)
/// 16 codes.
template <int Bytes>
[[gnu::always_inline]] inline void codes_of_16(const float* x, AffineConstants p, bytes16& out) {
    using F = typename Vectors<Bytes>::floats;
    Vectors<16>::ints a, b, c, d;
    if constexpr (Bytes == 16) {
        codes_of<F>(x, p, a);
        codes_of<F>(x + 4, p, b);
        codes_of<F>(x + 8, p, c);
        codes_of<F>(x + 12, p, d);
    } else if constexpr (Bytes == 32) {
        ints_of<F> low, high;
        codes_of<F>(x, p, low);
        codes_of<F>(x + 8, p, high);
        piece<0>(low, a);
        piece<1>(low, b);
        piece<0>(high, c);
        piece<1>(high, d);
    } else {
        ints_of<F> all;
        codes_of<F>(x, p, all);
        piece<0>(all, a);
        piece<1>(all, b);
        piece<2>(all, c);
        piece<3>(all, d);
    }
    narrow(a, b, c, d, out);
}
#endif

inline std::uint8_t nibbles(int low, int high) {
    return static_cast<std::uint8_t>((static_cast<unsigned>(low) & 0xFu) |
                                     ((static_cast<unsigned>(high) & 0xFu) << 4));
}

#if defined(__GNUC__)
/// 32 codes into 16 bytes.
[[gnu::always_inline]] inline void pack_32(const bytes16& first, const bytes16& second, ubytes16& out) {
    typedef std::uint16_t words8 __attribute__((vector_size(16)));
    // A word is two codes: its low byte becomes their nibbles.
    words8 a = __builtin_bit_cast(words8, first), b = __builtin_bit_cast(words8, second);
    a = (a & 0x0F) | (a >> 4 & 0xF0);
    b = (b & 0x0F) | (b >> 4 & 0xF0);
    out = __builtin_shufflevector(__builtin_bit_cast(ubytes16, a), __builtin_bit_cast(ubytes16, b), 0, 2, 4,
                                  6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}
#endif

/// Returns whether all codes are in -8..7; what is written is of no use otherwise.
struct PackInt4Loop {
    const std::int8_t* codes;
    std::uint8_t* bytes;
    std::size_t n;

    template <int Bytes>
    [[gnu::always_inline]] bool run() const {
        std::size_t i = 0;
        bool outside = false;
#if defined(__GNUC__)
        if constexpr (Bytes != 4) {
            bytes16 wide{};
            for (; i + 32 <= n; i += 32) {
                bytes16 a, b;
                ubytes16 packed;
                load(codes + i, a);
                load(codes + i + 16, b);
                wide |= (a < -8) | (a > 7) | (b < -8) | (b > 7);
                pack_32(a, b, packed);
                store(packed, bytes + i / 2);
            }
            for (int k = 0; k != 16; ++k) outside |= wide[k] != 0;
        }
#endif
        for (; i < n; i += 2) {
            int const low = codes[i], high = i + 1 < n ? codes[i + 1] : 0;
            outside |= low < -8 || low > 7 || high < -8 || high > 7;
            bytes[i / 2] = nibbles(low, high);
        }
        return !outside;
    }
};

struct UnpackInt4Loop {
    const std::uint8_t* bytes;
    std::int8_t* codes;
    std::size_t n;

    /// Four bits of two's complement to eight.
    static std::int8_t extended(unsigned nibble) {
        return static_cast<std::int8_t>(static_cast<int>(nibble ^ 8u) - 8);
    }

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        std::size_t i = 0;
#if defined(__GNUC__)
        if constexpr (Bytes != 4) {
            for (; i + 32 <= n; i += 32) {
                ubytes16 both;
                load(bytes + i / 2, both);
                ubytes16 const low = ((both & 0x0F) ^ 8) - 8, high = ((both >> 4) ^ 8) - 8;
                ubytes16 const first = __builtin_shufflevector(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20,
                                                               5, 21, 6, 22, 7, 23);
                ubytes16 const second = __builtin_shufflevector(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12,
                                                                28, 13, 29, 14, 30, 15, 31);
                store(first, codes + i);
                store(second, codes + i + 16);
            }
        }
#endif
        for (; i < n; i += 2) {
            codes[i] = extended(bytes[i / 2] & 0xFu);
            if (i + 1 < n) codes[i + 1] = extended(bytes[i / 2] >> 4);
        }
    }
};

/// One code in each byte, or two. Precondition: no NaN.
template <bool Nibbles>
struct QuantizeLoop {
    using Byte = std::conditional_t<Nibbles, std::uint8_t, std::int8_t>;

    const float* x;
    Byte* bytes;
    std::size_t n;
    AffineConstants p;

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        std::size_t i = 0;
#if defined(__GNUC__)
        if constexpr (Bytes != 4) {
            constexpr std::size_t step = Nibbles ? 32 : 16;
            for (; i + step <= n; i += step) {
                bytes16 first;
                prefetch(x + i, read_ahead);
                codes_of_16<Bytes>(x + i, p, first);
                if constexpr (Nibbles) {
                    bytes16 second;
                    ubytes16 packed;
                    prefetch(x + i, read_ahead + 16);
                    codes_of_16<Bytes>(x + i + 16, p, second);
                    pack_32(first, second, packed);
                    store(packed, bytes + i / 2);
                } else {
                    store(first, bytes + i);
                }
            }
        }
#endif
        for (; i < n; ++i) {
            std::int32_t code;
            codes_of<float>(x + i, p, code);
            if constexpr (!Nibbles)
                bytes[i] = static_cast<std::int8_t>(code);
            else if (i % 2 == 0)
                bytes[i / 2] = nibbles(code, 0);
            else
                bytes[i / 2] = static_cast<std::uint8_t>(bytes[i / 2] | nibbles(0, code));
        }
    }
};

}  // namespace amct_distill::detail
