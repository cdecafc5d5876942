// SPDX-License-Identifier: Apache-2.0
/// One string from pieces: texts, characters and numbers.
///
///     detail::concat("expected ", 3, " channels, found ", n)
///
/// (`std::string + "..."` would do, but g++ 12 at -O2 answers it with false -Wrestrict and -Warray-bounds
/// warnings, GCC bugs 105329 and 105651.)
#pragma once
#include <concepts>
#include <string>
#include <string_view>

#include "number.hpp"

namespace amct_distill::detail {

inline void append(std::string& out, std::string_view piece) { out.append(piece); }
inline void append(std::string& out, char piece) { out.push_back(piece); }
template <class N>
requires((std::integral<N> && !std::same_as<N, char> && !std::same_as<N, bool>) ||
         std::floating_point<N>) void append(std::string& out, N piece) {
    out.append(number(piece));
}

template <class... Pieces>
std::string concat(const Pieces&... pieces) {
    std::string out;
    (append(out, pieces), ...);
    return out;
}

}  // namespace amct_distill::detail
