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
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace amct_distill {
namespace detail {

/// The text; when it takes more than `width` columns (at least 4), its end after "..." or its start before
/// it.
std::string shortened(std::string_view text, std::size_t width, bool keep_start = false);

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
    std::string text(std::size_t width = default_text_width) const;

private:
    static std::size_t total(const std::vector<std::size_t>& widths, const std::vector<std::size_t>& shown);
    /// Each column's width: the widest is shortened, again and again, until all fit or none may be shortened.
    std::vector<std::size_t> fitted(const std::vector<std::size_t>& shown, std::size_t width,
                                    bool at_any_price) const;
    void add_line(std::string& out, const std::vector<std::string>& row,
                  const std::vector<std::size_t>& shown, const std::vector<std::size_t>& widths) const;

    std::vector<TableColumn> columns_;
    std::vector<std::vector<std::string>> rows_{};
};

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "table-inl.hpp"
#endif
