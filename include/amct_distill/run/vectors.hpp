// SPDX-License-Identifier: Apache-2.0
/// Vectors of floats of any width, a float alone among them, and the few things the loops do with them.
///
///     using F = Vectors<Bytes>::floats;          // 4 bytes: float; 16, 32, 64: 4, 8, 16 of them
///     F v; load(x, v);  v = v / scale;  round_elements(v);  store(v, y);
///
/// Written in the vector extensions of GCC and clang: a loop's body is written once, for every width, and
/// inlined into functions that are compiled for an instruction set each (instructions.hpp). Vectors go by
/// reference, since passing them by value is another calling convention on each of those. Comparisons stand
/// in `a < b ? c : d` or are `less`: kept in a variable, g++ 12 does them element by element for AVX-512.
#pragma once
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// GCC has a macro for each of the options that -ffast-math stands for, clang only for the first two.
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error \
    "amct_distill rounds by IEEE arithmetic: compile without -ffast-math, -Ofast and their parts \
(-ffinite-math-only, -fassociative-math, -freciprocal-math, -fno-signed-zeros)"
#endif
// 16 differs from 0 in _Float16 only.
static_assert(
    FLT_EVAL_METHOD == 0 || FLT_EVAL_METHOD == 16,
    "amct_distill needs float arithmetic in float precision; on 32-bit x86 use -msse2 -mfpmath=sse");

