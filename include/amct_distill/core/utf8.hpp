// SPDX-License-Identifier: Apache-2.0
/// Whether a text is UTF-8.
///
///     detail::first_invalid_utf8("caf\xc3\xa9") == std::string_view::npos
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

}  // namespace amct_distill::detail
