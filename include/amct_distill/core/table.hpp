// SPDX-License-Identifier: Apache-2.0
/// Rows of text as a table that fits into a given width: columns as wide as their widest cell, two blanks
/// before each.
///
///     Table table({{.heading = "layer", .least = 8}, {"SQNR"}, {.heading = "seconds", .drop = 1}});
///     table.add({"conv1", "48.9 dB", "0.31"});
///     std::cout << table.text(80);
///
/// What is too wide is made narrower in this order: columns that may be shortened, down to the width given
/// for them (a cell keeps its end, "...layer1.conv1", or its beginning); then columns that may be dropped,
/// the largest number first; then, on a very narrow terminal, all columns. Characters that take two columns
/// of a terminal count two.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "utf8.hpp"

namespace amct_distill {
namespace detail {

/// The text; when it takes more than `width` columns (at least 4), its end after "..." or its start before
/// it.
inline std::string shortened(std::string_view text, std::size_t width, bool keep_start = false) {
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

/// What a text is laid out for where no terminal says otherwise.
inline constexpr std::size_t default_text_width = 100;

struct TableColumn {
    std::string heading{};
    std::size_t least = 0;     ///< may be shortened to this width, at least 4; 0: it is shown whole
    int drop = 0;              ///< may be dropped, columns with a larger number first; 0: it stays
    bool keeps_start = false;  ///< a shortened cell keeps its beginning, not its end
};

class Table {
public:
    explicit Table(std::vector<TableColumn> columns) : columns_(std::move(columns)) {}

    /// A row may have fewer cells than there are columns.
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    bool empty() const { return rows_.empty(); }

    /// The headings and the rows, each a line that begins with two blanks and ends with its last cell.
    std::string text(std::size_t width = default_text_width) const {
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

private:
    static std::size_t total(const std::vector<std::size_t>& widths, const std::vector<std::size_t>& shown) {
        std::size_t sum = 0;
        for (std::size_t k : shown) sum += 2 + widths[k];
        return sum;
    }
    /// Each column's width: the widest is shortened, again and again, until all fit or none may be shortened.
    std::vector<std::size_t> fitted(const std::vector<std::size_t>& shown, std::size_t width,
                                    bool at_any_price) const {
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
                if (widths[k] > least(k) && (widest == columns_.size() || widths[k] > widths[widest]))
                    widest = k;
            if (widest == columns_.size()) break;
            --widths[widest];
        }
        return widths;
    }
    void add_line(std::string& out, const std::vector<std::string>& row,
                  const std::vector<std::size_t>& shown, const std::vector<std::size_t>& widths) const {
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

    std::vector<TableColumn> columns_;
    std::vector<std::vector<std::string>> rows_{};
};

}  // namespace amct_distill
