// SPDX-License-Identifier: Apache-2.0
/// A message about one place in a text: where, what, and the line it is about.
///
///     Diagnostic d = diagnostic_at(Severity::error, "quant.cfg", text, offset, "batch_num", "expected `:`");
///     std::cerr << to_string(d);
///     // quant.cfg:3:11: error: batch_num: expected `:`, found `1`
///     //   batch_num 1
///     //             ^
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "concat.hpp"
#include "utf8.hpp"

namespace amct_distill {

enum class Severity { error, warning };

/// A place in a text, 1-based; columns count code points, a tab counts one. `line == 0`: no place.
struct Position {
    std::size_t line = 0;
    std::size_t column = 0;
    friend constexpr bool operator==(const Position&, const Position&) = default;
};

struct Diagnostic {
    Severity severity = Severity::error;
    std::string source{};   ///< name of the text, as given to the reader; may be empty
    Position where{};       ///< {0, 0} when the message is not about a place
    std::string path{};     ///< the fields that lead there, `a.b[1].c`; may be empty
    std::string message{};  ///< what is wrong, and the remedy
    std::string excerpt{};  ///< the line, cut to `max_excerpt` code points around the place; may be empty
    std::size_t caret = 0;  ///< 0-based column of the caret below `excerpt`
    bool quoted = false;    ///< the text was at hand: `excerpt` and `caret` are its

    static constexpr std::size_t max_excerpt = 100;
    friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};

namespace detail {

/// Code points of a text that may not be valid UTF-8: every byte that does not continue another one.
constexpr std::size_t count_code_points(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return !is_utf8_continuation(c); }));
}

/// Whether a line ends with this byte: a line feed, or a carriage return without one.
constexpr bool ends_line(std::string_view text, std::size_t i) {
    return text[i] == '\n' || (text[i] == '\r' && (i + 1 == text.size() || text[i + 1] != '\n'));
}

constexpr Position position_of(std::string_view text, std::size_t offset) {
    std::size_t lines = 1, start = 0;
    for (std::size_t i = 0; i != offset; ++i) {
        if (!ends_line(text, i)) continue;
        ++lines;
        start = i + 1;
    }
    return {lines, count_code_points(text.substr(start, offset - start)) + 1};
}

}  // namespace detail

/// The diagnostic for byte `offset` of `text`: finds line and column, copies the line.
Diagnostic diagnostic_at(Severity severity, std::string_view source, std::string_view text,
                         std::size_t offset, std::string path, std::string message);

/// A diagnostic that is not about a place in a text.
// Not inlined: an error path is cold, and inlining it draws false -Wstringop-overflow from g++ 12.
[[gnu::cold]] Diagnostic general_error(std::string message);
[[gnu::cold]] Diagnostic general_warning(std::string message);

/// `source:line:column: error: path: message`, then the line, indented by two, and a caret. No newline at
/// the end.
std::string to_string(const Diagnostic& d);

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "diagnostic-inl.hpp"
#endif
