// SPDX-License-Identifier: Apache-2.0
/// Numbers, texts, lists and names as C++ spells them, for what is written as source.
///
///     detail::CppNames names;
///     names.add("layer1.0.conv"), names.add("class");      // "layer1_0_conv", "layer_class"
///     detail::cpp_literal(0.1f), detail::cpp_literal("a \"b\"");      // 0.1f, "a \"b\""
///     detail::cpp_array("int", "reads", reads);       // static constexpr std::array<int, 2> reads{3, 5};
#pragma once
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "../core/concat.hpp"
#include "../core/number.hpp"

namespace amct_distill::detail {

inline std::string cpp_literal(std::integral auto value) { return number(value); }
/// The same number when it is read back.
template <std::floating_point T>
std::string cpp_literal(T value) {
    constexpr bool single = std::same_as<T, float>;
    if (!std::isfinite(value))
        return concat(value < 0 ? "-" : "", "std::numeric_limits<", single ? "float" : "double",
                      ">::", std::isnan(value) ? "quiet_NaN()" : "infinity()");
    std::string text = number(value);
    if (text.find_first_of(".e") == text.npos) text += ".0";
    return single ? text + 'f' : text;
}
inline std::string cpp_literal(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        auto const byte = static_cast<unsigned char>(c);
        if (c == '\n') {
            out += "\\n";
        } else if (byte < 32 || byte == 127) {
            for (char digit : {'\\', char('0' + byte / 64), char('0' + byte / 8 % 8), char('0' + byte % 8)})
                out += digit;
        } else {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
    }
    return out + '"';
}

/// Items after one another in lines of at most 110 columns, four of them before each.
template <class Items, class Spell>
std::string cpp_lines(const Items& items, std::string_view indent, Spell spell) {
    std::string out, line;
    for (const auto& item : items) {
        std::string const text = spell(item);
        if (indent.size() + line.size() + text.size() + 2 > 110) {
            out += concat(indent, line, '\n');
            line.clear();
        }
        line += concat(line.empty() ? "" : " ", text, ',');
    }
    return line.empty() ? out : out + concat(indent, line, '\n');
}

/// "    static constexpr std::array<type, n> name{...};", in lines of its own where one is too long.
template <class Items>
std::string cpp_array(std::string_view type, std::string_view name, const Items& items,
                      std::string_view indent = "    ") {
    auto const spell = [](const auto& item) { return cpp_literal(item); };
    std::string out = concat(indent, "static constexpr std::array<", type, ", ", items.size(), "> ", name);
    std::string one;
    for (std::size_t i = 0; i != items.size() && out.size() + one.size() < 108; ++i)
        one += concat(i == 0 ? "" : ", ", spell(items[i]));
    if (out.size() + one.size() < 107) return concat(out, '{', one, "};\n");
    return concat(out, "{\n", cpp_lines(items, concat(indent, "    "), spell), indent, "};\n");
}

inline bool is_cpp_identifier(std::string_view text) {
    auto const letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    if (text.empty() || !letter(text[0]) || text.find("__") != text.npos) return false;
    return std::ranges::all_of(text, [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_'; });
}
inline bool is_cpp_keyword(std::string_view word) {
    static constexpr std::array words{
        "alignas",     "alignof",   "and",        "and_eq",    "asm",      "auto",         "bitand",
        "bitor",       "bool",      "break",      "case",      "catch",    "char",         "char8_t",
        "char16_t",    "char32_t",  "class",      "compl",     "concept",  "const",        "consteval",
        "constexpr",   "constinit", "const_cast", "continue",  "co_await", "co_return",    "co_yield",
        "decltype",    "default",   "delete",     "do",        "double",   "dynamic_cast", "else",
        "enum",        "explicit",  "export",     "extern",    "false",    "float",        "for",
        "friend",      "goto",      "if",         "inline",    "int",      "long",         "mutable",
        "namespace",   "new",       "noexcept",   "not",       "not_eq",   "nullptr",      "operator",
        "or",          "or_eq",     "private",    "protected", "public",   "register",     "reinterpret_cast",
        "requires",    "return",    "short",      "signed",    "sizeof",   "static",       "static_assert",
        "static_cast", "struct",    "switch",     "template",  "this",     "thread_local", "throw",
        "true",        "try",       "typedef",    "typeid",    "typename", "union",        "unsigned",
        "using",       "virtual",   "void",       "volatile",  "wchar_t",  "while",        "xor",
        "xor_eq"};
    return std::ranges::find(words, word) != words.end();
}

/// Identifiers that say what names say, each but once.
class CppNames {
public:
    std::string add(std::string_view name) {
        std::string word;
        for (char c : name) {
            bool const fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
            if (fits || (!word.empty() && word.back() != '_')) word += fits ? c : '_';
        }
        while (!word.empty() && word.back() == '_') word.pop_back();
        if (!is_cpp_identifier(word) || is_cpp_keyword(word)) word = concat("layer_", word);
        if (word.back() == '_') word.pop_back();
        std::string unique = word;
        for (int k = 2; !taken_.insert(unique).second; ++k) unique = concat(word, '_', k);
        return unique;
    }

private:
    std::set<std::string> taken_{};
};

}  // namespace amct_distill::detail
