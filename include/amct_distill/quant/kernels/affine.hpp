// SPDX-License-Identifier: Apache-2.0
/// The loops of affine quantization: floats to the values their codes stand for, to codes, and back.
///
///     run_on(set, FakeQuantizeLoop<false>{x, y, n, {scale, offset, -128, 127}});
///
/// Elements are independent: a part of a loop gives the same bits as the whole. Input and output may be the
/// same array. affine.hpp has the functions for callers.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../../run/vectors.hpp"

namespace amct_distill::detail {

struct AffineConstants {
    float scale, offset;
    float lowest, highest;  ///< codes
};

/// Clamping to whole numbers first gives the same as rounding first, and keeps to the precondition of the
/// rounding. A NaN stays one.
template <class F>
[[gnu::always_inline]] inline void clamp(F& v, AffineConstants p) {
    F const lowest = F{} + p.lowest, highest = F{} + p.highest;
    v = v + p.offset;
    v = v < lowest ? lowest : v;
    v = v > highest ? highest : v;
}
template <class F>
[[gnu::always_inline]] inline void scale_and_clamp(F& v, AffineConstants p) {
    v = v / p.scale;
    clamp(v, p);
}

/// Streaming: past the caches; `streaming_fence` is to come after it.
template <bool Streaming>
struct FakeQuantizeLoop {
    const float* x;
    float* y;
    std::size_t n;
    AffineConstants p;
    /// What is read after x, to be on its way to the cache while this is computed.
    const float* next = nullptr;

    template <class F>
    [[gnu::always_inline]] void quotient(std::size_t i, F& v) const {
        load(x + i, v);
        v = v / p.scale;
    }
    template <bool Stream, class F>
    [[gnu::always_inline]] void finish(const F& quotient, std::size_t i) const {
        F v = quotient;
        clamp(v, p);
        round_elements(v);
        v = (v - p.offset) * p.scale;
        if constexpr (Stream)
            store_streaming(v, y + i);
        else
            store(v, y + i);
    }
    template <int Bytes, bool Stream>
    [[gnu::always_inline]] void step(std::size_t i) const {
        typename Vectors<Bytes>::floats v;
        quotient(i, v);
        finish<Stream>(v, i);
    }

    /// Divisions are begun four vectors before their quotients are used: what waits for a quotient takes up
    /// the processor's queue, and in order of the program that would be most of the queue.
    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        using F = typename Vectors<Bytes>::floats;
        constexpr std::size_t count = Vectors<Bytes>::count, batch = 4 * count;
        std::size_t i = 0;
        if constexpr (Streaming)
            for (; i < n && !is_aligned(y + i); ++i) step<4, false>(i);
        if (n - i >= batch) {
            F now[4];
#pragma GCC unroll 4
            for (std::size_t k = 0; k != 4; ++k) quotient(i + k * count, now[k]);
            for (; n - i >= 2 * batch; i += batch) {
                F after[4];
                if (next != nullptr) {
#pragma GCC unroll 4
                    for (std::size_t k = 0; k < batch; k += 16) prefetch(next + i, k);
                }
#pragma GCC unroll 4
                for (std::size_t k = 0; k != 4; ++k) quotient(i + batch + k * count, after[k]);
#pragma GCC unroll 4
                for (std::size_t k = 0; k != 4; ++k) {
                    finish<Streaming>(now[k], i + k * count);
                    now[k] = after[k];
                }
            }
#pragma GCC unroll 4
            for (std::size_t k = 0; k != 4; ++k) finish<Streaming>(now[k], i + k * count);
            i += batch;
        }
        for (; n - i >= count; i += count) step<Bytes, Streaming>(i);
        for (; i < n; ++i) step<4, false>(i);
    }
};

/// Codes of 8 bits at most. The conversions of bytes to floats are written for 16-byte vectors; wider ones
/// gain nothing, the loop waits for memory.
struct DequantizeLoop {
    const std::int8_t* codes;
    float* y;
    std::size_t n;
    float scale, offset;

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        std::size_t i = 0;
#if defined(__SSE2__)
        if constexpr (Bytes != 4) {
            for (; i + 16 <= n; i += 16) {
                __m128i some, words[2];
                load(codes + i, some);
                words[0] = _mm_unpacklo_epi8(some, some);
                words[1] = _mm_unpackhi_epi8(some, some);
#pragma GCC unroll 2
                for (std::size_t k = 0; k != 2; ++k) {
                    // Each byte four times in 32 bits; the shift leaves the last, with its sign.
                    __m128i const low = _mm_srai_epi32(_mm_unpacklo_epi16(words[k], words[k]), 24);
                    __m128i const high = _mm_srai_epi32(_mm_unpackhi_epi16(words[k], words[k]), 24);
                    store((_mm_cvtepi32_ps(low) - offset) * scale, y + i + 8 * k);
                    store((_mm_cvtepi32_ps(high) - offset) * scale, y + i + 8 * k + 4);
                }
            }
        }
#endif
        for (; i != n; ++i) y[i] = (static_cast<float>(codes[i]) - offset) * scale;
    }
};

}  // namespace amct_distill::detail
