// SPDX-License-Identifier: Apache-2.0
/// What the values of a network's layers look like, and how much noise has come together at each output.
///
///     for (const LayerValues& l : observe_layers(teacher, student, batches).value().layers)
///         std::cout << l.name << ": " << l.output_sqnr << " dB\n";      // observe_layers.hpp
///
///     ValueHistogram h;
///     h.add(tensor.span());          // any number of times; the range grows as values come
#pragma once
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace amct_distill {

/// Counts of values, in bins of one width from `low` on: bin i has low + i * width to low + (i + 1) * width.
struct ValueHistogram {
    static constexpr std::size_t bins = 64;

    double least = 0, greatest = 0;     ///< of the values that were added
    double low = 0, width = 0;          ///< a width of 0: no values, or all of them are `low`
    std::vector<std::size_t> counts{};  ///< `bins`, or none

    /// A value out of range doubles the bins' width, until it is within; one that is not finite is left out.
    void add(std::span<const float> values) {
        for (float v : values)
            if (std::isfinite(v)) add_one(static_cast<double>(v));
    }

private:
    void add_one(double v) {
        if (counts.empty()) {
            counts.assign(bins, 0);
            least = greatest = low = v;
        }
        if (v < least) least = v;
        if (v > greatest) greatest = v;
        if (width == 0 && v != low) {  // the first two different values, and as much room on either side
            double const span = std::abs(v - low);
            std::size_t const same = counts[0];
            counts[0] = 0;
            double const first = low;
            low = (v < low ? v : low) - span / 2;
            width = 2 * span / static_cast<double>(bins);
            counts[bin(first)] = same;
        }
        if (width == 0) {
            ++counts[0];
            return;
        }
        while (v < low || v >= low + width * static_cast<double>(bins)) widen(v < low);
        ++counts[bin(v)];
    }
    std::size_t bin(double v) const {
        auto const i = static_cast<std::size_t>((v - low) / width);
        return i < bins ? i : bins - 1;
    }
    /// Neighbours become one; the room is made below or above.
    void widen(bool below) {
        std::vector<std::size_t> wider(bins, 0);
        for (std::size_t i = 0; i != bins; ++i) wider[i / 2 + (below ? bins / 2 : 0)] += counts[i];
        counts.swap(wider);
        if (below) low -= width * static_cast<double>(bins);
        width *= 2;
    }
};

/// A layer that could be quantized, whether it is or not.
struct LayerValues {
    std::string name{};
    /// Signal to noise of the layer's output, dB: the student's against the teacher's, with the noise of
    /// all layers before it.
    double output_sqnr = 0;
    ValueHistogram weights{}, data{};  ///< the float weights; the layer's inputs, before they are clipped
};

struct ObservedValues {
    std::vector<LayerValues> layers{};  ///< in definition order
    double output_sqnr = 0;             ///< the same of all of the network's outputs, dB
    std::size_t samples = 0;            ///< that were looked at: the first ones
};

}  // namespace amct_distill
