// SPDX-License-Identifier: Apache-2.0
/// Sentences broken into lines of a given width, at blanks.
///
///     wrapped("The integers compute what was simulated.", 24)
///     //   "  The integers compute\n  what was simulated.\n"
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "table.hpp"
#include "utf8.hpp"

namespace amct_distill {

/// Each line begins with `indent` blanks. A word that is longer than a line stands alone on one.
inline std::string wrapped(std::string_view text, std::size_t width = default_text_width,
                           std::size_t indent = 2) {
    std::string out, line;
    std::size_t taken = 0;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t const end = text.find(' ', at);
        std::string_view const word = text.substr(at, end - at);
        std::size_t const columns = detail::columns(word);
        if (taken != 0 && indent + taken + 1 + columns > width) {
            out.append(indent, ' ').append(line).push_back('\n');
            line.clear();
            taken = 0;
        }
        if (!line.empty()) line.push_back(' '), ++taken;
        line.append(word);
        taken += columns;
        if (end == text.npos) break;
        at = end + 1;
    }
    if (!line.empty()) out.append(indent, ' ').append(line).push_back('\n');
    return out;
}

}  // namespace amct_distill
