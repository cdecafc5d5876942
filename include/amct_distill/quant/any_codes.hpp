// SPDX-License-Identifier: Apache-2.0
/// Codes of a weight whose width is known at run time only: one of the widths that configurations name.
///
///     AnyCodes const codes = Codes<Int4>::pack(q.codes, q.rows, q.cols).value();
///     std::visit([]<class B>(const Codes<B>& c) { use(c.bytes()); }, codes);      // the type is back
///     rows(codes), cols(codes), name_of(codes);                                    // "INT4"
///     unpack(codes);                                                               // a code in each byte
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "../policy/widths.hpp"
#include "codes.hpp"

namespace amct_distill {

using AnyCodes = EachWidth<Codes>;

inline std::size_t rows(const AnyCodes& codes) {
    return std::visit([](const auto& c) { return c.rows(); }, codes);
}
inline std::size_t cols(const AnyCodes& codes) {
    return std::visit([](const auto& c) { return c.cols(); }, codes);
}
/// As configurations and records name the width.
inline std::string_view name_of(const AnyCodes& codes) {
    return std::visit([]<class B>(const Codes<B>&) -> std::string_view { return B::name; }, codes);
}
inline std::string_view name_of(const Width& width) {
    return std::visit([]<class B>(B) -> std::string_view { return B::name; }, width);
}

/// Preconditions: r < rows(codes); `out` has cols(codes) entries.
inline void unpack_row(const AnyCodes& codes, std::size_t r, std::span<std::int8_t> out) {
    std::visit([&](const auto& c) { c.unpack_row(r, out); }, codes);
}
inline std::vector<std::int8_t> unpack(const AnyCodes& codes) {
    return std::visit([](const auto& c) { return c.unpack(); }, codes);
}

}  // namespace amct_distill
