// SPDX-License-Identifier: Apache-2.0
/// A place in a text: tokens are taken, what is wrong is noted, valid values of no use are passed over.
///
/// The part of the reader that knows neither messages nor types. Usable in constant evaluation.
#pragma once
#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../core/diagnostic.hpp"
#include "../core/suggest.hpp"
#include "../core/utf8.hpp"
#include "grammar.hpp"
#include "strings.hpp"

namespace amct_distill {

/// What a second value for a singular field, or a second member of a oneof, means.
enum class duplicates {
    error,      ///< it is an error that names both places
    last_wins,  ///< as protobuf's Merge: a scalar or a oneof is replaced, a message merged; with a warning
                ///< each
};

struct ReaderOptions {
    std::string_view source = {};  ///< name of the text, for diagnostics
    duplicates on_duplicate = duplicates::error;
    bool unknown_fields_are_warnings = false;
    std::size_t max_depth = 100;  ///< of nested messages
};

namespace detail {

/// A text that grows by push_back only, so that clang with libstdc++ 12 can evaluate it in constants.
class TextBuffer {
public:
    constexpr TextBuffer() = default;
    constexpr TextBuffer(std::string_view s) { append(s); }
    constexpr void append(std::string_view s) {
        for (char c : s) chars_.push_back(c);
    }
    constexpr void append(char c) { chars_.push_back(c); }
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

class TextCursor {
public:
    constexpr TextCursor(std::string_view text, const ReaderOptions& options)
        : at_(text.data()), end_(at_ + text.size()), options_(options), begin_(at_), column_mark_(at_) {}
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
        if (std::is_constant_evaluated()) return;  // positions of fields are for run time
        for (const char* p = start; p != at_; ++p) {
            if (*p != '\n') continue;
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
        columns_ += static_cast<std::size_t>(at_ - column_mark_);
        if (!ascii_)
            for (const char* p = column_mark_; p != at_; ++p) columns_ -= is_utf8_continuation(*p) ? 1u : 0u;
        column_mark_ = at_;
        return {line_, columns_ + 1};
    }

    // ---- diagnostics
    [[gnu::cold, gnu::noinline]] constexpr void note(Severity severity, const char* where,
                                                     TextBuffer message) {
        if (severity == Severity::error) ++errors_;
        if (notes_.size() == max_diagnostics) return;
        TextBuffer path;
        append_path(path, path_);
        if (notes_.size() + 1 == max_diagnostics) message.append(" (further messages are not shown)");
        notes_.push_back(
            {severity, static_cast<std::size_t>(where - begin_), std::move(path), std::move(message)});
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
        auto const position = position_of({begin_, static_cast<std::size_t>(end_ - begin_)},
                                          static_cast<std::size_t>(p - begin_));
        return say(position.line, ':', position.column);
    }
    /// What stands at the current place, for "..., found X".
    [[gnu::cold, gnu::noinline]] constexpr TextBuffer found() const {
        if (at_ == end_) return say("the end of the text");
        const char* probe = at_;
        if (!grammar::match(grammar::word, probe, end_) && !grammar::match(grammar::quoted, probe, end_)) {
            do ++probe;  // one character
            while (probe != end_ && is_utf8_continuation(*probe));
        }
        constexpr std::ptrdiff_t longest = 40;
        if (probe - at_ <= longest)
            return say("`", std::string_view(at_, static_cast<std::size_t>(probe - at_)), "`");
        probe = at_ + longest;
        while (is_utf8_continuation(*probe)) --probe;
        return say("`", std::string_view(at_, static_cast<std::size_t>(probe - at_)), "...`");
    }
    template <class Names>
    [[gnu::cold, gnu::noinline]] static constexpr TextBuffer suggestion(std::string_view word,
                                                                        const Names& names) {
        std::string_view const name = nearest(word, names);
        if (name.empty()) return {};  // (g++ 12 cannot evaluate `?:` between two buffers)
        return say("; did you mean `", name, "`?");
    }
    constexpr bool check_characters() {
        std::string_view const text(begin_, static_cast<std::size_t>(end_ - begin_));
        if (text.starts_with("\xEF\xBB\xBF"))
            return stop(begin_, say("the text begins with a byte order mark; save it as UTF-8 without BOM"));
        if (auto const bad = first_invalid_utf8(text); bad != text.npos)
            return stop(begin_ + bad, say("not valid UTF-8; save the text as UTF-8"));
        if (!std::is_constant_evaluated()) ascii_ = is_ascii(text);
        if (auto const nul = text.find('\0'); nul != text.npos)
            return stop(begin_ + nul, say("a NUL character cannot stand in a text"));
        return true;
    }

