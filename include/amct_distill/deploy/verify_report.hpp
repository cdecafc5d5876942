// SPDX-License-Identifier: Apache-2.0
/// What a verification found: of every quantized layer how far integers and simulation are apart, and of the
/// network's outputs.
///
///     for (const VerifiedLayer& l : report.layers) std::cout << l.name << ": " << l.largest << '\n';
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace amct_distill {

struct VerifiedLayer {
    std::string name{};
    /// The INT32 sums, against the simulation's output in the same unit, rounded.
    std::size_t outputs = 0;
    std::size_t different = 0;
    std::int64_t largest = 0;    ///< difference, in units of the sum
    std::int64_t explained = 0;  ///< what the rounding of float32 and of the bias explain: see verify()
    /// The codes that the layer reads, against those of the simulation: the outputs of the layers before it,
    /// requantized.
    std::size_t inputs = 0;
    std::size_t inputs_different = 0;
    int inputs_largest = 0;                ///< difference, in codes
    std::size_t requantized_channels = 0;  ///< whose weight codes are not the student's: see deploy()
};

struct VerifyReport {
    std::vector<VerifiedLayer> layers{};
    /// Of the network's outputs: mean squared and largest difference between the integers, run from end to
    /// end, and the student, not folded.
    double output_error = 0;
    double output_largest = 0;
    /// Mean square of the student's output, to compare with.
    double output_square = 0;

    /// No layer's sums differ by more than rounding explains.
    bool agrees() const {
        for (const VerifiedLayer& l : layers)
            if (l.largest > l.explained) return false;
        return true;
    }
};

}  // namespace amct_distill
