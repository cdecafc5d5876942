// SPDX-License-Identifier: Apache-2.0
/// One string from pieces: texts, characters and whole numbers.
///
///     detail::concat("expected ", 3, " channels, found ", n)
///
/// (`std::string + "..."` would do, but g++ 12 at -O2 answers it with false -Wrestrict and -Warray-bounds
/// warnings, GCC bugs 105329 and 105651.)
#pragma once
#include <concepts>
#include <string>
#include <string_view>

namespace amct_distill::detail {

inline void append(std::string& out, std::string_view piece) { out.append(piece); }
inline void append(std::string& out, char piece) { out.push_back(piece); }
template <std::integral N>
requires(!std::same_as<N, char> && !std::same_as<N, bool>) void append(std::string& out, N piece) {
    out.append(std::to_string(piece));
}

template <class... Pieces>
std::string concat(const Pieces&... pieces) {
    std::string out;
    (append(out, pieces), ...);
    return out;
}

}  // namespace amct_distill::detail
