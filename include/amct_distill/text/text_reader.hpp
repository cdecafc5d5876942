// SPDX-License-Identifier: Apache-2.0
/// How protobuf's text format is read into a message, at run time and in constant evaluation.
///
///     detail::TextReader reader(text, options);
///     bool ok = reader.read(message);             // else reader.notes() says what is wrong, and where
///
/// A reflective descent: the message's fields decide what is expected, the token rules are those of
/// grammar.hpp. Syntax errors stop it; errors of meaning (unknown field, wrong type, range, duplicate,
/// missing) are collected, up to `max_diagnostics`. It never throws on any input but for lack of memory.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

#include "../reflect/labels.hpp"
#include "scalars.hpp"

namespace amct_distill {

namespace detail {

class TextReader : public ScalarReader {
public:
    using ScalarReader::ScalarReader;
    /// For messages of string_view, in constant evaluation.
    constexpr TextReader(std::string_view text, const ReaderOptions& options, StringArena& arena)
        : ScalarReader(text, options) {
        arena_ = &arena;
    }

    /// Reads the whole text into `message`; whether it is free of errors.
    template <class M>
    constexpr bool read(M& message) {
        if (!check_characters()) return false;
        skip();
        foreign_ = foreign_fields_of<M>();
        if (is_json()) {
            stop(at_,
                 say("expected a field name, found ", found(), "; ",
                     foreign_.json.empty() ? "the outermost fields stand without braces" : foreign_.json));
            return false;
        }
        fields_of(message, '\0', at_, false);
        note_foreign_format(has_own_fields<M>());
        return errors_ == 0;
    }

private:
    /// A text format's fields never begin with a brace, and JSON nearly always does.
    constexpr bool is_json() const {
        const char* probe = at_;
        if (peek('[')) grammar::match(grammar::skipped, ++probe, end_);
        return probe != end_ && *probe == '{';
    }
    /// Whether a field was read that no other format has.
    template <class M>
    constexpr bool has_own_fields() const {
        for (std::size_t k = 0; k != text_fields<M>.size() && k != 64; ++k)
            if ((outermost_ >> k & 1u) != 0 && foreign_.owns(text_fields<M>[k].name)) return true;
        return false;
    }

    template <class M>
    struct Places {
        std::array<const char*, text_fields<M>.size()> first{};  // where each field was first set
        std::array<bool, text_fields<M>.size()> misspelled{};    // an unknown field that may have meant it
        bool merging = false;                                    // into a message that was read before
    };

