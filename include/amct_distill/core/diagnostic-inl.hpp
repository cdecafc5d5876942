// SPDX-License-Identifier: Apache-2.0
/// The definitions of diagnostic.hpp.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "characters.hpp"
#include "concat.hpp"
#include "diagnostic.hpp"
#include "inline.hpp"
#include "utf8.hpp"

namespace amct_distill {
namespace detail {

/// Fills in the excerpt of a diagnostic whose position is set.
AMCT_DISTILL_INLINE void quote_line(Diagnostic& d, std::string_view text, std::size_t offset) {
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

AMCT_DISTILL_INLINE Diagnostic diagnostic_at(Severity severity, std::string_view source,
                                             std::string_view text, std::size_t offset, std::string path,
                                             std::string message) {
    offset = (std::min)(offset, text.size());
    Diagnostic d{severity, std::string(source), detail::position_of(text, offset), std::move(path),
                 std::move(message)};
    detail::quote_line(d, text, offset);
    return d;
}

// Not inlined: an error path is cold, and inlining it draws false -Wstringop-overflow from g++ 12.
[[gnu::cold, gnu::noinline]] AMCT_DISTILL_INLINE Diagnostic general_error(std::string message) {
    Diagnostic d;
    d.message = std::move(message);
    return d;
}
[[gnu::cold, gnu::noinline]] AMCT_DISTILL_INLINE Diagnostic general_warning(std::string message) {
    Diagnostic d = general_error(std::move(message));
    d.severity = Severity::warning;
    return d;
}

AMCT_DISTILL_INLINE std::string to_string(const Diagnostic& d) {
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