    /// Whether a field begins here: where a value is expected, that value was forgotten.
    constexpr bool sees_field() const {
        const char* probe = at_;
        if (!grammar::match(grammar::identifier, probe, end_)) return false;
        grammar::match(grammar::skipped, probe, end_);
        return probe != end_ && (*probe == ':' || *probe == '{' || *probe == '<');
    }

    // ---- values that are passed over
    [[gnu::cold, gnu::noinline]] constexpr bool skip_field() {
        take(':');
        return skip_value();
    }
    /// Any valid value; without recursion, since the schema does not bound it.
    [[gnu::cold, gnu::noinline]] constexpr bool skip_value() {
        std::vector<char> open;  // the closers of what is open
        for (;;) {
            // one value
            if (peek('{') || peek('<') || peek('[')) {
                char const opener = *at_;
                if (depth_ + open.size() >= options_.max_depth)
                    return stop(at_, say("nested more than ", options_.max_depth, " messages deep"));
                take(opener);
                open.push_back(opener == '{' ? '}' : opener == '<' ? '>' : ']');
                if (open.back() == ']' && !peek(']')) continue;  // a list begins with a value
            } else if (!skip_scalar()) {
                return false;
            }
            // what follows it, up to the next value
            for (;;) {
                if (open.empty()) return true;
                if (take(open.back())) {
                    open.pop_back();
                    continue;
                }
                if (open.back() == ']') {
                    if (!take(',')) return stop(at_, say("expected `,` or `]`, found ", found()));
                    break;
                }
                if (!take(',')) take(';');
                if (take(open.back())) {
                    open.pop_back();
                    continue;
                }
                if (token(grammar::identifier).empty() && token(grammar::number).empty())
                    return stop(at_, say("expected a field name or `", open.back(), "`, found ", found()));
                take(':');
                break;
            }
        }
    }
    constexpr bool skip_scalar() {
        bool const negative = take('-');
        if (!token(grammar::number).empty() || !token(grammar::identifier).empty()) return true;
        if (!negative && sees(grammar::quoted)) {
            while (!token(grammar::quoted).empty()) {}
            return true;
        }
        return no_value();
    }
    /// Nothing here is a value: an error of syntax.
    [[gnu::cold, gnu::noinline]] constexpr bool no_value() {
        if (peek('"') || peek('\'')) return stop(at_, say("the string is not closed on its line"));
        if (sees(grammar::word)) return stop(at_, say(found(), " is not a number"));
        return stop(at_, say("expected a value, found ", found()));
    }
    [[gnu::cold, gnu::noinline]] constexpr bool wrong_type(std::string_view expected) {
        // A value of another kind is passed over; anything else is an error of syntax.
        bool const is_value = peek('-') || peek('{') || peek('<') || peek('[') || sees(grammar::number) ||
                              sees(grammar::identifier) || sees(grammar::quoted);
        if (!is_value) {
            if (peek('"') || peek('\'') || sees(grammar::word)) return no_value();
            return stop(at_, say("expected ", expected, ", found ", found()));
        }
        error(at_, say("expected ", expected, ", found ", found()));
        return skip_value();
    }

    const char* at_;  // the current token; blanks before it are skipped
    const char* end_;
    const ReaderOptions& options_;
    Step* path_ = nullptr;   // the innermost field
    std::size_t depth_ = 0;  // messages that are open
    std::size_t errors_ = 0;

private:
    const char* begin_;
    const char* column_mark_;  // columns_ code points of the line lie before it
    std::size_t columns_ = 0;
    bool ascii_ = false;  // the whole text: a column is a byte
    std::size_t line_ = 1;
    std::vector<ReaderNote> notes_{};
};

}  // namespace detail
}  // namespace amct_distill
