// SPDX-License-Identifier: Apache-2.0
/// The definitions of table.hpp.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "inline.hpp"
#include "table.hpp"
#include "utf8.hpp"

namespace amct_distill {
namespace detail {

AMCT_DISTILL_INLINE std::string shortened(std::string_view text, std::size_t width, bool keep_start) {
    if (columns(text) <= width) return std::string(text);
    while (columns(text) > width - 3) {
        if (keep_start) {
            while (is_utf8_continuation(text.back())) text.remove_suffix(1);
            text.remove_suffix(1);
        } else {
            text.remove_prefix(1);
            while (is_utf8_continuation(text.front())) text.remove_prefix(1);
        }
    }
    return keep_start ? std::string(text).append("...") : std::string("...").append(text);
}

}  // namespace detail

AMCT_DISTILL_INLINE std::string Table::text(std::size_t width) const {
    std::vector<std::size_t> shown;  // the columns that are not dropped
    for (std::size_t k = 0; k != columns_.size(); ++k) shown.push_back(k);
    std::vector<std::size_t> widths = fitted(shown, width, false);
    while (total(widths, shown) > width) {
        auto const last = std::ranges::max_element(
            shown, {}, [&](std::size_t k) { return std::pair(columns_[k].drop, k); });
        if (last == shown.end() || columns_[*last].drop == 0) {
            widths = fitted(shown, width, true);
            break;
        }
        shown.erase(last);
        widths = fitted(shown, width, false);
    }
    std::vector<std::string> headings;
    for (const TableColumn& c : columns_) headings.push_back(c.heading);
    std::string out;
    add_line(out, headings, shown, widths);
    for (const auto& row : rows_) add_line(out, row, shown, widths);
    return out;
}

AMCT_DISTILL_INLINE std::size_t Table::total(const std::vector<std::size_t>& widths,
                                             const std::vector<std::size_t>& shown) {
    std::size_t sum = 0;
    for (std::size_t k : shown) sum += 2 + widths[k];
    return sum;
}

AMCT_DISTILL_INLINE std::vector<std::size_t> Table::fitted(const std::vector<std::size_t>& shown,
                                                           std::size_t width, bool at_any_price) const {
    std::vector<std::size_t> widths;
    for (const TableColumn& c : columns_) widths.push_back(detail::columns(c.heading));
    for (const auto& row : rows_)
        for (std::size_t k = 0; k != (std::min)(row.size(), widths.size()); ++k)
            widths[k] = (std::max)(widths[k], detail::columns(row[k]));
    auto const least = [&](std::size_t k) {
        if (at_any_price) return std::size_t{4};
        return columns_[k].least == 0 ? widths[k] : (std::max)(columns_[k].least, std::size_t{4});
    };
    for (std::size_t sum = total(widths, shown); sum > width; --sum) {
        std::size_t widest = columns_.size();
        for (std::size_t k : shown)
            if (widths[k] > least(k) && (widest == columns_.size() || widths[k] > widths[widest])) widest = k;
        if (widest == columns_.size()) break;
        --widths[widest];
    }
    return widths;
}

AMCT_DISTILL_INLINE void Table::add_line(std::string& out, const std::vector<std::string>& row,
                                         const std::vector<std::size_t>& shown,
                                         const std::vector<std::size_t>& widths) const {
    std::string line;
    for (std::size_t k : shown) {
        if (k >= row.size()) break;
        std::string const cell =
            detail::shortened(row[k], (std::max)(widths[k], std::size_t{4}), columns_[k].keeps_start);
        line.append(2, ' ').append(cell);
        line.append((std::max)(widths[k], detail::columns(cell)) - detail::columns(cell), ' ');
    }
    out.append(line, 0, line.find_last_not_of(' ') + 1);
    out.push_back('\n');
}

}  // namespace amct_distill
