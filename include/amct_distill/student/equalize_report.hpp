// SPDX-License-Identifier: Apache-2.0
/// What an equalization has done: see equalize.hpp.
///
///     for (const EqualizedPair& p : report.pairs) std::cout << p.first << " -> " << p.second << '\n';
///     for (const NotEqualized& n : report.others) std::cout << n.layer << ": " << n.why << '\n';
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace amct_distill {

/// Ranges are the largest magnitudes of the channels of the value that `second` reads, those of dead channels
/// left out.
struct EqualizedPair {
    std::string first{};   ///< the layer whose outputs are scaled
    std::string second{};  ///< the convolution that reads them
    std::size_t channels = 0;
    double narrowest_before = 0, widest_before = 0;
    double narrowest_after = 0, widest_after = 0;
};

/// A convolution into which is not equalized, and why: "its input is read by `add` too".
struct NotEqualized {
    std::string layer{};
    std::string why{};
};

struct EqualizeReport {
    std::vector<EqualizedPair> pairs{};
    std::vector<NotEqualized> others{};  ///< every other convolution of the kind that was asked for
};

}  // namespace amct_distill
