// SPDX-License-Identifier: Apache-2.0
/// The signal to noise of a quantized tensor.
///
///     detail::Noise noise;
///     noise.add(x, quantized);          // of all parts
///     noise.sqnr();                     // dB
#pragma once
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include "distance.hpp"

namespace amct_distill::detail {

/// Signal and noise of a quantized tensor, in squares.
struct Noise {
    double signal = 0, error = 0;
    void add(std::span<const float> x, std::span<const float> quantized) {
        auto const found = lane_sums<Terms>(x, quantized);
        signal += found[0].total();
        error += found[1].total();
    }
    /// 10 log10(signal / noise); infinite without noise.
    double sqnr() const {
        return error == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(signal / error);
    }

private:
    struct Terms {
        static constexpr std::size_t sums = 2;
        template <class D>
        [[gnu::always_inline]] static void of(const D& x, const D& quantized, D* to) {
            to[0] = x * x;
            ErrorTerms::of(x, quantized, to + 1);
        }
    };
};

}  // namespace amct_distill::detail
