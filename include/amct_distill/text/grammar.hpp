// SPDX-License-Identifier: Apache-2.0
/// The tokens of protobuf's text format, written once, as Boost.Spirit X3 expressions.
///
///     const char* at = text.data();
///     grammar::match(grammar::identifier, at, end)    // true, and `at` after the identifier; or false
///
/// At run time X3 parses them. X3 (1.81 to 1.90) has no constexpr parse(), so in constant evaluation `walk`
/// interprets the very same expression objects: a text means the same to the compiler and at run time.
///
/// The only user of Boost.Spirit.
#pragma once
#include <boost/spirit/home/x3/char/char.hpp>
#include <boost/spirit/home/x3/char/char_class.hpp>
#include <boost/spirit/home/x3/core/parse.hpp>
#include <boost/spirit/home/x3/operator.hpp>
#include <type_traits>

namespace amct_distill::grammar {
namespace x3 = boost::spirit::x3;
using x3::standard::char_;
using x3::standard::lit;

// clang-format off
inline constexpr auto space       = lit(' ') | '\n' | '\t' | '\r' | '\v' | '\f';
inline constexpr auto comment     = '#' >> *(char_ - '\n');
inline constexpr auto skipped     = *(+space | comment);

inline constexpr auto digit       = char_('0', '9');
inline constexpr auto octal_digit = char_('0', '7');
inline constexpr auto hex_digit   = digit | char_('a', 'f') | char_('A', 'F');
inline constexpr auto letter      = char_('a', 'z') | char_('A', 'Z') | '_';
inline constexpr auto identifier  = letter >> *(letter | digit);

inline constexpr auto hex         = '0' >> (lit('x') | 'X') >> +hex_digit;
inline constexpr auto octal       = '0' >> +octal_digit;
inline constexpr auto whole       = lit('0') | (char_('1', '9') >> *digit);
inline constexpr auto exponent    = (lit('e') | 'E') >> -(lit('+') | '-') >> +digit;
inline constexpr auto decimal     = ((whole >> -('.' >> *digit)) | ('.' >> +digit)) >> -exponent
                                  >> -(lit('f') | 'F');
/// A number may not touch what could continue it: `12abc`, `08`, `1e`, `1.2.3` are no numbers.
inline constexpr auto number      = (hex | octal | decimal) >> !(letter | digit | '.');
/// What a person takes for one token where the rules see none; for messages.
inline constexpr auto word        = +(letter | digit | '.');

inline constexpr auto escaped     = '\\' >> (char_ - '\n');
inline constexpr auto quoted      = ('"'  >> *(escaped | (char_ - (lit('"')  | '\\' | '\n'))) >> '"')
                                  | ('\'' >> *(escaped | (char_ - (lit('\'') | '\\' | '\n'))) >> '\'');
// clang-format on

// The walker: each overload is what X3 does for that expression. All are declared first, since an expression
// may hold any other.
using iterator = const char*;
template <class L, class R>
constexpr bool walk(const x3::sequence<L, R>&, iterator&, iterator);
template <class L, class R>
constexpr bool walk(const x3::alternative<L, R>&, iterator&, iterator);
template <class L, class R>
constexpr bool walk(const x3::difference<L, R>&, iterator&, iterator);
template <class S>
constexpr bool walk(const x3::kleene<S>&, iterator&, iterator);
template <class S>
constexpr bool walk(const x3::plus<S>&, iterator&, iterator);
template <class S>
constexpr bool walk(const x3::optional<S>&, iterator&, iterator);
template <class S>
constexpr bool walk(const x3::not_predicate<S>&, iterator&, iterator);

template <class E, class A>
constexpr bool walk(const x3::literal_char<E, A>& p, iterator& at, iterator end) {
    return at != end && *at == p.ch ? (++at, true) : false;
}
template <class E, class A>
constexpr bool walk(const x3::char_range<E, A>& p, iterator& at, iterator end) {
    return at != end && p.from <= *at && *at <= p.to ? (++at, true) : false;
}
template <class E>
constexpr bool walk(const x3::any_char<E>&, iterator& at, iterator end) {
    return at != end ? (++at, true) : false;
}
template <class L, class R>
constexpr bool walk(const x3::sequence<L, R>& p, iterator& at, iterator end) {
    iterator const start = at;
    return walk(p.left, at, end) && walk(p.right, at, end) ? true : (at = start, false);
}
template <class L, class R>
constexpr bool walk(const x3::alternative<L, R>& p, iterator& at, iterator end) {
    return walk(p.left, at, end) || walk(p.right, at, end);
}
template <class L, class R>
constexpr bool walk(const x3::difference<L, R>& p, iterator& at, iterator end) {
    iterator probe = at;
    return !walk(p.right, probe, end) && walk(p.left, at, end);
}
template <class S>
constexpr bool walk(const x3::kleene<S>& p, iterator& at, iterator end) {
    while (walk(p.subject, at, end)) {}
    return true;
}
template <class S>
constexpr bool walk(const x3::plus<S>& p, iterator& at, iterator end) {
    if (!walk(p.subject, at, end)) return false;
    while (walk(p.subject, at, end)) {}
    return true;
}
template <class S>
constexpr bool walk(const x3::optional<S>& p, iterator& at, iterator end) {
    (void)walk(p.subject, at, end);
    return true;
}
template <class S>
constexpr bool walk(const x3::not_predicate<S>& p, iterator& at, iterator end) {
    return !walk(p.subject, at, end);
}

/// Whether the text at `at` begins with the rule; if so `at` moves after it, else it stays.
template <class Rule>
constexpr bool match(const Rule& rule, iterator& at, iterator end) {
    if (std::is_constant_evaluated()) return walk(rule, at, end);
    return x3::parse(at, end, rule);
}
/// Whether the rule matches the whole text.
template <class Rule>
constexpr bool match_all(const Rule& rule, iterator at, iterator end) {
    return match(rule, at, end) && at == end;
}

}  // namespace amct_distill::grammar
