// SPDX-License-Identifier: Apache-2.0
/// A table of a list of aggregates: a column for a field, or for what is made of one.
///
///     detail::column_table(report.layers, width,
///                          detail::Column{{"layer", 12}, &VerifiedLayer::name},
///                          detail::Column{{"of"}, [](const VerifiedLayer& l) { return percent(l.part); }});
///
/// How a field is spelled comes from its type: whole numbers in full, others with three digits. What may be
/// shortened or left out on a narrow terminal, TableColumn says.
#pragma once
#include <concepts>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "../core/number.hpp"
#include "../core/table.hpp"

namespace amct_distill::detail {

template <class T>
std::string cell(const T& value) {
    if constexpr (std::same_as<T, bool>)
        return value ? "yes" : "no";
    else if constexpr (std::floating_point<T>)
        return short_number(static_cast<double>(value));
    else if constexpr (std::integral<T>)
        return number(value);
    else
        return std::string(value);
}

/// `cell` is a member, or a function of the row.
template <class F>
struct Column {
    TableColumn column{};
    F cell;

    template <class Row>
    std::string text(const Row& row) const {
        return detail::cell(std::invoke(cell, row));
    }
};
template <class F>
Column(TableColumn, F) -> Column<F>;

template <class Row, class... F>
std::string column_table(const std::vector<Row>& list, std::size_t width, const Column<F>&... columns) {
    Table table({columns.column...});
    for (const Row& row : list) table.add({columns.text(row)...});
    return table.text(width);
}

}  // namespace amct_distill::detail
