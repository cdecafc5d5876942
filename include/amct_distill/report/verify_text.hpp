// SPDX-License-Identifier: Apache-2.0
/// What `verify` found, as a table and what it comes to.
///
///     std::cout << to_table(verify(student, batches).value(), terminal_width());
#pragma once
#include <cstddef>
#include <string>

#include "../core/concat.hpp"
#include "../core/number.hpp"
#include "../core/table.hpp"
#include "../core/wrap.hpp"
#include "../deploy/verify.hpp"

namespace amct_distill {

inline std::string to_table(const VerifyReport& report, std::size_t width = default_text_width) {
    Table table({{.heading = "layer", .least = 12},
                 {.heading = "sums", .drop = 4},
                 {.heading = "differ"},
                 {.heading = "by"},
                 {.heading = "explained"},
                 {.heading = "codes in", .drop = 3},
                 {.heading = "differ", .drop = 2},
                 {.heading = "by", .drop = 2},
                 {.heading = "new codes", .drop = 1}});
    for (const VerifiedLayer& l : report.layers)
        table.add({l.name, number(l.outputs), number(l.different), number(l.largest), number(l.explained),
                   number(l.inputs), number(l.inputs_different), number(l.inputs_largest),
                   l.requantized_channels == 0 ? "none" : detail::concat(l.requantized_channels, " ch.")});
    return detail::concat(
        table.text(width),
        wrapped(report.agrees() ? "The integers compute what was simulated."
                                : "The integers do NOT compute what was simulated: rounding explains less.",
                width),
        wrapped(detail::concat("From the student, whole: mean squared difference ",
                               detail::short_number(report.output_error), " (of ",
                               detail::short_number(report.output_square), "), at most ",
                               detail::short_number(report.output_largest), "."),
                width));
}

}  // namespace amct_distill
