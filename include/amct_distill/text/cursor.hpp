// SPDX-License-Identifier: Apache-2.0
/// A place in a text: tokens are taken, what is wrong is noted, valid values of no use are passed over.
///
/// The part of the reader that knows neither messages nor types. Usable in constant evaluation.
#pragma once
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../core/characters.hpp"
#include "../core/diagnostic.hpp"
#include "../core/suggest.hpp"
#include "../core/utf8.hpp"
#include "grammar.hpp"
#include "notes.hpp"
#include "reader_options.hpp"
#include "strings.hpp"

namespace amct_distill {

namespace detail {

class TextCursor {
public:
    constexpr TextCursor(std::string_view all, const ReaderOptions& options)
        : at_(all.data()), end_(at_ + all.size()), options_(options), begin_(at_), column_mark_(at_) {}
    constexpr const std::vector<ReaderNote>& notes() const { return notes_; }

protected:
    /// A field that is being read: the fields that lead here are a list through the stack.
    struct Step {
        std::string_view name;
        std::size_t index;
        Step* outer;
    };
    static constexpr std::size_t no_index = static_cast<std::size_t>(-1);

    // ---- tokens
    constexpr void skip() {
        // Mostly there is nothing, or one blank: not worth a rule.
        if (peek(' ')) ++at_;
        if (at_ == end_ || (*at_ > ' ' && *at_ != '#')) return;
        const char* const start = at_;
        grammar::match(grammar::skipped, at_, end_);
        if (lone_returns_) warn_of_comments(start);
        if (std::is_constant_evaluated()) return;  // positions of fields are for run time
        for (const char* p = start; p != at_; ++p) {
            if (*p != '\n' && !(lone_returns_ && ends_line(text(), offset(p)))) continue;
            ++line_;
            column_mark_ = p + 1;
            columns_ = 0;
        }
    }
    constexpr bool peek(char c) const { return at_ != end_ && *at_ == c; }
    constexpr bool take(char c) { return peek(c) ? (++at_, skip(), true) : false; }
    template <class Rule>
    constexpr std::string_view token(const Rule& rule) {
        const char* const start = at_;
        if (!grammar::match(rule, at_, end_)) return {};
        std::string_view const t(start, static_cast<std::size_t>(at_ - start));
        skip();
        return t;
    }
    template <class Rule>
    constexpr bool sees(const Rule& rule) const {
        const char* probe = at_;
        return grammar::match(rule, probe, end_);
    }
    /// Line and column of the current token, in time linear over the whole text.
    constexpr Position here() {
        if (std::is_constant_evaluated()) return {};
        for (const char* p = column_mark_; lone_returns_ && p != at_; ++p) {  // within a string
            if (!ends_line(text(), offset(p))) continue;
            ++line_;
            column_mark_ = p + 1;
            columns_ = 0;
        }
        columns_ += static_cast<std::size_t>(at_ - column_mark_);
        if (!ascii_)
            for (const char* p = column_mark_; p != at_; ++p) columns_ -= is_utf8_continuation(*p) ? 1u : 0u;
        column_mark_ = at_;
        return {line_, columns_ + 1};
    }

