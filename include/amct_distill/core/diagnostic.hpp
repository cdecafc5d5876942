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
#include <utility>

#include "characters.hpp"
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

/// Fills in the excerpt of a diagnostic whose position is set.
inline void quote_line(Diagnostic& d, std::string_view text, std::size_t offset) {
    std::size_t start = offset, stop = offset;
    while (start != 0 && !ends_line(text, start - 1)) --start;
    while (stop != text.size() && !ends_line(text, stop)) ++stop;
    if (stop > start && text[stop - 1] == '\r') --stop;
    std::string_view const line = text.substr(start, stop - start);

    // The window of code points that is shown: all of a short line, else around the caret.
    std::size_t const length = count_code_points(line), column = d.where.column - 1;
    std::size_t const first =
        length <= Diagnostic::max_excerpt ? 0
        : column <= Diagnostic::max_excerpt / 2
            ? 0
            : (std::min)(column - Diagnostic::max_excerpt / 2, length - Diagnostic::max_excerpt);
    std::size_t index = 0;
    for (std::string_view rest = line; !rest.empty(); ++index) {
        // What a terminal would act on (NUL, escape, a direction mark, ...) or cannot show is one `?`.
        bool const valid = first_invalid_utf8(rest.substr(0, 4)) != 0;
        Character const c = valid ? character_at(rest) : Character{0, 1};
        Lookalike const l = lookalike(c.code);
        bool const hidden =
            (c.code < 0x20 && c.code != '\t') || c.code == 0x7F || (l.unseen && l.instead.empty());
        std::size_t size = c.size;
        while (!valid && size != rest.size() && is_utf8_continuation(rest[size])) ++size;
        if (index >= first && index < first + Diagnostic::max_excerpt)
            d.excerpt += hidden ? std::string_view("?") : rest.substr(0, size);
        rest.remove_prefix(size);
    }
    d.caret = column - first;
    d.quoted = true;
}

}  // namespace detail

/// The diagnostic for byte `offset` of `text`: finds line and column, copies the line.
inline Diagnostic diagnostic_at(Severity severity, std::string_view source, std::string_view text,
                                std::size_t offset, std::string path, std::string message) {
    offset = (std::min)(offset, text.size());
    Diagnostic d{severity, std::string(source), detail::position_of(text, offset), std::move(path),
                 std::move(message)};
    detail::quote_line(d, text, offset);
    return d;
}

/// A diagnostic that is not about a place in a text.
// Not inlined: an error path is cold, and inlining it draws false -Wstringop-overflow from g++ 12.
[[gnu::cold, gnu::noinline]] inline Diagnostic general_error(std::string message) {
    Diagnostic d;
    d.message = std::move(message);
    return d;
}
[[gnu::cold, gnu::noinline]] inline Diagnostic general_warning(std::string message) {
    Diagnostic d = general_error(std::move(message));
    d.severity = Severity::warning;
    return d;
}

/// `source:line:column: error: path: message`, then the line, indented by two, and a caret. No newline at
/// the end.
inline std::string to_string(const Diagnostic& d) {
    std::string out = d.source;
    if (d.where.line != 0) {
        if (!out.empty()) out += ':';
        out += detail::concat(d.where.line, ':', d.where.column);
    }
    if (!out.empty()) out += ": ";
    out += d.severity == Severity::error ? "error: " : "warning: ";
    if (!d.path.empty()) out += detail::concat(d.path, ": ");
    out += d.message;
    if (d.quoted) {
        out += detail::concat("\n  ", d.excerpt, "\n  ");
        // Tabs stay tabs, and characters that take two columns take two, so that the caret stands below its
        // token.
        std::size_t left = d.caret;
        for (std::string_view rest = d.excerpt; !rest.empty() && left != 0; --left) {
            detail::Character const c = detail::character_at(rest);
            rest[0] == '\t' ? out.append("\t") : out.append(detail::columns_of(c.code), ' ');
            rest.remove_prefix((std::min)(c.size, rest.size()));
        }
        out.append(left, ' ');
        out += '^';
    }
    return out;
}

}  // namespace amct_distill
