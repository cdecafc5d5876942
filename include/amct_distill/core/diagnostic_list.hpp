// SPDX-License-Identifier: Apache-2.0
/// What is found wrong or odd while resolving, collected, each finding with its place in the text.
///
///     detail::DiagnosticList found(SourceText{"quant.cfg", text});
///     found.error({3, 1}, "batch_num", "...");
///     if (found.failed()) return found.errors();
///
/// Positions come from the message's labels; a message built in C++ has none, and its diagnostics name the
/// path alone.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "result.hpp"
#include "source_text.hpp"

namespace amct_distill {

namespace detail {

/// The byte offset of a position: the inverse of position_of. After the line's end: that end.
constexpr std::size_t offset_of(std::string_view text, Position where) {
    std::size_t at = 0;
    for (std::size_t line = 1; line < where.line; ++at) {
        if (at == text.size()) return at;
        if (ends_line(text, at)) ++line;
    }
    for (std::size_t column = 1; column < where.column && at != text.size() && !ends_line(text, at); ++column)
        do ++at;
        while (at != text.size() && is_utf8_continuation(text[at]));
    return at;
}

class DiagnosticList {
public:
    explicit DiagnosticList(SourceText source) : source_(std::move(source)) {}

    void error(Position where, std::string path, std::string message) {
        errors_.push_back(make(Severity::error, where, std::move(path), std::move(message)));
    }
    void warning(Position where, std::string path, std::string message) {
        warnings_.push_back(make(Severity::warning, where, std::move(path), std::move(message)));
    }
    bool failed() const { return !errors_.empty(); }
    /// In the order of the text, those without a place last.
    Diagnostics errors() const { return in_order(errors_); }
    Diagnostics warnings() const { return in_order(warnings_); }

private:
    Diagnostic make(Severity severity, Position where, std::string path, std::string message) const {
        if (where.line != 0 && !source_.text.empty())
            return diagnostic_at(severity, source_.name, source_.text, offset_of(source_.text, where),
                                 std::move(path), std::move(message));
        return {severity, source_.name, where, std::move(path), std::move(message)};
    }
    static Diagnostics in_order(Diagnostics all) {
        std::stable_sort(all.begin(), all.end(), [](const Diagnostic& a, const Diagnostic& b) {
            if (a.where.line == 0 || b.where.line == 0) return a.where.line > b.where.line;
            return std::pair(a.where.line, a.where.column) < std::pair(b.where.line, b.where.column);
        });
        return all;
    }

    SourceText source_;
    Diagnostics errors_{};
    Diagnostics warnings_{};
};

/// "`a`", "`a` and `b`", "`a`, `b` and `c`"; of more than ten the first eight, and how many more.
template <class Names>
std::string quoted_list(const Names& names) {
    std::size_t const shown = names.size() > 10 ? 8 : names.size();
    std::string out;
    std::size_t i = 0;
    for (const auto& name : names) {
        if (i == shown) break;
        if (i != 0) append(out, i + 1 == names.size() ? " and " : ", ");
        append(out, concat('`', name, '`'));
        ++i;
    }
    if (shown != names.size()) append(out, concat(" and ", names.size() - shown, " more"));
    return out;
}

}  // namespace detail
}  // namespace amct_distill
