// SPDX-License-Identifier: Apache-2.0
/// Characters that are mistaken for others, or that nobody sees: what they are, and what is meant.
///
///     detail::lookalike(0xA0).name                                  // "a no-break space"
///     detail::lookalike(0xA0).instead                               // " "
///     detail::visible("conv1\u200b")                                // "conv1<U+200B>"
///
/// Usable in constant evaluation.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "utf8.hpp"

namespace amct_distill::detail {

/// Characters from `first` to `last`. `instead`: ASCII that is meant; empty: nothing is.
struct Lookalike {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::string_view name{};
    std::string_view instead{};
    bool unseen = false;  // leaves no ink
};

inline constexpr Lookalike lookalikes[] = {
    {0x00A0, 0x00A0, "a no-break space", " ", true},
    {0x00AB, 0x00AB, "a quotation mark", "\""},
    {0x00AD, 0x00AD, "a soft hyphen", "", true},
    {0x00BB, 0x00BB, "a quotation mark", "\""},
    {0x034F, 0x034F, "an invisible joiner", "", true},
    {0x061C, 0x061C, "an invisible direction mark", "", true},
    {0x115F, 0x1160, "an invisible filler", "", true},
    {0x1680, 0x1680, "a space of another script", " ", true},
    {0x17B4, 0x17B5, "an invisible vowel", "", true},
    {0x180E, 0x180E, "an invisible separator", "", true},
    {0x2000, 0x200A, "a typographic space", " ", true},
    {0x200B, 0x200B, "a zero width space", "", true},
    {0x200C, 0x200D, "a zero width joiner", "", true},
    {0x200E, 0x200F, "an invisible direction mark", "", true},
    {0x2010, 0x2015, "a dash", "-"},
    {0x2018, 0x201B, "a typographic quotation mark", "'"},
    {0x201C, 0x201F, "a typographic quotation mark", "\""},
    {0x2024, 0x2024, "a dot leader", "."},
    {0x2028, 0x2029, "a line separator", " ", true},
    {0x202A, 0x202E, "an invisible direction mark", "", true},
    {0x202F, 0x202F, "a narrow no-break space", " ", true},
    {0x2032, 0x2032, "a prime", "'"},
    {0x2033, 0x2033, "a double prime", "\""},
    {0x2039, 0x2039, "a quotation mark", "<"},
    {0x203A, 0x203A, "a quotation mark", ">"},
    {0x2043, 0x2043, "a hyphen bullet", "-"},
    {0x205F, 0x205F, "a mathematical space", " ", true},
    {0x2060, 0x2064, "an invisible joiner", "", true},
    {0x2066, 0x206F, "an invisible direction mark", "", true},
    {0x2212, 0x2212, "a minus sign", "-"},
    {0x2236, 0x2236, "a ratio sign", ":"},
    {0x2800, 0x2800, "a blank braille pattern", " ", true},
    {0x3000, 0x3000, "an ideographic space", " ", true},
    {0x3001, 0x3001, "an ideographic comma", ","},
    {0x3002, 0x3002, "an ideographic full stop", "."},
    {0x3008, 0x3008, "an angle bracket", "<"},
    {0x3009, 0x3009, "an angle bracket", ">"},
    {0x300A, 0x300A, "a double angle bracket", "<"},
    {0x300B, 0x300B, "a double angle bracket", ">"},
    {0x300C, 0x300F, "a corner bracket", "\""},
    {0x3010, 0x3010, "a lenticular bracket", "["},
    {0x3011, 0x3011, "a lenticular bracket", "]"},
    {0x3014, 0x3014, "a tortoise shell bracket", "["},
    {0x3015, 0x3015, "a tortoise shell bracket", "]"},
    {0x301D, 0x301F, "a double prime quotation mark", "\""},
    {0x3164, 0x3164, "an invisible filler", "", true},
    {0xFE00, 0xFE0F, "an invisible variation selector", "", true},
    {0xFE13, 0xFE13, "a vertical colon", ":"},
    {0xFE50, 0xFE50, "a small comma", ","},
    {0xFE52, 0xFE52, "a small full stop", "."},
    {0xFE54, 0xFE54, "a small semicolon", ";"},
    {0xFE55, 0xFE55, "a small colon", ":"},
    {0xFE63, 0xFE63, "a small hyphen", "-"},
    {0xFEFF, 0xFEFF, "a byte order mark", "", true},
    {0xFFA0, 0xFFA0, "an invisible filler", "", true},
    {0xE0000, 0xE0FFF, "an invisible tag", "", true},
};

/// ASCII characters that Cyrillic and Greek letters are taken for: in pairs, the letter and its twin.
struct Homoglyph {
    std::uint32_t code = 0;
    char twin = 0;
};
inline constexpr Homoglyph homoglyphs[] = {
    {0x0391, 'A'}, {0x0392, 'B'}, {0x0395, 'E'}, {0x0396, 'Z'}, {0x0397, 'H'}, {0x0399, 'I'}, {0x039A, 'K'},
    {0x039C, 'M'}, {0x039D, 'N'}, {0x039F, 'O'}, {0x03A1, 'P'}, {0x03A4, 'T'}, {0x03A5, 'Y'}, {0x03A7, 'X'},
    {0x03BD, 'v'}, {0x03BF, 'o'}, {0x0405, 'S'}, {0x0406, 'I'}, {0x0408, 'J'}, {0x0410, 'A'}, {0x0412, 'B'},
    {0x0415, 'E'}, {0x041A, 'K'}, {0x041C, 'M'}, {0x041D, 'H'}, {0x041E, 'O'}, {0x0420, 'P'}, {0x0421, 'C'},
    {0x0422, 'T'}, {0x0423, 'Y'}, {0x0425, 'X'}, {0x0430, 'a'}, {0x0435, 'e'}, {0x043E, 'o'}, {0x0440, 'p'},
    {0x0441, 'c'}, {0x0443, 'y'}, {0x0445, 'x'}, {0x0455, 's'}, {0x0456, 'i'}, {0x0458, 'j'}, {0x04BB, 'h'},
};

/// One letter for every code from U+FF01 to U+FF5E, the fullwidth forms: ASCII, moved.
inline constexpr std::string_view fullwidth_twins =
    R"(!"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefghijklmnopqrstuvwxyz{|}~)";