namespace amct_distill::detail {

template <int Bytes>
struct Vectors;

template <>
struct Vectors<4> {
    using floats = float;
    using ints = std::int32_t;
    using doubles = double;
    static constexpr std::size_t count = 1;
};

#if defined(__GNUC__)
template <int Bytes>
struct Vectors {
    typedef float floats __attribute__((vector_size(Bytes)));
    typedef std::int32_t ints __attribute__((vector_size(Bytes)));
    typedef double doubles __attribute__((vector_size(Bytes)));  // half as many
    static constexpr std::size_t count = Bytes / 4;
};
typedef std::int8_t bytes16 __attribute__((vector_size(16)));
typedef std::uint8_t ubytes16 __attribute__((vector_size(16)));
#endif

template <class F>
using ints_of = typename Vectors<sizeof(F)>::ints;

template <class T, class V>
[[gnu::always_inline]] inline void load(const T* p, V& v) {
    std::memcpy(&v, p, sizeof v);
}
template <class V, class T>
[[gnu::always_inline]] inline void store(const V& v, T* p) {
    std::memcpy(p, &v, sizeof v);
}

/// The nearest whole number, ties to even; -0.3 gives -0.0. Precondition: |v| <= 2^22.
///
/// Floats between 2^23 and 2^24 are the integers, so adding 1.5 * 2^23 makes the addition itself round, in
/// the processor's default mode (to nearest, ties to even), and subtracting it again is exact. SSE2 has no
/// rounding instruction.
inline constexpr float rounding_shift = 12582912.0f;

template <class F>
[[gnu::always_inline]] inline void round_elements(F& v) {
    using I = ints_of<F>;
    I const sign = __builtin_bit_cast(I, v) & INT32_MIN;
    F const whole = (v + rounding_shift) - rounding_shift;
    v = __builtin_bit_cast(F, __builtin_bit_cast(I, whole) | sign);
}

/// What a multiplication gave is not merged with an addition that follows into an FMA, which would round
/// once only, on some instruction sets. (g++ does that across statements; clang only with
/// -ffp-contract=fast. __builtin_assoc_barrier takes vectors of 64 bytes apart.)
template <class F>
[[gnu::always_inline]] inline void keep_rounded([[maybe_unused]] F& product) {
#if defined(__clang__) && (defined(__x86_64__) || defined(__i386__))
    product = __arithmetic_fence(product);
#elif defined(__GNUC__) && !defined(__clang__)
#if defined(__SSE2__)
    __asm__("" : "+v"(product));
#else
    product = __builtin_assoc_barrier(product);
#endif
#endif
}

/// The square root of each.
template <class F>
[[gnu::always_inline]] inline void square_root(F& v) {
    if constexpr (sizeof(F) == 4) {
        v = std::sqrt(v);
    } else {
#if defined(__SSE2__)
        if constexpr (sizeof(F) == 16) {
            v = __builtin_bit_cast(F, _mm_sqrt_ps(__builtin_bit_cast(__m128, v)));
            return;
        }
#endif
        for (std::size_t k = 0; k != sizeof(F) / 4; ++k) v[k] = std::sqrt(v[k]);
    }
}

/// 0 where the bits are.
template <class F>
[[gnu::always_inline]] inline void mask(F& v, const ints_of<F>& bits) {
    v = __builtin_bit_cast(F, __builtin_bit_cast(ints_of<F>, v) & bits);
}

/// All bits where a < b. Vectors of 64 bytes have the sign of a - b in all bits; of equal numbers that is +0,
/// but for a = -0, b = +0, which must not be.
template <class F>
[[gnu::always_inline]] inline void less(const F& a, const F& b, ints_of<F>& bits) {
    if constexpr (sizeof(F) == 4)
        bits = a < b ? -1 : 0;
    else if constexpr (sizeof(F) == 64)
        bits = __builtin_bit_cast(ints_of<F>, a - b) >> 31;
#if defined(__GNUC__)
    else
        bits = a < b;
#endif
}

#if defined(__GNUC__)
/// The halves of a vector of floats, as doubles. (g++ 12 converts a whole vector by an instruction for each
/// half, but half a vector element by element.)
template <class F, class D>
[[gnu::always_inline]] inline void widen(const F& v, D& low, D& high) {
    using Both = typename Vectors<2 * sizeof(F)>::doubles;
    Both const d = __builtin_convertvector(v, Both);
    if constexpr (sizeof(F) == 16) {
        low = __builtin_shufflevector(d, d, 0, 1);
        high = __builtin_shufflevector(d, d, 2, 3);
    } else if constexpr (sizeof(F) == 32) {
        low = __builtin_shufflevector(d, d, 0, 1, 2, 3);
        high = __builtin_shufflevector(d, d, 4, 5, 6, 7);
    } else {
        low = __builtin_shufflevector(d, d, 0, 1, 2, 3, 4, 5, 6, 7);
        high = __builtin_shufflevector(d, d, 8, 9, 10, 11, 12, 13, 14, 15);
    }
}
#endif

#if defined(__GNUC__)
template <class F, class Half>
[[gnu::always_inline]] inline void halves(const F& v, Half& low, Half& high) {
    if constexpr (sizeof(F) == 32) {
        low = __builtin_shufflevector(v, v, 0, 1, 2, 3);
        high = __builtin_shufflevector(v, v, 4, 5, 6, 7);
    } else {
        low = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
        high = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    }
}

/// 16 bytes of a vector, the K-th.
template <int K, class V, class Piece>
[[gnu::always_inline]] inline void piece(const V& v, Piece& out) {
    static_assert(sizeof out == 16);
    if constexpr (sizeof(V) == 16)
        out = v;
    else
        out = __builtin_shufflevector(v, v, 4 * K, 4 * K + 1, 4 * K + 2, 4 * K + 3);
}

/// The low bytes of 16 ints that are in -128..127.
[[gnu::always_inline]] inline void narrow(const Vectors<16>::ints& a, const Vectors<16>::ints& b,
                                          const Vectors<16>::ints& c, const Vectors<16>::ints& d,
                                          bytes16& out) {
#if defined(__SSE2__)
    out = __builtin_bit_cast(
        bytes16,
        _mm_packs_epi16(_mm_packs_epi32(__builtin_bit_cast(__m128i, a), __builtin_bit_cast(__m128i, b)),
                        _mm_packs_epi32(__builtin_bit_cast(__m128i, c), __builtin_bit_cast(__m128i, d))));
#else
    typedef std::int8_t bytes4 __attribute__((vector_size(4)));
    Vectors<16>::ints const* const parts[] = {&a, &b, &c, &d};
    for (int k = 0; k != 4; ++k) {
        bytes4 const part = __builtin_convertvector(*parts[k], bytes4);
        std::memcpy(reinterpret_cast<char*>(&out) + 4 * k, &part, 4);
    }
#endif
}
#endif

/// Asks for the line of the cache that `ahead` floats after p is in. That may be beyond the end of an array,
/// which does no harm to a prefetch, but no pointer may be formed there.
[[gnu::always_inline]] inline void prefetch([[maybe_unused]] const float* p,
                                            [[maybe_unused]] std::size_t ahead) {
#if defined(__GNUC__)
    __builtin_prefetch(
        reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(p) + ahead * sizeof(float)));
#endif
}

/// How far ahead floats are asked for by loops that wait for reading: measured 15 % faster on Zen 3.
inline constexpr std::size_t read_ahead = 512;

/// Whether whole lines of the cache can be written past it from p on.
inline bool is_aligned(const float* p) { return reinterpret_cast<std::uintptr_t>(p) % 64 == 0; }

/// Past the caches, where the processor can: p must then be a multiple of 16 bytes. `streaming_fence` comes
/// after the last.
template <class F>
[[gnu::always_inline]] inline void store_streaming(const F& v, float* p) {
#if defined(__SSE2__)
    if constexpr (sizeof(F) >= 16) {
        __m128 part;
        piece<0>(v, part);
        _mm_stream_ps(p, part);
        if constexpr (sizeof(F) >= 32) {
            piece<1>(v, part);
            _mm_stream_ps(p + 4, part);
        }
        if constexpr (sizeof(F) >= 64) {
            piece<2>(v, part);
            _mm_stream_ps(p + 8, part);
            piece<3>(v, part);
            _mm_stream_ps(p + 12, part);
        }
        return;
    }
#endif
    store(v, p);
}
inline void streaming_fence() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

}  // namespace amct_distill::detail
