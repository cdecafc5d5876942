// SPDX-License-Identifier: Apache-2.0
/// Rows of text as a table: columns as wide as their widest cell, two blanks between them.
///
///     detail::text_table({{"layer", "SQNR"}, {"conv1", "48.9 dB"}});   // the first row is the heading
///     detail::shortened("backbone.layer1.0.conv1", 17);                // "...layer1.0.conv1"
///     detail::short_number(0.00125);                                   // "1.25e-03"
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "concat.hpp"
#include "utf8.hpp"

namespace amct_distill::detail {

using TableRow = std::vector<std::string>;

/// Columns on a terminal, one per code point.
inline std::size_t text_width(std::string_view s) {
    return static_cast<std::size_t>(
        std::ranges::count_if(s, [](char c) { return !is_utf8_continuation(c); }));
}

/// Each line begins with two blanks and ends with its last cell. A row may have fewer cells than others.
inline std::string text_table(const std::vector<TableRow>& rows) {
    std::vector<std::size_t> widths;
    for (const TableRow& row : rows) {
        widths.resize((std::max)(widths.size(), row.size()));
        for (std::size_t k = 0; k != row.size(); ++k) widths[k] = (std::max)(widths[k], text_width(row[k]));
    }
    std::string out;
    for (const TableRow& row : rows) {
        std::string line;
        for (std::size_t k = 0; k != row.size(); ++k) {
            line.append(2, ' ');
            line.append(row[k]);
            line.append(widths[k] - text_width(row[k]), ' ');
        }
        line.resize(line.find_last_not_of(' ') + 1);
        out.append(line);
        out.push_back('\n');
    }
    return out;
}

/// The text, or its end after "..." when it is longer than `width` columns (at least 4).
inline std::string shortened(std::string_view text, std::size_t width) {
    std::size_t columns = text_width(text);
    if (columns <= width) return std::string(text);
    while (columns > width - 3) {
        text.remove_prefix(1);
        while (!text.empty() && is_utf8_continuation(text.front())) text.remove_prefix(1);
        --columns;
    }
    return concat("...", text);
}

}  // namespace amct_distill::detail