/// What a character is mistaken for; `name` is empty when it is no such character.
constexpr Lookalike lookalike(std::uint32_t code) {
    if (code < 0x80) return {};
    if (code >= 0xFF01 && code <= 0xFF5E)
        return {code, code, "a fullwidth character", fullwidth_twins.substr(code - 0xFF01, 1)};
    for (const Lookalike& l : lookalikes)
        if (l.first <= code && code <= l.last) return l;
    for (const Homoglyph& h : homoglyphs)
        if (h.code == code)
            return {code, code, code < 0x0400 ? "a Greek letter" : "a Cyrillic letter", {&h.twin, 1}};
    return {};
}

/// "00A0": at least four digits; `out` takes characters by push_back.
template <class Out>
constexpr void append_code_point(Out& out, std::uint32_t code) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (unsigned shift = 24; shift != 0;) {
        shift -= 4;
        if (shift < 16 || code >> shift != 0) out.push_back(digits[code >> shift & 15u]);
    }
}

/// A name as a message shows it: what leaves no ink, and control characters, by their code points.
inline std::string visible(std::string_view name) {
    std::string out;
    while (!name.empty()) {
        Character const c = character_at(name);
        if (c.code < 0x20 || c.code == 0x7F || lookalike(c.code).unseen) {
            out += "<U+";
            append_code_point(out, c.code);
            out += '>';
        } else {
            out.append(name.substr(0, c.size));
        }
        name.remove_prefix(c.size < name.size() ? c.size : name.size());
    }
    return out;
}

/// A name with what is meant for each lookalike: "conv1" for one with a zero width space, or with fullwidth
/// letters.
inline std::string as_meant(std::string_view name) {
    std::string out;
    while (!name.empty()) {
        Character const c = character_at(name);
        Lookalike const l = lookalike(c.code);
        if (l.name.empty())
            out.append(name.substr(0, c.size));
        else if (l.instead != " ")
            out.append(l.instead);
        name.remove_prefix(c.size < name.size() ? c.size : name.size());
    }
    return out;
}

}  // namespace amct_distill::detail
