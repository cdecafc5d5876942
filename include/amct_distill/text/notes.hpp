// SPDX-License-Identifier: Apache-2.0
/// What the reader finds, before lines and columns are counted: texts that constant evaluation can build.
///
///     detail::TextBuffer const message = detail::say("expected `:`, found `", word, "`");
///
/// Usable in constant evaluation.
#pragma once
#include <concepts>
#include <cstddef>
#include <string_view>
#include <vector>

#include "../core/diagnostic.hpp"

namespace amct_distill::detail {

/// A text that grows by push_back only, so that clang with libstdc++ 12 can evaluate it in constants.
class TextBuffer {
public:
    constexpr TextBuffer() = default;
    constexpr TextBuffer(std::string_view s) { append(s); }
    constexpr void append(std::string_view s) {
        for (char c : s) chars_.push_back(c);
    }
    constexpr void append(char c) { chars_.push_back(c); }
    constexpr void push_back(char c) { chars_.push_back(c); }
    constexpr void append(const TextBuffer& other) { append(other.view()); }
    template <std::unsigned_integral N>
    constexpr void append(N n) {
        if (n >= 10) append(static_cast<N>(n / 10));
        chars_.push_back(static_cast<char>('0' + n % 10));
    }
    constexpr std::string_view view() const { return {chars_.data(), chars_.size()}; }
    constexpr bool empty() const { return chars_.empty(); }

private:
    std::vector<char> chars_{};
};

template <class... Pieces>
[[gnu::cold, gnu::noinline]] constexpr TextBuffer say(const Pieces&... pieces) {
    TextBuffer out;
    (out.append(pieces), ...);
    return out;
}

/// A diagnostic of the reader, before lines and columns are counted.
struct ReaderNote {
    Severity severity{};
    std::size_t offset = 0;
    TextBuffer path{};
    TextBuffer message{};
};

inline constexpr std::size_t max_diagnostics = 100;

}  // namespace amct_distill::detail
