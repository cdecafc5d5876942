// SPDX-License-Identifier: Apache-2.0
/// The definitions of verify_text.hpp.
#pragma once
#include <cstddef>
#include <string>

#include "../core/concat.hpp"
#include "../core/inline.hpp"
#include "../core/number.hpp"
#include "../core/wrap.hpp"
#include "columns.hpp"
#include "verify_text.hpp"

namespace amct_distill {

AMCT_DISTILL_INLINE std::string to_table(const VerifyReport& report, std::size_t width) {
    using detail::Column;
    using Layer = VerifiedLayer;
    auto const new_codes = [](const Layer& l) {
        return l.requantized_channels == 0 ? std::string("none")
                                           : detail::concat(l.requantized_channels, " ch.");
    };
    return detail::concat(
        detail::column_table(report.layers, width, Column{{.heading = "layer", .least = 12}, &Layer::name},
                             Column{{.heading = "sums", .drop = 4}, &Layer::outputs},
                             Column{{"differ"}, &Layer::different}, Column{{"by"}, &Layer::largest},
                             Column{{"explained"}, &Layer::explained},
                             Column{{.heading = "codes in", .drop = 3}, &Layer::inputs},
                             Column{{.heading = "differ", .drop = 2}, &Layer::inputs_different},
                             Column{{.heading = "by", .drop = 2}, &Layer::inputs_largest},
                             Column{{.heading = "new codes", .drop = 1}, new_codes}),
        wrapped(report.agrees() ? "The integers compute what was simulated."
                                : "The integers do NOT compute what was simulated: rounding explains less.",
                width),
        wrapped(detail::concat("Of the outputs: mean squared difference ",
                               detail::short_number(report.output_error), " (of ",
                               detail::short_number(report.output_square), "), at most ",
                               detail::short_number(report.output_largest), "."),
                width));
}

}  // namespace amct_distill