    /// The fields up to `closer` ('\0': the end of the text).
    template <class M>
    constexpr bool fields_of(M& m, char closer, const char* opened, bool merging) {
        Places<M> seen{.merging = merging};
        for (;;) {
            if (closer != '\0' ? take(closer) : at_ == end_) break;
            const char* const where = at_;
            Position const position = here();
            std::string_view const name = token(grammar::identifier);
            if (name.empty()) {
                if (sees(grammar::number) || peek('[')) {
                    if (!unknown_name(m)) return false;
                } else {
                    if (closer == '\0') return stop(where, say("expected a field name, found ", found()));
                    if (at_ == end_)
                        return stop(where, say("expected `", closer, "` to close the message that begins at ",
                                               place(opened), ", found the end of the text"));
                    return stop(where, say("expected a field name or `", closer, "`, found ", found()));
                }
            } else if (!dispatch(m, name, where, position, seen,
                                 std::make_index_sequence<text_fields<M>.size()>{})) {
                return false;
            }
            if (!take(',')) take(';');
        }
        if (!merging) check_required<M>(seen, opened, std::make_index_sequence<text_fields<M>.size()>{});
        return true;
    }
    template <class M, std::size_t... K>
    constexpr void check_required(const Places<M>& seen, const char* opened, std::index_sequence<K...>) {
        TextBuffer missing;
        auto const look_for = [&](std::size_t k, bool is_one) {
            if (is_one && seen.first[k] == nullptr && !seen.misspelled[k])
                missing.append(say(missing.empty() ? "`" : ", `", text_fields<M>[k].name, "`"));
        };
        (look_for(K, is_required<reflect::field_type<M, text_fields<M>[K].member>>), ...);
        if (!missing.empty()) error(opened, say("missing required ", missing));
    }
    template <class M, std::size_t... K>
    constexpr bool dispatch(M& m, std::string_view name, const char* where, Position position,
                            Places<M>& seen, std::index_sequence<K...>) {
        using handler = bool (TextReader::*)(M&, const char*, Position, Places<M>&);
        constexpr std::array<handler, sizeof...(K)> handlers{&TextReader::template field<M, K>...};
        for (std::size_t k = 0; k != sizeof...(K); ++k)
            if (text_fields<M>[k].name == name) {
                if (depth_ == 0 && k < 64) outermost_ |= std::uint64_t{1} << k;
                return (this->*handlers[k])(m, where, position, seen);
            }
        if (sees_foreign())
            return stop(at_, say("expected `:` or `{` after the field name `", name, "`, found ", found()));
        std::array<std::string_view, sizeof...(K)> const names{text_fields<M>[K].name...};
        if (const ForeignField* const field = foreign_.find(name); field != nullptr) {
            if (meets(*field, where))
                note(unknown_severity(), where, say("unknown field `", name, "`; ", field->advice));
            else if (unknown_severity() == Severity::error)
                ++errors_;
            return skip_field(name);
        }
        if constexpr (keeps_unknown_fields<M>) return keep(m, name, where, suggestion(name, names));
        std::string_view const meant = nearest(name, names);
        if (const ForeignField* const field = nearest_foreign(name, meant); field != nullptr) {
            meets(*field, where);
            note(unknown_severity(), where,
                 say("unknown field `", name, "`; for `", field->name, "`: ", field->advice));
            return skip_field(name);
        }
        if (unknown_severity() == Severity::error)
            ((seen.misspelled[K] = seen.misspelled[K] || names[K] == meant), ...);
        note(unknown_severity(), where, say("unknown field `", name, "`", suggestion(name, names)));
        return skip_field(name);
    }
    /// An unknown field of a message that keeps those.
    template <class M>
    [[gnu::cold, gnu::noinline]] constexpr bool keep(M& m, std::string_view name, const char* where,
                                                     const TextBuffer& meant) {
        note(Severity::warning, where, say("unknown field `", name, "`, which is kept as it stands", meant));
        TextBuffer text;
        if (!skip_field(name, &text)) return false;
        reflect::get<unknown_fields_member<M>>(m).append(text.view());
        return true;
    }
    /// `[extension]`, `[type.url/Any]` or a field number: valid text format, but nothing that a message's
    /// members can hold.
    template <class M>
    constexpr bool unknown_name(M& m) {
        const char* const where = at_;
        if (peek('[')) {
            std::string_view const name = bracketed_name();
            if (name.empty()) return stop(where, say("expected `]` on the line of its `[`"));
            if constexpr (keeps_unknown_fields<M>) return keep(m, name, where, {});
            error(where, say("extensions and Any are not supported; name a field"));
        } else {
            auto const number = token(grammar::number);
            auto const is_digit = [](char c) { return c >= '0' && c <= '9'; };
            if (offset(where) > 1 && where[-1] == ',' && is_digit(where[-2]) &&
                number.find('.') == number.npos)
                return error(where - 1, say("a decimal point is written `.`"));
            if constexpr (keeps_unknown_fields<M>) return keep(m, number, where, {});
            error(where, say("fields go by name, not by number; found `", number, "`"));
        }
        return skip_field({});
    }
    template <class M, std::size_t K>
    constexpr bool field(M& m, const char* where, Position position, Places<M>& seen) {
        auto& first = seen.first;
        constexpr TextField entry = text_fields<M>[K];
        using F = reflect::field_type<M, entry.member>;
        auto& f = reflect::get<entry.member>(m);
        Step here{entry.name, no_index, path_};
        path_ = &here;
        bool const ok = [&] {
            if constexpr (ListField<F>) {
                return elements(f, position);
            } else {
                bool const again = first[K] != nullptr, merge = again || seen.merging;
                if (!again) first[K] = where;
                if (again && !duplicate(where, say("set more than once; first at ", place(first[K]))))
                    return skip_field(entry.name);
                if constexpr (is_oneof<F>) {
                    for (std::size_t k = 0; k != text_fields<M>.size(); ++k)
                        if (k != K && text_fields<M>[k].member == entry.member && first[k] != nullptr) {
                            if (!duplicate(where,
                                           say("only one of a oneof can be set; `", text_fields<M>[k].name,
                                               "` already is, at ", place(first[k]))))
                                return skip_field(entry.name);
                            first[k] = nullptr;
                        }
                    f.set_position(position);
                    using T = reflect::field_type<typename F::alternatives, entry.alternative>;
                    if (merge && f.value().index() == entry.alternative + 1)
                        return value_of(std::get<entry.alternative + 1>(f.value()), true);
                    return value_of(f.template emplace<entry.alternative>(blank_value<T>()), false);
                } else {
                    f.set_position(position);
                    if constexpr (is_required<F>) {
                        return value_of(*f, merge);
                    } else {
                        static_assert(
                            is_optional<F>,
                            "a member of a message is required<T>, optional<T>, oneof<T> or a list");
                        if (merge && f.has_value()) return value_of(*f, true);
                        return value_of(f.emplace(blank_value<typename F::value_type>()), false);
                    }
                }
            }
        }();
        path_ = here.outer;
        return ok;
    }
    /// Notes a duplicate; whether to read it all the same.
    constexpr bool duplicate(const char* where, TextBuffer message) {
        if (options_.on_duplicate == Duplicates::error) return error(where, std::move(message)), false;
        message.append("; the last one counts");
        note(Severity::warning, where, std::move(message));
        return true;
    }
    /// A repeated field: one value, or a list in brackets.
    template <class L>
    constexpr bool elements(L& list, Position position) {
        using T = typename L::value_type;
        auto const one = [&](Position p) {
            path_->index = list.size();
            bool ok = true;
            if constexpr (std::is_same_v<T, bool>) {  // std::vector<bool> has no bool to read into
                bool v = false;
                ok = value(v, false);
                list.push_back(v);
            } else {
                list.push_back(blank_value<T>());
                ok = value(list.back(), false);
            }
            if constexpr (requires { list.note_position(p); }) {
                if (!std::is_constant_evaluated()) list.note_position(p);
            }
            return ok;
        };
        bool const colon = take(':');
        const char* const opened = at_;
        if (!take('[')) {
            if (!colon && !MessageType<T>) return stop(at_, say("expected `:`, found ", found()));
            return one(position);
        }
        if (!colon && !MessageType<T>) return stop(opened, say("expected `:` before the list"));
        if (take(']')) return true;
        do
            if (!one(here())) return false;
        while (take(','));
        path_->index = no_index;
        if (at_ == end_)
            return stop(at_, say("expected `]` to close the list that begins at ", place(opened),
                                 ", found the end of the text"));
        return take(']') || stop(at_, say("expected `,` or `]`, found ", found()));
    }
    /// `: value`, the colon being optional before a message.
    template <class T>
    constexpr bool value_of(T& v, bool merging) {
        if (!take(':') && !MessageType<T>) return stop(at_, say("expected `:`, found ", found()));
        return value(v, merging);
    }
    template <class T>
    constexpr bool value(T& v, bool merging) {
        if constexpr (MessageType<T>) {
            const char* const opened = at_;
            char const closer = peek('{') ? '}' : '>';
            if (!peek('{') && !peek('<')) return wrong_type("a message in `{ }`");
            if (depth_ == options_.max_depth)
                return stop(opened, say("nested more than ", options_.max_depth, " messages deep"));
            ++depth_;
            ++at_;
            skip();
            bool const ok = fields_of(v, closer, opened, merging);
            --depth_;
            return ok;
        } else {
            if (sees_field()) return error(at_, say("expected a value, found the next field, ", found()));
            return scalar(v);
        }
    }

    std::uint64_t outermost_ = 0;  // which fields of the outermost message were met, the first 64
};

}  // namespace detail
}  // namespace amct_distill