    // ---- diagnostics
    /// `below`: fields below the one that is being read.
    [[gnu::cold, gnu::noinline]] constexpr void note(Severity severity, const char* where, TextBuffer message,
                                                     std::string_view below = {}) {
        if (severity == Severity::error) ++errors_;
        if (notes_.size() == max_diagnostics) return;
        TextBuffer path;
        append_path(path, path_);
        if (!below.empty()) path.append(say(path.empty() ? "" : ".", below));
        if (notes_.size() + 1 == max_diagnostics) message.append(" (further messages are not shown)");
        notes_.push_back({severity, offset(where), std::move(path), std::move(message)});
    }
    /// Puts a note before all others.
    [[gnu::cold, gnu::noinline]] constexpr void note_first(Severity severity, const char* where,
                                                           TextBuffer message) {
        std::vector<ReaderNote> all;
        all.push_back({severity, offset(where), {}, std::move(message)});
        for (ReaderNote& n : notes_) all.push_back(std::move(n));
        notes_ = std::move(all);
    }
    static constexpr void append_path(TextBuffer& out, const Step* s) {
        if (s == nullptr) return;
        append_path(out, s->outer);
        if (!out.empty()) out.append('.');
        out.append(s->name);
        if (s->index != no_index) out.append(say("[", s->index, "]"));
    }
    /// An error of meaning: reading goes on.
    [[gnu::cold, gnu::noinline]] constexpr bool error(const char* where, TextBuffer message) {
        note(Severity::error, where, std::move(message));
        return true;
    }
    /// An error of syntax: reading stops.
    [[gnu::cold, gnu::noinline]] constexpr bool stop(const char* where, TextBuffer message) {
        note(Severity::error, where, std::move(message));
        return false;
    }
    [[gnu::cold, gnu::noinline]] constexpr TextBuffer place(const char* p) const {
        auto const position = position_of(text(), offset(p));
        return say(position.line, ':', position.column);
    }
    /// What stands at the current place, for "..., found X"; and what is meant, where that can be told.
    [[gnu::cold, gnu::noinline]] constexpr TextBuffer found() const {
        if (at_ == end_) return say("the end of the text");
        if (sees_foreign()) return foreign_character();
        const char* probe = at_;
        if (!grammar::match(grammar::word, probe, end_) && !grammar::match(grammar::quoted, probe, end_))
            ++probe;
        std::string_view const seen(at_, static_cast<std::size_t>(probe - at_));
        if (seen == "/" && probe != end_ && (*probe == '/' || *probe == '*'))
            return say("`/", *probe, "`; comments begin with `#` and end with the line");
        if (seen == "=") return say("`=`; a value follows a `:`");
        constexpr std::size_t longest = 40;
        if (seen.size() <= longest) return say("`", seen, "`");
        std::size_t shown = longest;
        while (is_utf8_continuation(seen[shown])) --shown;
        return say("`", seen.substr(0, shown), "...`");
    }
    /// Whether a character stands here that is not ASCII: outside of strings and comments there is none.
    constexpr bool sees_foreign() const {
        return at_ != end_ && (static_cast<unsigned char>(*at_) & 0x80u) != 0;
    }
    [[gnu::cold, gnu::noinline]] constexpr TextBuffer foreign_character() const {
        std::string_view const rest(at_, static_cast<std::size_t>(end_ - at_));
        Character const c = character_at(rest);
        Lookalike const l = lookalike(c.code);
        TextBuffer out;
        if (!l.unseen) out.append(say("`", rest.substr(0, c.size), "`"));
        if (l.name.empty()) return out;
        out.append(l.unseen ? "U+" : " (U+");
        append_code_point(out, c.code);
        out.append(l.unseen ? " (" : ", ");
        out.append(l.name);
        out.append(")");
        if (l.instead == "," && between_digits(rest.substr(c.size)))
            out.append("; a decimal point is written `.`");
        else if (l.instead.empty())
            out.append("; remove it");
        else if (l.instead == " ")
            out.append("; replace it by a blank");
        else
            out.append(say("; write `", l.instead, "`"));
        return out;
    }
    constexpr bool between_digits(std::string_view after) const {
        auto const is_digit = [](char c) { return c >= '0' && c <= '9'; };
        return at_ != begin_ && is_digit(at_[-1]) && !after.empty() && is_digit(after.front());
    }
    template <class Names>
    [[gnu::cold, gnu::noinline]] static constexpr TextBuffer suggestion(std::string_view word,
                                                                        const Names& names) {
        std::string_view const name = nearest(word, names);
        if (name.empty()) return {};  // (g++ 12 cannot evaluate `?:` between two buffers)
        return say("; did you mean `", name, "`?");
    }
    constexpr bool check_characters() {
        std::string_view const all = text();
        if (all.starts_with("\xEF\xBB\xBF"))
            return stop(begin_, say("the text begins with a byte order mark; save it as UTF-8 without BOM"));
        if (all.starts_with("\xFF\xFE") || all.starts_with("\xFE\xFF"))
            return stop(begin_, say("the text is UTF-16; save it as UTF-8 without BOM"));
        if (auto const bad = first_invalid_utf8(all); bad != all.npos)
            return stop(begin_ + bad, say("not valid UTF-8; save the text as UTF-8"));
        if (!std::is_constant_evaluated()) ascii_ = is_ascii(all);
        if (auto const nul = all.find('\0'); nul != all.npos)
            return stop(begin_ + nul, say("a NUL character cannot stand in a text"));
        for (auto at = all.find('\r'); at != all.npos && !lone_returns_; at = all.find('\r', at + 1))
            lone_returns_ = ends_line(all, at);
        return true;
    }
    /// A comment ends with a line feed: after a lone carriage return it goes on, unseen.
    [[gnu::cold, gnu::noinline]] constexpr void warn_of_comments(const char* p) {
        for (bool comment = false; p != at_; ++p) {
            comment = *p == '#' || (comment && *p != '\n');
            if (!comment || *p != '\r' || !ends_line(text(), offset(p)) || p + 1 == end_) continue;
            if (!warned_of_comments_)
                note(Severity::warning, p,
                     say("a lone carriage return does not end the comment, and what follows is part of it up "
                         "to the next line feed; save the file with line ends LF or CR LF"));
            warned_of_comments_ = true;
        }
    }

    /// `[extension]` or `[type.url/Any]`, on one line; empty when there is none.
    constexpr std::string_view bracketed_name() {
        const char* const start = at_;
        const char* probe = at_;
        if (!peek('[')) return {};
        while (probe != end_ && *probe != ']' && *probe != '\n') ++probe;
        if (probe == end_ || *probe != ']') return {};
        at_ = probe + 1;
        skip();
        return {start, static_cast<std::size_t>(probe + 1 - start)};
    }

    /// Whether a field begins here: where a value is expected, that value was forgotten.
    constexpr bool sees_field() const {
        const char* probe = at_;
        if (!grammar::match(grammar::identifier, probe, end_)) return false;
        grammar::match(grammar::skipped, probe, end_);
        return probe != end_ && (*probe == ':' || *probe == '{' || *probe == '<');
    }

    const char* at_;  // the current token; blanks before it are skipped
    const char* end_;
    const ReaderOptions& options_;
    Step* path_ = nullptr;   // the innermost field
    std::size_t depth_ = 0;  // messages that are open
    std::size_t errors_ = 0;

    constexpr std::string_view text() const { return {begin_, static_cast<std::size_t>(end_ - begin_)}; }
    constexpr std::size_t offset(const char* p) const { return static_cast<std::size_t>(p - begin_); }

private:
    const char* begin_;
    const char* column_mark_;  // columns_ code points of the line lie before it
    std::size_t columns_ = 0;
    bool ascii_ = false;         // the whole text: a column is a byte
    bool lone_returns_ = false;  // carriage returns without a line feed: they end lines, not comments
    bool warned_of_comments_ = false;
    std::size_t line_ = 1;
    std::vector<ReaderNote> notes_{};
};

}  // namespace detail
}  // namespace amct_distill
