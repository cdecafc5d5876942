// SPDX-License-Identifier: Apache-2.0
/// Affine quantization, x ~ (code - offset) * scale: of a value, of a span.
///
///     ScaleOffset const p{0.5f, 0};
///     quantize<Int4>(1.3f, p) == 3;   dequantize(3, p) == 1.5f;   fake_quantize<Int4>(1.3f, p) == 1.5f;
///     fake_quantize<Int8>(x, y, p);   // spans of equal size; they may be the same
///
/// code = clamp(round(x / scale + offset), qmin, qmax) in float32, division a true division, round half to
/// even: bit for bit what AMCT computes.
#pragma once
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "../policy/bits.hpp"
#include "../run/execution.hpp"
#include "../run/instructions.hpp"
#include "kernels/affine.hpp"
#include "kernels/codes.hpp"

namespace amct_distill {

struct ScaleOffset {
    float scale = 1;
    std::int32_t offset = 0;
    friend constexpr bool operator==(const ScaleOffset&, const ScaleOffset&) = default;
};

namespace detail {

/// std::nearbyint, which is a call where the processor has no such instruction. Precondition: |v| <= 2^22.
inline float round_half_even(float v) {
    round_elements(v);
    return v;
}

template <BitWidth B>
AffineConstants constants(ScaleOffset p) {
    return {p.scale, static_cast<float>(p.offset), static_cast<float>(B::qmin), static_cast<float>(B::qmax)};
}

/// One code in each byte, or two: then parts begin at whole bytes, since task_size is even.
template <bool Nibbles>
void quantize_parts(std::span<const float> x, typename QuantizeLoop<Nibbles>::Byte* bytes, AffineConstants p,
                    const Execution& on) {
    in_parts(on, x.size(), task_size, [&](std::size_t begin, std::size_t end) {
        run_on(on.instructions,
               QuantizeLoop<Nibbles>{x.data() + begin, bytes + begin / (Nibbles ? 2 : 1), end - begin, p});
    });
}

}  // namespace detail

/// The nearest value that a code stands for. A NaN stays one; an infinity becomes the end of the range.
template <BitWidth B>
float fake_quantize(float x, ScaleOffset p) {
    detail::scale_and_clamp(x, detail::constants<B>(p));
    return (detail::round_half_even(x) - static_cast<float>(p.offset)) * p.scale;
}

/// The code, in qmin..qmax. Precondition: x is not NaN.
template <BitWidth B>
typename B::storage quantize(float x, ScaleOffset p) {
    detail::scale_and_clamp(x, detail::constants<B>(p));
    return static_cast<typename B::storage>(detail::round_half_even(x));
}

/// What a code stands for: fake_quantize, except that a code has no -0.0.
inline float dequantize(std::int32_t code, ScaleOffset p) {
    return (static_cast<float>(code) - static_cast<float>(p.offset)) * p.scale;
}

/// Of every element. Preconditions of the three: equal sizes; x has no NaN to quantize. x and y may be the
/// same span, but not overlap otherwise.
template <BitWidth B>
void fake_quantize(std::span<const float> x, std::span<float> y, ScaleOffset p, const Execution& on = {}) {
    assert(x.size() == y.size());
    bool const stream = x.data() != y.data() && y.size_bytes() > on.streaming_size;
    detail::AffineConstants const c = detail::constants<B>(p);
    detail::in_parts(on, x.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
        float const* const from = x.data() + begin;
        float* const to = y.data() + begin;
        if (stream) {
            detail::run_on(on.instructions, detail::FakeQuantizeLoop<true>{from, to, end - begin, c});
            detail::streaming_fence();
        } else {
            detail::run_on(on.instructions, detail::FakeQuantizeLoop<false>{from, to, end - begin, c});
        }
    });
}
template <BitWidth B>
void quantize(std::span<const float> x, std::span<typename B::storage> codes, ScaleOffset p,
              const Execution& on = {}) {
    assert(x.size() == codes.size());
    detail::quantize_parts<false>(x, codes.data(), detail::constants<B>(p), on);
}
inline void dequantize(std::span<const std::int8_t> codes, std::span<float> y, ScaleOffset p,
                       const Execution& on = {}) {
    assert(codes.size() == y.size());
    detail::in_parts(on, y.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
        detail::run_on(on.instructions,
                       detail::DequantizeLoop{codes.data() + begin, y.data() + begin, end - begin, p.scale,
                                              static_cast<float>(p.offset)});
    });
}

}  // namespace amct_distill
