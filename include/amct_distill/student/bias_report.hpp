// SPDX-License-Identifier: Apache-2.0
/// What a bias correction has done: see bias_correction.hpp.
///
///     for (const CorrectedBias& l : report.layers) std::cout << l.layer << ": " << l.shift << '\n';
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace amct_distill {

struct CorrectedBias {
    std::string layer{};
    std::string into{};    ///< whose bias it is: the layer, or the BatchNorm after it
    double shift = 0;      ///< root of the mean square of the channels' shifts, of the outputs of `into`
    double deviation = 0;  ///< the standard deviation of those outputs in the teacher, all channels together
};

/// A quantized layer that was not corrected, and why.
struct UncorrectedBias {
    std::string layer{};
    std::string why{};
};

struct BiasReport {
    std::size_t batches = 0;  ///< that the means are taken over
    std::vector<CorrectedBias> layers{};
    std::vector<UncorrectedBias> others{};
};

}  // namespace amct_distill
