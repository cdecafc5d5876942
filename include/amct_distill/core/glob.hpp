// SPDX-License-Identifier: Apache-2.0
/// Patterns of names: `*` stands for any characters, `?` for one.
///
///     detail::matches("layer1.*", "layer1.0.conv1")       detail::is_pattern("layer1.*")
///
/// Usable in constant evaluation.
#pragma once
#include <cstddef>
#include <string_view>

namespace amct_distill::detail {

constexpr bool is_pattern(std::string_view text) { return text.find_first_of("*?") != text.npos; }

/// In time linear in the name for each `*`, at the most.
constexpr bool matches(std::string_view pattern, std::string_view name) {
    std::size_t p = 0, n = 0, star = pattern.npos,
                from = 0;  // where the last `*` stands, and what it took up to
    while (n != name.size()) {
        if (p != pattern.size() && pattern[p] == '*') {
            star = p++;
            from = n;
        } else if (p != pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
            ++p;
            ++n;
        } else if (star != pattern.npos) {
            p = star + 1;
            n = ++from;
        } else {
            return false;
        }
    }
    while (p != pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

}  // namespace amct_distill::detail
