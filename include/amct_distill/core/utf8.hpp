// SPDX-License-Identifier: Apache-2.0
/// Whether a text is UTF-8, and how many columns of a terminal it takes.
///
///     detail::first_invalid_utf8("caf\xc3\xa9") == std::string_view::npos
///     detail::character_at("\xc3\xa9")                       // {0xE9, 2}
///     detail::columns("\xe5\xb1\x82 1") == 4              // Chinese characters take two each
///
/// Usable in constant evaluation.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace amct_distill::detail {

constexpr bool is_utf8_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u; }

/// How many bytes at the beginning are ASCII for sure: all but the last few of them, eight at a time.
inline std::size_t ascii_prefix(std::string_view s) {
    std::size_t i = 0;
    std::uint64_t eight = 0;
    for (; i + sizeof eight <= s.size(); i += sizeof eight) {
        std::memcpy(&eight, s.data() + i, sizeof eight);
        if ((eight & 0x8080808080808080u) != 0) break;
    }
    return i;
}
inline bool is_ascii(std::string_view s) {
    s.remove_prefix(ascii_prefix(s));
    for (char c : s)
        if ((static_cast<unsigned char>(c) & 0x80u) != 0) return false;
    return true;
}

/// The first byte that is not part of valid UTF-8 (no surrogates, no overlong forms), or npos.
constexpr std::size_t first_invalid_utf8(std::string_view s) {
    auto const byte = [&](std::size_t k) { return std::uint32_t{static_cast<unsigned char>(s[k])}; };
    for (std::size_t i = 0; i < s.size();) {
        if (!std::is_constant_evaluated()) {  // eight ASCII bytes at a time
            i += ascii_prefix(s.substr(i));
            if (i == s.size()) break;
        }
        std::uint32_t const lead = byte(i);
        if (lead < 0x80) {
            ++i;
            continue;
        }
        std::size_t const length = lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
        if (length == 0 || i + length > s.size()) return i;
        std::uint32_t code = lead & (0x7Fu >> length);
        for (std::size_t k = 1; k < length; ++k) {
            if (byte(i + k) >> 6 != 2) return i;
            code = code << 6 | (byte(i + k) & 0x3Fu);
        }
        constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return i;
        i += length;
    }
    return std::string_view::npos;
}

struct Character {
    std::uint32_t code = 0;
    std::size_t size = 0;  // in bytes
};

/// The first character. Precondition: the text begins with valid UTF-8, and is not empty.
constexpr Character character_at(std::string_view s) {
    auto const lead = std::uint32_t{static_cast<unsigned char>(s[0])};
    if (lead < 0x80) return {lead, 1};
    std::size_t const size = lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : 4;
    std::uint32_t code = lead & (0x7Fu >> size);
    for (std::size_t k = 1; k != size && k < s.size(); ++k)
        code = code << 6 | (std::uint32_t{static_cast<unsigned char>(s[k])} & 0x3Fu);
    return {code, size};
}

/// Of a terminal: 2 for what Unicode calls wide or fullwidth (East Asian characters and emoji), 0 for marks
/// that combine with the character before, 1 for the rest.
constexpr std::size_t columns_of(std::uint32_t code) {
    struct Range {
        std::uint32_t first, last;
    };
    constexpr Range marks[] = {{0x300, 0x36F},   {0x483, 0x489},    {0x591, 0x5BD},   {0x610, 0x61A},
                               {0x64B, 0x65F},   {0xE31, 0xE31},    {0xE34, 0xE3A},   {0xE47, 0xE4E},
                               {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF},  {0x200B, 0x200F}, {0x20D0, 0x20FF},
                               {0x302A, 0x302D}, {0x3099, 0x309A},  {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F},
                               {0xFEFF, 0xFEFF}, {0xE0100, 0xE01EF}};
    constexpr Range wide[] = {{0x1100, 0x115F},  {0x231A, 0x231B},   {0x2E80, 0x303E},   {0x3041, 0x33FF},
                              {0x3400, 0x4DBF},  {0x4E00, 0x9FFF},   {0xA000, 0xA4CF},   {0xA960, 0xA97C},
                              {0xAC00, 0xD7A3},  {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
                              {0xFFE0, 0xFFE6},  {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF},
                              {0x20000, 0x3FFFD}};
    if (code < 0x300) return 1;
    for (Range r : marks)
        if (code >= r.first && code <= r.last) return 0;
    for (Range r : wide)
        if (code >= r.first && code <= r.last) return 2;
    return 1;
}
/// Of a text; a byte that is not UTF-8 takes one.
constexpr std::size_t columns(std::string_view s) {
    std::size_t n = 0;
    for (std::size_t i = 0; i != s.size(); ++i)
        if (!is_utf8_continuation(s[i])) n += columns_of(character_at(s.substr(i)).code);
    return n;
}

}  // namespace amct_distill::detail
