// SPDX-License-Identifier: Apache-2.0
/// A verification as a table of at most 100 columns, and what it comes to.
///
///     std::cout << to_table(verify(deployment, student, batches).value());
#pragma once
#include <string>

#include "../core/concat.hpp"
#include "../deploy/verify.hpp"
#include "columns.hpp"

namespace amct_distill {

inline std::string to_table(const VerifyReport& report) {
    using detail::Column;
    using Layer = VerifiedLayer;
    return detail::concat(
        detail::column_table(report.layers, Column{"layer", &Layer::name}, Column{"sums", &Layer::outputs},
                             Column{"differ", &Layer::different}, Column{"by", &Layer::largest},
                             Column{"explained", &Layer::explained}, Column{"codes in", &Layer::inputs},
                             Column{"differ", &Layer::inputs_different}, Column{"by", &Layer::inputs_largest},
                             Column{"new codes",
                                    [](const Layer& l) {
                                        return l.requantized_channels == 0
                                                   ? std::string("none")
                                                   : detail::concat(l.requantized_channels, " ch.");
                                    }}),
        report.agrees() ? "  The integers compute what was simulated.\n"
                        : "  The integers do NOT compute what was simulated: rounding explains less.\n",
        "  Of the outputs: mean squared difference ", detail::short_number(report.output_error), " (of ",
        detail::short_number(report.output_square), "), at most ",
        detail::short_number(report.output_largest), ".\n");
}

}  // namespace amct_distill
