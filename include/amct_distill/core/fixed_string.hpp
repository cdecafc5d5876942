// SPDX-License-Identifier: Apache-2.0
/// A string literal as a template argument.
///
///     template <fixed_string Name> struct layer {};   layer<"conv1">::name.view() == "conv1"
#pragma once
#include <cstddef>
#include <string_view>

namespace amct_distill {

template <std::size_t N>  // characters, the terminating NUL included
struct fixed_string {
    char text[N]{};

    constexpr fixed_string() = default;
    consteval fixed_string(const char (&literal)[N]) {
        for (std::size_t i = 0; i != N; ++i) text[i] = literal[i];
    }
    constexpr std::string_view view() const { return {text, N - 1}; }
};

}  // namespace amct_distill
