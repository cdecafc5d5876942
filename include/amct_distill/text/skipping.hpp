// SPDX-License-Identifier: Apache-2.0
/// Values that are passed over: those of unknown fields, and of the wrong type; and what the fields of other
/// formats among them mean.
///
/// A part of the reader; usable in constant evaluation.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <vector>

#include "cursor.hpp"
#include "foreign_fields.hpp"

namespace amct_distill::detail {

class ValueSkipper : public TextCursor {
protected:
    using TextCursor::TextCursor;

    /// `kept`: gets the field in the canonical text format.
    [[gnu::cold, gnu::noinline]] constexpr bool skip_field(std::string_view name,
                                                           TextBuffer* kept = nullptr) {
        return take_colon() && skip_value(name, kept);
    }
    /// The `:` after a field's name, which may be missing before a message, or a list of messages, only.
    constexpr bool take_colon() {
        if (take(':') || peek('{') || peek('<')) return true;
        if (!peek('[')) return stop(at_, say("expected `:`, found ", found()));
        const char* first = at_ + 1;
        grammar::match(grammar::skipped, first, end_);
        bool const of_messages = first != end_ && (*first == '{' || *first == '<' || *first == ']');
        return of_messages || stop(at_, say("expected `:` before the list"));
    }
    /// Any valid value, of the field `name`; without recursion, since the schema does not bound it.
    [[gnu::cold, gnu::noinline]] constexpr bool skip_value(std::string_view name = {},
                                                           TextBuffer* kept = nullptr) {
        std::vector<char> open;               // the closers of what is open
        std::vector<std::string_view> names;  // of what is open, and of the field that is being passed over
        names.push_back(name);
        std::size_t braces = 0;  // open messages
        auto const keep = [&](std::string_view field, std::string_view end) {
            if (kept == nullptr) return;
            for (std::size_t i = 0; i != braces; ++i) kept->append("  ");
            kept->append(field);
            kept->append(end);
        };
        auto const close = [&] {
            bool const message = open.back() != ']';
            open.pop_back();
            names.pop_back();
            if (!message) return;
            --braces;
            keep("}", "\n");
        };
        for (;;) {
            // one value
            if (peek('{') || peek('<') || peek('[')) {
                char const opener = *at_;
                if (depth_ + open.size() >= options_.max_depth)
                    return stop(at_, say("nested more than ", options_.max_depth, " messages deep"));
                take(opener);
                open.push_back(opener == '{' ? '}' : opener == '<' ? '>' : ']');
                if (opener == '[') {
                    names.push_back(names.back());  // of each element
                } else {
                    keep(names.back(), " {\n");
                    ++braces;
                    names.push_back({});
                }
                if (opener == '[' && !peek(']')) continue;  // a list begins with a value
            } else {
                keep(names.back(), ": ");
                if (!skip_scalar(kept)) return false;
            }
            // what follows it, up to the next value
            for (;;) {
                if (open.empty()) return true;
                if (take(open.back())) {
                    close();
                    continue;
                }
                if (open.back() == ']') {
                    if (!take(',')) return stop(at_, say("expected `,` or `]`, found ", found()));
                    break;
                }
                if (!take(',')) take(';');
                if (take(open.back())) {
                    close();
                    continue;
                }
                const char* const where = at_;
                names.back() = token(grammar::identifier);
                if (names.back().empty()) names.back() = token(grammar::number);
                if (names.back().empty()) names.back() = bracketed_name();
                if (names.back().empty())
                    return stop(at_, say("expected a field name or `", open.back(), "`, found ", found()));
                note_foreign(where, names);
                if (!take_colon()) return false;
                break;
            }
        }
    }
    /// A field of another format within a value that is passed over: what there is for it here.
    [[gnu::cold, gnu::noinline]] constexpr void note_foreign(const char* where,
                                                             const std::vector<std::string_view>& names) {
        const ForeignField* const field = foreign_.find(names.back());
        if (field == nullptr || !meets(*field, where) || !field->has_counterpart) return;
        TextBuffer path;
        for (std::size_t i = 0; i + 1 < names.size(); ++i) {
            const ForeignField* const outer = foreign_.find(names[i]);
            if (outer != nullptr && !outer->has_counterpart) return;  // all of it goes
            if (!names[i].empty()) path.append(say(path.empty() ? "" : ".", names[i]));
        }
        note(unknown_severity(), where, say("unknown field `", field->name, "`; ", field->advice),
             path.view());
    }
    /// Counts a field of another format; whether it is the first of its name.
    [[gnu::cold, gnu::noinline]] constexpr bool meets(const ForeignField& field, const char* where) {
        if (first_foreign_ == nullptr) first_foreign_ = where;
        for (const ForeignField* f : met_)
            if (f == &field) return false;
        met_.push_back(&field);
        origins_.add(field.origins);
        return true;
    }
    /// The field of another format that a misspelled name is nearer to than to any of `own`.
    [[gnu::cold, gnu::noinline]] constexpr const ForeignField* nearest_foreign(std::string_view name,
                                                                               std::string_view own) const {
        if (std::is_constant_evaluated()) return nullptr;  // too many steps
        const ForeignField* best = nullptr;
        std::size_t least = own.empty() ? name.size() : edit_distance(name, own);
        for (const ForeignField& f : foreign_.fields) {
            if (nearest(name, std::array<std::string_view, 1>{f.name}).empty()) continue;
            std::size_t const distance = edit_distance(name, f.name);
            if (distance >= least) continue;
            least = distance;
            best = &f;
        }
        return best;
    }
    constexpr Severity unknown_severity() const {
        return options_.unknown_fields_are_warnings ? Severity::warning : Severity::error;
    }
    /// One sentence for all of them: what the text seems to be written for.
    [[gnu::cold, gnu::noinline]] constexpr void note_foreign_format(bool has_own_fields) {
        if (first_foreign_ == nullptr) return;
        note_first(unknown_severity(), first_foreign_,
                   say(has_own_fields ? "this configuration has fields of one for "
                                      : "this looks like a configuration for ",
                       foreign_.family, ' ', names_of(origins_, foreign_), ": ", foreign_.here));
    }

