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
        LaneSum signal_sums, error_sums;
        for_each_in_lanes(x.size(), [&](std::size_t i, std::size_t lane) {
            double const v = static_cast<double>(x[i]), d = v - static_cast<double>(quantized[i]);
            signal_sums.lane[lane] += v * v;
            error_sums.lane[lane] += d * d;
        });
        signal += signal_sums.total();
        error += error_sums.total();
    }
    /// 10 log10(signal / noise); infinite without noise.
    double sqnr() const {
        return error == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(signal / error);
    }
};

}  // namespace amct_distill::detail
