// SPDX-License-Identifier: Apache-2.0
/// A table of a list of aggregates: a column for a field, or for what is made of one.
///
///     detail::column_table(report.layers,
///                          detail::Column{"layer", &VerifiedLayer::name},
///                          detail::Column{"of", [](const VerifiedLayer& l) { return percent(l.part); }});
///
/// How a field is spelled comes from its type: whole numbers in full, others with three digits, names shortened.
#pragma once
#include <concepts>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "../core/number.hpp"
#include "../core/table.hpp"

namespace amct_distill::detail {

inline constexpr std::size_t longest_cell = 20;

template <class T>
std::string cell(const T& value) {
    if constexpr (std::same_as<T, bool>)
        return value ? "yes" : "no";
    else if constexpr (std::floating_point<T>)
        return short_number(static_cast<double>(value));
    else if constexpr (std::integral<T>)
        return number(value);
    else
        return shortened(std::string_view(value), longest_cell);
}

/// `cell` is a member, or a function of the row. A text that a function makes stays as it is.
template <class F>
struct Column {
    std::string_view heading{};
    F cell;

    template <class Row>
    std::string text(const Row& row) const {
        if constexpr (!std::is_member_pointer_v<F> &&
                      std::same_as<std::invoke_result_t<const F&, const Row&>, std::string>)
            return std::invoke(cell, row);
        else
            return detail::cell(std::invoke(cell, row));
    }
};
template <class F>
Column(const char*, F) -> Column<F>;

template <class Row, class... F>
std::string column_table(const std::vector<Row>& list, const Column<F>&... columns) {
    std::vector<TableRow> rows{{std::string(columns.heading)...}};
    for (const Row& row : list) rows.push_back({columns.text(row)...});
    return text_table(rows);
}

}  // namespace amct_distill::detail