    constexpr bool skip_scalar(TextBuffer* kept = nullptr) {
        auto const keep = [&](std::string_view before, std::string_view piece) {
            if (kept == nullptr) return;
            kept->append(before);
            kept->append(piece);
        };
        bool const negative = take('-');
        const char* const where = at_;
        std::string_view piece = token(grammar::number);
        if (piece.empty()) {
            piece = token(grammar::identifier);
            if (negative && !piece.empty() && !is_infinity(piece) && !is_nan(piece))
                error(where, say("expected a number after `-`, found `", piece, "`"));
        }
        if (!piece.empty()) {
            keep(negative ? "-" : "", piece);
        } else {
            if (negative || !sees(grammar::quoted)) return no_value();
            for (piece = token(grammar::quoted); !piece.empty(); piece = token(grammar::quoted)) {
                std::vector<char> meant;
                if (auto const bad = unescape(piece.substr(1, piece.size() - 2), meant); !bad.message.empty())
                    error(piece.data() + 1 + bad.offset, say(bad.message));
                keep("", piece);
                if (sees(grammar::quoted)) keep(" ", "");
            }
        }
        keep("\n", "");
        return true;
    }
    static constexpr bool is_infinity(std::string_view word) {
        return same_ignoring_case(word, "inf") || same_ignoring_case(word, "infinity");
    }
    static constexpr bool is_nan(std::string_view word) { return same_ignoring_case(word, "nan"); }
    static constexpr bool same_ignoring_case(std::string_view a, std::string_view lower) {
        return std::equal(a.begin(), a.end(), lower.begin(), lower.end(), [](char x, char y) {
            return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
        });
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

    ForeignFields foreign_{};                 // of the outermost message
    const char* first_foreign_ = nullptr;     // where the first of them stands
    std::vector<const ForeignField*> met_{};  // each once
    ForeignOrigins origins_{};
};

}  // namespace amct_distill::detail
