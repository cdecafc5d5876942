// SPDX-License-Identifier: Apache-2.0
/// The names of the fields of a struct that has two, with the signature of Boost 1.84's get_name.
#pragma once
#include <array>
#include <cstddef>
#include <string_view>

namespace boost::pfr {
template <std::size_t I, class T>
constexpr auto get_name() noexcept {
    return std::array<std::string_view, 2>{"expected_spelling", "second"}[I];
}
}  // namespace boost::pfr
