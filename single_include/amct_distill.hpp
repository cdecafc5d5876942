// SPDX-License-Identifier: Apache-2.0
/// amct_distill in one file, all but ONNX and its adapters: reads AMCT's distillation configurations,
/// resolves them to a plan, quantizes, distills and writes the record. Needs C++20, Boost (PFR, Spirit X3:
/// headers) and Eigen.
// Made from include/ by cmake/single_header.cmake: change the headers there.
#pragma once

#ifndef AMCT_DISTILL_VERSION
#if __has_include(<Eigen/Core>)
#include <Eigen/Core>
#else
#include <eigen3/Eigen/Core>
#endif
#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <cfloat>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

// ---- amct_distill/core/version.hpp

/// The version of amct_distill: the only macros that its headers leave behind.
///
///     #if AMCT_DISTILL_VERSION >= 200      // 0.2.0 or newer
///
/// CMake takes the project's version from here.

#define AMCT_DISTILL_VERSION_MAJOR 0
#define AMCT_DISTILL_VERSION_MINOR 2
#define AMCT_DISTILL_VERSION_PATCH 0
#define AMCT_DISTILL_VERSION 200  // 10000 * major + 100 * minor + patch

// ---- amct_distill/policy/bits.hpp

/// Bit widths as types: how many bits a quantized value has, and the codes they give.
///
///     Arq<Int4, ChannelWise>            // weights in 4 bits
///     Int4::qmin == -8, Int4::qmax == 7, Int4::name == "INT4"
///     struct Int6 : bits<6> { static constexpr std::string_view name = "INT6"; };   // a width of your own

namespace amct_distill {

/// Signed two's complement codes of `N` bits.
template <int N>
struct bits {
    static_assert(N >= 2 && N <= 8,
                  "bits<N>: N must be 2..8; for a layer that stays in float use quant_skip_layers");
    static constexpr int width = N;
    static constexpr int qmin = -(1 << (N - 1));
    static constexpr int qmax = (1 << (N - 1)) - 1;
    using storage = std::int8_t;  ///< one code, not packed
};

/// The names are those of the configuration's DataType.
struct Int4 : bits<4> {
    static constexpr std::string_view name = "INT4";
};
struct Int8 : bits<8> {
    static constexpr std::string_view name = "INT8";
};

template <class B>
concept BitWidth = requires {
    { B::name } -> std::convertible_to<std::string_view>;
    typename bits<B::width>;
    requires B::qmin == bits<B::width>::qmin&& B::qmax == bits<B::width>::qmax;
    requires std::same_as<typename B::storage, typename bits<B::width>::storage>;
};

}  // namespace amct_distill

// ---- amct_distill/policy/granularity.hpp

/// How many scales a weight has: one per output channel, or one for the whole tensor.
///
///     Arq<Int8, ChannelWise>      // as many scales as rows of the weight matrix
///     Arq<Int8, TensorWise>       // one

namespace amct_distill {

struct ChannelWise {
    static constexpr std::string_view name = "channel_wise";
};
struct TensorWise {
    static constexpr std::string_view name = "tensor_wise";
};

/// The granularities that a configuration can name: the one list from which every choice among them is made.
template <class... G>
struct GranularityList {};
using Granularities = GranularityList<ChannelWise, TensorWise>;

template <class G>
concept Granularity = std::same_as<G, ChannelWise> || std::same_as<G, TensorWise>;

}  // namespace amct_distill

// ---- amct_distill/policy/symmetry.hpp

/// Whether the integer 0 stands for the real 0: offset 0 (symmetric), or an offset fitted to the range.
///
///     Arq<Int8, ChannelWise>                  // weights are symmetric by default
///     ActUlq<Int8>                            // activations are asymmetric by default
///     Arq<Int8, ChannelWise, Asymmetric>

namespace amct_distill {

struct Symmetric {
    static constexpr std::string_view name = "symmetric";
};
struct Asymmetric {
    static constexpr std::string_view name = "asymmetric";
};

template <class S>
concept Symmetry = std::same_as<S, Symmetric> || std::same_as<S, Asymmetric>;

}  // namespace amct_distill

// ---- amct_distill/policy/quantizer_names.hpp

/// The quantizers' names, declared: enough for a message to name its quantizer, without Eigen.
///
///     template <class B, class G> using quantizer = Arq<B, G>;   // in the message ARQDistill
///
/// Their definitions are in quant/arq.hpp, quant/ulq.hpp, quant/act_ulq.hpp and quant/ifmr.hpp.

namespace amct_distill {

template <BitWidth B, Granularity G, Symmetry S = Symmetric>
class Arq;
template <BitWidth B, Granularity G>
class Ulq;
template <BitWidth B, Symmetry S = Asymmetric>
class ActUlq;
template <BitWidth B, Symmetry S = Symmetric>
class Ifmr;

}  // namespace amct_distill

// ---- amct_distill/policy/supports.hpp

/// What an engine can run: a closed list of quantizers, asked at compile time.
///
///     using engine = supports<Arq<Int4, ChannelWise>, Arq<Int8, ChannelWise>, ActUlq<Int8>>;
///     static_assert(engine::has<ActUlq<Int8>>);
///     static_assert(!engine::has<ActUlq<Int4>>);
///
/// Only what the list has is instantiated, so it is also what an embedder pays for.

namespace amct_distill {

template <class... Q>
struct supports {
    template <class X>
    static constexpr bool has = (std::same_as<X, Q> || ...);
};

/// An engine without limits.
struct supports_all {
    template <class X>
    static constexpr bool has = true;
};

}  // namespace amct_distill

// ---- amct_distill/policy/widths.hpp

/// The bit Widths that a configuration can name: the one list from which every choice among them is made.
///
///     Width const w = Int4{};                              // one of them, as a value
///     std::visit([]<class B>(B) { return B::name; }, w);   // "INT4": back to a type
///     EachWidth<Codes>                                     // std::variant<Codes<Int4>, Codes<Int8>>

namespace amct_distill {

template <class... B>
struct WidthList {
    using Any = std::variant<B...>;
    template <template <class> class Of>
    using AnyOf = std::variant<Of<B>...>;
    template <class T>
    static constexpr bool has = (std::is_same_v<T, B> || ...);
};

/// A width of your own is a type of its own; one that a configuration can name stands here, and in DataType.
using Widths = WidthList<Int4, Int8>;

/// One of them: their types are empty, so that the value says no more than which.
using Width = Widths::Any;

/// `Of<B>` for one of the widths.
template <template <class> class Of>
using EachWidth = Widths::AnyOf<Of>;

}  // namespace amct_distill

// ---- amct_distill/core/utf8.hpp

/// Whether a text is UTF-8, and how many columns of a terminal it takes.
///
///     detail::first_invalid_utf8("caf\xc3\xa9") == std::string_view::npos
///     detail::character_at("\xc3\xa9")                       // {0xE9, 2}
///     detail::columns("\xe5\xb1\x82 1") == 4              // Chinese characters take two each
///
/// Usable in constant evaluation.

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

// ---- amct_distill/core/characters.hpp

/// Characters that are mistaken for others, or that nobody sees: what they are, and what is meant.
///
///     detail::lookalike(0xA0).name                                  // "a no-break space"
///     detail::lookalike(0xA0).instead                               // " "
///     detail::visible("conv1\u200b")                                // "conv1<U+200B>"
///
/// Usable in constant evaluation.

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

// ---- amct_distill/core/number.hpp

/// Numbers as text. Every number in every output comes from here: with a decimal point and without grouping,
/// whatever the process's locale is.
///
///     number(0.1f)                                     // "0.1": the shortest that reads back; "nan", "-inf"
///     number(1234567)                                    // "1234567"
///     number(0.00125, std::chars_format::scientific, 2)  // "1.25e-03"
///     number(48.93, std::chars_format::fixed, 1)         // "48.9"

namespace amct_distill {

template <std::integral N>
requires(!std::same_as<N, bool>) std::string number(N value) {
    char text[std::numeric_limits<N>::digits10 + 3];
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

/// The shortest text that reads back as the same number.
template <std::floating_point T>
std::string number(T value) {
    if (std::isnan(value)) return "nan";  // whatever its sign
    char text[64];
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

/// The shortest text in that format that reads back as the same number.
template <std::floating_point T>
std::string number(T value, std::chars_format format) {
    if (std::isnan(value)) return "nan";
    char text[std::numeric_limits<T>::max_exponent10 + std::numeric_limits<T>::max_digits10 + 16];
    return {text, std::to_chars(text, text + sizeof text, value, format).ptr};
}

/// As printf's `%.2e`, `%.2f` or `%.2g` for 2 digits, in the C locale.
template <std::floating_point T>
std::string number(T value, std::chars_format format, int digits) {
    if (std::isnan(value)) return "nan";
    std::string text(static_cast<std::size_t>(std::numeric_limits<T>::max_exponent10 + digits + 16), '\0');
    text.resize(static_cast<std::size_t>(
        std::to_chars(text.data(), text.data() + text.size(), value, format, digits).ptr - text.data()));
    return text;
}

namespace detail {

using amct_distill::number;

/// Three digits: "1.25e-03".
inline std::string short_number(double x) { return number(x, std::chars_format::scientific, 2); }
inline std::string percent(double part) { return number(100 * part, std::chars_format::fixed, 2) + " %"; }

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/core/concat.hpp

/// One string from pieces: texts, characters and numbers.
///
///     detail::concat("expected ", 3, " channels, found ", n)
///
/// (`std::string + "..."` would do, but g++ 12 at -O2 answers it with false -Wrestrict and -Warray-bounds
/// warnings, GCC bugs 105329 and 105651.) Every call makes an array of pieces for one function that joins
/// them: most calls are of diagnostics, and would be a tenth of a program's code if they were inlined.

namespace amct_distill::detail {

/// A text of somebody else's, or a short one of its own.
class Piece {
public:
    template <class Text>
    requires std::convertible_to<const Text&, std::string_view> Piece(const Text& text) {
        std::string_view const view = text;
        data_ = view.data();
        size_ = view.size();
    }
    Piece(char c) : size_(1) { own_[0] = c; }
    template <std::integral N>
    requires(!std::same_as<N, char> && !std::same_as<N, bool>) Piece(N n) {
        if constexpr (std::signed_integral<N>)
            take(static_cast<long long>(n));
        else
            take(static_cast<unsigned long long>(n));
    }
    Piece(float x) { take(x); }
    Piece(double x) { take(x); }

    std::string_view text() const { return {data_ == nullptr ? own_ : data_, size_}; }

private:
    template <class N>
    [[gnu::cold, gnu::noinline]] void take(N n) {
        std::string const text = number(n);
        size_ = text.copy(own_, sizeof own_);
    }

    const char* data_ = nullptr;  // null: own_
    std::size_t size_ = 0;
    char own_[32];  // the longest number has 24
};

inline void append(std::string& out, const Piece& piece) { out.append(piece.text()); }

[[gnu::cold, gnu::noinline]] inline std::string join(std::initializer_list<Piece> pieces) {
    std::string out;
    for (const Piece& piece : pieces) append(out, piece);
    return out;
}

template <class... Pieces>
std::string concat(const Pieces&... pieces) {
    return join({Piece(pieces)...});
}

}  // namespace amct_distill::detail

// ---- amct_distill/core/diagnostic.hpp

/// A message about one place in a text: where, what, and the line it is about.
///
///     Diagnostic d = diagnostic_at(Severity::error, "quant.cfg", text, offset, "batch_num", "expected `:`");
///     std::cerr << to_string(d);
///     // quant.cfg:3:11: error: batch_num: expected `:`, found `1`
///     //   batch_num 1
///     //             ^

namespace amct_distill {

enum class Severity { error, warning };

/// A place in a text, 1-based; columns count code points, a tab counts one. `line == 0`: no place.
struct Position {
    std::size_t line = 0;
    std::size_t column = 0;
    friend constexpr bool operator==(const Position&, const Position&) = default;
};

struct Diagnostic {
    Severity severity = Severity::error;
    std::string source{};   ///< name of the text, as given to the reader; may be empty
    Position where{};       ///< {0, 0} when the message is not about a place
    std::string path{};     ///< the fields that lead there, `a.b[1].c`; may be empty
    std::string message{};  ///< what is wrong, and the remedy
    std::string excerpt{};  ///< the line, cut to `max_excerpt` code points around the place; may be empty
    std::size_t caret = 0;  ///< 0-based column of the caret below `excerpt`
    bool quoted = false;    ///< the text was at hand: `excerpt` and `caret` are its

    static constexpr std::size_t max_excerpt = 100;
    friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};

namespace detail {

/// Code points of a text that may not be valid UTF-8: every byte that does not continue another one.
constexpr std::size_t count_code_points(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return !is_utf8_continuation(c); }));
}

/// Whether a line ends with this byte: a line feed, or a carriage return without one.
constexpr bool ends_line(std::string_view text, std::size_t i) {
    return text[i] == '\n' || (text[i] == '\r' && (i + 1 == text.size() || text[i + 1] != '\n'));
}

constexpr Position position_of(std::string_view text, std::size_t offset) {
    std::size_t lines = 1, start = 0;
    for (std::size_t i = 0; i != offset; ++i) {
        if (!ends_line(text, i)) continue;
        ++lines;
        start = i + 1;
    }
    return {lines, count_code_points(text.substr(start, offset - start)) + 1};
}

/// Fills in the excerpt of a diagnostic whose position is set.
inline void quote_line(Diagnostic& d, std::string_view text, std::size_t offset) {
    std::size_t start = offset, stop = offset;
    while (start != 0 && !ends_line(text, start - 1)) --start;
    while (stop != text.size() && !ends_line(text, stop)) ++stop;
    if (stop > start && text[stop - 1] == '\r') --stop;
    std::string_view const line = text.substr(start, stop - start);

    // The window of code points that is shown: all of a short line, else around the caret.
    std::size_t const length = count_code_points(line), column = d.where.column - 1;
    std::size_t const first =
        length <= Diagnostic::max_excerpt ? 0
        : column <= Diagnostic::max_excerpt / 2
            ? 0
            : (std::min)(column - Diagnostic::max_excerpt / 2, length - Diagnostic::max_excerpt);
    std::size_t index = 0;
    for (std::string_view rest = line; !rest.empty(); ++index) {
        // What a terminal would act on (NUL, escape, a direction mark, ...) or cannot show is one `?`.
        bool const valid = first_invalid_utf8(rest.substr(0, 4)) != 0;
        Character const c = valid ? character_at(rest) : Character{0, 1};
        Lookalike const l = lookalike(c.code);
        bool const hidden =
            (c.code < 0x20 && c.code != '\t') || c.code == 0x7F || (l.unseen && l.instead.empty());
        std::size_t size = c.size;
        while (!valid && size != rest.size() && is_utf8_continuation(rest[size])) ++size;
        if (index >= first && index < first + Diagnostic::max_excerpt)
            d.excerpt += hidden ? std::string_view("?") : rest.substr(0, size);
        rest.remove_prefix(size);
    }
    d.caret = column - first;
    d.quoted = true;
}

}  // namespace detail

/// The diagnostic for byte `offset` of `text`: finds line and column, copies the line.
inline Diagnostic diagnostic_at(Severity severity, std::string_view source, std::string_view text,
                                std::size_t offset, std::string path, std::string message) {
    offset = (std::min)(offset, text.size());
    Diagnostic d{severity, std::string(source), detail::position_of(text, offset), std::move(path),
                 std::move(message)};
    detail::quote_line(d, text, offset);
    return d;
}

/// A diagnostic that is not about a place in a text.
// Not inlined: an error path is cold, and inlining it draws false -Wstringop-overflow from g++ 12.
[[gnu::cold, gnu::noinline]] inline Diagnostic general_error(std::string message) {
    Diagnostic d;
    d.message = std::move(message);
    return d;
}
[[gnu::cold, gnu::noinline]] inline Diagnostic general_warning(std::string message) {
    Diagnostic d = general_error(std::move(message));
    d.severity = Severity::warning;
    return d;
}

/// `source:line:column: error: path: message`, then the line, indented by two, and a caret. No newline at
/// the end.
inline std::string to_string(const Diagnostic& d) {
    std::string out = d.source;
    if (d.where.line != 0) {
        if (!out.empty()) out += ':';
        out += detail::concat(d.where.line, ':', d.where.column);
    }
    if (!out.empty()) out += ": ";
    out += d.severity == Severity::error ? "error: " : "warning: ";
    if (!d.path.empty()) out += detail::concat(d.path, ": ");
    out += d.message;
    if (d.quoted) {
        out += detail::concat("\n  ", d.excerpt, "\n  ");
        // Tabs stay tabs, and characters that take two columns take two, so that the caret stands below its
        // token.
        std::size_t left = d.caret;
        for (std::string_view rest = d.excerpt; !rest.empty() && left != 0; --left) {
            detail::Character const c = detail::character_at(rest);
            rest[0] == '\t' ? out.append("\t") : out.append(detail::columns_of(c.code), ' ');
            rest.remove_prefix((std::min)(c.size, rest.size()));
        }
        out.append(left, ' ');
        out += '^';
    }
    return out;
}

}  // namespace amct_distill

// ---- amct_distill/core/result.hpp

/// A value, or the diagnostics that say why there is none; the return type of every edge that meets input.
///
///     result<AMCTDistillConfig> config = read<AMCTDistillConfig>(text);
///     if (!config) { std::cerr << to_string(config.diagnostics()); return 1; }
///     use(*config);
///     use(read<AMCTDistillConfig>(text).value());   // throws ConfigError with the same text
///
/// Diagnostics of a result that holds a value are warnings.

namespace amct_distill {

using Diagnostics = std::vector<Diagnostic>;

/// All diagnostics, a line break between them.
inline std::string to_string(std::span<const Diagnostic> all) {
    std::string out;
    for (const Diagnostic& d : all) {
        if (!out.empty()) out += '\n';
        out += to_string(d);
    }
    return out;
}

/// What `result::value()` throws; `what()` is the text of all diagnostics.
class ConfigError : public std::exception {
public:
    explicit ConfigError(Diagnostics diagnostics)
        : diagnostics_(std::move(diagnostics)), text_(to_string(diagnostics_)) {}
    const char* what() const noexcept override { return text_.c_str(); }
    const Diagnostics& diagnostics() const noexcept { return diagnostics_; }

private:
    Diagnostics diagnostics_;
    std::string text_;
};

namespace detail {
[[noreturn]] inline void raise(const Diagnostics& diagnostics) {
#if defined(__cpp_exceptions)
    throw ConfigError(diagnostics);
#else
    std::fprintf(stderr, "%s\n", to_string(diagnostics).c_str());
    std::abort();  // -fno-exceptions: ask has_value() first
#endif
}
}  // namespace detail

template <class T>
class [[nodiscard]] result {
public:
    using value_type = T;

    result(T value) : value_(std::move(value)) {}
    result(T value, Diagnostics warnings) : value_(std::move(value)), diagnostics_(std::move(warnings)) {}
    result(Diagnostic error) { diagnostics_.push_back(std::move(error)); }
    result(Diagnostics errors) : diagnostics_(std::move(errors)) {}

    bool has_value() const noexcept { return value_.has_value(); }
    explicit operator bool() const noexcept { return has_value(); }
    /// Errors, when there is no value; warnings, when there is one.
    const Diagnostics& diagnostics() const noexcept { return diagnostics_; }

    /// Precondition: has_value().
    const T& operator*() const& noexcept { return *value_; }
    T& operator*() & noexcept { return *value_; }
    T&& operator*() && noexcept { return *std::move(value_); }
    const T* operator->() const noexcept { return &*value_; }
    T* operator->() noexcept { return &*value_; }

    /// The value; throws ConfigError when there is none (aborts under -fno-exceptions).
    const T& value() const& { return require_value(), *value_; }
    T& value() & { return require_value(), *value_; }
    T&& value() && { return require_value(), *std::move(value_); }

private:
    void require_value() const {
        if (!value_) detail::raise(diagnostics_);
    }

    std::optional<T> value_{};
    Diagnostics diagnostics_{};
};

/// Success, or the diagnostics that say what failed.
template <>
class [[nodiscard]] result<void> {
public:
    using value_type = void;

    result() = default;
    /// Success, with something to tell.
    static result with_warnings(Diagnostics warnings) {
        result done;
        done.diagnostics_ = std::move(warnings);
        return done;
    }
    result(Diagnostic error) : failed_(true) { diagnostics_.push_back(std::move(error)); }
    result(Diagnostics errors) : failed_(true), diagnostics_(std::move(errors)) {}

    bool has_value() const noexcept { return !failed_; }
    explicit operator bool() const noexcept { return has_value(); }
    /// Errors, when it failed; warnings, when it did not.
    const Diagnostics& diagnostics() const noexcept { return diagnostics_; }
    void value() const {
        if (failed_) detail::raise(diagnostics_);
    }

private:
    bool failed_ = false;
    Diagnostics diagnostics_{};
};

}  // namespace amct_distill

// ---- amct_distill/run/function_ref.hpp

/// A reference to something that can be called, for functions that call it and return: one instantiation for
/// all callers, and no allocation.
///
///     void for_each(std::size_t n, function_ref<void(std::size_t)> body);
///     for_each(8, [&](std::size_t i) { sum += x[i]; });
///
/// It does not keep what it refers to alive: it is for parameters only. (C++26 has std::function_ref.)

namespace amct_distill::detail {

template <class Signature>
class function_ref;

template <class R, class... Args>
class function_ref<R(Args...)> {
public:
    template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, function_ref> &&
             std::is_invocable_r_v<R, std::remove_reference_t<F>&, Args...>) function_ref(F&& f)
        : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
          call_([](void* object, Args... args) -> R {
              return (*static_cast<std::remove_reference_t<F>*>(object))(std::forward<Args>(args)...);
          }) {}

    R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

private:
    void* object_;
    R (*call_)(void*, Args...);
};

}  // namespace amct_distill::detail

// ---- amct_distill/run/instructions.hpp

/// The instruction sets that the loops are compiled for, and the choice of one at run time.
///
///     struct Twice {                                    // a kernel: its loop, for vectors of any width
///         float* x; std::size_t n;
///         template <int Bytes> [[gnu::always_inline]] void run() const { ... }
///     };
///     run_on(best_instructions(), Twice{x, n});         // compiled once for each, chosen by the processor
///
/// So a program compiled with plain -O2 runs at the speed of its machine. Results do not depend on the
/// choice, bit for bit.

#if defined(__linux__)
#include <unistd.h>
#endif

namespace amct_distill {

/// In order of speed. `vectors` are of 16 bytes and need nothing beyond what the compiler may use anyway
/// (SSE2 on x86-64, NEON on AArch64). `scalar` is for compilers without vector extensions; where there are
/// vectors it runs those, unless all of a program is compiled with AMCT_DISTILL_SCALAR_LOOPS, as the tests
/// are.
enum class InstructionSet { scalar, vectors, avx2, avx512 };

inline constexpr InstructionSet all_instruction_sets[] = {InstructionSet::scalar, InstructionSet::vectors,
                                                          InstructionSet::avx2, InstructionSet::avx512};

constexpr std::string_view name(InstructionSet set) {
    constexpr std::string_view names[] = {"scalar", "16-byte vectors", "AVX2", "AVX-512"};
    return names[static_cast<std::size_t>(set)];
}

/// Whether this compiler and this machine have it.
inline bool available(InstructionSet set) {
    switch (set) {
        case InstructionSet::scalar:
            return true;
#if defined(__GNUC__)
        case InstructionSet::vectors:
            return true;
#if defined(__x86_64__) || defined(__i386__)
        case InstructionSet::avx2:
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        case InstructionSet::avx512:
            return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("fma");
#endif
#endif
        default:
            return false;
    }
}

/// The fastest available; asked of the processor once.
inline InstructionSet best_instructions() {
    static InstructionSet const best = [] {
        InstructionSet found = InstructionSet::scalar;
        for (InstructionSet set : all_instruction_sets)
            if (available(set)) found = set;
        return found;
    }();
    return best;
}

/// Of outputs that are larger, in bytes, nothing would be left in the caches for the next reader, and a store
/// into the cache reads the line first: they are written past the caches. Half of the last-level cache, but
/// no more than 8 MB, or four times the second-level cache: the last level is often shared with strangers (of
/// the 300 MB that a virtual machine is shown, ARQ of 64 MB keeps so little that it takes a third longer than
/// past the caches).
inline std::size_t streaming_size() {
    static std::size_t const size = [] {
        constexpr std::size_t usual = std::size_t{8} << 20;
#if defined(_SC_LEVEL3_CACHE_SIZE)
        long const second = sysconf(_SC_LEVEL2_CACHE_SIZE), third = sysconf(_SC_LEVEL3_CACHE_SIZE);
        std::size_t const own = second > 0 ? 4 * static_cast<std::size_t>(second) : usual;
        std::size_t const most = own > usual ? own : usual;
        long const last = third > 0 ? third : second;
        std::size_t const half = last > 0 ? static_cast<std::size_t>(last) / 2 : usual;
        return half < most ? half : most;
#else
        return usual;
#endif
    }();
    return size;
}

namespace detail {

/// Whether `scalar` has loops of its own. Nobody but a test needs them where there are 16-byte vectors, which
/// give the same bits: without AMCT_DISTILL_SCALAR_LOOPS it runs those, and a third of the loops need not be
/// compiled.
#if defined(AMCT_DISTILL_SCALAR_LOOPS) || !defined(__GNUC__)
inline constexpr bool has_scalar_loops = true;
#else
inline constexpr bool has_scalar_loops = false;
#endif

// The kernel goes by value: through a reference, its members would be loaded again after every store.
template <class Kernel>
[[gnu::noinline]] auto run_scalar(Kernel kernel) {
    return kernel.template run<4>();
}
#if defined(__GNUC__)
template <class Kernel>
[[gnu::noinline]] auto run_vectors(Kernel kernel) {
    return kernel.template run<16>();
}
#if defined(__x86_64__) || defined(__i386__)
template <class Kernel>
[[gnu::noinline, gnu::target("avx2,fma")]] auto run_avx2(Kernel kernel) {
    return kernel.template run<32>();
}
template <class Kernel>
[[gnu::noinline, gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] auto run_avx512(Kernel kernel) {
    return kernel.template run<64>();
}
#endif
#endif

/// kernel.run<Bytes>() with vectors of `Bytes` bytes, compiled for `set`. Precondition: available(set).
template <class Kernel>
auto run_on(InstructionSet set, const Kernel& kernel) {
    switch (set) {
#if defined(__GNUC__)
#if defined(__x86_64__) || defined(__i386__)
        case InstructionSet::avx512:
            return run_avx512(kernel);
        case InstructionSet::avx2:
            return run_avx2(kernel);
#endif
        case InstructionSet::vectors:
            return run_vectors(kernel);
#endif
        default:
            if constexpr (has_scalar_loops)
                return run_scalar(kernel);
            else
                return run_vectors(kernel);
    }
}

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/run/execution.hpp

/// How a loop is run: with which instructions, on how many threads. Results do not depend on it, bit for
/// bit.
///
///     Execution on;                                     // the best instructions, this thread
///     on.parallel_for = [&](std::size_t n, const std::function<void(std::size_t)>& task) {
///         pool.run(n, task);                            // task(0), ..., task(n - 1), in any order, on any
///     };                                                // threads; returns when all are done
///     fake_quantize<Int8>(x, y, p, on);

namespace amct_distill {

struct Execution {
    InstructionSet instructions = best_instructions();
    /// Empty: all on the calling thread.
    std::function<void(std::size_t tasks, const std::function<void(std::size_t)>& task)> parallel_for{};
    /// Outputs of more bytes are written past the caches.
    std::size_t streaming_size = amct_distill::streaming_size();
};

namespace detail {

/// What a thread takes at a time, in elements: 256 KB of floats are some 50 us of work, a thousand times
/// what handing out a task costs. A multiple of `sum_block`.
inline constexpr std::size_t task_size = std::size_t{1} << 16;

/// How many rows of a matrix a thread takes at a time.
inline std::size_t rows_per_task(std::size_t cols) {
    return (task_size - 1) / (std::max)(cols, std::size_t{1}) + 1;
}

/// body(begin, end) for parts of 0..n that begin at multiples of `size`; on one thread, in a single part.
inline void in_parts(const Execution& on, std::size_t n, std::size_t size,
                     function_ref<void(std::size_t begin, std::size_t end)> body) {
    if (!on.parallel_for || n <= size) return body(std::size_t{0}, n);
    auto const part = [&](std::size_t k) { body(k * size, (std::min)(n, (k + 1) * size)); };
    on.parallel_for((n - 1) / size + 1, std::cref(part));  // a std::function of a reference: no allocation
}

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/run/vectors.hpp

/// Vectors of floats of any width, a float alone among them, and the few things the loops do with them.
///
///     using F = Vectors<Bytes>::floats;          // 4 bytes: float; 16, 32, 64: 4, 8, 16 of them
///     F v; load(x, v);  v = v / scale;  round_elements(v);  store(v, y);
///
/// Written in the vector extensions of GCC and clang: a loop's body is written once, for every width, and
/// inlined into functions that are compiled for an instruction set each (instructions.hpp). Vectors go by
/// reference, since passing them by value is another calling convention on each of those. Comparisons stand
/// in `a < b ? c : d` or are `less`: kept in a variable, g++ 12 does them element by element for AVX-512.

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// GCC has a macro for each of the options that -ffast-math stands for, clang only for the first two.
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error \
    "amct_distill rounds by IEEE arithmetic: compile without -ffast-math, -Ofast and their parts \
(-ffinite-math-only, -fassociative-math, -freciprocal-math, -fno-signed-zeros)"
#endif
// 16 differs from 0 in _Float16 only.
static_assert(
    FLT_EVAL_METHOD == 0 || FLT_EVAL_METHOD == 16,
    "amct_distill needs float arithmetic in float precision; on 32-bit x86 use -msse2 -mfpmath=sse");

namespace amct_distill::detail {

template <int Bytes>
struct Vectors;

template <>
struct Vectors<4> {
    using floats = float;
    using ints = std::int32_t;
    using doubles = double;
    static constexpr std::size_t count = 1;
};

#if defined(__GNUC__)
template <int Bytes>
struct Vectors {
    typedef float floats __attribute__((vector_size(Bytes)));
    typedef std::int32_t ints __attribute__((vector_size(Bytes)));
    typedef double doubles __attribute__((vector_size(Bytes)));  // half as many
    static constexpr std::size_t count = Bytes / 4;
};
typedef std::int8_t bytes16 __attribute__((vector_size(16)));
typedef std::uint8_t ubytes16 __attribute__((vector_size(16)));
#endif

template <class F>
using ints_of = typename Vectors<sizeof(F)>::ints;

template <class T, class V>
[[gnu::always_inline]] inline void load(const T* p, V& v) {
    std::memcpy(&v, p, sizeof v);
}
template <class V, class T>
[[gnu::always_inline]] inline void store(const V& v, T* p) {
    std::memcpy(p, &v, sizeof v);
}

/// The nearest whole number, ties to even; -0.3 gives -0.0. Precondition: |v| <= 2^22.
///
/// Floats between 2^23 and 2^24 are the integers, so adding 1.5 * 2^23 makes the addition itself round, in
/// the processor's default mode (to nearest, ties to even), and subtracting it again is exact. SSE2 has no
/// rounding instruction.
inline constexpr float rounding_shift = 12582912.0f;

template <class F>
[[gnu::always_inline]] inline void round_elements(F& v) {
    using I = ints_of<F>;
    I const sign = __builtin_bit_cast(I, v) & INT32_MIN;
    F const whole = (v + rounding_shift) - rounding_shift;
    v = __builtin_bit_cast(F, __builtin_bit_cast(I, whole) | sign);
}

/// What a multiplication gave is not merged with an addition that follows into an FMA, which would round
/// once only, on some instruction sets. (g++ does that across statements; clang only with
/// -ffp-contract=fast. __builtin_assoc_barrier takes vectors of 64 bytes apart.)
template <class F>
[[gnu::always_inline]] inline void keep_rounded([[maybe_unused]] F& product) {
#if defined(__clang__) && (defined(__x86_64__) || defined(__i386__))
    product = __arithmetic_fence(product);
#elif defined(__GNUC__) && !defined(__clang__)
#if defined(__SSE2__)
    __asm__("" : "+v"(product));
#else
    product = __builtin_assoc_barrier(product);
#endif
#endif
}

/// 0 where the bits are.
template <class F>
[[gnu::always_inline]] inline void mask(F& v, const ints_of<F>& bits) {
    v = __builtin_bit_cast(F, __builtin_bit_cast(ints_of<F>, v) & bits);
}

/// All bits where a < b. Vectors of 64 bytes have the sign of a - b in all bits; of equal numbers that is +0,
/// but for a = -0, b = +0, which must not be.
template <class F>
[[gnu::always_inline]] inline void less(const F& a, const F& b, ints_of<F>& bits) {
    if constexpr (sizeof(F) == 4)
        bits = a < b ? -1 : 0;
    else if constexpr (sizeof(F) == 64)
        bits = __builtin_bit_cast(ints_of<F>, a - b) >> 31;
#if defined(__GNUC__)
    else
        bits = a < b;
#endif
}

#if defined(__GNUC__)
/// The halves of a vector of floats, as doubles. (g++ 12 converts a whole vector by an instruction for each
/// half, but half a vector element by element.)
template <class F, class D>
[[gnu::always_inline]] inline void widen(const F& v, D& low, D& high) {
    using Both = typename Vectors<2 * sizeof(F)>::doubles;
    Both const d = __builtin_convertvector(v, Both);
    if constexpr (sizeof(F) == 16) {
        low = __builtin_shufflevector(d, d, 0, 1);
        high = __builtin_shufflevector(d, d, 2, 3);
    } else if constexpr (sizeof(F) == 32) {
        low = __builtin_shufflevector(d, d, 0, 1, 2, 3);
        high = __builtin_shufflevector(d, d, 4, 5, 6, 7);
    } else {
        low = __builtin_shufflevector(d, d, 0, 1, 2, 3, 4, 5, 6, 7);
        high = __builtin_shufflevector(d, d, 8, 9, 10, 11, 12, 13, 14, 15);
    }
}
#endif

#if defined(__GNUC__)
template <class F, class Half>
[[gnu::always_inline]] inline void halves(const F& v, Half& low, Half& high) {
    if constexpr (sizeof(F) == 32) {
        low = __builtin_shufflevector(v, v, 0, 1, 2, 3);
        high = __builtin_shufflevector(v, v, 4, 5, 6, 7);
    } else {
        low = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
        high = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    }
}

/// 16 bytes of a vector, the K-th.
template <int K, class V, class Piece>
[[gnu::always_inline]] inline void piece(const V& v, Piece& out) {
    static_assert(sizeof out == 16);
    if constexpr (sizeof(V) == 16)
        out = v;
    else
        out = __builtin_shufflevector(v, v, 4 * K, 4 * K + 1, 4 * K + 2, 4 * K + 3);
}

/// The low bytes of 16 ints that are in -128..127.
[[gnu::always_inline]] inline void narrow(const Vectors<16>::ints& a, const Vectors<16>::ints& b,
                                          const Vectors<16>::ints& c, const Vectors<16>::ints& d,
                                          bytes16& out) {
#if defined(__SSE2__)
    out = __builtin_bit_cast(
        bytes16,
        _mm_packs_epi16(_mm_packs_epi32(__builtin_bit_cast(__m128i, a), __builtin_bit_cast(__m128i, b)),
                        _mm_packs_epi32(__builtin_bit_cast(__m128i, c), __builtin_bit_cast(__m128i, d))));
#else
    typedef std::int8_t bytes4 __attribute__((vector_size(4)));
    Vectors<16>::ints const* const parts[] = {&a, &b, &c, &d};
    for (int k = 0; k != 4; ++k) {
        bytes4 const part = __builtin_convertvector(*parts[k], bytes4);
        std::memcpy(reinterpret_cast<char*>(&out) + 4 * k, &part, 4);
    }
#endif
}
#endif

/// Asks for the line of the cache that `ahead` floats after p is in. That may be beyond the end of an array,
/// which does no harm to a prefetch, but no pointer may be formed there.
[[gnu::always_inline]] inline void prefetch([[maybe_unused]] const float* p,
                                            [[maybe_unused]] std::size_t ahead) {
#if defined(__GNUC__)
    __builtin_prefetch(
        reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(p) + ahead * sizeof(float)));
#endif
}

/// How far ahead floats are asked for by loops that wait for reading: measured 15 % faster on Zen 3.
inline constexpr std::size_t read_ahead = 512;

/// Whether whole lines of the cache can be written past it from p on.
inline bool is_aligned(const float* p) { return reinterpret_cast<std::uintptr_t>(p) % 64 == 0; }

/// Past the caches, where the processor can: p must then be a multiple of 16 bytes. `streaming_fence` comes
/// after the last.
template <class F>
[[gnu::always_inline]] inline void store_streaming(const F& v, float* p) {
#if defined(__SSE2__)
    if constexpr (sizeof(F) >= 16) {
        __m128 part;
        piece<0>(v, part);
        _mm_stream_ps(p, part);
        if constexpr (sizeof(F) >= 32) {
            piece<1>(v, part);
            _mm_stream_ps(p + 4, part);
        }
        if constexpr (sizeof(F) >= 64) {
            piece<2>(v, part);
            _mm_stream_ps(p + 8, part);
            piece<3>(v, part);
            _mm_stream_ps(p + 12, part);
        }
        return;
    }
#endif
    store(v, p);
}
inline void streaming_fence() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

}  // namespace amct_distill::detail

// ---- amct_distill/run/sums.hpp

/// The loop that adds up a block of terms in double, in the order of ordered_sum.hpp, whatever the width of
/// the vectors.
///
///     struct Dot {                              // terms: products of floats
///         static constexpr std::size_t sums = 1;
///         const float *x, *y;
///         template <int Bytes> [[gnu::always_inline]] void add(std::size_t i, std::size_t accumulator,
///                                                              Accumulators<Bytes>* to) const {
///             typename Vectors<Bytes>::floats a, b;
///             load(x + i, a), load(y + i, b);
///             to[0].add_product(a, b, accumulator);
///         }
///     };
///     std::array<double, 1> const part = run_on(set, BlockSumLoop<Dot>{{x, y}, n});

namespace amct_distill::detail {

inline constexpr std::size_t accumulator_count = 8;
inline constexpr std::size_t sum_block = 4096;

/// The eight accumulators of a sum, in vectors of doubles.
template <int Bytes>
struct Accumulators {
    using F = typename Vectors<Bytes>::floats;
    using D = typename Vectors<Bytes>::doubles;
    static constexpr std::size_t width = sizeof(D) / sizeof(double);

    D sums[accumulator_count / width];

    /// Adds the floats to the accumulators in turn: as many as a vector, but eight of the 16 of 64 bytes.
    template <class Floats>
    [[gnu::always_inline]] void add(const Floats& v, std::size_t accumulator) {
        if constexpr (Bytes == 4) {
            sums[accumulator] += static_cast<double>(v);
        } else {
#if defined(__GNUC__)
            if constexpr (Bytes == 64) {
                sums[0] += __builtin_convertvector(v, D);
            } else {
                D low, high;
                widen(v, low, high);
                sums[accumulator / width] += low;
                sums[(accumulator + width) % accumulator_count / width] += high;
            }
#endif
        }
    }

    /// Adds a * b, exactly formed since the factors are floats, so with or without an FMA instruction; its
    /// first element to `accumulator`.
    [[gnu::always_inline]] void add_product(const F& a, const F& b, std::size_t accumulator) {
        if constexpr (Bytes == 4) {
            sums[accumulator] += static_cast<double>(a) * static_cast<double>(b);
        } else {
#if defined(__GNUC__)
            D low_a, high_a, low_b, high_b;
            widen(a, low_a, high_a);
            widen(b, low_b, high_b);
            sums[accumulator / width] += low_a * low_b;
            sums[(accumulator + width) % accumulator_count / width] += high_a * high_b;
#endif
        }
    }
};

/// Terms that are floats, given by `begin` and `terms` instead of added by `add`, are first added in float in
/// runs of 64 elements, eight terms to an accumulator, and then to the accumulators: converting to double is
/// what takes the time. A run adds pairs of terms 8 apart, and the pair of each 16 elements to those before.
/// Rounding a term to float once, adding a pair and then three more is an error of 5 * 2^-24 (3e-7) at most,
/// relative to the sum of the terms' absolute values.
template <class Terms>
inline constexpr bool in_runs = requires {
    &Terms::template terms<float>;
};
inline constexpr std::size_t sum_run = 64;

/// Eight floats, one for each accumulator, in vectors of 32 bytes at most.
template <int Bytes>
struct FloatAccumulators {
    using F = typename Vectors<(Bytes < 32 ? Bytes : 32)>::floats;
    static constexpr std::size_t count = sizeof(F) / sizeof(float), size = accumulator_count / count;
    F v[size];
};

template <class Terms>
struct BlockSumLoop {
    Terms terms;
    std::size_t n;  ///< at most sum_block

    /// 16 elements at a time.
    static constexpr std::size_t pair = 2 * accumulator_count;
    template <int Bytes>
    static constexpr std::size_t parts = pair / Vectors<Bytes>::count;

    /// `begin` is called some time before `terms`: see FakeQuantizeLoop.
    template <int Bytes, class F>
    [[gnu::always_inline]] void begin_pair(std::size_t i, F* quotients) const {
#pragma GCC unroll 16
        for (std::size_t k = 0; k != parts<Bytes>; ++k)
            terms.begin(i + k * Vectors<Bytes>::count, quotients[k]);
    }
    /// Terms are rounded before they are added: not an FMA.
    template <int Bytes, bool First, class F>
    [[gnu::always_inline]] void add_pair(std::size_t i, const F* quotients,
                                         FloatAccumulators<Bytes>* to) const {
        constexpr std::size_t count = Vectors<Bytes>::count;
#pragma GCC unroll 8
        for (std::size_t k = 0; k != FloatAccumulators<Bytes>::size; ++k) {
            F low[Terms::sums], high[Terms::sums];
            terms.terms(i + k * count, quotients[k], low);
            if constexpr (count <= accumulator_count)
                terms.terms(i + k * count + accumulator_count, quotients[k + parts<Bytes> / 2], high);
#pragma GCC unroll 4
            for (std::size_t s = 0; s != Terms::sums; ++s) {
                typename FloatAccumulators<Bytes>::F both, other;
                keep_rounded(low[s]);
                if constexpr (count <= accumulator_count) {
                    keep_rounded(high[s]);
                    both = low[s];
                    other = high[s];
                } else {
#if defined(__GNUC__)
                    halves(low[s], both, other);
#endif
                }
                both += other;
                if constexpr (First)
                    to[s].v[k] = both;
                else
                    to[s].v[k] += both;
            }
        }
    }
    template <int Bytes>
    [[gnu::always_inline]] void add_run(FloatAccumulators<Bytes>* run, Accumulators<Bytes>* to) const {
#pragma GCC unroll 4
        for (std::size_t s = 0; s != Terms::sums; ++s) {
#pragma GCC unroll 8
            for (std::size_t k = 0; k != FloatAccumulators<Bytes>::size; ++k)
                to[s].add(run[s].v[k], k * FloatAccumulators<Bytes>::count);
        }
    }
    template <int Bytes>
    [[gnu::always_inline]] std::size_t add_runs(Accumulators<Bytes>* to) const {
        using F = typename Vectors<Bytes>::floats;
        if (n < sum_run) return 0;
        std::size_t const end = n - n % sum_run;
        F now[parts<Bytes>];
        begin_pair<Bytes>(0, now);
        for (std::size_t i = 0; i != end; i += sum_run) {
            FloatAccumulators<Bytes> run[Terms::sums];
#pragma GCC unroll 4
            for (std::size_t k = 0; k != sum_run; k += pair) {
                F after[parts<Bytes>];
                // After the last there is nothing to begin; its own once more does no harm.
                std::size_t const next = k + pair != sum_run || i + sum_run != end ? i + k + pair : i;
                begin_pair<Bytes>(next, after);
                if (k == 0)
                    add_pair<Bytes, true>(i + k, now, run);
                else
                    add_pair<Bytes, false>(i + k, now, run);
#pragma GCC unroll 16
                for (std::size_t j = 0; j != parts<Bytes>; ++j) now[j] = after[j];
            }
            add_run<Bytes>(run, to);
        }
        return end;
    }

    template <int Bytes>
    [[gnu::always_inline]] std::array<double, Terms::sums> run() const {
        Accumulators<Bytes> wide[Terms::sums] = {};
        std::size_t i = 0;
        if constexpr (in_runs<Terms>) {
            i = add_runs<Bytes>(wide);
        } else {
            constexpr std::size_t count = Vectors<Bytes>::count;
            constexpr std::size_t step = count > accumulator_count ? count : accumulator_count;
            for (; n - i >= step; i += step) {
#pragma GCC unroll 8
                for (std::size_t k = 0; k < step; k += count) terms.template add<Bytes>(i + k, k, wide);
            }
        }
        Accumulators<4> one[Terms::sums];
        std::memcpy(one, wide, sizeof one);
        for (; i < n; ++i) {
            if constexpr (in_runs<Terms>) {
                float quotient, of[Terms::sums];
                terms.begin(i, quotient);
                terms.terms(i, quotient, of);
                for (std::size_t s = 0; s != Terms::sums; ++s) one[s].add(of[s], i % accumulator_count);
            } else {
                terms.template add<4>(i, i % accumulator_count, one);
            }
        }

        std::array<double, Terms::sums> total{};
        for (std::size_t s = 0; s != Terms::sums; ++s)
            for (double accumulator : one[s].sums) total[s] += accumulator;
        return total;
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/run/ordered_sum.hpp

/// Sums in double whose order of additions is fixed: the same bits however many threads or vectors compute
/// it.
///
///     auto const [sum] = ordered_sums(on, n, Dot{x, y});       // terms: see sums.hpp
///
/// The order: elements go in blocks of `sum_block`; in a block, element i is added to accumulator i %
/// accumulator_count, and at its end the accumulators are added from the first to the last; the blocks are
/// added from the first to the last. Accumulators are what a vector register holds, blocks are what a thread
/// takes. Terms that are floats are first added in runs of 64 (BlockSumLoop), as fixed.

namespace amct_distill::detail {

/// The terms of elements `begin` to `begin + n`, n at most sum_block.
template <class Terms>
struct BlockOf {
    static constexpr std::size_t sums = Terms::sums;
    Terms inner;
    std::size_t first;

    template <int Bytes>
    [[gnu::always_inline]] void add(std::size_t i, std::size_t accumulator, Accumulators<Bytes>* to) const
        requires(!in_runs<Terms>) {
        inner.template add<Bytes>(first + i, accumulator, to);
    }
    template <class F>
    [[gnu::always_inline]] void begin(std::size_t i, F& v) const requires(in_runs<Terms>) {
        inner.begin(first + i, v);
    }
    template <class F>
    [[gnu::always_inline]] void terms(std::size_t i, const F& v, F* of) const requires(in_runs<Terms>) {
        inner.terms(first + i, v, of);
    }
};

template <class Terms>
std::array<double, Terms::sums> ordered_sums(const Execution& on, std::size_t n, const Terms& terms) {
    using Sums = std::array<double, Terms::sums>;
    auto const block = [&](std::size_t k) {
        std::size_t const begin = k * sum_block;
        return run_on(on.instructions,
                      BlockSumLoop<BlockOf<Terms>>{{terms, begin}, (std::min)(sum_block, n - begin)});
    };
    Sums total{};
    auto const add = [&](const Sums& part) {
        for (std::size_t s = 0; s != Terms::sums; ++s) total[s] += part[s];
    };
    std::size_t const blocks = n / sum_block + (n % sum_block != 0);
    if (!on.parallel_for || n <= task_size) {
        for (std::size_t k = 0; k != blocks; ++k) add(block(k));
        return total;
    }
    std::array<Sums, 1024> parts;  // of 4 M elements, on the stack
    for (std::size_t first = 0; first < blocks; first += parts.size()) {
        std::size_t const count = (std::min)(parts.size(), blocks - first);
        in_parts(on, count, task_size / sum_block, [&](std::size_t begin, std::size_t end) {
            for (std::size_t k = begin; k != end; ++k) parts[k] = block(first + k);
        });
        for (std::size_t k = 0; k != count; ++k) add(parts[k]);
    }
    return total;
}

}  // namespace amct_distill::detail

// ---- amct_distill/quant/kernels/affine.hpp

/// The loops of affine quantization: floats to the values their codes stand for, to codes, and back.
///
///     run_on(set, FakeQuantizeLoop<false>{x, y, n, {scale, offset, -128, 127}});
///
/// Elements are independent: a part of a loop gives the same bits as the whole. Input and output may be the
/// same array. affine.hpp has the functions for callers.

namespace amct_distill::detail {

struct AffineConstants {
    float scale, offset;
    float lowest, highest;  ///< codes
};

/// Clamping to whole numbers first gives the same as rounding first, and keeps to the precondition of the
/// rounding. A NaN stays one.
template <class F>
[[gnu::always_inline]] inline void clamp(F& v, AffineConstants p) {
    F const lowest = F{} + p.lowest, highest = F{} + p.highest;
    v = v + p.offset;
    v = v < lowest ? lowest : v;
    v = v > highest ? highest : v;
}
template <class F>
[[gnu::always_inline]] inline void scale_and_clamp(F& v, AffineConstants p) {
    v = v / p.scale;
    clamp(v, p);
}

/// Streaming: past the caches; `streaming_fence` is to come after it.
template <bool Streaming>
struct FakeQuantizeLoop {
    const float* x;
    float* y;
    std::size_t n;
    AffineConstants p;
    /// What is read after x, to be on its way to the cache while this is computed.
    const float* next = nullptr;

    template <class F>
    [[gnu::always_inline]] void quotient(std::size_t i, F& v) const {
        load(x + i, v);
        v = v / p.scale;
    }
    template <bool Stream, class F>
    [[gnu::always_inline]] void finish(const F& quotient, std::size_t i) const {
        F v = quotient;
        clamp(v, p);
        round_elements(v);
        v = (v - p.offset) * p.scale;
        if constexpr (Stream)
            store_streaming(v, y + i);
        else
            store(v, y + i);
    }
    template <int Bytes, bool Stream>
    [[gnu::always_inline]] void step(std::size_t i) const {
        typename Vectors<Bytes>::floats v;
        quotient(i, v);
        finish<Stream>(v, i);
    }

    /// Divisions are begun four vectors before their quotients are used: what waits for a quotient takes up
    /// the processor's queue, and in order of the program that would be most of the queue.
    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        using F = typename Vectors<Bytes>::floats;
        constexpr std::size_t count = Vectors<Bytes>::count, batch = 4 * count;
        std::size_t i = 0;
        if constexpr (Streaming)
            for (; i < n && !is_aligned(y + i); ++i) step<4, false>(i);
        if (n - i >= batch) {
            F now[4];
#pragma GCC unroll 4
            for (std::size_t k = 0; k != 4; ++k) quotient(i + k * count, now[k]);
            for (; n - i >= 2 * batch; i += batch) {
                F after[4];
                if (next != nullptr) {
#pragma GCC unroll 4
                    for (std::size_t k = 0; k < batch; k += 16) prefetch(next + i, k);
                }
#pragma GCC unroll 4
                for (std::size_t k = 0; k != 4; ++k) quotient(i + batch + k * count, after[k]);
#pragma GCC unroll 4
                for (std::size_t k = 0; k != 4; ++k) {
                    finish<Streaming>(now[k], i + k * count);
                    now[k] = after[k];
                }
            }
#pragma GCC unroll 4
            for (std::size_t k = 0; k != 4; ++k) finish<Streaming>(now[k], i + k * count);
            i += batch;
        }
        for (; n - i >= count; i += count) step<Bytes, Streaming>(i);
        for (; i < n; ++i) step<4, false>(i);
    }
};

/// Codes of 8 bits at most. The conversions of bytes to floats are written for 16-byte vectors; wider ones
/// gain nothing, the loop waits for memory.
struct DequantizeLoop {
    const std::int8_t* codes;
    float* y;
    std::size_t n;
    float scale, offset;

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        std::size_t i = 0;
#if defined(__SSE2__)
        if constexpr (Bytes != 4) {
            for (; i + 16 <= n; i += 16) {
                __m128i some, words[2];
                load(codes + i, some);
                words[0] = _mm_unpacklo_epi8(some, some);
                words[1] = _mm_unpackhi_epi8(some, some);
#pragma GCC unroll 2
                for (std::size_t k = 0; k != 2; ++k) {
                    // Each byte four times in 32 bits; the shift leaves the last, with its sign.
                    __m128i const low = _mm_srai_epi32(_mm_unpacklo_epi16(words[k], words[k]), 24);
                    __m128i const high = _mm_srai_epi32(_mm_unpackhi_epi16(words[k], words[k]), 24);
                    store((_mm_cvtepi32_ps(low) - offset) * scale, y + i + 8 * k);
                    store((_mm_cvtepi32_ps(high) - offset) * scale, y + i + 8 * k + 4);
                }
            }
        }
#endif
        for (; i != n; ++i) y[i] = (static_cast<float>(codes[i]) - offset) * scale;
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/kernels/codes.hpp

/// The loops that make codes: of floats, a code in each byte or two; and two of one and back.
///
///     run_on(set, QuantizeLoop<false>{x, codes, n, {scale, offset, -128, 127}});
///     bool const all_in_range = run_on(set, PackInt4Loop{codes, bytes, n});
///
/// n packed codes take n / 2 bytes, and one more where n is odd; its high nibble is 0. affine.hpp and
/// int4.hpp have the functions for callers.

namespace amct_distill::detail {

/// The code is in the low bits of what rounding by `rounding_shift` leaves there.
template <class F>
[[gnu::always_inline]] inline void codes_of(const float* x, AffineConstants p, ints_of<F>& codes) {
    constexpr std::int32_t shift = 0x4B400000;  // the bits of rounding_shift
    F v;
    load(x, v);
    scale_and_clamp(v, p);
    v = v + rounding_shift;
    codes = __builtin_bit_cast(ints_of<F>, v) - shift;
}

#if defined(__GNUC__)
/// 16 codes.
template <int Bytes>
[[gnu::always_inline]] inline void codes_of_16(const float* x, AffineConstants p, bytes16& out) {
    using F = typename Vectors<Bytes>::floats;
    Vectors<16>::ints a, b, c, d;
    if constexpr (Bytes == 16) {
        codes_of<F>(x, p, a);
        codes_of<F>(x + 4, p, b);
        codes_of<F>(x + 8, p, c);
        codes_of<F>(x + 12, p, d);
    } else if constexpr (Bytes == 32) {
        ints_of<F> low, high;
        codes_of<F>(x, p, low);
        codes_of<F>(x + 8, p, high);
        piece<0>(low, a);
        piece<1>(low, b);
        piece<0>(high, c);
        piece<1>(high, d);
    } else {
        ints_of<F> all;
        codes_of<F>(x, p, all);
        piece<0>(all, a);
        piece<1>(all, b);
        piece<2>(all, c);
        piece<3>(all, d);
    }
    narrow(a, b, c, d, out);
}
#endif

inline std::uint8_t nibbles(int low, int high) {
    return static_cast<std::uint8_t>((static_cast<unsigned>(low) & 0xFu) |
                                     ((static_cast<unsigned>(high) & 0xFu) << 4));
}

#if defined(__GNUC__)
/// 32 codes into 16 bytes.
[[gnu::always_inline]] inline void pack_32(const bytes16& first, const bytes16& second, ubytes16& out) {
    typedef std::uint16_t words8 __attribute__((vector_size(16)));
    // A word is two codes: its low byte becomes their nibbles.
    words8 a = __builtin_bit_cast(words8, first), b = __builtin_bit_cast(words8, second);
    a = (a & 0x0F) | (a >> 4 & 0xF0);
    b = (b & 0x0F) | (b >> 4 & 0xF0);
    out = __builtin_shufflevector(__builtin_bit_cast(ubytes16, a), __builtin_bit_cast(ubytes16, b), 0, 2, 4,
                                  6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}
#endif

/// Returns whether all codes are in -8..7; what is written is of no use otherwise.
struct PackInt4Loop {
    const std::int8_t* codes;
    std::uint8_t* bytes;
    std::size_t n;

    template <int Bytes>
    [[gnu::always_inline]] bool run() const {
        std::size_t i = 0;
        bool outside = false;
#if defined(__GNUC__)
        if constexpr (Bytes != 4) {
            bytes16 wide{};
            for (; i + 32 <= n; i += 32) {
                bytes16 a, b;
                ubytes16 packed;
                load(codes + i, a);
                load(codes + i + 16, b);
                wide |= (a < -8) | (a > 7) | (b < -8) | (b > 7);
                pack_32(a, b, packed);
                store(packed, bytes + i / 2);
            }
            for (int k = 0; k != 16; ++k) outside |= wide[k] != 0;
        }
#endif
        for (; i < n; i += 2) {
            int const low = codes[i], high = i + 1 < n ? codes[i + 1] : 0;
            outside |= low < -8 || low > 7 || high < -8 || high > 7;
            bytes[i / 2] = nibbles(low, high);
        }
        return !outside;
    }
};

struct UnpackInt4Loop {
    const std::uint8_t* bytes;
    std::int8_t* codes;
    std::size_t n;

    /// Four bits of two's complement to eight.
    static std::int8_t extended(unsigned nibble) {
        return static_cast<std::int8_t>(static_cast<int>(nibble ^ 8u) - 8);
    }

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        std::size_t i = 0;
#if defined(__GNUC__)
        if constexpr (Bytes != 4) {
            for (; i + 32 <= n; i += 32) {
                ubytes16 both;
                load(bytes + i / 2, both);
                ubytes16 const low = ((both & 0x0F) ^ 8) - 8, high = ((both >> 4) ^ 8) - 8;
                ubytes16 const first = __builtin_shufflevector(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20,
                                                               5, 21, 6, 22, 7, 23);
                ubytes16 const second = __builtin_shufflevector(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12,
                                                                28, 13, 29, 14, 30, 15, 31);
                store(first, codes + i);
                store(second, codes + i + 16);
            }
        }
#endif
        for (; i < n; i += 2) {
            codes[i] = extended(bytes[i / 2] & 0xFu);
            if (i + 1 < n) codes[i + 1] = extended(bytes[i / 2] >> 4);
        }
    }
};

/// One code in each byte, or two. Precondition: no NaN.
template <bool Nibbles>
struct QuantizeLoop {
    using Byte = std::conditional_t<Nibbles, std::uint8_t, std::int8_t>;

    const float* x;
    Byte* bytes;
    std::size_t n;
    AffineConstants p;

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        std::size_t i = 0;
#if defined(__GNUC__)
        if constexpr (Bytes != 4) {
            constexpr std::size_t step = Nibbles ? 32 : 16;
            for (; i + step <= n; i += step) {
                bytes16 first;
                prefetch(x + i, read_ahead);
                codes_of_16<Bytes>(x + i, p, first);
                if constexpr (Nibbles) {
                    bytes16 second;
                    ubytes16 packed;
                    prefetch(x + i, read_ahead + 16);
                    codes_of_16<Bytes>(x + i + 16, p, second);
                    pack_32(first, second, packed);
                    store(packed, bytes + i / 2);
                } else {
                    store(first, bytes + i);
                }
            }
        }
#endif
        for (; i < n; ++i) {
            std::int32_t code;
            codes_of<float>(x + i, p, code);
            if constexpr (!Nibbles)
                bytes[i] = static_cast<std::int8_t>(code);
            else if (i % 2 == 0)
                bytes[i / 2] = nibbles(code, 0);
            else
                bytes[i / 2] = static_cast<std::uint8_t>(bytes[i / 2] | nibbles(0, code));
        }
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/affine.hpp

/// Affine quantization, x ~ (code - offset) * scale: of a value, of a span.
///
///     ScaleOffset const p{0.5f, 0};
///     quantize<Int4>(1.3f, p) == 3;   dequantize(3, p) == 1.5f;   fake_quantize<Int4>(1.3f, p) == 1.5f;
///     fake_quantize<Int8>(x, y, p);   // spans of equal size; they may be the same
///
/// code = clamp(round(x / scale + offset), qmin, qmax) in float32, division a true division, round half to
/// even: bit for bit what AMCT computes.

namespace amct_distill {

struct ScaleOffset {
    float scale = 1;
    std::int32_t offset = 0;
    friend constexpr bool operator==(const ScaleOffset&, const ScaleOffset&) = default;
};

namespace detail {

/// std::nearbyint, which is a call where the processor has no such instruction. Precondition: |v| <= 2^22.
inline float round_half_even(float v) {
    round_elements(v);
    return v;
}

template <BitWidth B>
AffineConstants constants(ScaleOffset p) {
    return {p.scale, static_cast<float>(p.offset), static_cast<float>(B::qmin), static_cast<float>(B::qmax)};
}

/// One code in each byte, or two: then parts begin at whole bytes, since task_size is even.
template <bool Nibbles>
void quantize_parts(std::span<const float> x, typename QuantizeLoop<Nibbles>::Byte* bytes, AffineConstants p,
                    const Execution& on) {
    in_parts(on, x.size(), task_size, [&](std::size_t begin, std::size_t end) {
        run_on(on.instructions,
               QuantizeLoop<Nibbles>{x.data() + begin, bytes + begin / (Nibbles ? 2 : 1), end - begin, p});
    });
}

}  // namespace detail

/// The nearest value that a code stands for. A NaN stays one; an infinity becomes the end of the range.
template <BitWidth B>
float fake_quantize(float x, ScaleOffset p) {
    detail::scale_and_clamp(x, detail::constants<B>(p));
    return (detail::round_half_even(x) - static_cast<float>(p.offset)) * p.scale;
}

/// The code, in qmin..qmax. Precondition: x is not NaN.
template <BitWidth B>
typename B::storage quantize(float x, ScaleOffset p) {
    detail::scale_and_clamp(x, detail::constants<B>(p));
    return static_cast<typename B::storage>(detail::round_half_even(x));
}

/// What a code stands for: fake_quantize, except that a code has no -0.0.
inline float dequantize(std::int32_t code, ScaleOffset p) {
    return (static_cast<float>(code) - static_cast<float>(p.offset)) * p.scale;
}

/// Of every element. Preconditions of the three: equal sizes; x has no NaN to quantize. x and y may be the
/// same span, but not overlap otherwise.
template <BitWidth B>
void fake_quantize(std::span<const float> x, std::span<float> y, ScaleOffset p, const Execution& on = {}) {
    assert(x.size() == y.size());
    bool const stream = x.data() != y.data() && y.size_bytes() > on.streaming_size;
    detail::AffineConstants const c = detail::constants<B>(p);
    detail::in_parts(on, x.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
        float const* const from = x.data() + begin;
        float* const to = y.data() + begin;
        if (stream) {
            detail::run_on(on.instructions, detail::FakeQuantizeLoop<true>{from, to, end - begin, c});
            detail::streaming_fence();
        } else {
            detail::run_on(on.instructions, detail::FakeQuantizeLoop<false>{from, to, end - begin, c});
        }
    });
}
template <BitWidth B>
void quantize(std::span<const float> x, std::span<typename B::storage> codes, ScaleOffset p,
              const Execution& on = {}) {
    assert(x.size() == codes.size());
    detail::quantize_parts<false>(x, codes.data(), detail::constants<B>(p), on);
}
inline void dequantize(std::span<const std::int8_t> codes, std::span<float> y, ScaleOffset p,
                       const Execution& on = {}) {
    assert(codes.size() == y.size());
    detail::in_parts(on, y.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
        detail::run_on(on.instructions,
                       detail::DequantizeLoop{codes.data() + begin, y.data() + begin, end - begin, p.scale,
                                              static_cast<float>(p.offset)});
    });
}

}  // namespace amct_distill

// ---- amct_distill/quant/matrix.hpp

/// A weight as a matrix of float32: a row per output channel.
///
///     RowMajorMatrix w(64, 27);                  // Linear [out, in], Conv2d [out, in * kh * kw]
///     void look(const ConstMatrixRef& w);        // takes it, a map of it, a block of its columns
///
/// Quantizers take views: what is not float32 does not convert, what is not row-major is copied first.

namespace amct_distill {

using RowMajorMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstMatrixRef = Eigen::Ref<const RowMajorMatrix, 0, Eigen::OuterStride<>>;
using MatrixRef = Eigen::Ref<RowMajorMatrix, 0, Eigen::OuterStride<>>;

namespace detail {

inline std::span<const float> row(const ConstMatrixRef& w, Eigen::Index r) {
    return {w.data() + r * w.outerStride(), static_cast<std::size_t>(w.cols())};
}
inline std::span<float> row(MatrixRef& w, Eigen::Index r) {
    return {w.data() + r * w.outerStride(), static_cast<std::size_t>(w.cols())};
}

inline std::size_t rows_per_task(const ConstMatrixRef& w) {
    return rows_per_task(static_cast<std::size_t>(w.cols()));
}

/// body(r, serial) for each row, `serial` being `on` without its threads: rows are what threads share.
inline void for_each_row(const Execution& on, const ConstMatrixRef& w,
                         function_ref<void(Eigen::Index row, const Execution& serial)> body) {
    Execution serial;
    serial.instructions = on.instructions;
    // A row is written past the caches where the whole would be.
    serial.streaming_size = static_cast<std::size_t>(w.size()) * sizeof(float) > on.streaming_size
                                ? 0
                                : static_cast<std::size_t>(-1);
    in_parts(on, static_cast<std::size_t>(w.rows()), rows_per_task(w),
             [&](std::size_t begin, std::size_t end) {
                 for (std::size_t r = begin; r != end; ++r) body(static_cast<Eigen::Index>(r), serial);
             });
}

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/quant/kernels/range.hpp

/// The loop that finds the largest and the smallest value, and whether all are finite.
///
///     ValueRange const r = run_on(set, RangeLoop{x, n});      // of no values: {-inf, inf, true}
///
/// A NaN is passed over by the range and makes `finite` false. The zero of a range is +0.0, whichever zeros
/// it was found among. range.hpp makes scales of ranges.

namespace amct_distill::detail {

struct ValueRange {
    float max, min;
    bool finite;
};

struct RangeLoop {
    const float* x;
    std::size_t n;

    /// Two vectors at a time: comparing takes longer than the processor needs to begin the next.
    template <class F>
    struct State {
        F max[2], min[2];
        F nan;  ///< the last NaN, or 0
    };

    template <class F>
    [[gnu::always_inline]] static void step(const float* p, State<F>& s, std::size_t k) {
        F v;
        load(p, v);
        s.max[k] = v > s.max[k] ? v : s.max[k];
        s.min[k] = v < s.min[k] ? v : s.min[k];
        s.nan = v == v ? s.nan : v;
    }

    /// The largest or the smallest element: halves are compared with each other, which takes fewer steps one
    /// after the other than elements do. It is what short rows wait for.
    template <bool Largest, class F>
    [[gnu::always_inline]] static float extreme(const F& v) {
        if constexpr (sizeof(F) == 4) {
            return v;
        }
#if defined(__GNUC__)
        else if constexpr (sizeof(F) == 16) {
            F const swapped = __builtin_shufflevector(v, v, 2, 3, 0, 1);
            F const two = Largest ? (v > swapped ? v : swapped) : (v < swapped ? v : swapped);
            return Largest ? (two[0] > two[1] ? two[0] : two[1]) : (two[0] < two[1] ? two[0] : two[1]);
        } else {
            using Half = typename Vectors<sizeof(F) / 2>::floats;
            Half low, high;
            halves(v, low, high);
            Half const both = Largest ? (low > high ? low : high) : (low < high ? low : high);
            return extreme<Largest>(both);
        }
#endif
    }

    template <class F>
    [[gnu::always_inline]] static float sum(const F& v) {
        if constexpr (sizeof(F) == 4) {
            return v;
        }
#if defined(__GNUC__)
        else if constexpr (sizeof(F) == 16) {
            F const two = v + __builtin_shufflevector(v, v, 2, 3, 0, 1);
            return two[0] + two[1];
        } else {
            typename Vectors<sizeof(F) / 2>::floats low, high;
            halves(v, low, high);
            low += high;
            return sum(low);
        }
#endif
    }

    template <int Bytes>
    [[gnu::always_inline]] ValueRange run() const {
        using F = typename Vectors<Bytes>::floats;
        constexpr std::size_t count = Vectors<Bytes>::count;
        constexpr float infinity = std::numeric_limits<float>::infinity();
        State<F> wide{{F{} - infinity, F{} - infinity}, {F{} + infinity, F{} + infinity}, {}};
        State<float> one{{-infinity, -infinity}, {infinity, infinity}, 0.0f};
        std::size_t i = 0;
        for (; n - i >= 2 * count; i += 2 * count) {
            step(x + i, wide, 0);
            step(x + i + count, wide, 1);
        }
        for (; i < n; ++i) step(x + i, one, 0);

        wide.max[0] = wide.max[1] > wide.max[0] ? wide.max[1] : wide.max[0];
        wide.min[0] = wide.min[1] < wide.min[0] ? wide.min[1] : wide.min[0];
        float const max = extreme<true>(wide.max[0]), min = extreme<false>(wide.min[0]);
        one.max[0] = max > one.max[0] ? max : one.max[0];
        one.min[0] = min < one.min[0] ? min : one.min[0];
        return {one.max[0] + 0.0f, one.min[0] + 0.0f,
                sum(wide.nan) + one.nan == 0 && one.max[0] < infinity && one.min[0] > -infinity};
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/kernels/scale.hpp

/// The formulas from a range to scale and offset, for codes whose limits are numbers; scale.hpp has them for
/// types.
///
///     AffineConstants const p = symmetric_constants(max, min, 1, {-128, 127});

namespace amct_distill::detail {

/// The lowest and the highest code.
struct CodeLimits {
    float qmin, qmax;
};

/// A normal, finite float. (The smallest normal float is what scale.hpp calls smallest_scale.)
inline bool is_scale(float scale) {
    return scale >= (std::numeric_limits<float>::min)() && scale <= (std::numeric_limits<float>::max)();
}

/// ratio * max(|max|, |min|) / limit, where limit is qmax, or qmax + 1 when |max| < |min|; whether that is a
/// scale or not.
inline float symmetric_quotient(float max, float min, float ratio, CodeLimits limits) {
    float const above = std::abs(max), below = std::abs(min);
    return ratio * (above < below ? below : above) / (limits.qmax + (above < below ? 1.0f : 0.0f));
}
/// The width of the range extended to hold 0 / (qmax - qmin); whether that is a scale or not.
inline float asymmetric_quotient(float max, float min, CodeLimits limits) {
    return ((std::max)(0.0f, max) - (std::min)(0.0f, min)) / (limits.qmax - limits.qmin);
}

inline AffineConstants symmetric_constants(float max, float min, float ratio, CodeLimits limits) {
    float const scale = symmetric_quotient(max, min, ratio, limits);
    return {is_scale(scale) ? scale : 1.0f, 0.0f, limits.qmin, limits.qmax};
}
/// The offset qmin - round(min / scale) or, learned, round(qmin - min / scale).
inline AffineConstants asymmetric_constants(float max, float min, CodeLimits limits, bool learned = false) {
    float const scale = asymmetric_quotient(max, min, limits);
    if (!is_scale(scale)) return {1.0f, limits.qmin, limits.qmin, limits.qmax};
    float const t = (std::min)(0.0f, min) / scale;
    float offset = learned ? limits.qmin - t : t;
    round_elements(offset);
    return {scale, learned ? offset : limits.qmin - offset, limits.qmin, limits.qmax};
}

}  // namespace amct_distill::detail

// ---- amct_distill/quant/scale.hpp

/// From a range of values to the scale and offset that cover it, and back.
///
///     ClipRange const range{1.0f, -2.0f};
///     symmetric_scale<Int8>(range);    // {2 / 128, 0}: the longer, negative side has a code more
///     asymmetric_scale<Int8>(range);   // {3 / 255, 42}
///     clip_of<Int8>(p);                // the range of values that the codes of p stand for
///
/// A range that is exactly zero has no scale of its own: it takes 1. So does one whose scale would be below
/// `smallest_scale`, where a float has fewer bits, or not finite; all others have the scale of the formula.
/// (AMCT takes 1 for every scale below 2^-23, which makes zeros of inputs and weights of 1e-6.)

namespace amct_distill {

/// The values that are kept; what lies outside is clipped.
struct ClipRange {
    float max = 0;
    float min = 0;
    friend constexpr bool operator==(const ClipRange&, const ClipRange&) = default;
};

/// The smallest normal float.
inline constexpr float smallest_scale = 0x1p-126f;

namespace detail {

template <BitWidth B>
constexpr CodeLimits limits_of() {
    return {static_cast<float>(B::qmin), static_cast<float>(B::qmax)};
}
inline ScaleOffset scale_offset(AffineConstants p) { return {p.scale, static_cast<std::int32_t>(p.offset)}; }
inline float magnitude(ClipRange range) { return (std::max)(std::abs(range.max), std::abs(range.min)); }

/// Of all parts.
inline ValueRange range_in_parts(const Execution& on, std::size_t n, std::size_t size,
                                 function_ref<ValueRange(std::size_t, std::size_t)> range_of_part) {
    if (!on.parallel_for || n <= size) return range_of_part(0, n);
    std::array<ValueRange, 64> parts;  // at a time, on the stack
    std::size_t const step = parts.size() * size;
    ValueRange all = range_of_part(0, 1);
    for (std::size_t first = 0; first < n; first += step) {
        std::size_t const count = (std::min)(step, n - first);
        in_parts(on, count, size, [&](std::size_t begin, std::size_t end) {
            parts[begin / size] = range_of_part(first + begin, first + end);
        });
        std::size_t const used = on.parallel_for && count > size ? (count - 1) / size + 1 : 1;
        for (std::size_t k = 0; k != used; ++k)
            all = {(std::max)(all.max, parts[k].max), (std::min)(all.min, parts[k].min),
                   all.finite && parts[k].finite};
    }
    return all;
}

/// Largest and smallest value; a NaN is passed over. Precondition of its use as a ClipRange: not empty.
inline ValueRange range_of(std::span<const float> x, const Execution& on = {}) {
    return range_in_parts(on, x.size(), task_size, [&](std::size_t begin, std::size_t end) {
        return run_on(on.instructions, RangeLoop{x.data() + begin, end - begin});
    });
}

inline ValueRange range_of(const ConstMatrixRef& w, const Execution& on = {}) {
    if (w.rows() <= 1 || w.outerStride() == w.cols())
        return range_of(std::span<const float>(w.data(), static_cast<std::size_t>(w.size())), on);
    return range_in_parts(
        on, static_cast<std::size_t>(w.rows()), rows_per_task(w), [&](std::size_t begin, std::size_t end) {
            ValueRange all{-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity(),
                           true};
            for (std::size_t r = begin; r != end; ++r) {
                ValueRange const one =
                    run_on(on.instructions, RangeLoop{row(w, static_cast<Eigen::Index>(r)).data(),
                                                      static_cast<std::size_t>(w.cols())});
                all = {(std::max)(all.max, one.max), (std::min)(all.min, one.min), all.finite && one.finite};
            }
            return all;
        });
}
inline ClipRange clips(ValueRange range) { return {range.max, range.min}; }

}  // namespace detail

/// Scale ratio * max(|max|, |min|) / limit, offset 0; limit = qmax, or qmax + 1 when |max| < |min|.
template <BitWidth B>
ScaleOffset symmetric_scale(ClipRange range, float ratio = 1.0f) {
    return detail::scale_offset(
        detail::symmetric_constants(range.max, range.min, ratio, detail::limits_of<B>()));
}

/// Scale (max - min) / (2^n - 1) of the range extended to hold 0; offset qmin - round(min / scale), so that
/// 0 has a code. AMCT's ARQ and IFMR with offset.
template <BitWidth B>
ScaleOffset asymmetric_scale(ClipRange range) {
    return detail::scale_offset(detail::asymmetric_constants(range.max, range.min, detail::limits_of<B>()));
}

/// The same scale, with the offset round(qmin - min / scale): AMCT's ULQ. It differs from the one above
/// where the float32 subtraction rounds min / scale onto a tie.
template <BitWidth B>
ScaleOffset asymmetric_scale_learned(ClipRange range) {
    return detail::scale_offset(
        detail::asymmetric_constants(range.max, range.min, detail::limits_of<B>(), true));
}

/// The values of the highest and the lowest code.
template <BitWidth B>
ClipRange clip_of(ScaleOffset p) {
    return {dequantize(B::qmax, p), dequantize(B::qmin, p)};
}

/// Whether one can compute with p: its scale is at least `smallest_scale`, and what the codes stand for is a
/// range of finite width.
template <BitWidth B>
bool is_usable(ScaleOffset p) {
    ClipRange const clip = clip_of<B>(p);
    return p.scale >= smallest_scale && std::isfinite(clip.max - clip.min);
}

enum class RangeUse { usable, too_narrow, too_wide };

/// Whether a range can be quantized with the scale that it has, symmetric or not. Exactly zero can be; one
/// that is too narrow would take the scale 1 and lose all values. Precondition: not NaN.
template <BitWidth B, Symmetry S>
RangeUse use_of(ClipRange range) {
    range = {(std::max)(0.0f, range.max), (std::min)(0.0f, range.min)};
    if (range.max == range.min) return RangeUse::usable;
    bool constexpr symmetric = std::same_as<S, Symmetric>;
    auto const limits = detail::limits_of<B>();
    float const scale = symmetric ? detail::symmetric_quotient(range.max, range.min, 1, limits)
                                  : detail::asymmetric_quotient(range.max, range.min, limits);
    if (scale < smallest_scale) return RangeUse::too_narrow;
    return is_usable<B>({scale, symmetric ? 0 : asymmetric_scale<B>(range).offset}) ? RangeUse::usable
                                                                                    : RangeUse::too_wide;
}

}  // namespace amct_distill

// ---- amct_distill/quant/finite.hpp

/// The check of every input: it holds values, and each of them is finite.
///
///     if (auto ok = check_finite(w, "weights"); !ok) return ok;
///     // weights: value at [3, 5] is nan; only finite values can be quantized: check where they come from

namespace amct_distill {

namespace detail {

inline std::size_t first_not_finite(std::span<const float> x) {
    std::size_t i = 0;
    while (i != x.size() && std::isfinite(x[i])) ++i;
    return i;
}

// Not inlined: an error path is cold, and inlining this one draws a false -Wstringop-overflow from g++ 12.
[[gnu::cold, gnu::noinline]] inline Diagnostic not_finite(std::string_view what, std::string_view index,
                                                          float value) {
    return general_error(concat(what, ": value at [", index, "] is ", number(value),
                                "; only finite values can be quantized: check where they come from"));
}

[[gnu::cold, gnu::noinline]] inline Diagnostic no_values(std::string_view what, std::string_view shape) {
    return general_error(concat(what, ": no values", shape, "; an empty tensor cannot be quantized"));
}

[[gnu::cold, gnu::noinline]] inline Diagnostic too_wide(std::string_view what, ClipRange range,
                                                        std::string_view bits) {
    return general_error(concat(what, ": the range ", number(range.min), " to ", number(range.max),
                                " is too wide: what its ", bits,
                                " codes stand for would leave the range of a float; scale it down"));
}
[[gnu::cold, gnu::noinline]] inline Diagnostic too_narrow(std::string_view what, ClipRange range,
                                                          std::string_view bits) {
    return general_warning(concat(what, ": the range ", number(range.min), " to ", number(range.max),
                                  " is too narrow for a scale of ", bits, ", which would be below ",
                                  number(smallest_scale), "; its values become 0"));
}

}  // namespace detail

/// `what` begins the message and names the tensor, "conv1: weights".
inline result<void> check_finite(std::span<const float> x, std::string_view what, const Execution& on = {}) {
    if (x.empty()) return detail::no_values(what, "");
    if (detail::range_of(x, on).finite) return {};
    std::size_t const i = detail::first_not_finite(x);
    return detail::not_finite(what, detail::concat(i), x[i]);
}

/// The index in the message is [row, column].
inline result<void> check_finite(const ConstMatrixRef& w, std::string_view what, const Execution& on = {}) {
    if (w.size() == 0) return detail::no_values(what, detail::concat(" (", w.rows(), " x ", w.cols(), ")"));
    if (detail::range_of(w, on).finite) return {};
    for (Eigen::Index r = 0;; ++r) {
        auto const x = detail::row(w, r);
        std::size_t const c = detail::first_not_finite(x);
        if (c != x.size()) return detail::not_finite(what, detail::concat(r, ", ", c), x[c]);
    }
}

}  // namespace amct_distill

// ---- amct_distill/quant/kernels/fixed_point.hpp

/// The loops that turn floats into 24-bit fixed point and count them by its upper bits (histogram.hpp).
///
///     bool const all = run_on(set, FixedPointLoop<false>{x, n, factor, u});      // u[i] = |x[i]| * factor
///     run_on(set, CountLoop<false, 12>{x, n, factor, words, &beyond});            // of 2^12 cells
///
/// The product is rounded to float and its fraction cut off. With `Signed`, 23 bits of magnitude below a bit
/// of sign. Where the magnitude does not fit, u has a higher bit too, and the result is false.

namespace amct_distill::detail {

template <bool Signed>
struct FixedPointLoop {
    static constexpr int magnitude_bits = Signed ? 23 : 24;
    static constexpr std::int32_t does_not_fit = std::int32_t{1} << 24;

    const float* x;
    std::size_t n;
    float factor;
    std::int32_t* u;

    template <class F>
    [[gnu::always_inline]] void step(std::size_t i, ints_of<F>& all) const {
        using I = ints_of<F>;
        F const limit = F{} + static_cast<float>(1 << magnitude_bits);
        F v;
        load(x + i, v);
        F product = __builtin_bit_cast(F, __builtin_bit_cast(I, v) & INT32_MAX) * factor;
        I fits{}, whole;
        if constexpr (sizeof(F) == 4) {
            fits = product < limit ? -1 : 0;
            product = fits ? product : 0.0f;
            whole = static_cast<I>(product);
        }
#if defined(__GNUC__)
        else {
            fits = product < limit;
            product = __builtin_bit_cast(F, __builtin_bit_cast(I, product) & fits);
            whole = __builtin_convertvector(product, I);
        }
#endif
        if constexpr (Signed) whole |= __builtin_bit_cast(I, v) >> 31 & (1 << 23);
        whole |= ~fits & does_not_fit;
        all &= fits;
        store(whole, u + i);
    }

    template <int Bytes>
    [[gnu::always_inline]] bool run() const {
        using F = typename Vectors<Bytes>::floats;
        constexpr std::size_t count = Vectors<Bytes>::count;
        ints_of<F> wide = ints_of<F>{} - 1;
        std::int32_t one = -1, each[count];
        std::size_t i = 0;
        for (; n - i >= count; i += count) step<F>(i, wide);
        for (; i < n; ++i) step<float>(i, one);
        std::memcpy(each, &wide, sizeof each);
        for (std::int32_t v : each) one &= v;
        return one != 0;
    }
};

/// Adds the values to `words`, one for each of 2^CellBits cells: their number above `sum_bits` bits of the
/// sum of their fixed point (the magnitudes of it). Values that do not fit are appended to `beyond`.
template <bool Signed, int CellBits>
struct CountLoop {
    static constexpr int magnitude_bits = FixedPointLoop<Signed>::magnitude_bits;
    static constexpr std::size_t cells = std::size_t{1} << CellBits;
    static constexpr int sum_bits = 44;

    const float* x;
    std::size_t n;
    float factor;
    std::uint64_t* words;
    std::vector<float>* beyond;

    [[gnu::always_inline]] static void add(std::int32_t u, std::uint64_t* to) {
        auto const w = static_cast<std::uint32_t>(u);
        std::uint32_t const magnitude = Signed ? w & 0x7FFFFFu : w;
        to[w >> (24 - CellBits)] += (std::uint64_t{1} << sum_bits) + magnitude;
    }

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        constexpr std::size_t block = 1024;  // small beside the words, in the first-level cache
        std::int32_t u[block];
        for (std::size_t i = 0; i < n; i += block) {
            std::size_t const size = n - i < block ? n - i : block;
            if (FixedPointLoop<Signed>{x + i, size, factor, u}.template run<Bytes>()) {
                std::size_t k = 0;
                for (; size - k >= 4; k += 4) {
                    add(u[k], words);
                    add(u[k + 1], words);
                    add(u[k + 2], words);
                    add(u[k + 3], words);
                }
                for (; k < size; ++k) add(u[k], words);
            } else {
                for (std::size_t k = 0; k != size; ++k) {
                    if (u[k] >= FixedPointLoop<Signed>::does_not_fit)
                        beyond->push_back(x[i + k]);
                    else
                        add(u[k], words);
                }
            }
        }
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/histogram.hpp

/// A certified histogram for IFMR: one pass over the values tells, for each candidate, between which bounds
/// its loss is, so that only those that could be the smallest need be evaluated exactly.
///
///     CertifiedHistogram<false, 12> histogram(largest);     // of |x|, 2^12 cells up to `largest`
///     if (histogram.usable(candidates)) histogram.add(part, on);  ...
///     histogram.finish();
///     LossBound const of_first = histogram.bound(candidates[0]);
///
/// How it works. The loss of a candidate, with q_k = float(k * s) for its codes k and e the float32 error, is
/// L = sum e(x)^2. But for rounding that is sum min_k (q_k - x)^2 (a code is the nearest one there is), and
///
///     L - sum x^2 = sum g(x),   g(x) = min_k (q_k^2 - 2 q_k x)
///
/// where sum x^2 is common to all candidates and g is concave and piecewise linear. Where a cell of the
/// histogram lies within one piece, the number n of its values and their sum S give its part exactly,
/// n q_k^2 - 2 q_k S. In a cell [a, b) with a boundary t between pieces k and k + 1, the k-th piece is too
/// large by 2 (q_{k+1} - q_k) * sum (x - t)+, of which with the mean m = S / n the convexity of (x - t)+
/// gives
///
///     n (m - t)+  <=  sum (x - t)+  <=  n (m - a)(b - t) / (b - a)      (Jensen; the chord)
///
/// Lengths are measured in units of the fixed point, x -> F x with F = (2^24 - 2^4) / largest (Signed: 2^23),
/// and e = 2^-24. What else separates this from L, term by term as in `bound`:
///
///  1. Fixed point. w = float(F x) < 2^24 has an error of at most e w, and u = trunc(w): so x is within
///     h = 1/2 + e (u + 1) <= 3/2 of u + 1/2, which is taken for it - by all candidates alike, so that
///     sum x^2 stays common. A squared error changes with slope 2 |error|, that is step + 2h at most between
///     the outermost codes (step: the largest q_{k+1} - q_k), where it moves by h (step + 2h) at most, and
///     by 2h (d + h) for a value at d beyond an outermost code.
///  2. CodeRange. float(x / s) passes k + 1/2 within a relative e of it, and (q_k + q_{k+1}) / 2 is within
///     e (|k| + 1) s of (k + 1/2) s. Values between the two, 2.02 e (|k| + 1) step apart at most, have the
///     other code, at 2 step times the distance. They are in the boundary's cell or the two beside it.
///  3. float(q_k - x) rounds once, relative e: 2 e L, with what the summation in double adds below 3.1 e L.
///     L <= n (step / 2 + 3)^2 between the outermost codes and sum d^2 <= max d * sum d beyond them.
///  4. Values beyond `largest` have the outermost code of every candidate. They are kept as they are, for
///     they are few, or the histogram is not used; so nothing is added for them.
///  5. Double arithmetic here: at most 2 (codes + cells) roundings, 2^-53 each, on the path of any term, and
///     as many as there are values beyond `largest`.
///
/// Counts and sums are integers, exact. A cell is one 64-bit word, a count above 44 bits of sum, so that a
/// value costs one addition. Words are emptied into wider counters after 2^19 values at most: the sum is then
/// below 2^19 * 2^24 = 2^43 and the count, of 20 bits, below 2^20.

namespace amct_distill::detail {

/// What the loss of a candidate depends on: values become float(k * scale), k = min_code..max_code.
struct CodeRange {
    float scale;
    int min_code, max_code;
};

/// Its loss times F^2, without the sum of squares, is within `slack` of `estimate`.
struct LossBound {
    double estimate = 0, slack = 0;
    double low() const { return estimate - slack; }
    double high() const { return estimate + slack; }
};

/// `Signed` makes a histogram of x, otherwise of |x|, for candidates that treat x and -x alike.
template <bool Signed, int CellBits>
class CertifiedHistogram {
    using Loop = CountLoop<Signed, CellBits>;
    static constexpr std::size_t cells = Loop::cells;
    static constexpr double epsilon = 0x1p-24;

public:
    /// `largest`: the largest magnitude that a candidate does not clip, or a smaller one that all values
    /// have. To be checked by `usable` first.
    explicit CertifiedHistogram(float largest)
        : factor_(static_cast<float>((1 << Loop::magnitude_bits) - 16) / largest),
          counts_(cells),
          sums_(cells) {}

    /// Whether fixed point can represent the values, and cells are narrow enough for the candidates: at most
    /// one boundary in each, and farther from the next than step 2 above looks.
    bool usable(std::span<const CodeRange> candidates) const {
        if (!(std::isnormal(factor_) && factor_ < 0x1p100f && factor_ > 0x1p-100f)) return false;
        return std::all_of(candidates.begin(), candidates.end(), [&](const CodeRange& c) {
            double const step = static_cast<double>(c.scale) * static_cast<double>(factor_);
            bool const finite = std::isfinite(c.scale * static_cast<float>(c.max_code)) &&
                                std::isfinite(c.scale * static_cast<float>(c.min_code));
            return finite && (c.min_code == c.max_code || step >= 4 * width());
        });
    }

    /// Precondition: all finite.
    void add(std::span<const float> x, const Execution& on) {
        std::mutex merging;
        in_parts(on, x.size(), period, [&](std::size_t begin, std::size_t end) {
            std::vector<std::uint64_t> words(cells);
            for (std::size_t i = begin; i < end; i += period) {
                std::vector<float> beyond;
                run_on(on.instructions,
                       Loop{x.data() + i, (std::min)(period, end - i), factor_, words.data(), &beyond});
                std::lock_guard const lock(merging);
                empty(words);
                beyond_.insert(beyond_.end(), beyond.begin(), beyond.end());
            }
        });
        total_ += x.size();
    }

    /// Whether so many values lie beyond `largest` that counting them was of no use.
    bool too_many_beyond() const { return beyond_.size() > total_ / 16 + 1024; }

    /// Call once, after the last `add`.
    void finish() {
        std::sort(beyond_.begin(), beyond_.end());  // no matter in which order they came
        for (float v : beyond_) {
            double const y = static_cast<double>(v) * static_cast<double>(factor_);
            auto& [n, sum] = above(v) ? above_ : below_;
            ++n;
            sum += Signed ? y : std::abs(y);
            beyond_squares_ += y * y;
        }
        n_.assign(cells + 1, 0);
        s_.assign(cells + 1, 0);
        for (std::size_t j = 0; j != cells; ++j) {
            // In increasing order: of the negative ones, the largest magnitude first.
            std::size_t const half = cells / 2, cell = !Signed ? j : j < half ? cells - 1 - j : j - half;
            auto const n = static_cast<double>(counts_[cell]);
            double const magnitude = static_cast<double>(sums_[cell]) + n / 2;
            magnitudes_ += magnitude;
            n_[j + 1] = n_[j] + n;
            s_[j + 1] = s_[j] + (Signed && j < half ? -magnitude : magnitude);
        }
    }

    LossBound bound(const CodeRange& c) const {
        auto const q = [&](int k) {
            return static_cast<double>(static_cast<float>(k) * c.scale) * static_cast<double>(factor_);
        };
        double const n = n_[cells], scale = static_cast<double>(c.scale) * static_cast<double>(factor_);
        // Neighbours are a scale apart, but for the rounding of both.
        double const step =
            c.min_code == c.max_code ? 0 : scale * (1 + 4 * epsilon * (std::max)(-c.min_code, c.max_code));
        double estimate = 0, magnitude = 0, slack = 0;
        auto const add_line = [&](double count, double sum, double to) {
            estimate += count * to * to - 2 * to * sum;
            magnitude += count * to * to + 2 * std::abs(to * sum);
        };

        std::size_t begin = 0;  // the first cell that no code has taken yet
        for (int k = c.min_code; k != c.max_code; ++k) {
            double const here = q(k), next = q(k + 1), t = (here + next) / 2;
            std::size_t const end = cellsbelow(t);  // the last of them may have t inside
            if (end > begin) add_line(n_[end] - n_[begin], s_[end] - s_[begin], here);
            if (end != 0) {
                double const a = edge(end - 1), b = edge(end), count = n_[end] - n_[end - 1];
                if (count > 0 && t < b) {
                    double const m = (std::clamp)((s_[end] - s_[end - 1]) / count, a, b);
                    double const least = count * (std::max)(0.0, m - t);
                    double const most = count * (m - a) * (b - t) / (b - a);
                    estimate -= (next - here) * (least + most);
                    slack += (next - here) * (std::max)(0.0, most - least);
                }
            }
            double const nearby = n_[(std::min)(end + 1, cells)] - n_[end < 2 ? 0 : end - 2];
            slack += nearby * 2 * step * 2.02 * epsilon * (std::abs(k) + 2) * step;  // 2
            begin = (std::max)(begin, end);
        }
        add_line(n - n_[begin], s_[cells] - s_[begin], q(c.max_code));
        add_line(above_.n, above_.sum, q(c.max_code));
        add_line(below_.n, below_.sum, q(c.min_code));

        // Beyond the outermost codes: the sum of distances, from the edge of the cell the code is in.
        std::size_t const top = cellsbelow(q(c.max_code)), last = top == 0 ? 0 : top - 1;
        double beyond = s_[cells] - s_[last] - (n - n_[last]) * edge(last),
               farthest = edge(cells) - edge(last);
        if (Signed) {
            std::size_t const first = cellsbelow(q(c.min_code));
            beyond += n_[first] * edge(first) - s_[first];
            farthest = (std::max)(farthest, edge(first) - edge(0));
        }
        slack += step * (n / 2 + 1.01 * epsilon * (magnitudes_ + n)) + 4.5 * n + 3 * beyond + 4.5 * n;  // 1
        double const inside = step / 2 + 3;
        double const loss = n * inside * inside + (farthest + 1.5) * (beyond + 1.5 * n) + beyond_squares_;
        slack += 3.1 * epsilon * loss;  // 3
        slack += 0x1p-52 * (c.max_code - c.min_code + static_cast<double>(cells) + above_.n + below_.n) *
                 magnitude;  // 5
        return {estimate, slack};
    }

    /// To turn an estimate into a sum of squared errors.
    double unit_squared() const { return 1 / (static_cast<double>(factor_) * static_cast<double>(factor_)); }

private:
    struct Sum {
        double n = 0, sum = 0;
    };

    static bool above(float v) { return !Signed || v > 0; }
    static constexpr double width() { return 1 << (24 - CellBits); }
    double edge(std::size_t j) const {
        return (static_cast<double>(j) - (Signed ? static_cast<double>(cells / 2) : 0.0)) * width();
    }
    /// How many cells begin at or below t.
    std::size_t cellsbelow(double t) const {
        double const j = std::floor((t - edge(0)) / width()) + 1;
        return static_cast<std::size_t>((std::clamp)(j, 0.0, static_cast<double>(cells)));
    }

    void empty(std::span<std::uint64_t> words) {
        for (std::size_t j = 0; j != cells; ++j) {
            counts_[j] += words[j] >> Loop::sum_bits;
            sums_[j] += words[j] & ((std::uint64_t{1} << Loop::sum_bits) - 1);
            words[j] = 0;
        }
    }

    static constexpr std::size_t period = std::size_t{1} << 19;

    float factor_;
    std::vector<std::uint64_t> counts_, sums_;
    std::vector<float> beyond_{};
    std::size_t total_ = 0;
    // Since finish(): of the cells up to the j-th in increasing order, and of what lies beyond them.
    std::vector<double> n_{}, s_{};
    Sum above_{}, below_{};
    double magnitudes_ = 0, beyond_squares_ = 0;
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/kernels/squared_error.hpp

/// The terms of a candidate's loss (ifmr.hpp): squares of the float32 errors of fake quantization.
///
///     double const sum = ordered_sums(on, n, SquaredError{x, upper, lower, scale})[0];

namespace amct_distill::detail {

struct SquaredError {
    static constexpr std::size_t sums = 1;
    const float* x;
    float upper, lower;  ///< values are clamped to these
    float scale;

    /// Errors are those of float32, whose product is rounded before the subtraction. Giving the product its
    /// sign (the scale is positive) after the multiplication keeps the two apart: next to each other, g++
    /// makes an FMA of them where the target has one.
    template <int Bytes>
    [[gnu::always_inline]] void add(std::size_t i, std::size_t accumulator, Accumulators<Bytes>* to) const {
        using F = typename Vectors<Bytes>::floats;
        using I = typename Vectors<Bytes>::ints;
        F const highest = F{} + upper, lowest = F{} + lower;
        F v;
        load(x + i, v);
        F t = v > highest ? highest : v;
        t = t < lowest ? lowest : t;
        t = t / scale;
        I const sign = __builtin_bit_cast(I, t) & INT32_MIN;
        F const nearest = ((t + rounding_shift) - rounding_shift) * scale;
        F const error = __builtin_bit_cast(F, (__builtin_bit_cast(I, nearest) & INT32_MAX) | sign) - v;
        to[0].add_product(error, error, accumulator);
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/tail.hpp

/// The k-th largest and the k-th smallest of values that come in parts, each with its range.
///
///     Tails tails(k_largest, k_smallest);
///     tails.add(part, range_of(part));  ...
///     tails.kth_largest();  tails.kth_smallest();
///
/// Only what could still be among the k outermost is kept, and a part without such values is not read.

namespace amct_distill::detail {

/// The first k in the order of Before.
template <class Before>
class Tail {
public:
    /// `last`: no value comes after it. Precondition: k > 0.
    Tail(std::size_t k, float last) : k_(k), threshold_(last) {}

    float threshold() const { return threshold_; }

    /// Values equal to the threshold need not be kept: they leave the k-th as it is.
    void add(float v) {
        if (!Before{}(v, threshold_)) return;
        kept_.push_back(v);
        if (kept_.size() >= 2 * k_ + 1024) shrink();
    }

    /// Precondition: at least k values were added.
    float kth() {
        if (kept_.size() >= k_) shrink();
        return threshold_;
    }

private:
    void shrink() {
        auto const kth = kept_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
        std::nth_element(kept_.begin(), kth, kept_.end(), Before{});
        threshold_ = *kth;
        kept_.resize(k_);
    }

    std::size_t k_;
    float threshold_;
    std::vector<float> kept_{};
};

class Tails {
public:
    Tails(std::size_t k_largest, std::size_t k_smallest)
        : largest_(k_largest, -std::numeric_limits<float>::infinity()),
          smallest_(k_smallest, std::numeric_limits<float>::infinity()) {}

    /// Precondition: all finite, `range` their range or a larger one.
    void add(std::span<const float> x, ValueRange range) {
        if (range.max > largest_.threshold())
            for (float v : x) largest_.add(v);
        if (range.min < smallest_.threshold())
            for (float v : x) smallest_.add(v);
    }

    float kth_largest() { return largest_.kth(); }
    float kth_smallest() { return smallest_.kth(); }

private:
    Tail<std::greater<>> largest_;
    Tail<std::less<>> smallest_;
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/value_store.hpp

/// Values of many batches, one after the other; beyond a number of bytes in a temporary file.
///
///     ValueStore values(64 << 20);                        // at most 64 MB of memory
///     values.append(batch);  ...
///     values.for_each_part([&](std::span<const float> part) { ... });      // in the order of appending
///
/// The file has no name and vanishes with the object. Nothing is ever left out.

namespace amct_distill::detail {

class ValueStore {
public:
    explicit ValueStore(std::size_t max_bytes) { limit(max_bytes); }

    /// Half of the bytes hold what was appended last, half are for reading the file; at least 512 KB.
    /// Precondition: empty.
    void limit(std::size_t max_bytes) {
        assert(size() == 0);
        capacity_ = (std::max)(max_bytes / (2 * sizeof(float)) / task_size, std::size_t{1}) * task_size;
        in_memory_ = max_bytes == static_cast<std::size_t>(-1);
    }

    std::size_t size() const { return written_ + recent_.size(); }
    bool uses_file() const { return file_ != nullptr; }

    /// An error when the file cannot be written; the store then holds what it held before.
    result<void> append(std::span<const float> x) {
        std::size_t const before = recent_.size(), room = in_memory_ ? x.size() : capacity_ - before;
        std::span<const float> rest = x.subspan((std::min)(room, x.size()));
        recent_.insert(recent_.end(), x.begin(), x.end() - static_cast<std::ptrdiff_t>(rest.size()));
        if (rest.empty()) return {};
        // What is written counts in the end only: until then, it lies beyond what the file holds.
        std::size_t end = written_;
        auto done = write(recent_, end);
        for (; done && rest.size() > capacity_; rest = rest.subspan(capacity_))
            done = write(rest.first(capacity_), end);
        if (!done) {
            recent_.resize(before);
            return done;
        }
        written_ = end;
        recent_.assign(rest.begin(), rest.end());
        return {};
    }

    /// body(part): all parts but the last are multiples of `task_size`. An error when the file cannot be
    /// read.
    template <class Body>
    result<void> for_each_part(const Body& body) const {
        if (written_ != 0) {
            std::rewind(file_.get());
            std::vector<float> part(capacity_);
            for (std::size_t read = 0; read != written_; read += capacity_) {
                if (std::fread(part.data(), sizeof(float), capacity_, file_.get()) != capacity_)
                    return failed("read");
                body(std::span<const float>(part));
            }
        }
        if (!recent_.empty()) body(std::span<const float>(recent_));
        return {};
    }

private:
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };

    /// `capacity_` values as those from `end` on, which moves after them.
    result<void> write(std::span<const float> x, std::size_t& end) {
        if (!file_) file_.reset(std::tmpfile());
        if (!file_ || std::fseek(file_.get(), static_cast<long>(end * sizeof(float)), SEEK_SET) != 0 ||
            std::fwrite(x.data(), sizeof(float), x.size(), file_.get()) != x.size() ||
            std::fflush(file_.get()) != 0)
            return failed("write");
        end += x.size();
        return {};
    }

    [[gnu::cold, gnu::noinline]] static Diagnostic failed(const char* what) {
        return general_error(concat("cannot ", what, " the temporary file of observed values: ",
                                    std::strerror(errno), "; make room for it, or allow more memory"));
    }

    std::size_t capacity_ = 0;
    bool in_memory_ = false;
    std::size_t written_ = 0;  // to the file: a multiple of capacity_
    std::unique_ptr<std::FILE, Close> file_{};
    std::vector<float> recent_{};
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/ifmr.hpp

/// IFMR, input feature map reconstruction: the clip range of activations with the smallest squared error.
///
///     Ifmr<Int8> ifmr;
///     ifmr.observe(batch1).value();
///     ifmr.observe(batch2).value();
///     result<IfmrResult> found = ifmr.finish();    // found->clip, found->scale_offset
///
/// Source: AMCT's IFMR. The winner is the candidate with the smallest sum, in double, of the squares of the
/// exact float32 errors; AMCT sums in float32 and can miss it. All observed values count: none is sampled.

namespace amct_distill {

/// Candidate i has the ratio float(search_start + i * search_step), for i < ceil((search_end - search_start)
/// / search_step). The defaults give 61 of them, 0.70 to 1.30: in double, 0.6 / 0.01 is a little over 60.
struct IfmrOptions {
    double max_percentile = 0.999999;  ///< the part of the values that are not above the range, (0, 1]
    double min_percentile = 0.999999;  ///< the part of the values that are not below it, (0, 1]
    double search_start = 0.7;
    double search_end = 1.3;
    double search_step = 0.01;
    /// Of memory for values; at least 512 KB are used. What is more goes to a temporary file, which `finish`
    /// reads three times.
    std::size_t max_bytes = static_cast<std::size_t>(-1);
    /// Evaluate every candidate exactly; otherwise only those that could be the best.
    bool every_loss = false;

    static constexpr double max_candidates = 10000;

    double candidates() const { return std::ceil((search_end - search_start) / search_step); }
    /// Errors: a percentile outside (0, 1], a search that is none.
    result<void> check_options() const {
        using detail::number;
        for (double p : {max_percentile, min_percentile})
            if (!(p > 0 && p <= 1))
                return general_error(detail::concat("IFMR: the percentile ", number(p),
                                                    " is not in (0, 1]; the default is 0.999999"));
        double const count = candidates();
        if (!(search_start > 0 && search_step > 0 && count >= 1 && count <= max_candidates))
            return general_error(detail::concat(
                "IFMR: the search from ", number(search_start), " to ", number(search_end), " by ",
                number(search_step),
                " is not one of 1 to 10000 positive ratios; the default is from 0.7 to 1.3 by 0.01"));
        return {};
    }
};

struct IfmrResult {
    ScaleOffset scale_offset{};
    ClipRange clip{};                   ///< the values of the highest and the lowest code
    std::size_t best = 0;               ///< the winning candidate: the first with the smallest loss
    std::vector<double> losses{};       ///< mean squared error, by candidate: exact for the best
    std::vector<double> loss_errors{};  ///< how far each may be from the exact one; 0: it is
    ClipRange range{};                  ///< the percentiles, extended to hold 0
};

/// With M = max(|max|, |min|) of the percentiles and limit as in `symmetric_scale`, ratio r has
///   symmetric:   scale r * M / limit, values clamped to -r * M .. r * M;
///   asymmetric:  scale and offset of `asymmetric_scale` of r * max and min (the ratio moves only the upper
///                end), values clamped to min .. r * max.
/// Its loss is mean((round(clamp(x) / scale) * scale - x)^2): not clamped to the integers of n bits.
template <BitWidth B, Symmetry S>
class Ifmr {
public:
    using bits = B;
    using symmetry = S;

    Ifmr() = default;
    explicit Ifmr(IfmrOptions options) : options_(options), values_(options.max_bytes) {}

    /// How much memory values may take, as `IfmrOptions::max_bytes`. Precondition: no batch was observed.
    void limit_memory(std::size_t bytes) {
        options_.max_bytes = bytes;
        values_.limit(bytes);
    }

    /// Adds a batch, of any shape. Errors: it is empty or has a value that is not finite, or the temporary
    /// file cannot be written. It is then not added, and all is as before.
    result<void> observe(std::span<const float> batch, const Execution& on = {}) {
        // The check finds the range of each few values too, which tells `finish` where the outermost are.
        std::vector<Range> ranges((batch.size() + detail::sum_block - 1) / detail::sum_block);
        detail::in_parts(on, batch.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i < end; i += detail::sum_block) {
                std::size_t const n = (std::min)(detail::sum_block, end - i);
                ranges[i / detail::sum_block] = {
                    values_.size() + i + n,
                    detail::run_on(on.instructions, detail::RangeLoop{batch.data() + i, n})};
            }
        });
        bool const finite =
            std::all_of(ranges.begin(), ranges.end(), [](const Range& r) { return r.values.finite; });
        if (batch.empty() || !finite) return check_finite(batch, "activations", on);
        ranges_.reserve(ranges_.size() + ranges.size());  // what follows the values' addition cannot fail
        if (auto ok = values_.append(batch); !ok) return ok;
        ranges_.insert(ranges_.end(), ranges.begin(), ranges.end());
        return {};
    }

    /// The best clip range of all values observed; what is found `is_usable`. Errors: no batch, options
    /// outside their limits, values so large that no candidate is usable, a temporary file that cannot be
    /// read. Warning: a range that is not zero and so narrow that no candidate has a scale, `use_of`; it is
    /// taken for zero.
    result<IfmrResult> finish(const Execution& on = {}) const {
        if (auto ok = options_.check_options(); !ok) return ok.diagnostics();
        if (values_.size() == 0)
            return general_error("IFMR: no batch was observed; call observe() before finish()");

        IfmrResult found;
        float largest = 0;
        if (auto ok = find_range(found.range, largest); !ok) return ok.diagnostics();
        std::vector<Candidate> candidates = candidates_in(found.range);
        Diagnostics warnings;
        if (std::all_of(candidates.begin(), candidates.end(),
                        [](const Candidate& c) { return c.use == RangeUse::too_narrow; })) {
            warnings.push_back(detail::too_narrow("activations", found.range, B::name));
            candidates = candidates_in({});
        }
        if (auto ok = find_losses(on, candidates, largest, found); !ok) return ok.diagnostics();
        double smallest = std::numeric_limits<double>::infinity();
        for (std::size_t i = 0; i != candidates.size(); ++i) {
            if (found.loss_errors[i] == 0 && found.losses[i] < smallest) {
                smallest = found.losses[i];
                found.best = i;
            }
        }
        if (!std::isfinite(smallest)) return detail::too_wide("activations", found.range, B::name);
        found.scale_offset = candidates[found.best].p;
        found.clip = clip_of<B>(found.scale_offset);
        return {std::move(found), std::move(warnings)};
    }

private:
    /// Of values that were observed together.
    struct Range {
        std::size_t end;  // the place of the first after them
        detail::ValueRange values;
    };

    struct Candidate {
        float upper, lower;  // values are clamped to these
        ScaleOffset p;
        RangeUse use;  // what is not usable has no loss, and cannot win

        detail::SquaredError terms(std::span<const float> x) const {
            return {x.data(), upper, lower, p.scale};
        }
        /// Precondition: the ends and the scale are finite.
        detail::CodeRange codes() const {
            auto const code = [this](float end) { return static_cast<int>(std::nearbyint(end / p.scale)); };
            return {p.scale, std::same_as<S, Symmetric> ? 0 : code(lower), code(upper)};
        }
        /// All values become 0: the loss does not depend on the candidate.
        bool is_zero() const { return codes().max_code == 0 && std::nearbyint(lower / p.scale) == 0; }
    };

    /// The percentiles - the k-th value from an end, k = N - int(percentile * N) but at least 1 - extended to
    /// hold 0, and the largest magnitude of all values.
    result<void> find_range(ClipRange& range, float& largest) const {
        std::size_t const n = values_.size();
        auto const k = [n](double percentile) {
            auto const below = static_cast<std::size_t>(percentile * static_cast<double>(n));
            return (std::max<std::size_t>)(1, n - (std::min)(n, below));
        };
        detail::Tails tails(k(options_.max_percentile), k(options_.min_percentile));
        auto current = ranges_.begin();
        std::size_t place = 0;
        auto read = values_.for_each_part([&](std::span<const float> part) {
            while (!part.empty()) {
                std::size_t const size = (std::min)(part.size(), current->end - place);
                tails.add(part.first(size), current->values);
                place += size;
                part = part.subspan(size);
                if (place == current->end) ++current;
            }
        });
        range = {(std::max)(0.0f, tails.kth_largest()), (std::min)(0.0f, tails.kth_smallest())};
        largest = 0;
        for (const Range& r : ranges_) largest = (std::max)({largest, r.values.max, -r.values.min});
        return read;
    }

    std::vector<Candidate> candidates_in(ClipRange range) const {
        auto const count = static_cast<std::size_t>(options_.candidates());
        std::vector<Candidate> all;
        all.reserve(count);
        auto const limits = detail::limits_of<B>();
        auto const use = [&](float scale, ScaleOffset p) {
            if (range.max == range.min) return RangeUse::usable;  // of zeros, with scale 1
            if (scale < smallest_scale) return RangeUse::too_narrow;
            return detail::is_scale(scale) && is_usable<B>(p) ? RangeUse::usable : RangeUse::too_wide;
        };
        for (std::size_t i = 0; i != count; ++i) {
            auto const ratio =
                static_cast<float>(options_.search_start + static_cast<double>(i) * options_.search_step);
            if constexpr (std::same_as<S, Symmetric>) {
                float const upper = ratio * detail::magnitude(range);
                auto const p = symmetric_scale<B>(range, ratio);
                all.push_back({upper, -upper, p,
                               use(detail::symmetric_quotient(range.max, range.min, ratio, limits), p)});
            } else {
                float const upper = ratio * range.max;
                ClipRange const scaled{upper, range.min};
                auto const p = asymmetric_scale<B>(scaled);
                all.push_back(
                    {upper, range.min, p, use(detail::asymmetric_quotient(upper, range.min, limits), p)});
            }
        }
        return all;
    }

    /// All losses, or those of the candidates that the histogram leaves, and estimates of the others.
    result<void> find_losses(const Execution& on, const std::vector<Candidate>& candidates, float largest,
                             IfmrResult& found) const {
        // Below, the sweep takes less time than the bounds do.
        constexpr std::size_t few = 8192;
        found.losses.assign(candidates.size(), std::numeric_limits<double>::infinity());
        found.loss_errors.assign(candidates.size(), 0);
        std::vector<std::size_t> left;
        for (std::size_t i = 0; i != candidates.size(); ++i)
            if (candidates[i].use == RangeUse::usable) left.push_back(i);
        if (left.empty()) return {};
        std::vector<detail::LossBound> bounds;
        double unit_squared = 0;
        if (values_.size() >= few && !options_.every_loss)
            if (auto ok = bound_losses(on, candidates, largest, bounds, unit_squared); !ok) return ok;
        if (!bounds.empty()) {
            double lowest = std::numeric_limits<double>::infinity();
            for (const auto& bound : bounds) lowest = (std::min)(lowest, bound.high());
            std::erase_if(left, [&](std::size_t i) { return bounds[i].low() > lowest; });
        }
        if (auto ok = evaluate(on, candidates, left, found.losses); !ok) return ok;
        if (bounds.empty()) return {};

        // An estimate lacks the sum of squares, which an exact loss has.
        double const to_mean = unit_squared / static_cast<double>(values_.size());
        std::size_t const known = left[0];
        std::size_t next = 0;
        for (std::size_t i = 0; i != candidates.size(); ++i) {
            if (next != left.size() && left[next] == i) {
                ++next;
                continue;
            }
            found.losses[i] = found.losses[known] + (bounds[i].estimate - bounds[known].estimate) * to_mean;
            found.loss_errors[i] = (bounds[i].slack + bounds[known].slack) * to_mean;
        }
        return {};
    }

    /// `bounds` stays empty where the histogram cannot be used.
    result<void> bound_losses(const Execution& on, const std::vector<Candidate>& candidates, float largest,
                              std::vector<detail::LossBound>& bounds, double& unit_squared) const {
        std::vector<detail::CodeRange> codes;
        float kept = 0;  // the largest magnitude that some candidate does not clip
        for (const Candidate& c : candidates) {
            if (c.use != RangeUse::usable) return {};
            codes.push_back(c.codes());
            kept = (std::max)({kept, std::abs(c.upper), std::abs(c.lower)});
        }
        // Cells are a twentieth of a step or less, and their words stay in the first-level cache.
        constexpr int cell_bits = (std::min)(12, B::width + 6);
        detail::CertifiedHistogram<std::same_as<S, Asymmetric>, cell_bits> histogram(
            (std::min)(kept, largest));
        if (!histogram.usable(codes)) return {};
        if (auto ok = values_.for_each_part([&](std::span<const float> part) { histogram.add(part, on); });
            !ok)
            return ok;
        if (histogram.too_many_beyond()) return {};
        histogram.finish();
        for (const detail::CodeRange& c : codes) bounds.push_back(histogram.bound(c));
        unit_squared = histogram.unit_squared();
        return {};
    }

    /// The exact losses of the candidates in `which`. Every block of values is read from memory once, and
    /// evaluated for all of them while in cache.
    result<void> evaluate(const Execution& on, const std::vector<Candidate>& candidates,
                          const std::vector<std::size_t>& which, std::vector<double>& losses) const {
        std::vector<std::size_t> todo;
        std::size_t zero = candidates.size();
        for (std::size_t i : which) {
            bool const is_zero = candidates[i].is_zero();
            if (is_zero && zero != candidates.size()) continue;
            if (is_zero) zero = i;
            todo.push_back(i);
        }
        for (std::size_t i : todo) losses[i] = 0;
        Execution serial;
        serial.instructions = on.instructions;
        auto read = values_.for_each_part([&](std::span<const float> part) {
            std::size_t const blocks = (part.size() - 1) / detail::sum_block + 1;
            std::vector<double> sums(blocks * todo.size());
            detail::in_parts(
                on, blocks, detail::task_size / detail::sum_block, [&](std::size_t begin, std::size_t end) {
                    for (std::size_t k = begin; k != end; ++k) {
                        auto const block =
                            part.subspan(k * detail::sum_block)
                                .first((std::min)(detail::sum_block, part.size() - k * detail::sum_block));
                        for (std::size_t c = 0; c != todo.size(); ++c)
                            sums[k * todo.size() + c] = detail::ordered_sums(
                                serial, block.size(), candidates[todo[c]].terms(block))[0];
                    }
                });
            for (std::size_t k = 0; k != blocks; ++k)
                for (std::size_t c = 0; c != todo.size(); ++c) losses[todo[c]] += sums[k * todo.size() + c];
        });
        if (!read) return read;
        for (std::size_t i : todo) losses[i] /= static_cast<double>(values_.size());
        for (std::size_t i : which)
            if (candidates[i].is_zero()) losses[i] = losses[zero];
        return {};
    }

    IfmrOptions options_{};
    detail::ValueStore values_{options_.max_bytes};
    std::vector<Range> ranges_{};
};

}  // namespace amct_distill

// ---- amct_distill/quant/kernels/gradient.hpp

/// The terms of ULQ's gradients: of clips (act_ulq.hpp) and of scales (ulq.hpp), whose formulas are there.
///
///     std::array<double, 2> const sums = ordered_sums(on, n, ClipGradient<false>{x, g, dx, constants});
///
/// A term is a factor times g, in float; the factor is round(x / scale) - x / scale within the range, and a
/// constant for all that is clipped to one end of it.

namespace amct_distill::detail {

/// round(t) - t; of no use where t is beyond 2^22.
template <class F>
[[gnu::always_inline]] inline void residual_of(const F& t, F& residual) {
    residual = ((t + rounding_shift) - rounding_shift) - t;
}

/// The three sums that both gradients of clips are made of: of the residual times g within the range, of g
/// above it, and of g below. Writes dx, which may be g. Streaming: past the caches; dx is then a multiple of
/// 64 bytes.
template <bool Streaming>
struct ClipGradient {
    static constexpr std::size_t sums = 3;
    const float* x;
    const float* g;
    float* dx;
    float scale, upper;
    float lower;  ///< not +0 but -0: see `less`

    template <class F>
    [[gnu::always_inline]] void begin(std::size_t i, F& quotient) const {
        prefetch(x + i, read_ahead);
        prefetch(g + i, read_ahead);
        load(x + i, quotient);
        quotient = quotient / scale;
    }
    template <class F>
    [[gnu::always_inline]] void terms(std::size_t i, const F& quotient, F* of) const {
        F v, grad, residual;
        load(x + i, v);
        load(g + i, grad);
        residual_of(quotient, residual);
        ints_of<F> above, below;
        less(upper - F{}, v, above);
        less(v, lower - F{}, below);  // F{} + lower would not be -0
        F inside = grad;
        mask(inside, ~(above | below));
        if constexpr (Streaming)
            store_streaming(inside, dx + i);
        else
            store(inside, dx + i);
        mask(residual, ~(above | below));  // it can be a NaN outside
        of[0] = residual * inside;
        of[1] = of[2] = grad;
        mask(of[1], above);
        mask(of[2], below);
    }
};

/// The terms of ds, before the division by sqrt(K * qmax).
struct ScaleGradient {
    static constexpr std::size_t sums = 1;
    const float* w;
    const float* g;
    float scale, qmax, qmin;
    float upper, lower;  ///< scale * qmax, scale * qmin

    template <class F>
    [[gnu::always_inline]] void begin(std::size_t i, F& quotient) const {
        prefetch(w + i, read_ahead);
        prefetch(g + i, read_ahead);
        load(w + i, quotient);
        quotient = quotient / scale;
    }
    template <class F>
    [[gnu::always_inline]] void terms(std::size_t i, const F& quotient, F* of) const {
        F const zero{};
        F v, grad, factor;
        load(w + i, v);
        load(g + i, grad);
        residual_of(quotient, factor);
        factor = v < lower ? zero + qmin : factor;
        factor = v > upper ? zero + qmax : factor;
        of[0] = factor * grad;
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/act_ulq.hpp

/// ULQ, universal linear quantization of activations: the clips are trained. For weights see ulq.hpp.
///
///     ActUlq<Int8> ulq(ClipRange{6.0f, -6.0f}, /*fixed_min=*/false);
///     ulq.fake_quantize(x, y);
///     ulq.backward(x, grad_y, grad_x, grad_clips);   // then the optimizer changes ulq.parameters()
///     ulq.constrain();
///
/// Source: AMCT's activation ULQ; forward and grad_x are equal to it bit for bit.

namespace amct_distill {

/// Scale and offset come from the clips: `asymmetric_scale_learned` or, symmetric, `symmetric_scale` of the
/// clips extended to hold 0.
template <BitWidth B, Symmetry S>
class ActUlq {
public:
    using bits = B;
    using symmetry = S;
    using calibrator = Ifmr<B>;

    /// Not calibrated yet: scale 1.
    ActUlq() = default;
    /// The state at the first step.
    ActUlq(ClipRange clip, bool fixed_min) : ActUlq(clip, clip, fixed_min) { constrain(); }
    /// The state between an optimizer step and `constrain`, which comes next: clips as the optimizer left
    /// them, and those of the step before.
    ActUlq(ClipRange clip, ClipRange previous, bool fixed_min)
        : clips_{clip.max, clip.min}, previous_(previous), fixed_min_(fixed_min) {}

    /// {clip_max, clip_min}.
    std::span<float> parameters() { return clips_; }
    std::span<const float> parameters() const { return clips_; }

    ClipRange clip() const { return {clips_[0], clips_[1]}; }
    bool fixed_min() const { return fixed_min_; }
    ScaleOffset scale_offset() const { return scale_of(clip()); }

    /// Whether `constrain` has something sound to fall back to and nothing to repair: clips and previous
    /// clips finite, their width and scale too, and the scale no smaller than `smallest_scale`. (Where they
    /// are not finite, AMCT fails at the next forward.)
    result<void> check_clips() const {
        for (auto [name, range] : {std::pair<std::string_view, ClipRange>{"clip", clip()},
                                   std::pair<std::string_view, ClipRange>{"previous clip", previous_}}) {
            bool const finite = std::isfinite(range.max - range.min);
            RangeUse const use = finite ? use_of<B, S>(range) : RangeUse::too_wide;
            if (use == RangeUse::usable) continue;
            return general_error(detail::concat(
                "activations: the ", name, " range is ", number(range.min), " to ", number(range.max),
                use == RangeUse::too_wide ? "; its ends and its width must be finite: set other clips"
                                          : "; its scale would be no normal float: set wider clips"));
        }
        return {};
    }

    /// What AMCT does to the clips at the start of a forward; here after each change of `parameters()`:
    ///   1. with fixed_min, clip_min = 0;
    ///   2. if clip_max - clip_min == 0, both clips as they were at the previous step; else if clip_max < 0,
    ///      clip_max as it was; else if clip_min > 0, clip_min as it was.
    /// Nothing else is repaired: a clip_max below clip_min does no harm, since the range is extended to hold
    /// 0. Before the two steps, a clip that is not finite is set to its previous value; after them, so are
    /// both if the range is too wide or too narrow for a scale, `use_of`. (AMCT fails in these cases, or goes
    /// on with the scale 1.)
    void constrain() {
        ClipRange now = clip();
        if (!std::isfinite(now.max)) now.max = previous_.max;
        if (!std::isfinite(now.min)) now.min = previous_.min;
        if (fixed_min_) now.min = 0;
        if (now.max - now.min == 0)
            now = previous_;
        else if (now.max < 0)
            now.max = previous_.max;
        else if (now.min > 0)
            now.min = previous_.min;
        if (use_of<B, S>(now) != RangeUse::usable) now = previous_;
        clips_ = {now.max, now.min};
        previous_ = now;
    }

    /// y = the values x's codes stand for. Precondition: equal sizes; y may be x.
    void fake_quantize(std::span<const float> x, std::span<float> y, const Execution& on = {}) const {
        amct_distill::fake_quantize<B>(x, y, scale_offset(), on);
    }

    /// With `up` = x > s * (qmax - o), `dn` = x < s * (qmin - o),
    /// t = (up ? clip_max : dn ? clip_min : x) / s and e = (round(t) - t) / (2^n - 1):
    ///   d clip_max = sum of (e + up) * g,   d clip_min = sum of (dn - e) * g,
    ///   dx = g where neither up nor dn, else 0.
    /// The sums are ordered_sums. Preconditions: equal sizes; grad_clips has two entries. grad_x may be
    /// grad_y.
    void backward(std::span<const float> x, std::span<const float> grad_y, std::span<float> grad_x,
                  std::span<float> grad_clips, const Execution& on = {}) const {
        assert(x.size() == grad_y.size() && x.size() == grad_x.size() && grad_clips.size() == 2);
        constexpr double levels = B::qmax - B::qmin;
        ClipRange const c = clip();
        ScaleOffset const p = scale_offset();
        auto const offset = static_cast<float>(p.offset);
        float const upper = p.scale * (static_cast<float>(B::qmax) - offset);
        float lower = p.scale * (static_cast<float>(B::qmin) - offset);
        if (lower == 0) lower = -0.0f;  // the same, as a bound

        bool const stream = grad_x.data() != grad_y.data() && grad_x.data() != x.data() &&
                            grad_x.size_bytes() > on.streaming_size && detail::is_aligned(grad_x.data());
        auto const sums = [&](auto terms) { return detail::ordered_sums(on, x.size(), terms); };
        auto const [inside, above, below] =
            stream ? sums(detail::ClipGradient<true>{x.data(), grad_y.data(), grad_x.data(), p.scale, upper,
                                                     lower})
                   : sums(detail::ClipGradient<false>{x.data(), grad_y.data(), grad_x.data(), p.scale, upper,
                                                      lower});
        if (stream) detail::streaming_fence();

        // What is clipped has the residual of its clip.
        auto const residual_of = [&](float clip) {
            float const t = clip / p.scale;
            return static_cast<double>(detail::round_half_even(t) - t);
        };
        double const e = (inside + residual_of(c.max) * above + residual_of(c.min) * below) / levels;
        grad_clips[0] = static_cast<float>(above + e);
        grad_clips[1] = static_cast<float>(below - e);
    }

private:
    static ScaleOffset scale_of(ClipRange range) {
        if constexpr (std::same_as<S, Symmetric>)
            return symmetric_scale<B>({(std::max)(0.0f, range.max), (std::min)(0.0f, range.min)});
        else
            return asymmetric_scale_learned<B>(range);
    }

    std::array<float, 2> clips_{};
    ClipRange previous_{};
    bool fixed_min_ = false;
};

}  // namespace amct_distill

// ---- amct_distill/quant/fixed_codes.hpp

/// A matrix of codes whose size the compiler knows, for an engine's constants: no allocation, usable in
/// constant expressions, the same bytes as Codes (codes.hpp).
///
///     constexpr FixedCodes<Int4, 1, 3> row{{0xF1, 0x07}};       // 1, -1, 7
///     static_assert(row.at(0, 1) == -1);
///
/// Up to 4 bits two codes in a byte, the low nibble first and every row padded to whole bytes; above, a byte
/// each.

namespace amct_distill {

template <BitWidth B>
inline constexpr bool two_codes_a_byte = B::width <= 4;

/// What a file of codes holds.
template <BitWidth B>
using code_byte = std::conditional_t<two_codes_a_byte<B>, std::uint8_t, std::int8_t>;

/// The bytes of a row of `cols` codes.
template <BitWidth B>
constexpr std::size_t code_row_bytes(std::size_t cols) {
    return two_codes_a_byte<B> ? cols / 2 + cols % 2 : cols;
}

namespace detail {

/// Of a row, its c-th code.
template <BitWidth B>
constexpr int code_at(const code_byte<B>* row, std::size_t c) {
    if constexpr (two_codes_a_byte<B>)
        return static_cast<int>((static_cast<unsigned>(row[c / 2]) >> (c % 2 * 4) & 15u) ^ 8u) - 8;
    else
        return row[c];
}
template <BitWidth B>
constexpr void set_code(code_byte<B>* row, std::size_t c, int code) {
    assert(code >= B::qmin && code <= B::qmax);
    if constexpr (two_codes_a_byte<B>) {
        auto const shift = static_cast<unsigned>(c % 2 * 4);
        unsigned const others = row[c / 2] & ~(15u << shift);
        row[c / 2] = static_cast<std::uint8_t>(others | (static_cast<unsigned>(code) & 15u) << shift);
    } else {
        row[c] = static_cast<std::int8_t>(code);
    }
}

}  // namespace detail

template <BitWidth B, std::size_t Rows, std::size_t Cols>
struct FixedCodes {
    using bits = B;
    static constexpr std::size_t row_bytes = code_row_bytes<B>(Cols);

    std::array<code_byte<B>, Rows * row_bytes> bytes{};

    static constexpr std::size_t rows() { return Rows; }
    static constexpr std::size_t cols() { return Cols; }
    /// Preconditions: r < Rows, c < Cols; the code is one of B's.
    constexpr int at(std::size_t r, std::size_t c) const {
        assert(r < Rows && c < Cols);
        return detail::code_at<B>(bytes.data() + r * row_bytes, c);
    }
    constexpr void set(std::size_t r, std::size_t c, int code) {
        assert(r < Rows && c < Cols);
        detail::set_code<B>(bytes.data() + r * row_bytes, c, code);
    }
    friend constexpr bool operator==(const FixedCodes&, const FixedCodes&) = default;
};

}  // namespace amct_distill

// ---- amct_distill/quant/int4.hpp

/// Packed INT4: two codes a byte, the low nibble first, every row padded to whole bytes.
///
///     auto const q = arq.quantize(w);
///     auto const bytes = pack_int4(q->codes, q->rows, q->cols);
///     auto const codes = unpack_int4(*bytes, q->rows, q->cols);         // *codes == q->codes
///     quantize_int4(x, row_bytes, p);                                   // a row straight from floats
///
/// codes.hpp has the type that holds them.

namespace amct_distill {

constexpr std::size_t packed_row_bytes(std::size_t cols) { return code_row_bytes<Int4>(cols); }

/// `codes` is a row-major rows x cols matrix of codes in -8..7. The nibble that pads an odd row is 0.
inline result<std::vector<std::uint8_t>> pack_int4(std::span<const std::int8_t> codes, std::size_t rows,
                                                   std::size_t cols, const Execution& on = {}) {
    if (codes.size() != rows * cols)
        return general_error(detail::concat("pack_int4: ", codes.size(), " codes are not a ", rows, " x ",
                                            cols,
                                            " matrix; pass the rows and columns they were quantized with"));
    std::vector<std::uint8_t> bytes(rows * packed_row_bytes(cols));
    std::atomic<bool> fits = true;
    detail::in_parts(on, rows, detail::rows_per_task(cols), [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin; r != end; ++r)
            if (!detail::run_on(on.instructions,
                                detail::PackInt4Loop{codes.data() + r * cols,
                                                     bytes.data() + r * packed_row_bytes(cols), cols}))
                fits = false;
    });
    if (fits) return bytes;
    auto const bad = std::find_if(codes.begin(), codes.end(),
                                  [](std::int8_t c) { return c < Int4::qmin || c > Int4::qmax; });
    auto const i = static_cast<std::size_t>(bad - codes.begin());
    return general_error(detail::concat("pack_int4: code ", static_cast<int>(*bad), " at [", i / cols, ", ",
                                        i % cols, "] is outside -8..7; quantize with Int4"));
}

/// The inverse of pack_int4; what is in the padding does not matter.
inline result<std::vector<std::int8_t>> unpack_int4(std::span<const std::uint8_t> bytes, std::size_t rows,
                                                    std::size_t cols, const Execution& on = {}) {
    if (bytes.size() != rows * packed_row_bytes(cols))
        return general_error(detail::concat("unpack_int4: a ", rows, " x ", cols, " matrix takes ",
                                            rows * packed_row_bytes(cols), " bytes, found ", bytes.size(),
                                            "; pass the rows and columns it was packed with"));
    std::vector<std::int8_t> codes(rows * cols);
    detail::in_parts(on, rows, detail::rows_per_task(cols), [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin; r != end; ++r)
            detail::run_on(on.instructions, detail::UnpackInt4Loop{bytes.data() + r * packed_row_bytes(cols),
                                                                   codes.data() + r * cols, cols});
    });
    return codes;
}

/// `bytes` has packed_row_bytes(x.size()) entries. Preconditions: that; x has no NaN.
template <BitWidth B = Int4>
void quantize_int4(std::span<const float> x, std::span<std::uint8_t> bytes, ScaleOffset p,
                   const Execution& on = {}) {
    static_assert(B::width <= 4, "quantize_int4: a nibble holds at most 4 bits");
    assert(bytes.size() == packed_row_bytes(x.size()));
    detail::quantize_parts<true>(x, bytes.data(), detail::constants<B>(p), on);
}

}  // namespace amct_distill

// ---- amct_distill/quant/scales.hpp

/// The scales of a weight: one for all of its rows, or one per row.
///
///     Scales const one{{0.5f, 0}}, by_row{{0.5f, 0}, {0.25f, 0}};
///     one.of_row(7);       // {0.5, 0}: the one there is
///     by_row.of_row(1);    // {0.25, 0}
///     for (ScaleOffset p : by_row) ...                       // as they are kept: by_row.size() of them

namespace amct_distill {

class Scales {
public:
    /// None yet.
    Scales() = default;
    Scales(std::vector<ScaleOffset> all) : all_(std::move(all)) {}
    Scales(std::initializer_list<ScaleOffset> all) : all_(all) {}

    /// Of row r. Precondition: there is one for all, or one for r.
    ScaleOffset of_row(std::size_t r) const {
        std::size_t const i = all_.size() == 1 ? 0 : r;
        assert(i < all_.size());
        return all_[i];
    }
    /// Whether a matrix of so many rows can have them.
    bool fit(std::size_t rows) const { return all_.size() == 1 || all_.size() == rows; }

    // As they are kept.
    std::size_t size() const { return all_.size(); }
    bool empty() const { return all_.empty(); }
    const ScaleOffset& operator[](std::size_t i) const { return all_[i]; }
    ScaleOffset& operator[](std::size_t i) { return all_[i]; }
    auto begin() const { return all_.begin(); }
    auto end() const { return all_.end(); }
    auto begin() { return all_.begin(); }
    auto end() { return all_.end(); }
    const std::vector<ScaleOffset>& values() const { return all_; }

    friend bool operator==(const Scales&, const Scales&) = default;

private:
    std::vector<ScaleOffset> all_{};
};

}  // namespace amct_distill

// ---- amct_distill/quant/quantized_matrix.hpp

/// The integers of a weight, a code in each byte, with their scales.
///
///     QuantizedMatrix const q = quantize<Int4>(w, Scales{{0.5f, 0}});
///     q.codes[r * q.cols + c];          // in -8..7
///     q.scales.of_row(r);
///
/// Codes as they are stored and shipped, typed by their width, are in codes.hpp.

namespace amct_distill {

struct QuantizedMatrix {
    std::size_t rows = 0;
    std::size_t cols = 0;
    std::vector<std::int8_t> codes{};  ///< row-major
    Scales scales{};
};

namespace detail {

/// quantize_row(row of w, its part of `out`, its scale, execution), `out` being equal parts, one per row.
template <class Code, class QuantizeRow>
void quantize_rows(const Execution& on, const ConstMatrixRef& w, const Scales& scales, std::span<Code> out,
                   const QuantizeRow& quantize_row) {
    assert(scales.fit(static_cast<std::size_t>(w.rows())));
    std::size_t const size = w.rows() == 0 ? 0 : out.size() / static_cast<std::size_t>(w.rows());
    for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
        auto const k = static_cast<std::size_t>(r);
        quantize_row(row(w, r), out.subspan(k * size, size), scales.of_row(k), serial);
    });
}

}  // namespace detail

/// The codes of a matrix. Preconditions: `scales` has 1 or w.rows() entries; w has no NaN.
template <BitWidth B>
QuantizedMatrix quantize(const ConstMatrixRef& w, Scales scales, const Execution& on = {}) {
    QuantizedMatrix q{static_cast<std::size_t>(w.rows()), static_cast<std::size_t>(w.cols()), {}, {}};
    q.codes.resize(q.rows * q.cols);
    detail::quantize_rows(
        on, w, scales, std::span(q.codes),
        [](auto x, auto codes, ScaleOffset p, const Execution& serial) { quantize<B>(x, codes, p, serial); });
    q.scales = std::move(scales);
    return q;
}

}  // namespace amct_distill

// ---- amct_distill/quant/codes.hpp

/// Codes of a weight as they are stored and shipped, typed by their width: up to 4 bits two in a byte, the
/// low nibble first and every row padded to whole bytes; above, a byte each.
///
///     Codes<Int4> const codes = Codes<Int4>::pack(q.codes, q.rows, q.cols).value();
///     codes.at(r, c);                     // in -8..7
///     codes.bytes();                      // std::uint8_t for nibbles, std::int8_t otherwise
///     codes.unpack();                     // == q.codes
///
/// The width is a type: what stores, reads or computes with codes is chosen by the compiler. fixed_codes.hpp
/// has the same of a constant size.

namespace amct_distill {

namespace detail {

/// The first code that B does not have, or `codes.size()`.
template <BitWidth B>
std::size_t first_outside(std::span<const std::int8_t> codes) {
    auto const bad =
        std::find_if(codes.begin(), codes.end(), [](std::int8_t c) { return c < B::qmin || c > B::qmax; });
    return static_cast<std::size_t>(bad - codes.begin());
}

[[gnu::cold, gnu::noinline]] inline Diagnostic code_outside(int code, std::size_t row, std::size_t col,
                                                            int qmin, int qmax, std::string_view bits) {
    return general_error(concat("codes: code ", code, " at [", row, ", ", col, "] is outside ", qmin, "..",
                                qmax, "; quantize with ", bits));
}

}  // namespace detail

/// A rows x cols matrix of codes in qmin..qmax.
template <BitWidth B>
class Codes {
public:
    using bits = B;
    using byte_type = code_byte<B>;

    /// No rows.
    Codes() = default;
    /// Zeros.
    Codes(std::size_t rows, std::size_t cols)
        : rows_(rows), cols_(cols), bytes_(rows * code_row_bytes<B>(cols)) {}

    /// Of row-major codes, one in each byte. Errors: not rows * cols of them; one that B does not have.
    static result<Codes> pack(std::span<const std::int8_t> codes, std::size_t rows, std::size_t cols,
                              const Execution& on = {}) {
        if (codes.size() != rows * cols)
            return general_error(detail::concat("codes: ", codes.size(), " codes are not a ", rows, " x ",
                                                cols, " matrix; pass the rows and columns of the weight"));
        if (std::size_t const bad = detail::first_outside<B>(codes); bad != codes.size())
            return detail::code_outside(codes[bad], bad / cols, bad % cols, B::qmin, B::qmax, B::name);
        Codes packed(rows, cols);
        if constexpr (two_codes_a_byte<B>)
            packed.bytes_ = *pack_int4(codes, rows, cols, on);
        else
            packed.bytes_.assign(codes.begin(), codes.end());
        return packed;
    }
    /// Of bytes as they are stored. Errors: not as many as the matrix takes; a code that B does not have.
    static result<Codes> from_bytes(std::vector<byte_type> bytes, std::size_t rows, std::size_t cols) {
        std::size_t const size = rows * code_row_bytes<B>(cols);
        if (bytes.size() != size)
            return general_error(detail::concat("codes: a ", rows, " x ", cols, " matrix of ", B::name,
                                                " takes ", size, " bytes, found ", bytes.size(),
                                                "; pass the rows and columns it was stored with"));
        Codes stored;
        stored.rows_ = rows;
        stored.cols_ = cols;
        stored.bytes_ = std::move(bytes);
        for (std::size_t r = 0; r != rows; ++r)
            for (std::size_t c = 0; c != cols; ++c)
                if (int const code = stored.at(r, c); code < B::qmin || code > B::qmax)
                    return detail::code_outside(code, r, c, B::qmin, B::qmax, B::name);
        return stored;
    }
    /// Straight from floats. Preconditions: `scales` fit the rows; w has no NaN.
    static Codes quantize(const ConstMatrixRef& w, const Scales& scales, const Execution& on = {}) {
        Codes made(static_cast<std::size_t>(w.rows()), static_cast<std::size_t>(w.cols()));
        detail::quantize_rows(on, w, scales, std::span(made.bytes_),
                              [](auto x, auto bytes, ScaleOffset p, const Execution& serial) {
                                  if constexpr (two_codes_a_byte<B>)
                                      quantize_int4<B>(x, bytes, p, serial);
                                  else
                                      amct_distill::quantize<B>(x, bytes, p, serial);
                              });
        return made;
    }

    std::size_t rows() const { return rows_; }
    std::size_t cols() const { return cols_; }
    std::size_t row_bytes() const { return code_row_bytes<B>(cols_); }
    /// rows() rows of row_bytes() each. A nibble that pads a row is 0 unless `from_bytes` was given another.
    std::span<const byte_type> bytes() const { return bytes_; }

    /// Preconditions of the four: r < rows(), c < cols(); the code is one of B's; `out` has cols() entries.
    int at(std::size_t r, std::size_t c) const {
        assert(r < rows_ && c < cols_);
        return detail::code_at<B>(bytes_.data() + r * row_bytes(), c);
    }
    void set(std::size_t r, std::size_t c, int code) {
        assert(r < rows_ && c < cols_);
        detail::set_code<B>(bytes_.data() + r * row_bytes(), c, code);
    }
    void unpack_row(std::size_t r, std::span<std::int8_t> out, const Execution& on = {}) const {
        assert(r < rows_ && out.size() == cols_);
        const byte_type* const row = bytes_.data() + r * row_bytes();
        if constexpr (two_codes_a_byte<B>)
            detail::run_on(on.instructions, detail::UnpackInt4Loop{row, out.data(), cols_});
        else
            std::copy(row, row + cols_, out.begin());
    }

    /// Row-major, a code in each byte.
    std::vector<std::int8_t> unpack(const Execution& on = {}) const {
        std::vector<std::int8_t> out(rows_ * cols_);
        detail::in_parts(on, rows_, detail::rows_per_task(cols_), [&](std::size_t begin, std::size_t end) {
            for (std::size_t r = begin; r != end; ++r)
                unpack_row(r, std::span(out).subspan(r * cols_, cols_), on);
        });
        return out;
    }

    /// Whether shapes and codes are the same; padding does not count.
    friend bool operator==(const Codes& a, const Codes& b) {
        if (a.rows_ != b.rows_ || a.cols_ != b.cols_) return false;
        return a.bytes_ == b.bytes_ || a.unpack() == b.unpack();
    }

private:
    std::size_t rows_ = 0, cols_ = 0;
    std::vector<byte_type> bytes_{};
};

/// Codes with their scales, in the least of memory.
template <BitWidth B>
struct PackedMatrix {
    Codes<B> codes{};
    Scales scales{};
};

/// The codes of q, which must be of B's bits. Errors as in Codes::pack.
template <BitWidth B>
result<PackedMatrix<B>> pack(const QuantizedMatrix& q, const Execution& on = {}) {
    auto codes = Codes<B>::pack(q.codes, q.rows, q.cols, on);
    if (!codes) return codes.diagnostics();
    return PackedMatrix<B>{*std::move(codes), q.scales};
}

/// What the codes stand for. Preconditions: `out` has the shape of q.codes, q.scales fit it.
template <BitWidth B>
void dequantize(const PackedMatrix<B>& q, MatrixRef out, const Execution& on = {}) {
    assert(q.codes.rows() == static_cast<std::size_t>(out.rows()) &&
           q.codes.cols() == static_cast<std::size_t>(out.cols()));
    detail::in_parts(
        on, q.codes.rows(), detail::rows_per_task(q.codes.cols()), [&](std::size_t begin, std::size_t end) {
            std::vector<std::int8_t> codes(q.codes.cols());
            Execution serial;
            serial.instructions = on.instructions;
            for (std::size_t r = begin; r != end; ++r) {
                q.codes.unpack_row(r, codes, serial);
                dequantize(codes, detail::row(out, static_cast<Eigen::Index>(r)), q.scales.of_row(r), serial);
            }
        });
}

}  // namespace amct_distill

// ---- amct_distill/quant/any_codes.hpp

/// Codes of a weight whose width is known at run time only: one of the widths that configurations name.
///
///     AnyCodes const codes = Codes<Int4>::pack(q.codes, q.rows, q.cols).value();
///     std::visit([]<class B>(const Codes<B>& c) { use(c.bytes()); }, codes);      // the type is back
///     rows(codes), cols(codes), name_of(codes);                                    // "INT4"
///     unpack(codes);                                                               // a code in each byte

namespace amct_distill {

using AnyCodes = EachWidth<Codes>;

inline std::size_t rows(const AnyCodes& codes) {
    return std::visit([](const auto& c) { return c.rows(); }, codes);
}
inline std::size_t cols(const AnyCodes& codes) {
    return std::visit([](const auto& c) { return c.cols(); }, codes);
}
/// As configurations and records name the width.
inline std::string_view name_of(const AnyCodes& codes) {
    return std::visit([]<class B>(const Codes<B>&) -> std::string_view { return B::name; }, codes);
}
inline std::string_view name_of(const Width& width) {
    return std::visit([]<class B>(B) -> std::string_view { return B::name; }, width);
}

/// Preconditions: r < rows(codes); `out` has cols(codes) entries.
inline void unpack_row(const AnyCodes& codes, std::size_t r, std::span<std::int8_t> out) {
    std::visit([&](const auto& c) { c.unpack_row(r, out); }, codes);
}
inline std::vector<std::int8_t> unpack(const AnyCodes& codes) {
    return std::visit([](const auto& c) { return c.unpack(); }, codes);
}

}  // namespace amct_distill

// ---- amct_distill/quant/kernels/fake_quantize_rows.hpp

/// The loop of ARQ's forward, per channel: the range of a row, its scale, and the values its codes stand for.
///
///     run_on(set, FakeQuantizeRowsLoop<false>{x, y, rows, cols, x_stride, y_stride, {-128, 127}, true});
///
/// The codes' limits are numbers here: one loop serves all widths.

namespace amct_distill::detail {

/// Rows, each with the range of its own: a row is still in the cache when it is read again.
template <bool Streaming>
struct FakeQuantizeRowsLoop {
    const float* x;
    float* y;
    std::size_t rows, cols;
    std::size_t x_stride, y_stride;  ///< from row to row, in floats
    CodeLimits limits;
    bool symmetric;

    [[gnu::always_inline]] AffineConstants constants_of(ValueRange range) const {
        if (symmetric) return symmetric_constants(range.max, range.min, 1, limits);
        return asymmetric_constants(range.max, range.min, limits);
    }

    /// The range of a short row is found before the row ahead of it is written: from a range to its scale is
    /// a chain of some 50 cycles, which a processor fills with the other row. A long row is written at once,
    /// while the next comes from memory.
    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        constexpr std::size_t longest_short = 1024;
        std::size_t const delay = cols <= longest_short ? 1 : 0;
        AffineConstants before{}, now{};
        for (std::size_t r = 0; r != rows + delay; ++r) {
            if (r < rows) now = constants_of(RangeLoop{x + r * x_stride, cols}.template run<Bytes>());
            if (r >= delay) {
                const float* const row = x + (r - delay) * x_stride;
                const float* const next = delay == 0 && r + 1 < rows ? row + x_stride : nullptr;
                FakeQuantizeLoop<Streaming>{row, y + (r - delay) * y_stride, cols, delay == 0 ? now : before,
                                            next}
                    .template run<Bytes>();
            }
            before = now;
        }
        if constexpr (Streaming) streaming_fence();
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/arq.hpp

/// ARQ, adaptive range quantization of weights: the largest weight of a row, or of all, sets the scale.
///
///     Arq<Int4, ChannelWise> arq;
///     arq.fake_quantize(w, out);                  // w: one row per output channel
///     result<QuantizedMatrix> q = arq.quantize(w);
///
/// Source: AMCT's ARQ; equal to it bit for bit. Nothing is trained and nothing is kept: scales are recomputed
/// from the weights each time.

namespace amct_distill {

/// Symmetric: `symmetric_scale` of the range; asymmetric: `asymmetric_scale` of it (scale.hpp).
template <BitWidth B, Granularity G, Symmetry S>
class Arq {
public:
    using bits = B;
    using granularity = G;
    using symmetry = S;

    /// Errors: w is empty, has a value that is not finite, or a range so wide that codes would stand for
    /// values that are not. Warning: a range so narrow that it has no scale, `use_of`; its weights become 0.
    result<void> initialize(const ConstMatrixRef& w, const Execution& on = {}) {
        auto const found = ranges(w, on);
        if (auto ok = check_weights(w, found, on); !ok) return ok;
        Diagnostics warnings;
        for (std::size_t r = 0; r != found.size(); ++r)
            if (ClipRange const range = detail::clips(found[r]); use_of<B, S>(range) == RangeUse::too_narrow)
                warnings.push_back(detail::too_narrow(name_of(r), range, B::name));
        return result<void>::with_warnings(std::move(warnings));
    }

    /// out = the values w's codes stand for. Preconditions: equal shapes, not empty; out may be w.
    void fake_quantize(const ConstMatrixRef& w, MatrixRef out, const Execution& on = {}) const {
        assert(w.rows() == out.rows() && w.cols() == out.cols());
        if constexpr (std::same_as<G, ChannelWise>) {
            auto const stream = w.data() != out.data() &&
                                static_cast<std::size_t>(w.size()) * sizeof(float) > on.streaming_size;
            auto const cols = static_cast<std::size_t>(w.cols());
            auto const from = static_cast<std::size_t>(w.outerStride());
            auto const to = static_cast<std::size_t>(out.outerStride());
            detail::in_parts(on, static_cast<std::size_t>(w.rows()), detail::rows_per_task(w),
                             [&](std::size_t begin, std::size_t end) {
                                 auto const run = [&]<bool Stream>(std::bool_constant<Stream>) {
                                     detail::run_on(on.instructions,
                                                    detail::FakeQuantizeRowsLoop<Stream>{
                                                        w.data() + begin * from, out.data() + begin * to,
                                                        end - begin, cols, from, to, detail::limits_of<B>(),
                                                        std::same_as<S, Symmetric>});
                                 };
                                 stream ? run(std::true_type{}) : run(std::false_type{});
                             });
        } else {
            ScaleOffset const p = scale_of(detail::range_of(w, on));
            detail::for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
                amct_distill::fake_quantize<B>(detail::row(w, r), detail::row(out, r), p, serial);
            });
        }
    }

    /// Straight through: grad_w = grad_out. `grad_parameters` is empty.
    void backward(const ConstMatrixRef&, const ConstMatrixRef& grad_out, MatrixRef grad_w,
                  [[maybe_unused]] std::span<float> grad_parameters) const {
        assert(grad_parameters.empty());
        grad_w = grad_out;
    }

    /// Nothing is trained.
    std::span<float> parameters() { return {}; }
    std::span<const float> parameters() const { return {}; }
    void constrain() {}

    /// One per row, or one.
    Scales scale_offsets(const ConstMatrixRef& w, const Execution& on = {}) const {
        return scales_of(ranges(w, on));
    }

    /// The integers. Errors as in `initialize`.
    result<QuantizedMatrix> quantize(const ConstMatrixRef& w, const Execution& on = {}) const {
        auto const found = ranges(w, on);
        if (auto ok = check_weights(w, found, on); !ok) return ok.diagnostics();
        return amct_distill::quantize<B>(w, scales_of(found), on);
    }

private:
    using Ranges = std::vector<detail::ValueRange>;

    /// One per row, or one.
    static Ranges ranges(const ConstMatrixRef& w, const Execution& on) {
        if constexpr (!std::same_as<G, ChannelWise>) return {detail::range_of(w, on)};
        Ranges all(static_cast<std::size_t>(w.rows()));
        detail::for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
            all[static_cast<std::size_t>(r)] = detail::range_of(detail::row(w, r), serial);
        });
        return all;
    }
    static Scales scales_of(const Ranges& all) {
        std::vector<ScaleOffset> scales;
        scales.reserve(all.size());
        for (const detail::ValueRange& range : all) scales.push_back(scale_of(range));
        return scales;
    }
    static std::string name_of(std::size_t r) {
        return std::same_as<G, ChannelWise> ? detail::concat("weights: row ", r) : "weights";
    }
    static result<void> check_weights(const ConstMatrixRef& w, const Ranges& all, const Execution& on) {
        bool const finite =
            std::all_of(all.begin(), all.end(), [](const detail::ValueRange& r) { return r.finite; });
        if (w.size() == 0 || !finite) return check_finite(w, "weights", on);  // says where
        for (std::size_t r = 0; r != all.size(); ++r)
            if (ClipRange const range = detail::clips(all[r]); use_of<B, S>(range) == RangeUse::too_wide)
                return detail::too_wide(name_of(r), range, B::name);
        return {};
    }

    static ScaleOffset scale_of(detail::ValueRange range) {
        if constexpr (std::same_as<S, Symmetric>)
            return symmetric_scale<B>(detail::clips(range));
        else
            return asymmetric_scale<B>(detail::clips(range));
    }
};

}  // namespace amct_distill

// ---- amct_distill/quant/calibrator.hpp

/// What finds the first clips of a layer's input, from the values of some batches: Ifmr, or one of your own.
///
///     MyCalibrator c;
///     c.observe(batch).value();  ...          // each batch once
///     ClipRange clip = c.finish()->clip;
///
/// A calibration makes a calibrator for each input and drops it in the end: one that fails has changed
/// nothing. `observe` checks before it changes anything: after an error the calibrator is what it was before.

namespace amct_distill {

/// Required. Optional, and used where they are there:
///   - `observe(x, on)` and `finish(on)`, which compute on the threads of an Execution;
///   - `limit_memory(bytes)`, before the first batch: how much of what it observed it may keep in memory.
template <class C>
concept Calibrator = std::default_initializable<C> && requires(C c, const C& done, std::span<const float> x) {
    { c.observe(x) } -> std::same_as<result<void>>;
    { done.finish()->clip } -> std::convertible_to<ClipRange>;
    { done.finish().has_value() } -> std::same_as<bool>;
};

namespace detail {

template <Calibrator C>
result<void> observe_on(const Execution& on, C& c, std::span<const float> x) {
    if constexpr (requires { c.observe(x, on); })
        return c.observe(x, on);
    else
        return c.observe(x);
}
template <Calibrator C>
auto finish_on(const Execution& on, const C& c) {
    if constexpr (requires { c.finish(on); })
        return c.finish(on);
    else
        return c.finish();
}
template <Calibrator C>
void limit_memory_of([[maybe_unused]] C& c, [[maybe_unused]] std::size_t bytes) {
    if constexpr (requires { c.limit_memory(bytes); }) c.limit_memory(bytes);
}

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/quant/checked_affine.hpp

/// Quantization of what comes from outside: everything is checked first, and on an error nothing is written.
///
///     result<void> done = checked_fake_quantize<Int4>(w, out, scales);
///     // error: weights: value at [3, 5] is nan; only finite values can be quantized: ...
///     // error: scales: the scale of row 2 is 0; a scale is positive and finite: ...
///     auto const w = as_channels(data, 64);           // of 64 rows, or the error that 64 does not divide
///
/// The functions of affine.hpp take the same as a precondition. Values are float32; float16 is to be widened
/// first.

namespace amct_distill {

/// A tensor of any shape whose first dimension is `channels`, as a matrix of a row per channel.
inline result<Eigen::Map<const RowMajorMatrix>> as_channels(std::span<const float> x, std::size_t channels) {
    if (x.empty()) return detail::no_values("weights", "");
    if (channels == 0 || x.size() % channels != 0)
        return general_error(detail::concat("weights: ", channels, " channels do not divide ", x.size(),
                                            " values; pass the size of the first dimension"));
    return Eigen::Map<const RowMajorMatrix>(x.data(), static_cast<Eigen::Index>(channels),
                                            static_cast<Eigen::Index>(x.size() / channels));
}

/// One scale, or one per row; each positive and finite, with an offset that B has a code for.
template <BitWidth B>
result<void> check_scales(const Scales& scales, std::size_t rows) {
    if (!scales.fit(rows))
        return general_error(detail::concat("scales: ", scales.size(), " scales for ", rows,
                                            " rows; pass one, or one per row"));
    for (std::size_t r = 0; r != scales.size(); ++r) {
        auto const [scale, offset] = scales[r];
        if (!(scale > 0) || !std::isfinite(scale))
            return general_error(detail::concat("scales: the scale of row ", r, " is ", number(scale),
                                                "; a scale is positive and finite: recompute it"));
        if (offset < B::qmin || offset > B::qmax)
            return general_error(detail::concat("scales: the offset of row ", r, " is ", offset, ", outside ",
                                                B::qmin, "..", B::qmax, "; use the bits it was found with"));
    }
    return {};
}

namespace detail {

template <BitWidth B>
result<void> check_all(const ConstMatrixRef& w, const Scales& scales, const Execution& on) {
    if (auto ok = check_finite(w, "weights", on); !ok) return ok;
    return check_scales<B>(scales, static_cast<std::size_t>(w.rows()));
}

inline Diagnostic not_equal_shapes(Eigen::Index rows, Eigen::Index cols, const ConstMatrixRef& out) {
    return general_error(concat("output: its shape is ", out.rows(), " x ", out.cols(),
                                ", that of the input ", rows, " x ", cols, "; pass one of the same shape"));
}

}  // namespace detail

/// out = the values w's codes stand for; out may be w. Reads w twice: an output that was begun could not be
/// taken back.
template <BitWidth B>
result<void> checked_fake_quantize(const ConstMatrixRef& w, MatrixRef out, const Scales& scales,
                                   const Execution& on = {}) {
    if (w.rows() != out.rows() || w.cols() != out.cols())
        return detail::not_equal_shapes(w.rows(), w.cols(), out);
    if (auto ok = detail::check_all<B>(w, scales, on); !ok) return ok;
    detail::for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
        fake_quantize<B>(detail::row(w, r), detail::row(out, r), scales.of_row(static_cast<std::size_t>(r)),
                         serial);
    });
    return {};
}

template <BitWidth B>
result<QuantizedMatrix> checked_quantize(const ConstMatrixRef& w, Scales scales, const Execution& on = {}) {
    if (auto ok = detail::check_all<B>(w, scales, on); !ok) return ok.diagnostics();
    return quantize<B>(w, std::move(scales), on);
}

/// What the codes stand for, which must be of B's bits.
template <BitWidth B>
result<void> checked_dequantize(const QuantizedMatrix& q, MatrixRef out, const Execution& on = {}) {
    auto const rows = static_cast<Eigen::Index>(q.rows), cols = static_cast<Eigen::Index>(q.cols);
    if (rows != out.rows() || cols != out.cols()) return detail::not_equal_shapes(rows, cols, out);
    if (q.codes.empty() || q.codes.size() != q.rows * q.cols)
        return general_error(detail::concat("codes: ", q.codes.size(), " codes are not a matrix of ", q.rows,
                                            " x ", q.cols, "; pass what was quantized"));
    if (auto ok = check_scales<B>(q.scales, q.rows); !ok) return ok;
    if (std::size_t const i = detail::first_outside<B>(q.codes); i != q.codes.size())
        return detail::code_outside(q.codes[i], i / q.cols, i % q.cols, B::qmin, B::qmax, B::name);
    detail::for_each_row(on, out, [&](Eigen::Index row, const Execution& serial) {
        auto const r = static_cast<std::size_t>(row);
        dequantize(std::span(q.codes).subspan(r * q.cols, q.cols), detail::row(out, row), q.scales.of_row(r),
                   serial);
    });
    return {};
}

}  // namespace amct_distill

// ---- amct_distill/quant/quantizer.hpp

/// What a quantizer must offer to take part in distillation: models are Arq and Ulq for weights, ActUlq for
/// activations with Ifmr as its calibrator; a quantizer of your own needs nothing else, no base class.
///
///     static_assert(WeightQuantizer<MyPow2<Int4, ChannelWise>>);
///     static_assert(check_weight_quantizer<MyPow2<Int4, ChannelWise>>());     // says what is missing
///
/// Forward and backward are const: a quantizer changes in `initialize`, in `constrain`, and through
/// `parameters()`, which an optimizer writes to. Copies are independent (a snapshot is a copy).

namespace amct_distill {

/// `parameters()`: what is trained; may be empty. `constrain()`: after each change of them, before the next
/// forward, restores what must hold (scales positive, clips ordered).
template <class Q>
concept HasParameters = std::copyable<Q> && std::default_initializable<Q> && requires(Q q, const Q& c) {
    { q.parameters() } -> std::same_as<std::span<float>>;
    { c.parameters() } -> std::same_as<std::span<const float>>;
    { q.constrain() } -> std::same_as<void>;
};

/// `w` is the float weight, a row per output channel; the other matrices have its shape, and
/// `grad_parameters` the size of `parameters()`. Gradients are written, not added.
template <class Q>
concept WeightQuantizer = HasParameters<Q> && BitWidth<typename Q::bits> &&
    Granularity<typename Q::granularity> &&
    requires(Q q, const Q& c, const ConstMatrixRef& w, MatrixRef out, std::span<float> grad_parameters) {
    { q.initialize(w) } -> std::same_as<result<void>>;
    { c.fake_quantize(w, out) } -> std::same_as<void>;
    { c.backward(w, /*grad_out*/ w, /*grad_w*/ out, grad_parameters) } -> std::same_as<void>;
    { c.scale_offsets(w) } -> std::convertible_to<Scales>;
    { c.quantize(w) } -> std::same_as<result<QuantizedMatrix>>;
};

/// Constructed from the initial clips and fixed_min (the lower clip is 0 and stays it). `x` is the input of
/// the layer, of any shape; the other spans of elements have its size, `grad_parameters` is
/// {d clip_max, d clip_min}, as `parameters()` is {clip_max, clip_min}. Gradients are written, not added.
template <class Q>
concept ActivationQuantizer = HasParameters<Q> && BitWidth<typename Q::bits> &&
    Calibrator<typename Q::calibrator> && std::constructible_from<Q, ClipRange, bool> &&
    requires(const Q& c, std::span<const float> x, std::span<float> y, std::span<float> grad_parameters) {
    { c.clip() } -> std::same_as<ClipRange>;
    { c.scale_offset() } -> std::same_as<ScaleOffset>;
    { c.fake_quantize(x, y) } -> std::same_as<void>;
    { c.backward(x, /*grad_out*/ x, /*grad_in*/ y, grad_parameters) } -> std::same_as<void>;
};

namespace detail {

template <class Q>
concept HasBits = BitWidth<typename Q::bits>;
template <class Q>
concept HasGranularity = Granularity<typename Q::granularity>;
template <class Q>
concept HasCalibrator = Calibrator<typename Q::calibrator>;
template <class Q>
concept ReturnsParameters = requires(Q q, const Q& c) {
    { q.parameters() } -> std::same_as<std::span<float>>;
    { c.parameters() } -> std::same_as<std::span<const float>>;
};
template <class Q>
concept Constrains = requires(Q q) {
    { q.constrain() } -> std::same_as<void>;
};

template <class Q>
concept InitializesWeights = requires(Q q, const ConstMatrixRef& w) {
    { q.initialize(w) } -> std::same_as<result<void>>;
};
template <class Q>
concept FakeQuantizesWeights = requires(const Q& c, const ConstMatrixRef& w, MatrixRef out) {
    { c.fake_quantize(w, out) } -> std::same_as<void>;
};
template <class Q>
concept BackwardOfWeights = requires(const Q& c, const ConstMatrixRef& w, MatrixRef out,
                                     std::span<float> grad) {
    { c.backward(w, w, out, grad) } -> std::same_as<void>;
};
template <class Q>
concept ScalesOfWeights = requires(const Q& c, const ConstMatrixRef& w) {
    { c.scale_offsets(w) } -> std::convertible_to<Scales>;
};
template <class Q>
concept QuantizesWeights = requires(const Q& c, const ConstMatrixRef& w) {
    { c.quantize(w) } -> std::same_as<result<QuantizedMatrix>>;
};

template <class Q>
concept ScaleOfActivations = requires(const Q& c) {
    { c.clip() } -> std::same_as<ClipRange>;
    { c.scale_offset() } -> std::same_as<ScaleOffset>;
};
template <class Q>
concept FakeQuantizesActivations = requires(const Q& c, std::span<const float> x, std::span<float> y) {
    { c.fake_quantize(x, y) } -> std::same_as<void>;
};
template <class Q>
concept BackwardOfActivations = requires(const Q& c, std::span<const float> x, std::span<float> y) {
    { c.backward(x, x, y, y) } -> std::same_as<void>;
};

/// What both kinds must have.
template <class Q>
consteval bool check_quantizer() {
    static_assert(std::copyable<Q> && std::default_initializable<Q>,
                  "a quantizer must be copyable and default-constructible: a snapshot of it is a copy");
    static_assert(HasBits<Q>,
                  "a quantizer names its width: add `using bits = Int4;`, Int8 or bits of your own");
    static_assert(ReturnsParameters<Q>,
                  "a quantizer shows what is trained: add `std::span<float> parameters()` and "
                  "`std::span<const float> parameters() const`, empty if nothing is");
    static_assert(
        Constrains<Q>,
        "a quantizer restores what must hold after a training step: add `void constrain()`, empty if "
        "nothing need be");
    return true;
}

}  // namespace detail

/// Whether Q is a WeightQuantizer; if not, a line of compile error for each part that it lacks.
template <class Q>
consteval bool check_weight_quantizer() {
    detail::check_quantizer<Q>();
    static_assert(detail::HasGranularity<Q>,
                  "a weight quantizer names its granularity: add `using granularity = ChannelWise;` or "
                  "TensorWise");
    static_assert(detail::InitializesWeights<Q>,
                  "a weight quantizer begins with the float weights: add "
                  "`result<void> initialize(const ConstMatrixRef& w)`");
    static_assert(detail::FakeQuantizesWeights<Q>,
                  "a weight quantizer has a forward: add "
                  "`void fake_quantize(const ConstMatrixRef& w, MatrixRef out) const`");
    static_assert(detail::BackwardOfWeights<Q>,
                  "a weight quantizer has a backward: add `void backward(const ConstMatrixRef& w, const "
                  "ConstMatrixRef& grad_out, MatrixRef grad_w, std::span<float> grad_parameters) const`");
    static_assert(detail::ScalesOfWeights<Q>,
                  "a weight quantizer tells its scales: add "
                  "`Scales scale_offsets(const ConstMatrixRef& w) const`");
    static_assert(detail::QuantizesWeights<Q>,
                  "a weight quantizer gives the integers: add "
                  "`result<QuantizedMatrix> quantize(const ConstMatrixRef& w) const`");
    return WeightQuantizer<Q>;
}

/// Whether Q is an ActivationQuantizer; if not, a line of compile error for each part that it lacks.
template <class Q>
consteval bool check_activation_quantizer() {
    detail::check_quantizer<Q>();
    static_assert(detail::HasCalibrator<Q>,
                  "an activation quantizer names what finds its first clips: add `using calibrator = "
                  "Ifmr<bits>;` or one of your own with observe() and finish()");
    static_assert(std::constructible_from<Q, ClipRange, bool>,
                  "an activation quantizer is made from its clips: add a constructor `(ClipRange clip, bool "
                  "fixed_min)`");
    static_assert(detail::ScaleOfActivations<Q>,
                  "an activation quantizer tells its scale: add `ClipRange clip() const` and `ScaleOffset "
                  "scale_offset() const`");
    static_assert(detail::FakeQuantizesActivations<Q>,
                  "an activation quantizer has a forward: add `void fake_quantize(std::span<const float> x, "
                  "std::span<float> y) const`");
    static_assert(detail::BackwardOfActivations<Q>,
                  "an activation quantizer has a backward: add `void backward(std::span<const float> x, "
                  "std::span<const float> grad_out, std::span<float> grad_in, std::span<float> "
                  "grad_parameters) const`");
    return ActivationQuantizer<Q>;
}

}  // namespace amct_distill

// ---- amct_distill/quant/ulq.hpp

/// ULQ, universal linear quantization of weights: the scales are trained. For activations see act_ulq.hpp.
///
///     Ulq<Int4, ChannelWise> ulq;
///     ulq.initialize(w).value();                       // begins with ARQ's scales
///     ulq.fake_quantize(w, out);
///     ulq.backward(w, grad_out, grad_w, grad_scales);  // then the optimizer changes ulq.parameters()
///     ulq.constrain();
///
/// Source: AMCT's weight ULQ; the forward is equal to it bit for bit.

namespace amct_distill {

/// Symmetric, offset 0. `initialize` comes first; every w after it has the same number of rows.
template <BitWidth B, Granularity G>
class Ulq {
public:
    using bits = B;
    using granularity = G;
    using symmetry = Symmetric;

    /// Takes ARQ's scales of w. Errors and warnings are those of ARQ; after an error all is as before.
    result<void> initialize(const ConstMatrixRef& w, const Execution& on = {}) {
        Arq<B, G> arq;
        auto checked = arq.initialize(w, on);
        if (!checked) return checked;
        std::vector<float> scales;
        for (ScaleOffset p : arq.scale_offsets(w, on)) scales.push_back(p.scale);
        auto last_good = scales;
        scales_ = std::move(scales);
        last_good_ = std::move(last_good);
        return checked;
    }

    /// out = the values w's codes stand for. Precondition: equal shapes; out may be w.
    void fake_quantize(const ConstMatrixRef& w, MatrixRef out, const Execution& on = {}) const {
        assert(w.rows() == out.rows() && w.cols() == out.cols());
        detail::for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
            amct_distill::fake_quantize<B>(detail::row(w, r), detail::row(out, r), {scale_of_row(w, r), 0},
                                           serial);
        });
    }

    /// Straight through for the weights: grad_w = grad_out, outside the range too. For a scale s, with
    /// t = w / s and K the row length (also when the scale is of the whole tensor):
    /// ds = sum of grad_out * (qmax where w > s * qmax; qmin where w < s * qmin; else round(t) - t), divided
    /// by sqrt(K * qmax). A row's sum is ordered_sums; rows are added from the first to the last.
    void backward(const ConstMatrixRef& w, const ConstMatrixRef& grad_out, MatrixRef grad_w,
                  std::span<float> grad_scales, const Execution& on = {}) const {
        assert(grad_scales.size() == scales_.size());
        double const divisor = std::sqrt(static_cast<double>(w.cols()) * B::qmax);
        std::array<double, 256> sums;  // of some rows, on the stack
        double whole = 0;
        auto const step = static_cast<Eigen::Index>(sums.size());
        for (Eigen::Index first = 0; first < w.rows(); first += step) {
            Eigen::Index const rows = (std::min)(step, w.rows() - first);
            detail::for_each_row(on, w.middleRows(first, rows), [&](Eigen::Index i, const Execution& serial) {
                Eigen::Index const r = first + i;
                sums[static_cast<std::size_t>(i)] =
                    scale_gradient(detail::row(w, r), detail::row(grad_out, r), scale_of_row(w, r), serial);
            });
            for (Eigen::Index i = 0; i != rows; ++i) {
                double const sum = sums[static_cast<std::size_t>(i)];
                if constexpr (std::same_as<G, ChannelWise>)
                    grad_scales[static_cast<std::size_t>(first + i)] = static_cast<float>(sum / divisor);
                else
                    whole += sum;
            }
        }
        if constexpr (!std::same_as<G, ChannelWise>) grad_scales[0] = static_cast<float>(whole / divisor);
        grad_w = grad_out;
    }

    /// The scales: one per row, or one.
    std::span<float> parameters() { return scales_; }
    std::span<const float> parameters() const { return scales_; }

    /// A scale that is not usable (`is_usable`: not positive, below the smallest normal float, so large that
    /// codes stand for infinities) falls back to its last good value. (AMCT has no guard here and divides by
    /// it.)
    void constrain() {
        for (std::size_t i = 0; i != scales_.size(); ++i) {
            if (is_usable<B>({scales_[i], 0}))
                last_good_[i] = scales_[i];
            else
                scales_[i] = last_good_[i];
        }
    }

    /// One per row, or one.
    Scales scale_offsets(const ConstMatrixRef&) const {
        std::vector<ScaleOffset> all;
        all.reserve(scales_.size());
        for (float scale : scales_) all.push_back({scale, 0});
        return all;
    }

    /// The integers. An error when w is empty or has a value that is not finite.
    result<QuantizedMatrix> quantize(const ConstMatrixRef& w, const Execution& on = {}) const {
        if (auto ok = check_finite(w, "weights", on); !ok) return ok.diagnostics();
        return amct_distill::quantize<B>(w, scale_offsets(w), on);
    }

private:
    float scale_of_row([[maybe_unused]] const ConstMatrixRef& w, Eigen::Index r) const {
        if constexpr (std::same_as<G, ChannelWise>) {
            assert(scales_.size() == static_cast<std::size_t>(w.rows()));
            return scales_[static_cast<std::size_t>(r)];
        } else {
            assert(scales_.size() == 1);
            return scales_[0];
        }
    }

    static double scale_gradient(std::span<const float> w, std::span<const float> g, float scale,
                                 const Execution& on) {
        constexpr auto qmax = static_cast<float>(B::qmax), qmin = static_cast<float>(B::qmin);
        return detail::ordered_sums(
            on, w.size(),
            detail::ScaleGradient{w.data(), g.data(), scale, qmax, qmin, scale * qmax, scale * qmin})[0];
    }

    std::vector<float> scales_{};
    std::vector<float> last_good_{};
};

}  // namespace amct_distill

#elif AMCT_DISTILL_VERSION != 200
#error "two versions of amct_distill in one translation unit"
#endif  // AMCT_DISTILL_VERSION

#ifndef AMCT_DISTILL_WHOLE
#define AMCT_DISTILL_WHOLE 1
#include <bit>
#include <boost/pfr/core.hpp>
#include <boost/pfr/tuple_size.hpp>
#include <boost/spirit/home/x3/char/char.hpp>
#include <boost/spirit/home/x3/char/char_class.hpp>
#include <boost/spirit/home/x3/core/parse.hpp>
#include <boost/spirit/home/x3/operator.hpp>
#include <chrono>
#include <compare>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <iterator>
#include <new>
#include <random>
#include <ranges>
#include <set>
#include <stdexcept>
#include <sys/ioctl.h>
#include <system_error>
#include <thread>
#include <tuple>
#include <typeinfo>
#include <unistd.h>
#include <unordered_map>

// ---- amct_distill/reflect/fields.hpp

/// The fields of an aggregate: how many, their names, types and values, without macros or registration.
///
///     struct point { int x; int y; };
///     static_assert(reflect::field_count<point> == 2 && reflect::field_name<point, 1>() == "y");
///     reflect::get<0>(p) = 3;
///
/// The only user of Boost.PFR. Boost >= 1.84 knows field names; for older ones the same technique is below.
#if __has_include(<boost/pfr/config.hpp>)
#include <boost/pfr/config.hpp>
#endif
#if defined(BOOST_PFR_CORE_NAME_ENABLED) && BOOST_PFR_CORE_NAME_ENABLED
#include <boost/pfr/core_name.hpp>
#endif

namespace amct_distill::reflect {

template <class T>
inline constexpr std::size_t field_count = boost::pfr::tuple_size_v<T>;

template <class T, std::size_t I>
using field_type = boost::pfr::tuple_element_t<I, T>;

template <std::size_t I, class T>
constexpr auto& get(T& object) noexcept {
    return boost::pfr::get<I>(object);
}

#if defined(BOOST_PFR_CORE_NAME_ENABLED) && BOOST_PFR_CORE_NAME_ENABLED

template <class T, std::size_t I>
consteval std::string_view field_name() {
    return boost::pfr::get_name<I, T>();
}

#else

namespace detail {
#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
#endif
template <class T>
struct Holder {
    const T value;
};
template <class T>
extern const Holder<T> phantom;  // declared, never defined: only the address of its fields is spelled

template <class P>
struct Address {  // clang < 18 does not take the pointer itself as a template argument
    P pointer;
};
template <class P>
Address(P) -> Address<P>;

template <class T, Address Where>
consteval auto spelled_name() {
    // g++:   ... Where = Address<..>{(& phantom<X>.Holder<X>::value.X::name)}]
    // clang: ... Where = {&phantom.value.name}]       -- either way: the last identifier
    constexpr std::string_view text = __PRETTY_FUNCTION__;
    constexpr std::string_view word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    constexpr auto end = text.find_last_of(word) + 1, begin = text.find_last_not_of(word, end - 1) + 1;
    std::array<char, end - begin> out{};
    for (std::size_t i = 0; i != out.size(); ++i) out[i] = text[begin + i];
    return out;  // a copy, so that only the name itself gets into the binary
}
template <class T, std::size_t I>
inline constexpr auto name_chars =
    spelled_name<T, Address{std::addressof(boost::pfr::get<I>(phantom<T>.value))}>();
#ifdef __clang__
#pragma clang diagnostic pop
#endif
}  // namespace detail

template <class T, std::size_t I>
consteval std::string_view field_name() {
    return {detail::name_chars<T, I>.data(), detail::name_chars<T, I>.size()};
}

#endif

/// The names of all fields, in order.
template <class T>
inline constexpr auto field_names = []<std::size_t... I>(std::index_sequence<I...>) {
    return std::array<std::string_view, sizeof...(I)>{field_name<T, I>()...};
}
(std::make_index_sequence<field_count<T>>{});

namespace detail {
struct Known {
    int expected_spelling;
};
static_assert(field_name<Known, 0>() == "expected_spelling",
              "amct_distill: this compiler spells pointers to members in an unknown way; use Boost >= 1.84");
}  // namespace detail

}  // namespace amct_distill::reflect

// ---- amct_distill/reflect/unknown_fields.hpp

/// Fields that a message's text has and the message has not: kept as text, and printed again.
///
///     struct Record { optional<float> scale{}; UnknownFields unknown_fields{}; };
///     auto r = read<Record>("scale: 1 shape { dim: 3 }").value();     // with a warning
///     r.unknown_fields.text();                                        // "shape {\n  dim: 3\n}\n"
///
/// Without such a member an unknown field is an error. The binary format does not keep them.

namespace amct_distill {

class UnknownFields {
public:
    /// In protobuf's canonical text format: one field a line, in the order of the text that was read.
    const std::string& text() const noexcept { return text_; }
    bool empty() const noexcept { return text_.empty(); }
    void append(std::string_view canonical_text) { text_.append(canonical_text); }
    void clear() noexcept { text_.clear(); }
    friend bool operator==(const UnknownFields&, const UnknownFields&) = default;

private:
    std::string text_{};
};

}  // namespace amct_distill

// ---- amct_distill/reflect/labels.hpp

/// The labels of proto2 as member types, so that an aggregate reads like its .proto message.
///
///     struct Greeting {
///         required<std::string> name;             // leaving it out does not compile
///         optional<std::uint32_t, 1u> times{};    // [default = 1]
///         oneof<Tone> tone{};                     // struct Tone { Polite polite; Rude rude; };
///         repeated<std::string> languages{};
///     };
///     Greeting g{.name = "Ada"};   g.times.get() == 1;   g.times.has_value() == false;
///
/// A label that was read from a text knows its place in it, `position()`; two labels that differ only in
/// that are equal.

namespace amct_distill {

namespace detail {
/// Where a field was read; {0, 0} when it was not.
class Located {
public:
    constexpr Position position() const noexcept {
        return line_ == 0 ? Position{} : Position{line_, column_};
    }
    constexpr void set_position(Position p) noexcept {
        line_ = static_cast<std::uint32_t>(p.line);
        column_ = static_cast<std::uint32_t>(p.column);
    }

protected:
    static constexpr std::uint32_t unset = 0xFFFFFFFF;  // a column that no place has
    constexpr bool is_marked_unset() const noexcept { return line_ == 0 && column_ == unset; }
    constexpr void mark_unset() noexcept { column_ = unset; }

private:
    std::uint32_t line_ = 0;
    std::uint32_t column_ = 0;
};

/// Tag: a message that is being read, its required fields not yet set.
struct Blank {
    explicit Blank() = default;
};
}  // namespace detail

/// `required`: a message spelled in C++ that leaves it out does not compile (but for clang 14, which misses
/// it).
template <class T>
class required : public detail::Located {
public:
    using value_type = T;

    constexpr required(T value) : value_(std::move(value)) {}
    template <class U>
    requires(std::is_class_v<T>&& std::is_convertible_v<U, T> &&
             !std::is_class_v<U>) constexpr required(const U& value)
        : value_(value) {}  // a string literal, for instance
    constexpr explicit required(detail::Blank) : value_() { mark_unset(); }
    /// False while a message is being read and this field was not met; set_position() ends that.
    constexpr bool is_set() const noexcept { return !is_marked_unset(); }
    /// Declared so that `Message{}` is well formed where it is not evaluated: Boost.PFR then counts fields
    /// by bisection, not one by one (minutes and gigabytes). Evaluating it is a compile-time error.
    consteval required() : value_((throw "a required field is missing", T())) {}

    constexpr const T& operator*() const noexcept { return value_; }
    constexpr T& operator*() noexcept { return value_; }
    constexpr const T* operator->() const noexcept { return &value_; }
    constexpr T* operator->() noexcept { return &value_; }
    constexpr operator const T&() const noexcept { return value_; }
    friend constexpr bool operator==(const required& a, const required& b) { return a.value_ == b.value_; }

private:
    T value_;
};

/// `optional`, with the schema's `[default = ...]` as part of the type.
template <class T, auto... Default>
class optional : public detail::Located {
public:
    using value_type = T;

    constexpr optional() = default;
    constexpr optional(T value) : value_(std::move(value)) {}
    template <class U>
    requires(std::is_class_v<T>&& std::is_convertible_v<U, T> &&
             !std::is_class_v<U>) constexpr optional(const U& value)
        : value_(value) {}
    constexpr optional(std::nullopt_t) {}

    constexpr bool has_value() const noexcept { return value_.has_value(); }
    constexpr explicit operator bool() const noexcept
        requires(!std::is_same_v<T, bool>)  // `if (fixed_min)` would ask the wrong question
    {
        return has_value();
    }
    /// Precondition: has_value().
    constexpr const T& operator*() const noexcept { return *value_; }
    constexpr T& operator*() noexcept { return *value_; }
    constexpr const T* operator->() const noexcept { return &*value_; }
    constexpr T* operator->() noexcept { return &*value_; }
    /// The value, or the schema's default.
    constexpr T get() const {
        if (value_) return *value_;
        return T(Default...);
    }
    template <class... A>
    constexpr T& emplace(A&&... a) {
        return value_.emplace(std::forward<A>(a)...);
    }
    constexpr void reset() noexcept { value_.reset(); }
    friend constexpr bool operator==(const optional& a, const optional& b) { return a.value_ == b.value_; }

private:
    std::optional<T> value_{};
};

/// `oneof`: `Alternatives` is an aggregate whose members name the alternatives.
template <class Alternatives>
class oneof : public detail::Located {
    template <class>
    struct Storage;
    template <std::size_t... I>
    struct Storage<std::index_sequence<I...>> {
        using type = std::variant<std::monostate, reflect::field_type<Alternatives, I>...>;
    };

public:
    using alternatives = Alternatives;
    static constexpr std::size_t size = reflect::field_count<Alternatives>;
    using variant = typename Storage<std::make_index_sequence<size>>::type;

    constexpr oneof() = default;
    template <class T>
    requires(!std::is_same_v<std::remove_cvref_t<T>, oneof> && std::is_constructible_v<variant, T> &&
             std::is_class_v<std::remove_cvref_t<T>>) constexpr oneof(T&& alternative)
        : value_(std::forward<T>(alternative)) {}

    constexpr bool has_value() const noexcept { return value_.index() != 0; }
    /// The field name of the alternative that is set, or "".
    constexpr std::string_view name() const noexcept {
        return has_value() ? reflect::field_names<Alternatives>[value_.index() - 1] : std::string_view{};
    }
    template <class T>
    constexpr const T* get_if() const noexcept {
        return std::get_if<T>(&value_);
    }
    /// Sets alternative `I`, counted from 0.
    template <std::size_t I, class... A>
    constexpr auto& emplace(A&&... a) {
        if (std::is_constant_evaluated()) {  // clang cannot evaluate emplace of libstdc++ 12
            std::destroy_at(&value_);
            std::construct_at(&value_, std::in_place_index<I + 1>, std::forward<A>(a)...);
            return *std::get_if<I + 1>(&value_);
        }
        return value_.template emplace<I + 1>(std::forward<A>(a)...);
    }
    /// The variant that holds it; `std::monostate` when nothing is set.
    constexpr const variant& value() const noexcept { return value_; }
    constexpr variant& value() noexcept { return value_; }
    friend constexpr bool operator==(const oneof& a, const oneof& b) { return a.value_ == b.value_; }

private:
    variant value_{};
};

/// `repeated`: a vector that knows where each element was read.
template <class T>
class repeated : public std::vector<T> {
public:
    using std::vector<T>::vector;

    /// Where element `i` was read; {0, 0} when the list was not read, or has changed in length since.
    Position position(std::size_t i) const noexcept {
        return positions_.size() == this->size() ? positions_[i].position() : Position{};
    }
    void note_position(Position p) {  // of the last element
        positions_.resize(this->size());
        positions_.back().set_position(p);
    }
    friend bool operator==(const repeated& a, const repeated& b) {
        return static_cast<const std::vector<T>&>(a) == static_cast<const std::vector<T>&>(b);
    }

private:
    std::vector<detail::Located> positions_{};
};

namespace detail {

template <class T>
inline constexpr bool is_required = false;
template <class T>
inline constexpr bool is_required<required<T>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T, auto... D>
inline constexpr bool is_optional<optional<T, D...>> = true;
template <class T>
inline constexpr bool is_oneof = false;
template <class A>
inline constexpr bool is_oneof<oneof<A>> = true;
template <class T>
concept ListField = requires(T list, typename T::value_type v) {
    list.push_back(std::move(v));
    list.back();
}
&&!requires(T s) { s.substr(); };
/// Messages are aggregates; everything else is a scalar.
template <class T>
concept MessageType = std::is_aggregate_v<T>;

template <class F>
constexpr F blank_field() {
    if constexpr (is_required<F>)
        return F(Blank{});
    else
        return F{};
}

/// A message with no field set, also where it has required ones.
template <class M>
constexpr M blank_message() {
    return []<std::size_t... I>(std::index_sequence<I...>) {
        return M{blank_field<reflect::field_type<M, I>>()...};
    }
    (std::make_index_sequence<reflect::field_count<M>>{});
}

/// A value to read into.
template <class T>
constexpr T blank_value() {
    if constexpr (MessageType<T>)
        return blank_message<T>();
    else
        return T{};
}

/// Where a message keeps the fields that it does not know; its number of members when it does not keep them.
template <class M>
inline constexpr std::size_t unknown_fields_member = []<std::size_t... I>(std::index_sequence<I...>) {
    std::size_t member = sizeof...(I);
    ((member = std::is_same_v<reflect::field_type<M, I>, UnknownFields> ? I : member), ...);
    return member;
}
(std::make_index_sequence<reflect::field_count<M>>{});
template <class M>
inline constexpr bool keeps_unknown_fields = unknown_fields_member<M> != reflect::field_count<M>;

/// The fields of a message as its texts name them: its members, a oneof replaced by its alternatives.
struct TextField {
    std::string_view name;
    std::size_t member;       // index of the member
    std::size_t alternative;  // index in the oneof
};
template <class M, std::size_t I>
consteval std::size_t text_field_width() {
    using F = reflect::field_type<M, I>;
    if constexpr (is_oneof<F>)
        return F::size;
    else
        return std::is_same_v<F, UnknownFields> ? 0 : 1;
}
template <class M>
inline constexpr auto text_fields = []<std::size_t... I>(std::index_sequence<I...>) {
    std::array<TextField, (std::size_t{0} + ... + text_field_width<M, I>())> all{};
    std::size_t n = 0;
    auto add = [&]<std::size_t J>(std::integral_constant<std::size_t, J>) {
        using F = reflect::field_type<M, J>;
        if constexpr (is_oneof<F>) {
            for (std::size_t a = 0; a != F::size; ++a)
                all[n++] = {reflect::field_names<typename F::alternatives>[a], J, a};
        } else if constexpr (!std::is_same_v<F, UnknownFields>) {
            all[n++] = {reflect::field_name<M, J>(), J, 0};
        }
    };
    (add(std::integral_constant<std::size_t, I>{}), ...);
    return all;
}
(std::make_index_sequence<reflect::field_count<M>>{});

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/text/notes.hpp

/// What the reader finds, before lines and columns are counted: texts that constant evaluation can build.
///
///     detail::TextBuffer const message = detail::say("expected `:`, found `", word, "`");
///
/// Usable in constant evaluation.

namespace amct_distill::detail {

/// A text that grows by push_back only, so that clang with libstdc++ 12 can evaluate it in constants.
class TextBuffer {
public:
    constexpr TextBuffer() = default;
    constexpr TextBuffer(std::string_view s) { append(s); }
    constexpr void append(std::string_view s) {
        for (char c : s) chars_.push_back(c);
    }
    constexpr void append(char c) { chars_.push_back(c); }
    constexpr void push_back(char c) { chars_.push_back(c); }
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

}  // namespace amct_distill::detail

// ---- amct_distill/text/foreign_fields.hpp

/// Fields of related formats that people give to a message's reader: what they belong to, what to write
/// instead.
///
///     constexpr ForeignFields foreign_fields(const MyMessage*);     // beside the message, found by its type
///
///    // quant.cfg:1:1: error: this looks like a configuration for AMCT's calibration: this library reads ...
///     // quant.cfg:1:1: error: unknown field `skip_layers`; write `quant_skip_layers`
///
/// A message without that function has none. Usable in constant evaluation.

namespace amct_distill {

struct ForeignField {
    std::string_view name{};
    unsigned origins = 0;         ///< the formats that have it: bit k stands for ForeignFields::origins[k]
    bool has_counterpart = true;  ///< the message has something that means the same
    std::string_view advice{};    ///< "write `quant_skip_layers`"
};

struct ForeignFields {
    std::span<const ForeignField> fields{};
    std::span<const std::string_view> origins{};  ///< what each format is for: "calibration"
    std::span<const std::string_view> shared{};   ///< fields of the message that other formats have as well
    std::string_view family{};                    ///< "AMCT's"
    std::string_view here{};                      ///< "this library reads distillation configurations"
    std::string_view json{};                      ///< what to do with a text that is JSON

    constexpr const ForeignField* find(std::string_view name) const {
        for (const ForeignField& f : fields)
            if (f.name == name) return &f;
        return nullptr;
    }
    /// Whether a field of the message is its alone: `shared` lists those that other formats have too.
    constexpr bool owns(std::string_view name) const {
        for (std::string_view s : shared)
            if (s == name) return false;
        return true;
    }
};

namespace detail {

/// The foreign fields of the message that a text is read into.
template <class M>
constexpr ForeignFields foreign_fields_of() {
    if constexpr (requires { foreign_fields(static_cast<const M*>(nullptr)); })
        return foreign_fields(static_cast<const M*>(nullptr));
    else
        return {};
}

/// Which formats a text seems to be written for: the ones that alone have one of its fields, or else any that
/// has all of them.
class ForeignOrigins {
public:
    constexpr void add(unsigned origins) {
        any_ |= origins;
        all_ &= origins;
        if ((origins & (origins - 1)) == 0) alone_ |= origins;
    }
    constexpr unsigned seen() const { return alone_ != 0 ? alone_ : all_ != 0 ? all_ : any_; }
    /// Whether each of them is meant, not one of them.
    constexpr bool each() const { return alone_ != 0; }

private:
    unsigned any_ = 0;
    unsigned all_ = ~0u;
    unsigned alone_ = 0;
};

/// "calibration or retraining"
constexpr TextBuffer names_of(const ForeignOrigins& seen, const ForeignFields& foreign) {
    TextBuffer names;
    std::size_t left = 0;
    for (std::size_t k = 0; k != foreign.origins.size(); ++k) left += seen.seen() >> k & 1u;
    for (std::size_t k = 0; k != foreign.origins.size(); ++k) {
        if ((seen.seen() >> k & 1u) == 0) continue;
        std::string_view const last = seen.each() ? " and " : " or ";
        names.append(say(names.empty() ? "" : left == 1 ? last : ", ", foreign.origins[k]));
        --left;
    }
    return names;
}

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/config/foreign_fields.hpp

/// The fields of AMCT's other configurations, and what a distillation configuration has for them.
///
///     read<AMCTDistillConfig>("skip_layers: 'fc'");
///    // 1:1: error: this looks like a configuration for AMCT's calibration or retraining: this library reads
///     // distillation configurations (AMCTDistillConfig)
///     // 1:1: error: unknown field `skip_layers`; write `quant_skip_layers`
///
/// Names as in AMCT's calibration_config, retrain_config, quant_calibration_config and basic_info .proto, and
/// in its documents for other frameworks.

namespace amct_distill::detail::amct {

inline constexpr std::string_view flows[] = {"calibration", "retraining", "pruning", "automatic search",
                                             "KV-cache quantization"};
inline constexpr unsigned of_calibration = 1, of_retraining = 2, of_pruning = 4, of_search = 8,
                          of_kv_cache = 16;

inline constexpr std::string_view symmetric_weights = "it has no counterpart here: weights have no offset";
inline constexpr std::string_view ifmr_by_itself =
    "leave it out: IFMR finds the clips of `ulq_quantize` by itself, and IfmrOptions has its settings";
inline constexpr std::string_view no_counterpart = "it has no counterpart here: leave it out";
inline constexpr std::string_view no_pruning = "it has no counterpart here: this library does not prune";
inline constexpr std::string_view no_search =
    "it has no counterpart here: widths are chosen layer by layer, by `dst_type`";
inline constexpr std::string_view no_kv_cache =
    "it has no counterpart here: Conv2d and Linear layers are quantized";
inline constexpr std::string_view both_parts =
    "write `distill_data_quant_config` for activations and `distill_weight_quant_config` for weights";
inline constexpr std::string_view by_type = "write `distill_override_layer_types` with a `layer_type`";
inline constexpr std::string_view width = "write `dst_type: INT4` or `dst_type: INT8`";
inline constexpr std::string_view folded =
    "it has no counterpart here: deployment folds each BatchNorm that it can";

inline constexpr ForeignField fields_of_others[] = {
    // What there is here, under another name.
    {"skip_layers", of_calibration | of_retraining, true, "write `quant_skip_layers`"},
    {"skip_layer_types", of_calibration | of_retraining, true, "write `quant_skip_layer_types`"},
    {"quant_skip_types", of_retraining, true, "write `quant_skip_layer_types`"},
    {"override_layer_configs", of_calibration | of_retraining, true, "write `distill_override_layers`"},
    {"override_layers_configs", of_kv_cache, true, "write `distill_override_layers`"},
    {"override_layer_types", of_calibration | of_retraining, true, "write `distill_override_layer_types`"},
    {"common_config", of_calibration, true, both_parts},
    {"calibration_config", of_calibration | of_kv_cache, true, both_parts},
    {"conv_calibration_config", of_calibration, true, by_type},
    {"fc_calibration_config", of_calibration, true, by_type},
    {"arq_quantize", of_calibration, true, "write `arq_distill`, in `distill_weight_quant_config`"},
    {"num_bits", of_calibration | of_retraining, true, width},
    {"quant_bits", of_calibration | of_retraining, true, width},
    {"retrain_data_quant_config", of_retraining, true, "write `distill_data_quant_config`"},
    {"retrain_weight_quant_config", of_retraining, true, "write `distill_weight_quant_config`"},
    {"arq_retrain", of_retraining, true, "write `arq_distill`"},
    {"ulq_retrain", of_retraining, true, "write `ulq_distill`"},
    // Calibration.
    {"ada_quantize", of_calibration, false,
     "it has no counterpart here: weights are quantized by `arq_distill` or `ulq_distill`"},
    {"nuq_quantize", of_calibration, false, "it has no counterpart here: all levels are evenly spaced"},
    {"snq_quantize", of_calibration, false, "it has no counterpart here: all levels are evenly spaced"},
    {"nuq_config", of_calibration, false, "it has no counterpart here: all levels are evenly spaced"},
    {"enable_auto_nuq", of_calibration, false, "it has no counterpart here: all levels are evenly spaced"},
    {"ifmr_quantize", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"hfmg_quantize", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"search_range_start", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"search_range_end", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"search_step", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"max_percentile", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"min_percentile", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"num_of_bins", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"activation_offset", of_calibration | of_kv_cache, false,
     "leave it out: activations always have an offset here"},
    {"asymmetric", of_calibration | of_kv_cache, false,
     "leave it out: activations always have an offset here, weights never"},
    {"weight_offset", of_calibration, false, symmetric_weights},
    {"do_fusion", of_calibration, false, folded},
    {"skip_fusion_layers", of_calibration, false, folded},
    {"update_bn", of_calibration, false, no_counterpart},
    {"bn_update_config", of_calibration, false, no_counterpart},
    {"joint_quant", of_calibration, false, no_counterpart},
    {"tensor_quantize", of_calibration, false, no_counterpart},
    {"weight_compress_only", of_calibration, false, no_counterpart},
    {"dmq_balancer", of_calibration, false, no_counterpart},
    {"migration_strength", of_calibration, false, no_counterpart},
    {"num_iteration", of_calibration, false, no_counterpart},
    {"reg_param", of_calibration, false, no_counterpart},
    {"beta_range_start", of_calibration, false, no_counterpart},
    {"beta_range_end", of_calibration, false, no_counterpart},
    {"warm_start", of_calibration, false, no_counterpart},
    {"skip_approximation_layers", of_calibration, false, no_counterpart},
    {"version", of_calibration, false, no_counterpart},
    {"fakequant_precision_mode", of_calibration | of_retraining, false, no_counterpart},
    {"kv_cache_quant_config", of_kv_cache, false, no_kv_cache},
    {"kv_data_quant_config", of_kv_cache, false, no_kv_cache},
    {"quant_layers", of_kv_cache, false, no_kv_cache},
    {"quant_granularity", of_kv_cache, false, no_kv_cache},
    // Pruning.
    {"prune_config", of_pruning, false, no_pruning},
    {"filter_pruner", of_pruning, false, no_pruning},
    {"balanced_l2_norm_filter_prune", of_pruning, false, no_pruning},
    {"prune_ratio", of_pruning, false, no_pruning},
    {"n_out_of_m_pruner", of_pruning, false, no_pruning},
    {"l1_selective_prune", of_pruning, false, no_pruning},
    {"n_out_of_m_type", of_pruning, false, no_pruning},
    {"update_freq", of_pruning, false, no_pruning},
    {"regular_prune_skip_layers", of_pruning, false, no_pruning},
    {"regular_prune_skip_types", of_pruning, false, no_pruning},
    {"ascend_optimized", of_pruning | of_search, false, no_pruning},
    // The search for bits and for channels to prune.
    {"compress_ratio", of_search, false, no_search},
    {"test_iteration", of_search, false, no_search},
    {"max_prune_ratio", of_search, false, no_pruning},
    {"override_prune_cfg", of_search, false, no_pruning},
};

/// The keys that their JSON has beside those.
inline constexpr ForeignField json_keys_of_others[] = {
    {"activation_quant_params", of_calibration, true, "write `distill_data_config`"},
    {"weight_quant_params", of_calibration, true, "write `distill_weight_config`"},
    {"retrain_enable", of_retraining, true, "write `quant_enable`"},
    {"retrain_data_config", of_retraining, true, "write `distill_data_config`"},
    {"retrain_weight_config", of_retraining, true, "write `distill_weight_config`"},
    {"wts_algo", of_calibration, true, "write `algo`"},
    {"act_algo", of_calibration, true, "write `algo`"},
    {"search_range", of_calibration, false, ifmr_by_itself},
    {"regular_prune_enable", of_pruning, false, no_pruning},
    {"regular_prune_config", of_pruning, false, no_pruning},
};

inline constexpr std::string_view shared_fields[] = {"batch_num", "quant_skip_layers"};

inline constexpr ForeignFields foreign{
    .fields = fields_of_others,
    .origins = flows,
    .shared = shared_fields,
    .family = "AMCT's",
    .here = "this library reads distillation configurations (AMCTDistillConfig)",
    .json = "a plan in JSON is read by plan_from_json",
};

inline constexpr ForeignFields foreign_json{
    .fields = json_keys_of_others,
    .origins = flows,
    .family = "AMCT's",
    .here = "plan_from_json reads the plan of a distillation, as create_distill_config writes it",
};

}  // namespace amct_distill::detail::amct

// ---- amct_distill/config/messages.hpp

/// AMCT's distillation configuration, `AMCTDistillConfig` and its messages, as plain aggregates.
///
///     AMCTDistillConfig c{.batch_num = 2u};
///     c.distill_weight_quant_config = DistillWeightQuantConfig{ARQDistill{.dst_type = DataType::INT4}};
///     c.quant_skip_layers = {"fc"};
///
/// Names, order and defaults are those of the schema (proto2, "distill_config_pytorch.proto"). The
/// algorithms that may be chosen are a template parameter:
///
///     struct mine : StandardAlgorithms {
///         struct weights { ARQDistill arq_distill; WtsULQDistill ulq_distill; MyPow2 my_pow2; };
///     };
///     using MyConfig = BasicConfig<mine>;
///
/// where a message names its quantizer by a member template, `template <class Bits, class Granularity>
/// using quantizer = ...`.

namespace amct_distill {

enum class DataType { INT4 = 0, INT8 = 1 };

/// Names and numbers of an enum, found by argument-dependent lookup: names in a schema need not be C++ names.
constexpr std::array<std::pair<std::string_view, DataType>, 2> enumerators(DataType) {
    return {{{"INT4", DataType::INT4}, {"INT8", DataType::INT8}}};
}

/// Initial clip range of an activation; clip_max > 0, clip_min < 0, both finite.
struct ClipMaxMin {
    required<float> clip_max;
    required<float> clip_min;
    friend bool operator==(const ClipMaxMin&, const ClipMaxMin&) = default;
};

/// Activations by universal linear quantization.
struct ActULQquantize {
    template <class Bits>
    using quantizer = ActUlq<Bits>;

    optional<ClipMaxMin> clip_max_min{};  ///< without it IFMR computes the initial clips
    optional<bool> fixed_min{};           ///< lower clip 0, not learned; unset: true after a ReLU
    optional<DataType, DataType::INT8> dst_type{};
    friend bool operator==(const ActULQquantize&, const ActULQquantize&) = default;
};

/// Weights by adaptive range quantization.
struct ARQDistill {
    template <class Bits, class Granularity>
    using quantizer = Arq<Bits, Granularity>;

    optional<DataType, DataType::INT8> dst_type{};
    optional<bool>
        channel_wise{};  ///< one scale per output channel; unset: true for Conv2d, false for Linear
    friend bool operator==(const ARQDistill&, const ARQDistill&) = default;
};

/// Weights by universal linear quantization.
struct WtsULQDistill {
    template <class Bits, class Granularity>
    using quantizer = Ulq<Bits, Granularity>;

    optional<DataType, DataType::INT8> dst_type{};
    optional<bool> channel_wise{};  ///< as in ARQDistill
    friend bool operator==(const WtsULQDistill&, const WtsULQDistill&) = default;
};

/// The algorithms a configuration can name; the first of each list is the default.
struct StandardAlgorithms {
    struct data {
        ActULQquantize ulq_quantize;
    };
    struct weights {
        ARQDistill arq_distill;
        WtsULQDistill ulq_distill;
    };
};

/// Where strings and repeated fields live.
struct HeapStorage {
    using string = std::string;
    template <class T>
    using list = repeated<T>;
};

template <class Algorithms>
struct BasicDataQuantConfig {
    oneof<typename Algorithms::data> data_quant_algo{};
    friend bool operator==(const BasicDataQuantConfig&, const BasicDataQuantConfig&) = default;
};

template <class Algorithms>
struct BasicWeightQuantConfig {
    oneof<typename Algorithms::weights> weights_quant_algo{};
    friend bool operator==(const BasicWeightQuantConfig&, const BasicWeightQuantConfig&) = default;
};

/// A block given by the user: its first and its last layer.
template <class Storage>
struct BasicDistillGroup {
    required<typename Storage::string> start_layer_name;
    required<typename Storage::string> end_layer_name;
    friend bool operator==(const BasicDistillGroup&, const BasicDistillGroup&) = default;
};

/// Other settings for one layer.
template <class Algorithms, class Storage>
struct BasicOverrideLayer {
    required<typename Storage::string> layer_name;
    optional<BasicDataQuantConfig<Algorithms>> distill_data_quant_config{};
    optional<BasicWeightQuantConfig<Algorithms>> distill_weight_quant_config{};
    friend bool operator==(const BasicOverrideLayer&, const BasicOverrideLayer&) = default;
};

/// Other settings for one type of layer.
template <class Algorithms, class Storage>
struct BasicOverrideLayerType {
    required<typename Storage::string> layer_type;
    optional<BasicDataQuantConfig<Algorithms>> distill_data_quant_config{};
    optional<BasicWeightQuantConfig<Algorithms>> distill_weight_quant_config{};
    friend bool operator==(const BasicOverrideLayerType&, const BasicOverrideLayerType&) = default;
};

template <class Algorithms = StandardAlgorithms, class Storage = HeapStorage>
struct BasicConfig {
    using algorithms = Algorithms;
    using storage = Storage;
    using string = typename Storage::string;
    template <class T>
    using list = typename Storage::template list<T>;

    optional<std::uint32_t, 1u> batch_num{};   ///< batches that IFMR sees before it computes clips; >= 1
    optional<std::uint32_t, 1u> group_size{};  ///< units that make one block; >= 1
    optional<bool, false> data_dump{};         ///< dump the teacher's block inputs and outputs once
    list<BasicDistillGroup<Storage>> distill_group{};
    optional<BasicDataQuantConfig<Algorithms>> distill_data_quant_config{};
    optional<BasicWeightQuantConfig<Algorithms>> distill_weight_quant_config{};
    list<BasicOverrideLayer<Algorithms, Storage>> distill_override_layers{};
    list<BasicOverrideLayerType<Algorithms, Storage>> distill_override_layer_types{};
    list<string> quant_skip_layers{};       ///< not quantized, but still distilled
    list<string> quant_skip_layer_types{};  ///< the same, by type
    friend bool operator==(const BasicConfig&, const BasicConfig&) = default;
};

/// What the reader says of fields that belong to AMCT's other configurations.
template <class Algorithms, class Storage>
constexpr ForeignFields foreign_fields(const BasicConfig<Algorithms, Storage>*) {
    return detail::amct::foreign;
}

using AMCTDistillConfig = BasicConfig<>;
using DistillGroup = BasicDistillGroup<HeapStorage>;
using DistillDataQuantConfig = BasicDataQuantConfig<StandardAlgorithms>;
using DistillWeightQuantConfig = BasicWeightQuantConfig<StandardAlgorithms>;
using DistillOverrideLayer = BasicOverrideLayer<StandardAlgorithms, HeapStorage>;
using DistillOverrideLayerType = BasicOverrideLayerType<StandardAlgorithms, HeapStorage>;

}  // namespace amct_distill

// ---- amct_distill/core/fixed_string.hpp

/// A string literal as a template argument.
///
///     template <fixed_string Name> struct layer {};   layer<"conv1">::name.view() == "conv1"

namespace amct_distill {

template <std::size_t N>  // characters, the terminating NUL included
struct fixed_string {
    char text[N]{};

    constexpr fixed_string() = default;
    consteval fixed_string(const char (&literal)[N]) {
        for (std::size_t i = 0; i != N; ++i) text[i] = literal[i];
    }
    constexpr std::string_view view() const { return {text, N - 1}; }
};

}  // namespace amct_distill

// ---- amct_distill/reflect/bytes.hpp

/// proto2's `bytes`: a string that need not be UTF-8.
///
///     struct Blob { optional<bytes> data{}; };
///     read<Blob>(R"(data: "\377\000")")->data->size() == 2      // as a string, this would be an error
///
/// Raw bytes in a text are UTF-8, as the text is; escapes may spell any.

namespace amct_distill {

class bytes : public std::string {
public:
    using std::string::string;
    bytes() = default;
    bytes(std::string s) : std::string(std::move(s)) {}
};

}  // namespace amct_distill

// ---- amct_distill/config/record.hpp

/// `ScaleOffsetRecord`: the quantization factors of every layer, as a deployment tool reads them (proto2).
///
///     ScaleOffsetRecord r;
///     r.record.push_back({.key = "conv1", .value = SingleLayerRecord{.scale_d = .02f, .offset_d = -3}});
///     std::string text = print(r);   // record { key: "conv1" value { scale_d: 0.02 offset_d: -3 } } ...
///
/// Names and numbers are those of the schema of today, "scale_offset_record_pytorch.proto" and
/// "basic_info.proto"; this library fills in what distillation needs. Fields of a later schema are read, kept
/// and printed again.

namespace amct_distill {

namespace detail {
/// A string default of a schema as a template argument.
template <std::size_t N>
struct StringDefault : fixed_string<N> {
    consteval StringDefault(const char (&literal)[N]) : fixed_string<N>(literal) {}
    operator std::string() const { return std::string(this->view()); }
};
}  // namespace detail

/// One layer: `d` its data (activations), `w` its weights; real value = (code - offset) * scale. Of a
/// recurrent layer also `h` the hidden state and `r` the recurrent weights.
struct SingleLayerRecord {
    optional<float> scale_d{};
    optional<std::int32_t> offset_d{};
    repeated<float> scale_w{};          ///< one per output channel, or one for the tensor
    repeated<std::int32_t> offset_w{};  ///< likewise; always 0
    repeated<std::uint32_t> shift_bit{};
    repeated<float> tensor_balance_factor{};
    optional<bool, false> skip_fusion{};
    optional<std::string, detail::StringDefault{"INT8"}> dst_type{};
    optional<std::string, detail::StringDefault{"INT8"}> act_type{};
    optional<std::string, detail::StringDefault{"INT8"}> wts_type{};
    optional<std::string, detail::StringDefault{"DEFAULT"}> fakequant_precision_mode{};
    optional<float> scale_h{};
    optional<std::int32_t> offset_h{};
    repeated<float> scale_r{};
    repeated<std::int32_t> offset_r{};
    UnknownFields unknown_fields{};
    friend bool operator==(const SingleLayerRecord&, const SingleLayerRecord&) = default;
};

/// Of a layer whose keys and values are cached.
struct SingleLayerKVCacheRecord {
    repeated<float> scale{};
    repeated<std::int32_t> offset{};
    UnknownFields unknown_fields{};
    friend bool operator==(const SingleLayerKVCacheRecord&, const SingleLayerKVCacheRecord&) = default;
};

/// An entry of the record: the layer's name and its factors. (Spelled so in the schema.)
struct MapFiledEntry {
    optional<std::string> key{};
    optional<SingleLayerRecord> value{};
    optional<SingleLayerKVCacheRecord> kv_cache_value{};
    UnknownFields unknown_fields{};
    friend bool operator==(const MapFiledEntry&, const MapFiledEntry&) = default;
};

enum class AttrType { UNDEFINED = 0, FLOAT = 1, INT = 2, STRING = 3, FLOATS = 4, INTS = 5, STRINGS = 6 };
constexpr std::array<std::pair<std::string_view, AttrType>, 7> enumerators(AttrType) {
    return {{{"UNDEFINED", AttrType::UNDEFINED},
             {"FLOAT", AttrType::FLOAT},
             {"INT", AttrType::INT},
             {"STRING", AttrType::STRING},
             {"FLOATS", AttrType::FLOATS},
             {"INTS", AttrType::INTS},
             {"STRINGS", AttrType::STRINGS}}};
}

/// A setting of a layer that was pruned.
struct AttrProto {
    optional<std::string> name{};
    optional<AttrType, AttrType::UNDEFINED> type{};
    optional<float> f{};
    optional<std::int64_t> i{};
    optional<bytes> s{};
    repeated<float> floats{};
    repeated<std::int64_t> ints{};
    repeated<bytes> strings{};
    UnknownFields unknown_fields{};
    friend bool operator==(const AttrProto&, const AttrProto&) = default;
};

struct PruneNode {
    required<std::string> name;
    repeated<AttrProto> attr{};
    UnknownFields unknown_fields{};
    friend bool operator==(const PruneNode&, const PruneNode&) = default;
};

/// Layers that are pruned together.
struct PruneRecord {
    repeated<PruneNode> producer{};
    repeated<PruneNode> consumer{};
    optional<PruneNode> selective_prune{};
    UnknownFields unknown_fields{};
    friend bool operator==(const PruneRecord&, const PruneRecord&) = default;
};

struct ScaleOffsetRecord {
    repeated<MapFiledEntry> record{};
    repeated<PruneRecord> prune_record{};
    UnknownFields unknown_fields{};
    friend bool operator==(const ScaleOffsetRecord&, const ScaleOffsetRecord&) = default;
};

}  // namespace amct_distill

// ---- amct_distill/text/decimal.hpp

/// A decimal number to binary floating point, correctly rounded (half to even) in one step.
///
///     static_assert(detail::to_floating<float>("1.17549435e-38") == std::numeric_limits<float>::min());
///
/// The same at run time and in constant evaluation, on every standard library: `std::from_chars` is not
/// constexpr (nor complete everywhere), and rounding to double first and to float then is wrong for about
/// one literal in a hundred thousand.

namespace amct_distill::detail {

/// A natural number of at most `capacity` bits; as much as the exact path below needs, and no more.
class BigNatural {
    // The largest: `max_digits` digits (below) over 10^-(max_digits + 400), brought to the same size.
    static constexpr std::size_t capacity = 288;  // limbs of 32 bits
    std::array<std::uint32_t, capacity> limbs_{};
    std::size_t size_ = 0;

    constexpr void trim() {
        while (size_ != 0 && limbs_[size_ - 1] == 0) --size_;
    }

public:
    constexpr void multiply_add(std::uint32_t factor, std::uint32_t term) {
        std::uint64_t carry = term;
        for (std::size_t i = 0; i != size_; ++i) {
            carry += std::uint64_t{limbs_[i]} * factor;
            limbs_[i] = static_cast<std::uint32_t>(carry);
            carry >>= 32;
        }
        if (carry != 0) limbs_[size_++] = static_cast<std::uint32_t>(carry);
    }
    constexpr void multiply_by_power_of_ten(std::size_t exponent) {
        for (; exponent >= 9; exponent -= 9) multiply_add(1'000'000'000u, 0);
        for (; exponent != 0; --exponent) multiply_add(10, 0);
    }
    constexpr void shift_left(std::size_t bits) {
        std::size_t const whole = bits / 32, rest = bits % 32;
        for (std::size_t i = size_; i-- != 0;) limbs_[i + whole] = limbs_[i];
        for (std::size_t i = 0; i != whole; ++i) limbs_[i] = 0;
        if (size_ != 0) size_ += whole;
        if (rest != 0) multiply_add(std::uint32_t{1} << rest, 0);
    }
    constexpr std::size_t bit_width() const {
        return size_ == 0 ? 0 : size_ * 32 - static_cast<std::size_t>(std::countl_zero(limbs_[size_ - 1]));
    }
    constexpr bool is_zero() const { return size_ == 0; }
    constexpr bool less_than(const BigNatural& other) const {
        if (size_ != other.size_) return size_ < other.size_;
        for (std::size_t i = size_; i-- != 0;)
            if (limbs_[i] != other.limbs_[i]) return limbs_[i] < other.limbs_[i];
        return false;
    }
    /// Precondition: not less_than(other).
    constexpr void subtract(const BigNatural& other) {
        std::uint64_t borrow = 0;
        for (std::size_t i = 0; i != size_; ++i) {
            std::uint64_t const take = (i < other.size_ ? std::uint64_t{other.limbs_[i]} : 0) + borrow;
            borrow = limbs_[i] < take ? 1 : 0;
            limbs_[i] = static_cast<std::uint32_t>((borrow << 32) + limbs_[i] - take);
        }
        trim();
    }
};

/// digits * 10^exponent, every digit counted.
struct Scientific {
    static constexpr std::size_t max_digits = 800;  // 768 decide any double; the rest only as "not zero"
    std::string_view text{};                        // of the number, without sign and suffix
    std::uint64_t leading = 0;                      // its first 19 significant digits
    std::size_t significant = 0;                    // digits from the first that is not zero
    std::int64_t exponent = 0;                      // of the last digit

    constexpr explicit Scientific(std::string_view number) : text(number) {
        std::size_t i = 0;
        bool fraction = false;
        for (; i < number.size() && number[i] != 'e' && number[i] != 'E'; ++i) {
            if (number[i] == '.') {
                fraction = true;
                continue;
            }
            if (fraction) --exponent;
            if (significant == 0 && number[i] == '0') continue;
            if (++significant <= 19) leading = leading * 10 + static_cast<std::uint64_t>(number[i] - '0');
        }
        text = number.substr(0, i);
        if (i == number.size()) return;
        bool const negative = number[++i] == '-';
        if (number[i] == '-' || number[i] == '+') ++i;
        std::int64_t written = 0;
        // Large enough to over- or underflow whatever the digits; kept from overflowing itself.
        constexpr std::int64_t enough = std::int64_t{1} << 60;
        for (; i < number.size(); ++i) written = (std::min)(written * 10 + (number[i] - '0'), enough / 16);
        exponent += negative ? -written : written;
    }
};

template <class F>
constexpr F exact_power_of_ten(std::size_t exponent) {  // exact up to 10^10 in float, 10^22 in double
    F power = 1;
    for (; exponent != 0; --exponent) power *= 10;
    return power;
}

/// The exact path: the quotient of two natural numbers, bit after bit.
template <class F>
constexpr F round_exactly(const Scientific& number) {
    using limits = std::numeric_limits<F>;
    using bits_type = std::conditional_t<sizeof(F) == 4, std::uint32_t, std::uint64_t>;
    constexpr int mantissa = limits::digits;                   // 24, 53
    constexpr std::int64_t lowest = limits::min_exponent - 1;  // of a normal number: -126, -1022

    // value = digits * 10^exponent lies in [10^magnitude, 10^(magnitude + 1))
    std::int64_t const magnitude = number.exponent + static_cast<std::int64_t>(number.significant) - 1;
    if (magnitude > limits::max_exponent10) return limits::infinity();
    if (magnitude < limits::min_exponent10 - limits::digits10 - 3) return 0;

    std::size_t used = 0;
    bool rest = false;  // digits after max_digits: they only break ties
    std::int64_t exponent = number.exponent;
    BigNatural above, below;
    for (char c : number.text) {
        if (c == '.' || (used == 0 && c == '0')) continue;
        if (used == Scientific::max_digits) {
            ++exponent;
            rest = rest || c != '0';
        } else {
            above.multiply_add(10, static_cast<std::uint32_t>(c - '0'));
            ++used;
        }
    }
    below.multiply_add(0, 1);
    if (exponent >= 0)
        above.multiply_by_power_of_ten(static_cast<std::size_t>(exponent));
    else
        below.multiply_by_power_of_ten(static_cast<std::size_t>(-exponent));

    // Scale both so that 1 <= above / below < 2: value = above / below * 2^binary.
    auto const above_width = above.bit_width(), below_width = below.bit_width();
    std::int64_t binary = static_cast<std::int64_t>(above_width) - static_cast<std::int64_t>(below_width);
    if (above_width < below_width)
        above.shift_left(below_width - above_width);
    else
        below.shift_left(above_width - below_width);
    if (above.less_than(below)) {
        above.shift_left(1);
        --binary;
    }

    // A subnormal number has fewer bits.
    std::int64_t const width = mantissa - (binary < lowest ? lowest - binary : 0);
    if (width < 0) return 0;
    bits_type m = 0;
    auto next_bit = [&] {
        bool const one = !above.less_than(below);
        if (one) above.subtract(below);
        above.shift_left(1);
        return one;
    };
    for (std::int64_t i = 0; i != width; ++i) m = static_cast<bits_type>(m << 1 | (next_bit() ? 1u : 0u));
    bool const half = next_bit(), more = rest || !above.is_zero();
    if (half && (more || (m & 1) != 0)) ++m;

    if (binary < lowest) return std::bit_cast<F>(m);  // rounding up into the normal numbers comes out right
    if (m >> mantissa != 0) {
        m >>= 1;
        ++binary;
    }
    if (binary >= limits::max_exponent) return limits::infinity();
    bits_type const biased = static_cast<bits_type>(binary - lowest + 1);
    bits_type const fraction = m & ((bits_type{1} << (mantissa - 1)) - 1);
    return std::bit_cast<F>(static_cast<bits_type>(biased << (mantissa - 1) | fraction));
}

/// The number of `grammar::decimal`, without its suffix; overflow gives infinity, underflow zero.
template <class F>
requires(std::is_same_v<F, float> || std::is_same_v<F, double>) constexpr F
    to_floating(std::string_view text) {
    Scientific const number(text);
    if (number.significant == 0) return 0;
    if (number.significant <= 19 && number.exponent >= -22 && number.exponent <= 22 &&
        number.leading <= (std::uint64_t{1} << 53)) {
        // Both factors are exact doubles, so one operation rounds correctly (Clinger 1990).
        auto const power = exact_power_of_ten<double>(
            static_cast<std::size_t>(number.exponent < 0 ? -number.exponent : number.exponent));
        double const value = number.exponent < 0 ? static_cast<double>(number.leading) / power
                                                 : static_cast<double>(number.leading) * power;
        if constexpr (std::is_same_v<F, double>) {
            return value;
        } else {
            // Halfway points between normal floats are doubles. If the nearest double is none of them, it
            // lies on the same side of each as the number itself, and rounds to the same float.
            constexpr std::uint64_t below_float = (std::uint64_t{1} << 29) - 1,
                                    halfway = std::uint64_t{1} << 28;
            if ((std::bit_cast<std::uint64_t>(value) & below_float) != halfway &&
                value <= (std::numeric_limits<float>::max)())
                return static_cast<float>(value);
        }
    }
    return round_exactly<F>(number);
}

}  // namespace amct_distill::detail

// ---- amct_distill/nn/options_text.hpp

/// A module's options, an aggregate, as text and back, by reflection.
///
///     detail::options_text(Conv2dOptions{...});   // "in_channels: 1 ... kernel: [3, 3] ... bias: true"
///     detail::read_options<Conv2dOptions>(text);  // error: an unknown option, a value of another kind ...
///
/// An option is a number, a flag, a text, an enumerator (by its number) or a list of those: std::array or
/// std::vector. A module with options of its own needs nothing else to be printed, saved and loaded.

namespace amct_distill::detail {

template <class V>
concept OptionList = requires(const V& v) {
    v.begin();
    v.size();
    typename V::value_type;
}
&&!std::is_convertible_v<const V&, std::string_view>;

inline void put_text_option(std::string& out, std::string_view text) {
    out += '"';
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
}
template <class V>
void put_option(std::string& out, const V& value) {
    if constexpr (std::is_convertible_v<const V&, std::string_view>) {
        put_text_option(out, value);
    } else if constexpr (std::is_same_v<V, bool>) {
        out += value ? "true" : "false";
    } else if constexpr (std::is_enum_v<V>) {
        put_option(out, static_cast<std::underlying_type_t<V>>(value));
    } else if constexpr (std::is_arithmetic_v<V>) {
        append(out, number(value));
    } else {
        static_assert(
            OptionList<V>,
            "an option is a number, a flag, a text, an enumerator, or a std::array or std::vector of those");
        out += '[';
        for (std::size_t i = 0; i != value.size(); ++i) {
            if (i != 0) out += ", ";
            put_option(out, value[i]);
        }
        out += ']';
    }
}

template <class O>
std::string options_text(const O& options) {
    std::string out;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        ((out += I == 0 ? "" : " ", out += reflect::field_name<O, I>(), out += ": ",
          put_option(out, reflect::get<I>(options))),
         ...);
    }
    (std::make_index_sequence<reflect::field_count<O>>{});
    return out;
}

/// Takes options from a text, from its beginning on.
class OptionsReader {
public:
    explicit OptionsReader(std::string_view rest) : rest_(rest) {}

    bool at_end() { return skip(), rest_.empty(); }
    /// Whether the next is this text.
    bool take(std::string_view text) {
        skip();
        if (!rest_.starts_with(text)) return false;
        rest_.remove_prefix(text.size());
        return true;
    }
    /// The next word of letters, digits and `_`.
    std::string_view word() {
        skip();
        std::size_t n = 0;
        while (n != rest_.size() &&
               (rest_[n] == '_' || (rest_[n] >= '0' && rest_[n] <= '9') ||
                (rest_[n] >= 'a' && rest_[n] <= 'z') || (rest_[n] >= 'A' && rest_[n] <= 'Z')))
            ++n;
        std::string_view const found = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return found;
    }
    template <class V>
    bool value(V& to) {
        if constexpr (std::is_same_v<V, bool>) {
            if (take("true")) return to = true, true;
            return take("false") && (to = false, true);
        } else if constexpr (std::is_enum_v<V>) {
            std::underlying_type_t<V> number{};
            if (!value(number)) return false;
            to = static_cast<V>(number);
            return true;
        } else if constexpr (std::is_floating_point_v<V>) {
            bool const negative = take("-");
            if (take("inf")) return to = std::numeric_limits<V>::infinity() * (negative ? -1 : 1), true;
            if (take("nan")) return to = std::numeric_limits<V>::quiet_NaN(), true;
            std::size_t const n = (std::min)(rest_.find_first_not_of("0123456789.e+-"), rest_.size());
            if (n == 0 || rest_[0] < '0' || rest_[0] > '9') return false;
            to = to_floating<V>(rest_.substr(0, n)) * (negative ? -1 : 1);
            rest_.remove_prefix(n);
            return true;
        } else if constexpr (std::is_arithmetic_v<V>) {
            skip();
            auto const [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), to);
            if (error != std::errc{}) return false;
            rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
            return true;
        } else if constexpr (std::is_same_v<V, std::string>) {
            if (!take("\"")) return false;
            to.clear();
            while (!rest_.empty() && rest_.front() != '"') {
                if (rest_.front() == '\\') rest_.remove_prefix(1);
                if (rest_.empty()) return false;
                to += rest_.front();
                rest_.remove_prefix(1);
            }
            return take("\"");
        } else {
            if (!take("[")) return false;
            std::size_t n = 0;
            if constexpr (requires { to.clear(); }) to.clear();
            while (!take("]")) {
                if (n != 0 && !take(",")) return false;
                if constexpr (requires { to.emplace_back(); }) {
                    if (!value(to.emplace_back())) return false;
                } else {
                    if (n == to.size() || !value(to[n])) return false;
                }
                ++n;
            }
            return n == to.size();
        }
    }
    std::string_view rest() const { return rest_; }

private:
    void skip() {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) rest_.remove_prefix(1);
    }
    std::string_view rest_;
};

/// The options that `options_text` wrote. An option that the text does not name keeps its default; one that
/// the aggregate does not have is an error, as is a value of another kind.
template <class O>
result<O> read_options(std::string_view text) {
    O options{};
    OptionsReader reader(text);
    while (!reader.at_end()) {
        std::string_view const name = reader.word();
        if (name.empty() || !reader.take(":"))
            return general_error(
                concat("expected `option: value`, found `", reader.rest().substr(0, 20), "`"));
        bool known = false, read = false;
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            ((reflect::field_name<O, I>() == name
                  ? (known = true, read = reader.value(reflect::get<I>(options)))
                  : false),
             ...);
        }
        (std::make_index_sequence<reflect::field_count<O>>{});
        if (!known) return general_error(concat("unknown option `", name, "`"));
        if (!read) return general_error(concat("option `", name, "`: its value cannot be read"));
    }
    return options;
}

}  // namespace amct_distill::detail

// ---- amct_distill/run/aligned_allocator.hpp

/// Memory at multiples of 64 bytes, for vectors of any width, whatever flags a file is compiled with.
///
///     std::vector<float, AlignedAllocator<float>> values(1000);
///     is_aligned(values.data());                               // true: 64 bytes
///
/// Eigen's own allocator allocates in one way with -mavx and in another without; memory that crosses from a
/// file with one set of flags to a file with another is then freed as it was not allocated. This one always
/// asks operator new for 64 bytes.

namespace amct_distill::detail {

template <class T>
struct AlignedAllocator {
    static constexpr std::size_t alignment = 64;
    static_assert(alignof(T) <= alignment);
    using value_type = T;

    AlignedAllocator() = default;
    template <class U>
    constexpr AlignedAllocator(const AlignedAllocator<U>&) noexcept {}

    /// Precondition, which containers check: n is at most their max_size().
    [[nodiscard]] T* allocate(std::size_t n) {
        return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{alignment}));
    }
    void deallocate(T* p, std::size_t) noexcept { ::operator delete (p, std::align_val_t{alignment}); }

    template <class U>
    friend constexpr bool operator==(const AlignedAllocator&, const AlignedAllocator<U>&) noexcept {
        return true;
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/nn/tensor.hpp

/// A row-major tensor that owns its values, and Eigen's view of it as a matrix. The batch is always dimension
/// 0.
///
///     Tensor images({8, 1, 28, 28});                       // zeros
///     Tensor row({2, 3}, {1, 2, 3, 4, 5, 6});
///     matrix(row, 2, 3).row(1).sum();                      // 15
///     images.resize({4, 1, 28, 28});                       // no allocation: it fits
///     to_string(images.shape());                           // "[4, 1, 28, 28]"

namespace amct_distill::nn {

using Index = Eigen::Index;
using Shape = std::vector<Index>;

/// Dimension 0 of a shape that holds for every batch size; printed as `N`.
inline constexpr Index any_batch = -1;

/// "[8, 1, 28, 28]"; "[N, 1, 28, 28]" for any batch size.
inline std::string to_string(const Shape& shape) {
    std::string out = "[";
    for (std::size_t i = 0; i != shape.size(); ++i) {
        if (i != 0) out += ", ";
        out += i == 0 && shape[0] == any_batch ? "N" : number(shape[i]);
    }
    return out + ']';
}

/// The product of the dimensions [first, last).
inline Index product(const Shape& shape, std::size_t first, std::size_t last) {
    Index n = 1;
    for (std::size_t i = first; i < last; ++i) n *= shape[i];
    return n;
}

template <class T>
class BasicTensor {
public:
    using value_type = T;

    /// Rank 0 and no values; what `resize` has yet to give a shape.
    BasicTensor() = default;
    /// Zeros.
    explicit BasicTensor(const Shape& shape) { resize(shape); }
    /// The values in row-major order; throws std::invalid_argument when their number is not the shape's.
    BasicTensor(const Shape& shape, std::span<const T> values) : BasicTensor(shape) {
        if (values.size() != size())
            throw std::invalid_argument(detail::concat("Tensor: shape ", to_string(shape), " needs ", size(),
                                                       " values, found ", values.size()));
        std::copy(values.begin(), values.end(), values_.begin());
    }
    BasicTensor(const Shape& shape, const std::vector<T>& values)
        : BasicTensor(shape, std::span<const T>(values)) {}

    const Shape& shape() const { return shape_; }
    std::size_t rank() const { return shape_.size(); }
    Index dim(std::size_t i) const { return shape_.at(i); }
    std::size_t size() const { return values_.size(); }
    bool empty() const { return values_.empty(); }
    /// The number of values that it has room for.
    std::size_t capacity() const { return values_.capacity(); }

    T* data() { return values_.data(); }
    const T* data() const { return values_.data(); }
    std::span<T> span() { return values_; }
    std::span<const T> span() const { return values_; }
    T& operator[](std::size_t i) { return values_[i]; }
    const T& operator[](std::size_t i) const { return values_[i]; }
    auto begin() { return values_.begin(); }
    auto begin() const { return values_.begin(); }
    auto end() { return values_.end(); }
    auto end() const { return values_.end(); }

    /// Gives it a shape. Does not allocate when it has held as many values before; which values it holds
    /// then is unspecified, unless the number of values stays the same: then they stay too.
    void resize(const Shape& shape) {
        values_.resize(count(shape));
        shape_ = shape;
    }
    /// resize({8, 3}), without a Shape that would be allocated for it.
    void resize(std::initializer_list<Index> shape) {
        values_.resize(count({shape.begin(), shape.size()}));
        shape_.assign(shape);
    }
    /// resize(shape), with the batch's size where dimension 0 is `any_batch`.
    void resize_batch(const Shape& shape, Index batch) {
        if (shape[0] != any_batch) return resize(shape);
        std::size_t n = static_cast<std::size_t>(batch);
        for (std::size_t i = 1; i != shape.size(); ++i) n *= static_cast<std::size_t>(shape[i]);
        values_.resize(n);
        shape_.assign(shape.begin(), shape.end());
        shape_[0] = batch;
    }
    void fill(T value) { std::fill(values_.begin(), values_.end(), value); }

    friend bool operator==(const BasicTensor&, const BasicTensor&) = default;

private:
    static std::size_t count(std::span<const Index> shape) {
        std::size_t n = shape.empty() ? 0 : 1;
        for (Index d : shape) {
            if (d < 0)
                throw std::invalid_argument(detail::concat("Tensor: shape ",
                                                           to_string(Shape(shape.begin(), shape.end())),
                                                           " has a negative dimension"));
            n *= static_cast<std::size_t>(d);
        }
        return n;
    }

    Shape shape_{};
    // Aligned for vectors of any width, because where Eigen's vectors begin decides in which order it adds:
    // the bits must not depend on the address that an allocation happens to have.
    std::vector<T, detail::AlignedAllocator<T>> values_{};
};

using Tensor = BasicTensor<float>;

template <class T>
using MatrixMap = Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
template <class T>
using ConstMatrixMap = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
template <class T>
using ArrayMap = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
template <class T>
using ConstArrayMap = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;

}  // namespace amct_distill::nn

namespace amct_distill::detail {

template <class T>
void require_matrix(const nn::BasicTensor<T>& tensor, nn::Index rows, nn::Index cols) {
    auto const size = static_cast<nn::Index>(tensor.size());
    if (rows < 0 || cols < 0 || rows * cols != size)
        throw std::invalid_argument(
            concat("a tensor ", nn::to_string(tensor.shape()), " is no ", rows, " x ", cols, " matrix"));
}

/// The sum in double, in eight lanes that are added in the end.
template <class T>
double sum_of(const T* x, nn::Index n) {
    double lanes[8] = {};
    nn::Index i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k != 8; ++k) lanes[k] += double(x[i + k]);
    for (; i != n; ++i) lanes[0] += double(x[i]);
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// The tensor's values as a row-major matrix; throws std::invalid_argument when rows * cols is not their
/// number.
template <class T>
MatrixMap<T> matrix(BasicTensor<T>& tensor, Index rows, Index cols) {
    detail::require_matrix(tensor, rows, cols);
    return {tensor.data(), rows, cols};
}
template <class T>
ConstMatrixMap<T> matrix(const BasicTensor<T>& tensor, Index rows, Index cols) {
    detail::require_matrix(tensor, rows, cols);
    return {tensor.data(), rows, cols};
}

/// The tensor's values in a row, for element-wise arithmetic.
template <class T>
ArrayMap<T> array(BasicTensor<T>& tensor) {
    return {tensor.data(), static_cast<Index>(tensor.size())};
}
template <class T>
ConstArrayMap<T> array(const BasicTensor<T>& tensor) {
    return {tensor.data(), static_cast<Index>(tensor.size())};
}

}  // namespace amct_distill::nn

// ---- amct_distill/nn/parameter.hpp

/// A parameter of a module: its name, what it is to the optimizer, its shape, and where its values are.
///
///     for (const Parameter& p : module.parameters()) use(p.name, p.role, p.shape(), p.values);
///     list.push_back({"slope", Role::affine, &slope});          // a tensor of the module
///     list.push_back({"clips", Role::clip, quantizer.parameters()});   // or values that another object owns
///
/// The module owns the values; a parameter is a view, valid until the module changes or moves.

namespace amct_distill::nn {

/// What a parameter is to the optimizer. A statistic (BatchNorm's running mean) is not trained.
enum class Role { weight, bias, affine, clip, scale, statistic };

/// `T` is const where the module is.
template <class T>
class BasicParameter {
public:
    std::string_view name{};  ///< "weight", "bias", ...; unique in its module
    Role role = Role::weight;
    std::span<T> values{};  ///< row-major

    BasicParameter() = default;
    template <class Tensor>
    requires std::same_as<std::remove_const_t<Tensor>, BasicTensor<std::remove_const_t<T>>> BasicParameter(
        std::string_view n, Role r, Tensor* tensor)
        : name(n), role(r), values(tensor->span()), shape_(tensor->shape()) {}
    /// A row of values.
    BasicParameter(std::string_view n, Role r, std::span<T> row)
        : name(n), role(r), values(row), length_(static_cast<Index>(row.size())) {}
    template <class U>
    requires(!std::is_const_v<U> && std::same_as<const U, T>) BasicParameter(const BasicParameter<U>& other)
        : name(other.name),
          role(other.role),
          values(other.values),
          shape_(other.shape_),
          length_(other.length_) {}

    /// Valid as long as the parameter.
    std::span<const Index> shape() const { return shape_.empty() ? std::span(&length_, 1) : shape_; }

private:
    template <class>
    friend class BasicParameter;
    std::span<const Index> shape_{};
    Index length_ = 0;
};

using Parameter = BasicParameter<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/run/thread_pool.hpp

/// Threads that wait for work, beside the one that has it (executor.hpp is for callers).
///
///     ThreadPool pool(3);
///     bool const ran = pool.run(2, [&] { ... });      // here and on two of the three; returns when all have
///
/// Handing out work allocates nothing. A thread that waits looks for work some 5 us before it sleeps: the
/// parts of a network's loops follow each other closely.

namespace amct_distill::detail {

/// A number that one thread changes and another waits for; the system is asked only where that one sleeps.
class Signal {
public:
    std::uint32_t value() const { return value_.load(); }
    /// While nobody waits.
    void set(std::uint32_t value) { value_.store(value); }
    void add(std::uint32_t n) {
        value_.fetch_add(n);
        if (!sleeping_.load()) return;
        std::lock_guard const lock(mutex_);
        changed_.notify_one();
    }
    /// Until it is no longer `old`.
    void wait(std::uint32_t old) {
        // Without the processor's instruction for it, for which a virtual machine is left: 15 us.
        for (int k = 0; k != 5000; ++k)
            if (value() != old) return;
        std::unique_lock lock(mutex_);
        sleeping_.store(true);
        changed_.wait(lock, [&] { return value() != old; });
        sleeping_.store(false);
    }

private:
    std::atomic<std::uint32_t> value_{0};
    std::atomic<bool> sleeping_{false};
    std::mutex mutex_{};
    std::condition_variable changed_{};
};

class ThreadPool {
public:
    explicit ThreadPool(std::size_t threads) : helpers_(std::make_unique<Helper[]>(threads)) {
        try {
            for (; size_ != threads; ++size_)
                helpers_[size_].thread = std::thread([this, own = &helpers_[size_]] { serve(*own); });
        } catch (...) {  // the system has no more
            stop();
            throw;
        }
    }
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    ~ThreadPool() { stop(); }

    std::size_t size() const { return size_; }

    /// work(), which throws nothing, on the calling thread and on so many others, size() at most. False, and
    /// nothing is called, where the threads have work: in a call from within, or from another thread.
    bool run(std::size_t helpers, function_ref<void()> work) {
        if (busy_.exchange(true)) return false;
        work_ = &work;
        left_.set(static_cast<std::uint32_t>(helpers));
        for (std::size_t k = 0; k != helpers; ++k) helpers_[k].calls.add(1);
        work();
        for (std::uint32_t left; (left = left_.value()) != 0;) left_.wait(left);
        busy_.store(false);
        return true;
    }

private:
    struct alignas(64) Helper {  // a line of the cache for each
        Signal calls{};
        std::thread thread{};
    };

    void serve(Helper& own) {
        for (std::uint32_t calls = 0;; ++calls) {
            own.calls.wait(calls);
            if (stopping_.load()) return;
            (*work_)();
            left_.add(static_cast<std::uint32_t>(-1));
        }
    }

    void stop() {
        stopping_.store(true);
        for (std::size_t k = 0; k != size_; ++k) {
            helpers_[k].calls.add(1);
            helpers_[k].thread.join();
        }
    }

    std::unique_ptr<Helper[]> helpers_;
    std::size_t size_ = 0;
    std::atomic<bool> busy_{false}, stopping_{false};
    function_ref<void()>* work_ = nullptr;
    Signal left_{};
};

}  // namespace amct_distill::detail

// ---- amct_distill/run/executor.hpp

/// The threads of a run: one pool for all that is computed in it.
///
///     Executor executor(4);
///     tape.use(&executor);                                        // the modules' loops
///     executor.parallel_for(8, [&](std::size_t i) { ... });       // 0 to 7, in any order
///     fake_quantize<Int8>(x, y, p, executor.execution());         // the quantizers' loops
///
/// Whoever shares out work cuts it in parts that do not depend on the number of threads, and adds up what
/// the parts gave in their order: then the results have the same bits for any number.

namespace amct_distill::nn {

class Executor {
public:
    /// The caller of `parallel_for` is one of the threads. Throws std::invalid_argument unless 1 to 1024.
    explicit Executor(int threads) : threads_(threads) {
        if (threads < 1 || threads > 1024)
            throw std::invalid_argument(
                detail::concat("Executor: expected 1 to 1024 threads, found ", threads));
        if (threads == 1) return;
        pool_ = std::make_unique<detail::ThreadPool>(static_cast<std::size_t>(threads - 1));
        execution_.parallel_for = [this](std::size_t tasks, const std::function<void(std::size_t)>& task) {
            parallel_for(tasks, task);
        };
    }
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;

    int threads() const { return threads_; }

    /// f(i), or f(i, worker), for every i below `count`; returns when all are done. `worker` is below
    /// threads(), and no two calls at the same time have the same: an index of buffers. A call from within
    /// f runs on the thread that it comes from, and so does one from another thread meanwhile. What f throws
    /// is thrown here, the first of it by i, and what has not begun by then is left out.
    template <class F>
    void parallel_for(std::size_t count, F&& f) const {
        if constexpr (std::is_invocable_v<F&, std::size_t, std::size_t>)
            run(count, f);
        else
            run(count, [&f](std::size_t i, std::size_t) { f(i); });
    }

    /// The same on the calling thread alone, in order.
    template <class F>
    static void run_here(std::size_t count, F&& f) {
        for (std::size_t i = 0; i != count; ++i)
            if constexpr (std::is_invocable_v<F&, std::size_t, std::size_t>)
                f(i, 0);
            else
                f(i);
    }

    /// The same threads, for the quantizers.
    const Execution& execution() const { return execution_; }

private:
    using Function = detail::function_ref<void(std::size_t i, std::size_t worker)>;

    void run(std::size_t count, Function f) const {
        if (!pool_ || count < 2) return run_here(count, f);
        Job job(f, count);
        std::size_t const helpers = (std::min)(count - 1, pool_->size());
        if (!pool_->run(helpers, [&job] { job.work(); })) return run_here(count, f);
        if (job.error) std::rethrow_exception(job.error);
    }

    struct Job {
        Job(Function function, std::size_t n) : f(function), count(n) {}

        void work() {
            std::size_t const worker = workers++;
            for (std::size_t i; (i = next++) < count;) {
                try {
                    f(i, worker);
                } catch (...) {
                    std::lock_guard const lock(mutex);
                    if (i < failed) {
                        failed = i;
                        error = std::current_exception();
                    }
                    next = count;
                }
            }
        }

        Function f;
        std::size_t const count;
        std::atomic<std::size_t> next{0}, workers{0};
        std::mutex mutex{};  // of the two below
        std::size_t failed = static_cast<std::size_t>(-1);
        std::exception_ptr error{};
    };

    int threads_;
    std::unique_ptr<detail::ThreadPool> pool_{};
    Execution execution_{};
};

}  // namespace amct_distill::nn

// ---- amct_distill/nn/scratch.hpp

/// What a node lends to its module: buffers, so that only the first step allocates, and threads.
///
///     float* rows = scratch.buffer(0, 64);                   // 64 values for every thread that may work
///     scratch.parallel_for(planes, work, [&](Index plane, Index worker) { use(rows + worker * 64); });
///
/// The buffers carry nothing from one call to the next.

namespace amct_distill::nn {

template <class T>
class BasicScratch {
public:
    /// The k-th buffer; references stay valid when others are asked for. Not from within `parallel_for`: ask
    /// for all of them before.
    BasicTensor<T>& tensor(std::size_t k) {
        while (tensors_.size() <= k) tensors_.emplace_back();
        return tensors_[k];
    }

    /// `size` values for every thread that may work at a time; worker w has those from w * size on.
    T* buffer(std::size_t k, Index size) { return buffer(k, size, static_cast<Index>(threads())); }
    T* buffer(std::size_t k, Index size, Index workers) {
        tensor(k).resize({size * workers});
        return tensor(k).data();
    }

    /// Whose threads the module uses; null: the caller's alone.
    void use(const Executor* executor) { executor_ = executor; }
    std::size_t threads() const { return executor_ ? static_cast<std::size_t>(executor_->threads()) : 1; }
    /// f(i, worker) for every i below `count`, all of which is `work` additions or so: see
    /// `Executor::parallel_for`. Where it takes no longer than waking a thread, on the caller's alone.
    template <class F>
    void parallel_for(Index count, double work, F&& f) const {
        auto const call = [&f](std::size_t i, std::size_t worker) {
            f(static_cast<Index>(i), static_cast<Index>(worker));
        };
        if (executor_ && work > 1e6)
            executor_->parallel_for(static_cast<std::size_t>(count), call);
        else
            Executor::run_here(static_cast<std::size_t>(count), call);
    }
    /// f(begin, end) for parts of [0, n) whose elements have nothing to do with each other.
    template <class F>
    void in_parts(std::size_t n, F&& f) const {
        constexpr std::size_t size = 1 << 14;
        parallel_for(static_cast<Index>((n + size - 1) / size), double(n), [&](Index part, Index) {
            std::size_t const begin = static_cast<std::size_t>(part) * size;
            f(begin, (std::min)(n, begin + size));
        });
    }
    /// The threads in the quantizers' form.
    const Execution& execution() const {
        static const Execution alone{};
        return executor_ ? executor_->execution() : alone;
    }

    /// What the module's `prepare` computed for this run and others with the same parameters; null: nothing.
    const BasicTensor<T>* prepared() const { return prepared_; }
    void use_prepared(const BasicTensor<T>* prepared) { prepared_ = prepared; }

    /// What the buffers hold, in bytes.
    std::size_t bytes() const {
        std::size_t sum = 0;
        for (const auto& t : tensors_) sum += t.capacity() * sizeof(T);
        return sum;
    }

private:
    std::deque<BasicTensor<T>> tensors_{};
    const Executor* executor_ = nullptr;
    const BasicTensor<T>* prepared_ = nullptr;
};

using Scratch = BasicScratch<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/nn/weighted.hpp

/// What it takes for a module's weights to be quantized, and such a module without its type.
///
///     struct LocallyConnected {                               // besides a module's members
///         Tensor& weight();  Tensor& bias();                  // and const; an empty bias: none
///         void forward_with(weight, input, output, scratch) const;       // with another weight than its own
///         void backward_with(weight, input, grad_output, grad_input, grad_weight, grad_bias, scratch) const;
///         LocallyConnected with_parameters(weight, bias) const;           // the same layer with others
///         static constexpr std::size_t scratch_tensors = 2;   // how many of the node's buffers it uses
///     };
///     if (const Weighted* layer = module.weighted()) layer->weight();
///
/// The layer is linear in its input and in its weight: an output is a sum of products of a weight and an
/// input value, each weight serving one output channel, plus the channel's bias. Quantizers see the weight as
/// a matrix with a row per output channel (`weight_rows`); dimension 0 of the weight is the output channel
/// unless `output_axis()` says otherwise.

namespace amct_distill::nn {

/// Optionally `output_axis()`: the dimension of the weight that counts output channels, 0 if it is not said;
/// and `weight_groups()`: where that is not 0, into how many groups the dimensions before it fall, as in a
/// transposed convolution, [in, out / groups, ...], whose channel g * (out / groups) + k has the weights of
/// group g. Its `parameters(list)` are the weight and, where there is one, the bias, in this order and no
/// others. `forward_with` writes the output, with the layer's own bias; `backward_with` adds to the gradients
/// that are wanted (not null).
template <class M, class T>
concept WeightedModuleOf = std::copyable<M> &&
    requires(M m, const M c, const BasicTensor<T>& tensor, BasicTensor<T>& output, BasicTensor<T>* gradient,
             BasicScratch<T>& scratch) {
    { m.weight() } -> std::same_as<BasicTensor<T>&>;
    { c.weight() } -> std::same_as<const BasicTensor<T>&>;
    { m.bias() } -> std::same_as<BasicTensor<T>&>;
    { c.bias() } -> std::same_as<const BasicTensor<T>&>;
    { M::scratch_tensors } -> std::convertible_to<std::size_t>;
    c.forward_with(tensor, tensor, output, scratch);
    c.backward_with(tensor, tensor, tensor, gradient, gradient, gradient, scratch);
    { c.with_parameters(tensor, tensor) } -> std::same_as<M>;
};

template <class T>
class BasicModule;

/// A module with weights, of whatever type: see `BasicModule::weighted`.
template <class T>
class BasicWeighted {
public:
    virtual BasicTensor<T>& weight() = 0;
    virtual const BasicTensor<T>& weight() const = 0;
    virtual BasicTensor<T>& bias() = 0;
    virtual const BasicTensor<T>& bias() const = 0;
    virtual std::size_t output_axis() const = 0;
    virtual Index weight_groups() const = 0;
    virtual std::size_t scratch_tensors() const = 0;
    virtual void forward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input,
                              BasicTensor<T>& output, BasicScratch<T>& scratch) const = 0;
    virtual void backward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input,
                               const BasicTensor<T>& grad_output, BasicTensor<T>* grad_input,
                               BasicTensor<T>* grad_weight, BasicTensor<T>* grad_bias,
                               BasicScratch<T>& scratch) const = 0;
    /// The same layer with another weight, of the same shape, and another bias, [channels], or none (empty).
    virtual BasicModule<T> with_parameters(const BasicTensor<T>& weight,
                                           const BasicTensor<T>& bias) const = 0;

    Index output_channels() const {
        return weight().dim(output_axis()) * (output_axis() == 0 ? 1 : weight_groups());
    }

protected:
    ~BasicWeighted() = default;
};

using Weighted = BasicWeighted<float>;

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// The erased view of a module that lies elsewhere: in the holder that has both.
template <class M, class T>
class WeightedView final : public nn::BasicWeighted<T> {
public:
    explicit WeightedView(M& module) : module_(module) {}
    WeightedView(const WeightedView&) = delete;
    WeightedView& operator=(const WeightedView&) = delete;
    ~WeightedView() = default;

    nn::BasicTensor<T>& weight() override { return module_.weight(); }
    const nn::BasicTensor<T>& weight() const override { return std::as_const(module_).weight(); }
    nn::BasicTensor<T>& bias() override { return module_.bias(); }
    const nn::BasicTensor<T>& bias() const override { return std::as_const(module_).bias(); }
    std::size_t output_axis() const override {
        if constexpr (requires(const M& m) { m.output_axis(); })
            return module_.output_axis();
        else
            return 0;
    }
    nn::Index weight_groups() const override {
        if constexpr (requires(const M& m) { m.weight_groups(); })
            return module_.weight_groups();
        else
            return 1;
    }
    std::size_t scratch_tensors() const override { return M::scratch_tensors; }
    void forward_with(const nn::BasicTensor<T>& weight, const nn::BasicTensor<T>& input,
                      nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch) const override {
        std::as_const(module_).forward_with(weight, input, output, scratch);
    }
    void backward_with(const nn::BasicTensor<T>& weight, const nn::BasicTensor<T>& input,
                       const nn::BasicTensor<T>& grad_output, nn::BasicTensor<T>* grad_input,
                       nn::BasicTensor<T>* grad_weight, nn::BasicTensor<T>* grad_bias,
                       nn::BasicScratch<T>& scratch) const override {
        std::as_const(module_).backward_with(weight, input, grad_output, grad_input, grad_weight, grad_bias,
                                             scratch);
    }
    nn::BasicModule<T> with_parameters(const nn::BasicTensor<T>& weight,
                                       const nn::BasicTensor<T>& bias) const override {
        return std::as_const(module_).with_parameters(weight, bias);
    }

private:
    M& module_;
};

}  // namespace amct_distill::detail

// ---- amct_distill/nn/module.hpp

/// What a module of a network is: pure functions forward and backward, and parameters.
///
///     Module m = Conv2d({.in_channels = 1, .out_channels = 8, .kernel = {3, 3}});
///     m.type();                                           // "Conv2d"
///     for (auto& p : m.parameters()) use(p.name, p.role, p.values);
///     if (Conv2d* conv = m.get_if<Conv2d>()) conv->weight().fill(0);
///
/// A module of one's own is a copyable type with the members that the concept `ModuleOf` lists, and any of
/// the hooks `options()`, `parameters(list)`, `check_parameters()`, `constrain()`,
/// `update_statistics(inputs)`; nothing is registered or derived from. One with weights that can be quantized
/// says so by the members of `WeightedModule`. The examples user_module.cpp and custom_layer have one each.

namespace amct_distill::nn {

/// In `train` BatchNorm normalizes by the batch's own statistics; all else is the same in both.
enum class Mode { evaluate, train };

template <class T>
using BasicInputs = std::span<const BasicTensor<T>* const>;

/// The contract of a module. All of it is const and pure: what backward needs it finds in its arguments.
///
/// - `type_name`, or a function `type()`: the type as PyTorch spells it, the one a configuration speaks of.
///   Optionally `operation`, of the same kind, the name as ONNX spells it, where that is another; it is the
///   type of a use without a named module.
/// - `output_shape(inputs)`: the shape, or an error that says what was expected and what was found.
///   Dimension 0 may be `any_batch` and is passed on.
/// - `forward(inputs, output, scratch, mode)`: `output` has its shape already; its values are overwritten.
/// - `backward(inputs, output, grad_output, grad_inputs, grad_parameters, scratch, mode)`: ADDS to the
///   gradients, so that fan-out and accumulation need nothing else. A null `grad_inputs[i]` is not wanted;
///   two of them may be the same tensor. `grad_parameters` run parallel to `parameters`.
/// - Optionally `options()`: an aggregate of numbers, flags, texts and lists of them, from which the module
///   can be constructed. Printing, saving and fingerprints of networks read it by reflection.
///   `parameters(list)`: appends a `BasicParameter<T>` for each; always the same ones in one order.
///   `check_parameters()`: a `result<void>` that says which of them has not the shape that the options say.
///   `prepare(out, scratch)`: computes what depends on the parameters alone (a quantized weight) for several
///   runs, which find it in `scratch.prepared()`; and with it `finish_gradients(grad_parameters, scratch)`:
///   what those runs' backward left to be done once, on the sums of their gradients.
///   `constrain()`: what must hold after every step of the optimizer. `update_statistics(inputs)`: what it
///   learns outside of the gradients. A hook that is misspelt is not there: test that it is called.
template <class M>
concept HasType = requires(const M m) {
    { m.type() } -> std::convertible_to<std::string_view>;
}
|| requires {
    { M::type_name } -> std::convertible_to<std::string_view>;
};

template <class M, class T>
concept ModuleOf = HasType<M> && std::copyable<M> &&
    requires(const M m, std::span<const Shape> shapes, BasicInputs<T> inputs, BasicTensor<T>& output,
             const BasicTensor<T>& tensor, std::span<BasicTensor<T>* const> grad_inputs,
             std::span<BasicTensor<T>> grad_parameters, BasicScratch<T>& scratch, Mode mode) {
    { m.output_shape(shapes) } -> std::same_as<result<Shape>>;
    m.forward(inputs, output, scratch, mode);
    m.backward(inputs, tensor, tensor, grad_inputs, grad_parameters, scratch, mode);
};

/// A module with several outputs: the same, with a list where the other has one tensor.
template <class M, class T>
concept MultiModuleOf = HasType<M> && std::copyable<M> &&
    requires(const M m, std::span<const Shape> shapes, BasicInputs<T> inputs,
             std::span<BasicTensor<T>* const> outputs, std::span<BasicTensor<T>* const> grad_inputs,
             std::span<BasicTensor<T>> grad_parameters, BasicScratch<T>& scratch, Mode mode) {
    { m.output_shapes(shapes) } -> std::same_as<result<std::vector<Shape>>>;
    m.forward(inputs, outputs, scratch, mode);
    m.backward(inputs, inputs, inputs, grad_inputs, grad_parameters, scratch, mode);
};

/// Any module, by value: a copy is a copy of the parameters.
template <class T>
class BasicModule {
public:
    template <class M>
    requires(!std::same_as<M, BasicModule> && (ModuleOf<M, T> || MultiModuleOf<M, T>)) BasicModule(M module)
        : held_(std::make_unique<Holder<M>>(std::move(module))) {}

    BasicModule(const BasicModule& other) : held_(other.held_->clone()) {}
    BasicModule(BasicModule&&) noexcept = default;
    BasicModule& operator=(BasicModule other) noexcept {
        held_ = std::move(other.held_);
        return *this;
    }
    ~BasicModule() = default;

    std::string_view type() const { return held_->type(); }
    std::string_view operation() const { return held_->operation(); }
    /// The options by name, "in_channels: 1 out_channels: 8 ..."; empty for a module that has none.
    std::string options() const { return held_->options(); }
    /// One for each output; most modules have one.
    result<std::vector<Shape>> output_shapes(std::span<const Shape> inputs) const {
        return held_->output_shapes(inputs);
    }
    /// Of the first output.
    result<Shape> output_shape(std::span<const Shape> inputs) const {
        auto shapes = held_->output_shapes(inputs);
        if (!shapes) return shapes.diagnostics();
        return std::move(shapes->front());
    }
    void forward(BasicInputs<T> inputs, std::span<BasicTensor<T>* const> outputs, BasicScratch<T>& scratch,
                 Mode mode) const {
        held_->forward(inputs, outputs, scratch, mode);
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch, Mode mode) const {
        BasicTensor<T>* const outputs[] = {&output};
        held_->forward(inputs, outputs, scratch, mode);
    }
    void backward(BasicInputs<T> inputs, BasicInputs<T> outputs, BasicInputs<T> grad_outputs,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                  BasicScratch<T>& scratch, Mode mode) const {
        held_->backward(inputs, outputs, grad_outputs, grad_inputs, grad_parameters, scratch, mode);
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>& output, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                  BasicScratch<T>& scratch, Mode mode) const {
        const BasicTensor<T>*const outputs[] = {&output}, *const grad_outputs[] = {&grad_output};
        held_->backward(inputs, outputs, grad_outputs, grad_inputs, grad_parameters, scratch, mode);
    }

    std::vector<BasicParameter<T>> parameters() {
        std::vector<BasicParameter<T>> list;
        held_->parameters(list);
        return list;
    }
    std::vector<BasicParameter<const T>> parameters() const {
        std::vector<BasicParameter<T>> all;
        held_->parameters(all);
        return {all.begin(), all.end()};
    }
    /// Appends them to a list, which need not allocate then.
    void parameters(std::vector<BasicParameter<T>>& list) { held_->parameters(list); }
    /// Error: a parameter has not the shape that the options ask for.
    result<void> check_parameters() const { return held_->check_parameters(); }
    /// Makes the gradients run parallel to the parameters: zeros, where there is none of a parameter's shape.
    /// `list` is a buffer.
    void fit_gradients(std::vector<BasicTensor<T>>& gradients, std::vector<BasicParameter<T>>& list) const {
        list.clear();
        held_->parameters(list);
        gradients.resize(list.size());
        for (std::size_t k = 0; k != list.size(); ++k)
            if (!std::ranges::equal(gradients[k].shape(), list[k].shape()))
                gradients[k] = BasicTensor<T>(Shape(list[k].shape().begin(), list[k].shape().end()));
    }
    /// What depends on the parameters alone, for several runs; false: nothing does.
    bool prepare(BasicTensor<T>& out, BasicScratch<T>& scratch) const { return held_->prepare(out, scratch); }
    /// After backward runs with what `prepare` gave: makes gradients of the parameters of their sums.
    void finish_gradients(std::span<BasicTensor<T>> grad_parameters, BasicScratch<T>& scratch) const {
        held_->finish_gradients(grad_parameters, scratch);
    }
    /// What must hold after every step of the optimizer (a clip range that stays open, ...).
    void constrain() { held_->constrain(); }
    /// What a module learns from its inputs outside of the gradients: BatchNorm's running statistics.
    void update_statistics(BasicInputs<T> inputs) { held_->update_statistics(inputs); }

    /// Its weights, when it is a WeightedModule: what can be quantized. Else null.
    const BasicWeighted<T>* weighted() const { return held_->weighted(); }
    BasicWeighted<T>* weighted() { return held_->weighted(); }

    /// The module itself when it is an `M`, else null.
    template <class M>
    M* get_if() {
        auto* const holder = dynamic_cast<Holder<M>*>(held_.get());
        return holder ? &holder->module : nullptr;
    }
    template <class M>
    const M* get_if() const {
        auto const* const holder = dynamic_cast<const Holder<M>*>(held_.get());
        return holder ? &holder->module : nullptr;
    }

private:
    struct Interface {
        Interface() = default;
        Interface(const Interface&) = default;
        Interface& operator=(const Interface&) = delete;
        virtual ~Interface() = default;
        virtual std::unique_ptr<Interface> clone() const = 0;
        virtual std::string_view type() const = 0;
        virtual std::string_view operation() const = 0;
        virtual std::string options() const = 0;
        virtual result<std::vector<Shape>> output_shapes(std::span<const Shape>) const = 0;
        virtual void forward(BasicInputs<T>, std::span<BasicTensor<T>* const>, BasicScratch<T>&,
                             Mode) const = 0;
        virtual void backward(BasicInputs<T>, BasicInputs<T>, BasicInputs<T>,
                              std::span<BasicTensor<T>* const>, std::span<BasicTensor<T>>, BasicScratch<T>&,
                              Mode) const = 0;
        virtual void parameters(std::vector<BasicParameter<T>>&) = 0;
        virtual result<void> check_parameters() const = 0;
        virtual bool prepare(BasicTensor<T>&, BasicScratch<T>&) const = 0;
        virtual void finish_gradients(std::span<BasicTensor<T>>, BasicScratch<T>&) const = 0;
        virtual void constrain() = 0;
        virtual void update_statistics(BasicInputs<T>) = 0;
        virtual BasicWeighted<T>* weighted() = 0;
    };

    template <class M>
    struct Holder final : Interface {
        explicit Holder(M m) : module(std::move(m)) {}
        std::unique_ptr<Interface> clone() const override { return std::make_unique<Holder>(module); }
        std::string_view type() const override {
            if constexpr (requires { module.type(); })
                return module.type();
            else
                return M::type_name;
        }
        std::string_view operation() const override {
            if constexpr (requires { module.operation(); })
                return module.operation();
            else if constexpr (requires { M::operation; })
                return M::operation;
            else
                return type();
        }
        std::string options() const override {
            if constexpr (requires { std::string(module.options()); })
                return std::string(module.options());
            else if constexpr (requires { module.options(); })
                return detail::options_text(module.options());
            else
                return {};
        }
        result<std::vector<Shape>> output_shapes(std::span<const Shape> inputs) const override {
            if constexpr (MultiModuleOf<M, T>) {
                return module.output_shapes(inputs);
            } else {
                auto shape = module.output_shape(inputs);
                if (!shape) return shape.diagnostics();
                return std::vector<Shape>{*std::move(shape)};
            }
        }
        void forward(BasicInputs<T> inputs, std::span<BasicTensor<T>* const> outputs,
                     BasicScratch<T>& scratch, Mode mode) const override {
            if constexpr (MultiModuleOf<M, T>)
                module.forward(inputs, outputs, scratch, mode);
            else
                module.forward(inputs, *outputs[0], scratch, mode);
        }
        void backward(BasicInputs<T> inputs, BasicInputs<T> outputs, BasicInputs<T> grad_outputs,
                      std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                      BasicScratch<T>& scratch, Mode mode) const override {
            if constexpr (MultiModuleOf<M, T>)
                module.backward(inputs, outputs, grad_outputs, grad_inputs, grad_parameters, scratch, mode);
            else
                module.backward(inputs, *outputs[0], *grad_outputs[0], grad_inputs, grad_parameters, scratch,
                                mode);
        }
        void parameters([[maybe_unused]] std::vector<BasicParameter<T>>& list) override {
            static_assert(
                !requires { module.parameters(); },
                "a module's parameters(list) appends to the list: void parameters(list)");
            if constexpr (requires { module.parameters(list); }) module.parameters(list);
        }
        result<void> check_parameters() const override {
            if constexpr (requires { module.check_parameters(); })
                return module.check_parameters();
            else
                return {};
        }
        bool prepare([[maybe_unused]] BasicTensor<T>& out,
                     [[maybe_unused]] BasicScratch<T>& scratch) const override {
            if constexpr (requires { module.prepare(out, scratch); }) {
                module.prepare(out, scratch);
                return true;
            } else {
                return false;
            }
        }
        void finish_gradients([[maybe_unused]] std::span<BasicTensor<T>> grad_parameters,
                              [[maybe_unused]] BasicScratch<T>& scratch) const override {
            if constexpr (requires { module.finish_gradients(grad_parameters, scratch); })
                module.finish_gradients(grad_parameters, scratch);
        }
        void constrain() override {
            if constexpr (requires { module.constrain(); }) module.constrain();
        }
        void update_statistics([[maybe_unused]] BasicInputs<T> inputs) override {
            if constexpr (requires { module.update_statistics(inputs); }) module.update_statistics(inputs);
        }
        BasicWeighted<T>* weighted() override {
            if constexpr (WeightedModuleOf<M, T>)
                return &weights;
            else
                return nullptr;
        }

        M module;
        struct None {
            explicit None(M&) {}
        };
        [[no_unique_address]] std::conditional_t<WeightedModuleOf<M, T>, detail::WeightedView<M, T>, None>
            weights{module};
    };

    std::unique_ptr<Interface> held_;
};

using Inputs = BasicInputs<float>;
using Module = BasicModule<float>;

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// A dimension of options as the index it is; a negative one counts as the batch, which constructors refuse.
inline std::size_t dimension(nn::Index dim) { return dim < 0 ? 0 : static_cast<std::size_t>(dim); }

/// The error of `check_parameters`: "weight: expected [8, 3], found [3, 8]". Does not allocate when all is
/// well.
template <class T>
result<void> check_shape(std::string_view name, const nn::BasicTensor<T>& tensor,
                         std::span<const nn::Index> expected) {
    if (std::ranges::equal(tensor.shape(), expected)) return {};
    return general_error(concat(name, ": expected ",
                                nn::to_string(nn::Shape(expected.begin(), expected.end())), ", found ",
                                nn::to_string(tensor.shape())));
}

/// The error of `output_shape`: "expected one input [N, 3, H, W], found [N, 1, 8, 8]".
inline Diagnostic unexpected_inputs(std::string_view expected, std::span<const nn::Shape> found) {
    std::string list = found.empty() ? "none" : "";
    for (const nn::Shape& shape : found) {
        if (!list.empty()) list += " and ";
        list += nn::to_string(shape);
    }
    return general_error(concat("expected ", expected, ", found ", list));
}

}  // namespace amct_distill::detail

// ---- amct_distill/nn/layers/structure.hpp

/// What joins and reshapes: Add, Concat, Flatten, Reshape, Identity, Dropout.
///
///     x = net.add_function("/Add", Add{}, {x, shortcut});
///     x = net.add_function("/Concat", Concat(1), {x, y});       // along the channels
///     x = net.add_function("/Flatten", Flatten{}, {x});         // [N, C, H, W] -> [N, C * H * W]
///     x = net.add_function("/Reshape", Reshape({16, -1}), {x}); // [N, ...] -> [N, 16, what is left]

namespace amct_distill::detail {

/// What only changes the shape: the values pass in their order, and so do the gradients.
template <class T>
class PassThrough {
public:
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>&,
                 nn::Mode) const {
        std::copy(inputs[0]->begin(), inputs[0]->end(), output.begin());
    }
    void backward(nn::BasicInputs<T>, const nn::BasicTensor<T>&, const nn::BasicTensor<T>& grad_output,
                  std::span<nn::BasicTensor<T>* const> grad_inputs, std::span<nn::BasicTensor<T>>,
                  nn::BasicScratch<T>&, nn::Mode) const {
        if (grad_inputs[0]) nn::array(*grad_inputs[0]) += nn::array(grad_output);
    }
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// The sum of two or more inputs of one shape.
template <class T>
class BasicAdd {
public:
    static constexpr std::string_view type_name = "Add";

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() < 2 ||
            std::adjacent_find(inputs.begin(), inputs.end(), std::not_equal_to<>{}) != inputs.end())
            return detail::unexpected_inputs("two or more inputs of one shape", inputs);
        return inputs[0];
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>&, Mode) const {
        array(output) = array(*inputs[0]) + array(*inputs[1]);
        for (const BasicTensor<T>* x : inputs.subspan(2)) array(output) += array(*x);
    }
    void backward(BasicInputs<T>, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        for (BasicTensor<T>* gx : grad_inputs)
            if (gx) array(*gx) += array(grad_output);
    }
};

struct ConcatOptions {
    Index dim = 1;
    friend bool operator==(const ConcatOptions&, const ConcatOptions&) = default;
};

/// The inputs one after another along a dimension.
template <class T>
class BasicConcat {
public:
    static constexpr std::string_view type_name = "Concat";
    /// Throws std::invalid_argument for dimension 0, the batch.
    explicit BasicConcat(std::size_t dim = 1) : dim_(dim) {
        if (dim == 0) throw std::invalid_argument("Concat: dim 0 is the batch; expected 1 or more");
    }
    explicit BasicConcat(const ConcatOptions& options) : BasicConcat(detail::dimension(options.dim)) {}
    ConcatOptions options() const { return {static_cast<Index>(dim_)}; }
    std::size_t dim() const { return dim_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        auto const joins = [&](Shape other) {
            if (other.size() <= dim_ || other.size() != inputs[0].size()) return false;
            other[dim_] = inputs[0][dim_];
            return other == inputs[0];
        };
        if (inputs.empty() || !std::all_of(inputs.begin(), inputs.end(), joins))
            return detail::unexpected_inputs(
                detail::concat("inputs whose shapes differ in dimension ", dim_, " at most"), inputs);
        Shape shape = inputs[0];
        for (const Shape& other : inputs.subspan(1)) shape[dim_] += other[dim_];
        return shape;
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>&, Mode) const {
        Index const outer = product(output.shape(), 0, dim_);
        MatrixMap<T> y = lines(output, outer);
        Index first = 0;
        for (const BasicTensor<T>* input : inputs) {
            ConstMatrixMap<T> const x = lines(*input, outer);
            y.middleCols(first, x.cols()) = x;
            first += x.cols();
        }
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        Index const outer = product(grad_output.shape(), 0, dim_);
        ConstMatrixMap<T> const gy = lines(grad_output, outer);
        Index first = 0;
        for (std::size_t i = 0; i != inputs.size(); ++i) {
            Index const cols = static_cast<Index>(inputs[i]->size()) / outer;
            if (grad_inputs[i]) lines(*grad_inputs[i], outer) += gy.middleCols(first, cols);
            first += cols;
        }
    }

private:
    /// Rows are the dimensions before `dim`, columns the others.
    template <class Tensor>
    static auto lines(Tensor& tensor, Index outer) {
        return matrix(tensor, outer, static_cast<Index>(tensor.size()) / outer);
    }
    std::size_t dim_;
};

struct FlattenOptions {
    Index start_dim = 1;
    friend bool operator==(const FlattenOptions&, const FlattenOptions&) = default;
};

/// Joins the dimensions from `start_dim` on into one.
template <class T>
class BasicFlatten : public detail::PassThrough<T> {
public:
    static constexpr std::string_view type_name = "Flatten";
    /// Throws std::invalid_argument for dimension 0, the batch.
    explicit BasicFlatten(std::size_t start_dim = 1) : start_dim_(start_dim) {
        if (start_dim == 0)
            throw std::invalid_argument("Flatten: start_dim 0 is the batch; expected 1 or more");
    }
    explicit BasicFlatten(const FlattenOptions& options)
        : BasicFlatten(detail::dimension(options.start_dim)) {}
    FlattenOptions options() const { return {static_cast<Index>(start_dim_)}; }
    std::size_t start_dim() const { return start_dim_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() <= start_dim_)
            return detail::unexpected_inputs(detail::concat("one input with a dimension ", start_dim_),
                                             inputs);
        Shape shape(inputs[0].begin(), inputs[0].begin() + static_cast<std::ptrdiff_t>(start_dim_));
        shape.push_back(product(inputs[0], start_dim_, inputs[0].size()));
        return shape;
    }

private:
    std::size_t start_dim_;
};

struct ReshapeOptions {
    Shape sample{};  ///< without the batch; one dimension may be -1: what is left
    friend bool operator==(const ReshapeOptions&, const ReshapeOptions&) = default;
};

/// Another shape for the same values of each sample.
template <class T>
class BasicReshape : public detail::PassThrough<T> {
public:
    static constexpr std::string_view type_name = "Reshape";
    /// The shape without the batch; one dimension may be -1: what is left. Throws std::invalid_argument
    /// when it is none.
    explicit BasicReshape(Shape sample) : sample_(std::move(sample)) {
        auto const is_free = [](Index d) { return d == -1; };
        auto const is_known = [](Index d) { return d > 0; };
        auto const free = std::count_if(sample_.begin(), sample_.end(), is_free);
        auto const known = std::count_if(sample_.begin(), sample_.end(), is_known);
        if (sample_.empty() || free > 1 || free + known != std::ssize(sample_))
            throw std::invalid_argument(
                "Reshape: expected the dimensions after the batch, each at least 1, one of them perhaps -1");
    }
    template <std::same_as<ReshapeOptions> O>
    explicit BasicReshape(O options) : BasicReshape(std::move(options.sample)) {}
    ReshapeOptions options() const { return {sample_}; }
    const Shape& sample() const { return sample_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].empty()) return detail::unexpected_inputs("one input", inputs);
        Index const values = product(inputs[0], 1, inputs[0].size());
        Shape shape = sample_;
        auto const free = std::find(shape.begin(), shape.end(), -1);
        Index const known = free == shape.end() ? product(shape, 0, shape.size())
                                                : -product(shape, 0, shape.size());  // without the -1
        if (free == shape.end() ? known != values : values % known != 0)
            return detail::unexpected_inputs(
                detail::concat("one input whose samples have ", free == shape.end() ? "" : "a multiple of ",
                               known, " values"),
                inputs);
        if (free != shape.end()) *free = values / known;
        shape.insert(shape.begin(), inputs[0][0]);
        return shape;
    }

private:
    Shape sample_;
};

template <class T>
class BasicIdentity : public detail::PassThrough<T> {
public:
    static constexpr std::string_view type_name = "Identity";
    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1) return detail::unexpected_inputs("one input", inputs);
        return inputs[0];
    }
};

/// The identity, in train too: a place for the name. What is trained here learns to follow a teacher, and a
/// random teacher or student has nothing to teach or to be compared.
template <class T>
class BasicDropout : public BasicIdentity<T> {
public:
    static constexpr std::string_view type_name = "Dropout";
};

using Add = BasicAdd<float>;
using Concat = BasicConcat<float>;
using Flatten = BasicFlatten<float>;
using Reshape = BasicReshape<float>;
using Identity = BasicIdentity<float>;
using Dropout = BasicDropout<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/nn/weight_rows.hpp

/// A weight as quantizers see it: a matrix with a row per output channel.
///
///     WeightRows rows(*layer);                          // or (shape, output_axis, groups)
///     rows.count(), rows.length();
///     const Tensor& matrix = rows.gather(weight, buffer);       // `weight` itself where nothing has to move
///     rows.scatter(matrix, weight);                     // the inverse

namespace amct_distill::nn {

class WeightRows {
public:
    /// Of a weight of this shape; see `WeightedModuleOf` for the other two.
    WeightRows(const Shape& weight, std::size_t output_axis, Index groups)
        : axis_(weight.at(output_axis)),
          groups_(output_axis == 0 ? 1 : groups),
          before_(product(weight, 0, output_axis) / groups_),
          after_(product(weight, output_axis + 1, weight.size())) {}
    template <class T>
    explicit WeightRows(const BasicWeighted<T>& layer)
        : WeightRows(layer.weight().shape(), layer.output_axis(), layer.weight_groups()) {}

    Index count() const { return groups_ * axis_; }
    Index length() const { return before_ * after_; }
    /// Whether the weight's own order is that of the matrix.
    bool in_order() const { return before_ == 1; }

    /// The matrix [count, length]: the weight itself, or `buffer`, filled from it.
    template <class T>
    const BasicTensor<T>& gather(const BasicTensor<T>& weight, BasicTensor<T>& buffer) const {
        if (in_order()) return weight;
        buffer.resize({count(), length()});
        move<T>([&](Index in_matrix, Index in_weight) {
            std::copy_n(weight.data() + in_weight, after_, buffer.data() + in_matrix);
        });
        return buffer;
    }
    /// Writes a matrix back into the weight's order; nothing where both are the same tensor.
    template <class T>
    void scatter(const BasicTensor<T>& matrix, BasicTensor<T>& weight) const {
        if (&matrix == &weight) return;
        move<T>([&](Index in_matrix, Index in_weight) {
            std::copy_n(matrix.data() + in_matrix, after_, weight.data() + in_weight);
        });
    }

    /// Adds a matrix to a tensor in the weight's order.
    template <class T>
    void add(const BasicTensor<T>& matrix, BasicTensor<T>& weight) const {
        move<T>([&](Index in_matrix, Index in_weight) {
            ArrayMap<T>(weight.data() + in_weight, after_) +=
                ConstArrayMap<T>(matrix.data() + in_matrix, after_);
        });
    }

private:
    template <class T, class F>
    void move(F f) const {
        for (Index g = 0; g != groups_; ++g)
            for (Index k = 0; k != axis_; ++k)
                for (Index b = 0; b != before_; ++b)
                    f(((g * axis_ + k) * before_ + b) * after_, ((g * before_ + b) * axis_ + k) * after_);
    }

    Index axis_, groups_, before_, after_;
};

}  // namespace amct_distill::nn

// ---- amct_distill/graph/ids.hpp

/// The identities that a network, its plan, its student and its deployment share.
///
///     NodeId conv = net.add("conv1", ...);      // a value of the graph, in graph order
///     ModuleId module = *net.graph().module_of(conv);
///
/// Names are looked up at the edge only: in configurations, files and messages.

namespace amct_distill {

/// A value of a graph and the node that computes it; nodes are in graph order.
struct NodeId {
    std::size_t index = 0;
    /// For arrays that run parallel to the nodes.
    constexpr operator std::size_t() const { return index; }
    friend constexpr auto operator<=>(const NodeId&, const NodeId&) = default;
};

/// A named module of a network, in definition order.
struct ModuleId {
    std::size_t index = 0;
    constexpr operator std::size_t() const { return index; }
    friend constexpr auto operator<=>(const ModuleId&, const ModuleId&) = default;
};

}  // namespace amct_distill

// ---- amct_distill/graph/layer_types.hpp

/// What AMCT makes of a layer, by its type's name: PyTorch's for modules, ONNX's for functional operations.
///
///     is_quantizable_type("Conv2d")       has_channels_by_default("Linear") == false
///
/// Usable in constant evaluation: the compiler and resolve() ask the same functions.

namespace amct_distill::detail {

/// The types that are quantized unless the configuration skips them.
inline constexpr std::array<std::string_view, 2> quantizable_types{"Conv2d", "Linear"};
constexpr bool is_quantizable_type(std::string_view type) {
    return std::find(quantizable_types.begin(), quantizable_types.end(), type) != quantizable_types.end();
}
/// Whether its weights have one scale per output channel where the configuration does not say.
constexpr bool has_channels_by_default(std::string_view type) { return type != "Linear"; }

/// The activations that may stand in a block.
constexpr bool is_activation(std::string_view type) {
    return type == "ReLU" || type == "LeakyReLU" || type == "Sigmoid" || type == "Tanh" || type == "Softmax";
}

}  // namespace amct_distill::detail

// ---- amct_distill/graph/topology.hpp

/// What resolving a configuration needs to know of a network: its modules, their use, and the graph.
///
///     Topology t;
///     t.modules = {{"conv1", "Conv2d"}, {"relu1", "ReLU"}};
///     t.nodes = {{"conv1", "Conv2d", 0, {}}, {"relu1", "ReLU", 1, {0}}};
///     t.outputs = {1};

namespace amct_distill {

/// A named module of the network; the name and the type are what a configuration speaks of.
struct TopologyModule {
    std::string name{};        ///< unique, "layer1.0.conv1"
    std::string type{};        ///< as PyTorch spells it: "Conv2d", "Linear", "BatchNorm2d", "ReLU", ...
    bool zero_padding = true;  ///< a Conv2d pads with zeros (`padding_mode="zeros"`)
    bool weighted = false;     ///< has weights that can be quantized, whatever its type (nn/weighted.hpp)
};

/// What a node is: a use of a module or a function; an input of the network; a constant; or a further output
/// of the node that it reads, which has several.
enum class NodeKind { operation, input, constant, port };

/// One value of the graph, and what computes it.
struct TopologyNode {
    std::string name{};  ///< unique
    std::string type{};  ///< the module's type; without a module the operation, "Flatten", "Add", "Relu", ...
    std::optional<std::size_t> module{};  ///< index into `modules`; none for a functional operation
    std::vector<std::size_t> inputs{};    ///< nodes read, in order
    NodeKind kind = NodeKind::operation;  ///< a topology may leave out inputs and constants
};

struct Topology {
    std::vector<TopologyModule> modules{};  ///< in definition order
    std::vector<TopologyNode> nodes{};      ///< in graph order: a node comes after those it reads
    std::vector<std::size_t> outputs{};     ///< nodes whose output leaves the network
};

}  // namespace amct_distill

// ---- amct_distill/graph/graph.hpp

/// What a network is to those who plan, train and deploy it: nodes, modules, who reads whom, what leaves it.
///
///     Graph g = network.graph();                // or Graph(topology), of a network that is elsewhere
///     g.only_consumer(conv);                    // the one node that reads it
///     g.why_not_quantized(module);              // "is a ReLU; only Conv2d and Linear layers are quantized"
///     g.relu_before(fc);                        // the ReLU that produces its input, maybe through pooling
///     difference(g, other, "the plan", "the network");   // "module 3 is `a` (Conv2d) in the plan, and ..."

namespace amct_distill {
namespace detail {

/// One input, and not a value below 0 unless the input has one: pooling, flatten, reshape, dropout. Modules
/// go by PyTorch's names, functional operations by ONNX's.
constexpr bool keeps_sign(std::string_view type) {
    return type.find("Pool") != type.npos || type.starts_with("Dropout") || type == "ReduceMean" ||
           type == "Flatten" || type == "Unflatten" || type == "Reshape" || type == "Identity";
}
constexpr bool is_relu(std::string_view type) { return type == "ReLU" || type == "Relu"; }

}  // namespace detail

/// Owns its topology. Every query takes constant time but for `relu_before` and what follows a name.
class Graph {
public:
    Graph() = default;
    /// Throws std::invalid_argument when the topology is not one: an index out of range, a node before one
    /// that it reads, two modules of one name.
    Graph(const Topology& topology) {
        for (const TopologyModule& m : topology.modules) add_module(m);
        for (const TopologyNode& n : topology.nodes) add_node(n);
        for (std::size_t n : topology.outputs) add_output({n});
    }

    // ---- building: each throws std::invalid_argument for what contradicts the rest

    ModuleId add_module(TopologyModule module) {
        ModuleId const id{topology_.modules.size()};
        if (!modules_.emplace(module.name, id.index).second)
            fail("two modules are named `", module.name, "`");
        topology_.modules.push_back(std::move(module));
        uses_.emplace_back();
        return id;
    }
    NodeId add_node(TopologyNode node) {
        NodeId const id{topology_.nodes.size()};
        if (node.module && *node.module >= uses_.size())
            fail("node `", node.name, "` is of a module that does not exist");
        for (std::size_t input : node.inputs)
            if (input >= id) fail("node `", node.name, "` stands before a node that it reads");
        for (std::size_t input : node.inputs)
            if (consumers_[input].empty() || consumers_[input].back() != id) consumers_[input].push_back(id);
        if (node.module) uses_[*node.module].push_back(id);
        names_.emplace(node.name, id.index);
        topology_.nodes.push_back(std::move(node));
        consumers_.emplace_back();
        leaves_network_.push_back(false);
        return id;
    }
    void add_output(NodeId id) {
        if (id >= leaves_network_.size()) fail("an output is a node that does not exist");
        leaves_network_[id] = true;
        topology_.outputs.push_back(id);
    }
    /// Another module takes the place of one: of another type, perhaps.
    void set_type(ModuleId module, std::string type, bool weighted) {
        for (NodeId use : uses_.at(module)) topology_.nodes[use].type = type;
        topology_.modules[module].type = std::move(type);
        topology_.modules[module].weighted = weighted;
    }

    // ---- looking at it

    const Topology& topology() const { return topology_; }
    std::size_t size() const { return topology_.nodes.size(); }
    const TopologyNode& node(NodeId id) const { return topology_.nodes.at(id); }
    const TopologyModule& module(ModuleId id) const { return topology_.modules.at(id); }
    std::size_t module_count() const { return topology_.modules.size(); }

    std::optional<ModuleId> module_named(std::string_view name) const {
        auto const found = modules_.find(std::string(name));
        if (found == modules_.end()) return std::nullopt;
        return ModuleId{found->second};
    }
    std::optional<NodeId> node_named(std::string_view name) const {
        auto const found = names_.find(std::string(name));
        if (found == names_.end()) return std::nullopt;
        return NodeId{found->second};
    }
    std::string_view type(NodeId node) const { return topology_.nodes[node].type; }
    NodeKind kind(NodeId node) const { return topology_.nodes[node].kind; }
    bool has_module(NodeId node) const { return topology_.nodes[node].module.has_value(); }
    std::optional<ModuleId> module_of(NodeId node) const {
        const auto& m = topology_.nodes[node].module;
        return m ? std::optional(ModuleId{*m}) : std::nullopt;
    }
    /// The module's name; the operation's, when it has no module.
    const std::string& name(NodeId node) const {
        const TopologyNode& n = topology_.nodes[node];
        return n.module ? topology_.modules[*n.module].name : n.name;
    }
    /// The nodes that are uses of a module.
    const std::vector<NodeId>& uses(ModuleId module) const { return uses_[module]; }
    bool is_shared(NodeId node) const {
        return has_module(node) && uses_[*topology_.nodes[node].module].size() > 1;
    }
    /// The nodes that read a node, each once.
    const std::vector<NodeId>& consumers(NodeId node) const { return consumers_[node]; }
    bool is_output(NodeId node) const { return leaves_network_[node]; }
    /// The one node that reads it; none also when its output leaves the network.
    std::optional<NodeId> only_consumer(NodeId node) const {
        if (consumers_[node].size() != 1 || leaves_network_[node]) return std::nullopt;
        return consumers_[node].front();
    }

    /// Whether a module has weights that can be quantized.
    bool is_weighted(ModuleId module) const {
        const TopologyModule& m = topology_.modules[module];
        return m.weighted || detail::is_quantizable_type(m.type);
    }
    /// What to say after the module's name; empty when it can be quantized.
    std::string why_not_quantized(ModuleId module) const {
        using detail::concat;
        const TopologyModule& m = topology_.modules[module];
        if (!is_weighted(module))
            return concat("is a ", m.type, "; only Conv2d and Linear layers are quantized");
        if (m.type == "Conv2d" && !m.zero_padding)
            return "is a Conv2d that does not pad with zeros; only those that do are quantized";
        if (uses_[module].empty()) return "is never used; only layers that are used once are quantized";
        if (uses_[module].size() > 1)
            return concat("is used ", uses_[module].size(), " times; a shared layer is not quantized");
        return {};
    }

    /// The ReLU that produces a node's input, maybe through operations that keep the sign.
    std::optional<NodeId> relu_before(NodeId node) const {
        while (!topology_.nodes[node].inputs.empty()) {
            node = NodeId{topology_.nodes[node].inputs.front()};
            if (detail::is_relu(type(node))) return node;
            if (kind(node) != NodeKind::port && !detail::keeps_sign(type(node))) break;
        }
        return std::nullopt;
    }

private:
    template <class... Pieces>
    [[noreturn]] static void fail(const Pieces&... pieces) {
        throw std::invalid_argument(detail::concat("Topology: ", pieces...));
    }

    Topology topology_{};
    std::unordered_map<std::string, std::size_t> modules_{}, names_{};
    std::vector<std::vector<NodeId>> consumers_{};
    std::vector<bool> leaves_network_{};
    std::vector<std::vector<NodeId>> uses_{};
};

/// The first difference of two graphs in their modules, nodes, connections and outputs, as a sentence without
/// its period; empty when there is none. `a_name` and `b_name` say whose they are: "the teacher", "the
/// student".
inline std::string difference(const Graph& a, const Graph& b, std::string_view a_name,
                              std::string_view b_name) {
    using detail::concat;
    const Topology &x = a.topology(), &y = b.topology();
    auto const differ = [&](std::string_view what, std::size_t i, const auto& in_a, const auto& in_b) {
        return concat(what, ' ', i, " is `", in_a.name, "` (", in_a.type, ") in ", a_name, ", and `",
                      in_b.name, "` (", in_b.type, ") in ", b_name);
    };
    auto const count = [&](std::string_view what, std::size_t in_a, std::size_t in_b) {
        return concat(a_name, " has ", in_a, ' ', what, ", ", b_name, ' ', in_b);
    };
    for (std::size_t m = 0; m != x.modules.size() && m != y.modules.size(); ++m)
        if (x.modules[m].name != y.modules[m].name || x.modules[m].type != y.modules[m].type)
            return differ("module", m, x.modules[m], y.modules[m]);
    if (x.modules.size() != y.modules.size()) return count("modules", x.modules.size(), y.modules.size());
    for (std::size_t n = 0; n != x.nodes.size() && n != y.nodes.size(); ++n) {
        const TopologyNode &in_a = x.nodes[n], &in_b = y.nodes[n];
        if (in_a.name != in_b.name || in_a.type != in_b.type || in_a.kind != in_b.kind)
            return differ("node", n, in_a, in_b);
        if (in_a.module != in_b.module)
            return concat("node `", in_a.name, "` is a use of one module in ", a_name,
                          ", and of another one in ", b_name);
        if (in_a.inputs != in_b.inputs)
            return concat("node `", in_a.name, "` reads other nodes in ", a_name, " than in ", b_name);
    }
    if (x.nodes.size() != y.nodes.size()) return count("nodes", x.nodes.size(), y.nodes.size());
    if (x.outputs != y.outputs)
        return concat("the outputs of ", a_name, " are other nodes than those of ", b_name);
    return {};
}

}  // namespace amct_distill

// ---- amct_distill/nn/node.hpp

/// What a network holds of a node besides its place in the graph, and its modules and parameters by name.
///
///     const Network::Node& n = net.node(id);
///     n.shape, n.inputs, n.module;              // the name is net.graph().node(id).name

namespace amct_distill::nn {

using amct_distill::ModuleId;
using amct_distill::NodeId;

template <class T>
struct BasicNamedModule {
    std::string name{};
    BasicModule<T> module;
};

/// A use of a named module, a functional operation, an input, a constant, or a further output of the
/// operation before it (see `NodeKind`).
template <class T>
struct BasicNode {
    NodeKind kind = NodeKind::operation;
    Shape shape{};  ///< of the value; dimension 0 is `any_batch` where it is the batch and free
    std::vector<NodeId> inputs{};  ///< what it reads, in order
    std::optional<ModuleId> module{};
    std::optional<BasicModule<T>> function{};
    BasicTensor<T> constant{};  ///< the value of a constant
    std::size_t ports = 0;      ///< further outputs: the nodes that follow this one
    bool is_input() const { return kind == NodeKind::input; }
};

/// A parameter of the network by its full name, "conv1.weight", and the tape's gradient of it.
template <class T>
struct BasicNamedParameter {
    std::string name{};
    ModuleId module{};
    Role role = Role::weight;
    std::span<T> values{};
    BasicTensor<T>* gradient = nullptr;  ///< has the parameter's shape
};

}  // namespace amct_distill::nn

// ---- amct_distill/nn/module_graph.hpp

/// Modules at the nodes of a graph: how a network is built, and looked at. See network.hpp, which runs it.
///
///     NodeId x = net.input("image", {1, 8, 8});
///     NodeId table = net.constant("position", Tensor({1, 8, 8}, values));
///     std::vector<NodeId> halves = net.outputs_of(net.add_function("/Split", Split(...), {x}));
///     net.graph().only_consumer(x);
///
/// Shapes are checked where a node is added; the shapes of a module's parameters too. What is wrong is
/// misuse, and throws std::invalid_argument: which layer, what was expected, what was found; the network is
/// then as it was.

namespace amct_distill::nn {

template <class T>
class BasicModuleGraph {
public:
    using Node = BasicNode<T>;

    // ---- building

    /// An input; the shape is that of one sample, without the batch.
    NodeId input(std::string name, Shape sample) {
        require_dimensions(name, sample, "the shape of a sample");
        sample.insert(sample.begin(), any_batch);
        return append_input(std::move(name), std::move(sample));
    }
    /// An input of a fixed size, the batch included, or one that has no batch. In a network with one
    /// dimension 0 of what comes of it need not be the batch, and a batch is not cut.
    NodeId fixed_input(std::string name, Shape shape) {
        require_dimensions(name, shape, "a shape");
        return append_input(std::move(name), std::move(shape));
    }

    /// A value that does not depend on the inputs. It has no batch: its shape is what modules see.
    NodeId constant(std::string name, BasicTensor<T> value) {
        require_dimensions(name, value.shape(), "a tensor");
        Node node{.kind = NodeKind::constant, .shape = value.shape()};
        node.constant = std::move(value);
        return append(std::move(name), "Constant", std::move(node));
    }

    /// A layer: a module and its first use, both of that name. The first output, where there are several.
    NodeId add(std::string name, BasicModule<T> module, const std::vector<NodeId>& inputs) {
        auto shapes = infer(name, module, inputs);
        require_free(name);
        if (graph_.module_named(name)) fail("layer ", quoted(name), ": the name is taken by a module");
        ModuleId const id = graph_.add_module(
            {.name = name, .type = std::string(module.type()), .weighted = module.weighted() != nullptr});
        std::string type(module.type());
        modules_.push_back({name, std::move(module)});
        return append_operation(std::move(name), std::move(type), std::move(shapes),
                                {.inputs = inputs, .module = id});
    }

    /// A further use of a module that has been added.
    NodeId apply(std::string name, std::string_view module, const std::vector<NodeId>& inputs) {
        ModuleId const id = module_id(module);
        auto shapes = infer(name, modules_[id].module, inputs);
        return append_operation(std::move(name), std::string(modules_[id].module.type()), std::move(shapes),
                                {.inputs = inputs, .module = id});
    }

    /// An operation without a named module; it has no parameters.
    NodeId add_function(std::string name, BasicModule<T> function, const std::vector<NodeId>& inputs) {
        if (!function.parameters().empty())
            fail("function ", quoted(name), " (", function.type(), "): it has parameters; use add()");
        auto shapes = infer(name, function, inputs);
        std::string type(function.operation());
        return append_operation(std::move(name), std::move(type), std::move(shapes),
                                {.inputs = inputs, .function = std::move(function)});
    }

    /// All outputs of an operation, the first being the node itself.
    std::vector<NodeId> outputs_of(NodeId id) const {
        std::vector<NodeId> all{id};
        for (std::size_t k = 1; k <= node(id).ports; ++k) all.push_back({id.index + k});
        return all;
    }

    /// Marks a node whose value leaves the network.
    void output(NodeId id) {
        if (node(id).is_input() || std::ranges::find(outputs_, id) != outputs_.end())
            fail("output ", quoted(name(id)), ": it is an input or an output already");
        outputs_.push_back(id);
        graph_.add_output(id);
    }

    /// Puts another module in the place of one, for all its uses; the shapes must stay.
    void replace(std::string_view name, BasicModule<T> module) {
        replace(module_id(name), std::move(module));
    }
    void replace(ModuleId id, BasicModule<T> module) {
        for (NodeId use : graph_.uses(id)) {
            auto const found = infer(this->name(use), module, node(use).inputs);
            if (found.size() != node(use).ports + 1)
                fail("layer ", quoted(this->name(use)), ": its replacement (", module.type(), ") has ",
                     found.size(), " outputs, expected ", node(use).ports + 1);
            for (std::size_t k = 0; k != found.size(); ++k)
                if (const Shape& expected = nodes_[use.index + k].shape; found[k] != expected)
                    fail("layer ", quoted(this->name(use)), ": its replacement (", module.type(),
                         ") must have an output ", to_string(expected), ", found ", to_string(found[k]));
        }
        graph_.set_type(id, std::string(module.type()), module.weighted() != nullptr);
        modules_[id].module = std::move(module);
    }

    // ---- looking at it

    const Graph& graph() const { return graph_; }
    const Topology& topology() const { return graph_.topology(); }

    /// All nodes that compute something, in graph order.
    std::span<const NodeId> operations() const { return operations_; }
    std::span<const NodeId> inputs() const { return inputs_; }
    std::span<const NodeId> outputs() const { return outputs_; }
    const Node& node(NodeId id) const {
        if (id.index >= nodes_.size()) fail("node ", id.index, ": the network has ", nodes_.size(), " nodes");
        return nodes_[id.index];
    }
    const std::string& name(NodeId id) const { return graph_.node(id).name; }
    std::optional<NodeId> find(std::string_view name) const { return graph_.node_named(name); }

    std::span<const BasicNamedModule<T>> modules() const { return modules_; }
    const BasicModule<T>& module(std::string_view name) const { return modules_[module_id(name)].module; }
    BasicModule<T>& module(std::string_view name) { return modules_[module_id(name)].module; }
    const BasicModule<T>& module(ModuleId id) const { return modules_.at(id).module; }
    BasicModule<T>& module(ModuleId id) { return modules_.at(id).module; }
    /// What an operation runs: its module or its function.
    const BasicModule<T>& operation(NodeId id) const {
        const Node& n = node(id);
        return n.module ? modules_[*n.module].module : n.function.value();
    }

protected:
    template <class... Pieces>
    [[noreturn]] static void fail(const Pieces&... pieces) {
        throw std::invalid_argument(detail::concat(pieces...));
    }
    static std::string quoted(std::string_view name) { return detail::concat('"', name, '"'); }
    static void require_dimensions(const std::string& name, const Shape& shape, std::string_view what) {
        if (shape.empty() || std::ranges::any_of(shape, [](Index d) { return d < 1; }))
            fail("input ", quoted(name), ": expected ", what, ", each dimension at least 1, found ",
                 to_string(shape));
    }

    static bool has_batch(const Shape& shape) { return shape[0] == any_batch; }
    /// A batch of at least one, and the other dimensions as expected.
    static bool fits(const Shape& expected, const Shape& found) {
        return found.size() == expected.size() &&
               (has_batch(expected) ? found[0] >= 1 : found[0] == expected[0]) &&
               std::equal(found.begin() + 1, found.end(), expected.begin() + 1);
    }

    ModuleId module_id(std::string_view name) const {
        auto const found = graph_.module_named(name);
        if (!found) fail("the network has no module ", quoted(name));
        return *found;
    }

    /// Throws when the parameters have other shapes than the module's options say: it would read past their
    /// end.
    void require_parameters(std::string_view name, const BasicModule<T>& module) const {
        if (auto const ok = module.check_parameters(); !ok)
            fail("layer ", quoted(name), " (", module.type(), "): ", ok.diagnostics().front().message);
    }

    std::vector<Shape> infer(const std::string& name, const BasicModule<T>& module,
                             const std::vector<NodeId>& inputs) const {
        require_parameters(name, module);
        std::vector<Shape> shapes;
        bool batch = false;
        for (NodeId id : inputs) {
            shapes.push_back(node(id).shape);
            batch = batch || has_batch(shapes.back());
        }
        result<std::vector<Shape>> found = module.output_shapes(shapes);
        if (!found)
            fail("layer ", quoted(name), " (", module.type(), "): ", found.diagnostics().front().message);
        for (const Shape& shape : *found)
            if (inputs.empty() || shape.empty() || (batch && !has_batch(shape)))
                fail("layer ", quoted(name), " (", module.type(),
                     "): expected inputs, and an output that keeps the batch as dimension 0, found ",
                     inputs.size(), " inputs and an output ", to_string(shape));
        if (found->empty()) fail("layer ", quoted(name), " (", module.type(), "): it has no output");
        return *std::move(found);
    }
    void require_free(const std::string& name) const {
        if (name.empty() || find(name)) fail("layer ", quoted(name), ": the name is empty or taken");
    }
    NodeId append(std::string name, std::string type, Node n) {
        require_free(name);
        TopologyNode described{.name = std::move(name), .type = std::move(type), .kind = n.kind};
        if (n.module) described.module = n.module->index;
        for (NodeId input : n.inputs) described.inputs.push_back(input);
        NodeId const id = graph_.add_node(std::move(described));
        if (n.kind == NodeKind::operation) operations_.push_back(id);
        nodes_.push_back(std::move(n));
        return id;
    }
    NodeId append_input(std::string name, Shape shape) {
        NodeId const id =
            append(std::move(name), "Input", {.kind = NodeKind::input, .shape = std::move(shape)});
        inputs_.push_back(id);
        return id;
    }
    NodeId append_operation(std::string name, std::string type, std::vector<Shape> shapes, Node n) {
        std::vector<std::string> ports;
        for (std::size_t k = 1; k < shapes.size(); ++k) {
            ports.push_back(detail::concat(name, ':', k));
            require_free(ports.back());
        }
        n.shape = std::move(shapes[0]);
        n.ports = ports.size();
        NodeId const id = append(std::move(name), type, std::move(n));
        for (std::size_t k = 1; k < shapes.size(); ++k)
            append(std::move(ports[k - 1]), type,
                   {.kind = NodeKind::port, .shape = std::move(shapes[k]), .inputs = {id}});
        return id;
    }

    Graph graph_{};
    std::vector<Node> nodes_{};                   // by NodeId
    std::vector<BasicNamedModule<T>> modules_{};  // by ModuleId
    std::vector<NodeId> inputs_{}, operations_{}, outputs_{};
};

using NamedModule = BasicNamedModule<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/nn/tape.hpp

/// The workspace of a network's run: every node's output, gradient and buffers, and the parameters'
/// gradients. The caller owns it and hands it to one step after another, so that only the first one
/// allocates.
///
///     Tape tape;
///     const Tensor& y = net.forward(images, tape, Mode::evaluate);
///     tape.output(relu1) = features;                          // a run may start in the middle of the graph
///     net.forward_nodes(block, tape, Mode::evaluate);

namespace amct_distill::nn {

using amct_distill::ModuleId;
using amct_distill::NodeId;

template <class T>
class BasicNetwork;

template <class T>
class BasicTape {
public:
    /// With whose threads the modules compute; null: the caller's alone. The results are the same bits.
    explicit BasicTape(const Executor* executor = nullptr) : executor_(executor) {}
    void use(const Executor* executor) { executor_ = executor; }
    const Executor* executor() const { return executor_; }

    /// The output of a node, of rank 0 before the first run. References stay valid.
    BasicTensor<T>& output(NodeId node) { return slot(node).output; }
    /// Throws std::out_of_range for a node that no run has come by.
    const BasicTensor<T>& output(NodeId node) const { return slots_.at(node.index).output; }

    /// The gradient of the loss with respect to the node's output, after a backward run over it.
    BasicTensor<T>& gradient(NodeId node) { return slot(node).gradient; }
    const BasicTensor<T>& gradient(NodeId node) const { return slots_.at(node.index).gradient; }

    /// The gradients of a module's parameters, parallel to its parameters; summed over all backward
    /// runs since `BasicNetwork::zero_gradients`. Empty before.
    std::span<BasicTensor<T>> parameter_gradients(ModuleId module) {
        if (parameters_.size() <= module) parameters_.resize(module + 1);
        return parameters_[module];
    }

    /// What modules have prepared for several runs, by module (empty: nothing); null: each run does it
    /// itself.
    void use_prepared(const std::vector<BasicTensor<T>>* prepared) { prepared_ = prepared; }

    /// What it holds, in bytes. After a step of a network that is, for every node: the output and, where it
    /// was run backward, the gradient, as large as each other; a gradient for every parameter; and what the
    /// modules borrow. For t threads, a batch of n, and weights of w values, these are at most, in values:
    ///
    ///     Conv2d, forward     33024 t
    ///     Conv2d, backward    139520 t + max(w, min(2 Mi, 8 w))     (kernels of at most 416 pixels)
    ///     Linear              98560 t + n max(inputs, outputs)
    ///
    /// and of a quantized layer, besides, three times its weight and three times its input. Nothing grows
    /// from step to step.
    std::size_t bytes() const {
        std::size_t sum = 0;
        auto const add = [&](const BasicTensor<T>& t) { sum += t.capacity() * sizeof(T); };
        for (const Slot& slot : slots_) {
            add(slot.output);
            add(slot.gradient);
            sum += slot.scratch.bytes();
        }
        for (const auto& gradients : parameters_)
            for (const BasicTensor<T>& gradient : gradients) add(gradient);
        return sum;
    }

    /// Whether a backward run also computes the gradients of what its nodes read from outside the run: the
    /// inputs of the network, or of a block. Most runs have no use for them, and they cost a convolution.
    bool input_gradients = false;

private:
    friend class BasicNetwork<T>;

    struct Slot {
        BasicTensor<T> output{}, gradient{};
        BasicScratch<T> scratch{};
        bool wanted = false;  ///< the backward run in progress computes this gradient
    };
    Slot& slot(NodeId node) {
        if (slots_.size() <= node.index) slots_.resize(node.index + 1);
        return slots_[node.index];
    }

    const Executor* executor_;
    const std::vector<BasicTensor<T>>* prepared_ = nullptr;
    std::deque<Slot> slots_{};
    std::deque<std::vector<BasicTensor<T>>> parameters_{};
    std::vector<const BasicTensor<T>*> inputs_{};  // of the node being run
    std::vector<BasicTensor<T>*> outputs_{};       // likewise, its first and those of its ports
    std::vector<const BasicTensor<T>*> done_{}, grad_outputs_{};  // likewise, when it runs backward
    std::vector<BasicTensor<T>*> grad_inputs_{};                  // likewise
    std::vector<BasicParameter<T>> list_{};  // of the module that `fit_gradients` looks at
};

using Tape = BasicTape<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/nn/network.hpp

/// A named graph of modules, run forward and backward on a tape.
///
///     Network net;
///     NodeId x = net.input("image", {1, 8, 8});                                  // without the batch
///     x = net.add("conv1", Conv2d({.in_channels = 1, .out_channels = 4, .kernel = {3, 3}}), {x});
///     x = net.add("relu", ReLU{}, {x});
///     x = net.add_function("/Flatten", Flatten{}, {x});                          // no named module
///     x = net.add("fc", Linear({.in_features = 144, .out_features = 10}), {x});
///     net.output(net.apply("relu_again", "relu", {x}));                          // a shared module
///
///     initialize(net, 1);
///     Tensor logits = net.predict(images);
///
/// Shapes are checked where a node is added, and again where it runs; the shapes of a module's parameters
/// too. What is wrong is misuse, and throws std::invalid_argument: which layer, what was expected, what was
/// found.

namespace amct_distill::nn {

template <class T>
class BasicNetwork : public BasicModuleGraph<T> {
    using Base = BasicModuleGraph<T>;

public:
    using Base::name, Base::node, Base::operation;
    using typename Base::Node;

    // ---- running it

    /// Runs the network; one tensor per input, of one batch size. The result is the first output and lives
    /// in the tape.
    const BasicTensor<T>& forward(BasicInputs<T> inputs, BasicTape<T>& tape, Mode mode) const {
        set_inputs(inputs, tape);
        forward_nodes(operations_, tape, mode);
        return value(outputs_[0], tape);
    }
    const BasicTensor<T>& forward(const BasicTensor<T>& input, BasicTape<T>& tape, Mode mode) const {
        return forward(std::array{&input}, tape, mode);
    }
    /// The inputs alone: copied into the tape, where `forward_nodes` finds them.
    void set_inputs(BasicInputs<T> inputs, BasicTape<T>& tape) const {
        if (outputs_.empty()) fail("the network has no output");
        if (inputs.size() != inputs_.size())
            fail("expected ", inputs_.size(), " inputs, found ", inputs.size());
        for (std::size_t i = 0; i != inputs.size(); ++i)
            if (!fits(nodes_[inputs_[i]].shape, inputs[i]->shape()))
                fail("input ", quoted(name(inputs_[i])), ": expected ", to_string(nodes_[inputs_[i]].shape),
                     ", found ", to_string(inputs[i]->shape()));
        for (std::size_t i = 0; i != inputs.size(); ++i) tape.output(inputs_[i]) = *inputs[i];
    }
    /// A node's value after a run: of a constant its tensor.
    const BasicTensor<T>& value(NodeId id, BasicTape<T>& tape) const {
        const Node& n = nodes_[id];
        return n.kind == NodeKind::constant ? n.constant : tape.output(id);
    }

    /// After `forward`: from the gradients of the outputs, the gradients of all nodes, and adds those of
    /// the parameters to the tape's.
    void backward(BasicInputs<T> grad_outputs, BasicTape<T>& tape, Mode mode) const {
        backward_nodes(operations_, outputs_, grad_outputs, tape, mode);
    }
    void backward(const BasicTensor<T>& grad_output, BasicTape<T>& tape, Mode mode) const {
        backward(std::array{&grad_output}, tape, mode);
    }

    /// The first output in Mode::evaluate, on a tape of its own.
    BasicTensor<T> predict(const BasicTensor<T>& input) const {
        BasicTape<T> tape;
        return forward(input, tape, Mode::evaluate);
    }
    /// All outputs of a network with any number of inputs.
    std::vector<BasicTensor<T>> predict(std::span<const BasicTensor<T>> inputs) const {
        BasicTape<T> tape;
        std::vector<const BasicTensor<T>*> views;
        for (const BasicTensor<T>& x : inputs) views.push_back(&x);
        forward(views, tape, Mode::evaluate);
        std::vector<BasicTensor<T>> all;
        for (NodeId id : outputs_) all.push_back(value(id, tape));
        return all;
    }

    // ---- running a part of it

    /// Runs some nodes, in graph order. What they read from elsewhere is in the tape: an earlier run left it
    /// there, or the caller has set `tape.output(node)`.
    void forward_nodes(std::span<const NodeId> nodes, BasicTape<T>& tape, Mode mode) const {
        for (NodeId id : nodes) forward_node(id, tape, mode);
    }

    /// After `forward_nodes` of the same nodes: the gradients of some of their values, carried back through
    /// all of them.
    void backward_nodes(std::span<const NodeId> nodes, std::span<const NodeId> values,
                        BasicInputs<T> grad_values, BasicTape<T>& tape, Mode mode) const {
        if (nodes.empty()) fail("backward_nodes: expected at least one node");
        if (grad_values.size() != values.size())
            fail("expected the gradients of ", values.size(), " outputs, found ", grad_values.size());
        begin_backward(nodes, tape);
        for (std::size_t i = 0; i != values.size(); ++i) add_gradient(values[i], *grad_values[i], tape);
        for (std::size_t i = nodes.size(); i-- != 0;) backward_node(nodes[i], tape, mode);
    }
    /// The gradient of the last one's value alone.
    void backward_nodes(std::span<const NodeId> nodes, const BasicTensor<T>& grad_output, BasicTape<T>& tape,
                        Mode mode) const {
        backward_nodes(nodes, nodes.last((std::min)(nodes.size(), std::size_t{1})), std::array{&grad_output},
                       tape, mode);
    }

    void forward_node(NodeId id, BasicTape<T>& tape, Mode mode) const {
        const Node& n = node(id);
        if (n.kind != NodeKind::operation) return;
        Index const batch = read_inputs(id, tape);
        tape.outputs_.clear();
        for (std::size_t k = 0; k <= n.ports; ++k) {
            const Shape& shape = nodes_[id.index + k].shape;
            BasicTensor<T>& out = tape.slot({id.index + k}).output;
            out.resize_batch(shape, batch);
            tape.outputs_.push_back(&out);
        }
        auto& scratch = tape.slot(id).scratch;
        scratch.use(tape.executor_);
        scratch.use_prepared(prepared(n, tape));
        operation(id).forward(tape.inputs_, tape.outputs_, scratch, mode);
    }

    /// Starts a backward run over these nodes: their gradients become 0, and only they receive any (and,
    /// with `tape.input_gradients`, what they read).
    void begin_backward(std::span<const NodeId> nodes, BasicTape<T>& tape) const {
        for (auto& slot : tape.slots_) slot.wanted = false;
        auto const want = [&](NodeId id) {
            if (nodes_[id].kind == NodeKind::constant) return;
            auto& slot = tape.slot(id);
            slot.wanted = true;
            slot.gradient.resize(slot.output.shape());
            slot.gradient.fill(0);
        };
        for (NodeId id : nodes) {
            for (std::size_t k = 0; k <= node(id).ports; ++k) want({id.index + k});
            if (tape.input_gradients) std::ranges::for_each(node(id).inputs, want);
        }
    }

    /// Carries the gradients of a node's values back to what the node reads and to its parameters, after
    /// `begin_backward`.
    void backward_node(NodeId id, BasicTape<T>& tape, Mode mode) const {
        const Node& n = node(id);
        if (n.kind != NodeKind::operation) return;
        read_inputs(id, tape);
        tape.done_.clear();
        tape.grad_outputs_.clear();
        for (std::size_t k = 0; k <= n.ports; ++k) {
            auto& slot = tape.slot({id.index + k});
            const Shape& shape = nodes_[id.index + k].shape;
            if (!fits(shape, slot.output.shape()) || slot.gradient.shape() != slot.output.shape())
                fail("layer ", quoted(name(id)), ": expected an output ", to_string(shape),
                     " and a gradient like it, found ", to_string(slot.output.shape()), " and ",
                     to_string(slot.gradient.shape()));
            tape.done_.push_back(&slot.output);
            tape.grad_outputs_.push_back(&slot.gradient);
        }
        tape.grad_inputs_.clear();
        for (NodeId input : n.inputs) {
            auto& from = tape.slot(input);
            tape.grad_inputs_.push_back(from.wanted ? &from.gradient : nullptr);
        }
        auto& scratch = tape.slot(id).scratch;
        scratch.use(tape.executor_);
        scratch.use_prepared(prepared(n, tape));
        operation(id).backward(tape.inputs_, tape.done_, tape.grad_outputs_, tape.grad_inputs_,
                               n.module ? fit_gradients(*n.module, tape) : std::span<BasicTensor<T>>{},
                               scratch, mode);
    }

    // ---- training it

    void zero_gradients(BasicTape<T>& tape) const {
        for (std::size_t m = 0; m != modules_.size(); ++m)
            for (BasicTensor<T>& gradient : fit_gradients({m}, tape)) gradient.fill(0);
    }

    /// The parameters of some modules, with their gradients in this tape.
    std::vector<BasicNamedParameter<T>> parameters(BasicTape<T>& tape, std::span<const ModuleId> modules) {
        std::vector<BasicNamedParameter<T>> out;
        for (ModuleId m : modules) {
            auto const gradients = fit_gradients(m, tape);
            auto const parameters = modules_.at(m).module.parameters();
            for (std::size_t k = 0; k != parameters.size(); ++k)
                out.push_back({detail::concat(modules_[m].name, '.', parameters[k].name), m,
                               parameters[k].role, parameters[k].values, &gradients[k]});
        }
        return out;
    }
    /// All parameters, a shared module's once.
    std::vector<BasicNamedParameter<T>> parameters(BasicTape<T>& tape) {
        std::vector<ModuleId> all;
        for (std::size_t m = 0; m != modules_.size(); ++m) all.push_back({m});
        return parameters(tape, all);
    }

    /// After a step of the optimizer.
    void constrain() {
        for (auto& m : modules_) m.module.constrain();
    }

    /// After a forward run in Mode::train: BatchNorm's running statistics.
    void update_statistics(BasicTape<T>& tape) {
        for (NodeId id : operations_)
            if (const Node& n = nodes_[id.index]; n.module) {
                read_inputs(id, tape);
                modules_[*n.module].module.update_statistics(tape.inputs_);
            }
    }

private:
    using Base::fail, Base::fits, Base::has_batch, Base::quoted, Base::require_parameters;
    using Base::inputs_, Base::modules_, Base::nodes_, Base::operations_, Base::outputs_;

    /// Points `tape.inputs_` at what the node reads, which must be there; the batch's size, 0 without one.
    Index read_inputs(NodeId id, BasicTape<T>& tape) const {
        const Node& n = nodes_[id];
        if (n.module) require_parameters(name(id), modules_[*n.module].module);
        tape.inputs_.clear();
        Index batch = 0;
        for (NodeId input : n.inputs) {
            const BasicTensor<T>& x = value(input, tape);
            const Shape& expected = nodes_[input].shape;
            if (x.rank() == 0)
                fail("layer ", quoted(name(id)), ": it reads ", quoted(name(input)),
                     ", which has no output in the tape");
            if (!fits(expected, x.shape()))
                fail("layer ", quoted(name(id)), ": it reads ", quoted(name(input)), ", expected ",
                     to_string(expected), ", found ", to_string(x.shape()));
            if (has_batch(expected)) {
                if (batch != 0 && x.dim(0) != batch)
                    fail("layer ", quoted(name(id)), ": expected inputs of one batch size, found ", batch,
                         " and ", x.dim(0));
                batch = x.dim(0);
            }
            tape.inputs_.push_back(&x);
        }
        return batch;
    }

    static const BasicTensor<T>* prepared(const Node& n, const BasicTape<T>& tape) {
        if (tape.prepared_ == nullptr || !n.module || *n.module >= tape.prepared_->size()) return nullptr;
        const BasicTensor<T>& value = (*tape.prepared_)[*n.module];
        return value.empty() ? nullptr : &value;
    }

    void add_gradient(NodeId id, const BasicTensor<T>& gradient, BasicTape<T>& tape) const {
        BasicTensor<T>& sum = tape.gradient(id);
        if (gradient.shape() != sum.shape())
            fail("gradient of ", quoted(name(id)), ": expected ", to_string(sum.shape()), ", found ",
                 to_string(gradient.shape()));
        nn::array(sum) += nn::array(gradient);
    }

    /// The gradients of a module's parameters; made, as zeros, where they are not there in that shape.
    std::span<BasicTensor<T>> fit_gradients(ModuleId m, BasicTape<T>& tape) const {
        tape.parameter_gradients(m);
        modules_[m].module.fit_gradients(tape.parameters_[m], tape.list_);
        return tape.parameters_[m];
    }
};

using NamedParameter = BasicNamedParameter<float>;
using Network = BasicNetwork<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/nn/layers/batch_norm.hpp

/// Batch normalization of images, [N, C, H, W], as torch.nn.BatchNorm2d with affine parameters.
///
///     BatchNorm2d bn({.num_features = 8});
///     bn.weight(), bn.bias(), bn.running_mean(), bn.running_var();   // [8] each
///
/// y = (x - mean) / sqrt(var + eps) * weight + bias, per channel. Mode::evaluate takes the running
/// statistics; Mode::train the batch's own (variance divided by n), and `update_statistics` then moves the
/// running ones towards them (variance divided by n - 1). Sums are taken in double.

namespace amct_distill::nn {

struct BatchNorm2dOptions {
    Index num_features = 0;
    double eps = 1e-5;
    double momentum = 0.1;
    friend bool operator==(const BatchNorm2dOptions&, const BatchNorm2dOptions&) = default;
};

template <class T>
class BasicBatchNorm2d {
public:
    static constexpr std::string_view type_name = "BatchNorm2d";

    /// Weight and running variance are 1, the others 0; throws std::invalid_argument without features.
    explicit BasicBatchNorm2d(const BatchNorm2dOptions& options) : options_(options) {
        if (options.num_features < 1)
            throw std::invalid_argument("BatchNorm2d: num_features must be at least 1");
        for (auto* tensor : {&weight_, &bias_, &running_mean_, &running_var_})
            tensor->resize({options.num_features});
        weight_.fill(1);
        running_var_.fill(1);
    }

    const BatchNorm2dOptions& options() const { return options_; }
    BasicTensor<T>& weight() { return weight_; }
    const BasicTensor<T>& weight() const { return weight_; }
    BasicTensor<T>& bias() { return bias_; }
    const BasicTensor<T>& bias() const { return bias_; }
    BasicTensor<T>& running_mean() { return running_mean_; }
    const BasicTensor<T>& running_mean() const { return running_mean_; }
    BasicTensor<T>& running_var() { return running_var_; }
    const BasicTensor<T>& running_var() const { return running_var_; }

    void parameters(std::vector<BasicParameter<T>>& list) {
        list.push_back({"weight", Role::affine, &weight_});
        list.push_back({"bias", Role::affine, &bias_});
        list.push_back({"running_mean", Role::statistic, &running_mean_});
        list.push_back({"running_var", Role::statistic, &running_var_});
    }

    /// Error: one has not a value for each feature.
    result<void> check_parameters() const {
        std::array const expected{options_.num_features};
        for (auto const& [name, tensor] :
             {std::pair{"weight", &weight_}, std::pair{"bias", &bias_},
              std::pair{"running_mean", &running_mean_}, std::pair{"running_var", &running_var_}})
            if (auto ok = detail::check_shape(name, *tensor, expected); !ok) return ok;
        return {};
    }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != 4 || inputs[0][1] != options_.num_features)
            return detail::unexpected_inputs(
                detail::concat("one input [N, ", options_.num_features, ", H, W]"), inputs);
        return inputs[0];
    }

    /// Throws std::invalid_argument in Mode::train when a channel has one value: it has no variance.
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch, Mode mode) const {
        const BasicTensor<T>& x = *inputs[0];
        for_each_channel(scratch, x, [&](std::size_t c) {
            Normalization const n = normalization(x, c, mode);
            T const factor = weight_[c] * T(n.inverse_deviation);
            T const shift = bias_[c] - T(n.mean) * factor;
            for (Index i = 0; i != x.dim(0); ++i) plane(output, i, c) = plane(x, i, c) * factor + shift;
        });
    }

    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                  BasicScratch<T>& scratch, Mode mode) const {
        const BasicTensor<T>& x = *inputs[0];
        for_each_channel(scratch, x, [&](std::size_t c) {
            Normalization const n = normalization(x, c, mode);
            double sum = 0, dot = 0;  // of the output's gradient: itself, and with the normalized input
            for (Index i = 0; i != x.dim(0); ++i) {
                sum += plane(grad_output, i, c).template cast<double>().sum();
                dot += (plane(grad_output, i, c).template cast<double>() *
                        (plane(x, i, c).template cast<double>() - n.mean))
                           .sum();
            }
            dot *= n.inverse_deviation;
            grad_parameters[0][c] += T(dot);
            grad_parameters[1][c] += T(sum);
            if (!grad_inputs[0]) return;
            // In train the mean and the variance depend on every input, which takes away from the gradient
            // its mean and its component along the normalized input.
            T const factor = T(weight_[c] * n.inverse_deviation);
            T const mean_gradient = mode == Mode::train ? T(sum / n.count) : T(0);
            T const slope = mode == Mode::train ? T(dot / n.count * n.inverse_deviation) : T(0);
            for (Index i = 0; i != x.dim(0); ++i)
                plane(*grad_inputs[0], i, c) +=
                    (plane(grad_output, i, c) - mean_gradient - (plane(x, i, c) - T(n.mean)) * slope) *
                    factor;
        });
    }

    /// The running statistics after a batch in Mode::train: running += momentum * (batch - running).
    void update_statistics(BasicInputs<T> inputs) {
        for (std::size_t c = 0; c != weight_.size(); ++c) {
            Normalization const n = normalization(*inputs[0], c, Mode::train);
            double const unbiased = n.variance * n.count / (n.count - 1);
            running_mean_[c] =
                T((1 - options_.momentum) * double(running_mean_[c]) + options_.momentum * n.mean);
            running_var_[c] =
                T((1 - options_.momentum) * double(running_var_[c]) + options_.momentum * unbiased);
        }
    }

private:
    template <class F>
    void for_each_channel(const BasicScratch<T>& scratch, const BasicTensor<T>& x, F f) const {
        scratch.parallel_for(options_.num_features, double(x.size()),
                             [&](Index c, Index) { f(static_cast<std::size_t>(c)); });
    }

    struct Normalization {
        double count = 0, mean = 0, variance = 0, inverse_deviation = 0;
    };
    Normalization normalization(const BasicTensor<T>& x, std::size_t c, Mode mode) const {
        Normalization n;
        n.count = double(x.dim(0) * x.dim(2) * x.dim(3));
        if (mode == Mode::evaluate) {
            n.mean = double(running_mean_[c]);
            n.variance = double(running_var_[c]);
        } else {
            if (n.count < 2)
                throw std::invalid_argument(detail::concat(
                    "BatchNorm2d: Mode::train needs more than one value per channel, found an input ",
                    to_string(x.shape())));
            for (Index i = 0; i != x.dim(0); ++i) n.mean += plane(x, i, c).template cast<double>().sum();
            n.mean /= n.count;
            for (Index i = 0; i != x.dim(0); ++i)
                n.variance += (plane(x, i, c).template cast<double>() - n.mean).square().sum();
            n.variance /= n.count;
        }
        n.inverse_deviation = 1 / std::sqrt(n.variance + options_.eps);
        return n;
    }

    /// Channel c of image i.
    template <class Tensor>
    static auto plane(Tensor& tensor, Index i, std::size_t c) {
        using Map = std::conditional_t<std::is_const_v<Tensor>, ConstArrayMap<T>, ArrayMap<T>>;
        Index const pixels = tensor.dim(2) * tensor.dim(3);
        return Map(tensor.data() + (i * tensor.dim(1) + Index(c)) * pixels, pixels);
    }

    BatchNorm2dOptions options_;
    BasicTensor<T> weight_{}, bias_{}, running_mean_{}, running_var_{};
};

using BatchNorm2d = BasicBatchNorm2d<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/student/check_parameters.hpp

/// Whether a network can compute with its parameters: each of the shape that its layer needs, finite, and no
/// variance below 0.
///
///     Diagnostics errors = detail::check_parameters(teacher);
///     // layer `bn1`: running_var: value at [3] is -1; a variance is above 0, ...

namespace amct_distill::detail {

/// "2, 0, 1": of element i of a tensor.
inline std::string index_text(std::span<const nn::Index> shape, std::size_t i) {
    std::string text;
    for (std::size_t d = shape.size(); d-- != 0;) {
        auto const n = static_cast<std::size_t>(shape[d]);
        text = text.empty() ? concat(i % n) : concat(i % n, ", ", text);
        i /= n;
    }
    return text;
}

/// All that is wrong; empty when nothing is.
inline Diagnostics check_parameters(const nn::Network& network) {
    Diagnostics errors;
    for (const auto& m : network.modules()) {
        if (auto const ok = m.module.check_parameters(); !ok) {
            errors.push_back(general_error(concat("layer `", m.name, "`: ", ok.diagnostics()[0].message)));
            continue;
        }
        const auto* const norm = m.module.get_if<nn::BatchNorm2d>();
        double const eps = norm ? norm->options().eps : 1;
        for (const auto& p : m.module.parameters()) {
            std::span<const float> const values = p.values;
            for (std::size_t i = 0; i != values.size(); ++i) {
                // The normalization divides by the root of variance + eps.
                bool const negative =
                    p.name == "running_var" && (values[i] < 0 || static_cast<double>(values[i]) + eps <= 0);
                if (std::isfinite(values[i]) && !negative) continue;
                errors.push_back(general_error(concat(
                    "layer `", m.name, "`: ", p.name, ": value at [", index_text(p.shape(), i), "] is ",
                    number(values[i]),
                    negative ? "; a variance is above 0, or 0 with an eps above it: check where it comes from"
                             : "; only finite values can be used: check where they come from")));
                break;
            }
        }
    }
    return errors;
}

}  // namespace amct_distill::detail

// ---- amct_distill/plan/common_settings.hpp

/// The settings that algorithms have in common, found by their names; and an algorithm in one line.
///
///     describe(layer.weights);        // "arq_distill, INT4, channel_wise"
///     describe(layer.data);           // "ulq_quantize, INT8"

namespace amct_distill {
namespace detail {

/// The name of an enumerator; empty when the number is none.
template <class E>
requires requires(E value) { enumerators(value); }
constexpr std::string_view name_of(E value) {
    for (const auto& [name, number] : enumerators(value))
        if (number == value) return name;
    return {};
}

template <class M>
concept HasDstType = requires(const M& message) {
    name_of(message.dst_type.get());
};
template <class M>
concept HasChannelWise = requires(const M& message) {
    message.channel_wise.get();
};

/// One scale per output channel? Without the setting: one in all.
template <class M>
bool wants_channels(const M& message) {
    if constexpr (HasChannelWise<M>)
        return message.channel_wise.get();
    else
        return false;
}
template <class Alternatives>
bool wants_channels(const oneof<Alternatives>& algorithm) {
    return std::visit([](const auto& message) { return wants_channels(message); }, algorithm.value());
}

/// "INT4", "INT8"; empty without the setting.
template <class Alternatives>
std::string_view width_of(const oneof<Alternatives>& algorithm) {
    return std::visit(
        []<class M>(const M& message) -> std::string_view {
            if constexpr (HasDstType<M>)
                return name_of(message.dst_type.get());
            else
                return {};
        },
        algorithm.value());
}

}  // namespace detail

/// The algorithm's name, its width and its granularity, as far as it has them; "" when none is set.
template <class Alternatives>
std::string describe(const oneof<Alternatives>& algorithm) {
    std::string_view const width = detail::width_of(algorithm);
    return std::visit(
        [&]<class M>(const M& message) {
            std::string_view granularity;
            if constexpr (detail::HasChannelWise<M>)
                granularity = detail::wants_channels(message) ? ChannelWise::name : TensorWise::name;
            return detail::concat(algorithm.name(), width.empty() ? "" : ", ", width,
                                  granularity.empty() ? "" : ", ", granularity);
        },
        algorithm.value());
}

}  // namespace amct_distill

// ---- amct_distill/plan/provenance.hpp

/// Where a setting of a plan came from: a place in the configuration, or a default.
///
///     layer.weights_from["dst_type"].text;        // "distill_override_layers[1] at 41:9"
///     layer.data_from["fixed_min"].text;          // "default: after ReLU `relu1`"
///     plan.batch_num.from.by_user;                // false: not set in the configuration

namespace amct_distill {

/// Where a setting came from.
struct Provenance {
    /// For people: "default", "default: after ReLU `relu1`", "distill_weight_quant_config at 12:3"; without
    /// " at ..." when the configuration was built in C++.
    std::string text = "default";
    bool by_user = false;  ///< the configuration says so
    Position where{};      ///< of the field in the configuration's text
    friend bool operator==(const Provenance&, const Provenance&) = default;
};

template <class T>
struct PlannedValue {
    T value{};
    Provenance from{};
    friend bool operator==(const PlannedValue&, const PlannedValue&) = default;
};

/// Where the settings of a layer's algorithm came from: the algorithm itself, and each field of its message.
struct AlgorithmProvenance {
    Provenance algo{};
    std::vector<std::pair<std::string_view, Provenance>> settings{};  ///< in the message's order

    /// Throws std::invalid_argument when the algorithm has no such setting.
    const Provenance& operator[](std::string_view name) const {
        for (const auto& [setting, from] : settings)
            if (setting == name) return from;
        throw std::invalid_argument(detail::concat("AlgorithmProvenance: the algorithm has no setting `",
                                                   name, "`; ask for a field of its message"));
    }
    friend bool operator==(const AlgorithmProvenance&, const AlgorithmProvenance&) = default;
};

namespace detail {

/// The first position that is one.
constexpr Position either(Position exact, Position fallback) { return exact.line != 0 ? exact : fallback; }

/// "distill_group[0] at 3:1"
inline Provenance provenance_of(std::string_view what, Position where) {
    if (where.line == 0) return {std::string(what), true, where};
    return {concat(what, " at ", where.line, ':', where.column), true, where};
}

/// An element of a repeated field: what messages call it, and where it was read.
inline std::string element(std::string_view list, std::size_t i) { return concat(list, '[', i, ']'); }
template <class List>
Position position_in(const List& list, std::size_t i) {
    if constexpr (requires { list.position(i); })
        return list.position(i);
    else
        return {};
}

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/plan/plan.hpp

/// What will be done to a network: every quantizable layer's settings, none left open, and the blocks that
/// are distilled one after the other.
///
///     for (const auto& layer : plan.layers)
///         std::cout << layer.name << ": " << describe(layer.weights);   // "arq_distill, INT8, channel_wise"
///     plan.layers[0].weights_from["dst_type"].text;   // "distill_override_layers[1] at 41:9"
///
/// Made by resolve(), which is in resolve.hpp.

namespace amct_distill {

/// A layer that can be quantized. Of its algorithms' settings `dst_type`, `channel_wise` and `fixed_min` are
/// always set; `clip_max_min` is set only when the user did, and without it IFMR computes the clips.
template <class Algorithms>
struct BasicPlannedLayer {
    std::string name{};
    std::string type{};  ///< "Conv2d" or "Linear"
    ModuleId module{};
    NodeId node{};  ///< the one use of the module
    bool quant_enable = true;
    Provenance quant_enable_from{};
    oneof<typename Algorithms::data> data{};
    AlgorithmProvenance data_from{};
    oneof<typename Algorithms::weights> weights{};
    AlgorithmProvenance weights_from{};
    std::optional<std::size_t> block{};  ///< index into BasicDistillPlan::blocks; none: it is not distilled
};

/// Nodes in a row that are distilled together.
struct PlannedBlock {
    std::vector<NodeId> nodes{};       ///< in graph order, each reading the one before
    std::vector<std::string> names{};  ///< of their modules
    Provenance from{};                 ///< "distill_group[0] at 3:1", or "default"
    friend bool operator==(const PlannedBlock&, const PlannedBlock&) = default;
};

template <class Algorithms = StandardAlgorithms>
struct BasicDistillPlan {
    using algorithms = Algorithms;

    Graph graph{};  ///< of the network that it was made for
    PlannedValue<std::uint32_t> batch_num{1, {}};
    PlannedValue<std::uint32_t> group_size{1, {}};
    PlannedValue<bool> data_dump{};
    std::vector<BasicPlannedLayer<Algorithms>> layers{};  ///< every quantizable layer, in definition order
    std::vector<PlannedBlock> blocks{};                   ///< in graph order
};

using PlannedLayer = BasicPlannedLayer<StandardAlgorithms>;
using DistillPlan = BasicDistillPlan<>;

}  // namespace amct_distill

// ---- amct_distill/plan/formats.hpp

/// What decides a quantizer's type, the width and the granularity that a message asks for, as types of one
/// list.
///
///     weight_formats                             // Int4 ChannelWise, Int4 TensorWise, Int8 ChannelWise, ...
///     std::size_t const k = weight_format(message, true);
///     visit_type(weight_formats{}, k, []<class F>(std::type_identity<F>) { ... F::bits ... });
///
/// Made from the lists in policy/: a width or a granularity that is added there needs nothing here. Usable in
/// constant evaluation.

namespace amct_distill::detail {

template <class...>
struct type_list {};

template <class... Lists>
struct Joined {
    using type = type_list<>;
};
template <class... A>
struct Joined<type_list<A...>> {
    using type = type_list<A...>;
};
template <class... A, class... B, class... Rest>
struct Joined<type_list<A...>, type_list<B...>, Rest...> : Joined<type_list<A..., B...>, Rest...> {};

template <class B, class G>
struct WeightFormat {
    using bits = B;
    using granularity = G;
};
template <class List>
struct AsTypeList;
template <template <class...> class List, class... T>
struct AsTypeList<List<T...>> {
    using type = type_list<T...>;
    template <class B>
    using with = type_list<WeightFormat<B, T>...>;
};
template <class Bits>
struct WithGranularities;
template <class... B>
struct WithGranularities<type_list<B...>> : Joined<typename AsTypeList<Granularities>::template with<B>...> {
};

/// The formats of activations are widths alone.
using data_formats = AsTypeList<Widths>::type;
using weight_formats = WithGranularities<data_formats>::type;

/// How many types a list has; the place of a type in it; the type at a place.
template <class... All>
constexpr std::size_t size_of(type_list<All...>) {
    return sizeof...(All);
}
template <class T, class... All>
constexpr std::size_t index_in(type_list<All...>) {
    std::size_t index = 0;
    (void)((std::is_same_v<T, All> || (++index, false)) || ...);
    return index;
}
template <class List, std::size_t I>
struct TypeAt;
template <class First, class... Rest, std::size_t I>
struct TypeAt<type_list<First, Rest...>, I> : TypeAt<type_list<Rest...>, I - 1> {};
template <class First, class... Rest>
struct TypeAt<type_list<First, Rest...>, 0> {
    using type = First;
};

/// Calls `f(std::type_identity<T>{})` for the type at `index`. Precondition: there is one.
template <class First, class... Rest, class F>
constexpr decltype(auto) visit_type(type_list<First, Rest...>, std::size_t index, F&& f) {
    if constexpr (sizeof...(Rest) == 0) {
        return f(std::type_identity<First>{});
    } else {
        if (index == 0) return f(std::type_identity<First>{});
        return visit_type(type_list<Rest...>{}, index - 1, f);
    }
}

/// The width that a message names, by its enumerator's name; Int8 without `dst_type`.
template <class M, class... B>
constexpr std::size_t width_index(const M& message, type_list<B...> all) {
    if constexpr (HasDstType<M>) {
        std::string_view const name = name_of(message.dst_type.get());
        std::size_t index = 0;
        if (((B::name == name || (++index, false)) || ...)) return index;
    }
    return index_in<Int8>(all);
}

/// Index into data_formats.
template <class M>
constexpr std::size_t data_format(const M& message) {
    return width_index(message, data_formats{});
}
/// Index into weight_formats. `channels_unless_set`: what a message means that has `channel_wise` and does
/// not set it. One without that setting has one scale.
template <class M>
constexpr std::size_t weight_format(const M& message, bool channels_unless_set) {
    bool channels = false;
    if constexpr (HasChannelWise<M>)
        channels = message.channel_wise.has_value() ? *message.channel_wise : channels_unless_set;
    return visit_type(data_formats{}, data_format(message), [&]<class B>(std::type_identity<B>) {
        return channels ? index_in<WeightFormat<B, ChannelWise>>(weight_formats{})
                        : index_in<WeightFormat<B, TensorWise>>(weight_formats{});
    });
}

}  // namespace amct_distill::detail

// ---- amct_distill/plan/quantizer_lists.hpp

/// The quantizers that an algorithm list can name, as a variant type.
///
///     weight_quantizer_variant<StandardAlgorithms>         // std::variant<Arq<Int4, ChannelWise>, ...>
///     activation_quantizer_variant<StandardAlgorithms>     // std::variant<ActUlq<Int4>, ActUlq<Int8>>
///
/// A message names its quantizer by a member template `quantizer<Bits, Granularity>` (weights) or
/// `quantizer<Bits>` (activations). The types may be incomplete here: they are only named.

namespace amct_distill {
namespace detail {

template <class Done, class... Rest>
struct Distinct {
    using type = Done;
};
template <class... Done, class T, class... Rest>
struct Distinct<type_list<Done...>, T, Rest...>
    : Distinct<
          std::conditional_t<(std::is_same_v<Done, T> || ...), type_list<Done...>, type_list<Done..., T>>,
          Rest...> {};

/// A quantizer, and the message that names it.
template <class Quantizer, class Message>
struct Choice {
    using quantizer = Quantizer;
    using message = Message;
};
/// All that a message can name, one for each format.
template <class M, class Formats = weight_formats>
struct WeightChoices;
template <class M, class... F>
struct WeightChoices<M, type_list<F...>> {
    using type =
        type_list<Choice<typename M::template quantizer<typename F::bits, typename F::granularity>, M>...>;
};
template <class M, class Formats = data_formats>
struct ActivationChoices;
template <class M, class... B>
struct ActivationChoices<M, type_list<B...>> {
    using type = type_list<Choice<typename M::template quantizer<B>, M>...>;
};
template <template <class, class> class Choices, class Formats, class Alternatives,
          class = std::make_index_sequence<reflect::field_count<Alternatives>>>
struct AllChoices;
template <template <class, class> class Choices, class Formats, class Alternatives, std::size_t... I>
struct AllChoices<Choices, Formats, Alternatives, std::index_sequence<I...>>
    : Joined<typename Choices<reflect::field_type<Alternatives, I>, Formats>::type...> {};
template <class Alternatives>
using all_weight_choices = typename AllChoices<WeightChoices, weight_formats, Alternatives>::type;
template <class Alternatives>
using all_activation_choices = typename AllChoices<ActivationChoices, data_formats, Alternatives>::type;

template <class... C>
typename Distinct<type_list<>, typename C::quantizer...>::type quantizers_in(type_list<C...>);
template <class Quantizers>
struct VariantOf;
template <class... Q>
struct VariantOf<type_list<Q...>> {
    using type = std::variant<Q...>;
};

}  // namespace detail

/// Every weight quantizer that an algorithm list can name, each once: what a student's layer holds.
template <class Algorithms>
using weight_quantizer_variant = typename detail::VariantOf<decltype(detail::quantizers_in(
    detail::all_weight_choices<typename Algorithms::weights>{}))>::type;
template <class Algorithms>
using activation_quantizer_variant = typename detail::VariantOf<decltype(detail::quantizers_in(
    detail::all_activation_choices<typename Algorithms::data>{}))>::type;

}  // namespace amct_distill

// ---- amct_distill/plan/select.hpp

/// From a layer's resolved settings to its quantizer's type: the one step from run time to compile time.
///
///     visit_weight_quantizer(layer.weights, [&]<class Q>(std::type_identity<Q>, const auto& message) {
///         use<Q>(message);                       // Q is Arq<Int4, ChannelWise>, Ulq<Int8, TensorWise>, ...
///     }).value();
///     using engine = supports<Arq<Int8, ChannelWise>, ActUlq<Int8>>;
///     visit_weight_quantizer<engine>(layer.weights, f);   // an error for any other; f is not instantiated
///
/// The quantizers may be incomplete types here: they are only named.

namespace amct_distill {
namespace detail {

/// What `f` returns, as a result: asked of the first quantizer that is supported.
template <class Supported, class F, class... C>
struct VisitResult {
    static_assert(
        sizeof...(C) != 0,
        "visit_..._quantizer: the engine supports none of the quantizers that the algorithm list can "
        "name; add one to supports<...>");
};
template <class R>
struct AsResult {
    using type = result<R>;
};
template <class R>
struct AsResult<result<R>> {
    using type = result<R>;
};
template <class Supported, class F, class First, class... Rest>
struct VisitResult<Supported, F, First, Rest...> : VisitResult<Supported, F, Rest...> {};
template <class Supported, class F, class First, class... Rest>
requires(Supported::template has<typename First::quantizer>) struct VisitResult<Supported, F, First, Rest...>
    : AsResult<std::invoke_result_t<F&, std::type_identity<typename First::quantizer>,
                                    const typename First::message&>> {
};
template <class Supported, class F, class... C>
typename VisitResult<Supported, F, C...>::type answer_to(type_list<C...>);

/// Adds what an engine has of a message's quantizers, as describe() says it.
template <class Supported, class Quantizer, class M>
void add_supported(std::string_view name, std::string_view width, std::string_view granularity,
                   std::vector<std::string>& all) {
    if (!Supported::template has<Quantizer>) return;
    std::string one = concat('`', name, HasDstType<M> ? concat(", ", width) : "",
                             HasChannelWise<M> ? concat(", ", granularity) : "", '`');
    if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(std::move(one));
}
template <class Supported, class M, class... B, class... G>
void add_supported_of(std::string_view name, std::vector<std::string>& all,
                      type_list<WeightFormat<B, G>...>) {
    (add_supported<Supported, typename M::template quantizer<B, G>, M>(name, B::name, G::name, all), ...);
}
template <class Supported, class M, class... B>
void add_supported_of(std::string_view name, std::vector<std::string>& all, type_list<B...>) {
    (add_supported<Supported, typename M::template quantizer<B>, M>(name, B::name, {}, all), ...);
}
/// All that it has of an algorithm list: "`arq_distill, INT8, channel_wise`, `...`".
template <class Supported, class Alternatives, class Formats>
std::string names_of_supported() {
    std::vector<std::string> all;
    const auto& names = reflect::field_names<Alternatives>;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (add_supported_of<Supported, reflect::field_type<Alternatives, I>>(names[I], all, Formats{}), ...);
    }
    (std::make_index_sequence<reflect::field_count<Alternatives>>{});
    std::string text;
    for (const std::string& one : all) append(text, concat(text.empty() ? "" : ", ", one));
    return text;
}

/// Runs `f` for one quantizer, or says that the engine does not have it, and what it has.
template <class Supported, class Answer, class Formats, class Quantizer, class Alternatives, class M, class F>
Answer run_for(const oneof<Alternatives>& resolved, const M& message, F& f) {
    if constexpr (!Supported::template has<Quantizer>) {
        return general_error(concat("`", describe(resolved), "` is not what this engine runs; it has ",
                                    names_of_supported<Supported, Alternatives, Formats>(),
                                    "; choose one of them for the layer, or skip it with quant_skip_layers"));
    } else if constexpr (std::is_void_v<std::invoke_result_t<F&, std::type_identity<Quantizer>, const M&>>) {
        f(std::type_identity<Quantizer>{}, message);
        return {};
    } else {
        return f(std::type_identity<Quantizer>{}, message);
    }
}

}  // namespace detail

/// Calls `f(std::type_identity<Quantizer>{}, message)` for the quantizer that a layer's resolved weights ask
/// for. `f` returns the same type for all; it comes back as a result of that type (of void for void). Error:
/// the quantizer is not in `Supported`. A message without `dst_type` means INT8, without `channel_wise` one
/// scale.
template <class Supported = supports_all, class Alternatives, class F>
auto visit_weight_quantizer(const oneof<Alternatives>& resolved, F&& f) {
    using Answer = decltype(detail::answer_to<Supported, F>(detail::all_weight_choices<Alternatives>{}));
    return std::visit(
        [&]<class M>(const M& message) -> Answer {
            if constexpr (std::is_same_v<M, std::monostate>) {
                return general_error("no weight algorithm is set; take the message from a resolved plan");
            } else {
                return detail::visit_type(
                    detail::weight_formats{}, detail::weight_format(message, false),
                    [&]<class Format>(std::type_identity<Format>) -> Answer {
                        return detail::run_for<Supported, Answer, detail::weight_formats,
                                               typename M::template quantizer<typename Format::bits,
                                                                              typename Format::granularity>>(
                            resolved, message, f);
                    });
            }
        },
        resolved.value());
}

/// The same for a layer's activations.
template <class Supported = supports_all, class Alternatives, class F>
auto visit_activation_quantizer(const oneof<Alternatives>& resolved, F&& f) {
    using Answer = decltype(detail::answer_to<Supported, F>(detail::all_activation_choices<Alternatives>{}));
    return std::visit(
        [&]<class M>(const M& message) -> Answer {
            if constexpr (std::is_same_v<M, std::monostate>) {
                return general_error("no activation algorithm is set; take the message from a resolved plan");
            } else {
                return detail::visit_type(detail::data_formats{}, detail::data_format(message),
                                          [&]<class B>(std::type_identity<B>) -> Answer {
                                              return detail::run_for<Supported, Answer, detail::data_formats,
                                                                     typename M::template quantizer<B>>(
                                                  resolved, message, f);
                                          });
            }
        },
        resolved.value());
}

}  // namespace amct_distill

// ---- amct_distill/student/layer_quantizers.hpp

/// The quantizers of one layer of a student: one for its weights, one for its input.
///
///     LayerQuantizers<StandardAlgorithms> q = ...;       // make_student() makes them
///     q.set_clips({6, 0});                                // calibrate() does; not with clips of the user's
///     q.data_clip();  q.weight_scales(w);  q.weight_algorithm();   // "arq_distill, INT4, channel_wise"
///
/// What they train are the quantizers' own values; `constrain()` follows each step of the optimizer.

namespace amct_distill {
namespace detail {

/// A weight as its quantizer sees it: a row per output channel.
inline nn::MatrixMap<float> weight_matrix(nn::Tensor& w) {
    return nn::matrix(w, w.dim(0), static_cast<nn::Index>(w.size()) / w.dim(0));
}
inline nn::ConstMatrixMap<float> weight_matrix(const nn::Tensor& w) {
    return nn::matrix(w, w.dim(0), static_cast<nn::Index>(w.size()) / w.dim(0));
}

/// The diagnostics of what a layer was given, with its name.
inline Diagnostics of_layer(std::string_view layer, Diagnostics all) {
    for (Diagnostic& d : all) d.message = concat("layer `", layer, "`: ", d.message);
    return all;
}

/// What a quantizer computes, on some threads where it can use them (the concepts do not ask for it).
template <class Q, class In, class Out>
void fake_quantize_on(const Execution& on, const Q& q, const In& in, const Out& out) {
    if constexpr (requires { q.fake_quantize(in, out, on); })
        q.fake_quantize(in, out, on);
    else
        q.fake_quantize(in, out);
}
template <class Q, class In, class Out>
void backward_on(const Execution& on, const Q& q, const In& in, const In& grad_out, const Out& grad_in,
                 std::span<float> grad_parameters) {
    if constexpr (requires { q.backward(in, grad_out, grad_in, grad_parameters, on); })
        q.backward(in, grad_out, grad_in, grad_parameters, on);
    else
        q.backward(in, grad_out, grad_in, grad_parameters);
}

}  // namespace detail

template <class Algorithms>
class InputCalibration;

template <class Algorithms>
class LayerQuantizers {
public:
    /// The quantizers that a plan's layer asks for. Errors: weights or clips that cannot be quantized with.
    /// Warnings: those of the weights' quantizer.
    static result<LayerQuantizers> make(const BasicPlannedLayer<Algorithms>& layer,
                                        const nn::Tensor& weight) {
        LayerQuantizers q;
        q.weight_algorithm_ = describe(layer.weights);
        q.data_algorithm_ = describe(layer.data);
        auto const weights =
            visit_weight_quantizer(layer.weights, [&]<class Q>(std::type_identity<Q>, const auto& settings) {
                static_assert(WeightQuantizer<Q>);
                return q.weights_.template emplace<Q>(made_from<Q>(settings))
                    .initialize(detail::weight_matrix(weight));
            });
        if (!weights) return detail::of_layer(layer.name, weights.diagnostics());
        auto const data = visit_activation_quantizer(
            layer.data, [&]<class Q>(std::type_identity<Q>, const auto& settings) -> result<void> {
                static_assert(ActivationQuantizer<Q>);
                auto& quantizer = q.data_.template emplace<Q>();
                if constexpr (requires { settings.fixed_min.get(); }) q.fixed_min_ = settings.fixed_min.get();
                if constexpr (requires { settings.clip_max_min->clip_max; }) {
                    if (settings.clip_max_min.has_value()) {
                        quantizer =
                            Q(ClipRange{*settings.clip_max_min->clip_max, *settings.clip_max_min->clip_min},
                              q.fixed_min_);
                        if constexpr (requires { quantizer.check_clips(); })
                            if (auto ok = quantizer.check_clips(); !ok) return ok;
                        q.is_calibrated_ = q.has_user_clips_ = true;
                    }
                }
                return {};
            });
        if (!data) return detail::of_layer(layer.name, data.diagnostics());
        return {std::move(q), detail::of_layer(layer.name, weights.diagnostics())};
    }

    // ---- calibration of the input

    /// Whether the input is quantized: after calibration, or from the start with clips of the user's.
    bool is_calibrated() const { return is_calibrated_; }
    bool has_user_clips() const { return has_user_clips_; }
    /// The first clips: from now on the input is quantized.
    void set_clips(ClipRange clip) {
        std::visit([&]<class Q>(Q& q) { q = Q(clip, fixed_min_); }, data_);
        is_calibrated_ = true;
    }

    // ---- what a layer computes

    void quantize_weight(const nn::Tensor& w, nn::Tensor& out, const Execution& on = {}) const {
        out.resize(w.shape());
        std::visit(
            [&](const auto& q) {
                detail::fake_quantize_on(on, q, detail::weight_matrix(w), detail::weight_matrix(out));
            },
            weights_);
    }
    void quantize_data(const nn::Tensor& x, nn::Tensor& out, const Execution& on = {}) const {
        out.resize(x.shape());
        std::visit([&](const auto& q) { detail::fake_quantize_on(on, q, x.span(), out.span()); }, data_);
    }
    /// From the gradient of the quantized weight: grad_w is written, grad_scales added to.
    void weight_backward(const nn::Tensor& w, const nn::Tensor& grad_out, nn::Tensor& grad_w,
                         nn::Tensor* grad_scales, nn::Tensor& buffer, const Execution& on = {}) const {
        grad_w.resize(w.shape());
        std::visit(
            [&](const auto& q) {
                buffer.resize({static_cast<nn::Index>(q.parameters().size())});
                detail::backward_on(on, q, detail::weight_matrix(w), detail::weight_matrix(grad_out),
                                    detail::weight_matrix(grad_w), buffer.span());
            },
            weights_);
        for (std::size_t i = 0; i != buffer.size(); ++i) (*grad_scales)[i] += buffer[i];
    }
    /// From the gradient of the quantized input: grad_x is written, grad_clips added to.
    void data_backward(const nn::Tensor& x, const nn::Tensor& grad_out, nn::Tensor& grad_x,
                       nn::Tensor& grad_clips, nn::Tensor& buffer, const Execution& on = {}) const {
        grad_x.resize(x.shape());
        std::visit(
            [&](const auto& q) {
                buffer.resize({static_cast<nn::Index>(q.parameters().size())});
                detail::backward_on(on, q, x.span(), grad_out.span(), grad_x.span(), buffer.span());
            },
            data_);
        for (std::size_t i = 0; i != buffer.size(); ++i) grad_clips[i] += buffer[i];
    }

    // ---- what is trained

    /// "scales" of the weights and "clips" of the input (once calibrated), when there are any to train: the
    /// quantizers' own values.
    void append_parameters(std::vector<nn::BasicParameter<float>>& out) {
        if (trains_scales()) out.push_back({"scales", nn::Role::scale, parameters_of(weights_)});
        if (trains_clips()) out.push_back({"clips", nn::Role::clip, parameters_of(data_)});
    }
    bool trains_scales() const { return !parameters_of(weights_).empty(); }
    bool trains_clips() const { return is_calibrated_ && !parameters_of(data_).empty(); }

    /// After a change of the parameters: the quantizers repair them.
    void constrain() {
        std::visit([](auto& q) { q.constrain(); }, weights_);
        if (is_calibrated_) std::visit([](auto& q) { q.constrain(); }, data_);
    }

    // ---- what there is to report

    /// "arq_distill, INT4, channel_wise".
    const std::string& weight_algorithm() const { return weight_algorithm_; }
    /// "ulq_quantize, INT8".
    const std::string& data_algorithm() const { return data_algorithm_; }
    int weight_bits() const {
        return std::visit([]<class Q>(const Q&) { return Q::bits::width; }, weights_);
    }
    int data_bits() const {
        return std::visit([]<class Q>(const Q&) { return Q::bits::width; }, data_);
    }
    /// f(std::type_identity<Bits>{}) for the width of the weights, and of the data.
    template <class F>
    auto visit_weight_bits(F f) const {
        return std::visit([&]<class Q>(const Q&) { return f(std::type_identity<typename Q::bits>{}); },
                          weights_);
    }
    template <class F>
    auto visit_data_bits(F f) const {
        return std::visit([&]<class Q>(const Q&) { return f(std::type_identity<typename Q::bits>{}); },
                          data_);
    }
    Scales weight_scales(const nn::Tensor& w) const {
        return std::visit([&](const auto& q) -> Scales { return q.scale_offsets(detail::weight_matrix(w)); },
                          weights_);
    }
    result<QuantizedMatrix> weight_codes(const nn::Tensor& w) const {
        return std::visit([&](const auto& q) { return q.quantize(detail::weight_matrix(w)); }, weights_);
    }
    ClipRange data_clip() const {
        return std::visit([](const auto& q) { return q.clip(); }, data_);
    }
    ScaleOffset data_scale() const {
        return std::visit([](const auto& q) { return q.scale_offset(); }, data_);
    }
    bool fixed_min() const { return fixed_min_; }

private:
    friend class InputCalibration<Algorithms>;
    LayerQuantizers() = default;

    /// A quantizer may take its settings from its message; most have none of their own.
    template <class Q, class Message>
    static Q made_from([[maybe_unused]] const Message& settings) {
        if constexpr (std::is_constructible_v<Q, const Message&>)
            return Q(settings);
        else
            return Q{};
    }
    template <class Quantizers>
    static auto parameters_of(Quantizers& quantizers) {
        return std::visit([](auto& q) { return q.parameters(); }, quantizers);
    }

    weight_quantizer_variant<Algorithms> weights_{};
    activation_quantizer_variant<Algorithms> data_{};
    std::string weight_algorithm_{}, data_algorithm_{};
    bool fixed_min_ = false, is_calibrated_ = false, has_user_clips_ = false;
};

}  // namespace amct_distill

// ---- amct_distill/student/quantized_layer.hpp

/// A layer with weights that quantizes its input and its weights before it computes: a module like any other.
///
///     QuantizedLayer<> layer(module, quantizers);      // module.weighted() is not null
///     layer.layer().weight();   // the float master that training changes
///     layer.quantizers();       // see layer_quantizers.hpp
///
/// forward:  y = layer(Q_data(x), Q_weights(w));  backward: straight through the rounding, as the quantizers
/// say. The float weights are never overwritten, so that updates smaller than half a step add up.

namespace amct_distill {

template <class Algorithms = StandardAlgorithms>
class QuantizedLayer {
public:
    /// Throws std::invalid_argument when the module has no weights that can be quantized.
    QuantizedLayer(nn::Module module, LayerQuantizers<Algorithms> quantizers)
        : module_(std::move(module)), quantizers_(std::move(quantizers)) {
        if (module_.weighted() == nullptr)
            throw std::invalid_argument(
                detail::concat("QuantizedLayer: a ", module_.type(),
                               " has no weights that can be quantized: see nn/weighted.hpp"));
    }

    std::string_view type() const { return module_.type(); }
    std::string_view operation() const { return module_.operation(); }
    std::string options() const { return module_.options(); }

    /// The float layer.
    const nn::Module& module() const { return module_; }
    const nn::Weighted& layer() const { return *module_.weighted(); }
    nn::Weighted& layer() { return *module_.weighted(); }
    nn::WeightRows rows() const { return nn::WeightRows(layer()); }
    const LayerQuantizers<Algorithms>& quantizers() const { return quantizers_; }
    LayerQuantizers<Algorithms>& quantizers() { return quantizers_; }

    /// Those of the float layer, then "scales" and "clips" where they are trained.
    void parameters(std::vector<nn::Parameter>& list) {
        module_.parameters(list);
        quantizers_.append_parameters(list);
    }
    result<void> check_parameters() const { return module_.check_parameters(); }
    void constrain() {
        module_.constrain();
        quantizers_.constrain();
    }

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        return module_.output_shape(inputs);
    }

    /// The quantized weight, which slices of a batch share.
    void prepare(nn::Tensor& out, nn::Scratch& scratch) const { quantize_weight(out, scratch); }

    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch& scratch, nn::Mode) const {
        layer().forward_with(quantized_weight(scratch), input_of(*inputs[0], scratch), output, scratch);
    }

    void backward(nn::Inputs inputs, const nn::Tensor&, const nn::Tensor& grad_output,
                  std::span<nn::Tensor* const> grad_inputs, std::span<nn::Tensor> grad_parameters,
                  nn::Scratch& scratch, nn::Mode) const {
        const nn::Tensor& x = *inputs[0];
        nn::Tensor* const grad_x = grad_inputs[0];
        bool const scales = quantizers_.trains_scales(), clips = quantizers_.trains_clips();
        // The parameters are the layer's, its weight and bias where they stand, then scales and clips.
        std::size_t const own = grad_parameters.size() - (scales ? 1 : 0) - (clips ? 1 : 0);
        nn::Tensor* const grad_bias = layer().bias().empty() ? nullptr : &grad_parameters[1];
        bool const needs_data = clips || grad_x != nullptr;

        const nn::Tensor& weight = quantized_weight(scratch);
        const nn::Tensor& input = input_of(x, scratch);
        // Of the quantized weight; with one that is prepared, the sum of them is carried through the
        // quantizer.
        bool const is_prepared = scratch.prepared() != nullptr;
        nn::Tensor& grad_weight =
            is_prepared ? grad_parameters[0] : zeros(buffer(scratch, weight_gradient), weight.shape());
        nn::Tensor* grad_data = nullptr;
        if (needs_data) grad_data = &zeros(buffer(scratch, data_gradient), x.shape());
        layer().backward_with(weight, input, grad_output, grad_data, &grad_weight, grad_bias, scratch);

        nn::Tensor& through = buffer(scratch, straight_through);
        nn::Tensor& few = buffer(scratch, few_gradients);
        if (!is_prepared) {
            through_weight_quantizer(grad_weight, through, scales ? &grad_parameters[own] : nullptr, scratch);
            rows().add(through, grad_parameters[0]);
        }
        if (!needs_data) return;
        if (clips) {
            quantizers_.data_backward(x, *grad_data, through, grad_parameters.back(), few,
                                      scratch.execution());
            grad_data = &through;
        }
        if (grad_x != nullptr) nn::array(*grad_x) += nn::array(*grad_data);
    }

    /// The gradient of the quantized weight becomes that of the weight, and of the scales.
    void finish_gradients(std::span<nn::Tensor> grad_parameters, nn::Scratch& scratch) const {
        bool const scales = quantizers_.trains_scales(), clips = quantizers_.trains_clips();
        std::size_t const own = grad_parameters.size() - (scales ? 1 : 0) - (clips ? 1 : 0);
        nn::Tensor& through = buffer(scratch, straight_through);
        through_weight_quantizer(grad_parameters[0], through, scales ? &grad_parameters[own] : nullptr,
                                 scratch);
        grad_parameters[0].fill(0);
        rows().add(through, grad_parameters[0]);
    }

private:
    // Buffers of the node that come after the layer's own.
    enum Buffer : std::size_t {
        weight_quantized,
        data_quantized,
        weight_gradient,
        data_gradient,
        straight_through,
        few_gradients,
        weight_in_rows,
        gradient_in_rows,
        rows_quantized,
    };
    nn::Tensor& buffer(nn::Scratch& scratch, Buffer which) const {
        return scratch.tensor(layer().scratch_tensors() + which);
    }

    static nn::Tensor& zeros(nn::Tensor& t, const nn::Shape& shape) {
        t.resize(shape);
        t.fill(0);
        return t;
    }
    const nn::Tensor& quantized_weight(nn::Scratch& scratch) const {
        if (scratch.prepared() != nullptr) return *scratch.prepared();
        nn::Tensor& out = buffer(scratch, weight_quantized);
        quantize_weight(out, scratch);
        return out;
    }
    void quantize_weight(nn::Tensor& out, nn::Scratch& scratch) const {
        const nn::Tensor& w = layer().weight();
        nn::WeightRows const rows = this->rows();
        if (rows.in_order()) return quantizers_.quantize_weight(w, out, scratch.execution());
        nn::Tensor& quantized = buffer(scratch, rows_quantized);
        quantizers_.quantize_weight(rows.gather(w, buffer(scratch, weight_in_rows)), quantized,
                                    scratch.execution());
        out.resize(w.shape());
        rows.scatter(quantized, out);
    }
    /// `through` is written, a row per output channel; grad_scales is added to.
    void through_weight_quantizer(const nn::Tensor& grad_weight, nn::Tensor& through, nn::Tensor* grad_scales,
                                  nn::Scratch& scratch) const {
        nn::WeightRows const rows = this->rows();
        const nn::Tensor& master = rows.gather(layer().weight(), buffer(scratch, weight_in_rows));
        const nn::Tensor& grad_rows = rows.gather(grad_weight, buffer(scratch, gradient_in_rows));
        quantizers_.weight_backward(master, grad_rows, through, grad_scales, buffer(scratch, few_gradients),
                                    scratch.execution());
    }
    const nn::Tensor& input_of(const nn::Tensor& x, nn::Scratch& scratch) const {
        if (!quantizers_.is_calibrated()) return x;
        nn::Tensor& out = buffer(scratch, data_quantized);
        quantizers_.quantize_data(x, out, scratch.execution());
        return out;
    }

    nn::Module module_;
    LayerQuantizers<Algorithms> quantizers_;
};

}  // namespace amct_distill

// ---- amct_distill/student/same_network.hpp

/// Whether what is used together belongs together: a plan, a teacher, a student, batches.
///
///     detail::difference(plan, network);        // "module 1 is `conv` (Conv2d) in the plan, and ...", or ""
///     detail::difference(teacher, student, "the teacher", "the student");
///     detail::require_batch(network, tensors, "calibrate", 3);       // throws std::invalid_argument

namespace amct_distill::detail {

/// The first difference of two networks in their graphs and shapes, which parameters are not part of; empty
/// when there is none. `a_name` and `b_name` say whose they are: "the teacher", "the student".
inline std::string difference(const nn::Network& a, const nn::Network& b, std::string_view a_name,
                              std::string_view b_name) {
    if (auto what = amct_distill::difference(a.graph(), b.graph(), a_name, b_name); !what.empty())
        return what;
    for (nn::NodeId id; id != a.graph().size(); ++id.index)
        if (a.node(id).shape != b.node(id).shape)
            return concat("node `", a.name(id), "` has the shape ", nn::to_string(a.node(id).shape), " in ",
                          a_name, ", and ", nn::to_string(b.node(id).shape), " in ", b_name);
    return {};
}

/// What a plan says that is not so in a network, the first of it; empty when it fits.
template <class Algorithms>
std::string difference(const BasicDistillPlan<Algorithms>& plan, const nn::Network& network) {
    if (auto what = amct_distill::difference(plan.graph, network.graph(), "the plan", "the network");
        !what.empty())
        return what;
    // A plan is an aggregate that a caller may have changed.
    const Graph& g = network.graph();
    for (const auto& layer : plan.layers)
        if (layer.module >= g.module_count() || g.module(layer.module).name != layer.name ||
            g.uses(layer.module) != std::vector{layer.node})
            return concat("the plan's layer `", layer.name, "` is not that module of its graph");
    for (std::size_t b = 0; b != plan.blocks.size(); ++b) {
        const PlannedBlock& block = plan.blocks[b];
        if (block.nodes.empty()) return concat("block ", b, " of the plan has no nodes");
        for (std::size_t k = 0; k != block.nodes.size(); ++k) {
            nn::NodeId const id = block.nodes[k];
            if (id >= g.size())
                return concat("block ", b, " of the plan has node ", id.index, ", which does not exist");
            if (k != 0 && id <= block.nodes[k - 1])
                return concat("in block ", b, " of the plan `", g.name(id), "` is not in graph order");
        }
    }
    return {};
}

/// Throws std::invalid_argument unless the network can run batch number `i`.
inline void require_batch(const nn::Network& network, std::span<const nn::Tensor> batch, std::string_view who,
                          std::size_t i) {
    auto const fail = [&](auto&&... what) {
        throw std::invalid_argument(concat(who, ": batch ", i, ": ", what...));
    };
    auto const inputs = network.inputs();
    if (batch.size() != inputs.size())
        fail("expected ", inputs.size(), inputs.size() == 1 ? " tensor" : " tensors",
             ", one for each input, found ", batch.size());
    for (std::size_t k = 0; k != inputs.size(); ++k) {
        const auto& input = network.node(inputs[k]);
        const nn::Shape& found = batch[k].shape();
        bool fits = found.size() == input.shape.size() && !found.empty() && found[0] >= 1;
        for (std::size_t d = 0; fits && d != found.size(); ++d)
            fits = input.shape[d] == nn::any_batch || input.shape[d] == found[d];
        if (!fits)
            fail("input \"", network.name(inputs[k]), "\": expected ", nn::to_string(input.shape), ", found ",
                 nn::to_string(found));
        if (found[0] != batch[0].dim(0))
            fail("input \"", network.name(inputs[k]), "\": expected ", batch[0].dim(0),
                 " samples as in the first, found ", found[0]);
    }
}

}  // namespace amct_distill::detail

// ---- amct_distill/student/student.hpp

/// A copy of a network whose planned layers quantize.
///
///     Student student = make_student(teacher, plan).value();
///     calibrate(student, batches).value();
///     Tensor logits = student.predict(images);
///     student.quantizers("conv1")->data_clip();

namespace amct_distill {

template <class Algorithms = StandardAlgorithms>
class BasicStudent {
public:
    using algorithms = Algorithms;

    /// Use make_student().
    BasicStudent(nn::Network network, BasicDistillPlan<Algorithms> plan)
        : network_(std::move(network)), plan_(std::move(plan)) {}

    const nn::Network& network() const { return network_; }
    nn::Network& network() { return network_; }
    const BasicDistillPlan<Algorithms>& plan() const { return plan_; }

    nn::Tensor predict(const nn::Tensor& input) const { return network_.predict(input); }

    /// The quantizers of a layer; null when it is not quantized.
    const LayerQuantizers<Algorithms>* quantizers(std::string_view layer) const {
        const auto* const q = quantized(network_.module(layer));
        return q == nullptr ? nullptr : &q->quantizers();
    }
    LayerQuantizers<Algorithms>* quantizers(std::string_view layer) {
        auto* const q = network_.module(layer).template get_if<QuantizedLayer<Algorithms>>();
        return q == nullptr ? nullptr : &q->quantizers();
    }
    /// The float weight of a quantized layer; null when it is not quantized.
    const nn::Tensor* weight(std::string_view layer) const {
        const auto* const q = quantized(network_.module(layer));
        return q == nullptr ? nullptr : &q->layer().weight();
    }
    /// A quantized layer; null when the module is not one.
    const QuantizedLayer<Algorithms>* quantized(ModuleId module) const {
        return quantized(network_.module(module));
    }

private:
    static const QuantizedLayer<Algorithms>* quantized(const nn::Module& module) {
        return module.template get_if<QuantizedLayer<Algorithms>>();
    }

    nn::Network network_;
    BasicDistillPlan<Algorithms> plan_;
};

using Student = BasicStudent<>;

/// Copies the teacher and puts quantizing layers where the plan enables them. Errors, all of them: parameters
/// of a wrong shape, or that are not finite, or a variance below 0, with the layer's name and the
/// parameter's; weights of a range too wide for a scale. Warnings: weights of a range too narrow for one.
/// Throws std::invalid_argument when the plan is of another network, with the first difference.
template <class Algorithms>
result<BasicStudent<Algorithms>> make_student(const nn::Network& teacher,
                                              const BasicDistillPlan<Algorithms>& plan) {
    if (auto const what = detail::difference(plan, teacher); !what.empty())
        throw std::invalid_argument(detail::concat("make_student: the plan is of another network: ", what,
                                                   "; resolve the configuration for this one"));
    Diagnostics warnings, errors = detail::check_parameters(teacher);
    if (!errors.empty()) return errors;
    nn::Network network = teacher;
    for (const auto& layer : plan.layers) {
        if (!layer.quant_enable) continue;
        const nn::Module& module = teacher.module(layer.module);
        const nn::Weighted* const weighted = module.weighted();
        if (weighted == nullptr)
            throw std::invalid_argument(detail::concat("make_student: layer \"", layer.name, "\" is a ",
                                                       module.type(),
                                                       ", which has no weights that can be quantized"));
        nn::Tensor buffer;
        auto made = LayerQuantizers<Algorithms>::make(
            layer, nn::WeightRows(*weighted).gather(weighted->weight(), buffer));
        Diagnostics& found = made ? warnings : errors;
        found.insert(found.end(), made.diagnostics().begin(), made.diagnostics().end());
        if (made) network.replace(layer.module, QuantizedLayer<Algorithms>(module, *std::move(made)));
    }
    if (!errors.empty()) return errors;
    return {BasicStudent<Algorithms>(std::move(network), plan), std::move(warnings)};
}

}  // namespace amct_distill

// ---- amct_distill/deploy/deployed_layer.hpp

/// A quantized layer as a device runs it: integer weights and biases, and the scales between.
///
///     const DeployedLayer& layer = deployment.layers()[0];
///     std::visit([]<class B>(const Codes<B>& codes) { use(codes.bytes()); }, layer.codes);
///     layer.bias;                                   // INT32, in units of dequantization_scale(channel)
///
/// It computes y = (sum of w * (x - offset) + bias) * (scale_d * scale_w), w and x being codes. Its
/// arithmetic besides is that of the network's module: `Deployment::network`.

namespace amct_distill {

struct DeployedLayer {
    std::string name{};
    ModuleId module{};  ///< in `Deployment::network`
    NodeId node{};      ///< its only use
    Width data_width{Int8{}};
    ScaleOffset data{};                      ///< of the input
    AnyCodes codes{};                        ///< of the weights, a row per output channel
    Scales weight_scales{};                  ///< one, or one per output channel; offset 0
    std::vector<std::int32_t> bias{};        ///< one per output channel; empty: none
    std::size_t channel_axis = 1;            ///< the dimension of the output that counts output channels
    std::string batch_norm{};                ///< the BatchNorm that is folded in; empty: none
    std::vector<std::size_t> requantized{};  ///< channels whose codes are not the student's, see deploy()
    /// The student's own quantizer of the input, x ~ (code - offset) * scale: what codes of the input are
    /// compared with. Where there is none, the affine one is taken.
    std::function<void(const nn::Tensor& x, nn::Tensor& quantized, const Execution& on)> quantize_data{};

    std::size_t rows() const { return amct_distill::rows(codes); }
    std::size_t cols() const { return amct_distill::cols(codes); }
    /// What one unit of the channel's accumulator stands for: scale_d * scale_w, in float32.
    float dequantization_scale(std::size_t channel) const {
        return data.scale * weight_scales.of_row(channel).scale;
    }
    /// f(index, output channel) for every value of an output of this shape.
    template <class F>
    void for_each_output(const nn::Shape& shape, F f) const {
        nn::Index const positions = nn::product(shape, channel_axis + 1, shape.size());
        std::size_t const size =
            shape.empty() ? 0 : static_cast<std::size_t>(nn::product(shape, 0, shape.size()));
        std::size_t i = 0;
        while (i != size)
            for (std::size_t channel = 0; channel != rows(); ++channel)
                for (nn::Index p = 0; p != positions; ++p) f(i++, channel);
    }
};

namespace detail {

/// The farthest that a code of the input is from the offset.
inline std::int64_t largest_data(const Width& width, ScaleOffset data) {
    return std::visit(
        [&]<class B>(B) { return std::int64_t{(std::max)(B::qmax - data.offset, data.offset - B::qmin)}; },
        width);
}
inline std::int64_t sum_of_magnitudes(std::span<const std::int8_t> codes) {
    std::int64_t sum = 0;
    for (std::int8_t c : codes) sum += std::abs(static_cast<int>(c));
    return sum;
}

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/deploy/fold.hpp

/// A BatchNorm2d after a layer, folded into the layer's weights and bias.
///
///     if (std::optional<ModuleId> bn = batch_norm_after(network, conv1)) {
///         const auto& norm = *network.module(*bn).get_if<nn::BatchNorm2d>();
///         std::vector<float> factors = fold_factors(norm);               // one per output channel
///         FoldedLayer folded = fold(conv.weight(), conv.bias(), norm);   // norm(conv(x)) = folded(x)
///     }
///
/// weight' = weight * factor, bias' = (bias - mean) * (1 / sqrt(var + eps)) * gamma + beta, per channel, in
/// float32 and in this order: bit for bit what PyTorch folds, and AMCT with it.

namespace amct_distill {

/// The BatchNorm2d that is the only consumer of a layer's output, as a module of the network. None when there
/// is none; when the layer or the BatchNorm is used more than once; when the layer's output leaves the
/// network.
inline std::optional<ModuleId> batch_norm_after(const nn::Network& network, ModuleId layer) {
    const Graph& graph = network.graph();
    if (graph.uses(layer).size() != 1) return std::nullopt;
    auto const next = graph.only_consumer(graph.uses(layer).front());
    if (!next) return std::nullopt;
    auto const module = graph.module_of(*next);
    if (!module || graph.uses(*module).size() != 1) return std::nullopt;
    return network.module(*module).get_if<nn::BatchNorm2d>() != nullptr ? module : std::nullopt;
}

namespace detail {
/// 1 / sqrt(running variance + eps) of a channel.
inline float inverse_deviation(const nn::BatchNorm2d& bn, std::size_t channel) {
    return 1.0f / std::sqrt(bn.running_var()[channel] + static_cast<float>(bn.options().eps));
}
}  // namespace detail

/// gamma * (1 / sqrt(running variance + eps)), one per channel; negative or 0 as gamma is.
inline std::vector<float> fold_factors(const nn::BatchNorm2d& bn) {
    std::vector<float> factors(bn.weight().size());
    for (std::size_t c = 0; c != factors.size(); ++c)
        factors[c] = bn.weight()[c] * detail::inverse_deviation(bn, c);
    return factors;
}

struct FoldedLayer {
    nn::Tensor weight{};  ///< of the shape it had
    nn::Tensor bias{};    ///< [out]
};

/// `weight` has the BatchNorm's channels as dimension 0; `bias` is [out], or empty for none.
inline FoldedLayer fold(const nn::Tensor& weight, const nn::Tensor& bias, const nn::BatchNorm2d& bn) {
    auto const factors = fold_factors(bn);
    std::size_t const channels = factors.size(), taps = weight.size() / channels;
    FoldedLayer folded{weight, nn::Tensor({static_cast<nn::Index>(channels)})};
    for (std::size_t c = 0; c != channels; ++c) {
        for (std::size_t k = c * taps; k != (c + 1) * taps; ++k) folded.weight[k] *= factors[c];
        float const centered = (bias.empty() ? 0.0f : bias[c]) - bn.running_mean()[c];
        folded.bias[c] = centered * detail::inverse_deviation(bn, c) * bn.weight()[c] + bn.bias()[c];
    }
    return folded;
}

}  // namespace amct_distill

// ---- amct_distill/deploy/fold_codes.hpp

/// The codes, scales and bias of one layer with its BatchNorm folded in, from those of the student.
///
///     DeployedLayer layer{.name = "conv1", .data_width = Int8{}, .data = q.data_scale()};
///     nn::Tensor meant, bias;                 // in float: what the codes stand for, and the folded bias
///     detail::FoldCodes<Int4>(layer, rows, conv_bias, norm).run(codes, meant, bias);
///
/// With `factor` = gamma / sqrt(var + eps) of an output channel:
///
/// - The codes are the student's, with the sign of the factor, and the scale is the student's times |factor|:
///   per channel, also where one scale served the tensor. So the folded layer computes what was simulated.
/// - A negative factor would turn code qmin into qmax + 1, which does not exist. A channel that has this code
///   gets the scale times -qmin / qmax, as ARQ would find it for the folded weights, and new codes: those of
///   the folded float weights.
/// - A factor of 0 leaves codes 0, and the bias is the whole output. The scale stays positive: where it would
///   be 0, or so low that the bias would take more than 30 bits, it is the least with which the bias takes
///   22, as many as a float32 has anyway; the codes are then new ones as above.
/// - bias = round((folded bias) / (scale_d * scale_w)), in float32, half to even.

namespace amct_distill::detail {

template <BitWidth B>
class FoldCodes {
public:
    /// `weight` has a row per output channel; `bn` may be null. What is found goes to `out`, whose name,
    /// input scale and width are set.
    FoldCodes(DeployedLayer& out, const nn::Tensor& weight, const nn::Tensor& bias, const nn::BatchNorm2d* bn)
        : out_(out),
          folded_(bn ? fold(weight, bias, *bn) : FoldedLayer{weight, bias}),
          factors_(bn ? fold_factors(*bn) : std::vector<float>{}) {}

    /// `codes` are the student's. Errors: see deploy().
    result<void> run(QuantizedMatrix codes, nn::Tensor& meant, nn::Tensor& bias) {
        codes_ = std::move(codes);
        for (ScaleOffset p : codes_.scales)
            if (p.offset != 0)
                return general_error(concat("weights with an offset (", p.offset,
                                            ") are not deployed; use a symmetric weight quantizer"));
        if (auto ok = check_finite(folded_.weight.span(), "folded weights"); !ok) return ok;
        if (!folded_.bias.empty())
            if (auto ok = check_finite(folded_.bias.span(), "folded bias"); !ok) return ok;
        if (auto ok = find_scales(); !ok) return ok;
        if (auto ok = find_bias(); !ok) return ok;
        auto packed = Codes<B>::pack(codes_.codes, codes_.rows, codes_.cols);
        if (!packed) return packed.diagnostics();
        out_.codes = *std::move(packed);

        meant = std::move(folded_.weight);
        for (std::size_t r = 0; r != codes_.rows; ++r)
            dequantize(row(r), meant.span().subspan(r * codes_.cols, codes_.cols),
                       out_.weight_scales.of_row(r));
        bias = std::move(folded_.bias);
        return {};
    }

private:
    float factor_of(std::size_t r) const { return factors_.empty() ? 1.0f : factors_[r]; }
    float bias_of(std::size_t r) const { return folded_.bias.empty() ? 0.0f : folded_.bias[r]; }
    std::span<std::int8_t> row(std::size_t r) {
        return std::span(codes_.codes).subspan(r * codes_.cols, codes_.cols);
    }

    result<void> find_scales() {
        std::vector<ScaleOffset> scales(codes_.rows);
        for (std::size_t r = 0; r != codes_.rows; ++r) {
            auto const own = row(r);
            bool const flipped = factor_of(r) < 0;
            float scale = codes_.scales.of_row(r).scale * std::fabs(factor_of(r));
            bool is_new = false;
            if (flipped && std::find(own.begin(), own.end(), B::qmin) != own.end()) {
                scale = scale * static_cast<float>(-B::qmin) / static_cast<float>(B::qmax);
                is_new = true;
            }
            float const bias = std::fabs(bias_of(r)) / out_.data.scale;
            if (scale == 0 || scale < bias / 0x1p30f) {
                scale = bias == 0 ? 1.0f : bias / 0x1p22f;
                is_new = true;
            }
            scales[r] = {scale, 0};
            if (auto ok = check_unit(r, scale); !ok) return ok;
            if (is_new) {
                quantize<B>(folded_.weight.span().subspan(r * codes_.cols, codes_.cols), own, scales[r]);
                out_.requantized.push_back(r);
            } else if (flipped) {
                for (std::int8_t& c : own) c = static_cast<std::int8_t>(-c);
            }
        }
        if (codes_.scales.size() == 1 && factors_.empty() && out_.requantized.empty()) scales.resize(1);
        out_.weight_scales = Scales(std::move(scales));
        return {};
    }

    /// One unit of the accumulator is a normal float: below, the bias and the output would lose digits.
    result<void> check_unit(std::size_t r, float scale) const {
        float const unit = out_.data.scale * scale;
        if (unit >= (std::numeric_limits<float>::min)() && std::isfinite(unit)) return {};
        return general_error(concat("channel ", r, ": scale_d * scale_w is ", number(unit),
                                    ", not a normal float; calibrate with other data, or skip the layer"));
    }

    result<void> find_bias() {
        for (std::size_t r = 0; r != codes_.rows; ++r) {
            float const bias = std::nearbyint(bias_of(r) / out_.dequantization_scale(r));
            std::int64_t const most = sum_of_magnitudes(row(r)) * largest_data(out_.data_width, out_.data) +
                                      static_cast<std::int64_t>(std::fabs(bias));
            if (most > (std::numeric_limits<std::int32_t>::max)())
                return general_error(concat("channel ", r, ": its accumulator can reach ", most,
                                            ", more than INT32 holds (", codes_.cols,
                                            " weights a channel); use INT4, or split the layer"));
            if (!folded_.bias.empty()) out_.bias.push_back(static_cast<std::int32_t>(bias));
        }
        return {};
    }

    DeployedLayer& out_;
    FoldedLayer folded_;
    std::vector<float> factors_;
    QuantizedMatrix codes_{};
};

}  // namespace amct_distill::detail

// ---- amct_distill/deploy/deployment.hpp

/// What a device needs of a student, in one object: the network with its BatchNorms folded, and the integers
/// of its quantized layers.
///
///     Deployment device = deploy(student).value();
///     device.layers()[0].codes;                       // see deployed_layer.hpp
///     write(device, "out").value();                   // record, codes, biases: write.hpp
///     nn::Network integers = integer_network(device); // integer.hpp
///     verify(device, batches).value().agrees();       // verify.hpp

namespace amct_distill {

class Deployment {
public:
    /// Use deploy(). Throws std::invalid_argument when a layer is not the network's, with the first
    /// difference.
    Deployment(nn::Network network, std::vector<DeployedLayer> layers)
        : network_(std::move(network)), layers_(std::move(layers)) {
        for (const DeployedLayer& layer : layers_) check_layer(layer);
    }

    /// The network in float: a quantized layer has the weights that its codes stand for and the folded bias,
    /// and does not quantize its input; a folded BatchNorm is an Identity; all else is the student's.
    const nn::Network& network() const { return network_; }
    /// The quantized layers, in definition order.
    const std::vector<DeployedLayer>& layers() const { return layers_; }
    /// By name; null: the layer is not quantized.
    const DeployedLayer* layer(std::string_view name) const {
        for (const DeployedLayer& l : layers_)
            if (l.name == name) return &l;
        return nullptr;
    }

private:
    void check_layer(const DeployedLayer& layer) const {
        auto const fail = [&](const auto&... what) {
            throw std::invalid_argument(detail::concat("Deployment: layer `", layer.name, "` ", what...));
        };
        if (network_.graph().module_named(layer.name) != layer.module ||
            network_.graph().node_named(layer.name) != layer.node)
            fail("is not one of the network's");
        const nn::Module& module = network_.module(layer.module);
        const nn::Weighted* const weighted = module.weighted();
        if (weighted == nullptr) fail("is a ", module.type(), ", which has no weights that are quantized");
        nn::WeightRows const rows(*weighted);
        if (static_cast<std::size_t>(rows.count()) != layer.rows() ||
            static_cast<std::size_t>(rows.length()) != layer.cols())
            fail("has ", layer.rows(), " x ", layer.cols(), " codes, but a weight ",
                 nn::to_string(weighted->weight().shape()));
        if (!layer.weight_scales.fit(layer.rows()))
            fail("has ", layer.weight_scales.size(), " scales for ", layer.rows(), " channels");
        if (!layer.bias.empty() && layer.bias.size() != layer.rows())
            fail("has ", layer.bias.size(), " biases for ", layer.rows(), " channels");
    }

    nn::Network network_;
    std::vector<DeployedLayer> layers_;
};

namespace detail {

/// The dimension of the layer's output that counts its channels: along which a bias is added. Error: there is
/// none.
inline result<std::size_t> channel_axis(const nn::Weighted& layer, nn::Shape input) {
    nn::Index const channels = layer.output_channels();
    nn::Tensor bias({channels});
    for (nn::Index c = 0; c != channels; ++c) bias[static_cast<std::size_t>(c)] = static_cast<float>(c);
    nn::Module const numbered = layer.with_parameters(nn::Tensor(layer.weight().shape()), bias);
    if (input.at(0) == nn::any_batch) input[0] = 1;
    nn::Tensor const x(input);
    nn::Tensor y(numbered.output_shape(std::span(&input, 1)).value());
    nn::Scratch scratch;
    numbered.forward(std::array{&x}, y, scratch, nn::Mode::evaluate);
    for (std::size_t axis = 1; axis < y.rank(); ++axis) {
        if (y.dim(axis) != channels) continue;
        auto const after = static_cast<std::size_t>(nn::product(y.shape(), axis + 1, y.rank()));
        std::size_t i = 0;
        while (i != y.size() && y[i] == static_cast<float>(i / after % static_cast<std::size_t>(channels)))
            ++i;
        if (i == y.size()) return axis;
    }
    return general_error(concat("its ", channels, " biases do not belong to one dimension of its output ",
                                nn::to_string(y.shape()), "; such a layer is not deployed: skip it"));
}

[[gnu::cold]] inline Diagnostic not_deployed(std::string_view what, std::string_view width) {
    return general_error(
        concat(what, " of ", width, " are not deployed; choose a width that configurations name"));
}

/// What becomes of one layer, whose name, module, node and channel axis are set: its integers, and as the
/// result the layer in float that they stand for. `bn` may be null.
template <class Algorithms>
result<nn::Module> deploy_layer(const QuantizedLayer<Algorithms>& from, const nn::BatchNorm2d* bn,
                                DeployedLayer& out) {
    const auto& q = from.quantizers();
    const nn::Weighted& layer = from.layer();
    if (!q.is_calibrated()) return general_error("it is not calibrated; call calibrate() first");
    nn::WeightRows const rows = from.rows();
    nn::Tensor buffer;
    const nn::Tensor& matrix = rows.gather(layer.weight(), buffer);
    auto codes = q.weight_codes(matrix);
    if (!codes) return codes.diagnostics();
    out.data = q.data_scale();
    out.quantize_data = [q](const nn::Tensor& x, nn::Tensor& quantized, const Execution& on) {
        q.quantize_data(x, quantized, on);
    };
    result<void> done = q.visit_data_bits([&]<class B>(std::type_identity<B>) -> result<void> {
        if constexpr (!Widths::has<B>)
            return not_deployed("data", B::name);
        else
            out.data_width = B{};
        return {};
    });
    if (!done) return done.diagnostics();
    nn::Tensor meant, bias;
    done = q.visit_weight_bits([&]<class B>(std::type_identity<B>) -> result<void> {
        if constexpr (!Widths::has<B>)
            return not_deployed("weights", B::name);
        else
            return FoldCodes<B>(out, matrix, layer.bias(), bn).run(*std::move(codes), meant, bias);
    });
    if (!done) return done.diagnostics();
    nn::Tensor weight(layer.weight().shape());
    rows.scatter(meant, weight);
    return layer.with_parameters(weight, bias);
}

}  // namespace detail

/// The student as a device runs it. A BatchNorm that is the only consumer of a quantized layer is folded into
/// it (fold.hpp); which codes and scales come of it says fold_codes.hpp. Channels with other codes than the
/// student's are named in `requantized`.
///
/// Errors, all of them, each with its layer: not calibrated; weights, or what BatchNorm makes of them, not
/// finite; weights with an offset; scale_d * scale_w not a normal float; an accumulator that could leave
/// INT32: per channel, sum of |w| * max(qmax - offset, offset - qmin) + |bias| must not.
template <class Algorithms>
result<Deployment> deploy(const BasicStudent<Algorithms>& student) {
    const nn::Network& network = student.network();
    nn::Network folded = network;
    std::vector<DeployedLayer> layers;
    Diagnostics errors;
    for (const auto& planned : student.plan().layers) {
        const auto* const from = student.quantized(planned.module);
        if (from == nullptr) continue;
        DeployedLayer layer{.name = planned.name, .module = planned.module, .node = planned.node};
        auto const fail = [&](const Diagnostics& why) {
            for (Diagnostic& d : detail::of_layer(planned.name, why)) errors.push_back(std::move(d));
        };
        const nn::Shape& input = network.node(network.node(planned.node).inputs.at(0)).shape;
        auto const axis = detail::channel_axis(from->layer(), input);
        if (!axis) {
            fail(axis.diagnostics());
            continue;
        }
        layer.channel_axis = *axis;
        std::optional<ModuleId> bn = batch_norm_after(network, planned.module);
        if (layer.channel_axis != 1) bn.reset();  // a BatchNorm2d's channels are dimension 1
        const nn::BatchNorm2d* norm = nullptr;
        if (bn) {
            layer.batch_norm = network.modules()[*bn].name;
            norm = network.module(*bn).template get_if<nn::BatchNorm2d>();
        }
        auto made = detail::deploy_layer(*from, norm, layer);
        fail(made.diagnostics());
        if (!made) continue;
        folded.replace(planned.module, *std::move(made));
        if (bn) folded.replace(*bn, nn::Identity{});
        layers.push_back(std::move(layer));
    }
    if (!errors.empty()) return errors;
    return Deployment(std::move(folded), std::move(layers));
}

}  // namespace amct_distill

// ---- amct_distill/deploy/record.hpp

/// The record of a deployment: the quantization factors that a deployment tool needs, with each BatchNorm
/// folded into the layer before it.
///
///     ScaleOffsetRecord record = make_record(deployment);
///     write_file("record.txt", print(record)).value();

namespace amct_distill {

/// One entry per quantized layer, in definition order. The types are named where they are not the schema's
/// default, INT8: `act_type` of the data, `wts_type` of the weights, `dst_type` when both are the same.
inline ScaleOffsetRecord make_record(const Deployment& deployment) {
    ScaleOffsetRecord record;
    for (const DeployedLayer& layer : deployment.layers()) {
        SingleLayerRecord one;
        one.scale_d = layer.data.scale;
        one.offset_d = layer.data.offset;
        for (ScaleOffset p : layer.weight_scales) {
            one.scale_w.push_back(p.scale);
            one.offset_w.push_back(p.offset);
        }
        std::string_view const data = name_of(layer.data_width), weights = name_of(layer.codes);
        if (data == weights && data != one.dst_type.get()) one.dst_type = std::string(data);
        if (data != one.act_type.get()) one.act_type = std::string(data);
        if (weights != one.wts_type.get()) one.wts_type = std::string(weights);
        record.record.push_back({.key = layer.name, .value = std::move(one)});
    }
    return record;
}

/// Of what `deploy` makes of the student, recomputed from its final parameters. Errors: those of `deploy`.
template <class Algorithms>
result<ScaleOffsetRecord> make_record(const BasicStudent<Algorithms>& student) {
    auto const deployment = deploy(student);
    if (!deployment) return deployment.diagnostics();
    return make_record(*deployment);
}

}  // namespace amct_distill

// ---- amct_distill/student/data_source.hpp

/// Where the batches of a run come from: held in memory, or loaded one at a time.
///
///     calibrate(student, tensors);        // std::vector<nn::Tensor>: a network of one input
///     calibrate(student, batches);        // std::vector<Batch>: a tensor for each input of the network
///     struct Files {                      // anything with these two
///         std::size_t size() const;
///         result<Batch> load(std::size_t i) const;        // the same values at every call
///     };
///     calibrate(student, Files{...});

namespace amct_distill {

/// A tensor for each input of a network, in the order of its inputs; dimension 0 is the sample.
using Batch = std::vector<nn::Tensor>;

/// Loads batches one at a time; more than once each, and not in order.
template <class S>
concept LoadsBatches = requires(const S& source, std::size_t i) {
    { source.size() } -> std::convertible_to<std::size_t>;
    { source.load(i) } -> std::same_as<result<Batch>>;
};

/// A reference to batches: what it refers to outlives it, as with std::span.
class DataSource {
public:
    /// No batches.
    DataSource() = default;

    template <class Range>
    requires(std::constructible_from<std::span<const nn::Tensor>, const Range&>)
        DataSource(const Range& tensors)
        : tensors_(tensors), size_(tensors_.size()) {}

    template <class Range>
    requires(std::constructible_from<std::span<const Batch>, const Range&> &&
             !std::constructible_from<std::span<const nn::Tensor>, const Range&>)
        DataSource(const Range& batches)
        : batches_(batches), size_(batches_.size()) {}

    template <LoadsBatches Source>
    requires(!std::same_as<Source, DataSource>) DataSource(const Source& source)
        : source_(&source),
          load_([](const void* from, std::size_t i) { return static_cast<const Source*>(from)->load(i); }),
          size_(static_cast<std::size_t>(source.size())) {}

    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

    /// The tensors of batch i; valid until `buffer`, which holds a batch that was loaded, changes.
    result<std::span<const nn::Tensor>> load(std::size_t i, Batch& buffer) const {
        if (load_ != nullptr) {
            auto loaded = load_(source_, i);
            if (!loaded) return loaded.diagnostics();
            buffer = *std::move(loaded);
            return std::span<const nn::Tensor>(buffer);
        }
        if (!batches_.empty()) return std::span<const nn::Tensor>(batches_[i]);
        return tensors_.subspan(i, 1);
    }

private:
    std::span<const nn::Tensor> tensors_{};
    std::span<const Batch> batches_{};
    const void* source_ = nullptr;
    result<Batch> (*load_)(const void*, std::size_t) = nullptr;
    std::size_t size_ = 0;
};

}  // namespace amct_distill

// ---- amct_distill/student/run_options.hpp

/// How calibrate, distill and verify are run: threads, memory, where to keep what is finished, who is told.
/// None of it changes a bit of the result.
///
///     RunOptions run{.threads = 4, .memory_bytes = 2 << 30, .directory = "out/run"};
///     run.on_progress = [](const Progress& p) { return p.block < 3; };     // false: end here, keep the best
///     calibrate(student, batches, run).value();
///     distill(teacher, student, batches, {.epochs = 5}, run).value();

namespace amct_distill {

struct Progress;
/// False ends the training after this step: every block keeps the best it had.
using ProgressCallback = std::function<bool(const Progress&)>;

/// Where training is; handed to the progress callback after every step.
struct Progress {
    std::size_t block = 0, blocks = 0;  ///< from 0
    int epoch = 0, epochs = 0;          ///< from 0
    std::size_t step = 0, steps = 0;    ///< of the epoch, from 0
    double loss = 0;                    ///< of this step
};

struct RunOptions {
    int threads = 1;
    /// What may be kept in memory beyond the networks and one batch: the values that calibration observes,
    /// and the blocks' inputs and outputs. Where it does not suffice, calibration uses temporary files, and
    /// distillation computes again (or reads what was dumped) at every epoch.
    std::size_t memory_bytes = std::size_t{512} << 20;
    /// Where distill writes each finished block, and a dump; empty: blocks nowhere, a dump to the system's
    /// directory for temporary files.
    std::filesystem::path directory{};
    /// Whether blocks that the directory has are taken from there. If not, it must have none.
    bool resume = false;
    ProgressCallback on_progress{};

    /// Throws std::invalid_argument when they make no sense; `who` begins the message.
    void check_options(std::string_view who) const {
        if (threads < 1 || threads > 1024)
            throw std::invalid_argument(detail::concat(who, ": threads must be 1 to 1024, found ", threads));
        if (resume && directory.empty())
            throw std::invalid_argument(
                detail::concat(who, ": resume needs the directory of the run to continue; set directory"));
    }
};

}  // namespace amct_distill

// ---- amct_distill/deploy/integer.hpp

/// A deployed layer, run in integers as a device does: a module like any other.
///
///     nn::Network device = integer_network(deployment);   // every quantized layer in integers
///     nn::Tensor logits = device.predict(images);
///     IntegerLayer layer(deployment, "conv1");
///     layer.accumulate(x, sums);                     // INT32: codes of x times codes of the weights, + bias
///
/// Requantization is AMCT's: a sum times the float32 scale_d * scale_w of its channel is the layer's output,
/// float32, and the quantizer of the layer that reads it makes codes of it again. What lies between quantized
/// layers (activations, pooling, skipped layers) runs in float.
///
/// The sums are computed by the layer's own float kernels, so that any layer with weights runs in integers:
/// codes are whole numbers, and a float32 sum of whole numbers is exact as long as none of its parts passes
/// 2^24. Where a channel's codes could pass it, they are split into several weights, whose sums are added as
/// INT32.

namespace amct_distill {

using IntegerTensor = nn::BasicTensor<std::int32_t>;

class IntegerLayer {
public:
    static constexpr std::string_view type_name = "IntegerLayer";

    /// Throws std::invalid_argument when the deployment has no quantized layer of this name.
    IntegerLayer(const Deployment& deployment, std::string_view name)
        : layer_(found(deployment, name)), module_(deployment.network().module(layer_.module)) {
        split();
        module_ = module_.weighted()->with_parameters(parts_[0], {});
    }

    const DeployedLayer& layer() const { return layer_; }

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        return module_.output_shape(inputs);
    }

    /// The codes of an input. Throws std::invalid_argument when it has a value that is not finite.
    void quantize_data(const nn::Tensor& x, std::vector<std::int8_t>& codes, const Execution& on = {}) const {
        if (auto const ok = check_finite(x.span(), layer_.name); !ok)
            throw std::invalid_argument(ok.diagnostics()[0].message);
        codes.resize(x.size());
        std::visit([&]<class B>(B) { quantize<B>(x.span(), codes, layer_.data, on); }, layer_.data_width);
    }

    /// The INT32 accumulators, of the shape of the output: sum of w * (x - offset) over what the layer sees,
    /// padding being 0, plus bias. They cannot overflow: `deploy` has checked it. Throws
    /// std::invalid_argument when x does not have the shape of an input or is not finite.
    void accumulate(const nn::Tensor& x, IntegerTensor& sums, nn::Scratch& scratch) const {
        auto const shape = output_shape(std::array{x.shape()});
        if (!shape)
            throw std::invalid_argument(detail::concat(layer_.name, ": ", shape.diagnostics()[0].message));
        const nn::Weighted& weighted = *module_.weighted();
        nn::Tensor& values = scratch.tensor(weighted.scratch_tensors());
        nn::Tensor& partial = scratch.tensor(weighted.scratch_tensors() + 1);
        std::vector<std::int8_t> codes;
        quantize_data(x, codes, scratch.execution());
        values.resize(x.shape());
        dequantize(codes, values.span(), {1.0f, layer_.data.offset}, scratch.execution());
        partial.resize(*shape);
        sums.resize(*shape);
        if (layer_.bias.empty())
            sums.fill(0);
        else
            layer_.for_each_output(
                *shape, [&](std::size_t i, std::size_t channel) { sums[i] = layer_.bias[channel]; });
        for (const nn::Tensor& part : parts_) {
            weighted.forward_with(part, values, partial, scratch);
            for (std::size_t i = 0; i != sums.size(); ++i) sums[i] += static_cast<std::int32_t>(partial[i]);
        }
    }
    void accumulate(const nn::Tensor& x, IntegerTensor& sums) const {
        nn::Scratch scratch;
        accumulate(x, sums, scratch);
    }

    /// float32(sum) * (scale_d * scale_w).
    void dequantize_sums(const IntegerTensor& sums, nn::Tensor& output) const {
        output.resize(sums.shape());
        layer_.for_each_output(sums.shape(), [&](std::size_t i, std::size_t channel) {
            output[i] = static_cast<float>(sums[i]) * layer_.dequantization_scale(channel);
        });
    }

    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch& scratch, nn::Mode) const {
        IntegerTensor sums;
        accumulate(*inputs[0], sums, scratch);
        dequantize_sums(sums, output);
    }
    [[noreturn]] void backward(nn::Inputs, const nn::Tensor&, const nn::Tensor&, std::span<nn::Tensor* const>,
                               std::span<nn::Tensor>, nn::Scratch&, nn::Mode) const {
        throw std::invalid_argument(
            detail::concat("layer `", layer_.name, "` runs in integers: train the student"));
    }

private:
    static const DeployedLayer& found(const Deployment& deployment, std::string_view name) {
        if (const DeployedLayer* layer = deployment.layer(name)) return *layer;
        throw std::invalid_argument(
            detail::concat("IntegerLayer: the deployment has no quantized layer `", name, '`'));
    }

    /// The codes as weights in float, each code in one of the parts. In a part, no channel's sum of |w| times
    /// the farthest code of the input passes 2^24.
    void split() {
        std::int64_t const most =
            (std::int64_t{1} << 24) / detail::largest_data(layer_.data_width, layer_.data);
        nn::Shape const matrix{static_cast<nn::Index>(layer_.rows()), static_cast<nn::Index>(layer_.cols())};
        std::vector<nn::Tensor> parts(1, nn::Tensor(matrix));
        std::vector<std::int8_t> codes(layer_.cols());
        for (std::size_t r = 0; r != layer_.rows(); ++r) {
            unpack_row(layer_.codes, r, codes);
            std::size_t part = 0;
            std::int64_t sum = 0;
            for (std::size_t c = 0; c != codes.size(); ++c) {
                std::int64_t const magnitude = std::abs(static_cast<int>(codes[c]));
                if (sum + magnitude > most) {
                    sum = 0;
                    if (++part == parts.size()) parts.emplace_back(matrix);
                }
                sum += magnitude;
                parts[part][r * codes.size() + c] = static_cast<float>(codes[c]);
            }
        }
        const nn::Weighted& layer = *module_.weighted();
        for (const nn::Tensor& part : parts)
            nn::WeightRows(layer).scatter(part, parts_.emplace_back(layer.weight().shape()));
    }

    DeployedLayer layer_;
    nn::Module module_;                // without a bias
    std::vector<nn::Tensor> parts_{};  // weights that add up to the codes
};

/// The network with its quantized layers in integers.
inline nn::Network integer_network(const Deployment& deployment) {
    nn::Network out = deployment.network();
    for (const DeployedLayer& layer : deployment.layers())
        out.replace(layer.module, IntegerLayer(deployment, layer.name));
    return out;
}

}  // namespace amct_distill

// ---- amct_distill/deploy/simulation.hpp

/// A deployment in float: what the integers are compared with.
///
///     nn::Network simulation = simulation_network(deployment);
///     nn::Tensor logits = simulation.predict(images);
///
/// The input of a layer is quantized by the student's own quantizer, and multiplied in float32 by what the
/// codes of the weights stand for.

namespace amct_distill {

class SimulatedLayer {
public:
    static constexpr std::string_view type_name = "SimulatedLayer";

    /// `module` is the deployment's layer in float.
    SimulatedLayer(nn::Module module, const DeployedLayer& layer)
        : module_(std::move(module)),
          width_(layer.data_width),
          data_(layer.data),
          quantize_(layer.quantize_data) {}

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        return module_.output_shape(inputs);
    }
    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch& scratch, nn::Mode) const {
        const nn::Weighted& weighted = *module_.weighted();
        nn::Tensor& x = scratch.tensor(weighted.scratch_tensors());
        x.resize(inputs[0]->shape());
        if (quantize_)
            quantize_(*inputs[0], x, scratch.execution());
        else
            std::visit([&]<class B>(
                           B) { fake_quantize<B>(inputs[0]->span(), x.span(), data_, scratch.execution()); },
                       width_);
        weighted.forward_with(weighted.weight(), x, output, scratch);
    }
    [[noreturn]] void backward(nn::Inputs, const nn::Tensor&, const nn::Tensor&, std::span<nn::Tensor* const>,
                               std::span<nn::Tensor>, nn::Scratch&, nn::Mode) const {
        throw std::invalid_argument("a deployed layer is not trained: train the student");
    }

private:
    nn::Module module_;
    Width width_;
    ScaleOffset data_;
    decltype(DeployedLayer::quantize_data) quantize_;
};

/// The network with its quantized layers simulated.
inline nn::Network simulation_network(const Deployment& deployment) {
    nn::Network out = deployment.network();
    for (const DeployedLayer& layer : deployment.layers())
        out.replace(layer.module, SimulatedLayer(deployment.network().module(layer.module), layer));
    return out;
}

}  // namespace amct_distill

// ---- amct_distill/deploy/verify_report.hpp

/// What a verification found: of every quantized layer how far integers and simulation are apart, and of the
/// network's outputs.
///
///     for (const VerifiedLayer& l : report.layers) std::cout << l.name << ": " << l.largest << '\n';

namespace amct_distill {

struct VerifiedLayer {
    std::string name{};
    /// The INT32 sums, against the simulation's output in the same unit, rounded.
    std::size_t outputs = 0;
    std::size_t different = 0;
    std::int64_t largest = 0;    ///< difference, in units of the sum
    std::int64_t explained = 0;  ///< what the rounding of float32 and of the bias explain: see verify()
    /// The codes that the layer reads, against those of the simulation: the outputs of the layers before it,
    /// requantized.
    std::size_t inputs = 0;
    std::size_t inputs_different = 0;
    int inputs_largest = 0;                ///< difference, in codes
    std::size_t requantized_channels = 0;  ///< whose weight codes are not the student's: see deploy()
};

struct VerifyReport {
    std::vector<VerifiedLayer> layers{};
    /// Of the network's outputs: mean squared and largest difference between the integers, run from end to
    /// end, and the student, not folded.
    double output_error = 0;
    double output_largest = 0;
    /// Mean square of the student's output, to compare with.
    double output_square = 0;

    /// No layer's sums differ by more than rounding explains.
    bool agrees() const {
        return std::ranges::all_of(layers, [](const VerifiedLayer& l) { return l.largest <= l.explained; });
    }
};

}  // namespace amct_distill

// ---- amct_distill/deploy/verify.hpp

/// Whether the integers compute what was simulated, layer by layer.
///
///     VerifyReport report = verify(deployment, student, batches).value();
///     std::cout << to_table(report);
///     if (!report.agrees()) ...                           // a difference that rounding does not explain
///
/// Every layer is given the input that it has in the simulation, so that each answers for itself.

namespace amct_distill {

namespace detail {

/// The most by which a sum may differ from the rounded simulation. The simulation computes K products of two
/// rounded factors and adds them and the bias in float32: each term passes at most K + 3 roundings, and two
/// more are in scale_d * scale_w and in the bias. With u = 2^-24, whatever the order of the sum, its error is
/// below g * S, g = (K + 5) u / (1 - (K + 5) u), S the sum of the terms' magnitudes; at most, in units of the
/// sum, what the codes can reach plus |bias|. Rounding the bias adds 1/2, rounding the simulation 1/2.
inline std::int64_t explained_difference(const DeployedLayer& layer) {
    double const n = (static_cast<double>(layer.cols()) + 5) * 0x1p-24, growth = n / (1 - n);
    std::vector<std::int8_t> codes(layer.cols());
    double most = 0;
    for (std::size_t r = 0; r != layer.rows(); ++r) {
        unpack_row(layer.codes, r, codes);
        auto sum = static_cast<double>(sum_of_magnitudes(codes) * largest_data(layer.data_width, layer.data));
        if (!layer.bias.empty()) sum += std::abs(static_cast<double>(layer.bias[r])) + 1;
        most = (std::max)(most, sum);
    }
    return static_cast<std::int64_t>(growth * most + 1);
}

/// Adds one batch to the comparison.
inline void compare_sums(const DeployedLayer& layer, const IntegerTensor& sums, const nn::Tensor& simulated,
                         VerifiedLayer& to) {
    to.outputs += sums.size();
    layer.for_each_output(sums.shape(), [&](std::size_t i, std::size_t channel) {
        auto const unit = static_cast<double>(layer.dequantization_scale(channel));
        auto const expected =
            static_cast<std::int64_t>(std::nearbyint(static_cast<double>(simulated[i]) / unit));
        std::int64_t const d = std::abs(expected - sums[i]);
        if (d != 0) ++to.different;
        to.largest = (std::max)(to.largest, d);
    });
}
inline void compare_inputs(const IntegerLayer& integer, const nn::Tensor& simulated, const nn::Tensor& found,
                           VerifiedLayer& to) {
    std::vector<std::int8_t> a, b;
    integer.quantize_data(simulated, a);
    integer.quantize_data(found, b);
    to.inputs += a.size();
    for (std::size_t i = 0; i != a.size(); ++i) {
        int const d = std::abs(a[i] - b[i]);
        if (d != 0) ++to.inputs_different;
        to.inputs_largest = (std::max)(to.inputs_largest, d);
    }
}

/// Compares a deployment, batch after batch, with its simulation and with another network of the same
/// outputs.
class Verification {
public:
    explicit Verification(const Deployment& deployment)
        : deployment_(deployment),
          simulation_(simulation_network(deployment)),
          device_(integer_network(deployment)) {
        for (const DeployedLayer& l : deployment.layers()) {
            report_.layers.push_back({.name = l.name,
                                      .explained = explained_difference(l),
                                      .requantized_channels = l.requantized.size()});
            integers_.push_back(device_.module(l.module).get_if<IntegerLayer>());
            nodes_.push_back(l.node);
        }
    }

    void add(std::span<const nn::Tensor> batch, const nn::Network& reference, const nn::Executor& executor) {
        std::vector<const nn::Tensor*> inputs;
        for (const nn::Tensor& t : batch) inputs.push_back(&t);
        for (nn::Tape* tape : {&simulated_, &mixed_, &other_}) tape->use(&executor);
        scratch_.use(&executor);
        simulation_.forward(inputs, simulated_, nn::Mode::evaluate);
        simulation_.set_inputs(inputs, mixed_);
        compare_layers();
        device_.forward(inputs, mixed_, nn::Mode::evaluate);
        reference.forward(inputs, other_, nn::Mode::evaluate);
        for (nn::NodeId output : device_.outputs())
            compare_outputs(device_.value(output, mixed_), reference.value(output, other_));
    }
    VerifyReport finish() {
        report_.output_error /= values_;
        report_.output_square /= values_;
        return std::move(report_);
    }

private:
    void compare_layers() {
        for (nn::NodeId id : simulation_.operations()) {
            auto const found = std::ranges::find(nodes_, id);
            if (found == nodes_.end()) {
                simulation_.forward_node(id, mixed_, nn::Mode::evaluate);
                continue;
            }
            auto const k = static_cast<std::size_t>(found - nodes_.begin());
            nn::NodeId const input = simulation_.node(id).inputs[0];
            compare_inputs(*integers_[k], simulation_.value(input, simulated_),
                           simulation_.value(input, mixed_), report_.layers[k]);
            integers_[k]->accumulate(simulation_.value(input, simulated_), sums_, scratch_);
            compare_sums(deployment_.layers()[k], sums_, simulated_.output(id), report_.layers[k]);
            integers_[k]->dequantize_sums(sums_, mixed_.output(id));
        }
    }
    void compare_outputs(const nn::Tensor& ours, const nn::Tensor& theirs) {
        for (std::size_t i = 0; i != ours.size(); ++i) {
            double const y = static_cast<double>(theirs[i]), d = static_cast<double>(ours[i]) - y;
            report_.output_error += d * d;
            report_.output_square += y * y;
            report_.output_largest = (std::max)(report_.output_largest, std::abs(d));
        }
        values_ += static_cast<double>(ours.size());
    }

    const Deployment& deployment_;
    nn::Network simulation_, device_;
    std::vector<const IntegerLayer*> integers_{};
    std::vector<nn::NodeId> nodes_{};
    nn::Tape simulated_{}, mixed_{}, other_{};
    nn::Scratch scratch_{};
    IntegerTensor sums_{};
    double values_ = 0;
    VerifyReport report_{};
};

inline result<VerifyReport> run_verification(const Deployment& deployment, const nn::Network* reference,
                                             const DataSource& batches, const RunOptions& run) {
    run.check_options("verify");
    if (batches.empty()) return general_error("verify: no batches; give at least one");
    nn::Network simulation;
    if (reference == nullptr) {
        simulation = simulation_network(deployment);
        reference = &simulation;
    }
    Verification verification(deployment);
    nn::Executor const executor(run.threads);
    Batch buffer;
    for (std::size_t i = 0; i != batches.size(); ++i) {
        auto const batch = batches.load(i, buffer);
        if (!batch) return batch.diagnostics();
        require_batch(*reference, *batch, "verify", i);
        verification.add(*batch, *reference, executor);
    }
    return verification.finish();
}

/// What a student has that its deployment does not: the first difference, or "". Quantized layers and
/// BatchNorms are other modules in a deployment.
template <class Algorithms>
std::string difference(const Deployment& deployment, const BasicStudent<Algorithms>& student) {
    const nn::Network &a = deployment.network(), &b = student.network();
    for (nn::NodeId id; id != a.graph().size() && id != b.graph().size(); ++id.index) {
        if (a.name(id) != b.name(id))
            return concat("node ", id.index, " is `", a.name(id), "` in the deployment, and `", b.name(id),
                          "` in the student");
        if (a.node(id).shape != b.node(id).shape || a.node(id).inputs != b.node(id).inputs ||
            a.node(id).kind != b.node(id).kind)
            return concat("node `", a.name(id), "` of shape ", nn::to_string(a.node(id).shape),
                          " in the deployment is another one in the student, of shape ",
                          nn::to_string(b.node(id).shape));
    }
    if (a.graph().size() != b.graph().size())
        return concat("the deployment has ", a.graph().size(), " nodes, the student ", b.graph().size());
    if (!std::ranges::equal(a.outputs(), b.outputs())) return "their outputs are other nodes";
    for (const auto& planned : student.plan().layers)
        if ((student.quantized(planned.module) != nullptr) != (deployment.layer(planned.name) != nullptr))
            return concat("layer `", planned.name, "` is quantized in ",
                          deployment.layer(planned.name) ? "the deployment" : "the student", " only");
    return {};
}

}  // namespace detail

/// Runs the batches through the simulation (`simulation_network`: folded, float32) and through the integers.
/// Each integer layer takes the simulation's input; its sums are compared with the simulation's output, and
/// what becomes of them on the way to the next quantized layers with the codes those read in the simulation.
/// The sums can differ only by rounding, `explained` says how far; codes then differ where a value lies that
/// close to the middle between two codes. The network's outputs are compared with the simulation's. Errors:
/// no batches, or one that cannot be loaded. Throws std::invalid_argument when a batch does not fit the
/// network's inputs, or an option makes no sense. The result has the same bits with any number of threads.
inline result<VerifyReport>(verify)(const Deployment& deployment, const DataSource& batches,
                                    const RunOptions& run = {}) {
    return detail::run_verification(deployment, nullptr, batches, run);
}
/// The same, with the network's outputs compared with those of the student, which is not folded. Throws
/// std::invalid_argument when the deployment is not of this student, with the first difference.
template <class Algorithms>
result<VerifyReport>(verify)(const Deployment& deployment, const BasicStudent<Algorithms>& student,
                             const DataSource& batches, const RunOptions& run = {}) {
    if (auto const what = detail::difference(deployment, student); !what.empty())
        throw std::invalid_argument(
            detail::concat("verify: the deployment is not of this student: ", what, "; deploy it"));
    return detail::run_verification(deployment, &student.network(), batches, run);
}

}  // namespace amct_distill

// ---- amct_distill/core/source_text.hpp

/// A text and its name: what read(), resolve() and check_engine() need to show the line of a diagnostic.
///
///     SourceText const source = SourceText::file("quant.cfg").value();      // needs io/file.hpp
///     auto config = read<AMCTDistillConfig>(source).value();
///     auto plan = resolve(config, graph, target::generic, {.source = source}).value();
///     check_engine<engine>(plan, source).value();
///     SourceText{"quant.cfg", text};                                        // of a text that is at hand

namespace amct_distill {

template <class T>
class result;

struct SourceText {
    std::string name{};  ///< for diagnostics; may be empty
    std::string text{};  ///< may be empty: diagnostics then have no excerpt

    /// The whole file, named by its path. Error: it cannot be opened or read.
    static result<SourceText> file(const std::string& path);

    friend bool operator==(const SourceText&, const SourceText&) = default;
};

}  // namespace amct_distill

// ---- amct_distill/io/file.hpp

/// Files that are whole or not there: written to a temporary name beside the target, then renamed.
///
///     result<void> ok = write_file("out/record.txt", text);   // makes out/; an old file stays until then
///     result<std::string> text = read_file("quant.cfg");

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace amct_distill {

/// What a file that was written survives: the end of the process, or also a loss of power (slower: it waits
/// for the disk; on POSIX systems).
enum class Durability { after_exit, after_power_loss };

namespace detail {

struct CloseFile {
    void operator()(std::FILE* f) const { std::fclose(f); }
};
using file_handle = std::unique_ptr<std::FILE, CloseFile>;

inline Diagnostic file_error(std::string_view verb, const std::filesystem::path& path, int error) {
    return general_error(concat("cannot ", verb, " ", path.string(), ": ", std::strerror(error)));
}

/// Waits until the disk has it; the error's number, or 0.
inline int synchronize([[maybe_unused]] std::FILE* file) {
    if (std::fflush(file) != 0) return errno;
#if __has_include(<unistd.h>)
    if (::fsync(::fileno(file)) != 0) return errno;
#endif
    return 0;
}

}  // namespace detail

/// The whole file. Error: it cannot be opened or read.
inline result<std::string> read_file(const std::filesystem::path& path) {
    detail::file_handle const file(std::fopen(path.c_str(), "rb"));
    if (!file) return detail::file_error("open", path, errno);
    std::string text;
    char buffer[1 << 16];
    while (std::size_t const n = std::fread(buffer, 1, sizeof buffer, file.get())) text.append(buffer, n);
    if (std::ferror(file.get())) return detail::file_error("read", path, errno);
    return text;
}

inline result<SourceText> SourceText::file(const std::string& path) {
    auto text = read_file(path);
    if (!text) return text.diagnostics();
    return SourceText{path, *std::move(text)};
}

namespace detail {

/// Writes a file of exactly this content; the error's number, or 0. After an error the file is gone.
inline int write_content(const std::filesystem::path& path, std::string_view content, Durability durability) {
    file_handle file(std::fopen(path.c_str(), "wb"));
    if (!file) return errno;
    int code = 0;
    if (std::fwrite(content.data(), 1, content.size(), file.get()) != content.size()) code = errno;
    if (code == 0 && durability == Durability::after_power_loss) code = synchronize(file.get());
    // The last bytes may not fit the disk.
    if (std::fclose(file.release()) != 0 && code == 0) code = errno;
    std::error_code ignored;
    if (code != 0) std::filesystem::remove(path, ignored);
    return code;
}

}  // namespace detail

/// Replaces the file as a whole. Error: a directory or the file cannot be written (a full disk, ...); then
/// the temporary file is removed, and a file that was there before is as it was.
inline result<void> write_file(const std::filesystem::path& path, std::string_view content,
                               Durability durability = Durability::after_exit) {
    std::error_code error;
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
    if (error) return detail::file_error("create", path.parent_path(), error.value());
    std::filesystem::path temporary = path;
    temporary += ".tmp";
    if (int const code = detail::write_content(temporary, content, durability); code != 0)
        return detail::file_error("write", path, code);
    std::filesystem::rename(temporary, path, error);
    if (!error) return {};
    int const code = error.value();
    std::filesystem::remove(temporary, error);
    return detail::file_error("write", path, code);
}

}  // namespace amct_distill

// ---- amct_distill/io/directory_lock.hpp

/// A directory that one process at a time works in.
///
///     result<DirectoryLock> lock = DirectoryLock::take("out/run");
///     // error: "process 4711 works in out/run ..."
///
/// A file `lock` in the directory, locked by flock(2): the system lets go of it when the process ends,
/// however it ends. The file is removed with the object; one that a killed process left behind is taken over.

#if __has_include(<sys/file.h>)
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace amct_distill {

class DirectoryLock {
public:
    /// The directory exists. Errors: another process, or another run of this one, has it; the file cannot be
    /// made. Where the system or the file system has no such locks, the result holds a warning and a lock
    /// that locks nothing.
    static result<DirectoryLock> take(const std::filesystem::path& directory);

    DirectoryLock(DirectoryLock&& other) noexcept
        : path_(std::exchange(other.path_, {})), file_(std::exchange(other.file_, -1)) {}
    DirectoryLock& operator=(DirectoryLock&& other) noexcept {
        std::swap(path_, other.path_);
        std::swap(file_, other.file_);
        return *this;
    }
    ~DirectoryLock() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove(path_, ignored);  // while others cannot lock it
#if __has_include(<sys/file.h>)
        if (file_ >= 0) ::close(file_);
#endif
    }

private:
    DirectoryLock(std::filesystem::path path, int file) : path_(std::move(path)), file_(file) {}

    std::filesystem::path path_;  // to remove
    int file_;
};

namespace detail {

inline Diagnostic cannot_lock(const std::filesystem::path& directory) {
    return general_warning(concat("files in ", directory.string(),
                                  " cannot be locked: let no other process work there meanwhile"));
}

#if __has_include(<sys/file.h>)
/// Whose process has locked the file, which says so.
inline Diagnostic locked_by_other(const std::filesystem::path& directory, int file) {
    char text[32] = {};
    auto const n = ::pread(file, text, sizeof text - 1, 0);
    std::string_view pid(text, n > 0 ? static_cast<std::size_t>(n) : 0);
    pid = pid.substr(0, pid.find('\n'));
    std::string who = pid.empty() ? std::string("another process") : concat("process ", pid);
    if (pid == number(::getpid())) who += " (this one)";
    return general_error(
        concat(who, " works in ", directory.string(), "; wait for its end, or use another directory"));
}

/// Its owner may remove a file between our open and our lock: then the name is no file's, or another one's.
inline bool is_still_at(const std::filesystem::path& path, int file) {
    struct stat opened {};
    struct stat named {};
    return ::fstat(file, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
           opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}
#endif

}  // namespace detail

inline result<DirectoryLock> DirectoryLock::take(const std::filesystem::path& directory) {
#if __has_include(<sys/file.h>)
    std::filesystem::path const path = directory / "lock";
    for (;;) {
        int const file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (file < 0) return detail::file_error("create", path, errno);
        DirectoryLock lock({}, file);
        if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK) return detail::locked_by_other(directory, file);
            return {std::move(lock), {detail::cannot_lock(directory)}};
        }
        if (!detail::is_still_at(path, file)) continue;
        lock.path_ = path;
        std::string const pid = detail::concat(::getpid(), '\n');
        if (::ftruncate(file, 0) != 0 ||
            ::pwrite(file, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
            return detail::file_error("write", path, errno);
        return lock;
    }
#else
    return {DirectoryLock({}, -1), {detail::cannot_lock(directory)}};
#endif
}

}  // namespace amct_distill

// ---- amct_distill/student/input_calibration.hpp

/// Finds the first clips of one layer's input; until they are taken the input passes unquantized.
///
///     InputCalibration calibration(quantizers, IfmrOptions{}, /*memory=*/1 << 20);
///     calibration.observe(x, execution);  ...          // every batch of the layer's inputs
///     calibration.finish(execution);
///     calibration.take();                              // without it, the quantizers are as they were before

namespace amct_distill {
namespace detail {

/// The calibrator of a quantizer, with options where it takes them.
template <class Q>
struct CalibratorOf {
    typename Q::calibrator calibrator;
    explicit CalibratorOf(const IfmrOptions& options) : calibrator(make(options)) {}

private:
    static typename Q::calibrator make([[maybe_unused]] const IfmrOptions& options) {
        if constexpr (std::is_constructible_v<typename Q::calibrator, const IfmrOptions&>)
            return typename Q::calibrator(options);
        else
            return {};
    }
};
template <class>
struct with_calibrators;
template <class... Q>
struct with_calibrators<std::variant<Q...>> {
    using type = std::variant<std::monostate, CalibratorOf<Q>...>;
};

}  // namespace detail

template <class Algorithms>
class InputCalibration {
public:
    /// Of what was observed it keeps `memory` bytes, where the calibrator can be told so; the rest goes to a
    /// file.
    InputCalibration(LayerQuantizers<Algorithms>& quantizers, const IfmrOptions& options,
                     std::size_t memory = static_cast<std::size_t>(-1))
        : quantizers_(quantizers), was_calibrated_(quantizers.is_calibrated_) {
        std::visit(
            [&]<class Q>(const Q&) {
                auto& made = calibrator_.template emplace<detail::CalibratorOf<Q>>(options);
                detail::limit_memory_of(made.calibrator, (std::min)(memory, options.max_bytes));
            },
            quantizers.data_);
        quantizers.is_calibrated_ = false;
    }
    InputCalibration(const InputCalibration&) = delete;
    InputCalibration& operator=(const InputCalibration&) = delete;
    ~InputCalibration() {
        if (!taken_) quantizers_.is_calibrated_ = was_calibrated_;
    }

    /// Errors: the batch is empty or not finite; a temporary file cannot be written.
    result<void> observe(std::span<const float> x, const Execution& on = {}) {
        return with_calibrator([&](auto& calibrator) { return detail::observe_on(on, calibrator, x); });
    }
    /// Errors: nothing was observed; no clips suit what was.
    result<void> finish(const Execution& on = {}) {
        return with_calibrator([&](auto& calibrator) -> result<void> {
            auto const found = detail::finish_on(on, calibrator);
            if (!found) return found.diagnostics();
            clip_ = found->clip;
            warnings_ = found.diagnostics();
            return {};
        });
    }
    /// Of `finish`.
    const Diagnostics& warnings() const { return warnings_; }
    /// After `finish`.
    void take() {
        quantizers_.set_clips(clip_.value());
        taken_ = true;
    }

private:
    template <class F>
    result<void> with_calibrator(const F& f) {
        return std::visit(
            [&]<class C>(C& held) -> result<void> {
                if constexpr (std::is_same_v<C, std::monostate>)
                    return {};  // never: the constructor makes one
                else
                    return f(held.calibrator);
            },
            calibrator_);
    }

    LayerQuantizers<Algorithms>& quantizers_;
    typename detail::with_calibrators<activation_quantizer_variant<Algorithms>>::type calibrator_{};
    std::optional<ClipRange> clip_{};
    Diagnostics warnings_{};
    bool was_calibrated_, taken_ = false;
};

}  // namespace amct_distill

// ---- amct_distill/student/slices.hpp

/// Runs a network on a batch that is cut along its samples into slices: each runs alone, threads take slices.
///
///     SliceRunner runner(network, &executor);
///     runner.run_batch(batch, network.outputs(), outputs);            // whole batches in, whole batches out
///     runner.for_each(samples, [&](std::size_t k, Slice slice, nn::Tape& tape, std::size_t worker) { ... });
///
/// How a batch is cut depends on its samples alone, never on the threads; whoever adds up what the slices
/// gave does it along one binary tree (`tree_sum`). So results have the same bits on any number of threads.
/// Where there are more threads than slices, all of them share one slice after the other.

namespace amct_distill {

/// Into how many slices a batch is cut; one of fewer samples into one for each.
inline constexpr std::size_t default_slices = 8;

/// Samples begin..end of a batch.
struct Slice {
    nn::Index begin = 0, end = 0;
    nn::Index size() const { return end - begin; }
};

namespace detail {

/// Slice k of `count`.
inline Slice slice_of(nn::Index samples, std::size_t k, std::size_t count) {
    auto const at = [&](std::size_t i) {
        return samples * static_cast<nn::Index>(i) / static_cast<nn::Index>(count);
    };
    return {at(k), at(k + 1)};
}

/// Whether dimension 0 of all values is the batch: then samples have nothing to do with each other.
inline bool can_be_cut(const nn::Network& network) {
    auto const has_batch = [&](nn::NodeId id) {
        const nn::Shape& shape = network.node(id).shape;
        return !shape.empty() && shape[0] == nn::any_batch;
    };
    return std::ranges::all_of(network.inputs(), has_batch) &&
           std::ranges::all_of(network.operations(), has_batch);
}

/// The values of a slice, at their place in a tensor of all samples.
inline std::span<const float> values_of(const nn::Tensor& whole, Slice slice) {
    std::size_t const one = whole.size() / static_cast<std::size_t>(whole.dim(0));
    return whole.span().subspan(static_cast<std::size_t>(slice.begin) * one,
                                static_cast<std::size_t>(slice.size()) * one);
}
inline std::span<float> values_of(nn::Tensor& whole, Slice slice) {
    std::size_t const one = whole.size() / static_cast<std::size_t>(whole.dim(0));
    return whole.span().subspan(static_cast<std::size_t>(slice.begin) * one,
                                static_cast<std::size_t>(slice.size()) * one);
}

/// Copies a slice of a batch into a tensor of its own; `shape` is that of the value in the network.
inline void take_slice(const nn::Tensor& whole, const nn::Shape& shape, Slice slice, nn::Tensor& to) {
    if (shape[0] != nn::any_batch) {
        to = whole;
        return;
    }
    to.resize_batch(shape, slice.size());
    std::ranges::copy(values_of(whole, slice), to.begin());
}

/// values[0] + values[1] + ..., added along a binary tree that the count alone determines: neighbours, then
/// neighbours of those. Overwrites them.
template <class T>
T tree_sum(std::span<T> values) {
    for (std::size_t stride = 1; stride < values.size(); stride *= 2)
        for (std::size_t i = 0; i + stride < values.size(); i += 2 * stride) values[i] += values[i + stride];
    return values.empty() ? T{} : values[0];
}

}  // namespace detail

class SliceRunner {
public:
    struct Given {
        nn::NodeId node;
        const nn::Tensor* value;
    };
    struct Wanted {
        nn::NodeId node;
        nn::Tensor* value;
    };

    /// Both outlive it. Null: the caller's thread alone.
    explicit SliceRunner(const nn::Network& network, const nn::Executor* executor = nullptr,
                         std::size_t slices = default_slices)
        : network_(network),
          executor_(executor),
          slices_((std::max)(slices, std::size_t{1})),
          is_cut_(detail::can_be_cut(network)) {
        std::size_t const threads = executor ? static_cast<std::size_t>(executor->threads()) : 1;
        for (std::size_t w = 0; w != (std::min)(threads, slices_); ++w) tapes_.emplace_back();
    }

    const nn::Network& network() const { return network_; }
    const nn::Executor* executor() const { return executor_; }
    /// The workspaces, one for each slice that runs at a time.
    std::deque<nn::Tape>& tapes() { return tapes_; }
    std::size_t count(nn::Index samples) const {
        return is_cut_ ? (std::max)(std::size_t{1}, (std::min)(slices_, static_cast<std::size_t>(samples)))
                       : 1;
    }

    /// What the modules of some nodes can compute once for all slices: after a change of their parameters.
    void prepare(std::span<const nn::NodeId> nodes) {
        prepared_.resize(network_.modules().size());
        preparing_.use(executor_);
        for (nn::NodeId id : nodes)
            if (auto const m = network_.node(id).module)
                network_.module(*m).prepare(prepared_[*m], preparing_);
    }

    /// f(k, slice, tape, worker) for every slice; `worker` is an index of `tapes()`, and no two calls at the
    /// same time have the same. What f throws is thrown here.
    template <class F>
    void for_each(nn::Index samples, F&& f) {
        std::size_t const n = count(samples);
        bool const share = shares_threads(n);
        auto const one = [&](std::size_t k, std::size_t worker) {
            nn::Tape& tape = tapes_[worker];
            tape.use(share ? executor_ : nullptr);
            tape.use_prepared(&prepared_);
            f(k, detail::slice_of(samples, k, n), tape, worker);
        };
        if (share)
            nn::Executor::run_here(n, one);
        else
            executor_->parallel_for(n, one);
    }

    /// f for one of the largest slices on every workspace, which then has room for any: which slice comes to
    /// which workspace is not the same in every `for_each`.
    template <class F>
    void make_room(nn::Index samples, F&& f) {
        std::size_t const n = count(samples);
        for (std::size_t w = 0; w != (shares_threads(n) ? 1 : tapes_.size()); ++w) {
            tapes_[w].use(shares_threads(n) ? executor_ : nullptr);
            tapes_[w].use_prepared(&prepared_);
            f(n - 1, detail::slice_of(samples, n - 1, n), tapes_[w], w);
        }
    }

    /// Runs some nodes, in graph order, in Mode::evaluate, from values that they read; `wanted` are
    /// overwritten.
    void run(std::span<const nn::NodeId> nodes, std::span<const Given> given,
             std::span<const Wanted> wanted) {
        nn::Index const samples = given.empty() ? 1 : given[0].value->dim(0);
        prepare(nodes);
        for (const Wanted& w : wanted) w.value->resize_batch(network_.node(w.node).shape, samples);
        for_each(samples, [&](std::size_t, Slice slice, nn::Tape& tape, std::size_t) {
            for (const Given& g : given)
                detail::take_slice(*g.value, network_.node(g.node).shape, slice, tape.output(g.node));
            network_.forward_nodes(nodes, tape, nn::Mode::evaluate);
            for (const Wanted& w : wanted) {
                const nn::Tensor& value = network_.value(w.node, tape);
                if (is_cut_)
                    std::ranges::copy(value.span(), detail::values_of(*w.value, slice).begin());
                else
                    *w.value = value;
            }
        });
    }

    /// The whole network on a batch, one tensor for each input; `values` become those of `nodes`.
    void run_batch(std::span<const nn::Tensor> batch, std::span<const nn::NodeId> nodes,
                   std::span<nn::Tensor> values) {
        given_.clear();
        wanted_.clear();
        for (std::size_t k = 0; k != batch.size(); ++k) given_.push_back({network_.inputs()[k], &batch[k]});
        for (std::size_t k = 0; k != nodes.size(); ++k) wanted_.push_back({nodes[k], &values[k]});
        run(network_.operations(), given_, wanted_);
    }

private:
    bool shares_threads(std::size_t slices) const {
        return executor_ == nullptr || slices < static_cast<std::size_t>(executor_->threads());
    }

    const nn::Network& network_;
    const nn::Executor* executor_;
    std::size_t slices_;
    bool is_cut_;
    std::deque<nn::Tape> tapes_{};
    std::vector<nn::Tensor> prepared_{};  // by module
    nn::Scratch preparing_{};
    std::vector<Given> given_{};
    std::vector<Wanted> wanted_{};
};

}  // namespace amct_distill

// ---- amct_distill/student/calibrate.hpp

/// Finds the first clip range of every quantized layer's input, by IFMR over some batches.
///
///     calibrate(student, batches).value();                              // batch_num of the plan
///     calibrate(student, batches, {.threads = 4, .memory_bytes = 1 << 30}).value();
///     calibrate(student, batches, {}, {.ifmr = {.max_percentile = 0.9999}}).value();
///
/// Source: AMCT's calibration. Weights are quantized throughout; an input passes unquantized until the clips
/// of all are found, or is quantized from the start by clips of the user's.

namespace amct_distill {

struct CalibrateOptions {
    IfmrOptions ifmr{};  ///< of every layer; what `max_bytes` allows for one is within the run's memory_bytes

    /// Throws std::invalid_argument when they make no sense.
    void check_options() const {
        if (auto const ok = ifmr.check_options(); !ok)
            throw std::invalid_argument(detail::concat("calibrate: ifmr: ", ok.diagnostics()[0].message));
    }
};

struct CalibrationReport {
    std::size_t batches = 0;  ///< that were observed: batch_num, or all where there are fewer
};

/// Takes the first batch_num batches; each counts once, and a warning says when there are fewer. Anew at
/// every call: clips that an earlier calibration found, or that were trained since, do not count.
///
/// Errors, the student then being as before: no batches, or one that cannot be loaded; an input of a layer
/// that is empty or not finite (with the layer's name). Throws std::invalid_argument, the student being as
/// before too, when a batch does not fit the network's inputs, or an option makes no sense. The result has
/// the same bits with any number of threads.
template <class Algorithms>
result<CalibrationReport> calibrate(BasicStudent<Algorithms>& student, DataSource batches,
                                    const RunOptions& run = {}, const CalibrateOptions& options = {}) {
    run.check_options("calibrate");
    options.check_options();
    if (batches.empty()) return general_error("calibrate: no batches; give at least one");
    const nn::Network& network = student.network();
    std::size_t const asked = student.plan().batch_num.value;
    CalibrationReport report{(std::min)(asked, batches.size())};

    struct Waiting {  // a layer that is being calibrated
        Waiting(const std::string& layer, nn::NodeId node, LayerQuantizers<Algorithms>& quantizers,
                const IfmrOptions& ifmr, std::size_t memory)
            : name(layer), input(node), calibration(quantizers, ifmr, memory) {}
        const std::string& name;
        nn::NodeId input;
        InputCalibration<Algorithms> calibration;
    };
    std::deque<Waiting> waiting;
    double values = 0;  // of one sample, of all layers' inputs
    auto const size_of = [&](nn::NodeId id) {
        double size = 1;
        for (nn::Index d : network.node(id).shape) size *= d > 0 ? static_cast<double>(d) : 1;
        return size;
    };
    auto const inputs_of = [&](auto f) {
        for (const auto& layer : student.plan().layers)
            if (auto* const q = student.quantizers(layer.name); q != nullptr && !q->has_user_clips())
                f(layer, *q, network.node(layer.node).inputs[0]);
    };
    inputs_of([&](const auto&, auto&, nn::NodeId input) { values += size_of(input); });
    inputs_of([&](const auto& layer, auto& quantizers, nn::NodeId input) {
        double const share = static_cast<double>(run.memory_bytes) * (size_of(input) / values);
        waiting.emplace_back(layer.name, input, quantizers, options.ifmr, static_cast<std::size_t>(share));
    });

    nn::Executor const executor(run.threads);
    SliceRunner runner(network, &executor);
    std::vector<nn::NodeId> nodes;  // that layers read, each once
    for (const Waiting& w : waiting) nodes.push_back(w.input);
    std::ranges::sort(nodes);
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    std::vector<nn::Tensor> read(nodes.size());
    Batch buffer;
    for (std::size_t i = 0; i != report.batches; ++i) {
        auto const batch = batches.load(i, buffer);
        if (!batch) return batch.diagnostics();
        detail::require_batch(network, *batch, "calibrate", i);
        runner.run_batch(*batch, nodes, read);
        for (Waiting& w : waiting) {
            auto const at = std::ranges::lower_bound(nodes, w.input) - nodes.begin();
            const nn::Tensor& x = read[static_cast<std::size_t>(at)];
            if (auto ok = w.calibration.observe(x.span(), executor.execution()); !ok)
                return detail::of_layer(w.name, ok.diagnostics());
        }
    }
    for (Waiting& w : waiting)
        if (auto ok = w.calibration.finish(executor.execution()); !ok)
            return detail::of_layer(w.name, ok.diagnostics());
    Diagnostics warnings;
    if (report.batches != asked)
        warnings.push_back(general_warning(detail::concat(
            "calibrate: batch_num is ", asked, ", and ", report.batches,
            report.batches == 1 ? " batch was" : " batches were", " given; each counts once")));
    for (Waiting& w : waiting) {
        w.calibration.take();
        Diagnostics const of_layer = detail::of_layer(w.name, w.calibration.warnings());
        warnings.insert(warnings.end(), of_layer.begin(), of_layer.end());
    }
    return {report, std::move(warnings)};
}

}  // namespace amct_distill

// ---- amct_distill/distill/adamw.hpp

/// AdamW (Loshchilov and Hutter 2019), with a learning rate per parameter tensor, as torch.optim.AdamW.
///
///     AdamW optimizer({.weight_decay = 0});
///     optimizer.add(weight, gradient, 1e-3);      // values of the caller's, which outlive the optimizer
///     optimizer.step();

namespace amct_distill {

struct AdamWOptions {
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-8;
    double weight_decay = 0.01;
};

class AdamW {
public:
    explicit AdamW(AdamWOptions options = {}) : options_(options) {}

    /// Throws std::invalid_argument when an option makes no sense.
    void check_options() const {
        auto const require = [](bool holds, std::string_view what, double value) {
            if (!holds)
                throw std::invalid_argument(detail::concat("AdamW: ", what, ", found ", number(value)));
        };
        const AdamWOptions& o = options_;
        require(o.beta1 >= 0 && o.beta1 < 1, "beta1 must be in [0, 1)", o.beta1);
        require(o.beta2 >= 0 && o.beta2 < 1, "beta2 must be in [0, 1)", o.beta2);
        require(o.epsilon > 0 && std::isfinite(o.epsilon), "epsilon must be a number above 0", o.epsilon);
        // In float32, where it is added.
        require(static_cast<float>(o.epsilon) > 0, "epsilon must not round to 0 in float32", o.epsilon);
        require(o.weight_decay >= 0 && std::isfinite(o.weight_decay),
                "weight_decay must be a number that is not negative", o.weight_decay);
    }
    /// For the fingerprint of a run.
    std::string settings() const {
        return detail::concat(number(options_.beta1), ' ', number(options_.beta2), ' ',
                              number(options_.epsilon), ' ', number(options_.weight_decay));
    }

    /// Trains `values` by their gradient; throws std::invalid_argument when they differ in number, and where
    /// check_options() does.
    void add(std::span<float> values, std::span<const float> gradient, double learning_rate) {
        check_options();
        if (values.size() != gradient.size())
            throw std::invalid_argument(detail::concat("AdamW: a parameter of ", values.size(),
                                                       " values has a gradient of ", gradient.size()));
        entries_.push_back({values, gradient, learning_rate, std::vector<float>(values.size()),
                            std::vector<float>(values.size())});
    }

    /// Of all learning rates, from the next step on; a schedule sets it step by step.
    void set_learning_rate_factor(double factor) { factor_ = factor; }

    /// p *= 1 - lr * weight_decay;  m = lerp(m, g, 1 - beta1);  v = beta2 * v + (1 - beta2) * g^2;
    /// p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon).
    /// float32 by element, the factors in double, as PyTorch does it.
    void step() {
        ++steps_;
        double const correction1 = 1 - std::pow(options_.beta1, steps_);
        double const correction2 = std::sqrt(1 - std::pow(options_.beta2, steps_));
        auto const keep2 = static_cast<float>(options_.beta2), take1 = static_cast<float>(1 - options_.beta1),
                   take2 = static_cast<float>(1 - options_.beta2), root = static_cast<float>(correction2),
                   epsilon = static_cast<float>(options_.epsilon);
        for (Entry& e : entries_) {
            double const learning_rate = e.learning_rate * factor_;
            auto const decay = static_cast<float>(1 - learning_rate * options_.weight_decay),
                       rate = static_cast<float>(learning_rate / correction1);
            for (std::size_t i = 0; i != e.values.size(); ++i) {
                float const g = e.gradient[i];
                float &p = e.values[i], &m = e.first[i], &v = e.second[i];
                m += take1 * (g - m);
                v = v * keep2 + take2 * (g * g);
                p = p * decay - rate * (m / (std::sqrt(v) / root + epsilon));
            }
        }
    }

private:
    struct Entry {
        std::span<float> values;
        std::span<const float> gradient;
        double learning_rate;
        std::vector<float> first, second;  // moments
    };

    AdamWOptions options_;
    double factor_ = 1;
    int steps_ = 0;
    std::vector<Entry> entries_{};
};

}  // namespace amct_distill

// ---- amct_distill/distill/blocks.hpp

/// What is trained together: a part of the network with inputs and outputs of its own.
///
///     for (const TrainedBlock& b : blocks_of(network, plan, BlockShape::automatic))
///         use(b.nodes, b.inputs, b.outputs);
///
/// AMCT's blocks are chains, whose last value is taught. A residual unit is the part between a value that
/// forks and the Add where its paths meet again, with the activation after it: its shortcut is trained with
/// it, and what is taught is what the rest of the network reads.

namespace amct_distill {

/// The plan's blocks, as AMCT makes them; residual units in place of those that lie in one, and an error
/// without any; residual units where there are some. A user's distill_group always stands.
enum class BlockShape { amct, residual, automatic };

struct TrainedBlock {
    std::vector<NodeId> nodes{};       ///< in graph order
    std::vector<NodeId> inputs{};      ///< values from outside that the nodes read, each once; no constants
    std::vector<NodeId> outputs{};     ///< values that are taught
    std::vector<std::string> names{};  ///< of the modules

    /// The first node that does not come before all of the block's.
    NodeId end(const nn::Network& network) const {
        return {nodes.back().index + network.node(nodes.back()).ports + 1};
    }
};

namespace detail {

/// The operation that a value is of: a port belongs to the node before it.
inline NodeId operation_of(const nn::Network& network, NodeId value) {
    auto const after = std::ranges::upper_bound(network.operations(), value);
    NodeId const op = after == network.operations().begin() ? value : after[-1];
    return value.index - op.index <= network.node(op).ports ? op : value;
}

/// Whether each node reads the one before it, and nothing else but constants.
inline bool is_chain(const nn::Network& network, const std::vector<NodeId>& nodes) {
    for (std::size_t k = 1; k != nodes.size(); ++k) {
        bool reads = false;
        for (NodeId input : network.node(nodes[k]).inputs) {
            if (network.node(input).kind == NodeKind::constant) continue;
            if (input != nodes[k - 1]) return false;
            reads = true;
        }
        if (!reads) return false;
    }
    return true;
}

/// A block of these nodes, in graph order; taught is the last one's value, or all that is read from outside.
inline TrainedBlock block_of_nodes(const nn::Network& network, std::vector<NodeId> nodes, bool last_alone) {
    TrainedBlock block{.nodes = std::move(nodes)};
    auto const is_own = [&](NodeId value) {
        return std::ranges::find(block.nodes, operation_of(network, value)) != block.nodes.end();
    };
    for (NodeId id : block.nodes) {
        if (auto const m = network.node(id).module) block.names.push_back(network.modules()[*m].name);
        for (NodeId input : network.node(id).inputs)
            if (network.node(input).kind != NodeKind::constant && !is_own(input) &&
                std::ranges::find(block.inputs, input) == block.inputs.end())
                block.inputs.push_back(input);
    }
    for (NodeId input : block.inputs)
        if (input > block.nodes.front())
            throw std::invalid_argument(concat("distill: the block at `", network.name(block.nodes.front()),
                                               "` reads `", network.name(input),
                                               "`, which is computed after its first node"));
    if (!last_alone)
        for (NodeId id : block.nodes)
            for (NodeId value : network.outputs_of(id)) {
                const auto& readers = network.graph().consumers(value);
                if (network.graph().is_output(value) || !std::ranges::all_of(readers, is_own))
                    block.outputs.push_back(value);
            }
    if (block.outputs.empty()) block.outputs.push_back(block.nodes.back());
    return block;
}

/// Finds residual units, which are runs of operations without anything else between.
class ResidualUnits {
public:
    explicit ResidualUnits(const nn::Network& network)
        : network_(network), operations_(network.operations()) {}

    /// None lies in another; the innermost where they do.
    std::vector<std::vector<NodeId>> find() const {
        std::vector<std::vector<NodeId>> units;
        std::size_t free = 0;  // operations before this one are in no further unit
        for (std::size_t at = 0; at != operations_.size(); ++at) {
            if (!is_addition(operations_[at])) continue;
            auto const begin = begin_of(at, free);
            if (!begin) continue;
            std::size_t end = at + 1;
            if (end != operations_.size() && is_activation_of(operations_[end], operations_[at])) ++end;
            units.emplace_back(operations_.begin() + static_cast<std::ptrdiff_t>(*begin),
                               operations_.begin() + static_cast<std::ptrdiff_t>(end));
            free = end;
        }
        return units;
    }

private:
    bool is_addition(NodeId id) const {
        return network_.graph().type(id) == "Add" && network_.node(id).inputs.size() == 2;
    }
    bool is_activation_of(NodeId id, NodeId addition) const {
        auto const reader = network_.graph().only_consumer(addition);
        std::string_view const type = network_.graph().type(id);
        return reader && *reader == id && network_.node(id).inputs.size() == 1 &&
               (is_activation(type) || is_relu(type));
    }
    /// Where the unit of the addition begins: the nearest operation from which on all paths come of one
    /// value.
    std::optional<std::size_t> begin_of(std::size_t addition, std::size_t free) const {
        bool has_weights = false;
        for (std::size_t begin = addition + 1; begin-- != free;) {
            auto const module = network_.node(operations_[begin]).module;
            has_weights = has_weights || (module && network_.module(*module).weighted() != nullptr);
            if (sources(begin, addition) == 1 && is_closed(begin, addition))
                return has_weights ? std::optional(begin) : std::nullopt;
        }
        return std::nullopt;
    }
    /// How many values from outside the operations begin..last read.
    std::size_t sources(std::size_t begin, std::size_t last) const {
        std::vector<NodeId> found;
        for (std::size_t k = begin; k <= last; ++k)
            for (NodeId input : network_.node(operations_[k]).inputs)
                if (input < operations_[begin] && network_.node(input).kind != NodeKind::constant &&
                    std::ranges::find(found, input) == found.end())
                    found.push_back(input);
        return found.size();
    }
    /// Whether nothing but the addition is read from outside.
    bool is_closed(std::size_t begin, std::size_t last) const {
        for (std::size_t k = begin; k != last; ++k)
            for (NodeId value : network_.outputs_of(operations_[k])) {
                if (network_.graph().is_output(value)) return false;
                for (NodeId reader : network_.graph().consumers(value))
                    if (reader > operations_[last]) return false;
            }
        return true;
    }

    const nn::Network& network_;
    std::span<const NodeId> operations_;
};

}  // namespace detail

/// In graph order. Throws std::invalid_argument when residual units are asked for and there are none.
template <class Algorithms>
std::vector<TrainedBlock> blocks_of(const nn::Network& network, const BasicDistillPlan<Algorithms>& plan,
                                    BlockShape shape) {
    std::vector<std::vector<NodeId>> units;
    if (shape != BlockShape::amct) units = detail::ResidualUnits(network).find();
    auto const shares = [](const std::vector<NodeId>& a, const std::vector<NodeId>& b) {
        return std::ranges::any_of(a, [&](NodeId id) { return std::ranges::find(b, id) != b.end(); });
    };
    std::erase_if(units, [&](const auto& unit) {
        return std::ranges::any_of(plan.blocks, [&](const PlannedBlock& block) {
            return block.from.by_user && shares(unit, block.nodes);
        });
    });
    if (shape == BlockShape::residual && units.empty())
        throw std::invalid_argument(
            "distill: blocks is `residual`, and the network has no residual unit that a distill_group leaves "
            "free; "
            "use `automatic` or `amct`");
    std::vector<TrainedBlock> blocks;
    for (const PlannedBlock& planned : plan.blocks) {
        std::vector<NodeId> rest;  // what no unit has
        for (NodeId id : planned.nodes)
            if (!std::ranges::any_of(units,
                                     [&](const auto& u) { return std::ranges::find(u, id) != u.end(); }))
                rest.push_back(id);
        if (rest.empty()) continue;
        bool const is_chain = detail::is_chain(network, rest);
        if (!is_chain && shape == BlockShape::amct)
            throw std::invalid_argument(detail::concat(
                "distill: the block at `", network.name(rest.front()),
                "` is not a chain, as AMCT's blocks are: set blocks to BlockShape::automatic"));
        blocks.push_back(detail::block_of_nodes(network, std::move(rest), is_chain));
    }
    for (auto& unit : units) blocks.push_back(detail::block_of_nodes(network, std::move(unit), false));
    std::ranges::sort(blocks, {}, [](const TrainedBlock& b) { return b.nodes.front(); });
    return blocks;
}

}  // namespace amct_distill

// ---- amct_distill/io/npy.hpp

/// Arrays as NumPy's `.npy` files (version 1.0, little-endian, row-major).
///
///     write_npy<float>("weights.npy", {8, 3}, values).value();          // whole or not there
///     NpyArray back = read_npy_array("weights.npy").value();            // the same bits
///     write_npy<std::int32_t>("conv1.bias.npy", {32}, bias).value();
///
/// Tensors are written and read by nn/npy.hpp.

namespace amct_distill {

static_assert(std::endian::native == std::endian::little,
              "amct_distill: .npy files are written little-endian");

using NpyShape = std::vector<std::ptrdiff_t>;
struct NpyArray {
    NpyShape shape{};
    std::vector<float> values{};  ///< row-major
};

namespace detail {

inline std::string npy_shape(const NpyShape& shape) {
    std::string text = "[";
    for (std::size_t i = 0; i != shape.size(); ++i) append(text, concat(i == 0 ? "" : ", ", shape[i]));
    return text + ']';
}

inline constexpr std::string_view npy_magic{"\x93NUMPY\x01\x00", 8};

/// As NumPy spells the type.
template <class T>
constexpr std::string_view npy_type() {
    static_assert(std::same_as<T, float> || std::same_as<T, std::int32_t> || std::same_as<T, std::int8_t> ||
                      std::same_as<T, std::uint8_t>,
                  "write_npy: values are float, int32, int8 or uint8");
    if constexpr (std::same_as<T, float>) return "<f4";
    if constexpr (std::same_as<T, std::int32_t>) return "<i4";
    if constexpr (std::same_as<T, std::int8_t>) return "|i1";
    return "|u1";
}
template <class T>
std::string npy_begin() {
    return concat("{'descr': '", npy_type<T>(), "', 'fortran_order': False, 'shape': (");
}

/// The bytes of the file.
template <class T>
std::string npy_content(const NpyShape& shape, std::span<const T> values) {
    std::string header = npy_begin<T>();
    for (std::ptrdiff_t d : shape) append(header, concat(d, ", "));
    header.append("), }");
    // magic, two bytes of length, header, newline: a multiple of 64 bytes.
    std::size_t const before = npy_magic.size() + 2;
    header.append(64 - (before + header.size() + 1) % 64, ' ');
    header.push_back('\n');

    std::string content(npy_magic);
    content.push_back(static_cast<char>(header.size() & 0xFF));
    content.push_back(static_cast<char>(header.size() >> 8));
    content.append(header);
    std::size_t const data = content.size();
    content.resize(data + values.size_bytes());
    if (!values.empty()) std::memcpy(content.data() + data, values.data(), values.size_bytes());
    return content;
}

}  // namespace detail

/// Error: the file cannot be written.
template <class T>
result<void> write_npy(const std::filesystem::path& path, const NpyShape& shape, std::span<const T> values) {
    return write_file(path, detail::npy_content(shape, values));
}

/// The array of a file's bytes. Errors, which name `what` they are: they are cut off, or not what write_npy
/// writes.
inline result<NpyArray> parse_npy(std::string_view bytes, std::string_view what) {
    auto const bad = [&](std::string_view why) {
        return general_error(detail::concat("cannot read ", what, ": ", why));
    };
    std::string_view rest = bytes;
    std::size_t const before = detail::npy_magic.size() + 2;
    if (!rest.starts_with(detail::npy_magic) || rest.size() < before)
        return bad("it is no .npy file of version 1.0");
    auto const byte = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(rest[i])}; };
    std::size_t const length = byte(before - 2) + (byte(before - 1) << 8);
    if (rest.size() < before + length) return bad("its header is cut off");
    std::string_view header = rest.substr(before, length);
    rest.remove_prefix(before + length);
    std::string const begin = detail::npy_begin<float>();
    if (!header.starts_with(begin)) return bad("expected float32, row-major values");
    header.remove_prefix(begin.size());

    NpyShape shape;
    std::size_t count = 1;
    while (!header.empty() && header.front() != ')') {
        std::ptrdiff_t d = 0;
        auto const [end, error] = std::from_chars(header.data(), header.data() + header.size(), d);
        if (error != std::errc{} || d < 0) return bad("its shape cannot be read");
        header.remove_prefix(static_cast<std::size_t>(end - header.data()));
        while (!header.empty() && (header.front() == ',' || header.front() == ' ')) header.remove_prefix(1);
        shape.push_back(d);
        count *= static_cast<std::size_t>(d);
        if (count > rest.size()) return bad("its values are cut off");
    }
    if (shape.empty() || rest.size() != count * sizeof(float))
        return bad(detail::concat("its shape ", detail::npy_shape(shape), " does not fit its ", rest.size(),
                                  " bytes"));
    NpyArray array{std::move(shape), std::vector<float>(count)};
    if (count != 0) std::memcpy(array.values.data(), rest.data(), rest.size());
    return array;
}

/// Errors: the file cannot be read, is cut off, or is not one that write_npy writes.
inline result<NpyArray> read_npy_array(const std::filesystem::path& path) {
    auto const content = read_file(path);
    if (!content) return content.diagnostics();
    return parse_npy(*content, path.string());
}

}  // namespace amct_distill

// ---- amct_distill/nn/npy.hpp

/// Tensors as NumPy's `.npy` files.
///
///     write_npy("run/block0_step0_input.npy", tensor).value();        // whole or not there
///     nn::Tensor back = read_npy("run/block0_step0_input.npy").value();   // the same bits

namespace amct_distill {

/// Error: the file cannot be written.
inline result<void> write_npy(const std::filesystem::path& path, const nn::Tensor& tensor) {
    return write_npy<float>(path, tensor.shape(), tensor.span());
}

/// Errors: the file cannot be read, is cut off, or is not one that write_npy writes for float32.
inline result<nn::Tensor> read_npy(const std::filesystem::path& path) {
    auto const array = read_npy_array(path);
    if (!array) return array.diagnostics();
    return nn::Tensor(array->shape, array->values);
}

}  // namespace amct_distill

// ---- amct_distill/distill/dump.hpp

/// The teacher's inputs and outputs of every block and step, on disk: computed once, read at every epoch.
///
///     auto dump = TeacherDump::write(teacher, blocks, batches, "/tmp");   // a new directory in there
///     dump->load(block, step, inputs, outputs).value();                        // the same bits
///
/// The directory is the run's own and is removed with the object. When something fails, it stays, for looking
/// into, and the diagnostics say where.

namespace amct_distill {

class TeacherDump {
public:
    /// Runs the teacher over all batches. Errors: a batch cannot be loaded; a directory or file cannot be
    /// written (a full disk, ...).
    static result<TeacherDump> write(const nn::Network& teacher, std::span<const TrainedBlock> blocks,
                                     DataSource batches, const std::filesystem::path& parent,
                                     const nn::Executor* executor = nullptr,
                                     std::size_t slices = default_slices) {
        auto directory = make_directory(parent);
        if (!directory) return directory.diagnostics();
        TeacherDump dump(*std::move(directory));
        SliceRunner runner(teacher, executor, slices);
        std::vector<nn::NodeId> nodes;  // what some block reads or is taught, each once
        for (const TrainedBlock& block : blocks)
            for (const auto* all : {&block.inputs, &block.outputs})
                nodes.insert(nodes.end(), all->begin(), all->end());
        std::ranges::sort(nodes);
        nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
        std::vector<nn::Tensor> values(nodes.size());
        auto const value = [&](nn::NodeId id) -> const nn::Tensor& {
            return values[static_cast<std::size_t>(std::ranges::lower_bound(nodes, id) - nodes.begin())];
        };
        Batch buffer;
        for (std::size_t i = 0; i != batches.size(); ++i) {
            auto const batch = batches.load(i, buffer);
            if (!batch) return dump.failed(batch.diagnostics());
            detail::require_batch(teacher, *batch, "distill", i);
            runner.run_batch(*batch, nodes, values);
            for (std::size_t b = 0; b != blocks.size(); ++b)
                for (auto [what, all] :
                     {std::pair{"input", &blocks[b].inputs}, {"output", &blocks[b].outputs}})
                    for (std::size_t k = 0; k != all->size(); ++k)
                        if (auto ok = write_npy(dump.file(b, i, what, k), value((*all)[k])); !ok)
                            return dump.failed(ok.diagnostics());
        }
        return dump;
    }

    TeacherDump(TeacherDump&& other) noexcept : directory_(std::exchange(other.directory_, {})) {}
    TeacherDump& operator=(TeacherDump&& other) noexcept {
        std::swap(directory_, other.directory_);
        return *this;
    }
    ~TeacherDump() {
        std::error_code ignored;
        if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
    }

    const std::filesystem::path& directory() const { return directory_; }

    /// Leaves the directory where it is, and says so in the last of the diagnostics.
    Diagnostics failed(Diagnostics why) {
        why.back().message += detail::concat("; the teacher's dump is kept in ", directory_.string());
        directory_.clear();
        return why;
    }

    /// Fills the tensors of a block and batch. Error: the files cannot be read.
    result<void> load(std::size_t block, std::size_t step, std::span<nn::Tensor> inputs,
                      std::span<nn::Tensor> outputs) const {
        for (auto [what, all] : {std::pair{"input", inputs}, {"output", outputs}})
            for (std::size_t k = 0; k != all.size(); ++k) {
                auto tensor = read_npy(file(block, step, what, k));
                if (!tensor) return tensor.diagnostics();
                all[k] = *std::move(tensor);
            }
        return {};
    }

private:
    explicit TeacherDump(std::filesystem::path directory) : directory_(std::move(directory)) {}

    /// "block0_step3_input.npy", and with a number where a block has several. Names of layers are not in it.
    std::filesystem::path file(std::size_t block, std::size_t step, std::string_view what,
                               std::size_t k) const {
        return directory_ / detail::concat("block", block, "_step", step, '_', what,
                                           k == 0 ? std::string() : number(k), ".npy");
    }

    /// A directory that was not there before: create_directory says so, also between processes.
    static result<std::filesystem::path> make_directory(const std::filesystem::path& parent) {
        std::error_code error;
        std::filesystem::create_directories(parent, error);
        if (error) return detail::file_error("create", parent, error.value());
        for (int i = 0;; ++i) {
            std::filesystem::path directory = parent / detail::concat("amct_distill_dump_", i);
            if (std::filesystem::create_directory(directory, error)) return directory;
            if (error) return detail::file_error("create", directory, error.value());
        }
    }

    std::filesystem::path directory_;
};

}  // namespace amct_distill

// ---- amct_distill/distill/loss.hpp

/// What a block is trained to make small; mean squared error unless another is given.
///
///     struct MeanAbsoluteError {
///         double operator()(const nn::Tensor& output, const nn::Tensor& target) const;
///         void gradient(const nn::Tensor& output, const nn::Tensor& target, nn::Tensor& gradient) const;
///     };
///     distill<MeanAbsoluteError>(teacher, student, batches, {.epochs = 5});

namespace amct_distill {

/// A mean over the elements of two tensors of one shape, and its gradient with respect to the output, of that
/// shape too and overwritten. A batch is given in slices of its samples; what counts is the mean over them
/// and over the block's outputs, each weighted by its number of elements. Both are functions of their
/// arguments and of the object alone: what a run resumes must not have changed.
template <class L>
concept BlockLoss = std::copyable<L> && std::default_initializable<L> &&
    requires(const L& loss, const nn::Tensor& t, nn::Tensor& gradient) {
    { loss(t, t) } -> std::convertible_to<double>;
    loss.gradient(t, t, gradient);
};

/// mean((output - target)^2), summed in double, in order; 2 (output - target) / n in float32.
struct MeanSquaredError {
    double operator()(const nn::Tensor& output, const nn::Tensor& target) const {
        double sum = 0;
        for (std::size_t i = 0; i != output.size(); ++i) {
            double const d = static_cast<double>(output[i]) - static_cast<double>(target[i]);
            sum += d * d;
        }
        return sum / static_cast<double>(output.size());
    }
    void gradient(const nn::Tensor& output, const nn::Tensor& target, nn::Tensor& gradient) const {
        nn::array(gradient) =
            (nn::array(output) - nn::array(target)) * (2.0f / static_cast<float>(output.size()));
    }
};

namespace detail {

/// How far the student's values are from the teacher's, in sums over any number of tensors; in double, in
/// order.
struct Distance {
    double error = 0, teacher = 0, student = 0;
    void add(const nn::Tensor& t, const nn::Tensor& s) {
        for (std::size_t i = 0; i != t.size(); ++i) {
            double const a = static_cast<double>(t[i]), b = static_cast<double>(s[i]);
            error += (a - b) * (a - b);
            teacher += a * a;
            student += b * b;
        }
    }
    /// By more than half of the smaller power; what is not finite is too far as well.
    bool is_far() const { return !(error <= 0.5 * (std::min)(teacher, student)); }
};
inline double mean_squared_error(const nn::Tensor& a, const nn::Tensor& b) {
    return MeanSquaredError{}(a, b);
}

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/distill/prefix_cache.hpp

/// What a network has computed so far, batch by batch, so that the next block begins where the last one
/// ended.
///
///     CacheBudget budget(512 << 20);
///     PrefixRunner prefix(network, batches, budget, executor);
///     prefix.advance(3, block.nodes.front());              // evaluates the nodes before that one ...
///     prefix.value(block.inputs[0]);                        // ... whose values are there now
///
/// Kept of a batch is what a later node reads. Where the budget has no room for it, the next call begins at
/// the network's input again: with the same bits, only later.

namespace amct_distill {

/// How many bytes may be kept, by all who share it.
class CacheBudget {
public:
    explicit CacheBudget(std::size_t bytes) : free_(bytes) {}
    bool take(std::size_t bytes) {
        if (bytes > free_) return false;
        free_ -= bytes;
        return true;
    }
    void give_back(std::size_t bytes) { free_ += bytes; }
    std::size_t free() const { return free_; }

private:
    std::size_t free_;
};

class PrefixRunner {
public:
    /// All outlive it. The network's parameters may change for nodes that advance() has not evaluated.
    PrefixRunner(const nn::Network& network, DataSource batches, CacheBudget& budget,
                 const nn::Executor* executor = nullptr, std::size_t slices = default_slices)
        : batches_(batches), budget_(budget), runner_(network, executor, slices) {}
    PrefixRunner(const PrefixRunner&) = delete;
    PrefixRunner& operator=(const PrefixRunner&) = delete;
    ~PrefixRunner() { forget(); }

    const nn::Network& network() const { return runner_.network(); }

    /// Evaluates the nodes before `to` for batch number `i`. Then `value` has what later nodes and the
    /// network's outputs need of them, and the values that are asked for besides. Error: the batch cannot be
    /// loaded. Throws std::invalid_argument when it does not fit the network's inputs.
    result<void> advance(std::size_t i, nn::NodeId to, std::span<const nn::NodeId> besides = {}) {
        if (kept_.size() <= i) kept_.resize(i + 1);
        Kept& kept = kept_[i];
        given_.clear();
        wanted_.clear();
        std::span<const nn::Tensor> batch;
        bool goes_on = kept.bytes != 0 && kept.at <= to;
        for (nn::NodeId id : besides)  // what was evaluated before and dropped
            goes_on = goes_on && (id >= kept.at || find(kept.values, id) != nullptr);
        std::size_t const from = goes_on ? kept.at.index : 0;
        std::swap(before_, kept.values);
        if (goes_on) {
            for (const auto& [id, value] : before_) given_.push_back({id, &value});
        } else {
            auto const loaded = batches_.load(i, buffer_);
            if (!loaded) return loaded.diagnostics();
            batch = *loaded;
            detail::require_batch(network(), batch, "distill", i);
            for (std::size_t k = 0; k != batch.size(); ++k)
                given_.push_back({network().inputs()[k], &batch[k]});
        }
        find_live(to);
        after_.clear();
        std::size_t const live = live_.size();
        for (nn::NodeId id : besides)
            if (std::ranges::find(live_, id) == live_.end()) live_.push_back(id);
        after_.reserve(live_.size());
        for (nn::NodeId id : live_) {
            auto const there = std::ranges::find(given_, id, &SliceRunner::Given::node);
            if (there != given_.end())
                after_.emplace_back(id, *there->value);
            else
                wanted_.push_back({id, &after_.emplace_back(id, nn::Tensor()).second});
        }
        nodes_.clear();
        for (nn::NodeId id : network().operations())
            if (id.index >= from && id < to) nodes_.push_back(id);
        if (!nodes_.empty()) runner_.run(nodes_, given_, wanted_);
        before_.clear();
        live_.resize(live);
        keep(kept, to);
        return {};
    }
    /// After `advance`, until the next.
    const nn::Tensor& value(nn::NodeId id) const {
        const nn::Tensor* const found = find(after_, id);
        if (found == nullptr) throw std::out_of_range("PrefixRunner: a value that was not asked for");
        return *found;
    }

    /// Call after changing parameters of nodes that advance() has evaluated.
    void forget() {
        for (Kept& kept : kept_) drop(kept);
    }

private:
    using Values = std::vector<std::pair<nn::NodeId, nn::Tensor>>;
    struct Kept {
        nn::NodeId at{};
        Values values{};
        std::size_t bytes = 0;
    };

    static const nn::Tensor* find(const Values& values, nn::NodeId id) {
        for (const auto& [node, value] : values)
            if (node == id) return &value;
        return nullptr;
    }
    void drop(Kept& kept) {
        budget_.give_back(std::exchange(kept.bytes, 0));
        kept.values.clear();
    }
    void keep(Kept& kept, nn::NodeId to) {
        std::size_t bytes = 0;
        for (nn::NodeId id : live_) bytes += find(after_, id)->size() * sizeof(float);
        drop(kept);
        if (!budget_.take(bytes)) return;
        kept.at = to;
        kept.bytes = bytes;
        for (nn::NodeId id : live_) kept.values.emplace_back(id, *find(after_, id));
    }
    /// The values before `to` that it or a later node reads, or that leave the network.
    void find_live(nn::NodeId to) {
        const nn::Network& net = network();
        std::vector<bool> live(to.index, false);
        auto const need = [&](nn::NodeId value) {
            if (value < to && net.node(value).kind != NodeKind::constant) live[value.index] = true;
        };
        for (nn::NodeId id : net.operations())
            if (id >= to) std::ranges::for_each(net.node(id).inputs, need);
        std::ranges::for_each(net.outputs(), need);
        live_.clear();
        for (std::size_t i = 0; i != live.size(); ++i)
            if (live[i]) live_.push_back({i});
    }

    DataSource batches_;
    Batch buffer_{};
    CacheBudget& budget_;
    SliceRunner runner_;
    std::vector<Kept> kept_{};  // by batch
    Values before_{}, after_{};
    std::vector<nn::NodeId> live_{}, nodes_{};
    std::vector<SliceRunner::Given> given_{};
    std::vector<SliceRunner::Wanted> wanted_{};
};

}  // namespace amct_distill

// ---- amct_distill/distill/block_data.hpp

/// What a block is trained on: for every batch, its inputs and the outputs that the teacher has there.
///
///     BlockData data(student_prefix, teacher_prefix, budget, batches.size(), blocks[2], nullptr, 2);
///     const BlockData::Step& step = *data.load(7).value();     // valid until the next load
///
/// Neither changes while the block is trained, so both are computed once, and kept where the budget allows.

namespace amct_distill {

class BlockData {
public:
    struct Step {
        std::vector<nn::Tensor> inputs{}, targets{};  // parallel to those of the block
        /// The inputs are the teacher's: the student's were off by more than half of the smaller signal's
        /// power, mean((t - s)^2) > 0.5 min(mean t^2, mean s^2), and had nothing left to teach.
        bool from_teacher = false;
    };

    /// The blocks before this one are trained. `dump`: the teacher's part, when it was dumped. All outlive
    /// it.
    BlockData(PrefixRunner& student, PrefixRunner& teacher, CacheBudget& budget, std::size_t batches,
              const TrainedBlock& block, const TeacherDump* dump, std::size_t index)
        : student_(student),
          teacher_(teacher),
          budget_(budget),
          block_(block),
          dump_(dump),
          index_(index),
          steps_(batches) {
        const nn::Network& network = student.network();
        // A module that is trained here and also used before makes the inputs change with every step.
        for (nn::NodeId id : network.operations())
            if (id < block.nodes.front() && network.node(id).module)
                for (nn::NodeId own : block.nodes)
                    if (network.node(own).module == network.node(id).module) changes_ = true;
        asked_ = block.inputs;
        asked_.insert(asked_.end(), block.outputs.begin(), block.outputs.end());
    }
    BlockData(const BlockData&) = delete;
    BlockData& operator=(const BlockData&) = delete;
    ~BlockData() {
        budget_.give_back(bytes_);
        if (changes_) student_.forget();
    }

    const TrainedBlock& block() const { return block_; }
    std::size_t size() const { return steps_.size(); }

    /// Errors: a batch cannot be loaded, the teacher's dump cannot be read.
    result<const Step*> load(std::size_t i) {
        if (steps_[i]) return &*steps_[i];
        if (auto ok = compute(i); !ok) return ok.diagnostics();
        std::size_t bytes = 0;
        for (const auto* all : {&current_.inputs, &current_.targets})
            for (const nn::Tensor& t : *all) bytes += t.size() * sizeof(float);
        if (changes_ || !budget_.take(bytes)) return &current_;
        bytes_ += bytes;
        return &steps_[i].emplace(current_);
    }

private:
    result<void> compute(std::size_t i) {
        if (changes_) student_.forget();
        if (auto ok = student_.advance(i, block_.nodes.front()); !ok) return ok;
        current_.inputs.resize(block_.inputs.size());
        current_.targets.resize(block_.outputs.size());
        if (dump_ != nullptr) {
            if (auto ok = dump_->load(index_, i, current_.inputs, current_.targets); !ok) return ok;
        } else {
            // Past the block at once: its outputs are what the next one goes on from.
            if (auto ok = teacher_.advance(i, block_.end(teacher_.network()), asked_); !ok) return ok;
            for (std::size_t k = 0; k != block_.inputs.size(); ++k)
                current_.inputs[k] = teacher_.value(block_.inputs[k]);
            for (std::size_t k = 0; k != block_.outputs.size(); ++k)
                current_.targets[k] = teacher_.value(block_.outputs[k]);
        }
        detail::Distance distance;
        for (std::size_t k = 0; k != block_.inputs.size(); ++k)
            distance.add(current_.inputs[k], student_.value(block_.inputs[k]));
        current_.from_teacher = distance.is_far();
        if (!current_.from_teacher)
            for (std::size_t k = 0; k != block_.inputs.size(); ++k)
                current_.inputs[k] = student_.value(block_.inputs[k]);
        return {};
    }

    PrefixRunner &student_, &teacher_;
    CacheBudget& budget_;
    const TrainedBlock& block_;
    const TeacherDump* dump_;
    std::size_t index_;
    std::vector<nn::NodeId> asked_{};
    bool changes_ = false;
    std::vector<std::optional<Step>> steps_;
    std::size_t bytes_ = 0;
    Step current_{};
};

}  // namespace amct_distill

// ---- amct_distill/distill/block_gradient.hpp

/// A block's loss on a batch and the gradients of its parameters, slice by slice.
///
///     BlockGradient<MeanSquaredError> block(network, data.block(), modules, executor, 8);
///     double loss = block.loss(step, loss_function);               // forward
///     loss = block.loss_and_gradients(step, loss_function);        // and backward, into block.gradients()
///
/// Losses and gradients of the slices are added along one binary tree, whatever the threads.

namespace amct_distill {

template <BlockLoss Loss>
class BlockGradient {
public:
    /// All but the list of modules outlive it; `modules` are the block's, each once.
    BlockGradient(nn::Network& network, const TrainedBlock& block, std::vector<ModuleId> modules,
                  const nn::Executor* executor, std::size_t slices)
        : network_(network),
          block_(block),
          modules_(std::move(modules)),
          runner_(network, executor, slices),
          work_(runner_.tapes().size()),
          losses_((std::max)(slices, std::size_t{1})),
          slices_(losses_.size()) {
        for (Work& w : work_) {
            w.targets.resize(block.outputs.size());
            w.gradients.resize(block.outputs.size());
            for (const nn::Tensor& g : w.gradients) w.views.push_back(&g);
        }
    }

    /// The trained parameters as they are now; the workspaces and sums are fitted to them.
    std::vector<nn::NamedParameter> parameters() {
        std::vector<nn::NamedParameter> trained;
        at_.clear();
        for (nn::Tape& tape : runner_.tapes()) {
            trained = network_.parameters(tape, modules_);
            std::erase_if(trained, [](const auto& p) { return p.role == nn::Role::statistic; });
        }
        for (ModuleId m : modules_) {
            auto const all = std::as_const(network_).module(m).parameters();
            for (std::size_t k = 0; k != all.size(); ++k)
                if (all[k].role != nn::Role::statistic) at_.push_back({m, k});
        }
        sums_.clear();
        for (const nn::NamedParameter& p : trained) sums_.emplace_back(p.gradient->shape());
        for (auto& slice : slices_) slice = sums_;
        return trained;
    }
    /// Of the last `loss_and_gradients`, parallel to the parameters.
    std::span<nn::Tensor> gradients() { return sums_; }

    /// After a change of the parameters.
    void prepare() { runner_.prepare(block_.nodes); }
    double loss(const BlockData::Step& step, const Loss& loss) {
        runner_.for_each(samples(step), [&](std::size_t k, Slice slice, nn::Tape& tape, std::size_t worker) {
            losses_[k] = forward(step, loss, slice, tape, work_[worker]);
        });
        return sum_of_losses(step);
    }
    double loss_and_gradients(const BlockData::Step& step, const Loss& loss) {
        auto const all = static_cast<double>(values(step));
        auto const one = [&](std::size_t k, Slice slice, nn::Tape& tape, std::size_t worker) {
            Work& work = work_[worker];
            losses_[k] = forward(step, loss, slice, tape, work);
            for (std::size_t o = 0; o != block_.outputs.size(); ++o) {
                const nn::Tensor& output = tape.output(block_.outputs[o]);
                nn::Tensor& gradient = work.gradients[o];
                gradient.resize(output.shape());
                loss.gradient(output, work.targets[o], gradient);
                if (auto const share = static_cast<double>(output.size()) / all; share != 1)
                    nn::array(gradient) *= static_cast<float>(share);
            }
            for (ModuleId m : modules_)
                for (nn::Tensor& g : tape.parameter_gradients(m)) g.fill(0);
            network_.backward_nodes(block_.nodes, block_.outputs, work.views, tape, nn::Mode::evaluate);
            for (std::size_t p = 0; p != at_.size(); ++p)
                std::swap(tape.parameter_gradients(at_[p].first)[at_[p].second], slices_[k][p]);
        };
        if (!std::exchange(has_room_, true)) runner_.make_room(samples(step), one);
        runner_.for_each(samples(step), one);
        add_up(runner_.count(samples(step)));
        finish_gradients();
        return sum_of_losses(step);
    }
    static std::size_t values(const BlockData::Step& step) {
        std::size_t n = 0;
        for (const nn::Tensor& t : step.targets) n += t.size();
        return n;
    }

private:
    /// What a slice needs besides its tape; one for each that runs at a time.
    struct Work {
        std::vector<nn::Tensor> targets{}, gradients{};
        std::vector<const nn::Tensor*> views{};
    };

    static nn::Index samples(const BlockData::Step& step) {
        return step.inputs.empty() ? 1 : step.inputs[0].dim(0);
    }
    /// The loss of a slice times its number of elements.
    double forward(const BlockData::Step& step, const Loss& loss, Slice slice, nn::Tape& tape,
                   Work& work) const {
        for (std::size_t k = 0; k != block_.inputs.size(); ++k)
            detail::take_slice(step.inputs[k], network_.node(block_.inputs[k]).shape, slice,
                               tape.output(block_.inputs[k]));
        network_.forward_nodes(block_.nodes, tape, nn::Mode::evaluate);
        double sum = 0;
        for (std::size_t k = 0; k != block_.outputs.size(); ++k) {
            detail::take_slice(step.targets[k], network_.node(block_.outputs[k]).shape, slice,
                               work.targets[k]);
            const nn::Tensor& output = tape.output(block_.outputs[k]);
            sum += static_cast<double>(loss(output, work.targets[k])) * static_cast<double>(output.size());
        }
        return sum;
    }
    double sum_of_losses(const BlockData::Step& step) {
        return detail::tree_sum(std::span(losses_).first(runner_.count(samples(step)))) /
               static_cast<double>(values(step));
    }
    /// What a module does once, on the sums of its gradients.
    void finish_gradients() {
        finishing_.use(runner_.executor());
        for (std::size_t p = 0; p != at_.size();) {
            std::size_t n = 1;
            while (p + n != at_.size() && at_[p + n].first == at_[p].first) ++n;
            network_.module(at_[p].first).finish_gradients(std::span(sums_).subspan(p, n), finishing_);
            p += n;
        }
    }
    /// Each element along the tree of `tree_sum`; parts of the elements on all threads.
    void add_up(std::size_t count) {
        for (std::size_t p = 0; p != sums_.size(); ++p) {
            std::size_t const size = sums_[p].size(), parts = (size + part - 1) / part;
            auto const one = [&](std::size_t k) {
                auto const begin = static_cast<nn::Index>(k * part);
                auto const n = static_cast<nn::Index>((std::min)(part, size - k * part));
                auto const of = [&](nn::Tensor& t) { return nn::ArrayMap<float>(t.data() + begin, n); };
                for (std::size_t stride = 1; stride < count; stride *= 2)
                    for (std::size_t i = 0; i + stride < count; i += 2 * stride)
                        of(slices_[i][p]) += of(slices_[i + stride][p]);
                of(sums_[p]) = of(slices_[0][p]);
            };
            if (runner_.executor() != nullptr && parts > 1)
                runner_.executor()->parallel_for(parts, one);
            else
                nn::Executor::run_here(parts, one);
        }
    }
    static constexpr std::size_t part = 1 << 16;

    nn::Network& network_;
    const TrainedBlock& block_;
    std::vector<ModuleId> modules_;
    SliceRunner runner_;
    std::vector<Work> work_;
    std::vector<double> losses_;                          // by slice
    std::vector<std::vector<nn::Tensor>> slices_;         // gradients, by slice and parameter
    std::vector<std::pair<ModuleId, std::size_t>> at_{};  // of each trained parameter
    std::vector<nn::Tensor> sums_{};
    nn::Scratch finishing_{};
    bool has_room_ = false;
};

}  // namespace amct_distill

// ---- amct_distill/distill/optimizer.hpp

/// What changes a block's parameters by their gradients; AdamW unless another is given.
///
///     distill<MeanSquaredError, Sgd>(teacher, student, batches, {.optimizer = Sgd(0.9)});
///
/// A copy of the object that the options hold trains a block; it is a copy of the same again, with nothing
/// remembered, when training falls back to the best parameters.

namespace amct_distill {

/// `add`: a parameter, its gradient (both outlive the optimizer) and its learning rate; `step`: changes all
/// of them, each rate times the factor that was set last. One with settings may show them as a text by
/// `settings()`: a run that is resumed with others is then refused; and may have a `check_options()`, which
/// throws std::invalid_argument when they make no sense, before any work. (A loss may do both, too.)
template <class O>
concept BlockOptimizer = std::copyable<O> && std::default_initializable<O> &&
    requires(O optimizer, std::span<float> values, std::span<const float> gradient, double rate) {
    optimizer.add(values, gradient, rate);
    optimizer.set_learning_rate_factor(rate);
    optimizer.step();
};

}  // namespace amct_distill

// ---- amct_distill/distill/distill_options.hpp

/// How blocks are trained: learning rates and their schedule, how often a block is evaluated, loss and
/// optimizer.
///
///     distill(teacher, student, batches, {.epochs = 5, .schedule = Schedule::constant});
///     distill<MyLoss, MySgd>(teacher, student, batches, {.optimizer = MySgd(0.9)});      // of your own

namespace amct_distill {

/// AMCT's.
struct LearningRates {
    double parameters = 1e-3;  ///< weights, biases, BatchNorm's affine parameters
    double clips = 0.1;        ///< of activations
    double scales = 1e-4;      ///< of weights

    double of(nn::Role role) const {
        return role == nn::Role::clip ? clips : role == nn::Role::scale ? scales : parameters;
    }
};

/// Of the learning rates over a block's training: as they are throughout (AMCT's), or from there down to 0
/// along half a cosine.
enum class Schedule { constant, cosine };

/// What all rates are multiplied by at a step of a block, from 0; `steps` in all.
inline double schedule_factor(Schedule schedule, std::size_t step, std::size_t steps) {
    constexpr double pi = 3.141592653589793;
    if (schedule == Schedule::constant) return 1;
    return 0.5 * (1 + std::cos(pi * static_cast<double>(step) / static_cast<double>(steps)));
}

/// How the best parameters of a block are found. Of nine networks (dense, convolutional, residual, VGG-like;
/// trained and random; inputs from 0.02 to 30) at INT4 and INT8, the defaults and the cosine left 0.54 of the
/// calibrated error of the outputs on unseen data, the geometric mean; the cosine alone 0.59, AMCT's constant
/// rates with an evaluation per epoch 0.67.
struct SearchOptions {
    /// How often an epoch's steps are interrupted to compute the loss over the whole data: of the parameters
    /// as they are, and of their average. An evaluation costs two forward runs of the block.
    int evaluations_per_epoch = 2;
    /// If a tenth of all planned evaluations in a row bring no improvement, training restarts from the best
    /// parameters with every learning rate multiplied by this: so rates that are too high for a block cost
    /// steps, not the result. 1: it goes on from where it is.
    double rate_after_failure = 0.3;
    /// The average is average * decay + parameters * (1 - decay), step by step, with a smaller decay in the
    /// first steps. 0: no average.
    double average_decay = 0.95;
};

/// `Loss` and `Optimizer` are as in loss.hpp and optimizer.hpp.
template <BlockLoss Loss = MeanSquaredError, BlockOptimizer Optimizer = AdamW>
struct BasicDistillOptions {
    int epochs = 1;
    LearningRates learning_rates{};
    Schedule schedule = Schedule::cosine;
    SearchOptions search{};
    Loss loss{};
    Optimizer optimizer{};  ///< without parameters; a copy of it trains each block
    BlockShape blocks = BlockShape::amct;
    /// Into how many slices a batch is cut along its samples (one of fewer samples into one for each);
    /// threads take slices. It changes the last bits of the result, threads do not. 1 for modules in which
    /// samples depend on each other.
    std::size_t slices = default_slices;

    /// Throws std::invalid_argument when one makes no sense, with its name.
    void check_options() const {
        if (epochs < 0) fail("epochs must not be negative, found ", epochs);
        if (schedule != Schedule::constant && schedule != Schedule::cosine)
            fail("schedule must be one of Schedule's values, found ", static_cast<int>(schedule));
        if (blocks != BlockShape::amct && blocks != BlockShape::residual && blocks != BlockShape::automatic)
            fail("blocks must be one of BlockShape's values, found ", static_cast<int>(blocks));
        if (slices < 1 || slices > 1024) fail("slices must be 1 to 1024, found ", slices);
        rate("learning_rates.parameters", learning_rates.parameters);
        rate("learning_rates.clips", learning_rates.clips);
        rate("learning_rates.scales", learning_rates.scales);
        if (search.evaluations_per_epoch < 1)
            fail("search.evaluations_per_epoch must be at least 1, found ", search.evaluations_per_epoch);
        if (!(search.rate_after_failure > 0 && search.rate_after_failure <= 1))
            fail("search.rate_after_failure must be in (0, 1], found ", number(search.rate_after_failure));
        if (!(search.average_decay >= 0 && search.average_decay < 1))
            fail("search.average_decay must be in [0, 1), found ", number(search.average_decay));
        if constexpr (requires { loss.check_options(); }) loss.check_options();
        if constexpr (requires { optimizer.check_options(); }) optimizer.check_options();
    }

private:
    template <class... Pieces>
    [[noreturn]] static void fail(const Pieces&... pieces) {
        throw std::invalid_argument(detail::concat("distill: ", pieces...));
    }
    static void rate(std::string_view name, double value) {
        if (!(value >= 0 && std::isfinite(value)))
            fail(name, " must be a number that is not negative, found ", number(value));
    }
};
using DistillOptions = BasicDistillOptions<>;

}  // namespace amct_distill

// ---- amct_distill/distill/report.hpp

/// What distillation did: of every layer its quantization, of every block its losses, of the whole the error
/// of the outputs.
///
///     for (const BlockReport& b : report.blocks) std::cout << b.loss_before << " > " << b.loss_after;

namespace amct_distill {

/// A quantized layer at the end.
struct LayerReport {
    std::string name{};
    std::string weight_algorithm{};  ///< "arq_distill, INT4, channel_wise"
    std::string data_algorithm{};    ///< "ulq_quantize, INT8"
    int weight_bits = 0;
    int data_bits = 0;
    std::vector<ScaleOffset> weight_scales{};  ///< one, or one per output channel
    ScaleOffset data_scale{};
    ClipRange data_clip{};
    bool user_clips = false;                   ///< the first clips were the user's, not IFMR's
    double weight_sqnr = 0;                    ///< signal to quantization noise of the weights, dB
    double data_sqnr = 0;                      ///< the same of the layer's inputs, over all batches, dB
    double saturation = 0;                     ///< share of the layer's inputs outside of the clips, 0 to 1
    std::size_t channels = 0;                  ///< output channels
    std::vector<std::size_t> dead_channels{};  ///< whose weights are all quantized to 0
};

/// A block; its loss is that of its output over all batches, the mean squared error unless another is
/// trained.
struct BlockReport {
    std::vector<std::string> names{};    ///< of its modules
    std::vector<std::string> shared{};   ///< of those, the ones that other nodes of the network use as well
    double loss_before = 0;              ///< as calibrated
    double loss_after = 0;               ///< never above loss_before
    std::vector<double> epoch_losses{};  ///< mean over the training steps of each epoch
    int best_epoch = 0;                  ///< in which epoch the kept parameters were seen; 0: as calibrated
    std::size_t restarts = 0;        ///< how often training went back to the best, with lower learning rates
    std::size_t teacher_inputs = 0;  ///< steps that took the teacher's input, the student's being too far off
    double seconds = 0;              ///< wall time of the block's training
    std::string stopped{};           ///< why it ended early; empty: it did not
};

struct DistillReport {
    std::vector<LayerReport> layers{};
    std::vector<BlockReport> blocks{};
    /// Mean squared error over all values of the network's outputs, of all batches.
    double output_error_calibrated = 0;
    double output_error_distilled = 0;  ///< never above output_error_calibrated
    bool kept_calibrated = false;    ///< the outputs did not come 5 % nearer, so the calibrated network stays
    bool cancelled = false;          ///< by the progress callback
    std::size_t resumed_blocks = 0;  ///< that an earlier run had finished
};

}  // namespace amct_distill

// ---- amct_distill/distill/block.hpp

/// Trains one block of the student to reproduce the teacher block's output.
///
///     BlockTrainer trainer(student.network(), data);                    // data: block_data.hpp
///     BlockReport report = trainer.train(options, {}, cancelled).value();
///
/// Source: AMCT's block-wise distillation, with a float master and the best parameters kept. After
/// the first step the trainer allocates nothing if the block's data fit the cache.

namespace amct_distill {

template <BlockLoss Loss = MeanSquaredError, BlockOptimizer Optimizer = AdamW>
class BlockTrainer {
public:
    using Options = BasicDistillOptions<Loss, Optimizer>;

    /// All outlive it.
    BlockTrainer(nn::Network& student, BlockData& data, const nn::Executor* executor = nullptr,
                 std::size_t slices = default_slices)
        : student_(student),
          data_(data),
          modules_(modules_of(student, data.block())),
          gradient_(student, data.block(), modules_, executor, slices) {}

    /// `progress` has the block's number; it is told `on_progress` after every step, and `cancelled` is set
    /// when that said so. Errors: a batch cannot be loaded, the teacher's dump cannot be read.
    result<BlockReport> train(const Options& options, Progress progress, bool& cancelled,
                              const ProgressCallback& on_progress = {}) {
        options.check_options();
        auto const begin = std::chrono::steady_clock::now();
        report_ = {};
        report_.names = data_.block().names;
        report_.shared = shared_names();
        auto const finish = [&] {
            std::chrono::duration<double> const spent = std::chrono::steady_clock::now() - begin;
            report_.seconds = spent.count();
            return std::move(report_);
        };
        auto const start = loss_over(options.loss);
        if (!start) return start.diagnostics();
        report_.loss_before = report_.loss_after = *start;
        if (!std::isfinite(*start)) {
            report_.stopped = "the loss is not finite before training";
            return finish();
        }
        best_ = modules();
        begin_from_best(options);

        progress.epochs = options.epochs;
        progress.steps = data_.size();
        std::size_t const steps = data_.size() * static_cast<std::size_t>(options.epochs);
        std::size_t const evaluations =
            (std::min)(static_cast<std::size_t>(options.search.evaluations_per_epoch), data_.size());
        // A long training may be evaluated in vain more often before its rates are lowered.
        patience_ = (std::max)(std::size_t{1}, evaluations * static_cast<std::size_t>(options.epochs) / 10);
        std::size_t taken = 0;
        for (int epoch = 0; epoch != options.epochs && report_.stopped.empty() && !cancelled; ++epoch) {
            double sum = 0;
            std::size_t i = 0;
            while (i != data_.size() && report_.stopped.empty() && !cancelled) {
                optimizer_->set_learning_rate_factor(rate_ * schedule_factor(options.schedule, taken, steps));
                auto const loss = step(i, options);
                if (!loss) return loss.diagnostics();
                sum += *loss;
                ++i, ++taken;
                progress.epoch = epoch;
                progress.step = i - 1;
                progress.loss = *loss;
                if (on_progress && !on_progress(progress)) cancelled = true;
                // After the last step in any case.
                bool const due =
                    i * evaluations / data_.size() != (i - 1) * evaluations / data_.size() || cancelled;
                if (due && report_.stopped.empty())
                    if (auto ok = evaluate(epoch, options); !ok) return ok.diagnostics();
            }
            report_.epoch_losses.push_back(sum / static_cast<double>(i));
        }
        restore_best();
        return finish();
    }

private:
    static std::vector<ModuleId> modules_of(const nn::Network& network, const TrainedBlock& block) {
        std::vector<ModuleId> modules;
        for (nn::NodeId id : block.nodes)
            if (auto const m = network.node(id).module; m && std::ranges::find(modules, *m) == modules.end())
                modules.push_back(*m);
        return modules;
    }
    std::vector<nn::Module> modules() const {
        std::vector<nn::Module> copies;
        for (ModuleId m : modules_) copies.push_back(student_.module(m));
        return copies;
    }
    /// The block's modules that nodes outside of it use as well.
    std::vector<std::string> shared_names() const {
        const auto& own = data_.block().nodes;
        std::vector<std::string> names;
        for (ModuleId m : modules_)
            if (!std::ranges::all_of(student_.graph().uses(m),
                                     [&](nn::NodeId id) { return std::ranges::find(own, id) != own.end(); }))
                names.push_back(student_.modules()[m].name);
        return names;
    }
    nn::Module& module(std::size_t k) { return student_.module(modules_[k]); }

    void restore_best() {
        for (std::size_t k = 0; k != modules_.size(); ++k) module(k) = best_[k];
    }
    /// The parameters as they are become what is trained and averaged.
    void begin_from_best(const Options& options) {
        restore_best();
        trained_.clear();
        average_.clear();
        constrained_.clear();
        optimizer_.emplace(options.optimizer);
        for (std::size_t k = 0; k != modules_.size(); ++k) constrained_.push_back(&module(k));
        trained_ = gradient_.parameters();
        for (std::size_t k = 0; k != trained_.size(); ++k) {
            const nn::NamedParameter& p = trained_[k];
            const nn::Tensor& gradient = gradient_.gradients()[k];
            optimizer_->add(p.values, gradient.span(), options.learning_rates.of(p.role));
            if (options.search.average_decay > 0)
                average_.emplace_back(gradient.shape(), std::span<const float>(p.values));
        }
        averaged_ = 0;
    }

    /// The loss over all batches, the parameters as they are.
    result<double> loss_over(const Loss& loss) {
        gradient_.prepare();
        double sum = 0, values = 0;
        for (std::size_t i = 0; i != data_.size(); ++i) {
            auto const step = data_.load(i);
            if (!step) return step.diagnostics();
            auto const size = static_cast<double>(gradient_.values(**step));
            sum += gradient_.loss(**step, loss) * size;
            values += size;
        }
        return sum / values;
    }

    /// One step of the optimizer; says why in `stopped` when something is not finite, and then does no harm.
    result<double> step(std::size_t i, const Options& options) {
        auto const step = data_.load(i);
        if (!step) return step.diagnostics();
        if ((*step)->from_teacher) ++report_.teacher_inputs;
        gradient_.prepare();
        double const loss = gradient_.loss_and_gradients(**step, options.loss);
        if (!std::isfinite(loss)) {
            report_.stopped = "the loss is not finite";
            return loss;
        }
        if (!std::ranges::all_of(gradient_.gradients(),
                                 [](const nn::Tensor& g) { return is_finite(g.span()); })) {
            report_.stopped = "a gradient is not finite";
            return loss;
        }
        optimizer_->step();
        if (!std::ranges::all_of(trained_, [](const auto& p) { return is_finite(p.values); })) {
            report_.stopped = "a parameter is not finite";
            return loss;
        }
        constrain();
        ++averaged_;
        auto const n = static_cast<double>(averaged_);
        auto const decay = static_cast<float>((std::min)(options.search.average_decay, n / (n + 9)));
        for (std::size_t k = 0; k != average_.size(); ++k)
            nn::array(average_[k]) +=
                (nn::ConstArrayMap<float>(trained_[k].values.data(), std::ssize(trained_[k].values)) -
                 nn::array(average_[k])) *
                (1 - decay);
        return loss;
    }

    /// Takes the parameters as they are, or their average, if the loss was never as low.
    result<void> evaluate(int epoch, const Options& options) {
        bool better = false;
        auto const take_if_better = [&]() -> result<void> {
            auto const loss = loss_over(options.loss);
            if (!loss) return loss.diagnostics();
            if (*loss < report_.loss_after) {
                report_.loss_after = *loss;
                report_.best_epoch = epoch + 1;
                best_ = modules();
                better = true;
            }
            return {};
        };
        if (auto ok = take_if_better(); !ok) return ok;
        if (!average_.empty()) {
            exchange_average();
            if (auto ok = take_if_better(); !ok) return ok;
            exchange_average();
        }
        failures_ = better ? 0 : failures_ + 1;
        if (failures_ == patience_ && options.search.rate_after_failure < 1) {
            failures_ = 0;
            rate_ *= options.search.rate_after_failure;
            ++report_.restarts;
            begin_from_best(options);
        }
        return {};
    }
    void exchange_average() {
        for (std::size_t k = 0; k != average_.size(); ++k)
            std::ranges::swap_ranges(trained_[k].values, average_[k].span());
        constrain();
    }

    void constrain() {
        for (nn::Module* m : constrained_) m->constrain();
    }
    static bool is_finite(std::span<const float> values) { return detail::range_of(values).finite; }

    nn::Network& student_;
    BlockData& data_;
    std::vector<ModuleId> modules_;  // the block's
    BlockGradient<Loss> gradient_;
    std::vector<nn::Module*> constrained_{};
    std::vector<nn::NamedParameter> trained_{};
    std::vector<nn::Tensor> average_{};  // parallel to `trained_`, or empty
    std::size_t averaged_ = 0;           // steps in it
    std::vector<nn::Module> best_{};
    std::optional<Optimizer> optimizer_{};
    double rate_ = 1;
    std::size_t patience_ = 1, failures_ = 0;  // evaluations in a row that found nothing better
    BlockReport report_{};
};

}  // namespace amct_distill

// ---- amct_distill/io/binary.hpp

/// Numbers, texts, lists and aggregates as bytes, as in memory and in order: little-endian.
///
///     detail::BinaryWriter out;
///     out.put(std::uint64_t{3}); out.put("conv1"); out.put_values(std::span<const float>(weights));
///     out.put(report);                                    // an aggregate: its fields, by reflection
///     detail::BinaryReader in(out.text);
///     in.get(n) && in.get(name) && in.get_values(std::span(weights)) && in.get(report) && in.at_end();

namespace amct_distill::detail {

static_assert(std::endian::native == std::endian::little,
              "amct_distill: checkpoints are written little-endian");

class BinaryWriter {
public:
    template <class T>
    requires std::is_arithmetic_v<T>
    void put(T v) { text.append(reinterpret_cast<const char*>(&v), sizeof v); }
    void put(std::string_view s) {
        put(std::uint64_t{s.size()});
        text.append(s);
    }
    template <class T>
    void put(const std::vector<T>& list) {
        put(std::uint64_t{list.size()});
        for (const T& v : list) put(v);
    }
    template <class T>
    requires(std::is_aggregate_v<T>&& std::is_class_v<T>) void put(const T& v) {
        [&]<std::size_t... I>(std::index_sequence<I...>) { (put(reflect::get<I>(v)), ...); }
        (std::make_index_sequence<reflect::field_count<T>>{});
    }
    /// Their number, and the values.
    void put_values(std::span<const float> values) {
        put(std::uint64_t{values.size()});
        text.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    }
    std::string text{};
};

/// Reads what BinaryWriter wrote; false after the end, and where the values do not make sense.
class BinaryReader {
public:
    explicit BinaryReader(std::string_view rest) : rest_(rest) {}
    template <class T>
    requires std::is_arithmetic_v<T>
    bool get(T& v) { return bytes(&v, sizeof v); }
    bool get(std::string& s) {
        std::uint64_t size = 0;
        if (!get(size) || size > rest_.size()) return false;
        s = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return true;
    }
    template <class T>
    bool get(std::vector<T>& list) {
        std::uint64_t size = 0;
        if (!get(size) || size > rest_.size()) return false;  // each takes a byte at least
        list.clear();
        for (std::uint64_t i = 0; i != size; ++i)
            if (!get(list.emplace_back())) return false;
        return true;
    }
    template <class T>
    requires(std::is_aggregate_v<T>&& std::is_class_v<T>) bool get(T& v) {
        return [&]<std::size_t... I>(std::index_sequence<I...>) { return (get(reflect::get<I>(v)) && ...); }
        (std::make_index_sequence<reflect::field_count<T>>{});
    }
    /// As many values as were written, no others.
    bool get_values(std::span<float> values) {
        std::uint64_t size = 0;
        return get(size) && size == values.size() && bytes(values.data(), values.size_bytes());
    }
    bool at_end() const { return rest_.empty(); }

private:
    bool bytes(void* to, std::size_t n) {
        if (n > rest_.size()) return false;
        if (n != 0) std::memcpy(to, rest_.data(), n);
        rest_.remove_prefix(n);
        return true;
    }
    std::string_view rest_;
};

}  // namespace amct_distill::detail

// ---- amct_distill/io/hash.hpp

/// A hash of 64 bits for fingerprints and checkpoints: against mistakes, not against an enemy.
///
///     detail::Hash hash;
///     hash.add("conv1");
///     hash.add_bytes(weights);        // a span of numbers: their bytes
///     hash.value();

namespace amct_distill::detail {

/// FNV-1a (Fowler, Noll, Vo) over 8 bytes at a time, each step mixed once more because its high bits would
/// not reach the low ones.
class Hash {
public:
    void add(std::uint64_t v) {
        value_ = (value_ ^ v) * 0x100000001B3u;
        value_ ^= value_ >> 29;
    }
    void add(double v) { add(std::bit_cast<std::uint64_t>(v)); }
    void add(std::string_view bytes) {
        add(std::uint64_t{bytes.size()});
        for (std::size_t i = 0; i < bytes.size(); i += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, bytes.data() + i, (std::min)(bytes.size() - i, std::size_t{8}));
            add(word);
        }
    }
    template <class T>
    requires std::is_arithmetic_v<T>
    void add_bytes(std::span<const T> values) {
        add(std::string_view(reinterpret_cast<const char*>(values.data()), values.size_bytes()));
    }
    std::uint64_t value() const { return value_; }

private:
    std::uint64_t value_ = 0xCBF29CE484222325u;
};

inline std::uint64_t hash_of(std::string_view bytes) {
    Hash hash;
    hash.add(bytes);
    return hash.value();
}

}  // namespace amct_distill::detail

// ---- amct_distill/text/printer.hpp

/// Any aggregate message as protobuf text format.
///
///     std::string text = print(config);
///     read<AMCTDistillConfig>(text).value() == config
///
/// The canonical form of protobuf's TextFormat: two spaces of indentation, one field a line, fields in schema
/// order, `message {`, strings escaped to 7 bits, floats as the shortest text that reads back.

namespace amct_distill {
namespace detail {

class TextPrinter {
public:
    explicit TextPrinter(std::string& out) : out_(out) {}

    template <class M>
    void fields_of(const M& m) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (member(reflect::field_name<M, I>(), reflect::get<I>(m)), ...);
        }
        (std::make_index_sequence<reflect::field_count<M>>{});
    }

private:
    template <class F>
    void member(std::string_view name, const F& f) {
        if constexpr (std::is_same_v<F, UnknownFields>) {
            for (std::string_view rest = f.text(); !rest.empty(); rest.remove_prefix(rest.find('\n') + 1)) {
                out_.append(2 * depth_, ' ');
                out_ += rest.substr(0, rest.find('\n') + 1);
            }
        } else if constexpr (is_required<F>) {
            field(name, *f);
        } else if constexpr (is_optional<F>) {
            if (f.has_value()) field(name, *f);
        } else if constexpr (is_oneof<F>) {
            std::visit(
                [&]<class T>(const T& alternative) {
                    if constexpr (!std::is_same_v<T, std::monostate>) field(f.name(), alternative);
                },
                f.value());
        } else {
            for (const auto& element : f) field(name, element);
        }
    }
    template <class T>
    void field(std::string_view name, const T& value) {
        out_.append(2 * depth_, ' ');
        out_ += name;
        if constexpr (MessageType<T>) {
            out_ += " {\n";
            ++depth_;
            fields_of(value);
            --depth_;
            out_.append(2 * depth_, ' ');
            out_ += "}\n";
        } else {
            out_ += ": ";
            scalar(value);
            out_ += '\n';
        }
    }

    void scalar(bool v) { out_ += v ? "true" : "false"; }
    template <class T>
    requires((std::integral<T> && !std::same_as<T, bool>) || std::floating_point<T>) void scalar(T v) {
        out_ += number(v);
    }
    template <class E>
    requires std::is_enum_v<E>
    void scalar(E v) {
        for (auto const& [name, value] : enumerators(E{}))
            if (value == v) {
                out_ += name;
                return;
            }
        scalar(static_cast<std::underlying_type_t<E>>(v));
    }
    void scalar(std::string_view s) {
        out_ += '"';
        for (char c : s) {
            auto const byte = static_cast<unsigned char>(c);
            constexpr std::string_view plain = "\n\r\t\"'\\", escaped = "nrt\"'\\";
            if (auto const k = plain.find(c); k != plain.npos) {
                out_ += '\\';
                out_ += escaped[k];
            } else if (byte < 0x20 || byte >= 0x7F) {
                out_ += '\\';
                for (int shift : {6, 3, 0}) out_ += static_cast<char>('0' + (byte >> shift & 7));
            } else {
                out_ += c;
            }
        }
        out_ += '"';
    }

    std::string& out_;
    std::size_t depth_ = 0;
};

}  // namespace detail

template <class M>
requires detail::MessageType<M> std::string print(const M& message) {
    std::string out;
    detail::TextPrinter(out).fields_of(message);
    return out;
}

}  // namespace amct_distill

// ---- amct_distill/distill/fingerprint.hpp

/// What a distillation run depends on, as a few numbers: an interrupted run is continued only where all
/// agree.
///
///     Fingerprint now = fingerprint(teacher, student, batches, options).value();
///     if (auto what = difference(now, saved); !what.empty()) ...       // "the data"

namespace amct_distill {

/// Each by 64 bits; against mistakes, not against an enemy.
struct Fingerprint {
    std::uint64_t teacher = 0, configuration = 0, data = 0, calibration = 0, training = 0;
    friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

/// What differs, the first of it; empty when nothing does.
inline std::string_view difference(const Fingerprint& a, const Fingerprint& b) {
    if (a.teacher != b.teacher) return "the teacher";
    if (a.configuration != b.configuration) return "the configuration";
    if (a.data != b.data) return "the data";
    if (a.calibration != b.calibration) return "the calibrated student";
    if (a.training != b.training) return "the training options";
    return {};
}

namespace detail {

inline void add(Hash& hash, const nn::Tensor& t) {
    for (nn::Index d : t.shape()) hash.add(static_cast<std::uint64_t>(d));
    hash.add_bytes(t.span());
}
/// Structure and parameters.
inline void add(Hash& hash, const nn::Network& network) {
    for (nn::NodeId id : network.operations()) {
        const auto& n = network.node(id);
        hash.add(network.name(id));
        hash.add(network.operation(id).type());
        hash.add(network.operation(id).options());
        for (nn::NodeId input : n.inputs) hash.add(std::uint64_t{input.index});
        for (nn::Index d : n.shape) hash.add(static_cast<std::uint64_t>(d));
    }
    for (const auto& m : network.modules())
        for (const auto& p : m.module.parameters()) {
            hash.add(p.name);
            for (nn::Index d : p.shape()) hash.add(static_cast<std::uint64_t>(d));
            hash.add_bytes(p.values);
        }
}

/// All settings of a layer's algorithm, those of one's own too.
template <class Alternatives>
void add_message(Hash& hash, const oneof<Alternatives>& algorithm) {
    hash.add(algorithm.name());
    std::visit(
        [&]<class M>(const M& message) {
            if constexpr (!std::is_same_v<M, std::monostate>) hash.add(print(message));
        },
        algorithm.value());
}

/// What an optimizer or a loss has as settings it shows by `settings()`, a text; see optimizer.hpp.
template <class T>
void add_settings(Hash& hash, const T& t) {
    hash.add(std::string_view(typeid(T).name()));
    if constexpr (requires { std::string_view(t.settings()); }) hash.add(std::string_view(t.settings()));
}

}  // namespace detail

/// What a run computes depends on. What does not change a bit of the result is not in it: dump, memory,
/// threads. The teacher's outputs for the first batch stand for the settings that its modules do not show.
/// Errors: no batches; one cannot be loaded. Throws std::invalid_argument when a batch does not fit the
/// teacher's inputs.
template <class Algorithms, class Loss, class Optimizer>
result<Fingerprint> fingerprint(const nn::Network& teacher, const BasicStudent<Algorithms>& student,
                                DataSource batches, const BasicDistillOptions<Loss, Optimizer>& options) {
    if (batches.empty()) return general_error("fingerprint: no batches; give at least one");
    detail::Hash of_teacher, of_configuration, of_data, of_calibration, of_training;
    detail::add(of_teacher, teacher);
    of_data.add(std::uint64_t{batches.size()});
    Batch buffer;
    for (std::size_t i = 0; i != batches.size(); ++i) {
        auto const batch = batches.load(i, buffer);
        if (!batch) return batch.diagnostics();
        for (const nn::Tensor& t : *batch) detail::add(of_data, t);
        if (i != 0) continue;
        detail::require_batch(teacher, *batch, "distill", i);
        std::vector<const nn::Tensor*> inputs;
        for (const nn::Tensor& t : *batch) inputs.push_back(&t);
        nn::Tape tape;
        teacher.forward(inputs, tape, nn::Mode::evaluate);
        for (nn::NodeId id : teacher.outputs()) detail::add(of_teacher, tape.output(id));
    }
    const auto& plan = student.plan();
    of_configuration.add(std::uint64_t{plan.batch_num.value});
    for (const auto& layer : plan.layers) {
        of_configuration.add(layer.name);
        of_configuration.add(std::uint64_t{layer.quant_enable});
        detail::add_message(of_configuration, layer.data);
        detail::add_message(of_configuration, layer.weights);
    }
    for (const PlannedBlock& block : plan.blocks) {
        of_configuration.add(std::uint64_t{block.nodes.size()});
        for (NodeId n : block.nodes) of_configuration.add(std::uint64_t{n.index});
    }
    detail::add(of_calibration, student.network());
    of_training.add(static_cast<std::uint64_t>(options.epochs));
    of_training.add(static_cast<std::uint64_t>(options.schedule));
    of_training.add(static_cast<std::uint64_t>(options.blocks));
    of_training.add(std::uint64_t{options.slices});
    of_training.add(static_cast<std::uint64_t>(options.search.evaluations_per_epoch));
    for (double v :
         {options.learning_rates.parameters, options.learning_rates.clips, options.learning_rates.scales,
          options.search.rate_after_failure, options.search.average_decay})
        of_training.add(v);
    detail::add_settings(of_training, options.loss);
    detail::add_settings(of_training, options.optimizer);
    return Fingerprint{of_teacher.value(), of_configuration.value(), of_data.value(), of_calibration.value(),
                       of_training.value()};
}

}  // namespace amct_distill

// ---- amct_distill/distill/checkpoint.hpp

/// What a run has finished, on disk: a file per block, with its parameters, its report and the fingerprint of
/// the run.
///
///     RunDirectory run("out/run", fingerprint, blocks);
///     run.save(2, student, report).value();                  // out/run/block_2.checkpoint
///     std::optional<BlockReport> done = run.load(2, student).value();    // none: not finished yet
///
/// A file is whole or not there, whatever ends the process, or the machine. Numbers are little-endian as in
/// memory; the last eight bytes are a hash of those before.

namespace amct_distill {

namespace detail {

inline constexpr std::string_view checkpoint_magic = "amct_distill block 4\n";

}  // namespace detail

class RunDirectory {
public:
    RunDirectory(std::filesystem::path directory, const Fingerprint& fingerprint,
                 std::span<const TrainedBlock> blocks)
        : directory_(std::move(directory)), fingerprint_(fingerprint), blocks_(blocks) {}

    std::filesystem::path file(std::size_t block) const {
        return directory_ / detail::concat("block_", block, ".checkpoint");
    }
    /// Whether an earlier run has left anything.
    bool has_checkpoints() const {
        std::error_code none;
        for (std::size_t b = 0; b != blocks_.size(); ++b)
            if (std::filesystem::exists(file(b), none)) return true;
        return false;
    }

    /// After a block is trained. Error: the file cannot be written; what was there before is as it was.
    template <class Algorithms>
    result<void> save(std::size_t block, BasicStudent<Algorithms>& student, const BlockReport& report) const {
        detail::BinaryWriter out;
        out.text = detail::checkpoint_magic;
        for (std::uint64_t v : {fingerprint_.teacher, fingerprint_.configuration, fingerprint_.data,
                                fingerprint_.calibration, fingerprint_.training, std::uint64_t{block}})
            out.put(v);
        out.put(report);
        for_each_module(block, student, [&](const std::string& name, nn::Module& module) {
            out.put(name);
            for (const auto& p : module.parameters()) {
                out.put(p.name);
                out.put_values(p.values);
            }
            return true;
        });
        out.put(detail::hash_of(out.text));
        return write_file(file(block), out.text, Durability::after_power_loss);
    }

    /// Gives the student the block's parameters. None: there is no such file. Errors: it cannot be read, is
    /// damaged, or is of another run; the student is then as it was.
    template <class Algorithms>
    result<std::optional<BlockReport>> load(std::size_t block, BasicStudent<Algorithms>& student) const {
        std::error_code unknown;
        if (!std::filesystem::exists(file(block), unknown) && !unknown) return std::optional<BlockReport>{};
        auto const content = read_file(file(block));
        if (!content) return content.diagnostics();
        auto const bad = [&](std::string_view why) {
            return general_error(detail::concat("cannot resume from ", file(block).string(), ": ", why,
                                                "; remove the file, and its block is trained again"));
        };
        std::string_view text = *content;
        std::uint64_t hash = 0;
        if (!text.starts_with(detail::checkpoint_magic)) return bad("it is no checkpoint of this version");
        if (text.size() < detail::checkpoint_magic.size() + sizeof hash) return bad("it is cut off");
        std::memcpy(&hash, text.data() + text.size() - sizeof hash, sizeof hash);
        text.remove_suffix(sizeof hash);
        if (hash != detail::hash_of(text)) return bad("it is damaged or cut off");
        text.remove_prefix(detail::checkpoint_magic.size());

        detail::BinaryReader in(text);
        Fingerprint found;
        std::uint64_t index = 0;
        BlockReport report;
        if (!in.get(found.teacher) || !in.get(found.configuration) || !in.get(found.data) ||
            !in.get(found.calibration) || !in.get(found.training) || !in.get(index))
            return bad("it is damaged");
        if (auto const what = difference(found, fingerprint_); !what.empty())
            return general_error(detail::concat(
                "cannot resume from ", file(block).string(), ": ", what,
                " is not that of the run that wrote it; resume with what it had, or use another directory"));
        if (index != block || !in.get(report)) return bad("it is of another block");
        report.names = blocks_[block].names;
        std::vector<nn::Module> before;  // a student that the file does not fit is as it was
        bool const restored =
            for_each_module(block, student, [&](const std::string& name, nn::Module& module) {
                before.push_back(module);
                std::string text_found;
                if (!in.get(text_found) || text_found != name) return false;
                std::vector<std::vector<float>> values;
                for (const auto& p : module.parameters()) {
                    if (!in.get(text_found) || text_found != p.name || !in.get_values(p.values)) return false;
                    values.emplace_back(p.values.begin(), p.values.end());
                }
                // As another module's constrain() left them, also where no repair from here would lead there.
                module.constrain();
                std::size_t k = 0;
                for (const auto& p : module.parameters()) std::ranges::copy(values[k++], p.values.begin());
                return true;
            });
        if (!restored || !in.at_end()) {
            std::size_t k = 0;
            for_each_module(block, student, [&](const std::string&, nn::Module& module) {
                if (k == before.size()) return false;
                module = std::move(before[k++]);
                return true;
            });
            return bad("its parameters do not fit the student");
        }
        return std::optional<BlockReport>(std::move(report));
    }

private:
    /// f(name, module) for the modules of a block, each once, until it says false.
    template <class Algorithms, class F>
    bool for_each_module(std::size_t block, BasicStudent<Algorithms>& student, const F& f) const {
        nn::Network& network = student.network();
        std::vector<ModuleId> seen;
        for (NodeId k : blocks_[block].nodes) {
            auto const m = network.node(k).module;
            if (!m || std::ranges::find(seen, *m) != seen.end()) continue;
            seen.push_back(*m);
            const std::string& name = network.modules()[*m].name;
            if (!f(name, network.module(name))) return false;
        }
        return true;
    }

    std::filesystem::path directory_;
    Fingerprint fingerprint_;
    std::span<const TrainedBlock> blocks_;
};

}  // namespace amct_distill

// ---- amct_distill/distill/report_layers.hpp

/// The quantization of each layer of a student, measured on data.
///
///     for (const LayerReport& l : report_layers(student, batches).value()) std::cout << l.data_sqnr;

namespace amct_distill {
namespace detail {

/// Signal and noise of a quantized tensor, in squares.
struct Noise {
    double signal = 0, error = 0;
    void add(const nn::Tensor& x, const nn::Tensor& quantized) {
        for (std::size_t i = 0; i != x.size(); ++i) {
            double const v = static_cast<double>(x[i]), d = v - static_cast<double>(quantized[i]);
            signal += v * v;
            error += d * d;
        }
    }
    /// 10 log10(signal / noise); infinite without noise.
    double sqnr() const {
        return error == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(signal / error);
    }
};

/// Counts the values outside of the clips, which always hold 0.
struct ClippedShare {
    std::size_t values = 0, clipped = 0;
    void add(const nn::Tensor& x, ClipRange clip) {
        float const high = (std::max)(clip.max, 0.0f), low = (std::min)(clip.min, 0.0f);
        for (float v : x) clipped += static_cast<std::size_t>(v > high || v < low);
        values += x.size();
    }
    double share() const {
        return values == 0 ? 0 : static_cast<double>(clipped) / static_cast<double>(values);
    }
};

/// The rows of a quantized weight that are all 0.
inline std::vector<std::size_t> zero_rows(const nn::Tensor& weight) {
    std::vector<std::size_t> rows;
    auto const count = static_cast<std::size_t>(weight.dim(0)), cols = weight.size() / count;
    for (std::size_t r = 0; r != count; ++r)
        if (std::ranges::all_of(weight.span().subspan(r * cols, cols), [](float v) { return v == 0; }))
            rows.push_back(r);
    return rows;
}

/// `report_layers`, and f(i, batch, outputs) for each batch: the network's outputs are computed on the way.
template <class Algorithms, class F>
result<std::vector<LayerReport>> measure_layers(const BasicStudent<Algorithms>& student, DataSource batches,
                                                const nn::Executor* executor, std::size_t slices, F f) {
    const nn::Network& network = student.network();
    std::vector<LayerReport> reports;
    std::vector<nn::NodeId> inputs;
    std::vector<const LayerQuantizers<Algorithms>*> quantizers;
    nn::Tensor quantized;
    for (const auto& layer : student.plan().layers) {
        const auto* const q = student.quantizers(layer.name);
        if (q == nullptr) continue;
        nn::Tensor in_rows;
        const auto& from = *student.quantized(layer.module);
        const nn::Tensor& weight = from.rows().gather(from.layer().weight(), in_rows);
        LayerReport& r = reports.emplace_back();
        r.name = layer.name;
        r.weight_algorithm = q->weight_algorithm();
        r.data_algorithm = q->data_algorithm();
        r.weight_bits = q->weight_bits();
        r.data_bits = q->data_bits();
        r.weight_scales = q->weight_scales(weight).values();
        r.data_scale = q->data_scale();
        r.data_clip = q->data_clip();
        r.user_clips = q->has_user_clips();
        q->quantize_weight(weight, quantized);
        detail::Noise n;
        n.add(weight, quantized);
        r.weight_sqnr = n.sqnr();
        r.channels = static_cast<std::size_t>(weight.dim(0));
        r.dead_channels = zero_rows(quantized);
        inputs.push_back(network.node(layer.node).inputs.at(0));
        quantizers.push_back(q);
    }
    std::vector<detail::Noise> noises(reports.size());
    std::vector<detail::ClippedShare> clipped(reports.size());
    // The network's outputs, then the layers' inputs.
    std::vector<nn::NodeId> nodes(network.outputs().begin(), network.outputs().end());
    std::size_t const outputs = nodes.size();
    nodes.insert(nodes.end(), inputs.begin(), inputs.end());
    std::vector<nn::Tensor> values(nodes.size());
    SliceRunner runner(network, executor, slices);
    Batch buffer;
    for (std::size_t i = 0; i != batches.size(); ++i) {
        auto const batch = batches.load(i, buffer);
        if (!batch) return batch.diagnostics();
        require_batch(network, *batch, "report_layers", i);
        runner.run_batch(*batch, nodes, values);
        for (std::size_t k = 0; k != reports.size(); ++k) {
            const nn::Tensor& x = values[outputs + k];
            quantizers[k]->quantize_data(x, quantized);
            noises[k].add(x, quantized);
            clipped[k].add(x, reports[k].data_clip);
        }
        f(i, *batch, std::span<const nn::Tensor>(values).first(outputs));
    }
    for (std::size_t k = 0; k != reports.size(); ++k) {
        reports[k].data_sqnr = noises[k].sqnr();
        reports[k].saturation = clipped[k].share();
    }
    return reports;
}

}  // namespace detail

/// Of every quantized layer, in definition order; `batches` are what the figures of its data are measured on.
/// Error: a batch cannot be loaded. Throws std::invalid_argument when one does not fit the network's inputs.
template <class Algorithms>
result<std::vector<LayerReport>> report_layers(const BasicStudent<Algorithms>& student, DataSource batches,
                                               const nn::Executor* executor = nullptr) {
    return detail::measure_layers(student, batches, executor, default_slices, [](auto&&...) {});
}

}  // namespace amct_distill

// ---- amct_distill/distill/distill.hpp

/// Block-wise distillation: the student learns, block after block, to reproduce the float teacher.
///
///     Student student = make_student(teacher, plan).value();
///     calibrate(student, batches, run).value();
///     DistillReport report = distill(teacher, student, batches, {.epochs = 5}, run).value();
///     distill<MyLoss, MySgd>(teacher, student, batches, {.optimizer = MySgd(0.9)});      // of your own
///     distill(teacher, student, batches, {.blocks = BlockShape::automatic});     // residual units whole
///     distill(teacher, student, batches, {}, {.directory = "run", .resume = true});   // where it was killed
///
/// The teacher is never changed. No block ends above the loss it began with, and the student's outputs are
/// nearer to the teacher's than when calibrated, by 5 % of the error, or the calibrated student is what
/// stays. The same bits come out whatever the dump, the memory and the threads, and whether a run was
/// interrupted or not.
///
/// All of that is measured on the batches. Other data follow where the batches stand for them; with fewer
/// values in them than a network has weights, many epochs fit the batches alone.

namespace amct_distill {
namespace detail {

/// The teacher's outputs, batch by batch: computed once, and kept where the budget allows.
class TeacherOutputs {
public:
    TeacherOutputs(const nn::Network& teacher, DataSource batches, CacheBudget& budget,
                   const nn::Executor* executor, std::size_t slices)
        : batches_(batches), budget_(budget), runner_(teacher, executor, slices), kept_(batches.size()) {
        current_.resize(teacher.outputs().size());
    }
    /// Of batch i, which `batch` is. Valid until the next call.
    std::span<const nn::Tensor> of(std::size_t i, std::span<const nn::Tensor> batch) {
        if (!kept_[i].empty()) return kept_[i];
        runner_.run_batch(batch, runner_.network().outputs(), current_);
        std::size_t bytes = 0;
        for (const nn::Tensor& t : current_) bytes += t.size() * sizeof(float);
        if (!budget_.take(bytes)) return current_;
        return kept_[i] = current_;
    }

private:
    DataSource batches_;
    CacheBudget& budget_;
    SliceRunner runner_;
    std::vector<Batch> kept_;  // by batch; empty: not kept
    Batch current_{};
};

/// The mean squared error over all values of the outputs, as the batches come in.
struct OutputError {
    double sum = 0, values = 0;
    void add(std::span<const nn::Tensor> teacher, std::span<const nn::Tensor> student) {
        for (std::size_t k = 0; k != teacher.size(); ++k) {
            auto const size = static_cast<double>(teacher[k].size());
            sum += mean_squared_error(student[k], teacher[k]) * size;
            values += size;
        }
    }
    double mean() const { return sum / values; }
};

/// Of a network's outputs over all batches. Error: a batch cannot be loaded. Throws std::invalid_argument
/// when one does not fit the network's inputs.
inline result<double> output_error(TeacherOutputs& teacher, const nn::Network& student, DataSource batches,
                                   const nn::Executor* executor, std::size_t slices) {
    SliceRunner runner(student, executor, slices);
    Batch buffer, outputs(student.outputs().size());
    OutputError error;
    for (std::size_t i = 0; i != batches.size(); ++i) {
        auto const batch = batches.load(i, buffer);
        if (!batch) return batch.diagnostics();
        require_batch(student, *batch, "distill", i);
        runner.run_batch(*batch, student.outputs(), outputs);
        error.add(teacher.of(i, *batch), outputs);
    }
    return error.mean();
}

/// What of the calibrated outputs' error may be left on the training data, or the calibrated student stays: a
/// gain that small may be a loss on other data. (Seen on unseen data of nine networks, with gains below 5 %:
/// 3 to 15 % worse in two of three.)
inline constexpr double largest_error_left = 0.95;

/// Puts a network back unless the work on it comes to its end.
class Rollback {
public:
    explicit Rollback(nn::Network& network) : network_(network), before_(network) {}
    Rollback(const Rollback&) = delete;
    Rollback& operator=(const Rollback&) = delete;
    ~Rollback() {
        if (!kept_) network_ = std::move(before_);
    }
    const nn::Network& before() const { return before_; }
    void keep() { kept_ = true; }

private:
    nn::Network& network_;
    nn::Network before_;
    bool kept_ = false;
};

/// The run's directory, and that it is this process's.
struct OpenRun {
    RunDirectory files;
    DirectoryLock lock;
};

/// Nothing without a directory. Errors: it cannot be made; another process works in it; it has checkpoints,
/// and they are not asked for. A result may hold a warning.
template <class Algorithms, class Options>
result<std::optional<OpenRun>> open_run(const nn::Network& teacher, const BasicStudent<Algorithms>& student,
                                        DataSource batches, std::span<const TrainedBlock> blocks,
                                        const Options& options, const RunOptions& run) {
    if (run.directory.empty()) return std::optional<OpenRun>{};
    std::error_code error;  // rather now than after the first block
    std::filesystem::create_directories(run.directory, error);
    if (error) return file_error("create", run.directory, error.value());
    auto lock = DirectoryLock::take(run.directory);
    if (!lock) return lock.diagnostics();
    auto const mark = fingerprint(teacher, student, batches, options);
    if (!mark) return mark.diagnostics();
    RunDirectory files(run.directory, *mark, blocks);
    if (!run.resume && files.has_checkpoints())
        return general_error(concat("distill: ", run.directory.string(),
                                    " has the checkpoints of an earlier run; set resume to continue it, or "
                                    "remove the directory"));
    Diagnostics warnings = lock.diagnostics();
    return {std::optional<OpenRun>(OpenRun{std::move(files), *std::move(lock)}), std::move(warnings)};
}

/// Takes the blocks that an earlier run has finished.
template <class Algorithms>
result<void> load_finished(const RunDirectory& files, BasicStudent<Algorithms>& student, std::size_t blocks,
                           DistillReport& report) {
    for (; report.blocks.size() != blocks; ++report.resumed_blocks) {
        auto done = files.load(report.blocks.size(), student);
        if (!done) return done.diagnostics();
        if (!*done) break;
        report.blocks.push_back(**std::move(done));
    }
    return {};
}

/// Trains the blocks that the report has not yet, and writes each to the run's directory.
template <class Algorithms, class Options>
result<void> train_blocks(const nn::Network& teacher, BasicStudent<Algorithms>& student, DataSource batches,
                          std::span<const TrainedBlock> blocks, const Options& options, const RunOptions& run,
                          const RunDirectory* files, CacheBudget& budget, const nn::Executor& executor,
                          DistillReport& report) {
    if (report.blocks.size() == blocks.size()) return {};
    std::optional<TeacherDump> dump;
    std::filesystem::path const dumps =
        files != nullptr ? run.directory / "dump" : std::filesystem::temp_directory_path();
    std::error_code ignored;
    if (files != nullptr) std::filesystem::remove_all(dumps, ignored);  // of a run that was killed
    if (student.plan().data_dump.value) {
        auto written = TeacherDump::write(teacher, blocks, batches, dumps, &executor, options.slices);
        if (!written) return written.diagnostics();
        dump.emplace(*std::move(written));
    }
    auto const failed = [&](const Diagnostics& why) { return dump ? dump->failed(why) : why; };

    PrefixRunner of_teacher(teacher, batches, budget, &executor, options.slices),
        of_student(student.network(), batches, budget, &executor, options.slices);
    Options training = options;
    for (std::size_t b = report.blocks.size(); b != blocks.size(); ++b) {
        BlockData data(of_student, of_teacher, budget, batches.size(), blocks[b], dump ? &*dump : nullptr, b);
        BlockTrainer<decltype(options.loss), decltype(options.optimizer)> trainer(student.network(), data,
                                                                                  &executor, options.slices);
        if (report.cancelled) training.epochs = 0;
        auto block =
            trainer.train(training, {.block = b, .blocks = blocks.size()}, report.cancelled, run.on_progress);
        if (!block) return failed(block.diagnostics());
        if (files != nullptr && !report.cancelled)
            if (auto saved = files->save(b, student, *block); !saved) return failed(saved.diagnostics());
        report.blocks.push_back(*std::move(block));
    }
    dump.reset();
    if (files != nullptr) std::filesystem::remove(dumps, ignored);
    return {};
}

/// Throws std::invalid_argument when there is nothing sound to work with.
template <class Algorithms>
void require_same(const nn::Network& teacher, const BasicStudent<Algorithms>& student) {
    if (auto const what = difference(teacher, student.network(), "the teacher", "the student"); !what.empty())
        throw std::invalid_argument(concat("distill: the student is not one of this teacher: ", what,
                                           "; make it from this teacher by make_student()"));
}

}  // namespace detail

/// Distills a calibrated student of `teacher`. Errors, the student then being as calibrated: no batches, or
/// one that cannot be loaded; a layer that is not calibrated; another process works in the run's directory;
/// the dump or a checkpoint cannot be written or read (a full disk, ...), which leaves the blocks in the
/// directory that are finished; a checkpoint is damaged or of another run. Throws std::invalid_argument, the
/// student being as calibrated too, when the student is of another network, a batch does not fit the
/// networks' inputs, or an option makes no sense.
template <BlockLoss Loss = MeanSquaredError, BlockOptimizer Optimizer = AdamW, class Algorithms>
result<DistillReport> distill(const nn::Network& teacher, BasicStudent<Algorithms>& student,
                              DataSource batches, const BasicDistillOptions<Loss, Optimizer>& options = {},
                              const RunOptions& run = {}) {
    options.check_options();
    run.check_options("distill");
    detail::require_same(teacher, student);
    if (batches.empty()) return general_error("distill: no batches; give at least one");
    for (const auto& layer : student.plan().layers)
        if (const auto* const q = student.quantizers(layer.name); q != nullptr && !q->is_calibrated())
            return general_error(detail::concat("distill: layer `", layer.name,
                                                "` is not calibrated; call calibrate() first"));
    auto const blocks = blocks_of(teacher, student.plan(), options.blocks);
    nn::Executor const executor(run.threads);
    CacheBudget budget(run.memory_bytes);
    detail::TeacherOutputs outputs(teacher, batches, budget, &executor, options.slices);
    detail::Rollback rollback(student.network());
    DistillReport report;
    auto const calibrated =
        detail::output_error(outputs, rollback.before(), batches, &executor, options.slices);
    if (!calibrated) return calibrated.diagnostics();
    report.output_error_calibrated = *calibrated;

    auto const opened = detail::open_run(teacher, student, batches, blocks, options, run);
    if (!opened) return opened.diagnostics();
    const RunDirectory* const files = *opened ? &(*opened)->files : nullptr;
    if (files != nullptr)
        if (auto ok = detail::load_finished(*files, student, blocks.size(), report); !ok)
            return ok.diagnostics();
    if (auto ok = detail::train_blocks(teacher, student, batches, blocks, options, run, files, budget,
                                       executor, report);
        !ok)
        return ok.diagnostics();

    detail::OutputError error;
    auto layers = detail::measure_layers(
        student, batches, &executor, options.slices,
        [&](std::size_t i, std::span<const nn::Tensor> batch, std::span<const nn::Tensor> values) {
            error.add(outputs.of(i, batch), values);
        });
    if (!layers) return layers.diagnostics();
    report.output_error_distilled = error.mean();
    if (!(report.output_error_distilled <= detail::largest_error_left * report.output_error_calibrated)) {
        student.network() = rollback.before();
        report.output_error_distilled = report.output_error_calibrated;
        report.kept_calibrated = true;
        layers = report_layers(student, batches, &executor);
        if (!layers) return layers.diagnostics();
    }
    report.layers = *std::move(layers);
    rollback.keep();
    return {std::move(report), opened.diagnostics()};
}

}  // namespace amct_distill

// ---- amct_distill/nn/layers/activation.hpp

/// Activations: ReLU, LeakyReLU, Sigmoid, Tanh element by element, and Softmax along a dimension; all as in
/// torch.nn, NaN passes through them.
///
///     net.add("relu1", ReLU{}, {x});
///     net.add("leaky", LeakyReLU(0.1f), {x});
///     net.add("probabilities", Softmax(1), {x});

namespace amct_distill::detail {

/// What the element-wise activations share. `Derived` has `value(x)`, or `values(x, y)` of arrays, and
/// `slope_times(x, y, g)`: the gradient `g` of the output `y`, carried to the input `x`.
template <class Derived, class T>
class Elementwise {
public:
    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        if (inputs.size() != 1) return unexpected_inputs("one input", inputs);
        return inputs[0];
    }
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        const T* const x = inputs[0]->data();
        T* const y = output.data();
        scratch.in_parts(output.size(), [&](std::size_t begin, std::size_t end) {
            auto const n = static_cast<nn::Index>(end - begin);
            nn::ConstArrayMap<T> const from(x + begin, n);
            nn::ArrayMap<T> to(y + begin, n);
            if constexpr (requires { self().values(from, to); })
                self().values(from, to);
            else
                for (nn::Index i = 0; i != n; ++i) to[i] = self().value(from[i]);
        });
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>& output,
                  const nn::BasicTensor<T>& grad_output, std::span<nn::BasicTensor<T>* const> grad_inputs,
                  std::span<nn::BasicTensor<T>>, nn::BasicScratch<T>& scratch, nn::Mode) const {
        if (!grad_inputs[0]) return;
        const T* const x = inputs[0]->data();
        const T* const y = output.data();
        const T* const g = grad_output.data();
        T* const gx = grad_inputs[0]->data();
        scratch.in_parts(output.size(), [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i != end; ++i) gx[i] += self().slope_times(x[i], y[i], g[i]);
        });
    }

private:
    const Derived& self() const { return static_cast<const Derived&>(*this); }
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// ReLU and LeakyReLU run forward on Eigen's vectors, because g++ at -O2 makes a branch of the comparison, 10
/// times as slow. Eigen's max and min let NaN pass when it is on their left, as std::max does. The 0 that is
/// added turns -0, which vectors and scalars treat differently, into 0.
template <class T>
class BasicReLU : public detail::Elementwise<BasicReLU<T>, T> {
public:
    static constexpr std::string_view type_name = "ReLU";
    static constexpr std::string_view operation = "Relu";
    static void values(const ConstArrayMap<T>& x, ArrayMap<T>& y) { y = (x.max)(T(0)) + T(0); }
    static T slope_times(T, T y, T g) { return y <= 0 ? T(0) : g; }
};

struct LeakyReLUOptions {
    double negative_slope = 0.01;
    friend bool operator==(const LeakyReLUOptions&, const LeakyReLUOptions&) = default;
};

template <class T>
class BasicLeakyReLU : public detail::Elementwise<BasicLeakyReLU<T>, T> {
public:
    static constexpr std::string_view type_name = "LeakyReLU";
    static constexpr std::string_view operation = "LeakyRelu";
    explicit BasicLeakyReLU(T negative_slope = T(0.01)) : slopes_{negative_slope, T(1)} {}
    explicit BasicLeakyReLU(const LeakyReLUOptions& options) : BasicLeakyReLU(T(options.negative_slope)) {}
    LeakyReLUOptions options() const { return {double(slopes_[0])}; }
    T negative_slope() const { return slopes_[0]; }
    void values(const ConstArrayMap<T>& x, ArrayMap<T>& y) const {
        y = (x.max)(T(0)) + (x.min)(T(0)) * negative_slope() + T(0);
    }
    T slope_times(T x, T, T g) const { return g * slopes_[x > 0]; }

private:
    T slopes_[2];  ///< of what is not positive, of what is: looked up, not branched on
};

template <class T>
class BasicSigmoid : public detail::Elementwise<BasicSigmoid<T>, T> {
public:
    static constexpr std::string_view type_name = "Sigmoid";
    static T value(T x) { return T(1) / (T(1) + std::exp(-x)); }
    static T slope_times(T, T y, T g) { return g * (y * (T(1) - y)); }
};

template <class T>
class BasicTanh : public detail::Elementwise<BasicTanh<T>, T> {
public:
    static constexpr std::string_view type_name = "Tanh";
    static T value(T x) { return std::tanh(x); }
    static T slope_times(T, T y, T g) { return g * (T(1) - y * y); }
};

struct SoftmaxOptions {
    Index dim = 1;
    friend bool operator==(const SoftmaxOptions&, const SoftmaxOptions&) = default;
};

/// exp(x) / sum(exp(x)) along a dimension; shifted by the maximum, so that nothing overflows.
template <class T>
class BasicSoftmax {
public:
    static constexpr std::string_view type_name = "Softmax";
    /// Throws std::invalid_argument for dimension 0, the batch.
    explicit BasicSoftmax(std::size_t dim = 1) : dim_(dim) {
        if (dim == 0) throw std::invalid_argument("Softmax: dim 0 is the batch; expected 1 or more");
    }
    explicit BasicSoftmax(const SoftmaxOptions& options) : BasicSoftmax(detail::dimension(options.dim)) {}
    SoftmaxOptions options() const { return {static_cast<Index>(dim_)}; }
    std::size_t dim() const { return dim_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() <= dim_)
            return detail::unexpected_inputs(detail::concat("one input with a dimension ", dim_), inputs);
        return inputs[0];
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>&, Mode) const {
        const T* const x = inputs[0]->data();
        T* const y = output.data();
        for_each_line(output.shape(), [&](std::size_t first, std::size_t step, std::size_t end) {
            T largest = x[first], sum = 0;
            for (std::size_t i = first; i != end; i += step) largest = (std::max)(largest, x[i]);
            for (std::size_t i = first; i != end; i += step) sum += y[i] = std::exp(x[i] - largest);
            for (std::size_t i = first; i != end; i += step) y[i] /= sum;
        });
    }
    void backward(BasicInputs<T>, const BasicTensor<T>& output, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        if (!grad_inputs[0]) return;
        const T* const y = output.data();
        const T* const g = grad_output.data();
        T* const gx = grad_inputs[0]->data();
        for_each_line(output.shape(), [&](std::size_t first, std::size_t step, std::size_t end) {
            T dot = 0;
            for (std::size_t i = first; i != end; i += step) dot += y[i] * g[i];
            for (std::size_t i = first; i != end; i += step) gx[i] += y[i] * (g[i] - dot);
        });
    }

private:
    /// Calls f(first, step, end) for the flat indices of every line along the dimension.
    template <class F>
    void for_each_line(const Shape& shape, F f) const {
        auto const outer = static_cast<std::size_t>(product(shape, 0, dim_));
        auto const length = static_cast<std::size_t>(shape[dim_]);
        auto const step = static_cast<std::size_t>(product(shape, dim_ + 1, shape.size()));
        for (std::size_t i = 0; i != outer; ++i)
            for (std::size_t j = 0; j != step; ++j) {
                std::size_t const first = i * length * step + j;
                f(first, step, first + length * step);
            }
    }

    std::size_t dim_;
};

using ReLU = BasicReLU<float>;
using LeakyReLU = BasicLeakyReLU<float>;
using Sigmoid = BasicSigmoid<float>;
using Tanh = BasicTanh<float>;
using Softmax = BasicSoftmax<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/nn/matrix_product.hpp

/// The matrix product behind convolution and linear layers: c = a b, or c += a b, on one thread.
///
///     std::vector<float> buffer(product_buffer);
///     auto const row_of_b = [&](nn::Index k, float*) { return b + k * 100; };
///     multiply(best_instructions(), {.c = c, .c_stride = 100, .a = a, .a_stride = 70, .rows = 50,
///                                    .depth = 70, .cols = 100}, row_of_b, buffer.data());
///
/// Not Eigen's, because that has the instructions that the compiler was told of: at plain -O2 a sixth of the
/// machine's speed. (EIGEN_USE_BLAS and EIGEN_DONT_PARALLELIZE change nothing here.) This one is compiled for
/// each instruction set and chosen at run time. The rows of b are copied to panels of 32 columns, or computed
/// there: the columns of a convolution are nowhere else.
///
/// An element of c is a sum in the order of k, in blocks of `product_depth`; it depends neither on threads,
/// on how c is cut in parts, nor on the width of vectors. (What it depends on is whether there is a fused
/// multiply-add: AVX2 and AVX-512 have it, plain x86-64 has not.)

namespace amct_distill::detail {

inline constexpr nn::Index product_depth =
    128;  ///< of b's rows that are in panels at a time: a panel is half an L1
inline constexpr nn::Index product_cols =
    256;  ///< the most columns of a product; 256 KB of panels: half an L2
inline constexpr nn::Index panel_cols = 32;
/// What `multiply` needs as a buffer: the panels, and a row of b.
inline constexpr nn::Index product_buffer = product_depth * product_cols + product_cols;

template <class T>
struct Product {
    T* c = nullptr;
    nn::Index c_stride = 0;  ///< from row to row
    const T* a = nullptr;
    nn::Index a_stride = 0;
    nn::Index rows = 0, depth = 0, cols = 0;
    bool add = true;  ///< else c is overwritten
};

#if defined(__GNUC__)
template <class T, int Bytes>
struct ProductLanes {
    typedef T type __attribute__((vector_size(Bytes)));
    static constexpr int count = Bytes / int(sizeof(T));
};
#else
template <class T, int Bytes>
struct ProductLanes;
#endif
template <class T>
struct ProductLanes<T, 4> {  // the scalar instruction set
    using type = T;
    static constexpr int count = 1;
};

/// c += a b over panels that are filled. A tile of c stays in registers: 12 of the 16 that AVX2 has.
template <class T>
struct PanelProduct {
    Product<T> p;
    const T* panels;

    template <int Bytes, int Rows>
    [[gnu::always_inline]] void tile(const T* a, const T* b, T* c, nn::Index c_stride, bool add) const {
        using V = typename ProductLanes<T, Bytes>::type;
        constexpr int count = ProductLanes<T, Bytes>::count;
        nn::Index const depth = p.depth, stride = p.a_stride;
        V sums[std::size_t(Rows)][2] = {};
        for (nn::Index k = 0; k != depth; ++k, b += panel_cols) {
            V left, right;
            std::memcpy(&left, b, sizeof left);
            std::memcpy(&right, b + count, sizeof right);
#pragma GCC unroll 8
            for (int r = 0; r != Rows; ++r) {
                T const factor = a[r * stride + k];
                sums[r][0] += factor * left;
                sums[r][1] += factor * right;
            }
        }
#pragma GCC unroll 8
        for (int r = 0; r != Rows; ++r)
#pragma GCC unroll 2
            for (int half = 0; half != 2; ++half) {
                T* const to = c + r * c_stride + half * count;
                V sum = sums[r][half];
                if (add) {
                    V old;
                    std::memcpy(&old, to, sizeof old);
                    sum += old;
                }
                std::memcpy(to, &sum, sizeof sum);
            }
    }

    /// All tiles of this height that the rows from `row` on have room for; returns the next row.
    template <int Bytes, int Rows>
    [[gnu::always_inline]] nn::Index tiles(nn::Index row, const T* b, nn::Index col) const {
        constexpr int width = 2 * ProductLanes<T, Bytes>::count;
        T aside[std::size_t(Rows * width)];  // where c has only some of the columns
        nn::Index const cols = (std::min)(p.cols - col, nn::Index(width));
        bool const whole = cols == width;
        for (; row + Rows <= p.rows; row += Rows) {
            T* const c = p.c + row * p.c_stride + col;
            tile<Bytes, Rows>(p.a + row * p.a_stride, b, whole ? c : aside, whole ? p.c_stride : width,
                              whole && p.add);
            if (whole) continue;
            for (nn::Index r = 0; r != Rows; ++r)
                for (nn::Index j = 0; j != cols; ++j) {
                    T& to = c[r * p.c_stride + j];
                    to = aside[r * width + j] + (p.add ? to : T(0));
                }
        }
        return row;
    }

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        constexpr int width = 2 * ProductLanes<T, Bytes>::count;
        for (nn::Index col = 0; col < p.cols; col += width) {
            const T* const b = panels + col / panel_cols * panel_cols * p.depth + col % panel_cols;
            nn::Index row = 0;
            if constexpr (Bytes == 64) row = tiles<Bytes, 8>(row, b, col);
            if constexpr (Bytes == 32) row = tiles<Bytes, 6>(row, b, col);
            row = tiles<Bytes, 4>(row, b, col);
            row = tiles<Bytes, 2>(row, b, col);
            tiles<Bytes, 1>(row, b, col);
        }
    }
};

/// `row_of_b(k, line)` tells where the p.cols values of row k are: in memory of the caller's, or, computed,
/// in `line`. `buffer` has `product_buffer` values. Precondition: p.cols <= product_cols.
template <class T, class RowOfB>
void multiply(InstructionSet set, Product<T> p, const RowOfB& row_of_b, T* buffer) {
    T* const line = buffer + product_depth * product_cols;
    nn::Index const depth = p.depth;
    for (nn::Index first = 0; first < depth; first += product_depth) {
        p.depth = (std::min)(product_depth, depth - first);
        for (nn::Index k = 0; k != p.depth; ++k) {
            const T* const from = row_of_b(first + k, line);
            nn::Index col = 0;
            for (; col + panel_cols <= p.cols; col += panel_cols)
                std::memcpy(buffer + col * p.depth + k * panel_cols, from + col, panel_cols * sizeof(T));
            if (col == p.cols) continue;
            T* const last = buffer + col * p.depth + k * panel_cols;
            std::fill(std::copy(from + col, from + p.cols, last), last + panel_cols, T(0));
        }
        run_on(set, PanelProduct<T>{p, buffer});
        p.a += p.depth;
        p.add = true;
    }
}

/// y += factor * x, for products of so few rows that panels do not pay.
template <class T>
struct add_scaled_loop {
    const T* x;
    T factor;
    T* y;
    nn::Index n;

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        using V = typename ProductLanes<T, Bytes>::type;
        constexpr nn::Index count = ProductLanes<T, Bytes>::count;
        nn::Index i = 0;
        for (; i + count <= n; i += count) {
            V from, to;
            std::memcpy(&from, x + i, sizeof from);
            std::memcpy(&to, y + i, sizeof to);
            to += factor * from;
            std::memcpy(y + i, &to, sizeof to);
        }
        for (; i < n; ++i) y[i] += factor * x[i];
    }
};

/// The sum of x * y, in 16 lanes that are added in the end; likewise.
template <class T>
struct dot_loop {
    const T *x, *y;
    nn::Index n;

    template <int Bytes>
    [[gnu::always_inline]] T run() const {
        using V = typename ProductLanes<T, Bytes>::type;
        constexpr int count = ProductLanes<T, Bytes>::count;
        constexpr std::size_t vectors = 16 / std::size_t(count);
        V sums[vectors] = {};
        nn::Index i = 0;
        for (; i + 16 <= n; i += 16)
#pragma GCC unroll 16
            for (std::size_t v = 0; v != vectors; ++v) {
                V a, b;
                std::memcpy(&a, x + i + v * count, sizeof a);
                std::memcpy(&b, y + i + v * count, sizeof b);
                sums[v] += a * b;
            }
        T lanes[16];
        std::memcpy(lanes, sums, sizeof lanes);
        for (int lane = 0; i < n; ++i, ++lane) lanes[lane] += x[i] * y[i];
        T sum = 0;
        for (T lane : lanes) sum += lane;
        return sum;
    }
};

/// How many parts of at most `size` something of length n has.
constexpr nn::Index parts(nn::Index n, nn::Index size) { return (n + size - 1) / size; }

/// to = from^T; `from` is rows x cols.
template <class T>
void transpose(const T* from, nn::Index from_stride, nn::Index rows, nn::Index cols, T* to,
               nn::Index to_stride) {
    constexpr nn::Index block = 8;  // lines of the cache at a time: as many as can lie a power of two apart
    for (nn::Index i = 0; i < rows; i += block)
        for (nn::Index j = 0; j < cols; j += block)
            for (nn::Index r = i; r < (std::min)(rows, i + block); ++r)
                for (nn::Index c = j; c < (std::min)(cols, j + block); ++c)
                    to[c * to_stride + r] = from[r * from_stride + c];
}

}  // namespace amct_distill::detail

// ---- amct_distill/nn/window.hpp

/// A window that slides over the images of a batch: the arithmetic that convolution and pooling share.
///
///     detail::Window w{.input = {28, 28}, .kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}};
///     w.output(0);                    // 14 rows
///     w.inside(0, w.offset(0, 2));    // the outputs [first, last) for which tap 2 reads inside the image

namespace amct_distill::nn {

/// Height and width.
using Size2 = std::array<Index, 2>;

/// "3x3"
inline std::string to_string(const Size2& size) { return detail::concat(size[0], 'x', size[1]); }

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// std::copy for the some tens of values of a row: without a call, and without a loop for the last ones,
/// which are copied again where need be. The arrays do not overlap.
template <class T>
void copy_row(const T* from, nn::Index n, T* to) {
    constexpr nn::Index step = 8;
    if (n < step) {
        for (nn::Index i = 0; i < n; ++i) to[i] = from[i];
        return;
    }
    for (nn::Index i = 0; i < n - step; i += step) std::memcpy(to + i, from + i, step * sizeof(T));
    std::memcpy(to + n - step, from + n - step, step * sizeof(T));
}

/// to += from, in vectors that g++ at -O2 does not make by itself.
template <class T>
void add_row(const T* from, nn::Index n, T* to) {
    nn::Index i = 0;
#if defined(__GNUC__)
    typedef T vector __attribute__((vector_size(16)));
    for (constexpr nn::Index step = 16 / sizeof(T); i + step <= n; i += step) {
        vector a, b;
        std::memcpy(&a, from + i, sizeof a);
        std::memcpy(&b, to + i, sizeof b);
        b += a;
        std::memcpy(to + i, &b, sizeof b);
    }
#endif
    for (; i < n; ++i) to[i] += from[i];
}

struct Window {
    nn::Size2 input{};  ///< height and width of the image
    nn::Size2 kernel{1, 1};
    nn::Size2 stride{1, 1};
    nn::Size2 padding{0, 0};
    nn::Size2 dilation{1, 1};

    /// Positions of the window along `axis`, as PyTorch counts them; 0 or less when it does not fit.
    nn::Index output(std::size_t axis) const {
        nn::Index const room = input[axis] + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1;
        return room < 0 ? 0 : steps(axis, room) + 1;
    }
    nn::Index positions() const { return output(0) * output(1); }
    nn::Index taps() const { return kernel[0] * kernel[1]; }

    /// What tap `k` of the window at output 0 reads; at output `o` it is `o * stride` further on.
    nn::Index offset(std::size_t axis, nn::Index k) const { return k * dilation[axis] - padding[axis]; }

    /// n / stride: this is computed for every tap, and a division takes as long as copying a row of it.
    nn::Index steps(std::size_t axis, nn::Index n) const { return stride[axis] == 1 ? n : n / stride[axis]; }

    struct Range {
        nn::Index first = 0, last = 0;
    };
    /// The outputs [first, last) at which a tap with this offset reads inside the image, not the padding.
    Range inside(std::size_t axis, nn::Index offset) const {
        nn::Index const end = input[axis] - offset;  // o * stride in [-offset, end)
        nn::Index const last = end <= 0 ? 0 : (std::min)(steps(axis, end - 1) + 1, output(axis));
        nn::Index const first = offset >= 0 ? 0 : steps(axis, -offset + stride[axis] - 1);
        return {(std::min)(first, last), last};
    }
};

/// Calls f(y, x, last, k) for the parts in rows of the positions [first, first + n): columns [x, last) of
/// row y, the k-th and so on of them.
template <class F>
void for_each_row_of(const Window& w, nn::Index first, nn::Index n, F f) {
    nn::Index const cols = w.output(1);
    nn::Index y = first / cols, x = first % cols;
    for (nn::Index k = 0; k != n; x = 0, ++y) {
        nn::Index const last = (std::min)(cols, x + n - k);
        f(y, x, last, k);
        k += last - x;
    }
}

/// What tap (ky, kx) of the window sees of an image's plane at the positions [first, first + n); padding
/// reads as 0. A convolution is a matrix product whose second factor has these as rows.
template <class T>
void read_tap(const T* plane, const Window& w, nn::Index ky, nn::Index kx, nn::Index first, nn::Index n,
              T* line) {
    nn::Index const dy = w.offset(0, ky), dx = w.offset(1, kx), step = w.stride[1];
    auto const y_inside = w.inside(0, dy), x_inside = w.inside(1, dx);
    for_each_row_of(w, first, n, [&](nn::Index y, nn::Index x, nn::Index last, nn::Index k) {
        T* const to = line + k - x;
        if (y < y_inside.first || y >= y_inside.last) {
            std::fill(to + x, to + last, T(0));
            return;
        }
        const T* const from = plane + (y * w.stride[0] + dy) * w.input[1] + dx;
        nn::Index const begin = std::clamp(x_inside.first, x, last),
                        end = std::clamp(x_inside.last, begin, last);
        std::fill(to + x, to + begin, T(0));
        if (step == 1)
            copy_row(from + begin, end - begin, to + begin);
        else
            for (nn::Index i = begin; i != end; ++i) to[i] = from[i * step];
        std::fill(to + end, to + last, T(0));
    });
}

/// The transpose of `read_tap`: adds every value of the line to the pixel that it came from.
template <class T>
void add_tap(const T* line, const Window& w, nn::Index ky, nn::Index kx, nn::Index first, nn::Index n,
             T* plane) {
    nn::Index const dy = w.offset(0, ky), dx = w.offset(1, kx), step = w.stride[1];
    auto const y_inside = w.inside(0, dy), x_inside = w.inside(1, dx);
    for_each_row_of(w, first, n, [&](nn::Index y, nn::Index x, nn::Index last, nn::Index k) {
        if (y < y_inside.first || y >= y_inside.last) return;
        const T* const from = line + k - x;
        T* const to = plane + (y * w.stride[0] + dy) * w.input[1] + dx;
        nn::Index const begin = std::clamp(x_inside.first, x, last),
                        end = std::clamp(x_inside.last, begin, last);
        if (step == 1)
            add_row(from + begin, end - begin, to + begin);
        else
            for (nn::Index i = begin; i != end; ++i) to[i * step] += from[i];
    });
}

}  // namespace amct_distill::detail

// ---- amct_distill/nn/layers/weighted_layer.hpp

/// What Conv2d and Linear share: options, a weight and perhaps a bias, and the module's members around them.
///
///     class Linear : public detail::WeightedLayer<Linear, float, LinearOptions> {
///         ... output_shape, weight_shape() as a std::array, output_channels(), and
///         void forward_with(weight, input, output, scratch) const;    // with another weight than its own
///         void backward_with(weight, input, grad_output, grad_input, grad_weight, grad_bias, scratch) const;
///     };

namespace amct_distill::detail {

template <class Derived, class T, class Options>
class WeightedLayer {
public:
    const Options& options() const { return options_; }
    nn::BasicTensor<T>& weight() { return weight_; }
    const nn::BasicTensor<T>& weight() const { return weight_; }
    nn::BasicTensor<T>& bias() { return bias_; }
    const nn::BasicTensor<T>& bias() const { return bias_; }

    void parameters(std::vector<nn::BasicParameter<T>>& list) {
        list.push_back({"weight", nn::Role::weight, &weight_});
        if (options_.bias) list.push_back({"bias", nn::Role::bias, &bias_});
    }
    /// Error: the weight or the bias has not the shape that the options ask for.
    result<void> check_parameters() const {
        if (auto ok = check_shape("weight", weight_, self().weight_shape()); !ok) return ok;
        if (!options_.bias && !bias_.empty())
            return general_error(
                "bias: the options say that there is none; set their `bias` to true, or leave it empty");
        return options_.bias ? check_shape("bias", bias_, std::array{self().output_channels()})
                             : result<void>{};
    }
    /// The layer with these in the place of its own; `bias` empty: without one.
    Derived with_parameters(const nn::BasicTensor<T>& weight, const nn::BasicTensor<T>& bias) const {
        Options options = options_;
        options.bias = !bias.empty();
        Derived made(options);
        made.weight() = weight;
        made.bias() = bias;
        return made;
    }
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        self().forward_with(weight_, *inputs[0], output, scratch);
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>&, const nn::BasicTensor<T>& grad_output,
                  std::span<nn::BasicTensor<T>* const> grad_inputs,
                  std::span<nn::BasicTensor<T>> grad_parameters, nn::BasicScratch<T>& scratch,
                  nn::Mode) const {
        self().backward_with(weight_, *inputs[0], grad_output, grad_inputs[0], &grad_parameters[0],
                             options_.bias ? &grad_parameters[1] : nullptr, scratch);
    }

protected:
    explicit WeightedLayer(const Options& options) : options_(options) {}

    /// Zeros.
    void make() {
        auto const shape = self().weight_shape();
        weight_.resize(nn::Shape(shape.begin(), shape.end()));
        if (options_.bias) bias_.resize({self().output_channels()});
    }

private:
    const Derived& self() const { return static_cast<const Derived&>(*this); }

    Options options_;
    nn::BasicTensor<T> weight_{}, bias_{};
};

}  // namespace amct_distill::detail

// ---- amct_distill/nn/layers/conv2d.hpp

/// Two-dimensional convolution, [N, in, H, W] -> [N, out, H', W'], as torch.nn.Conv2d with zero padding.
///
///     Conv2d conv({.in_channels = 1, .out_channels = 8, .kernel = {3, 3}, .stride = {2, 2}});
///     conv.weight();   // [out, in / groups, kernel height, kernel width]
///     conv.bias();     // [out]; empty when the options say `.bias = false`
///
/// Each image and group is one matrix product; matrix_product.hpp says what its bits depend on. Measured
/// against Eigen's product of the same columns, and against a product per tap of images that are laid out
/// with their channels last (no columns, but twice a transposition): see tests/bench/conv.cpp.

namespace amct_distill::nn {

struct Conv2dOptions {
    Index in_channels = 0;
    Index out_channels = 0;
    Size2 kernel{1, 1};
    Size2 stride{1, 1};
    Size2 padding{0, 0};
    Size2 dilation{1, 1};
    Index groups = 1;
    bool bias = true;
    friend bool operator==(const Conv2dOptions&, const Conv2dOptions&) = default;
};

template <class T>
class BasicConv2d : public detail::WeightedLayer<BasicConv2d<T>, T, Conv2dOptions> {
public:
    static constexpr std::string_view type_name = "Conv2d";
    /// A module around this one that needs buffers of its own takes them from here on.
    static constexpr std::size_t scratch_tensors = 3;

    /// Weight and bias are 0; throws std::invalid_argument when the options make no sense.
    explicit BasicConv2d(const Conv2dOptions& options)
        : detail::WeightedLayer<BasicConv2d, T, Conv2dOptions>(options) {
        const auto& o = options;
        auto const least = [](const Size2& size, Index bound) {
            return size[0] >= bound && size[1] >= bound;
        };
        if (o.in_channels < 1 || o.out_channels < 1 || o.groups < 1 || !least(o.kernel, 1) ||
            !least(o.stride, 1) || !least(o.dilation, 1) || !least(o.padding, 0))
            throw std::invalid_argument(
                "Conv2d: channels, groups, kernel, stride, dilation must be at least 1, padding at least 0");
        if (o.in_channels % o.groups != 0 || o.out_channels % o.groups != 0)
            throw std::invalid_argument(detail::concat("Conv2d: ", o.groups, " groups must divide the ",
                                                       o.in_channels, " input and the ", o.out_channels,
                                                       " output channels"));
        this->make();
    }
    std::array<Index, 4> weight_shape() const {
        const auto& o = this->options();
        return {o.out_channels, o.in_channels / o.groups, o.kernel[0], o.kernel[1]};
    }
    Index output_channels() const { return this->options().out_channels; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != 4 || inputs[0][1] != this->options().in_channels)
            return detail::unexpected_inputs(
                detail::concat("one input [N, ", this->options().in_channels, ", H, W]"), inputs);
        detail::Window const w = window(inputs[0]);
        if (w.positions() == 0)
            return detail::unexpected_inputs(
                detail::concat("an image that holds the kernel ", to_string(this->options().kernel),
                               " (padding ", to_string(this->options().padding), ", dilation ",
                               to_string(this->options().dilation), ")"),
                inputs);
        return Shape{inputs[0][0], this->options().out_channels, w.output(0), w.output(1)};
    }

    /// The convolution with other weights in the place of its own, such as quantized ones, and its own bias.
    void forward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input, BasicTensor<T>& output,
                      BasicScratch<T>& scratch) const {
        Sizes const s = sizes(input);
        Index const step = s.outputs < few_outputs ? 16 * detail::product_cols : detail::product_cols;
        Index const blocks = detail::parts(s.positions, step);
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(s.images * s.groups * blocks, s.work, [&](Index task, Index worker) {
            Index const first = task % blocks * step, image = task / blocks;
            Index const channel = image % s.groups * s.outputs;  // the first output of the group
            Index const n = (std::min)(step, s.positions - first);
            T* const y = output.data() + image * s.outputs * s.positions + first;
            for (Index c = 0; c != s.outputs; ++c)
                std::fill_n(y + c * s.positions, n,
                            this->options().bias ? this->bias().data()[channel + c] : T(0));
            const T* const x = input.data() + image * s.pixels;
            T* const buffer = buffers + worker * detail::product_buffer;
            if (s.outputs < few_outputs) {
                for (Index tap = 0; tap != s.taps; ++tap) {
                    s.read(x, tap, first, n, buffer);
                    for (Index c = 0; c != s.outputs; ++c)
                        detail::run_on(set, detail::add_scaled_loop<T>{
                                                buffer, weight.data()[(channel + c) * s.taps + tap],
                                                y + c * s.positions, n});
                }
                return;
            }
            detail::multiply<T>(
                set,
                {.c = y,
                 .c_stride = s.positions,
                 .a = weight.data() + channel * s.taps,
                 .a_stride = s.taps,
                 .rows = s.outputs,
                 .depth = s.taps,
                 .cols = n},
                [&](Index tap, T* line) {
                    s.read(x, tap, first, n, line);
                    return line;
                },
                buffers + worker * detail::product_buffer);
        });
    }

    /// The gradients of `forward_with`, added to those that are wanted (not null).
    void backward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input,
                       const BasicTensor<T>& grad_output, BasicTensor<T>* grad_input,
                       BasicTensor<T>* grad_weight, BasicTensor<T>* grad_bias,
                       BasicScratch<T>& scratch) const {
        Sizes const s = sizes(input);
        if (grad_weight) add_weight_gradient(s, input, grad_output, *grad_weight, scratch);
        if (grad_bias) add_bias_gradient(s, grad_output, *grad_bias, scratch);
        if (grad_input) add_input_gradient(s, weight, grad_output, *grad_input, scratch);
    }

private:
    /// A batch as matrices: for each image and group, outputs x taps (the weights) times taps x positions
    /// (what the window sees) gives outputs x positions.
    struct Sizes {
        detail::Window window{};
        Index images = 0, groups = 0, channels = 0, outputs = 0, taps = 0, positions = 0;
        Index pixels = 0;  ///< of the channels of a group
        double work = 0;   ///< multiplications in all

        /// The row `tap` of taps x positions, columns [first, first + n), of an image's group.
        void read(const T* image, Index tap, Index first, Index n, T* line) const {
            Index const k = tap % window.taps();
            detail::read_tap(image + tap / window.taps() * window.input[0] * window.input[1], window,
                             k / window.kernel[1], k % window.kernel[1], first, n, line);
        }
        void add(const T* line, Index tap, Index first, Index n, T* image) const {
            Index const k = tap % window.taps();
            detail::add_tap(line, window, k / window.kernel[1], k % window.kernel[1], first, n,
                            image + tap / window.taps() * window.input[0] * window.input[1]);
        }
    };

    detail::Window window(const Shape& input) const {
        return {{input[2], input[3]},
                this->options().kernel,
                this->options().stride,
                this->options().padding,
                this->options().dilation};
    }
    Sizes sizes(const BasicTensor<T>& input) const {
        Sizes s{.window = window(input.shape())};
        s.images = input.dim(0);
        s.groups = this->options().groups;
        s.channels = this->options().in_channels / s.groups;
        s.outputs = this->options().out_channels / s.groups;
        s.taps = s.channels * s.window.taps();
        s.positions = s.window.positions();
        s.pixels = s.channels * input.dim(2) * input.dim(3);
        s.work = double(s.images * s.groups * s.outputs) * double(s.taps * s.positions);
        return s;
    }

    // Below, as in a depthwise convolution, panels would mostly hold what is not used.
    static constexpr Index few_outputs = 4;
    // Of a product for the weights' gradient.
    static constexpr Index gradient_taps = 576, gradient_positions = 128;

    /// taps x positions times positions x outputs, the sum over all images: the images go in parts, whose
    /// sums are added in the end, from the first to the last. How many parts there are depends on the sizes
    /// alone: at most 8, and at most 8 MB of them unless one is larger.
    void add_weight_gradient(const Sizes& s, const BasicTensor<T>& input, const BasicTensor<T>& grad_output,
                             BasicTensor<T>& grad_weight, BasicScratch<T>& scratch) const {
        auto const size = static_cast<Index>(grad_weight.size());
        Index const most = std::clamp((Index(8) << 20) / Index(sizeof(T)) / size, Index(1), Index(8));
        Index const in_part = detail::parts(s.images, (std::min)(most, s.images));  // images
        Index const image_parts = detail::parts(s.images, in_part);
        Index const tap_parts = detail::parts(s.taps, gradient_taps);
        Index const tap_step = detail::parts(s.taps, tap_parts);

        T* const sums = scratch.buffer(1, image_parts * size, 1);
        constexpr Index line_buffer = (gradient_taps + detail::product_cols) * gradient_positions;
        T* const lines = scratch.buffer(2, line_buffer);
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(image_parts * s.groups * tap_parts, s.work, [&](Index task, Index worker) {
            Index const tap = task % tap_parts * tap_step, taps = (std::min)(tap_step, s.taps - tap);
            Index const group = task / tap_parts % s.groups, part = task / tap_parts / s.groups;
            T* const sum = sums + part * size + (group * s.taps + tap) * s.outputs;
            T* const columns = lines + worker * line_buffer;
            T* const transposed = columns + gradient_taps * gradient_positions;
            Index const last = (std::min)(s.images, (part + 1) * in_part);
            bool add = false;
            for (Index image = part * in_part; image != last; ++image)
                for (Index first = 0; first < s.positions; first += gradient_positions, add = true) {
                    Index const n = (std::min)(gradient_positions, s.positions - first);
                    const T* const x = input.data() + (image * s.groups + group) * s.pixels;
                    for (Index k = 0; k != taps; ++k)
                        s.read(x, tap + k, first, n, columns + k * gradient_positions);
                    const T* const g =
                        grad_output.data() + (image * s.groups + group) * s.outputs * s.positions + first;
                    if (s.outputs < few_outputs) {
                        for (Index k = 0; k != taps; ++k)
                            for (Index c = 0; c != s.outputs; ++c) {
                                T& to = sum[k * s.outputs + c];
                                T const dot =
                                    detail::run_on(set, detail::dot_loop<T>{columns + k * gradient_positions,
                                                                            g + c * s.positions, n});
                                to = add ? to + dot : dot;
                            }
                        continue;
                    }
                    for (Index out = 0; out < s.outputs; out += detail::product_cols) {
                        Index const outs = (std::min)(detail::product_cols, s.outputs - out);
                        detail::transpose(g + out * s.positions, s.positions, outs, n, transposed, outs);
                        detail::multiply<T>(
                            set,
                            {.c = sum + out,
                             .c_stride = s.outputs,
                             .a = columns,
                             .a_stride = gradient_positions,
                             .rows = taps,
                             .depth = n,
                             .cols = outs,
                             .add = add},
                            [&](Index k, T*) { return transposed + k * outs; },
                            buffers + worker * detail::product_buffer);
                    }
                }
        });
        scratch.parallel_for(s.groups * s.outputs, double(size) * double(image_parts), [&](Index out, Index) {
            T* const to = grad_weight.data() + out * s.taps;
            const T* const from = sums + out / s.outputs * s.taps * s.outputs + out % s.outputs;
            for (Index tap = 0; tap != s.taps; ++tap) {
                T sum = from[tap * s.outputs];
                for (Index part = 1; part != image_parts; ++part) sum += from[part * size + tap * s.outputs];
                to[tap] += sum;
            }
        });
    }

    void add_bias_gradient(const Sizes& s, const BasicTensor<T>& grad_output, BasicTensor<T>& grad_bias,
                           BasicScratch<T>& scratch) const {
        Index const outputs = this->options().out_channels;
        scratch.parallel_for(outputs, double(grad_output.size()), [&](Index c, Index) {
            double sum = 0;
            for (Index image = 0; image != s.images; ++image)
                sum += detail::sum_of(grad_output.data() + (image * outputs + c) * s.positions, s.positions);
            grad_bias.data()[c] += T(sum);
        });
    }

    /// taps x outputs times outputs x positions gives taps x positions, added to the pixels they came from.
    void add_input_gradient(const Sizes& s, const BasicTensor<T>& weight, const BasicTensor<T>& grad_output,
                            BasicTensor<T>& grad_input, BasicScratch<T>& scratch) const {
        T* const transposed = scratch.buffer(1, static_cast<Index>(weight.size()), 1);
        for (Index group = 0; group != s.groups; ++group)
            detail::transpose(weight.data() + group * s.outputs * s.taps, s.taps, s.outputs, s.taps,
                              transposed + group * s.outputs * s.taps, s.outputs);

        // Channels go in parts of some 144 taps.
        Index const step = std::clamp(Index(144) / s.window.taps(), Index(1), s.channels);
        Index const channel_parts = detail::parts(s.channels, step);
        Index const line_buffer = step * s.window.taps() * detail::product_cols;
        T* const lines = scratch.buffer(2, line_buffer);
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(s.images * s.groups * channel_parts, s.work, [&](Index task, Index worker) {
            Index const channel = task % channel_parts * step, image = task / channel_parts;
            Index const tap = channel * s.window.taps();
            Index const taps = (std::min)(step, s.channels - channel) * s.window.taps();
            T* const columns = lines + worker * line_buffer;
            for (Index first = 0; first < s.positions; first += detail::product_cols) {
                Index const n = (std::min)(detail::product_cols, s.positions - first);
                const T* const g = grad_output.data() + image * s.outputs * s.positions + first;
                detail::multiply<T>(
                    set,
                    {.c = columns,
                     .c_stride = detail::product_cols,
                     .a = transposed + (image % s.groups * s.taps + tap) * s.outputs,
                     .a_stride = s.outputs,
                     .rows = taps,
                     .depth = s.outputs,
                     .cols = n,
                     .add = false},
                    [&](Index k, T*) { return g + k * s.positions; },
                    buffers + worker * detail::product_buffer);
                for (Index k = 0; k != taps; ++k)
                    s.add(columns + k * detail::product_cols, tap + k, first, n,
                          grad_input.data() + image * s.pixels);
            }
        });
    }
};

using Conv2d = BasicConv2d<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/nn/layers/linear.hpp

/// A fully connected layer, [N, ..., in] -> [N, ..., out], as torch.nn.Linear.
///
///     Linear fc({.in_features = 64, .out_features = 10});
///     fc.weight();   // [out, in]
///     fc.bias();     // [out]; empty when the options say `.bias = false`

namespace amct_distill::nn {

struct LinearOptions {
    Index in_features = 0;
    Index out_features = 0;
    bool bias = true;
    friend bool operator==(const LinearOptions&, const LinearOptions&) = default;
};

template <class T>
class BasicLinear : public detail::WeightedLayer<BasicLinear<T>, T, LinearOptions> {
public:
    static constexpr std::string_view type_name = "Linear";
    /// A module around this one that needs buffers of its own takes them from here on.
    static constexpr std::size_t scratch_tensors = 3;

    /// Weight and bias are 0; throws std::invalid_argument when the options make no sense.
    explicit BasicLinear(const LinearOptions& options)
        : detail::WeightedLayer<BasicLinear, T, LinearOptions>(options) {
        if (options.in_features < 1 || options.out_features < 1)
            throw std::invalid_argument("Linear: in_features and out_features must be at least 1");
        this->make();
    }
    std::array<Index, 2> weight_shape() const {
        return {this->options().out_features, this->options().in_features};
    }
    Index output_channels() const { return this->options().out_features; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        const LinearOptions& o = this->options();
        if (inputs.size() != 1 || inputs[0].size() < 2 || inputs[0].back() != o.in_features)
            return detail::unexpected_inputs(detail::concat("one input [N, ..., ", o.in_features, "]"),
                                             inputs);
        Shape shape = inputs[0];
        shape.back() = o.out_features;
        return shape;
    }

    /// The layer with other weights in the place of its own, such as quantized ones, and its own bias.
    void forward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input, BasicTensor<T>& output,
                      BasicScratch<T>& scratch) const {
        // The outputs are computed transposed, out x n: so the weights, mostly the larger factor, stay as
        // they are.
        Index const n = rows(input), in = this->options().in_features, out = this->options().out_features;
        T* const transposed = scratch.buffer(1, in * n, 1);
        detail::transpose(input.data(), in, n, in, transposed, n);
        constexpr Index step = detail::product_cols;
        T* const results = scratch.buffer(2, step * step);
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(
            detail::parts(out, step), double(n * in) * double(out), [&](Index task, Index worker) {
                Index const first = task * step, outs = (std::min)(step, out - first);
                T* const result = results + worker * step * step;
                for (Index i = 0; i < n; i += step) {
                    Index const cols = (std::min)(step, n - i);
                    detail::multiply<T>(
                        set,
                        {.c = result,
                         .c_stride = step,
                         .a = weight.data() + first * in,
                         .a_stride = in,
                         .rows = outs,
                         .depth = in,
                         .cols = cols,
                         .add = false},
                        [&](Index k, T*) { return transposed + k * n + i; },
                        buffers + worker * detail::product_buffer);
                    detail::transpose(result, step, outs, cols, output.data() + i * out + first, out);
                    if (this->options().bias)
                        for (Index row = i; row != i + cols; ++row)
                            for (Index o = first; o != first + outs; ++o)
                                output.data()[row * out + o] += this->bias().data()[o];
                }
            });
    }

    /// The gradients of `forward_with`, added to those that are wanted (not null).
    void backward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input,
                       const BasicTensor<T>& grad_output, BasicTensor<T>* grad_input,
                       BasicTensor<T>* grad_weight, BasicTensor<T>* grad_bias,
                       BasicScratch<T>& scratch) const {
        Index const n = rows(input), in = this->options().in_features, out = this->options().out_features;
        const T* const g = grad_output.data();
        double const work = double(n * in) * double(out);
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        // Both gradients have a row per output or sample and `in` columns, whose parts are products each.
        auto const multiply = [&](T* c, const T* a, Index depth, Index rows, const T* b, Index col,
                                  Index worker) {
            detail::multiply<T>(
                set,
                {.c = c + col,
                 .c_stride = in,
                 .a = a,
                 .a_stride = depth,
                 .rows = rows,
                 .depth = depth,
                 .cols = (std::min)(detail::product_cols, in - col)},
                [&](Index k, T*) { return b + k * in + col; }, buffers + worker * detail::product_buffer);
        };
        if (grad_weight) {
            constexpr Index step = 64;
            T* const transposed = scratch.buffer(1, out * n, 1);
            scratch.parallel_for(detail::parts(out, step), work, [&](Index task, Index worker) {
                Index const first = task * step, outs = (std::min)(step, out - first);
                detail::transpose(g + first, out, n, outs, transposed + first * n, n);
                for (Index col = 0; col < in; col += detail::product_cols)
                    multiply(grad_weight->data() + first * in, transposed + first * n, n, outs, input.data(),
                             col, worker);
            });
        }
        if (grad_bias)
            for (Index i = 0; i != n; ++i)
                for (Index o = 0; o != out; ++o) grad_bias->data()[o] += g[i * out + o];
        if (grad_input)
            scratch.parallel_for(detail::parts(in, detail::product_cols), work,
                                 [&](Index task, Index worker) {
                                     multiply(grad_input->data(), g, out, n, weight.data(),
                                              task * detail::product_cols, worker);
                                 });
    }

private:
    /// Every vector of `in_features` is a sample of its own.
    Index rows(const BasicTensor<T>& input) const {
        return static_cast<Index>(input.size()) / this->options().in_features;
    }
};

using Linear = BasicLinear<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/nn/layers/pool.hpp

/// Pooling of images, [N, C, H, W] -> [N, C, H', W'], as in torch.nn: maximum, average, average of it all.
///
///     net.add("pool1", MaxPool2d({.kernel = {2, 2}}), {x});          // the stride is the kernel
///     net.add("pool2", AvgPool2d({.kernel = {3, 3}, .stride = {1, 1}, .padding = {1, 1}}), {x});
///     net.add("pool3", GlobalAveragePool{}, {x});                    // [N, C, 1, 1]

namespace amct_distill::nn {

struct PoolOptions {
    Size2 kernel{1, 1};
    Size2 stride{0, 0};  ///< {0, 0}: the kernel's
    Size2 padding{0, 0};
    friend bool operator==(const PoolOptions&, const PoolOptions&) = default;
};

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// What the two sliding pools share: options, shapes, and the walk over planes and window positions.
/// `Derived` has, for the patch of a plane that a window covers, `pooled(plane, patch)`, and
/// `carry_back(g, plane, patch, grad_plane)`: adds the gradient of what `pooled` gave.
template <class Derived, class T>
class SlidingPool {
public:
    /// Throws std::invalid_argument when the options make no sense.
    explicit SlidingPool(const nn::PoolOptions& options) : options_(options) {
        nn::PoolOptions& o = options_;
        if (o.stride == nn::Size2{0, 0}) o.stride = o.kernel;
        for (std::size_t axis : {0u, 1u}) {
            if (o.kernel[axis] < 1 || o.stride[axis] < 1 || o.padding[axis] < 0)
                throw std::invalid_argument(
                    "pooling: kernel and stride must be at least 1, padding at least 0");
            // Else a window could lie in the padding alone.
            if (2 * o.padding[axis] > o.kernel[axis])
                throw std::invalid_argument(concat("pooling: padding ", nn::to_string(o.padding),
                                                   " must be at most half the kernel ",
                                                   nn::to_string(o.kernel)));
        }
    }

    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        const T* const x = inputs[0]->data();
        T* const y = output.data();
        for_each_patch(inputs[0]->shape(), scratch, [&](nn::Index plane, const Patch& patch, nn::Index out) {
            y[out] = self().pooled(x + plane, patch);
        });
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>&, const nn::BasicTensor<T>& grad_output,
                  std::span<nn::BasicTensor<T>* const> grad_inputs, std::span<nn::BasicTensor<T>>,
                  nn::BasicScratch<T>& scratch, nn::Mode) const {
        if (!grad_inputs[0]) return;
        const T* const x = inputs[0]->data();
        const T* const g = grad_output.data();
        T* const gx = grad_inputs[0]->data();
        for_each_patch(inputs[0]->shape(), scratch, [&](nn::Index plane, const Patch& patch, nn::Index out) {
            self().carry_back(g[out], x + plane, patch, gx + plane);
        });
    }

    /// With the stride filled in.
    const nn::PoolOptions& options() const { return options_; }

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != 4)
            return unexpected_inputs("one input [N, C, H, W]", inputs);
        Window const w = window(inputs[0]);
        if (w.positions() == 0)
            return unexpected_inputs(concat("an image that holds the kernel ", nn::to_string(options_.kernel),
                                            " (padding ", nn::to_string(options_.padding), ")"),
                                     inputs);
        return nn::Shape{inputs[0][0], inputs[0][1], w.output(0), w.output(1)};
    }

protected:
    Window window(const nn::Shape& input) const {
        return {{input[2], input[3]}, options_.kernel, options_.stride, options_.padding, {1, 1}};
    }

    /// What a window covers of a plane, without the padding: rows [top, bottom) of columns [left, right).
    struct Patch {
        nn::Index top = 0, bottom = 0, left = 0, right = 0;
        nn::Index width = 0;  ///< of the plane

        /// Calls f(offset in the plane) for every pixel.
        template <class F>
        void for_each_pixel(F f) const {
            for (nn::Index row = top; row != bottom; ++row)
                for (nn::Index i = row * width + left; i != row * width + right; ++i) f(i);
        }
    };

private:
    const Derived& self() const { return static_cast<const Derived&>(*this); }

    /// Calls f(offset of the plane in the input, patch, offset in the output) for every output value.
    template <class F>
    void for_each_patch(const nn::Shape& input, const nn::BasicScratch<T>& scratch, F f) const {
        Window const w = window(input);
        nn::Index const rows = w.output(0), cols = w.output(1), height = input[2], width = input[3];
        nn::Index const planes = input[0] * input[1];
        scratch.parallel_for(
            planes, double(planes * w.positions() * w.taps()), [&](nn::Index plane, nn::Index) {
                nn::Index out = plane * rows * cols;
                for (nn::Index y = 0; y != rows; ++y)
                    for (nn::Index x = 0; x != cols; ++x, ++out) {
                        nn::Index const top = y * w.stride[0] - w.padding[0],
                                        left = x * w.stride[1] - w.padding[1];
                        f(plane * height * width,
                          Patch{(std::max)(top, nn::Index(0)), (std::min)(top + w.kernel[0], height),
                                (std::max)(left, nn::Index(0)), (std::min)(left + w.kernel[1], width), width},
                          out);
                    }
            });
    }

    nn::PoolOptions options_;
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// The largest value of each window; the gradient goes to the first that is largest, and NaN is larger than
/// all.
template <class T>
class BasicMaxPool2d : public detail::SlidingPool<BasicMaxPool2d<T>, T> {
    using Base = detail::SlidingPool<BasicMaxPool2d, T>;

public:
    static constexpr std::string_view type_name = "MaxPool2d";
    static constexpr std::string_view operation = "MaxPool";
    using Base::Base;

    static T pooled(const T* plane, const typename Base::Patch& patch) {
        return plane[largest(plane, patch)];
    }
    static void carry_back(T g, const T* plane, const typename Base::Patch& patch, T* grad_plane) {
        grad_plane[largest(plane, patch)] += g;
    }

private:
    static Index largest(const T* plane, const typename Base::Patch& patch) {
        Index best = patch.top * patch.width + patch.left;
        patch.for_each_pixel([&](Index i) {
            if (plane[i] > plane[best] || (std::isnan(plane[i]) && !std::isnan(plane[best]))) best = i;
        });
        return best;
    }
};

/// The mean of each window; padding counts as zeros (`count_include_pad=True`).
template <class T>
class BasicAvgPool2d : public detail::SlidingPool<BasicAvgPool2d<T>, T> {
    using Base = detail::SlidingPool<BasicAvgPool2d, T>;

public:
    static constexpr std::string_view type_name = "AvgPool2d";
    static constexpr std::string_view operation = "AveragePool";
    using Base::Base;

    T pooled(const T* plane, const typename Base::Patch& patch) const {
        T sum = 0;
        patch.for_each_pixel([&](Index i) { sum += plane[i]; });
        return sum / window_size();
    }
    void carry_back(T g, const T*, const typename Base::Patch& patch, T* grad_plane) const {
        T const share = g / window_size();
        patch.for_each_pixel([&](Index i) { grad_plane[i] += share; });
    }

private:
    T window_size() const { return T(this->options().kernel[0] * this->options().kernel[1]); }
};

/// The mean of each plane, as torch.nn.AdaptiveAvgPool2d(1).
template <class T>
class BasicGlobalAveragePool {
public:
    static constexpr std::string_view type_name = "AdaptiveAvgPool2d";
    static constexpr std::string_view operation = "GlobalAveragePool";

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != 4)
            return detail::unexpected_inputs("one input [N, C, H, W]", inputs);
        return Shape{inputs[0][0], inputs[0][1], 1, 1};
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>&, Mode) const {
        Index const n = pixels(*inputs[0]);
        const T* plane = inputs[0]->data();
        for (T& mean : output) {
            mean = T(detail::sum_of(plane, n) / double(n));
            plane += n;
        }
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        if (!grad_inputs[0]) return;
        Index const n = pixels(*inputs[0]);
        T* plane = grad_inputs[0]->data();
        for (T g : grad_output) {
            ArrayMap<T>(plane, n) += g / T(n);
            plane += n;
        }
    }

private:
    static Index pixels(const BasicTensor<T>& input) { return input.dim(2) * input.dim(3); }
};

using MaxPool2d = BasicMaxPool2d<float>;
using AvgPool2d = BasicAvgPool2d<float>;
using GlobalAveragePool = BasicGlobalAveragePool<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/core/diagnostic_list.hpp

/// What is found wrong or odd while resolving, collected, each finding with its place in the text.
///
///     detail::DiagnosticList found(SourceText{"quant.cfg", text});
///     found.error({3, 1}, "batch_num", "...");
///     if (found.failed()) return found.errors();
///
/// Positions come from the message's labels; a message built in C++ has none, and its diagnostics name the
/// path alone.

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

// ---- amct_distill/plan/blocks.hpp

/// The blocks of a plan: the user's groups, and the layers that are left, unit by unit, joined `group_size`
/// at a time.
///
///     auto [blocks, left_out] = detail::plan_blocks(graph, quantizable_nodes, user_blocks, group_size);
///
/// A unit is a quantizable layer with a following BatchNorm2d and a following activation.

namespace amct_distill::detail {

struct PlannedBlocks {
    std::vector<PlannedBlock> blocks{};  // in graph order
    std::vector<NodeId> left_out{};      // nodes of layers before a BatchNorm that no unit may have
};

class BlockPlanner {
public:
    BlockPlanner(const Graph& g, const std::vector<PlannedBlock>& groups)
        : graph_(g), in_group_(g.size(), false), unit_at_(g.size()) {
        for (const PlannedBlock& group : groups)
            for (NodeId n : group.nodes) in_group_[n] = true;
    }

    /// `layers`: the nodes of the quantizable layers, in graph order.
    PlannedBlocks plan(const std::vector<NodeId>& layers, std::vector<PlannedBlock> groups,
                       std::uint32_t group_size) {
        PlannedBlocks out{std::move(groups), {}};
        for (NodeId layer : layers) {
            if (in_group_[layer]) continue;
            unit_at_[layer] = unit(layer);
            if (unit_at_[layer].empty()) out.left_out.push_back(layer);
        }
        for (NodeId layer : layers)
            if (!unit_at_[layer].empty()) out.blocks.push_back(joined(layer, group_size));
        std::sort(out.blocks.begin(), out.blocks.end(), [](const PlannedBlock& a, const PlannedBlock& b) {
            return a.nodes.front() < b.nodes.front();
        });
        return out;
    }

private:
    /// The only reader of a node, unless a group has it.
    std::optional<NodeId> next(NodeId node) const {
        auto const reader = graph_.only_consumer(node);
        return reader && !in_group_[*reader] ? reader : std::nullopt;
    }
    /// The unit that begins with a layer. Empty before a BatchNorm that cannot be part of one (BatchNorm1d,
    /// or shared): the original leaves such a layer out of every block, and so do we.
    std::vector<NodeId> unit(NodeId layer) const {
        std::vector<NodeId> nodes{layer};
        auto follower = next(layer);
        if (follower && graph_.has_module(*follower) && graph_.type(*follower).starts_with("BatchNorm")) {
            if (graph_.type(*follower) != "BatchNorm2d" || graph_.is_shared(*follower)) return {};
            nodes.push_back(*follower);
            follower = next(*follower);
        }
        // A functional activation is no module, and stays outside.
        if (follower && graph_.has_module(*follower) && is_activation(graph_.type(*follower)))
            nodes.push_back(*follower);
        return nodes;
    }
    /// The unit at `layer` with those that follow it directly, `group_size` in all; takes them.
    PlannedBlock joined(NodeId layer, std::uint32_t group_size) {
        PlannedBlock block{std::exchange(unit_at_[layer], {}), {}, {}};
        for (std::uint32_t units = 1; units < group_size; ++units) {
            auto const follower = next(block.nodes.back());
            if (!follower || unit_at_[*follower].empty()) break;
            auto const more = std::exchange(unit_at_[*follower], {});
            block.nodes.insert(block.nodes.end(), more.begin(), more.end());
        }
        for (NodeId n : block.nodes) block.names.push_back(graph_.name(n));
        return block;
    }

    const Graph& graph_;
    std::vector<bool> in_group_;
    std::vector<std::vector<NodeId>> unit_at_;  // by its first node
};

inline PlannedBlocks plan_blocks(const Graph& g, const std::vector<NodeId>& layers,
                                 std::vector<PlannedBlock> groups, std::uint32_t group_size) {
    BlockPlanner planner(g, groups);
    return planner.plan(layers, std::move(groups), group_size);
}

}  // namespace amct_distill::detail

// ---- amct_distill/plan/settings.hpp

/// One layer's algorithm as a rule of the configuration gives it, with no setting left open, and where each
/// setting came from.
///
///     detail::RuleSection<Alternatives> source{&message.weights_quant_algo, "distill_weight_quant_config"};
///     auto [algorithm, from] = detail::settle(source, {.is_conv = true});
///
/// A setting is found by its name: an algorithm of one's own has `dst_type`, `channel_wise`, `fixed_min` and
/// `clip_max_min`, or has them not.

namespace amct_distill::detail {

/// What one rule says of activations, or of weights.
template <class Alternatives>
struct RuleSection {
    const oneof<Alternatives>* choice = nullptr;  // null: nothing
    std::string name{};                           // "distill_override_layers[1]"
    Position where{};                             // of the rule
    std::string path{};                           // of its settings, for diagnostics
};

/// What the defaults depend on.
struct LayerFacts {
    bool is_conv = false;
    std::string relu_before{};  // its name; empty when no ReLU comes before the layer
};

template <class Alternatives>
struct ResolvedAlgorithm {
    oneof<Alternatives> algorithm{};
    AlgorithmProvenance from{};
};

template <class F>
bool is_set(const F& field) {
    if constexpr (requires { field.has_value(); })
        return field.has_value();
    else if constexpr (requires { field.empty(); })
        return !field.empty();
    else
        return true;
}
template <class F>
Position position_of_field(const F& field) {
    if constexpr (requires { field.position(); })
        return field.position();
    else
        return {};
}

/// Fills in the settings that mean something for every algorithm.
template <class M>
void complete(M& message, AlgorithmProvenance& from, const LayerFacts& layer) {
    if constexpr (requires { message.dst_type.emplace(message.dst_type.get()); })
        if (!message.dst_type.has_value()) message.dst_type.emplace(message.dst_type.get());
    if constexpr (requires { message.channel_wise.emplace(true); })
        if (!message.channel_wise.has_value()) message.channel_wise.emplace(layer.is_conv);
    if constexpr (requires { message.fixed_min.emplace(true); })
        if (!message.fixed_min.has_value()) {
            message.fixed_min.emplace(!layer.relu_before.empty());
            if (!layer.relu_before.empty())
                for (auto& [name, provenance] : from.settings)
                    if (name == "fixed_min")
                        provenance.text = concat("default: after ReLU `", layer.relu_before, "`");
        }
}

/// The algorithm of a section, or the first of its list when the section names none.
template <class Alternatives>
ResolvedAlgorithm<Alternatives> settle(const RuleSection<Alternatives>& source, const LayerFacts& layer) {
    ResolvedAlgorithm<Alternatives> out;
    Position where = source.where;
    if (source.choice != nullptr && source.choice->has_value()) {
        out.algorithm = *source.choice;
        where = either(source.choice->position(), where);
        out.from.algo = provenance_of(source.name, where);
    } else {
        out.algorithm.template emplace<0>();
    }
    std::visit(
        [&]<class M>(M& message) {
            if constexpr (!std::is_same_v<M, std::monostate>) {
                [&]<std::size_t... I>(std::index_sequence<I...>) {
                    [[maybe_unused]] auto const note = [&](std::string_view name, const auto& field) {
                        out.from.settings.emplace_back(
                            name, is_set(field)
                                      ? provenance_of(source.name, either(position_of_field(field), where))
                                      : Provenance{});
                    };
                    (note(reflect::field_name<M, I>(), reflect::get<I>(message)), ...);
                }
                (std::make_index_sequence<reflect::field_count<M>>{});
                complete(message, out.from, layer);
            }
        },
        out.algorithm.value());
    return out;
}

/// Whether two algorithms differ, as far as their messages can be compared.
template <class Alternatives>
bool differ(const oneof<Alternatives>& a, const oneof<Alternatives>& b) {
    if (a.value().index() != b.value().index()) return true;
    return std::visit(
        []<class A, class B>(const A& x, const B& y) {
            if constexpr (std::is_same_v<A, B> && requires { x == x; })
                return !(x == y);
            else
                return false;
        },
        a.value(), b.value());
}

}  // namespace amct_distill::detail

// ---- amct_distill/plan/check_clips.hpp

/// Whether the clips that a user gave make a range that can be quantized.
///
///     detail::check_clips(rule.data, found);
///     // quant.cfg:3:20: error: ...clip_max_min: the range from -3e+38 to 3e+38 is wider than ...

namespace amct_distill::detail {

/// How many steps a message's codes make: 255 of INT8.
template <class M>
float steps_of(const M& message) {
    return visit_type(data_formats{}, data_format(message),
                      []<class B>(std::type_identity<B>) { return static_cast<float>(B::qmax - B::qmin); });
}

/// Why a range of clips cannot be quantized, when it cannot: its width overflows, or the scale of its codes
/// is no normal float32. `fixed_min` as the user set it, or not: then both ranges have to be usable.
template <class M>
std::string unusable_range(const M& message, float max, float min) {
    std::optional<bool> fixed;
    if constexpr (requires { message.fixed_min.has_value(); })
        if (message.fixed_min.has_value()) fixed = *message.fixed_min;
    bool const from_min = fixed != true, from_zero = fixed != false;
    if (from_min && !std::isfinite(max - min))
        return concat("the range from ", number(min), " to ", number(max),
                      " is wider than the largest float32");
    float const least = from_zero ? max : max - min;
    if (least / steps_of(message) < (std::numeric_limits<float>::min)())
        return concat("the range from ", from_zero ? std::string("0") : number(min), " to ", number(max),
                      " is too narrow: float32 has no normal number for the scale");
    return {};
}

/// clip_max > 0, clip_min < 0, both finite, and a range between them that can be quantized.
template <class Alternatives>
void check_clips(const RuleSection<Alternatives>& source, DiagnosticList& found) {
    if (source.choice == nullptr) return;
    std::visit(
        [&](const auto& message) {
            if constexpr (requires {
                              message.clip_max_min->clip_max.position();
                              message.clip_max_min->clip_min.position();
                          }) {
                if (!message.clip_max_min.has_value()) return;
                constexpr std::string_view remedy = "; leave clip_max_min out, and IFMR computes the clips";
                bool sound = true;
                auto const check_one = [&](const required<float>& clip, std::string_view name, bool ok,
                                           std::string_view rule) {
                    if (ok && std::isfinite(*clip)) return;
                    sound = false;
                    found.error(
                        either(clip.position(), source.where), concat(source.path, ".clip_max_min.", name),
                        concat(name, " must be ", rule, " and finite, and is ", number(*clip), remedy));
                };
                const auto& clips = *message.clip_max_min;
                check_one(clips.clip_max, "clip_max", *clips.clip_max > 0, "above 0");
                check_one(clips.clip_min, "clip_min", *clips.clip_min < 0, "below 0");
                if (!sound) return;
                std::string const reason = unusable_range(message, *clips.clip_max, *clips.clip_min);
                if (!reason.empty())
                    found.error(either(message.clip_max_min.position(), source.where),
                                concat(source.path, ".clip_max_min"), concat(reason, remedy));
            }
        },
        source.choice->value());
}

}  // namespace amct_distill::detail

// ---- amct_distill/core/glob.hpp

/// Patterns of names: `*` stands for any characters, `?` for one.
///
///     detail::matches("layer1.*", "layer1.0.conv1")       detail::is_pattern("layer1.*")
///
/// Usable in constant evaluation.

namespace amct_distill::detail {

constexpr bool is_pattern(std::string_view text) { return text.find_first_of("*?") != text.npos; }

/// In time linear in the name for each `*`, at the most.
constexpr bool matches(std::string_view pattern, std::string_view name) {
    std::size_t p = 0, n = 0, star = pattern.npos,
                from = 0;  // where the last `*` stands, and what it took up to
    while (n != name.size()) {
        if (p != pattern.size() && pattern[p] == '*') {
            star = p++;
            from = n;
        } else if (p != pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
            ++p;
            ++n;
        } else if (star != pattern.npos) {
            p = star + 1;
            n = ++from;
        } else {
            return false;
        }
    }
    while (p != pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

}  // namespace amct_distill::detail

// ---- amct_distill/core/suggest.hpp

/// The nearest of some names to a misspelled one, for messages that end in "did you mean ...?".
///
///     detail::nearest("clip_maks", names)           // "clip_max", or "" when none is near
///
/// Usable in constant evaluation.

namespace amct_distill::detail {

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`, in bytes; optimal string alignment.
constexpr std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> rows;  // three rows of the table; only pushed to, see reader.hpp
    std::size_t const width = b.size() + 1;
    for (std::size_t i = 0; i != 3 * width; ++i) rows.push_back(i % width);
    auto cell = [&](std::size_t row, std::size_t column) -> std::size_t& {
        return rows[(row % 3) * width + column];
    };
    for (std::size_t i = 1; i <= a.size(); ++i) {
        cell(i, 0) = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            std::size_t const replaced = cell(i - 1, j - 1) + (a[i - 1] != b[j - 1] ? 1u : 0u);
            cell(i, j) = (std::min)({cell(i - 1, j) + 1, cell(i, j - 1) + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cell(i, j) = (std::min)(cell(i, j), cell(i - 2, j - 2) + 1);
        }
    }
    return cell(a.size(), b.size());
}

/// The first of the names with the fewest edits: at most a third of the word's length, one at least, but not
/// all of it; empty when there is none, or when the word is too long to be a name.
template <class Names>
constexpr std::string_view nearest(std::string_view word, const Names& names) {
    constexpr std::size_t longest = 256;
    std::string_view best;
    if (word.empty() || word.size() > longest) return best;
    std::size_t least = (std::min)((std::max<std::size_t>)(word.size() / 3, 1) + 1, word.size());
    for (std::string_view name : names) {
        std::size_t const apart =
            name.size() > word.size() ? name.size() - word.size() : word.size() - name.size();
        if (apart >= least) continue;
        if (std::size_t const d = edit_distance(word, name); d < least) {
            least = d;
            best = name;
        }
    }
    return best;
}

}  // namespace amct_distill::detail

// ---- amct_distill/plan/layer_lookup.hpp

/// The layers and types of layer that a configuration names, looked up; a name that fits nothing is a
/// finding.
///
///     detail::LayerLookup names(graph, found);
///     names.layer("conv11", {3, 20}, "quant_skip_layers[0]");   // none, and
///     // quant_skip_layers[0]: no layer is named `conv11`; did you mean `conv1`?

namespace amct_distill::detail {

/// "; did you mean `conv1`?", or else what there is.
inline std::string instead_of(std::string_view name, const std::vector<std::string_view>& names,
                              std::string_view what_they_are) {
    if (std::string_view const closest = nearest(as_meant(name), names); !closest.empty())
        return concat("; did you mean `", closest, "`?");
    if (names.empty()) return {};
    return concat("; ", what_they_are, ": ", quoted_list(names));
}

/// Holds references to both of its arguments.
class LayerLookup {
public:
    LayerLookup(const Graph& g, DiagnosticList& found, bool patterns = false)
        : graph_(g), found_(found), patterns_(patterns) {
        const auto& modules = g.topology().modules;
        for (std::size_t m = 0; m != modules.size(); ++m) {
            if (!g.uses({m}).empty()) used_names_.push_back(modules[m].name);
            if (!g.why_not_quantized({m}).empty()) continue;
            quantizable_.push_back({m});
            quantizable_names_.push_back(modules[m].name);
            if (std::find(types_.begin(), types_.end(), modules[m].type) == types_.end())
                types_.push_back(modules[m].type);
        }
    }

    /// The modules that can be quantized, in definition order.
    const std::vector<ModuleId>& quantizable() const { return quantizable_; }

    /// The quantizable layer of that name.
    std::optional<ModuleId> layer(std::string_view name, Position where, std::string path) const {
        auto const module = graph_.module_named(name);
        if (!module) {
            found_.error(
                where, std::move(path),
                concat("no layer is named `", visible(name), "`",
                       is_pattern(name) && !patterns_
                           ? std::string("; patterns are taken with ResolveOptions::patterns")
                           : instead_of(name, quantizable_names_, "the layers that can be quantized")));
            return std::nullopt;
        }
        if (auto const reason = graph_.why_not_quantized(*module); !reason.empty()) {
            found_.error(where, std::move(path), concat("`", name, "` ", reason, ": remove it here"));
            return std::nullopt;
        }
        return module;
    }

    /// Whether a name is one of many by intention.
    bool names_many(std::string_view name) const {
        return patterns_ && is_pattern(name) && !graph_.module_named(name);
    }
    /// The quantizable layers that a name, or a pattern where those are taken, stands for.
    auto layers(std::string_view name, Position where, std::string path) const {
        auto fitting = quantizable_;
        fitting.clear();
        if (!names_many(name)) {
            if (auto const one = layer(name, where, std::move(path))) fitting.push_back(*one);
            return fitting;
        }
        for (std::size_t i = 0; i != quantizable_.size(); ++i)
            if (matches(name, quantizable_names_[i])) fitting.push_back(quantizable_[i]);
        if (fitting.empty())
            found_.error(where, std::move(path),
                         concat("no layer that can be quantized matches `", visible(name), "`",
                                instead_of({}, quantizable_names_, "these can be")));
        return fitting;
    }

    /// The quantizable layers of that type.
    std::vector<ModuleId> layers_of_type(std::string_view type, Position where, std::string path) const {
        const auto& modules = graph_.topology().modules;
        std::vector<ModuleId> fitting;
        for (ModuleId m : quantizable_)
            if (modules[m].type == type) fitting.push_back(m);
        if (!fitting.empty()) return fitting;

        bool const exists =
            std::any_of(modules.begin(), modules.end(), [&](const auto& m) { return m.type == type; });
        if (is_quantizable_type(type))
            found_.error(where, std::move(path),
                         concat("the network has no ", type, exists ? " that can be quantized" : "",
                                ": remove it here"));
        else if (exists)
            found_.error(
                where, std::move(path),
                concat("a ", type, " is not quantized; only Conv2d and Linear layers are: remove it here"));
        else
            found_.error(where, std::move(path),
                         concat("no layer is of type `", visible(type), "`",
                                instead_of(type, types_, "the types that can be quantized")));
        return fitting;
    }

    /// Any module that is used, quantizable or not, as an index into Topology::modules.
    std::optional<ModuleId> used_module(std::string_view name, Position where, std::string path) const {
        auto const module = graph_.module_named(name);
        if (!module)
            found_.error(where, std::move(path),
                         concat("no layer is named `", visible(name), "`",
                                instead_of(name, used_names_, "the layers of the network")));
        else if (graph_.uses(*module).empty())
            found_.error(where, std::move(path),
                         concat("`", name, "` is not in the network's graph; name a layer that is"));
        else
            return module;
        return std::nullopt;
    }

private:
    const Graph& graph_;
    DiagnosticList& found_;
    bool patterns_ = false;
    std::vector<ModuleId> quantizable_{};
    std::vector<std::string_view> quantizable_names_{};
    std::vector<std::string_view> used_names_{};
    std::vector<std::string_view> types_{};  // of the quantizable layers
};

}  // namespace amct_distill::detail

// ---- amct_distill/plan/precedence.hpp

/// Which of a configuration's rules holds for a layer: skip > override of the layer > override of the type >
/// global.
///
///     strongest({.skipped = false, .of_layer = true, .of_type = true}) == RuleLevel::layer
///
/// The one place that says so, for resolve() and for the compiler.

namespace amct_distill::detail {

enum class RuleLevel { skip, layer, type, global };

/// Which rules there are that name a layer, or its type; the global one always does.
struct RulesPresent {
    bool skipped = false;  // by its name or by its type
    bool of_layer = false;
    bool of_type = false;
};

constexpr RuleLevel strongest(RulesPresent rules) {
    if (rules.skipped) return RuleLevel::skip;
    if (rules.of_layer) return RuleLevel::layer;
    if (rules.of_type) return RuleLevel::type;
    return RuleLevel::global;
}

/// What would hold without the strongest override.
constexpr RuleLevel next_strongest(RulesPresent rules) {
    rules.skipped = false;
    (rules.of_layer ? rules.of_layer : rules.of_type) = false;
    return strongest(rules);
}

}  // namespace amct_distill::detail

// ---- amct_distill/plan/rule_book.hpp

/// The rules of a configuration, looked up: which skip and which override each quantizable layer falls under.
///
///     detail::RuleBook<StandardAlgorithms> rules(config, graph, names, found);
///     for (const auto& layer : rules.layers()) layer.skipped, layer.strongest().weights ...
///
/// Skip (by layer or by type) > override of the layer > override of the type > global.

namespace amct_distill::detail {

/// The global settings, or an override.
template <class Algorithms>
struct Rule {
    std::string name{};  // "distill_override_layers[1]"; empty for the global ones
    Position where{};
    RuleSection<typename Algorithms::data> data{};
    RuleSection<typename Algorithms::weights> weights{};
};

/// What one layer falls under. The pointers are into the rule book.
template <class Algorithms>
struct LayerRules {
    ModuleId module{};
    std::optional<Provenance> skipped{};
    const Rule<Algorithms>* of_layer = nullptr;
    const Rule<Algorithms>* of_type = nullptr;
    const Rule<Algorithms>* global = nullptr;

    RulesPresent present() const { return {skipped.has_value(), of_layer != nullptr, of_type != nullptr}; }
    /// The rule that gives the settings, also those of a layer that is skipped.
    const Rule<Algorithms>& strongest() const {
        RulesPresent rules = present();
        rules.skipped = false;
        return at(detail::strongest(rules));
    }
    /// What would hold without the strongest.
    const Rule<Algorithms>& weaker() const { return at(next_strongest(present())); }
    const Rule<Algorithms>& at(RuleLevel level) const {
        return level == RuleLevel::layer ? *of_layer : level == RuleLevel::type ? *of_type : *global;
    }
    bool falls_under(const Rule<Algorithms>& r) const {
        return detail::strongest(present()) != RuleLevel::skip && &strongest() == &r;
    }
};

template <class Algorithms>
class RuleBook {
public:
    /// Reports names that fit nothing, repeated overrides, and clips out of range. The arguments must outlive
    /// the book.
    template <class Storage>
    RuleBook(const BasicConfig<Algorithms, Storage>& config, const Graph& g, const LayerLookup& names,
             DiagnosticList& found)
        : graph_(g), found_(found), index_(g.module_count()) {
        for (ModuleId module : names.quantizable()) {
            index_[module] = layers_.size();
            layers_.push_back({.module = module, .global = &global_});
        }
        global_ = make_rule(config, "", {});
        read_skips(config, names);
        read_overrides(config, names);
        check_clips(global_.data, found);
        for (const auto& r : of_layers_) check_clips(r.data, found);
        for (const auto& r : of_types_) check_clips(r.data, found);
    }
    RuleBook(const RuleBook&) = delete;
    RuleBook& operator=(const RuleBook&) = delete;

    /// The quantizable layers, in definition order.
    const std::vector<LayerRules<Algorithms>>& layers() const { return layers_; }

    /// Warns of rules that never apply, because stronger ones cover all that they match.
    void warn_of_idle_rules() const {
        for (const auto& layer : layers_)
            if (layer.of_layer && layer.skipped)
                found_.warning(layer.of_layer->where, layer.of_layer->name,
                               concat("never applies: `", name(layer.module), "` is skipped by ",
                                      layer.skipped->text, "; remove one of the two"));
        for (const auto& r : of_types_)
            if (!in_force(r))
                found_.warning(r.where, r.name,
                               "never applies: every layer of that type is skipped or has an override of "
                               "its own; remove it");
        if (in_force(global_)) return;
        auto const idle = [&](const auto& source) {
            if (source.choice != nullptr)
                found_.warning(source.where, source.name,
                               "never applies: every layer is skipped or has an override; remove it");
        };
        idle(global_.data);
        idle(global_.weights);
    }

    /// Warns of overrides that name activations or weights alone, where that changes the others:
    /// what an override does not say takes the default, not the weaker setting. `facts(layer)` gives the
    /// LayerFacts of a LayerRules.
    template <class Facts>
    void warn_of_resets(const Facts& facts) const {
        auto const warn_of = [&](const Rule<Algorithms>& r) {
            reset(r, &Rule<Algorithms>::data, "distill_data_quant_config", facts);
            reset(r, &Rule<Algorithms>::weights, "distill_weight_quant_config", facts);
        };
        for (const auto& r : of_layers_) warn_of(r);
        for (const auto& r : of_types_) warn_of(r);
    }

private:
    using RuleType = Rule<Algorithms>;

    const std::string& name(std::size_t module) const { return graph_.topology().modules[module].name; }
    LayerRules<Algorithms>& rules_of(std::size_t module) { return layers_[index_[module]]; }
    bool in_force(const RuleType& r) const {
        return std::any_of(layers_.begin(), layers_.end(), [&](const auto& l) { return l.falls_under(r); });
    }

    /// `holder` is the configuration, or one of its overrides: both have the two settings by the same names.
    template <class Holder>
    static RuleType make_rule(const Holder& holder, std::string name, Position where) {
        RuleType r{std::move(name), where, {}, {}};
        auto const read = [&](const auto& field, auto oneof_member, std::string_view field_name,
                              auto& source) {
            source.path = r.name.empty() ? std::string(field_name) : concat(r.name, '.', field_name);
            source.name = r.name.empty() ? source.path : r.name;
            source.where = either(field.position(), where);
            if (!field.has_value()) return;
            source.choice = &((*field).*oneof_member);
            source.path = concat(source.path, '.', source.choice->name());
        };
        read(holder.distill_data_quant_config, &BasicDataQuantConfig<Algorithms>::data_quant_algo,
             "distill_data_quant_config", r.data);
        read(holder.distill_weight_quant_config, &BasicWeightQuantConfig<Algorithms>::weights_quant_algo,
             "distill_weight_quant_config", r.weights);
        return r;
    }

    template <class Config>
    void read_skips(const Config& config, const LayerLookup& names) {
        auto const skip = [&](std::size_t module, const std::string& path, Position where) {
            auto& skipped = rules_of(module).skipped;
            if (!skipped) skipped = provenance_of(path, where);
        };
        for (std::size_t i = 0; i != config.quant_skip_layers.size(); ++i) {
            auto const path = element("quant_skip_layers", i);
            Position const where = position_in(config.quant_skip_layers, i);
            for (auto const module : names.layers(config.quant_skip_layers[i], where, path))
                skip(module, path, where);
        }
        for (std::size_t i = 0; i != config.quant_skip_layer_types.size(); ++i) {
            auto const path = element("quant_skip_layer_types", i);
            Position const where = position_in(config.quant_skip_layer_types, i);
            for (ModuleId module : names.layers_of_type(config.quant_skip_layer_types[i], where, path))
                skip(module, path, where);
        }
    }

    template <class Config>
    void read_overrides(const Config& config, const LayerLookup& names) {
        const auto& by_layer = config.distill_override_layers;
        of_layers_.reserve(by_layer.size());  // the layers keep pointers
        for (std::size_t i = 0; i != by_layer.size(); ++i) {
            const auto& r = of_layers_.emplace_back(
                make_rule(by_layer[i], element("distill_override_layers", i), position_in(by_layer, i)));
            Position const where = either(by_layer[i].layer_name.position(), r.where);
            auto const path = concat(r.name, ".layer_name");
            if (names.names_many(*by_layer[i].layer_name)) continue;
            if (auto const module = names.layer(*by_layer[i].layer_name, where, path))
                take(rules_of(*module).of_layer, r, *by_layer[i].layer_name, where, path);
        }
        // A layer's name is stronger than a pattern that it fits.
        std::vector<const RuleType*> named;
        for (const auto& l : layers_) named.push_back(l.of_layer);
        for (std::size_t i = 0; i != by_layer.size(); ++i) {
            if (!names.names_many(*by_layer[i].layer_name)) continue;
            const auto& r = of_layers_[i];
            Position const where = either(by_layer[i].layer_name.position(), r.where);
            auto const path = concat(r.name, ".layer_name");
            for (auto const module : names.layers(*by_layer[i].layer_name, where, path)) {
                auto& rules = rules_of(module);
                if (named[static_cast<std::size_t>(&rules - layers_.data())] != nullptr) continue;
                take(rules.of_layer, r, name(module), where, path);
            }
        }
        const auto& by_type = config.distill_override_layer_types;
        of_types_.reserve(by_type.size());
        for (std::size_t i = 0; i != by_type.size(); ++i) {
            const auto& r = of_types_.emplace_back(
                make_rule(by_type[i], element("distill_override_layer_types", i), position_in(by_type, i)));
            Position const where = either(by_type[i].layer_type.position(), r.where);
            auto const path = concat(r.name, ".layer_type");
            for (ModuleId module : names.layers_of_type(*by_type[i].layer_type, where, path))
                if (!take(rules_of(module).of_type, r, *by_type[i].layer_type, where, path)) break;
        }
    }
    /// A layer or type has one override.
    bool take(const RuleType*& place, const RuleType& r, std::string_view subject, Position where,
              const std::string& path) {
        if (place == nullptr) return place = &r, true;
        found_.error(
            where, path,
            concat("`", subject, "` has an override already, ", provenance_of(place->name, place->where).text,
                   ": put the settings of both into one"));
        return false;
    }

    template <class Section, class Facts>
    void reset(const RuleType& r, Section RuleType::*which, std::string_view field,
               const Facts& facts) const {
        if ((r.*which).choice != nullptr) return;
        std::vector<std::string_view> changed;
        const Section* weaker = nullptr;
        std::string fallback;
        for (const auto& layer : layers_) {
            if (!layer.falls_under(r)) continue;
            auto const now = settle(r.*which, facts(layer)).algorithm;
            if (!differ(now, settle(layer.weaker().*which, facts(layer)).algorithm)) continue;
            changed.push_back(name(layer.module));
            weaker = &(layer.weaker().*which);
            fallback = describe(now);
        }
        if (changed.empty()) return;
        found_.warning(r.where, r.name,
                       concat("has no ", field, ", so ", quoted_list(changed),
                              changed.size() == 1 ? " gets" : " get", " the default (", fallback,
                              "), not what ", provenance_of(weaker->name, weaker->where).text,
                              " says: an override replaces all of it; repeat in it what is to stay"));
    }

    const Graph& graph_;
    DiagnosticList& found_;
    std::vector<std::size_t> index_;  // by module: into layers_, when it is quantizable
    std::vector<LayerRules<Algorithms>> layers_{};
    RuleType global_{};
    std::vector<RuleType> of_layers_{};
    std::vector<RuleType> of_types_{};
};

}  // namespace amct_distill::detail

// ---- amct_distill/plan/target.hpp

/// Rules of the machine that will run the result; a plan that breaks one is an error.
///
///     resolve(config, topology);                     // target::generic: no rules
///     resolve(config, topology, target::ascend);     // the original's rules
///     resolve(config, topology, Target{.name = "mine", .mixed_widths = false});

namespace amct_distill {

/// As it stands: a machine that runs everything.
struct Target {
    std::string_view name = "generic";  ///< for messages
    bool channel_wise_linear = true;    ///< the weights of a Linear may have one scale per output channel
    bool mixed_widths = true;           ///< a layer's activations and weights may differ in bit width
};

namespace target {
inline constexpr Target generic{};
inline constexpr Target ascend{.name = "ascend", .channel_wise_linear = false, .mixed_widths = false};
}  // namespace target

}  // namespace amct_distill

// ---- amct_distill/plan/check_target.hpp

/// Whether a plan's layers keep the rules of the machine that will run them.
///
///     detail::check_target(plan.layers, rules.layers(), target::ascend, found);
///     // `fc`: a Linear has one weight scale on target ascend; set channel_wise to false for it

namespace amct_distill::detail {

/// Layers that break a rule of the target for one and the same reason, in one error.
class Violations {
public:
    void add(std::string_view layer, Position where, std::string path, std::string reason) {
        for (auto& v : all_)
            if (v.where == where && v.path == path && v.reason == reason) return v.layers.push_back(layer);
        all_.push_back({where, std::move(path), std::move(reason), {layer}});
    }
    void report(DiagnosticList& found) const {
        for (const auto& v : all_)
            found.error(v.where, v.path, concat(quoted_list(v.layers), ": ", v.reason));
    }

private:
    struct Violation {
        Position where;
        std::string path;
        std::string reason;
        std::vector<std::string_view> layers;
    };
    std::vector<Violation> all_{};
};

/// `layers` and `rules` run parallel.
template <class Algorithms>
void check_target(const std::vector<BasicPlannedLayer<Algorithms>>& layers,
                  const std::vector<LayerRules<Algorithms>>& rules, const Target& target,
                  DiagnosticList& found) {
    Violations wrong;
    for (std::size_t i = 0; i != layers.size(); ++i) {
        const auto& layer = layers[i];
        if (!layer.quant_enable) continue;
        const auto& source = rules[i].strongest();
        auto const path = [](const auto& section, std::string_view field) {
            return concat(section.path, '.', field);
        };
        if (!target.channel_wise_linear && layer.type == "Linear" && wants_channels(layer.weights))
            wrong.add(layer.name, layer.weights_from["channel_wise"].where,
                      path(source.weights, "channel_wise"),
                      concat("a Linear has one weight scale on target ", target.name,
                             "; set channel_wise to false for it"));

        auto const data = width_of(layer.data), weights = width_of(layer.weights);
        if (target.mixed_widths || data.empty() || weights.empty() || data == weights) continue;
        const Provenance& of_data = layer.data_from["dst_type"];
        const Provenance& of_weights = layer.weights_from["dst_type"];
        wrong.add(layer.name, of_weights.by_user ? of_weights.where : of_data.where,
                  of_weights.by_user ? path(source.weights, "dst_type")
                  : of_data.by_user  ? path(source.data, "dst_type")
                                     : std::string(),
                  concat("activations are ", data, " (", of_data.text, "), weights ", weights, " (",
                         of_weights.text, "), and target ", target.name,
                         " wants both of one width; set both dst_type to the same"));
    }
    wrong.report(found);
}

}  // namespace amct_distill::detail

// ---- amct_distill/plan/user_blocks.hpp

/// The blocks that the user spells out: the one path from a distill_group's start to its end.
///
///     std::vector<PlannedBlock> blocks = detail::user_blocks(config.distill_group, graph, names, found);
///
/// What is wrong with a group is a finding, and the group is left out.

namespace amct_distill::detail {

struct Paths {
    std::size_t count = 0;        // 2 stands for "several"
    std::vector<NodeId> nodes{};  // of the path, when there is one
};

/// The paths from a node to those for which `is_end` holds, none of them through another such node. Time
/// linear in the graph.
template <class IsEnd>
Paths paths_between(const Graph& g, NodeId start, const IsEnd& is_end) {
    std::vector<std::size_t> ways(g.size(), 0);  // from the start to each node, counted up to 2
    ways[start] = 1;
    std::size_t count = 0;
    NodeId node = start;
    for (NodeId n = start; n != g.size(); ++n.index) {
        if (is_end(n) && ways[n] != 0) {
            count = (std::min<std::size_t>)(count + ways[n], 2);
            node = n;
        } else {
            for (NodeId next : g.consumers(n)) ways[next] = (std::min<std::size_t>)(ways[next] + ways[n], 2);
        }
    }
    Paths found{count, {}};
    if (count != 1) return found;
    while (node != start) {
        found.nodes.push_back(node);
        const auto& inputs = g.node(node).inputs;
        node = NodeId{*std::find_if(inputs.begin(), inputs.end(),
                                    [&](std::size_t n) { return ways[n] != 0 && !is_end(NodeId{n}); })};
    }
    found.nodes.push_back(start);
    std::reverse(found.nodes.begin(), found.nodes.end());
    return found;
}

inline bool may_stand_in_group(const Graph& g, NodeId node) {
    return g.has_module(node) && (g.is_weighted(*g.module_of(node)) || g.type(node) == "BatchNorm2d" ||
                                  is_activation(g.type(node)));
}

/// Why nodes cannot be one block, when one of them is a BatchNorm that the network uses elsewhere, too.
inline std::string trained_twice(const Graph& g, const std::vector<NodeId>& nodes) {
    for (NodeId n : nodes)
        if (g.type(n).starts_with("BatchNorm") && g.is_shared(n))
            return concat("`", g.name(n), "` (", g.type(n),
                          ") is used more than once, and in a group it would be trained in two places");
    return {};
}

/// The nodes of the group from module `start` to module `end`; empty, and a finding, when it is not one.
inline std::vector<NodeId> nodes_of_group(const Graph& g, ModuleId start, ModuleId end, Position where,
                                          const std::string& path, DiagnosticList& found) {
    std::string_view const first = g.module(start).name, last = g.module(end).name;
    if (g.uses(start).size() > 1) {
        found.error(where, path,
                    concat("`", first, "` is used ", g.uses(start).size(),
                           " times, and a group cannot start at a shared layer: start it at a layer that is "
                           "used once"));
        return {};
    }
    auto const use_of = [&](ModuleId module) {
        return [&g, module](NodeId n) { return g.module_of(n) == module; };
    };
    Paths way = paths_between(g, g.uses(start).front(), use_of(end));
    if (way.count == 0) {
        const auto& ends = g.uses(end);
        bool const reversed = std::any_of(ends.begin(), ends.end(), [&](NodeId n) {
            return paths_between(g, n, use_of(start)).count != 0;
        });
        found.error(where, path,
                    reversed ? concat("`", last, "` comes before `", first,
                                      "`: exchange start_layer_name and end_layer_name")
                             : concat("no path leads from `", first, "` to `", last,
                                      "`: a group is one path of layers, each reading the one before"));
        return {};
    }
    if (way.count != 1) {
        found.error(where, path,
                    concat("several paths lead from `", first, "` to `", last,
                           "`, and a group is one path: start it after the fork, or end it before"));
        return {};
    }
    auto const foreign =
        std::find_if(way.nodes.begin(), way.nodes.end(), [&](NodeId n) { return !may_stand_in_group(g, n); });
    if (foreign != way.nodes.end()) {
        found.error(
            where, path,
            concat("`", g.name(*foreign), "` (", g.type(*foreign), ") is on the path from `", first, "` to `",
                   last,
                   "`, and a group is made of Conv2d, Linear, BatchNorm2d, ReLU, LeakyReLU, Sigmoid, Tanh "
                   "and Softmax modules only: ",
                   foreign == way.nodes.begin() ? "start it after that"
                                                : concat("end it at `", g.name(foreign[-1]), "`")));
        return {};
    }
    if (auto const twice = trained_twice(g, way.nodes); !twice.empty()) {
        found.error(where, path, concat(twice, ": end the group before it, or start it after"));
        return {};
    }
    return way.nodes;
}

/// All nodes from module `start` to module `end` that lead to the latter; empty, and a finding, when one of
/// them is read outside.
inline std::vector<NodeId> part_of_group(const Graph& g, ModuleId start, ModuleId end, Position where,
                                         const std::string& path, DiagnosticList& found) {
    NodeId const first = g.uses(start).front(), last = g.uses(end).back();
    auto const fail = [&](const std::string& why) -> std::vector<NodeId> {
        found.error(where, path, why);
        return {};
    };
    if (last < first)
        return fail(concat("`", g.module(end).name, "` comes before `", g.module(start).name,
                           "`: exchange start_layer_name and end_layer_name"));
    std::vector<bool> leads(g.size(), false);
    leads[last] = true;
    for (std::size_t n = last.index; n > first.index; --n)
        if (leads[n])
            for (std::size_t input : g.node({n}).inputs) leads[input] = true;
    if (!leads[first])
        return fail(concat("no path leads from `", g.module(start).name, "` to `", g.module(end).name, "`"));
    std::vector<NodeId> nodes;
    for (NodeId n = first; n <= last; ++n.index)
        if (leads[n] && g.kind(n) != NodeKind::constant && g.kind(n) != NodeKind::input &&
            g.kind(n) != NodeKind::port)
            nodes.push_back(n);
    for (NodeId n : nodes) {
        bool const leaves = n != last && g.is_output(n);
        auto const reader =
            std::ranges::find_if(g.consumers(n), [&](NodeId r) { return r > last || !leads[r]; });
        if (n != last && (leaves || reader != g.consumers(n).end()))
            return fail(concat("`", g.name(n), "` inside of the group ",
                               leaves ? std::string("leaves the network")
                                      : concat("is read by `", g.name(*reader), "`, outside of it"),
                               ": a group has one value that others read, its last"));
    }
    if (auto const twice = trained_twice(g, nodes); !twice.empty())
        return fail(concat(twice, ": end the group before it, or start it after"));
    return nodes;
}

/// Every group that is sound and shares no node with an earlier one, in the order of the configuration.
template <class Groups>
std::vector<PlannedBlock> user_blocks(const Groups& groups, const Graph& g, const LayerLookup& names,
                                      DiagnosticList& found, bool parts = false) {
    std::vector<PlannedBlock> blocks;
    std::vector<std::optional<std::size_t>> owner(g.size());  // of a node: index of its group
    for (std::size_t i = 0; i != groups.size(); ++i) {
        const auto& group = groups[i];
        Position const where = position_in(groups, i);
        std::string const path = element("distill_group", i);
        auto const start =
            names.used_module(*group.start_layer_name, either(group.start_layer_name.position(), where),
                              concat(path, ".start_layer_name"));
        auto const end =
            names.used_module(*group.end_layer_name, either(group.end_layer_name.position(), where),
                              concat(path, ".end_layer_name"));
        if (!start || !end) continue;
        auto nodes = parts ? part_of_group(g, *start, *end, where, path, found)
                           : nodes_of_group(g, *start, *end, where, path, found);

        auto const shared =
            std::find_if(nodes.begin(), nodes.end(), [&](NodeId n) { return owner[n].has_value(); });
        if (shared != nodes.end()) {
            found.error(where, path,
                        concat("`", g.name(*shared), "` is already in ",
                               provenance_of(element("distill_group", *owner[*shared]),
                                             position_in(groups, *owner[*shared]))
                                   .text,
                               ", and a layer is in one group only: end one before the other starts"));
            continue;
        }
        if (nodes.empty()) continue;
        PlannedBlock block{std::move(nodes), {}, provenance_of(path, where)};
        for (NodeId n : block.nodes) {
            owner[n] = i;
            block.names.push_back(g.name(n));
        }
        blocks.push_back(std::move(block));
    }
    return blocks;
}

}  // namespace amct_distill::detail

// ---- amct_distill/plan/resolve.hpp

/// A configuration and a network's graph become a plan: which rule holds for each layer, with which
/// settings, and which layers are distilled together.
///
///     result<DistillPlan> plan = resolve(config, network.graph());
///     if (!plan) std::cerr << to_string(plan.diagnostics());      // every error there is, not the first
///     resolve(config, graph, target::ascend, {.source = {"quant.cfg", text}});
///
/// With the text the configuration was read from, diagnostics show the line.

namespace amct_distill {

struct ResolveOptions {
    SourceText source{};  ///< what the configuration was read from: diagnostics then show its lines
    /// Names in quant_skip_layers and in overrides of layers may have * for any characters and ? for one, as
    /// in "layer1.*". AMCT takes names alone. An override of a name is stronger than one of a pattern; that a
    /// layer fits the patterns of two overrides is an error.
    bool patterns = false;
    /// A distill_group may be a part of the network with several paths (a residual unit with its shortcut):
    /// all that lies between its two layers. AMCT takes one path of layers. Distill with `blocks` that are
    /// not amct.
    bool group_parts = false;
};

namespace detail {

/// An optional of the configuration with a default in the schema.
template <class T, auto Default>
PlannedValue<T> planned_value(const optional<T, Default>& field, std::string_view name) {
    return {field.get(), field.has_value() ? provenance_of(name, field.position()) : Provenance{}};
}

inline void check_at_least_one(const PlannedValue<std::uint32_t>& value, std::string_view name,
                               std::string_view rule, DiagnosticList& found) {
    if (value.value == 0) found.error(value.from.where, std::string(name), concat("0 is too few: ", rule));
}

template <class Algorithms>
LayerFacts facts_of(const LayerRules<Algorithms>& layer, const Graph& g) {
    auto const relu = g.relu_before(g.uses(layer.module).front());
    return {has_channels_by_default(g.module(layer.module).type), relu ? g.name(*relu) : std::string()};
}

template <class Algorithms>
BasicPlannedLayer<Algorithms> plan_layer(const LayerRules<Algorithms>& rules, const Graph& g) {
    const TopologyModule& module = g.module(rules.module);
    BasicPlannedLayer<Algorithms> layer;
    layer.name = module.name;
    layer.type = module.type;
    layer.module = rules.module;
    layer.node = g.uses(rules.module).front();
    layer.quant_enable = !rules.skipped;
    if (rules.skipped) layer.quant_enable_from = *rules.skipped;
    // A layer that is skipped keeps the defaults, as in the original.
    const Rule<Algorithms> nothing{};
    const Rule<Algorithms>& source = rules.skipped ? nothing : rules.strongest();
    auto const facts = facts_of(rules, g);
    auto data = settle(source.data, facts);
    auto weights = settle(source.weights, facts);
    layer.data = std::move(data.algorithm);
    layer.data_from = std::move(data.from);
    layer.weights = std::move(weights.algorithm);
    layer.weights_from = std::move(weights.from);
    return layer;
}

inline void warn_of_left_out(const std::vector<NodeId>& nodes, const std::vector<bool>& quantized,
                             const Graph& g, DiagnosticList& found) {
    for (NodeId node : nodes) {
        if (!quantized[node]) continue;
        const std::string& layer = g.name(node);
        NodeId const norm = *g.only_consumer(node);
        found.warning({}, "",
                      concat("`", layer, "` is quantized, but not distilled: it is followed by `",
                             g.name(norm), "`, a ", g.is_shared(norm) ? "shared " : "", g.type(norm),
                             ", which cannot join its block; a distill_group from `", layer, "` to `", layer,
                             "` makes it one of its own"));
    }
}

template <class Algorithms, class Storage>
result<BasicDistillPlan<Algorithms>> resolve(const BasicConfig<Algorithms, Storage>& config, const Graph& g,
                                             const Target& target, DiagnosticList found, bool patterns,
                                             bool group_parts = false) {
    BasicDistillPlan<Algorithms> plan;
    plan.graph = g;
    plan.batch_num = planned_value(config.batch_num, "batch_num");
    plan.group_size = planned_value(config.group_size, "group_size");
    plan.data_dump = planned_value(config.data_dump, "data_dump");
    check_at_least_one(plan.batch_num, "batch_num", "IFMR computes the clips from at least 1 batch", found);
    check_at_least_one(plan.group_size, "group_size", "a block is made of at least 1 unit", found);

    LayerLookup const names(g, found, patterns);
    RuleBook<Algorithms> const rules(config, g, names, found);
    if (names.quantizable().empty())
        found.error(
            {}, "",
            "the network has no layer that can be quantized: a Conv2d that pads with zeros, or a Linear, "
            "used once");
    else if (std::all_of(rules.layers().begin(), rules.layers().end(),
                         [](const auto& layer) { return layer.skipped.has_value(); }))
        found.error(
            {}, "",
            "every layer that can be quantized is skipped, and nothing is left to distill; take one out "
            "of quant_skip_layers or quant_skip_layer_types");

    std::vector<NodeId> nodes;  // of the quantizable layers
    std::vector<bool> quantized(g.size(), false);
    for (const auto& layer : rules.layers()) {
        plan.layers.push_back(plan_layer(layer, g));
        nodes.push_back(plan.layers.back().node);
        quantized[nodes.back()] = plan.layers.back().quant_enable;
    }
    check_target(plan.layers, rules.layers(), target, found);

    auto groups = user_blocks(config.distill_group, g, names, found, group_parts);
    if (found.failed()) return found.errors();

    std::sort(nodes.begin(), nodes.end());
    auto planned = plan_blocks(g, nodes, std::move(groups), plan.group_size.value);
    plan.blocks = std::move(planned.blocks);
    std::vector<std::size_t> block_of(g.size(), plan.blocks.size());
    for (std::size_t b = 0; b != plan.blocks.size(); ++b)
        for (NodeId n : plan.blocks[b].nodes) block_of[n] = b;
    for (auto& layer : plan.layers)
        if (block_of[layer.node] != plan.blocks.size()) layer.block = block_of[layer.node];

    rules.warn_of_idle_rules();
    rules.warn_of_resets([&](const auto& layer) { return facts_of(layer, g); });
    warn_of_left_out(planned.left_out, quantized, g, found);
    return {std::move(plan), found.warnings()};
}

}  // namespace detail

/// Resolves a configuration. Errors: names that fit nothing or cannot be quantized, repeated overrides,
/// values out of range, groups that are not one path, rules of the target, nothing left to quantize; all of
/// them are reported. Warnings: rules that never apply, overrides that reset what they do not say, layers
/// that are quantized but not distilled. A Topology is taken for a graph; one that
/// contradicts itself throws std::invalid_argument.
template <class Algorithms, class Storage>
result<BasicDistillPlan<Algorithms>> resolve(const BasicConfig<Algorithms, Storage>& config,
                                             const Graph& graph, const Target& target = target::generic,
                                             const ResolveOptions& options = {}) {
    return detail::resolve(config, graph, target, detail::DiagnosticList(options.source), options.patterns,
                           options.group_parts);
}

}  // namespace amct_distill

// ---- amct_distill/core/table.hpp

/// Rows of text as a table that fits into a given width: columns as wide as their widest cell, two blanks
/// before each.
///
///     Table table({{.heading = "layer", .least = 8}, {"SQNR"}, {.heading = "seconds", .drop = 1}});
///     table.add({"conv1", "48.9 dB", "0.31"});
///     std::cout << table.text(80);
///
/// What is too wide is made narrower in this order: columns that may be shortened, down to the width given
/// for them (a cell keeps its end, "...layer1.conv1", or its beginning); then columns that may be dropped,
/// the largest number first; then, on a very narrow terminal, all columns. Characters that take two columns
/// of a terminal count two.

namespace amct_distill {
namespace detail {

/// The text; when it takes more than `width` columns (at least 4), its end after "..." or its start before
/// it.
inline std::string shortened(std::string_view text, std::size_t width, bool keep_start = false) {
    if (columns(text) <= width) return std::string(text);
    while (columns(text) > width - 3) {
        if (keep_start) {
            while (is_utf8_continuation(text.back())) text.remove_suffix(1);
            text.remove_suffix(1);
        } else {
            text.remove_prefix(1);
            while (is_utf8_continuation(text.front())) text.remove_prefix(1);
        }
    }
    return keep_start ? std::string(text).append("...") : std::string("...").append(text);
}

}  // namespace detail

/// What a text is laid out for where no terminal says otherwise.
inline constexpr std::size_t default_text_width = 100;

struct TableColumn {
    std::string heading{};
    std::size_t least = 0;     ///< may be shortened to this width, at least 4; 0: it is shown whole
    int drop = 0;              ///< may be dropped, columns with a larger number first; 0: it stays
    bool keeps_start = false;  ///< a shortened cell keeps its beginning, not its end
};

class Table {
public:
    explicit Table(std::vector<TableColumn> columns) : columns_(std::move(columns)) {}

    /// A row may have fewer cells than there are columns.
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    bool empty() const { return rows_.empty(); }

    /// The headings and the rows, each a line that begins with two blanks and ends with its last cell.
    std::string text(std::size_t width = default_text_width) const {
        std::vector<std::size_t> shown;  // the columns that are not dropped
        for (std::size_t k = 0; k != columns_.size(); ++k) shown.push_back(k);
        std::vector<std::size_t> widths = fitted(shown, width, false);
        while (total(widths, shown) > width) {
            auto const last = std::ranges::max_element(
                shown, {}, [&](std::size_t k) { return std::pair(columns_[k].drop, k); });
            if (last == shown.end() || columns_[*last].drop == 0) {
                widths = fitted(shown, width, true);
                break;
            }
            shown.erase(last);
            widths = fitted(shown, width, false);
        }
        std::vector<std::string> headings;
        for (const TableColumn& c : columns_) headings.push_back(c.heading);
        std::string out;
        add_line(out, headings, shown, widths);
        for (const auto& row : rows_) add_line(out, row, shown, widths);
        return out;
    }

private:
    static std::size_t total(const std::vector<std::size_t>& widths, const std::vector<std::size_t>& shown) {
        std::size_t sum = 0;
        for (std::size_t k : shown) sum += 2 + widths[k];
        return sum;
    }
    /// Each column's width: the widest is shortened, again and again, until all fit or none may be shortened.
    std::vector<std::size_t> fitted(const std::vector<std::size_t>& shown, std::size_t width,
                                    bool at_any_price) const {
        std::vector<std::size_t> widths;
        for (const TableColumn& c : columns_) widths.push_back(detail::columns(c.heading));
        for (const auto& row : rows_)
            for (std::size_t k = 0; k != (std::min)(row.size(), widths.size()); ++k)
                widths[k] = (std::max)(widths[k], detail::columns(row[k]));
        auto const least = [&](std::size_t k) {
            if (at_any_price) return std::size_t{4};
            return columns_[k].least == 0 ? widths[k] : (std::max)(columns_[k].least, std::size_t{4});
        };
        for (std::size_t sum = total(widths, shown); sum > width; --sum) {
            std::size_t widest = columns_.size();
            for (std::size_t k : shown)
                if (widths[k] > least(k) && (widest == columns_.size() || widths[k] > widths[widest]))
                    widest = k;
            if (widest == columns_.size()) break;
            --widths[widest];
        }
        return widths;
    }
    void add_line(std::string& out, const std::vector<std::string>& row,
                  const std::vector<std::size_t>& shown, const std::vector<std::size_t>& widths) const {
        std::string line;
        for (std::size_t k : shown) {
            if (k >= row.size()) break;
            std::string const cell =
                detail::shortened(row[k], (std::max)(widths[k], std::size_t{4}), columns_[k].keeps_start);
            line.append(2, ' ').append(cell);
            line.append((std::max)(widths[k], detail::columns(cell)) - detail::columns(cell), ' ');
        }
        out.append(line, 0, line.find_last_not_of(' ') + 1);
        out.push_back('\n');
    }

    std::vector<TableColumn> columns_;
    std::vector<std::vector<std::string>> rows_{};
};

}  // namespace amct_distill

// ---- amct_distill/report/plan_text.hpp

/// A plan as tables: each layer's settings with where they come from, the blocks, and what holds for all.
///
///     std::cout << to_table(plan, terminal_width());
///     //   layer  setting    value                            from
///     //   conv1  weights    arq_distill, INT8, channel_wise  distill_override_layers[0] at 28:33
///     //          data       ulq_quantize, INT8               distill_override_layers[0] at 26:5
///     //          clips      by IFMR                          default

namespace amct_distill {
namespace detail {

/// A setting's value: a number, true or false, an enumerator's name, a text; of clips both ends.
template <class Field>
std::string setting_text(const Field& field) {
    if constexpr (requires { field->clip_max; }) {
        return field.has_value() ? concat(*field->clip_min, " .. ", *field->clip_max) : "by IFMR";
    } else if constexpr (requires { field.get(); }) {
        auto const& value = field.get();
        using T = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_same_v<T, bool>)
            return value ? "true" : "false";
        else if constexpr (std::is_enum_v<T>)
            return std::string(name_of(value));
        else if constexpr (std::is_arithmetic_v<T>)
            return number(value);
        else if constexpr (std::is_convertible_v<T, std::string>)
            return value;
        else
            return "set";
    } else if constexpr (requires { number(*field); }) {
        return number(*field);
    } else {
        return "set";
    }
}

/// A row for the algorithm, and one for each setting that its description does not tell, or that has a
/// default though the algorithm was chosen. Without room for the description, a row for each setting.
template <class Alternatives, class Add>
void algorithm_rows(std::string_view what, const oneof<Alternatives>& algorithm,
                    const AlgorithmProvenance& from, bool room, const Add& add) {
    add(std::string(what), room ? describe(algorithm) : std::string(algorithm.name()), from.algo);
    std::visit(
        [&]<class M>(const M& message) {
            if constexpr (!std::is_same_v<M, std::monostate>)
                [&]<std::size_t... I>(std::index_sequence<I...>) {
                    auto const row = [&](std::string_view name, const auto& field) {
                        bool const described = name == "dst_type" || name == "channel_wise";
                        if (room && described && (from[name].by_user || from[name] == from.algo)) return;
                        add(name == "clip_max_min" ? "clips" : std::string(name), setting_text(field),
                            from[name]);
                    };
                    (row(reflect::field_name<M, I>(), reflect::get<I>(message)), ...);
                }
            (std::make_index_sequence<reflect::field_count<M>>{});
        },
        algorithm.value());
}

}  // namespace detail

template <class Algorithms>
std::string to_table(const BasicDistillPlan<Algorithms>& plan, std::size_t width = default_text_width) {
    bool const room = width >= 60;
    Table layers({{.heading = "layer", .least = 8},
                  {.heading = "setting"},
                  {.heading = "value", .least = room ? std::size_t{31} : 14, .keeps_start = true},
                  {.heading = "from", .least = 20, .drop = 1}});
    for (const auto& l : plan.layers) {
        std::string name = l.name;
        auto const add = [&](std::string setting, std::string value, const Provenance& from) {
            layers.add({std::exchange(name, ""), std::move(setting), std::move(value), from.text});
        };
        if (!l.quant_enable) {
            add("skipped", "not quantized, trained in float", l.quant_enable_from);
            continue;
        }
        detail::algorithm_rows("weights", l.weights, l.weights_from, room, add);
        detail::algorithm_rows("data", l.data, l.data_from, room, add);
    }
    Table blocks(
        {{"block"}, {.heading = "layers", .least = 20}, {.heading = "from", .least = 12, .drop = 1}});
    for (std::size_t b = 0; b != plan.blocks.size(); ++b) {
        std::string names;
        for (const std::string& name : plan.blocks[b].names)
            detail::append(names, detail::concat(names.empty() ? "" : " ", name));
        blocks.add({number(b + 1), std::move(names), plan.blocks[b].from.text});
    }
    Table all({{"setting"}, {"value"}, {.heading = "from", .least = 12}});
    all.add({"batch_num", number(plan.batch_num.value), plan.batch_num.from.text});
    all.add({"group_size", number(plan.group_size.value), plan.group_size.from.text});
    all.add({"data_dump", plan.data_dump.value ? "true" : "false", plan.data_dump.from.text});
    return detail::concat(layers.text(width), '\n', blocks.text(width), '\n', all.text(width));
}

}  // namespace amct_distill

// ---- amct_distill/text/grammar.hpp

/// The tokens of protobuf's text format, written once, as Boost.Spirit X3 expressions.
///
///     const char* at = text.data();
///     grammar::match(grammar::identifier, at, end)    // true, and `at` after the identifier; or false
///
/// At run time X3 parses them. X3 (1.81 to 1.90) has no constexpr parse(), so in constant evaluation `walk`
/// interprets the very same expression objects: a text means the same to the compiler and at run time.
///
/// The only user of Boost.Spirit.

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

// ---- amct_distill/text/reader_options.hpp

/// How a text is read: what a second value means, whether an unknown field is an error.
///
///     read<AMCTDistillConfig>(text, {.on_duplicate = Duplicates::last_wins});

namespace amct_distill {

/// What a second value for a singular field, or a second member of a oneof, means.
enum class Duplicates {
    error,      ///< it is an error that names both places
    last_wins,  ///< as protobuf's Merge: a scalar or a oneof is replaced, a message merged; with a warning
                ///< each
};

struct ReaderOptions {
    std::string_view source = {};  ///< name of a text that is no SourceText, for diagnostics
    Duplicates on_duplicate = Duplicates::error;
    bool unknown_fields_are_warnings = false;
    std::size_t max_depth = 100;  ///< of nested messages
};

}  // namespace amct_distill

// ---- amct_distill/text/strings.hpp

/// The escapes of quoted strings.
///
///     detail::unescape(R"(\101\n\u00e9)", out)      // appends "A\n\xc3\xa9"; says what is wrong otherwise
///
/// Usable in constant evaluation.

namespace amct_distill::detail {

constexpr int hex_value(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/// Appends a code point; `out` takes characters by push_back.
template <class Out>
constexpr void append_utf8(Out& out, std::uint32_t code) {
    auto const put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
        put(code);
        return;
    }
    if (code < 0x800) {
        put(0xC0u | code >> 6);
    } else {
        if (code < 0x10000) {
            put(0xE0u | code >> 12);
        } else {
            put(0xF0u | code >> 18);
            put(0x80u | (code >> 12 & 0x3Fu));
        }
        put(0x80u | (code >> 6 & 0x3Fu));
    }
    put(0x80u | (code & 0x3Fu));
}

/// What is wrong with an escape, and where in the text it begins; `message` is empty when nothing is.
struct EscapeError {
    std::size_t offset = 0;
    std::string_view message{};
};

/// Appends what a quoted string's inside means. Precondition: it does not end in a lone backslash
/// (`grammar::quoted` sees to that).
template <class Out>
constexpr EscapeError unescape(std::string_view text, Out& out) {
    for (std::size_t i = 0; i < text.size();) {
        if (text[i] != '\\') {
            out.push_back(text[i++]);
            continue;
        }
        std::size_t const start = i++;
        char const c = text[i];
        std::size_t digits = 0;
        auto const number = [&](std::uint32_t base, std::size_t most) {
            std::uint32_t code = 0;
            for (; digits < most && i < text.size(); ++digits, ++i) {
                int const d = hex_value(text[i]);
                if (d < 0 || static_cast<std::uint32_t>(d) >= base) break;
                code = code * base + static_cast<std::uint32_t>(d);
            }
            return code;
        };
        if (c >= '0' && c <= '7') {
            std::uint32_t const code = number(8, 3);
            if (code > 0xFF) return {start, "octal escapes end at `\\377`"};
            out.push_back(static_cast<char>(code));
            continue;
        }
        ++i;
        if (c == 'x') {
            std::uint32_t const code = number(16, 2);
            if (digits == 0) return {start, "expected hexadecimal digits after `\\x`"};
            out.push_back(static_cast<char>(code));
        } else if (c == 'u' || c == 'U') {
            std::size_t const most = c == 'u' ? 4 : 8;
            std::uint32_t const code = number(16, most);
            if (digits != most)
                return {start, c == 'u' ? "expected four hexadecimal digits after `\\u`"
                                        : "expected eight hexadecimal digits after `\\U`"};
            if (code >= 0xD800 && code < 0xE000)
                return {start, "surrogates are no characters; write the character itself"};
            if (code > 0x10FFFF) return {start, "characters end at `\\U0010FFFF`"};
            append_utf8(out, code);
        } else {
            constexpr std::string_view names = "abfnrtv\\'\"?", values = "\a\b\f\n\r\t\v\\'\"?";
            auto const k = names.find(c);
            if (k == names.npos) return {start, "unknown escape; a backslash itself is written `\\\\`"};
            out.push_back(values[k]);
        }
    }
    return {};
}

}  // namespace amct_distill::detail

// ---- amct_distill/text/cursor.hpp

/// A place in a text: tokens are taken, what is wrong is noted, valid values of no use are passed over.
///
/// The part of the reader that knows neither messages nor types. Usable in constant evaluation.

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

// ---- amct_distill/text/skipping.hpp

/// Values that are passed over: those of unknown fields, and of the wrong type; and what the fields of other
/// formats among them mean.
///
/// A part of the reader; usable in constant evaluation.

namespace amct_distill::detail {

class ValueSkipper : public TextCursor {
protected:
    using TextCursor::TextCursor;

    /// `kept`: gets the field in the canonical text format.
    [[gnu::cold, gnu::noinline]] constexpr bool skip_field(std::string_view name,
                                                           TextBuffer* kept = nullptr) {
        take(':');
        return skip_value(name, kept);
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
                take(':');
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
        std::string_view piece = token(grammar::number);
        if (piece.empty()) piece = token(grammar::identifier);
        if (!piece.empty()) {
            keep(negative ? "-" : "", piece);
        } else {
            if (negative || !sees(grammar::quoted)) return no_value();
            for (piece = token(grammar::quoted); !piece.empty(); piece = token(grammar::quoted)) {
                keep("", piece);
                if (sees(grammar::quoted)) keep(" ", "");
            }
        }
        keep("\n", "");
        return true;
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

// ---- amct_distill/text/scalars.hpp

/// The scalar values of protobuf's text format: numbers, bool, enums, strings.

namespace amct_distill::detail {

template <std::integral T>
requires(!std::same_as<T, bool>) constexpr std::string_view integer_name() {
    if constexpr (std::signed_integral<T>)
        return sizeof(T) == 4 ? "int32 (-2147483648 to 2147483647)"
                              : "int64 (-9223372036854775808 to 9223372036854775807)";
    else
        return sizeof(T) == 4 ? "uint32 (0 to 4294967295)" : "uint64 (0 to 18446744073709551615)";
}

/// Characters of strings that are not one piece of the text, for messages of string_view.
struct StringArena {
    std::vector<char> chars{};
    const char* placed = nullptr;  // where they will stand; null: not known yet, and no string points to them
};

/// Reads one scalar into a variable of its type. False: an error of syntax, reading stops.
class ScalarReader : public ValueSkipper {
protected:
    using ValueSkipper::ValueSkipper;

    enum class Base { none, decimal, octal, hex };
    static constexpr Base base_of(std::string_view number) {
        const char *const b = number.data(), *const e = b + number.size();
        if (grammar::match_all(grammar::whole, b, e)) return Base::decimal;
        if (grammar::match_all(grammar::octal, b, e)) return Base::octal;
        return grammar::match_all(grammar::hex, b, e) ? Base::hex : Base::none;
    }
    /// The value of a whole number; saturates far above any range.
    struct WholeNumber {
        std::uint64_t value = 0;
        bool fits = true;
    };
    static constexpr WholeNumber to_whole(std::string_view number, Base b) {
        std::uint64_t const radix = b == Base::hex ? 16 : b == Base::octal ? 8 : 10;
        number.remove_prefix(b == Base::hex ? 2 : 0);
        WholeNumber n;
        for (char c : number) {
            auto const d = static_cast<std::uint64_t>(hex_value(c));
            if (n.value > ((std::numeric_limits<std::uint64_t>::max)() - d) / radix) n.fits = false;
            n.value = n.value * radix + d;
        }
        return n;
    }
    template <std::integral T>
    requires(!std::same_as<T, bool>) constexpr bool scalar(T& v) {
        const char* const where = at_;
        constexpr std::string_view wanted = std::signed_integral<T> ? "an integer" : "an unsigned integer";
        if (std::unsigned_integral<T> && peek('-')) return wrong_type(wanted);
        bool const negative = std::signed_integral<T> && take('-');
        const char* const number_at = at_;
        std::string_view const number = token(grammar::number);
        if (number.empty()) return wrong_type(wanted);
        Base const b = base_of(number);
        if (b == Base::none) return error(number_at, say("expected ", wanted, ", found `", number, "`"));
        WholeNumber const n = to_whole(number, b);
        std::uint64_t const most =
            static_cast<std::uint64_t>((std::numeric_limits<T>::max)()) + (negative ? 1u : 0u);
        if (!n.fits || n.value > most)
            return error(where,
                         say("`", negative ? "-" : "", number, "` is out of range for ", integer_name<T>()));
        v = static_cast<T>(negative ? std::uint64_t{0} - n.value : n.value);
        return true;
    }
    constexpr bool scalar(bool& v) {
        const char* const where = at_;
        constexpr std::string_view wanted = "true or false";
        if (std::string_view const number = token(grammar::number); !number.empty()) {
            Base const b = base_of(number);
            WholeNumber const n = b == Base::none ? WholeNumber{2, false} : to_whole(number, b);
            if (!n.fits || n.value > 1)
                return error(where, say("expected ", wanted, ", found `", number, "`"));
            v = n.value == 1;
            return true;
        }
        std::string_view const word = token(grammar::identifier);
        if (word.empty()) return wrong_type(wanted);
        if (sees_foreign()) return stop(at_, say("expected ", wanted, ", found ", found()));
        v = word == "true" || word == "True" || word == "t";
        return v || word == "false" || word == "False" || word == "f" ||
               error(where, say("expected ", wanted, ", found `", word, "`"));
    }
    template <std::floating_point T>
    constexpr bool scalar(T& v) {
        constexpr std::string_view wanted = "a number";
        const char* const where = at_;
        bool const negative = take('-');
        const char* const number_at = at_;
        if (std::string_view number = token(grammar::number); !number.empty()) {
            const char *const b = number.data(), *const e = b + number.size();
            if (!grammar::match_all(grammar::decimal, b, e))
                return error(number_at, say("expected a decimal number, found `", number, "`"));
            if (number.back() == 'f' || number.back() == 'F') number.remove_suffix(1);
            v = to_floating<T>(number);
        } else if (std::string_view const word = token(grammar::identifier); !word.empty()) {
            if (sees_foreign()) return stop(at_, say("expected ", wanted, ", found ", found()));
            if (same_ignoring_case(word, "inf") || same_ignoring_case(word, "infinity"))
                v = std::numeric_limits<T>::infinity();
            else if (same_ignoring_case(word, "nan"))
                v = std::numeric_limits<T>::quiet_NaN();
            else
                return error(number_at, say("expected ", wanted, ", found `", word, "`"));
        } else {
            if (negative) return stop(number_at, say("expected a number after `-`, found ", found()));
            at_ = where;
            return wrong_type(wanted);
        }
        if (negative) v = -v;
        return true;
    }
    static constexpr bool same_ignoring_case(std::string_view a, std::string_view lower) {
        return std::equal(a.begin(), a.end(), lower.begin(), lower.end(), [](char x, char y) {
            return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
        });
    }
    template <class E>
    requires std::is_enum_v<E>
    constexpr bool scalar(E& v) {
        const char* const where = at_;
        constexpr auto all = enumerators(E{});
        std::array<std::string_view, all.size()> names{};
        for (std::size_t i = 0; i != all.size(); ++i) names[i] = all[i].first;
        auto const wanted = [&] {
            TextBuffer list;
            for (std::size_t i = 0; i != names.size(); ++i)
                list.append(say(i == 0 ? "" : i + 1 == names.size() ? " or " : ", ", "`", names[i], "`"));
            return list;
        };
        auto const unknown = [&](std::string_view seen) {
            return error(where, say("expected ", wanted(), ", found `", seen, "`", suggestion(seen, names)));
        };
        if (std::string_view const word = token(grammar::identifier); !word.empty()) {
            for (auto const& [name, value] : all)
                if (name == word) return v = value, true;
            if (sees_foreign()) return stop(at_, say("expected ", wanted(), ", found ", found()));
            return unknown(word);
        }
        bool const negative = take('-');
        if (std::string_view const number = token(grammar::number); !number.empty()) {
            Base const b = base_of(number);
            if (b == Base::none) return unknown(number);
            WholeNumber const n = to_whole(number, b);
            for (auto const& [name, value] : all) {
                auto const known = static_cast<std::int64_t>(value);
                std::uint64_t const size = static_cast<std::uint64_t>(known < 0 ? -known : known);
                if (n.fits && size == n.value && (known < 0) == (negative && n.value != 0))
                    return v = value, true;
            }
            return unknown(
                std::string_view(where, static_cast<std::size_t>(number.data() + number.size() - where)));
        }
        if (negative) return stop(at_, say("expected a number after `-`, found ", found()));
        return wrong_type(wanted().view());
    }
    static constexpr std::string_view a_string = "a string in quotes";

    /// Appends what the quoted pieces here mean.
    template <class Out>
    constexpr bool pieces(Out& out, bool must_be_utf8) {
        const char* const where = at_;
        std::size_t const start = out.size();
        bool escapes = false;
        std::string_view piece = token(grammar::quoted);
        if (piece.empty()) return wrong_type(a_string);
        for (; !piece.empty(); piece = token(grammar::quoted)) {
            piece = piece.substr(1, piece.size() - 2);
            if (piece.find('\\') == piece.npos) {
                out.insert(out.end(), piece.begin(), piece.end());
                continue;
            }
            escapes = true;
            if (auto const bad = unescape(piece, out); !bad.message.empty()) {
                error(piece.data() + bad.offset, say(bad.message));
                while (!token(grammar::quoted).empty()) {}
                return true;
            }
        }
        // Raw bytes were checked with the whole text; escapes can spell bytes that are no UTF-8.
        if (must_be_utf8 && escapes &&
            first_invalid_utf8({out.data() + start, out.size() - start}) != std::string_view::npos)
            error(where, say("the escapes of this string do not spell valid UTF-8"));
        return true;
    }
    constexpr bool scalar(std::string& v) {
        v.clear();
        return pieces(v, true);
    }
    constexpr bool scalar(bytes& v) {
        v.clear();
        return pieces(v, false);
    }
    /// For constant evaluation: a part of the text where the string is one piece without escapes, else of the
    /// arena.
    constexpr bool scalar(std::string_view& v) {
        const char* probe = at_;
        if (arena_ == nullptr || !grammar::match(grammar::quoted, probe, end_)) return wrong_type(a_string);
        std::string_view const piece(at_ + 1, static_cast<std::size_t>(probe - at_ - 2));
        grammar::match(grammar::skipped, probe, end_);
        if (piece.find('\\') == piece.npos && (probe == end_ || (*probe != '"' && *probe != '\''))) {
            v = piece;
            at_ = probe;
            return true;
        }
        std::size_t const start = arena_->chars.size();
        if (!pieces(arena_->chars, true)) return false;
        if (arena_->placed != nullptr) v = {arena_->placed + start, arena_->chars.size() - start};
        return true;
    }
    StringArena* arena_ = nullptr;
};

}  // namespace amct_distill::detail

// ---- amct_distill/text/reader.hpp

/// Protobuf text format into any aggregate message.
///
///     result<AMCTDistillConfig> config = read<AMCTDistillConfig>(SourceText{"quant.cfg", text});
///     if (!config) std::cerr << to_string(config.diagnostics());
///
/// A reflective descent: the message's fields decide what is expected, the token rules are those of
/// grammar.hpp. Syntax errors stop it; errors of meaning (unknown field, wrong type, range, duplicate,
/// missing) are collected, up to `max_diagnostics`. It never throws on any input but for lack of memory.

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

template <class M>
result<M> read_text(std::string_view name, std::string_view text, const ReaderOptions& options) {
    M message = blank_message<M>();
    TextReader reader(text, options);
    bool const ok = reader.read(message);
    std::vector<ReaderNote> notes = reader.notes();
    std::stable_sort(notes.begin(), notes.end(),
                     [](const auto& a, const auto& b) { return a.offset < b.offset; });
    Diagnostics diagnostics;
    for (const ReaderNote& n : notes)
        diagnostics.push_back(diagnostic_at(n.severity, name, text, n.offset, std::string(n.path.view()),
                                            std::string(n.message.view())));
    if (!ok) return diagnostics;
    return {std::move(message), std::move(diagnostics)};
}

}  // namespace detail

/// Reads a message. Warnings ride on the value; without a value, every diagnostic is there, in order of text.
template <class M>
result<M> read(const SourceText& source, const ReaderOptions& options = {}) {
    return detail::read_text<M>(source.name, source.text, options);
}
/// The same, of a text at hand.
template <class M>
result<M> read(std::string_view text, const ReaderOptions& options = {}) {
    return detail::read_text<M>(options.source, text, options);
}

}  // namespace amct_distill

// ---- amct_distill/compiled.hpp

/// What a compiled library has: the templates of the standard algorithms, instantiated once.
///
///     // with CMake: target_link_libraries(program amct_distill::compiled)
///     // with copied headers: one file of the program says
///     #define AMCT_DISTILL_IMPLEMENTATION
///     #include "amct_distill.hpp"
///     // and all of them are compiled with -DAMCT_DISTILL_COMPILED
///
/// Header-only stays the default: without the definition this header does nothing. With it, a unit that
/// includes amct_distill.hpp takes these templates from the library; algorithms, losses and optimizers of
/// one's own are instantiated where they are used, as before. The results are the same.

#if defined(AMCT_DISTILL_COMPILED) || defined(AMCT_DISTILL_IMPLEMENTATION)
#ifdef AMCT_DISTILL_IMPLEMENTATION
#define AMCT_DISTILL_TEMPLATE template
#else
#define AMCT_DISTILL_TEMPLATE extern template
#endif

namespace amct_distill {

AMCT_DISTILL_TEMPLATE result<AMCTDistillConfig> read<AMCTDistillConfig>(std::string_view,
                                                                        const ReaderOptions&);
AMCT_DISTILL_TEMPLATE result<ScaleOffsetRecord> read<ScaleOffsetRecord>(std::string_view,
                                                                        const ReaderOptions&);
AMCT_DISTILL_TEMPLATE std::string print<AMCTDistillConfig>(const AMCTDistillConfig&);
AMCT_DISTILL_TEMPLATE std::string print<ScaleOffsetRecord>(const ScaleOffsetRecord&);
AMCT_DISTILL_TEMPLATE result<DistillPlan> resolve<StandardAlgorithms, HeapStorage>(const AMCTDistillConfig&,
                                                                                   const Graph&,
                                                                                   const Target&,
                                                                                   const ResolveOptions&);
AMCT_DISTILL_TEMPLATE std::string to_table<StandardAlgorithms>(const DistillPlan&, std::size_t);
AMCT_DISTILL_TEMPLATE class LayerQuantizers<StandardAlgorithms>;
AMCT_DISTILL_TEMPLATE class QuantizedLayer<StandardAlgorithms>;
AMCT_DISTILL_TEMPLATE class BasicStudent<StandardAlgorithms>;
AMCT_DISTILL_TEMPLATE result<Student> make_student<StandardAlgorithms>(const nn::Network&,
                                                                       const DistillPlan&);
AMCT_DISTILL_TEMPLATE result<CalibrationReport> calibrate<StandardAlgorithms>(Student&, DataSource,
                                                                              const RunOptions&,
                                                                              const CalibrateOptions&);
AMCT_DISTILL_TEMPLATE result<DistillReport> distill<MeanSquaredError, AdamW, StandardAlgorithms>(
    const nn::Network&, Student&, DataSource, const DistillOptions&, const RunOptions&);
AMCT_DISTILL_TEMPLATE result<Deployment> deploy<StandardAlgorithms>(const Student&);
AMCT_DISTILL_TEMPLATE result<ScaleOffsetRecord> make_record<StandardAlgorithms>(const Student&);

namespace nn {
AMCT_DISTILL_TEMPLATE class BasicModuleGraph<float>;
AMCT_DISTILL_TEMPLATE class BasicNetwork<float>;
AMCT_DISTILL_TEMPLATE class BasicTape<float>;
AMCT_DISTILL_TEMPLATE class BasicScratch<float>;
}  // namespace nn

}  // namespace amct_distill

#undef AMCT_DISTILL_TEMPLATE
#endif

// ---- amct_distill/reflect/field_number.hpp

/// The numbers of a message's fields in protobuf's binary format, found as `enumerators` is.
///
///     struct Point { optional<float> x{}; repeated<std::int32_t> path{}; };
///     constexpr std::array<FieldNumber, 2> field_numbers(const Point*) {
///         return {{{"x", 1}, {"path", 2, Packing::packed}}};
///     }
///
/// A oneof has no number of its own: those of its alternatives belong to the aggregate that names them.

namespace amct_distill {

/// How a repeated number is written: each with a tag of its own (proto2's default), or all as one run of
/// bytes. Readers take both.
enum class Packing : bool { unpacked, packed };

/// How a whole number is written. `varint`: int32, uint32, int64, uint64 of the schema; `zigzag`: sint32,
/// sint64; `fixed`: fixed32, sfixed32, fixed64, sfixed64.
enum class IntegerCoding : std::uint8_t { varint, zigzag, fixed };

struct FieldNumber {
    std::string_view name;
    std::uint32_t number = 0;
    Packing packing = Packing::unpacked;
    IntegerCoding coding = IntegerCoding::varint;
};

}  // namespace amct_distill

// ---- amct_distill/config/field_numbers.hpp

/// The field numbers of AMCT's configuration and of its record: what their binary files need beside the
/// messages.
///
///     result<AMCTDistillConfig> config = read_binary<AMCTDistillConfig>(bytes);     // wire/reader.hpp
///     std::string record = write_binary(make_record(...));                          // wire/writer.hpp
///
/// A message of one's own among the algorithms tells its numbers in the same way, and so does the list of
/// alternatives that names it.

namespace amct_distill {

constexpr std::array<FieldNumber, 2> field_numbers(const ClipMaxMin*) {
    return {{{"clip_max", 1}, {"clip_min", 2}}};
}
constexpr std::array<FieldNumber, 3> field_numbers(const ActULQquantize*) {
    return {{{"clip_max_min", 1}, {"fixed_min", 2}, {"dst_type", 3}}};
}
constexpr std::array<FieldNumber, 2> field_numbers(const ARQDistill*) {
    return {{{"dst_type", 1}, {"channel_wise", 2}}};
}
constexpr std::array<FieldNumber, 2> field_numbers(const WtsULQDistill*) {
    return {{{"dst_type", 1}, {"channel_wise", 2}}};
}
constexpr std::array<FieldNumber, 1> field_numbers(const StandardAlgorithms::data*) {
    return {{{"ulq_quantize", 1}}};
}
constexpr std::array<FieldNumber, 2> field_numbers(const StandardAlgorithms::weights*) {
    return {{{"arq_distill", 1}, {"ulq_distill", 2}}};
}
template <class Algorithms>
constexpr std::array<FieldNumber, 0> field_numbers(const BasicDataQuantConfig<Algorithms>*) {
    return {};  // a oneof alone
}
template <class Algorithms>
constexpr std::array<FieldNumber, 0> field_numbers(const BasicWeightQuantConfig<Algorithms>*) {
    return {};
}
template <class Storage>
constexpr std::array<FieldNumber, 2> field_numbers(const BasicDistillGroup<Storage>*) {
    return {{{"start_layer_name", 1}, {"end_layer_name", 2}}};
}
template <class Algorithms, class Storage>
constexpr std::array<FieldNumber, 3> field_numbers(const BasicOverrideLayer<Algorithms, Storage>*) {
    return {{{"layer_name", 1}, {"distill_data_quant_config", 10}, {"distill_weight_quant_config", 11}}};
}
template <class Algorithms, class Storage>
constexpr std::array<FieldNumber, 3> field_numbers(const BasicOverrideLayerType<Algorithms, Storage>*) {
    return {{{"layer_type", 1}, {"distill_data_quant_config", 10}, {"distill_weight_quant_config", 11}}};
}
template <class Algorithms, class Storage>
constexpr std::array<FieldNumber, 10> field_numbers(const BasicConfig<Algorithms, Storage>*) {
    return {{{"batch_num", 1},
             {"group_size", 2},
             {"data_dump", 3},
             {"distill_group", 10},
             {"distill_data_quant_config", 11},
             {"distill_weight_quant_config", 12},
             {"distill_override_layers", 110},
             {"distill_override_layer_types", 111},
             {"quant_skip_layers", 120},
             {"quant_skip_layer_types", 121}}};
}

constexpr std::array<FieldNumber, 15> field_numbers(const SingleLayerRecord*) {
    return {{{"scale_d", 1},
             {"offset_d", 2},
             {"scale_w", 3},
             {"offset_w", 4},
             {"shift_bit", 5},
             {"tensor_balance_factor", 6},
             {"skip_fusion", 9},
             {"dst_type", 10},
             {"act_type", 11},
             {"wts_type", 12},
             {"fakequant_precision_mode", 13},
             {"scale_h", 21},
             {"offset_h", 22},
             {"scale_r", 23},
             {"offset_r", 24}}};
}
constexpr std::array<FieldNumber, 2> field_numbers(const SingleLayerKVCacheRecord*) {
    return {{{"scale", 1}, {"offset", 2}}};
}
constexpr std::array<FieldNumber, 3> field_numbers(const MapFiledEntry*) {
    return {{{"key", 1}, {"value", 2}, {"kv_cache_value", 3}}};
}
constexpr std::array<FieldNumber, 8> field_numbers(const AttrProto*) {
    return {
        {{"name", 1}, {"type", 2}, {"f", 3}, {"i", 4}, {"s", 5}, {"floats", 6}, {"ints", 7}, {"strings", 8}}};
}
constexpr std::array<FieldNumber, 2> field_numbers(const PruneNode*) { return {{{"name", 1}, {"attr", 2}}}; }
constexpr std::array<FieldNumber, 3> field_numbers(const PruneRecord*) {
    return {{{"producer", 1}, {"consumer", 2}, {"selective_prune", 3}}};
}
constexpr std::array<FieldNumber, 2> field_numbers(const ScaleOffsetRecord*) {
    return {{{"record", 1}, {"prune_record", 2}}};
}

}  // namespace amct_distill

// ---- amct_distill/config/static_config.hpp

/// A configuration that the compiler reads: a wrong one does not compile.
///
///     using config = static_config<R"(distill_weight_quant_config { arq_distill { dst_type: INT4 } })">;
///     static_assert(config::value.distill_weight_quant_config.has_value());
///     static_config<"batch_nun: 1">::value;     // does not compile:
///     // invalid_configuration<... "1:1: unknown field `batch_nun`; did you mean `batch_num`?"...>
///
/// `value` is a constexpr aggregate of string_view and static_list. The grammar and the messages are those of
/// read(). g++ shows a message as a string, clang as a list of characters (`'1', ':', '1'`, ...), and every
/// compiler with static_assert messages of C++26 as what static_assert says.
///
/// Under the default limits of constant evaluation a text of 16 kB compiles everywhere (clang 14 and 19: 16
/// kB but not 24 kB; g++ 12: 32 kB but not 64 kB), in about 6 s; -fconstexpr-steps (clang) and
/// -fconstexpr-ops-limit (g++) lift it. An algorithm of one's own may have scalar settings here, but no
/// std::string and no lists: they cannot outlive constant evaluation.

namespace amct_distill {

/// Elements that stand somewhere in static storage.
template <class T>
class static_list : public std::span<const T> {
public:
    constexpr static_list() = default;
    template <std::size_t N>
    constexpr static_list(const std::array<T, N>& elements) : std::span<const T>(elements) {}
    friend constexpr bool operator==(const static_list& a, const static_list& b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end());
    }
};

/// Storage of a configuration that came out of constant evaluation.
struct StaticStorage {
    using string = std::string_view;
    template <class T>
    using list = static_list<T>;
};

namespace detail {

/// Storage of a configuration in the middle of constant evaluation.
struct TransientStorage {
    using string = std::string_view;
    template <class T>
    using list = std::vector<T>;
};

/// The same value, its message with another storage.
template <class To, class From>
constexpr To with_storage(const From& from) {
    if constexpr (std::is_same_v<To, From>) {
        return from;
    } else {
        return [&]<std::size_t... I>(std::index_sequence<I...>) { return To{reflect::get<I>(from)...}; }
        (std::make_index_sequence<reflect::field_count<From>>{});
    }
}

/// A text, and the messages that constant evaluation reads it into and keeps.
template <fixed_string Text, class Algorithms>
struct StaticSource {
    static constexpr std::string_view text = Text.view();
    using transient = BasicConfig<Algorithms, TransientStorage>;
    using frozen = BasicConfig<Algorithms, StaticStorage>;
    static constexpr std::size_t fields = reflect::field_count<transient>;
    using indices = std::make_index_sequence<fields>;
    template <std::size_t I>
    static constexpr bool is_list = ListField<reflect::field_type<transient, I>>;
};

/// What is allocated in constant evaluation cannot leave it, so the first reading counts for the others.
template <class Source>
struct StaticSurvey {
    bool ok = false;
    std::array<std::size_t, Source::fields> sizes{};  // of the lists
    std::size_t arena = 0;
    std::size_t errors = 0;
    std::size_t message_characters = 0;
};

inline constexpr ReaderOptions static_options{};

constexpr TextBuffer note_text(std::string_view text, const ReaderNote& note) {
    Position const where = position_of(text, note.offset);
    return say(where.line, ':', where.column, ": ", note.path, note.path.empty() ? "" : ": ", note.message);
}

template <class Source>
constexpr StaticSurvey<Source> make_survey() {
    StaticSurvey<Source> s;
    StringArena arena;
    TextReader reader(Source::text, static_options, arena);
    auto m = blank_message<typename Source::transient>();
    s.ok = reader.read(m);
    s.arena = arena.chars.size();
    s.errors = reader.notes().size();
    for (const ReaderNote& note : reader.notes())
        s.message_characters += note_text(Source::text, note).view().size();
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        auto const count = [&]<std::size_t K>(std::integral_constant<std::size_t, K>) {
            if constexpr (Source::template is_list<K>) s.sizes[K] = reflect::get<K>(m).size();
        };
        (count(std::integral_constant<std::size_t, I>{}), ...);
    }
    (typename Source::indices{});
    return s;
}
template <class Source>
inline constexpr StaticSurvey<Source> surveyed = make_survey<Source>();

// ---- a good text

template <class Source>
constexpr auto make_static_chars() {
    std::array<char, surveyed<Source>.arena + 1> out{};
    if constexpr (surveyed<Source>.arena != 0) {
        StringArena arena;
        auto m = blank_message<typename Source::transient>();
        TextReader(Source::text, static_options, arena).read(m);
        for (std::size_t i = 0; i != surveyed<Source>.arena; ++i) out[i] = arena.chars[i];
    }
    return out;
}
template <class Source>
inline constexpr auto static_chars = make_static_chars<Source>();

/// A list as an array, anything else as it is.
template <class Source, std::size_t I>
constexpr auto static_part(const typename Source::transient& m) {
    if constexpr (Source::template is_list<I>) {
        using element = typename reflect::field_type<typename Source::frozen, I>::value_type;
        return [&]<std::size_t... K>(std::index_sequence<K...>) {
            return std::array<element, sizeof...(K)>{with_storage<element>(reflect::get<I>(m)[K])...};
        }
        (std::make_index_sequence<surveyed<Source>.sizes[I]>{});
    } else {
        return reflect::get<I>(m);
    }
}
template <class Source>
constexpr auto make_static_parts() {
    StringArena arena;
    arena.placed = static_chars<Source>.data();
    auto m = blank_message<typename Source::transient>();
    TextReader(Source::text, static_options, arena).read(m);
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
        return std::tuple(static_part<Source, I>(m)...);
    }
    (typename Source::indices{});
}
template <class Source>
inline constexpr auto static_parts = make_static_parts<Source>();

// ---- a bad one

template <class Source>
struct StaticMessages {
    std::array<std::size_t, surveyed<Source>.errors + 1> ends{};
    std::array<char, surveyed<Source>.message_characters> chars{};
};
template <class Source>
constexpr auto make_static_messages() {
    StaticMessages<Source> out;
    StringArena arena;
    TextReader reader(Source::text, static_options, arena);
    auto m = blank_message<typename Source::transient>();
    reader.read(m);
    std::size_t n = 0, end = 0;
    for (const ReaderNote& note : reader.notes()) {
        TextBuffer const text = note_text(Source::text, note);
        for (char c : text.view()) out.chars[end++] = c;
        out.ends[++n] = end;
    }
    return out;
}
template <class Source>
inline constexpr auto all_messages = make_static_messages<Source>();

template <class Source, std::size_t I>
constexpr auto static_message() {
    constexpr std::size_t start = all_messages<Source>.ends[I],
                          size = all_messages<Source>.ends[I + 1] - start;
    fixed_string<size + 1> out;
    for (std::size_t i = 0; i != size; ++i) out.text[i] = all_messages<Source>.chars[start + i];
    return out;
}

#if defined(__cpp_static_assert) && __cpp_static_assert >= 202306L
template <fixed_string Message>
struct invalid_configuration {
    static_assert(Message.view().empty(), Message.view());
};
template <fixed_string Message>
using report_invalid = invalid_configuration<Message>;
#elif defined(__clang__)
template <char... Message>  // clang abbreviates strings in its messages, but no lists of characters
struct invalid_configuration {
    static_assert(sizeof...(Message) == 0,
                  "the configuration is wrong: see invalid_configuration<'line:column: what'>");
};
template <fixed_string Message, std::size_t... I>
invalid_configuration<Message.text[I]...> spelled(std::index_sequence<I...>);
template <fixed_string Message>
using report_invalid = decltype(spelled<Message>(std::make_index_sequence<Message.view().size()>{}));
#else
template <fixed_string Message>
struct invalid_configuration {
    static_assert(Message.view().empty(),
                  "the configuration is wrong: see invalid_configuration<\"line:column: what\">");
};
template <fixed_string Message>
using report_invalid = invalid_configuration<Message>;
#endif

/// Does not compile when the text is bad: each of its bases then says what is wrong.
template <class Source, class = std::make_index_sequence<surveyed<Source>.errors>>
struct valid_configuration;
template <class Source, std::size_t... I>
struct valid_configuration<Source, std::index_sequence<I...>>
    : report_invalid<static_message<Source, I>()>... {};

template <class Source>
constexpr typename Source::frozen static_value() {
    if constexpr (surveyed<Source>.ok) {
        return []<std::size_t... I>(std::index_sequence<I...>) {
            return typename Source::frozen{std::get<I>(static_parts<Source>)...};
        }
        (typename Source::indices{});
    } else {
        return {};
    }
}

}  // namespace detail

/// A configuration read by the compiler.
template <fixed_string Text, class Algorithms = StandardAlgorithms>
struct static_config : private detail::valid_configuration<detail::StaticSource<Text, Algorithms>> {
    static constexpr BasicConfig<Algorithms, StaticStorage> value =
        detail::static_value<detail::StaticSource<Text, Algorithms>>();
};

}  // namespace amct_distill

// ---- amct_distill/core/wrap.hpp

/// Sentences broken into lines of a given width, at blanks.
///
///     wrapped("The integers compute what was simulated.", 24)
///     //   "  The integers compute\n  what was simulated.\n"

namespace amct_distill {

/// Each line begins with `indent` blanks. A word that is longer than a line stands alone on one.
inline std::string wrapped(std::string_view text, std::size_t width = default_text_width,
                           std::size_t indent = 2) {
    std::string out, line;
    std::size_t taken = 0;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t const end = text.find(' ', at);
        std::string_view const word = text.substr(at, end - at);
        std::size_t const columns = detail::columns(word);
        if (taken != 0 && indent + taken + 1 + columns > width) {
            out.append(indent, ' ').append(line).push_back('\n');
            line.clear();
            taken = 0;
        }
        if (!line.empty()) line.push_back(' '), ++taken;
        line.append(word);
        taken += columns;
        if (end == text.npos) break;
        at = end + 1;
    }
    if (!line.empty()) out.append(indent, ' ').append(line).push_back('\n');
    return out;
}

}  // namespace amct_distill

// ---- amct_distill/deploy/file_names.hpp

/// Names of files for layers, that every file system takes and that no two layers share.
///
///     file_names({"layer1.0.conv", "head/box", "Head_Box"})
///         // {"layer1.0.conv", "head_box-16ee4b3a", "Head_Box"}
///
/// A name of at most 80 letters, digits, `_`, `-` and `.` of ASCII is taken as it is. In any other, what some
/// file system forbids is replaced by `_`, it is cut between two characters, and a hash of the whole name is
/// put after it; also where two names differ only in upper and lower case.

namespace amct_distill {
namespace detail {

inline constexpr std::size_t longest_file_name = 80;  // bytes; endings and a hash still fit 143 (eCryptfs)

constexpr bool is_plain_in_file_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}
inline std::string lower_case(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

/// Devices of Windows, with whatever ending.
inline bool is_reserved_file_name(std::string_view name) {
    std::string const begin = lower_case(name.substr(0, name.find('.')));
    if (begin == "con" || begin == "prn" || begin == "aux" || begin == "nul") return true;
    return begin.size() == 4 && (begin.starts_with("com") || begin.starts_with("lpt")) && begin[3] >= '0' &&
           begin[3] <= '9';
}

/// The character that a text begins with: how many bytes it has, and whether it can stand in a file's name,
/// as controls, invisible characters, punctuation, and what is not UTF-8 cannot.
struct FileNameCharacter {
    std::size_t bytes = 1;
    bool fits = false;
};
inline FileNameCharacter file_name_character(std::string_view text) {
    if (is_ascii(text.substr(0, 1))) return {1, is_plain_in_file_name(text[0])};
    std::size_t bytes = 1;
    while (bytes < text.size() && bytes < 4 && is_utf8_continuation(text[bytes])) ++bytes;
    std::string_view const character = text.substr(0, bytes);
    if (first_invalid_utf8(character) != std::string_view::npos) return {1, false};
    bool const control = character < "\xC2\xA1";                                 // U+0080 .. U+00A0
    bool const general = character >= "\xE2\x80\x80" && character < "\xE2\x82";  // U+2000 .. U+207F
    return {bytes, !control && !general && character != "\xEF\xBB\xBF"};
}

/// The text with what cannot stand in a file's name replaced, and cut.
inline std::string as_file_name(std::string_view name) {
    std::string out;
    while (!name.empty()) {
        auto const [bytes, fits] = file_name_character(name);
        std::string_view const piece = fits && !(out.empty() && name[0] == '.') ? name.substr(0, bytes) : "_";
        if (out.size() + piece.size() > longest_file_name) break;
        out.append(piece);
        name.remove_prefix(bytes);
    }
    return out;
}

inline std::string hex_digits(std::uint64_t value, int digits) {
    std::string out;
    for (int k = digits; k-- != 0;) out.push_back("0123456789abcdef"[value >> (4 * k) & 15]);
    return out;
}

}  // namespace detail

/// One for each of the names, which differ; without an ending. The same names give the same files.
inline std::vector<std::string> file_names(std::span<const std::string> names) {
    std::vector<std::string> files;
    std::set<std::string> taken;  // in lower case
    for (const std::string& name : names) {
        std::string file = detail::as_file_name(name);
        bool const as_it_is =
            file == name && detail::is_ascii(name) && !name.empty() && !detail::is_reserved_file_name(name);
        if (!as_it_is || !taken.insert(detail::lower_case(file)).second) {
            std::string const begin = file;
            std::uint64_t hash = detail::hash_of(name);
            do file = detail::concat(begin, '-', detail::hex_digits(hash++, 8));
            while (!taken.insert(detail::lower_case(file)).second);
        }
        files.push_back(std::move(file));
    }
    return files;
}

}  // namespace amct_distill

// ---- amct_distill/io/staged_files.hpp

/// Several files of a directory that are replaced together: all are new, or all are as they were.
///
///     StagedFiles files("out");
///     files.add("weights/conv1.npy", bytes).value();    // in a directory beside; out/weights/ is as it was
///     files.add("record.txt", text).value();
///     files.remove("weights/conv7.npy");                // of an older set
///     files.commit().value();                           // renamed to their places
///
/// What fails, a full disk for instance, fails in `add`, before anything of the old set is touched.

namespace amct_distill {

class StagedFiles {
public:
    explicit StagedFiles(std::filesystem::path directory) : directory_(std::move(directory)) {}
    StagedFiles(const StagedFiles&) = delete;
    StagedFiles& operator=(const StagedFiles&) = delete;
    /// Without a commit nothing is left of what was added.
    ~StagedFiles() { discard(); }

    /// Writes a file that `commit` moves to `name`, a relative path. Error: it cannot be written, or a
    /// directory is in its place.
    result<void> add(const std::filesystem::path& name, std::string_view content) {
        std::error_code error;
        if (std::filesystem::is_directory(directory_ / name, error))
            return detail::file_error("write", directory_ / name, EISDIR);
        if (auto ok = make_staging(); !ok) return ok;
        if (int const code = detail::write_content(staged(changes_.size()), content, Durability::after_exit);
            code != 0)
            return detail::file_error("write", directory_ / name, code);
        changes_.push_back({name, false});
        return {};
    }
    /// Has `commit` remove a file; one that does not exist is no error.
    void remove(const std::filesystem::path& name) { changes_.push_back({name, true}); }

    /// Moves the new files to their places, in the order of the calls. Error: one cannot be moved; then all
    /// are as they were before.
    result<void> commit() {
        if (auto ok = make_staging(); !ok) return ok;
        std::size_t const made_before = made_.size();
        for (std::size_t k = 0; k != changes_.size(); ++k)
            if (int const code = change(k); code != 0) {
                for (std::size_t j = k; j-- != 0;) undo(j);
                remove_directories(made_before);
                return detail::file_error(changes_[k].remove ? "remove" : "write",
                                          directory_ / changes_[k].name, code);
            }
        made_.clear();
        discard();
        return {};
    }

private:
    struct Change {
        std::filesystem::path name{};
        bool remove = false;
        bool saved = false;  // there was an old file, which waits in the staging directory
    };

    std::filesystem::path staged(std::size_t k) const { return staging_ / detail::concat("new", k); }
    std::filesystem::path saved(std::size_t k) const { return staging_ / detail::concat("old", k); }

    /// Makes a directory, and those above it, and remembers which did not exist.
    int make_directories(const std::filesystem::path& directory) {
        std::error_code error;
        if (directory.empty() || std::filesystem::is_directory(directory, error)) return 0;
        if (int const code = make_directories(directory.parent_path()); code != 0) return code;
        if (std::filesystem::create_directory(directory, error)) made_.push_back(directory);
        return error.value();
    }
    void remove_directories(std::size_t keep) {
        std::error_code ignored;  // one that is not empty stays
        for (; made_.size() > keep; made_.pop_back()) std::filesystem::remove(made_.back(), ignored);
    }

    result<void> make_staging() {
        if (!staging_.empty()) return {};
        if (int const code = make_directories(directory_); code != 0)
            return detail::file_error("create", directory_, code);
        for (std::size_t n = 0; staging_.empty(); ++n) {  // a name that no other process has
            std::filesystem::path const path = directory_ / detail::concat(".new-files-", n);
            std::error_code error;
            if (std::filesystem::create_directory(path, error)) staging_ = path;
            if (error && error != std::errc::file_exists)
                return detail::file_error("write to", directory_, error.value());
        }
        return {};
    }
    void discard() {
        std::error_code ignored;
        if (!staging_.empty()) std::filesystem::remove_all(staging_, ignored);
        staging_.clear();
        remove_directories(0);
        changes_.clear();
    }

    int change(std::size_t k) {
        Change& c = changes_[k];
        std::filesystem::path const target = directory_ / c.name;
        if (int const code = make_directories(target.parent_path()); code != 0) return code;
        std::error_code error;
        std::filesystem::rename(target, saved(k), error);
        c.saved = !error;
        if (error && error != std::errc::no_such_file_or_directory) return error.value();
        if (c.remove) return 0;
        std::filesystem::rename(staged(k), target, error);
        if (!error) return 0;
        int const code = error.value();
        if (c.saved) std::filesystem::rename(saved(k), target, error);
        return code;
    }
    void undo(std::size_t k) {
        const Change& c = changes_[k];
        std::error_code ignored;
        if (c.saved)
            std::filesystem::rename(saved(k), directory_ / c.name, ignored);
        else if (!c.remove)
            std::filesystem::remove(directory_ / c.name, ignored);
    }

    std::filesystem::path directory_;
    std::filesystem::path staging_{};
    std::vector<std::filesystem::path> made_{};  // directories that did not exist before
    std::vector<Change> changes_{};
};

}  // namespace amct_distill

// ---- amct_distill/deploy/write.hpp

/// A deployment as files: the record, the integers of each layer as NumPy's `.npy`, and which are whose.
///
///     write(deploy(student).value(), "out").value();
///
///     out/record.txt                 scales, offsets and types: ScaleOffsetRecord, text format
///     out/files.txt                  the files of each layer: DeploymentFiles, text format
///     out/weights/conv1.weight.npy   int8, of the weight's shape; INT4: uint8 [out, bytes], a row per output
///                                    channel, two codes a byte, the low nibble first, rows padded
///     out/weights/conv1.bias.npy     int32 [out], in units of scale_d * scale_w; absent when there is none
///
/// Where a layer's name cannot be a file's name (file_names.hpp), the record and files.txt have it as it is.

namespace amct_distill {

/// Where a layer's integers are, relative to the deployment's directory.
struct LayerFiles {
    optional<std::string> layer{};
    optional<std::string> weight{};
    optional<std::string> bias{};  ///< absent: the layer has none
    friend bool operator==(const LayerFiles&, const LayerFiles&) = default;
};
struct DeploymentFiles {
    repeated<LayerFiles> files{};
    friend bool operator==(const DeploymentFiles&, const DeploymentFiles&) = default;
};

namespace detail {

/// The files of an earlier deployment; none where it cannot be read.
inline std::set<std::string> files_of_deployment(const std::filesystem::path& directory) {
    std::set<std::string> files;
    auto const text = read_file(directory / "files.txt");
    if (!text) return files;
    auto const old = read<DeploymentFiles>(*text);
    if (!old) return files;
    for (const LayerFiles& layer : old->files)
        for (const auto& name : {layer.weight, layer.bias})
            // Written by us, or not to be touched.
            if (std::filesystem::path const path = name.get();
                name.has_value() && path == std::filesystem::path("weights") / path.filename())
                files.insert(*name);
    return files;
}

/// Bytes of two codes as rows of bytes; codes of a byte each in the shape of the weight.
inline std::string npy_of_codes(const AnyCodes& codes, const nn::Weighted& layer) {
    return std::visit(
        [&]<class B>(const Codes<B>& c) {
            using Byte = typename Codes<B>::byte_type;
            auto const rows = static_cast<nn::Index>(c.rows()), bytes = static_cast<nn::Index>(c.row_bytes());
            if constexpr (two_codes_a_byte<B>) {
                return npy_content<Byte>({rows, bytes}, c.bytes());
            } else {
                nn::BasicTensor<Byte> const matrix({rows, bytes}, c.bytes());
                nn::BasicTensor<Byte> weight(layer.weight().shape());
                nn::WeightRows(layer).scatter(matrix, weight);
                return npy_content<Byte>(weight.shape(), std::as_const(weight).span());
            }
        },
        codes);
}

}  // namespace detail

/// Makes the directory. What an earlier deployment has left there stays until the new one is complete, and
/// then goes. Error: a file cannot be written (a full disk, ...), by name; all is then as it was.
inline result<void> write(const Deployment& deployment, const std::filesystem::path& directory) {
    std::vector<std::string> names;
    for (const DeployedLayer& layer : deployment.layers()) names.push_back(layer.name);
    auto const stems = file_names(names);

    StagedFiles out(directory);
    std::set<std::string> old = detail::files_of_deployment(directory);
    DeploymentFiles index;
    auto const add = [&](const std::string& file, std::string_view content) {
        old.erase(file);
        return out.add(file, content);
    };
    for (const DeployedLayer& layer : deployment.layers()) {
        std::string const& stem = stems[index.files.size()];
        LayerFiles& files = index.files.emplace_back();
        files.layer = layer.name;
        files.weight = detail::concat("weights/", stem, ".weight.npy");
        const nn::Weighted& weighted = *deployment.network().module(layer.module).weighted();
        if (auto ok = add(*files.weight, detail::npy_of_codes(layer.codes, weighted)); !ok) return ok;
        if (layer.bias.empty()) continue;
        files.bias = detail::concat("weights/", stem, ".bias.npy");
        auto const rows = static_cast<nn::Index>(layer.rows());
        if (auto ok = add(*files.bias, detail::npy_content<std::int32_t>({rows}, layer.bias)); !ok) return ok;
    }
    if (auto ok = out.add("files.txt", print(index)); !ok) return ok;
    if (auto ok = out.add("record.txt", print(make_record(deployment))); !ok) return ok;
    for (const std::string& file : old) out.remove(file);
    return out.commit();
}

}  // namespace amct_distill

// ---- amct_distill/io/mapped_file.hpp

/// A file's bytes as memory, read-only: the system reads what is touched, nothing is copied.
///
///     result<MappedFile> file = MappedFile::open("model.onnx");
///     std::string_view bytes = file->bytes();      // valid as long as the object, wherever it moves
///
/// Where there is no mmap (and for files that cannot be mapped) the whole file is read instead. A file that
/// another process cuts short while it is mapped ends this process with a bus error; replace files by
/// renaming, as write_file() does.

#if __has_include( \
    <sys/mman.h>) && __has_include(<sys/stat.h>) && __has_include(<fcntl.h>) && __has_include(<unistd.h>)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define AMCT_DISTILL_HAS_MMAP 1
#endif

namespace amct_distill {

class MappedFile {
public:
    /// Whether a last component that is a symbolic link is followed (what it leads to must be a regular
    /// file).
    enum class Links { followed, refused };

    /// No file: empty bytes.
    MappedFile() = default;
    MappedFile(MappedFile&& other) noexcept { swap(other); }
    MappedFile& operator=(MappedFile&& other) noexcept {
        MappedFile(std::move(other)).swap(*this);
        return *this;
    }
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile() {
#ifdef AMCT_DISTILL_HAS_MMAP
        if (mapped_) ::munmap(const_cast<char*>(data_), size_);
#endif
    }

    /// Error: it cannot be opened, is no regular file, or cannot be read.
    static result<MappedFile> open(const std::filesystem::path& path, Links links = Links::followed) {
#ifdef AMCT_DISTILL_HAS_MMAP
        // Without O_NONBLOCK a pipe would be waited for.
        int const file = ::open(
            path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | (links == Links::refused ? O_NOFOLLOW : 0));
        if (file < 0 && errno == ELOOP && links == Links::refused)
            return general_error(
                detail::concat(path.string(), " is a symbolic link; links are not followed here"));
        if (file < 0) return detail::file_error("open", path, errno);
        struct stat about {};
        int error = ::fstat(file, &about) == 0 ? 0 : errno;
        bool const regular = S_ISREG(about.st_mode);
        auto const size = static_cast<std::uint64_t>(about.st_size);
        void* at = nullptr;
        bool mapped = false;
        if (error == 0 && regular && size != 0 && size <= (std::numeric_limits<std::size_t>::max)()) {
            at = ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ, MAP_PRIVATE, file, 0);
            mapped = at != MAP_FAILED;
        }
        ::close(file);
        if (error != 0) return detail::file_error("open", path, error);
        if (!regular)
            return general_error(detail::concat("cannot open ", path.string(), ": it is not a regular file"));
        if (size == 0) return MappedFile();
        if (!mapped) return read_whole(path);
        MappedFile out;
        out.data_ = static_cast<const char*>(at);
        out.size_ = static_cast<std::size_t>(size);
        out.mapped_ = true;
        return out;
#else
        std::error_code ignored;
        if (links == Links::refused && std::filesystem::is_symlink(path, ignored))
            return general_error(
                detail::concat(path.string(), " is a symbolic link; links are not followed here"));
        return read_whole(path);
#endif
    }
    /// Reads the file into memory of its own, as open() does where files cannot be mapped.
    static result<MappedFile> read_whole(const std::filesystem::path& path) {
        std::error_code error;
        bool const regular = std::filesystem::is_regular_file(path, error);
        if (!error && !regular)
            return general_error(detail::concat("cannot open ", path.string(), ": it is not a regular file"));
        std::uintmax_t const size = error ? 0 : std::filesystem::file_size(path, error);
        if (error) return detail::file_error("open", path, error.value());
        detail::file_handle const file(std::fopen(path.c_str(), "rb"));
        if (!file) return detail::file_error("open", path, errno);
        MappedFile out;
        out.size_ = static_cast<std::size_t>(size);
        out.owned_.reset(new char[out.size_]);
        out.data_ = out.owned_.get();
        if (std::fread(out.owned_.get(), 1, out.size_, file.get()) != out.size_)
            return detail::file_error("read", path, std::ferror(file.get()) ? errno : EIO);
        return out;
    }

    std::string_view bytes() const noexcept { return {data_, size_}; }
    /// False: the bytes are a copy of their own.
    bool is_mapped() const noexcept { return mapped_; }

private:
    void swap(MappedFile& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(mapped_, other.mapped_);
        std::swap(owned_, other.owned_);
    }

    const char* data_ = "";
    std::size_t size_ = 0;
    bool mapped_ = false;
    std::unique_ptr<char[]> owned_{};
};

}  // namespace amct_distill

#ifdef AMCT_DISTILL_HAS_MMAP
#undef AMCT_DISTILL_HAS_MMAP
#endif

// ---- amct_distill/io/npz.hpp

/// Several arrays in one file, as NumPy's `.npz`: a zip archive without compression.
///
///     ZipWriter zip;
///     zip.add("conv1.weight.npy", npy_bytes<float>({8, 3}, weights));
///     write_file("weights.npz", zip.finish().value()).value();
///     ZipReader archive = ZipReader::open(bytes).value();           // a view of the bytes
///     archive.find("conv1.weight.npy");
///
/// numpy.load reads what is written. What numpy.savez writes is read; compressed archives (savez_compressed)
/// are refused with a remedy. Files of 4 GiB and more are refused: that takes another format of zip.

namespace amct_distill {
namespace detail {

/// CRC-32 (ISO 3309), as zip wants it.
inline std::uint32_t crc32(std::string_view bytes) {
    static constexpr auto table = [] {
        std::array<std::uint32_t, 256> t{};
        for (std::uint32_t i = 0; i != 256; ++i) {
            std::uint32_t c = i;
            for (int k = 0; k != 8; ++k) c = (c & 1) != 0 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
            t[i] = c;
        }
        return t;
    }();
    std::uint32_t crc = 0xFFFFFFFFu;
    for (char byte : bytes) crc = table[(crc ^ static_cast<unsigned char>(byte)) & 0xFF] ^ (crc >> 8);
    return ~crc;
}

/// `width` bytes of a number, the lowest first.
inline void put_little(std::string& out, std::uint32_t value, int width) {
    for (int i = 0; i != width; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
}
inline std::uint32_t little(std::string_view bytes, std::size_t at, std::size_t width) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i != width; ++i)
        value |= std::uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
    return value;
}

}  // namespace detail

class ZipWriter {
public:
    void add(std::string name, std::string_view content) {
        std::uint32_t const crc = detail::crc32(content);
        std::string common;
        detail::put_little(common, 20, 2);       // version needed
        detail::put_little(common, 1 << 11, 2);  // the name is UTF-8
        detail::put_little(common, 0, 2);        // stored
        detail::put_little(common, 0, 2);        // no time: the same arrays give the same bytes
        detail::put_little(common, 0x21, 2);     // 1980-01-01
        detail::put_little(common, crc, 4);
        detail::put_little(common, static_cast<std::uint32_t>(content.size()), 4);
        detail::put_little(common, static_cast<std::uint32_t>(content.size()), 4);
        detail::put_little(common, static_cast<std::uint32_t>(name.size()), 2);
        detail::put_little(common, 0, 2);  // extra
        too_large_ = too_large_ || name.size() > 0xFFFF || files_ == 0xFFFF ||
                     content.size() + out_.size() > 0xFFFFFFFFu - (1u << 20);

        detail::put_little(directory_, 0x02014B50, 4);
        detail::put_little(directory_, 20, 2);  // version made by
        directory_ += common;
        for (int width : {2, 2, 2, 4}) detail::put_little(directory_, 0, width);  // comment, disk, attributes
        detail::put_little(directory_, static_cast<std::uint32_t>(out_.size()), 4);
        directory_ += name;

        detail::put_little(out_, 0x04034B50, 4);
        out_ += common;
        out_ += name;
        out_ += content;
        ++files_;
    }
    /// The archive's bytes. Error: they are 4 GiB or more.
    result<std::string> finish() && {
        std::size_t const at = out_.size();
        if (too_large_ || at + directory_.size() > 0xFFFFFFFFu)
            return general_error("the arrays take 4 GiB or more, which this format of .npz cannot hold");
        out_ += directory_;
        detail::put_little(out_, 0x06054B50, 4);
        detail::put_little(out_, 0, 4);  // disks
        for (int i = 0; i != 2; ++i) detail::put_little(out_, files_, 2);
        detail::put_little(out_, static_cast<std::uint32_t>(directory_.size()), 4);
        detail::put_little(out_, static_cast<std::uint32_t>(at), 4);
        detail::put_little(out_, 0, 2);  // comment
        return std::move(out_);
    }

private:
    std::string out_{}, directory_{};
    std::uint32_t files_ = 0;
    bool too_large_ = false;
};

/// A view of an archive's files; valid as long as the bytes.
class ZipReader {
public:
    struct File {
        std::string_view name{}, content{};
    };
    const std::vector<File>& files() const { return files_; }
    std::optional<std::string_view> find(std::string_view name) const {
        auto const found = std::ranges::find(files_, name, &File::name);
        if (found == files_.end()) return std::nullopt;
        return found->content;
    }

    /// Errors: the bytes are no zip archive, or a damaged one; a file in it is compressed.
    static result<ZipReader> open(std::string_view bytes) {
        auto const bad = [](std::string_view why) {
            return general_error(detail::concat("this .npz ", why));
        };
        // The end record stands before a comment of at most 65535 bytes, of which ours have none.
        if (bytes.size() < 22) return bad("is too short to be one");
        std::size_t end = bytes.size() - 22;
        for (std::size_t tried = 0; detail::little(bytes, end, 4) != 0x06054B50; --end, ++tried)
            if (end == 0 || tried == 0xFFFF)
                return bad("has no directory: it is no zip archive, or is cut off");
        std::size_t const count = detail::little(bytes, end + 10, 2);
        std::size_t at = detail::little(bytes, end + 16, 4);
        ZipReader reader;
        for (std::size_t i = 0; i != count; ++i) {
            if (at > end || end - at < 46 || detail::little(bytes, at, 4) != 0x02014B50)
                return bad("has a damaged directory");
            std::size_t const method = detail::little(bytes, at + 10, 2),
                              size = detail::little(bytes, at + 20, 4),
                              name_size = detail::little(bytes, at + 28, 2),
                              rest = std::size_t{detail::little(bytes, at + 30, 2)} +
                                     detail::little(bytes, at + 32, 2),
                              local = detail::little(bytes, at + 42, 4);
            std::uint32_t const crc = detail::little(bytes, at + 16, 4);
            if (end - at < 46 + name_size + rest) return bad("has a damaged directory");
            std::string_view const name = bytes.substr(at + 46, name_size);
            if (method != 0)
                return bad(detail::concat("is compressed (`", name,
                                          "`): write it with numpy.savez, not savez_compressed"));
            if (local > end || end - local < 30 || detail::little(bytes, local, 4) != 0x04034B50)
                return bad(detail::concat("is damaged at `", name, "`"));
            std::size_t const data =
                local + 30 + detail::little(bytes, local + 26, 2) + detail::little(bytes, local + 28, 2);
            if (data > end || end - data < size) return bad(detail::concat("is cut off at `", name, "`"));
            std::string_view const content = bytes.substr(data, size);
            if (detail::crc32(content) != crc) return bad(detail::concat("is damaged at `", name, "`"));
            reader.files_.push_back({name, content});
            at += 46 + name_size + rest;
        }
        return reader;
    }

private:
    std::vector<File> files_{};
};

}  // namespace amct_distill

// ---- amct_distill/io/terminal.hpp

/// The terminal that a program writes to, and a line on it that is drawn again and again.
///
///     std::cout << to_table(report, terminal_width());
///     ProgressLine line;
///     line.show("block 1 of 4", "epoch 3 of 5, loss 1.25e-03", 0.55);
///     //   [################..............] block 1 of 4, epoch 3 of 5, loss 1.25e-03
///     line.finish();

namespace amct_distill {

/// The columns of standard output: as the variable COLUMNS has it, else as the terminal says, else 100.
inline std::size_t terminal_width() {
    if (const char* set = std::getenv("COLUMNS")) {
        std::string_view const text = set;
        std::size_t n = 0;
        auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
        if (error == std::errc{} && end == text.data() + text.size() && n > 0) return n;
    }
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) return size.ws_col;
    return default_text_width;
}

/// On a terminal a bar and a text in one line, which never reaches the last column, since some terminals then
/// begin another. Elsewhere a line per task, without the state. Standard output.
class ProgressLine {
public:
    /// `part`: how much of the task is done, 0 to 1.
    void show(std::string_view task, std::string_view state, double part) {
        bool const next = task != task_;
        task_ = task;
        if (isatty(STDOUT_FILENO) == 0) {
            if (next) std::printf("  %s\n", task_.c_str());
            return;
        }
        std::size_t const width = (std::max)(terminal_width(), std::size_t{10}) - 1;
        std::string text = detail::concat(task, ", ", state);
        std::size_t const bar = (std::min)(std::size_t{30}, width / 3);
        if (detail::columns(text) + bar + 5 > width) text = task;
        std::string line;
        if (detail::columns(text) + bar + 5 <= width) {
            auto const filled =
                static_cast<std::size_t>(std::lround(static_cast<double>(bar) * std::clamp(part, 0.0, 1.0)));
            line = detail::concat("  [", std::string(filled, '#'), std::string(bar - filled, '.'), "] ");
        }
        draw(detail::shortened(line + text, width));
    }
    /// Clears the line.
    void finish() {
        if (drawn_ != 0) draw("");
        task_.clear();
    }

private:
    void draw(const std::string& line) {
        std::size_t const taken = detail::columns(line);
        std::printf("\r%s%s%s", line.c_str(), std::string(drawn_ > taken ? drawn_ - taken : 0, ' ').c_str(),
                    line.empty() ? "\r" : "");
        std::fflush(stdout);
        drawn_ = taken;
    }

    std::string task_{};
    std::size_t drawn_ = 0;  ///< columns that the line takes
};

}  // namespace amct_distill

// ---- amct_distill/nn/initialize.hpp

/// Start values of weights and biases as PyTorch's defaults: uniform in [-b, b), b = 1 / sqrt(fan_in)
/// (Kaiming's uniform initialization with a = sqrt(5)); the same seed gives the same values everywhere.
///
///     initialize(net, 42);
///
/// Affine parameters and statistics keep what their module gave them.

namespace amct_distill::nn {

/// The next number in [0, 1), a multiple of 2^-53. (std::uniform_real_distribution is not the same in every
/// standard library; the bits of std::mt19937_64 are.)
inline double next_uniform(std::mt19937_64& bits) {
    return std::ldexp(static_cast<double>(bits() >> 11), -53);
}

/// Fills the module's parameters of the roles weight and bias, in their order. fan_in is the number of
/// values that one output of its first weight reads.
template <class T>
void initialize(BasicModule<T>& module, std::mt19937_64& bits) {
    double bound = 0;
    for (const auto& p : module.parameters()) {
        if (p.role == Role::weight && bound == 0)
            bound = 1 / std::sqrt(static_cast<double>(p.values.size()) / static_cast<double>(p.shape()[0]));
        if (p.role == Role::weight || p.role == Role::bias)
            for (T& value : p.values) value = static_cast<T>((2 * next_uniform(bits) - 1) * bound);
    }
}

/// Fills the weights and biases of all modules, in definition order.
template <class T>
void initialize(BasicNetwork<T>& network, std::uint64_t seed) {
    std::mt19937_64 bits(seed);
    for (const auto& m : network.modules()) initialize(network.module(m.name), bits);
}

}  // namespace amct_distill::nn

// ---- amct_distill/nn/print.hpp

/// A network's structure as text: a line per node, with the module's options.
///
///     std::cout << nn::print(network);
///     // amct_distill network 1
///     // input "image" [N, 1, 8, 8]
///     // layer "conv1" Conv2d { in_channels: 1 out_channels: 4 kernel: [3, 3] ... } "image"
///     // function "/Flatten" Flatten { start_dim: 1 } "conv1"
///     // use "relu_again" "relu" "/Flatten"                  a further use of the layer "relu"
///     // output "relu_again"
///
/// nn/save.hpp reads it back. Names are quoted; `"` and `\\` in them stand after a `\\`.

namespace amct_distill::nn {

inline constexpr std::string_view network_text_begins = "amct_distill network 1\n";

template <class T>
std::string print(const BasicNetwork<T>& network) {
    std::string out(network_text_begins);
    auto const name = [&](std::string_view text) {
        out += ' ';
        detail::put_option(out, text);
    };
    auto const operation = [&](NodeId id) {
        out += detail::concat(' ', network.operation(id).type(), " {");
        if (std::string const options = network.operation(id).options(); !options.empty())
            out += ' ' + options;
        out += " }";
    };
    for (std::size_t i = 0; i != network.graph().size(); ++i) {
        NodeId const id{i};
        const auto& node = network.node(id);
        if (node.kind == NodeKind::port) continue;  // named by the node before it
        bool const first_use = node.module && network.graph().uses(*node.module).front() == id;
        out += node.kind == NodeKind::input      ? "input"
               : node.kind == NodeKind::constant ? "constant"
               : first_use                       ? "layer"
               : node.module                     ? "use"
                                                 : "function";
        name(network.name(id));
        if (node.kind != NodeKind::operation) out += ' ' + to_string(node.shape);
        if (first_use || node.function) operation(id);
        if (node.module && !first_use) name(network.modules()[*node.module].name);
        for (NodeId input : node.inputs) name(network.name(input));
        out += '\n';
    }
    for (NodeId id : network.outputs()) {
        out += "output";
        name(network.name(id));
        out += '\n';
    }
    return out;
}

}  // namespace amct_distill::nn

// ---- amct_distill/nn/save.hpp

/// A whole network in one file: its structure as text, and its parameters, in an `.npz`.
///
///     nn::save(network, "net.npz").value();                    // whole or not there
///     nn::Network back = nn::load("net.npz").value();           // the same bits
///     nn::load<LocallyConnected>("net.npz");                    // with modules of one's own
///
/// A module takes part by its `options()` (an aggregate from which it can be made) and `parameters(list)`;
/// nothing is registered. numpy.load reads the file: "conv1.weight", "conv1.bias", ..., and the text
/// "network.txt".

namespace amct_distill::detail {

template <class... M>
struct ModuleList {};
/// The library's own.
using standard_modules =
    ModuleList<nn::Conv2d, nn::Linear, nn::BatchNorm2d, nn::ReLU, nn::LeakyReLU, nn::Sigmoid, nn::Tanh,
               nn::Softmax, nn::MaxPool2d, nn::AvgPool2d, nn::GlobalAveragePool, nn::Add, nn::Concat,
               nn::Flatten, nn::Reshape, nn::Identity, nn::Dropout>;

/// A module of type M from the text of its options. Errors: options that cannot be read or make no sense.
template <class M>
result<nn::Module> make_module(std::string_view options) {
    if constexpr (requires(const M& m) { m.options(); }) {
        using O = std::remove_cvref_t<decltype(std::declval<const M&>().options())>;
        static_assert(
            std::is_constructible_v<M, const O&>,
            "a module that is loaded can be constructed from what its options() gives: add that constructor");
        auto read = read_options<O>(options);
        if (!read) return read.diagnostics();
        try {
            return nn::Module(M(*read));
        } catch (const std::invalid_argument& e) {
            return general_error(e.what());
        }
    } else {
        static_assert(
            std::is_default_constructible_v<M>,
            "a module that is loaded has options(), an aggregate, or a default constructor: add one of them");
        if (options.find_first_not_of(' ') != options.npos)
            return general_error(concat("a ", M::type_name, " has no options"));
        return nn::Module(M{});
    }
}
template <class... M>
std::optional<result<nn::Module>> make_module_of(ModuleList<M...>, std::string_view type,
                                                 std::string_view options) {
    std::optional<result<nn::Module>> made;
    ((made || M::type_name != type ? void() : void(made.emplace(make_module<M>(options)))), ...);
    return made;
}

/// Takes a network from the text that `nn::print` gave, line by line, and its tensors from an archive.
template <class Modules>
class NetworkReader {
public:
    NetworkReader(std::string_view text, const ZipReader& archive, std::string_view source)
        : text_(text), archive_(archive), source_(source) {}

    result<nn::Network> read() {
        if (!text_.starts_with(nn::network_text_begins))
            return fail("expected the line `amct_distill network 1`: it is not a network of this version");
        std::string_view rest = text_;
        for (line_ = 1; !rest.empty(); ++line_) {
            std::size_t const end = (std::min)(rest.find('\n'), rest.size());
            std::string_view const line = rest.substr(0, end);
            rest.remove_prefix((std::min)(end + 1, rest.size()));
            if (line_ == 1 || line.empty()) continue;
            try {
                if (auto ok = read_line(line); !ok) return ok.diagnostics();
            } catch (const std::invalid_argument& e) {
                return fail(e.what());
            }
        }
        for (const auto& m : net_.modules())
            if (auto ok = read_parameters(m.name); !ok) return ok.diagnostics();
        return std::move(net_);
    }

private:
    Diagnostic fail(std::string_view why) const {
        Diagnostic d = general_error(concat("cannot load the network: ", why));
        d.source = std::string(source_);
        if (line_ != 0) d.where = {line_, 1};
        return d;
    }

    result<void> read_line(std::string_view line) {
        OptionsReader in(line);
        std::string_view const kind = in.word();
        std::string name;
        if (!in.value(name)) return fail("expected a name in quotes");
        if (kind == "input") {
            bool const batch = in.take("[N, ") || in.take("[N]");
            nn::Shape shape;
            std::string const rest = concat(batch ? "[" : "", in.rest());
            if (OptionsReader dims(rest); !dims.value(shape)) return fail("expected a shape");
            batch ? net_.input(name, shape) : net_.fixed_input(name, shape);
            return {};
        }
        if (kind == "constant") {
            auto value = tensor(concat("constant:", name, ".npy"));
            if (!value) return value.diagnostics();
            net_.constant(name, *std::move(value));
            return {};
        }
        if (kind == "output") {
            auto const id = net_.find(name);
            if (!id) return fail(concat("no node is named `", name, "`"));
            net_.output(*id);
            return {};
        }
        std::optional<nn::Module> module;
        std::string used;
        if (kind == "layer" || kind == "function") {
            std::string_view const type = in.word();
            if (!in.take("{")) return fail("expected the options of a module in braces");
            std::string_view const rest = in.rest();
            std::size_t const end = end_of_options(rest);
            if (end == rest.npos) return fail("expected `}` after the options");
            auto made = make_module_of(Modules{}, type, rest.substr(0, end));
            if (!made)
                return fail(concat("no module of type `", type,
                                   "` is known; name your own: nn::load<YourModule>(...)"));
            if (!*made) return fail(concat("a ", type, ": ", made->diagnostics()[0].message));
            module.emplace(**std::move(made));
            in = OptionsReader(rest.substr(end + 1));
        } else if (kind != "use" || !in.value(used)) {
            return fail("expected `input`, `constant`, `layer`, `use`, `function` or `output`");
        }
        std::vector<NodeId> inputs;
        while (!in.at_end()) {
            std::string input;
            if (!in.value(input)) return fail("expected the names of what the node reads, in quotes");
            auto const id = net_.find(input);
            if (!id) return fail(concat("no node before it is named `", input, "`"));
            inputs.push_back(*id);
        }
        if (kind == "layer")
            net_.add(name, *std::move(module), inputs);
        else if (kind == "function")
            net_.add_function(name, *std::move(module), inputs);
        else
            net_.apply(name, used, inputs);
        return {};
    }
    /// The `}` that is not in a text.
    static std::size_t end_of_options(std::string_view rest) {
        bool quoted = false;
        for (std::size_t i = 0; i != rest.size(); ++i) {
            if (quoted && rest[i] == '\\')
                ++i;
            else if (rest[i] == '"')
                quoted = !quoted;
            else if (rest[i] == '}' && !quoted)
                return i;
            if (i >= rest.size()) break;
        }
        return rest.npos;
    }

    result<void> read_parameters(const std::string& name) {
        line_ = 0;
        for (auto& p : net_.module(name).parameters()) {
            auto value = tensor(concat(name, '.', p.name, ".npy"));
            if (!value) return value.diagnostics();
            if (!std::ranges::equal(value->shape(), p.shape()))
                return fail(concat("`", name, '.', p.name, "`: expected ",
                                   nn::to_string(nn::Shape(p.shape().begin(), p.shape().end())), ", found ",
                                   nn::to_string(value->shape())));
            std::ranges::copy(value->span(), p.values.begin());
        }
        return {};
    }
    result<nn::Tensor> tensor(const std::string& file) const {
        auto const content = archive_.find(file);
        if (!content) return fail(concat("the file has no array `", file, "`"));
        auto array = parse_npy(*content, concat("`", file, "` of ", source_));
        if (!array) return array.diagnostics();
        return nn::Tensor(array->shape, array->values);
    }

    std::string_view text_;
    const ZipReader& archive_;
    std::string_view source_;
    std::size_t line_ = 0;
    nn::Network net_{};
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// Errors: the file cannot be written, or would take 4 GiB or more; a file that was there before is as it
/// was.
inline result<void> save(const Network& network, const std::filesystem::path& path) {
    ZipWriter zip;
    zip.add("network.txt", print(network));
    auto const add = [&](const std::string& name, std::span<const Index> shape,
                         std::span<const float> values) {
        zip.add(name + ".npy", detail::npy_content<float>(NpyShape(shape.begin(), shape.end()), values));
    };
    for (std::size_t i = 0; i != network.graph().size(); ++i)
        if (const auto& n = network.node({i}); n.kind == NodeKind::constant)
            add("constant:" + network.name({i}), n.constant.shape(), n.constant.span());
    for (const auto& m : network.modules())
        for (const auto& p : m.module.parameters())
            add(detail::concat(m.name, '.', p.name), p.shape(), p.values);
    auto bytes = std::move(zip).finish();
    if (!bytes) return bytes.diagnostics();
    return write_file(path, *bytes);
}

/// `Own`: modules besides the library's that the network has. Errors, with the line of the structure: the
/// file cannot be read or is damaged, a module's type is not known, its options or shapes do not fit, a
/// parameter is missing.
template <class... Own>
result<Network> load(const std::filesystem::path& path) {
    auto const content = read_file(path);
    if (!content) return content.diagnostics();
    auto const archive = ZipReader::open(*content);
    if (!archive)
        return general_error(
            detail::concat("cannot load ", path.string(), ": ", archive.diagnostics()[0].message));
    auto const text = archive->find("network.txt");
    if (!text)
        return general_error(detail::concat("cannot load ", path.string(),
                                            ": it has no network.txt; nn::save writes files that have"));
    auto const with_own = []<class... M>(detail::ModuleList<M...>) -> detail::ModuleList<Own..., M...> {
        return {};
    };
    using modules = decltype(with_own(detail::standard_modules{}));
    std::string const source = path.string();
    return detail::NetworkReader<modules>(*text, *archive, source).read();
}

}  // namespace amct_distill::nn

// ---- amct_distill/plan/static_select.hpp

/// From a configuration that the compiler read to a layer's quantizer types, and to whether an engine can run
/// it.
///
///     using config = static_config<R"(distill_weight_quant_config { arq_distill { dst_type: INT4 } })">;
///     weight_quantizer_for<config::value, "conv1", "Conv2d">          // Arq<Int4, ChannelWise>
///     weight_quantizer_for<config::value, "fc", "Linear">             // Arq<Int4, TensorWise>
///     activation_quantizer_for<config::value, "fc", "Linear">         // ActUlq<Int8>
///     activation_settings_for<config::value, "fc", "Linear">.clip_max_min     // the message: not set here
///     static_assert(RunsOn<config::value, supports<Arq<Int4, ChannelWise>, Arq<Int4, TensorWise>>>);
///
/// The rules and the defaults are those of resolve(): skip > override of the layer > override of the type >
/// global; an override replaces all of it. Names cannot be checked here: there is no network.

namespace amct_distill {
namespace detail {

/// An algorithm with what decides its quantizer's type.
struct Selection {
    bool quantized = true;
    std::size_t alternative = 0;
    std::size_t format = 0;  // into weight_formats, or data_formats
    friend bool operator==(const Selection&, const Selection&) = default;
};

/// `format_of(message)` is an index into the formats. No algorithm named: the first of the list.
template <class Alternatives, class FormatOf>
constexpr Selection select(const oneof<Alternatives>* source, const FormatOf& format_of) {
    if (source == nullptr || !source->has_value())
        return {true, 0, format_of(blank_value<reflect::field_type<Alternatives, 0>>())};
    return std::visit(
        [&]<class M>(const M& message) {
            if constexpr (std::is_same_v<M, std::monostate>)
                return Selection{};
            else
                return Selection{true, source->value().index() - 1, format_of(message)};
        },
        source->value());
}
template <class Alternatives>
constexpr Selection select_weights(const oneof<Alternatives>* source, std::string_view type) {
    return select(source,
                  [&](const auto& message) { return weight_format(message, has_channels_by_default(type)); });
}
template <class Alternatives>
constexpr Selection select_data(const oneof<Alternatives>* source) {
    return select(source, [](const auto& message) { return data_format(message); });
}
/// `rule` is the configuration, or one of its overrides.
template <class Rule>
constexpr auto data_algorithm(const Rule& rule) {
    return rule.distill_data_quant_config.has_value() ? &rule.distill_data_quant_config->data_quant_algo
                                                      : nullptr;
}
template <class Rule>
constexpr auto weight_algorithm(const Rule& rule) {
    return rule.distill_weight_quant_config.has_value()
               ? &rule.distill_weight_quant_config->weights_quant_algo
               : nullptr;
}

template <class Strings>
constexpr bool contains(const Strings& strings, std::string_view name) {
    for (std::string_view s : strings)
        if (s == name) return true;
    return false;
}

/// Calls `f(rule)` for what holds for a layer; false when it is skipped.
template <class Config, class F>
constexpr bool with_rule_of(const Config& config, std::string_view layer, std::string_view type, F&& f) {
    auto const of_layer = [&](const auto& o) { return *o.layer_name == layer; };
    auto const of_type = [&](const auto& o) { return *o.layer_type == type; };
    const auto& layers = config.distill_override_layers;
    const auto& types = config.distill_override_layer_types;
    auto const by_layer = std::find_if(layers.begin(), layers.end(), of_layer);
    auto const by_type = std::find_if(types.begin(), types.end(), of_type);
    switch (
        strongest({contains(config.quant_skip_layers, layer) || contains(config.quant_skip_layer_types, type),
                   by_layer != layers.end(), by_type != types.end()})) {
        case RuleLevel::skip:
            return false;
        case RuleLevel::layer:
            return f(*by_layer), true;
        case RuleLevel::type:
            return f(*by_type), true;
        case RuleLevel::global:
            break;
    }
    return f(config), true;
}

template <class Alternatives, Selection S>
struct SelectedWeights {
    using type = void;
};
template <class Alternatives, Selection S>
requires(S.quantized) struct SelectedWeights<Alternatives, S> {
    using format = typename TypeAt<weight_formats, S.format>::type;
    using type = typename reflect::field_type<Alternatives, S.alternative>::template quantizer<
        typename format::bits, typename format::granularity>;
};
template <class Alternatives, Selection S>
struct SelectedData {
    using type = void;
};
template <class Alternatives, Selection S>
requires(S.quantized) struct SelectedData<Alternatives, S> {
    using type = typename reflect::field_type<Alternatives, S.alternative>::template quantizer<
        typename TypeAt<data_formats, S.format>::type>;
};

template <class Config>
constexpr Selection weights_of(const Config& config, std::string_view layer, std::string_view type) {
    Selection s{};
    s.quantized = with_rule_of(config, layer, type,
                               [&](const auto& rule) { s = select_weights(weight_algorithm(rule), type); });
    return s;
}
template <class Config>
constexpr Selection data_of(const Config& config, std::string_view layer, std::string_view type) {
    Selection s{};
    s.quantized =
        with_rule_of(config, layer, type, [&](const auto& rule) { s = select_data(data_algorithm(rule)); });
    return s;
}

/// The message that names the activation quantizer, as the user wrote it.
template <const auto& Config, fixed_string Layer, fixed_string Type>
constexpr auto activation_message() {
    using alternatives = typename std::remove_cvref_t<decltype(Config)>::algorithms::data;
    constexpr Selection selected = data_of(Config, Layer.view(), Type.view());
    static_assert(selected.quantized,
                  "activation_settings_for: the configuration skips the layer; ask for its "
                  "activation_quantizer_for first, which is then void");
    auto message = blank_value<reflect::field_type<alternatives, selected.alternative>>();
    with_rule_of(Config, Layer.view(), Type.view(), [&](const auto& rule) {
        if (const auto* const source = data_algorithm(rule); source != nullptr && source->has_value())
            message = std::get<selected.alternative + 1>(source->value());
    });
    return message;
}

/// Whether an engine has the quantizer of a Selection.
template <class Supported, class Alternatives, class Formats, template <class, Selection> class Selected>
constexpr bool has_selected(const Selection& s) {
    constexpr std::size_t formats = size_of(Formats{});
    return [&]<std::size_t... K>(std::index_sequence<K...>) {
        return ((s == Selection{true, K / formats, K % formats} &&
                 Supported::template has<
                     typename Selected<Alternatives, Selection{true, K / formats, K % formats}>::type>) ||
                ...);
    }
    (std::make_index_sequence<reflect::field_count<Alternatives> * formats>{});
}
/// Whether it has any quantizer of a list.
template <class Supported, class... C>
constexpr bool has_any(type_list<C...>) {
    return (Supported::template has<typename C::quantizer> || ...);
}

/// Every layer that a rule may hold for, of either type.
template <class Supported, class Config>
constexpr bool runs_on(const Config& config) {
    using data = typename Config::algorithms::data;
    using weights = typename Config::algorithms::weights;
    bool ok = true;
    auto const require_supported = [&](const auto& rule, std::string_view type) {
        if (contains(config.quant_skip_layer_types, type)) return;
        if constexpr (has_any<Supported>(all_weight_choices<weights>{}))
            ok = ok && has_selected<Supported, weights, weight_formats, SelectedWeights>(
                           select_weights(weight_algorithm(rule), type));
        if constexpr (has_any<Supported>(all_activation_choices<data>{}))
            ok = ok &&
                 has_selected<Supported, data, data_formats, SelectedData>(select_data(data_algorithm(rule)));
    };
    for (std::string_view type : quantizable_types) {
        for (const auto& o : config.distill_override_layers)
            if (!contains(config.quant_skip_layers, *o.layer_name)) require_supported(o, type);
        bool overridden = false;
        for (const auto& o : config.distill_override_layer_types)
            if (*o.layer_type == type) {
                require_supported(o, type);
                overridden = true;
            }
        if (!overridden) require_supported(config, type);
    }
    return ok && (has_any<Supported>(all_weight_choices<weights>{}) ||
                  has_any<Supported>(all_activation_choices<data>{}));
}

}  // namespace detail

/// The weight quantizer of a layer; `void` when the configuration skips it. `Type` is "Conv2d" or "Linear".
template <const auto& Config, fixed_string Layer, fixed_string Type>
requires(detail::is_quantizable_type(Type.view())) using weight_quantizer_for =
    typename detail::SelectedWeights<typename std::remove_cvref_t<decltype(Config)>::algorithms::weights,
                                     detail::weights_of(Config, Layer.view(), Type.view())>::type;

/// Its activation quantizer; `void` when the configuration skips it.
template <const auto& Config, fixed_string Layer, fixed_string Type>
requires(detail::is_quantizable_type(Type.view())) using activation_quantizer_for =
    typename detail::SelectedData<typename std::remove_cvref_t<decltype(Config)>::algorithms::data,
                                  detail::data_of(Config, Layer.view(), Type.view())>::type;

/// The settings of its activations: the message of the algorithm, with the clips when the user gave them.
template <const auto& Config, fixed_string Layer, fixed_string Type>
requires(detail::is_quantizable_type(Type.view())) inline constexpr auto activation_settings_for =
    detail::activation_message<Config, Layer, Type>();

/// Whether `Engine` (a `supports<...>`) has every quantizer that the configuration can ask for, on Conv2d and
/// Linear layers of any name. An override of a layer, whose type is not known here, has to run as either. Of
/// an engine that lists weight quantizers alone, or activation quantizers alone, only those are asked for.
template <const auto& Config, class Engine>
concept RunsOn = detail::runs_on<Engine>(Config);

}  // namespace amct_distill

// ---- amct_distill/plan/check_engine.hpp

/// Whether an engine can run a plan: the run-time twin of RunsOn.
///
///     using engine = supports<Arq<Int8, ChannelWise>, ActUlq<Int8>>;
///     check_engine<engine>(plan, SourceText{"quant.cfg", text}).value();
///     // quant.cfg:3:7: error: layer `fc`: `arq_distill, INT8, tensor_wise` is not what this engine ...

namespace amct_distill {

/// Errors, all of them: layers that want a quantizer that `Engine` does not list, each at the place in the
/// configuration where its algorithm was chosen. Of an engine that lists weight quantizers alone, or
/// activation quantizers alone, only those are asked for.
template <class Engine, class Algorithms>
result<void> check_engine(const BasicDistillPlan<Algorithms>& plan, const SourceText& source = {}) {
    constexpr bool has_weights =
        detail::has_any<Engine>(detail::all_weight_choices<typename Algorithms::weights>{});
    constexpr bool has_data =
        detail::has_any<Engine>(detail::all_activation_choices<typename Algorithms::data>{});
    static_assert(
        has_weights || has_data,
        "check_engine: the engine supports none of the quantizers that the algorithm list can name; "
        "add one to supports<...>");
    detail::DiagnosticList found(source);
    for (const auto& layer : plan.layers) {
        if (!layer.quant_enable) continue;
        auto const require_supported = [&](const result<void>& visited, const Provenance& from) {
            for (const Diagnostic& error : visited.diagnostics())
                found.error(from.where, {}, detail::concat("layer `", layer.name, "`: ", error.message));
        };
        auto const nothing = [](auto, const auto&) {};
        if constexpr (has_weights)
            require_supported(visit_weight_quantizer<Engine>(layer.weights, nothing),
                              layer.weights_from.algo);
        if constexpr (has_data)
            require_supported(visit_activation_quantizer<Engine>(layer.data, nothing), layer.data_from.algo);
    }
    if (found.failed()) return found.errors();
    return {};
}

}  // namespace amct_distill

// ---- amct_distill/reflect/boxed.hpp

/// An optional message that lives on the heap: one that may contain itself, or that is large and mostly
/// absent.
///
///     struct Tree { optional<std::int64_t> value{}; boxed<Tree> left{}; boxed<Tree> right{}; };
///     tree.left.emplace().value = 3;
///     Tree copy = tree;    // copies what is in the boxes

namespace amct_distill {

template <class T>
class boxed {
public:
    using value_type = T;

    boxed() = default;
    boxed(T value) : value_(std::make_unique<T>(std::move(value))) {}
    boxed(const boxed& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
    boxed(boxed&&) noexcept = default;
    boxed& operator=(const boxed& other) { return *this = boxed(other); }
    boxed& operator=(boxed&&) noexcept = default;
    ~boxed() = default;

    bool has_value() const noexcept { return value_ != nullptr; }
    explicit operator bool() const noexcept { return has_value(); }
    /// Precondition: has_value().
    const T& operator*() const noexcept { return *value_; }
    T& operator*() noexcept { return *value_; }
    const T* operator->() const noexcept { return value_.get(); }
    T* operator->() noexcept { return value_.get(); }
    template <class... A>
    T& emplace(A&&... a) {
        value_ = std::make_unique<T>(std::forward<A>(a)...);
        return *value_;
    }
    void reset() noexcept { value_.reset(); }
    friend bool operator==(const boxed& a, const boxed& b) {
        return a.has_value() && b.has_value() ? *a == *b : a.has_value() == b.has_value();
    }

private:
    std::unique_ptr<T> value_{};
};

namespace detail {
template <class T>
inline constexpr bool is_boxed = false;
template <class T>
inline constexpr bool is_boxed<boxed<T>> = true;
}  // namespace detail

}  // namespace amct_distill

// ---- amct_distill/report/columns.hpp

/// A table of a list of aggregates: a column for a field, or for what is made of one.
///
///     detail::column_table(report.layers, width,
///                          detail::Column{{"layer", 12}, &VerifiedLayer::name},
///                          detail::Column{{"of"}, [](const VerifiedLayer& l) { return percent(l.part); }});
///
/// How a field is spelled comes from its type: whole numbers in full, others with three digits. What may be
/// shortened or left out on a narrow terminal, TableColumn says.

namespace amct_distill::detail {

template <class T>
std::string cell(const T& value) {
    if constexpr (std::same_as<T, bool>)
        return value ? "yes" : "no";
    else if constexpr (std::floating_point<T>)
        return short_number(static_cast<double>(value));
    else if constexpr (std::integral<T>)
        return number(value);
    else
        return std::string(value);
}

/// `cell` is a member, or a function of the row.
template <class F>
struct Column {
    TableColumn column{};
    F cell;

    template <class Row>
    std::string text(const Row& row) const {
        return detail::cell(std::invoke(cell, row));
    }
};
template <class F>
Column(TableColumn, F) -> Column<F>;

template <class Row, class... F>
std::string column_table(const std::vector<Row>& list, std::size_t width, const Column<F>&... columns) {
    Table table({columns.column...});
    for (const Row& row : list) table.add({columns.text(row)...});
    return table.text(width);
}

}  // namespace amct_distill::detail

// ---- amct_distill/report/progress.hpp

/// A distillation's progress on the terminal.
///
///     ProgressLine line;
///     distill(teacher, student, batches, {.epochs = 5}, {.on_progress = show_progress(line)}).value();
///     line.finish();

namespace amct_distill {

/// The line must outlive the run.
inline ProgressCallback show_progress(ProgressLine& line) {
    return [&line](const Progress& p) {
        double const done = p.epoch + static_cast<double>(p.step + 1) / static_cast<double>(p.steps);
        line.show(
            detail::concat("block ", p.block + 1, " of ", p.blocks),
            detail::concat("epoch ", p.epoch + 1, " of ", p.epochs, ", loss ", detail::short_number(p.loss)),
            done / p.epochs);
        return true;
    };
}

}  // namespace amct_distill

// ---- amct_distill/report/text.hpp

/// A distillation report as tables.
///
///     std::cout << to_table(report, terminal_width());      // without a width: at most 100 columns
///
/// Four tables: the weights, the inputs and the blocks of the network, and each block's loss per epoch. Long
/// names keep their end; what a narrow terminal has no room for is left out (core/table.hpp).

namespace amct_distill {
namespace detail {

inline std::string decibel(double x) {
    return std::isfinite(x) ? concat(number(x, std::chars_format::fixed, 1), " dB")
                            : std::string(x > 0 ? "exact" : "-");
}
inline std::string three_digits(float x) {
    return number(static_cast<double>(x), std::chars_format::general, 3);
}

inline std::string weights_table(const std::vector<LayerReport>& layers, std::size_t width) {
    Table table({{.heading = "layer", .least = 10},
                 {.heading = "weights", .least = 31, .keeps_start = true},
                 {.heading = "scale", .drop = 2},
                 {.heading = "SQNR"},
                 {.heading = "dead channels", .drop = 1}});
    for (const LayerReport& l : layers) {
        std::string scale;
        if (!l.weight_scales.empty()) {
            float low = l.weight_scales[0].scale, high = low;
            for (ScaleOffset p : l.weight_scales) {
                low = (std::min)(low, p.scale);
                high = (std::max)(high, p.scale);
            }
            scale = short_number(static_cast<double>(low));
            if (low != high) append(scale, concat(" .. ", short_number(static_cast<double>(high))));
        }
        table.add({l.name, l.weight_algorithm, std::move(scale), decibel(l.weight_sqnr),
                   concat(l.dead_channels.size(), " of ", l.channels)});
    }
    return table.text(width);
}

inline std::string data_table(const std::vector<LayerReport>& layers, std::size_t width) {
    Table table({{.heading = "layer", .least = 10},
                 {.heading = "inputs", .least = 17, .keeps_start = true},
                 {.heading = "scale", .drop = 3},
                 {.heading = "clips", .drop = 1},
                 {.heading = "by", .drop = 4},
                 {.heading = "SQNR"},
                 {.heading = "outside", .drop = 2}});
    for (const LayerReport& l : layers)
        table.add({l.name, l.data_algorithm, short_number(static_cast<double>(l.data_scale.scale)),
                   concat(three_digits(l.data_clip.min), " .. ", three_digits(l.data_clip.max)),
                   l.user_clips ? "you" : "IFMR", decibel(l.data_sqnr), percent(l.saturation)});
    return table.text(width);
}

/// "conv1", or "conv1 .. relu1".
inline std::string block_name(const BlockReport& block, std::size_t width) {
    if (block.names.empty()) return {};
    if (block.names.size() == 1) return shortened(block.names[0], width);
    std::size_t const half = (width - 4) / 2;
    return concat(shortened(block.names.front(), half), " .. ", shortened(block.names.back(), half));
}

inline std::string blocks_table(const std::vector<BlockReport>& blocks, std::size_t width) {
    Table table({{.heading = "block"},
                 {.heading = "modules", .least = 14},
                 {.heading = "error", .drop = 1},
                 {.heading = "distilled"},
                 {.heading = "best epoch", .drop = 3},
                 {.heading = "teacher's input", .drop = 4},
                 {.heading = "seconds", .drop = 2}});
    for (std::size_t b = 0; b != blocks.size(); ++b) {
        const BlockReport& r = blocks[b];
        table.add({number(b + 1), block_name(r, width < 60 ? 16 : (std::max)(std::size_t{28}, width / 4)),
                   short_number(r.loss_before), short_number(r.loss_after),
                   r.best_epoch == 0 ? "calibrated" : number(r.best_epoch),
                   r.teacher_inputs == 0 ? "never" : concat(r.teacher_inputs, " steps"),
                   number(r.seconds, std::chars_format::fixed, 2)});
    }
    std::string out = table.text(width);
    for (std::size_t b = 0; b != blocks.size(); ++b)
        if (!blocks[b].stopped.empty())
            append(out, wrapped(concat("block ", b + 1, " ended early: ", blocks[b].stopped), width));
    for (std::size_t b = 0; b != blocks.size(); ++b)
        for (const std::string& name : blocks[b].shared)
            append(out,
                   wrapped(concat("block ", b + 1, ": ", name, " is a shared module: other nodes use it too"),
                           width));
    return out;
}

/// As many epochs a line as there is room for, at most eight.
inline std::string losses_table(const std::vector<BlockReport>& blocks, std::size_t width) {
    std::size_t const per_line = std::clamp<std::size_t>(width < 19 ? 1 : (width - 7) / 10, 1, 8);
    Table table({{"block"}, {"loss per epoch"}});
    for (std::size_t b = 0; b != blocks.size(); ++b) {
        const std::vector<double>& losses = blocks[b].epoch_losses;
        for (std::size_t first = 0; first < losses.size(); first += per_line) {
            std::string line;
            for (std::size_t e = first; e < losses.size() && e < first + per_line; ++e)
                append(line, concat(e == first ? "" : "  ", short_number(losses[e])));
            table.add({first == 0 ? number(b + 1) : "", std::move(line)});
        }
    }
    return table.empty() ? std::string() : concat('\n', table.text(width));
}

}  // namespace detail

inline std::string to_table(const DistillReport& report, std::size_t width = default_text_width) {
    std::string out = detail::concat(
        detail::weights_table(report.layers, width), '\n', detail::data_table(report.layers, width), '\n',
        detail::blocks_table(report.blocks, width), detail::losses_table(report.blocks, width), '\n');
    auto const say = [&](std::string_view sentence) { out.append(wrapped(sentence, width)); };
    say(detail::concat(
        "output, mean squared error to the teacher's: ", detail::short_number(report.output_error_calibrated),
        " calibrated, ", detail::short_number(report.output_error_distilled), " distilled"));
    if (report.kept_calibrated)
        say("The outputs did not come 5 % nearer to the teacher's: the calibrated network stays.");
    if (report.resumed_blocks != 0)
        say(detail::concat("Blocks taken from an earlier run: ", report.resumed_blocks));
    if (report.cancelled) say("The distillation was cancelled; what it had reached stays.");
    return out;
}

}  // namespace amct_distill

// ---- amct_distill/report/verify_text.hpp

/// A verification as a table, and what it comes to.
///
///     std::cout << to_table(verify(deployment, student, batches).value(), terminal_width());

namespace amct_distill {

inline std::string to_table(const VerifyReport& report, std::size_t width = default_text_width) {
    using detail::Column;
    using Layer = VerifiedLayer;
    auto const new_codes = [](const Layer& l) {
        return l.requantized_channels == 0 ? std::string("none")
                                           : detail::concat(l.requantized_channels, " ch.");
    };
    return detail::concat(
        detail::column_table(report.layers, width, Column{{.heading = "layer", .least = 12}, &Layer::name},
                             Column{{.heading = "sums", .drop = 4}, &Layer::outputs},
                             Column{{"differ"}, &Layer::different}, Column{{"by"}, &Layer::largest},
                             Column{{"explained"}, &Layer::explained},
                             Column{{.heading = "codes in", .drop = 3}, &Layer::inputs},
                             Column{{.heading = "differ", .drop = 2}, &Layer::inputs_different},
                             Column{{.heading = "by", .drop = 2}, &Layer::inputs_largest},
                             Column{{.heading = "new codes", .drop = 1}, new_codes}),
        wrapped(report.agrees() ? "The integers compute what was simulated."
                                : "The integers do NOT compute what was simulated: rounding explains less.",
                width),
        wrapped(detail::concat("Of the outputs: mean squared difference ",
                               detail::short_number(report.output_error), " (of ",
                               detail::short_number(report.output_square), "), at most ",
                               detail::short_number(report.output_largest), "."),
                width));
}

}  // namespace amct_distill

// ---- amct_distill/wire/fields.hpp

/// A message's fields as protobuf's binary format knows them: numbers, wire types, codings.
///
/// The part that reader.hpp and writer.hpp share; all of it is decided by the compiler.

namespace amct_distill::detail {

enum class WireType : std::uint8_t {
    varint = 0,
    fixed64 = 1,
    length = 2,  // strings, bytes, messages, packed numbers
    start_group = 3,
    end_group = 4,
    fixed32 = 5
};

template <class M>
concept NumberedMessage = requires(const M* m) {
    field_numbers(m).size();
};

/// A field as it is written; a oneof is replaced by its alternatives.
struct BinaryField {
    std::string_view name;
    std::uint32_t number;
    std::size_t member;       // index of the member
    std::size_t alternative;  // index in the oneof
    Packing packing;
    IntegerCoding coding;
};

template <std::size_t N>
constexpr FieldNumber number_of(std::string_view name, const std::array<FieldNumber, N>& numbers) {
    for (const FieldNumber& f : numbers)
        if (f.name == name) {
            if (f.number < 1 || f.number > 0x1FFFFFFF || (f.number >= 19000 && f.number <= 19999))
                throw "field_numbers: a number is 1 to 536870911, without 19000 to 19999";
            return f;
        }
    throw "field_numbers does not name all members of the message: add the one that is missing";
}

template <class M>
constexpr auto make_binary_fields() {
    static_assert(
        NumberedMessage<M>,
        "amct_distill: a message in protobuf's binary format tells the numbers of its fields: add "
        "`constexpr std::array<FieldNumber, N> field_numbers(const Message*)` beside it (those of the "
        "configuration and the record are in config/field_numbers.hpp)");
    std::array<BinaryField, text_fields<M>.size()> all{};
    constexpr auto numbers = field_numbers(static_cast<const M*>(nullptr));
    std::size_t named = 0;
    [&]<std::size_t... K>(std::index_sequence<K...>) {
        auto const add = [&]<std::size_t J>(std::integral_constant<std::size_t, J>) {
            constexpr TextField t = text_fields<M>[J];
            using F = reflect::field_type<M, t.member>;
            FieldNumber f{};
            if constexpr (is_oneof<F>) {
                using A = typename F::alternatives;
                static_assert(NumberedMessage<A>,
                              "amct_distill: the alternatives of a oneof tell their "
                              "numbers: add field_numbers(const Alternatives*)");
                f = number_of(t.name, field_numbers(static_cast<const A*>(nullptr)));
            } else {
                f = number_of(t.name, numbers);
                ++named;
            }
            all[J] = {t.name, f.number, t.member, t.alternative, f.packing, f.coding};
        };
        (add(std::integral_constant<std::size_t, K>{}), ...);
    }
    (std::make_index_sequence<text_fields<M>.size()>{});
    if (named != numbers.size()) throw "field_numbers names a field that the message does not have";
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
    for (std::size_t i = 1; i < all.size(); ++i)
        if (all[i].number == all[i - 1].number) throw "field_numbers gives two fields the same number";
    return all;
}

/// In order of their numbers, which is the order in which they are written.
template <class M>
inline constexpr auto binary_fields = make_binary_fields<M>();

template <class T>
concept StringLike = std::convertible_to<const T&, std::string_view>;

template <class T>
consteval WireType wire_type_of(IntegerCoding coding) {
    if constexpr (MessageType<T> || StringLike<T>)
        return WireType::length;
    else if constexpr (std::floating_point<T>)
        return sizeof(T) == 4 ? WireType::fixed32 : WireType::fixed64;
    else if constexpr (std::is_enum_v<T> || std::same_as<T, bool>)
        return WireType::varint;
    else {
        static_assert(
            std::integral<T> && (sizeof(T) == 4 || sizeof(T) == 8),
            "amct_distill: protobuf's binary format has bool, 32- and 64-bit integers, float, double, "
            "enums, strings, bytes and messages");
        return coding != IntegerCoding::fixed ? WireType::varint
               : sizeof(T) == 4               ? WireType::fixed32
                                              : WireType::fixed64;
    }
}

}  // namespace amct_distill::detail

// ---- amct_distill/wire/cursor.hpp

/// Where a reader of protobuf's wire format is in its bytes: numbers, tags and lengths, the bound of the
/// heap, and the path of fields for diagnostics.
///
///     detail::WireCursor cursor(bytes, {.source = "quant.pb"});
///     std::uint32_t tag = 0;
///     if (!cursor.read_tag(tag)) return cursor.take_diagnostics();     // "at byte 0: ..."

namespace amct_distill {

struct BinaryOptions {
    std::string_view source = {};     ///< name of the file, for diagnostics
    std::size_t max_depth = 100;      ///< of nested messages, as in protobuf
    std::size_t max_expansion = 128;  ///< bytes of heap per byte read
};

namespace detail {

class WireCursor {
public:
    WireCursor(std::string_view bytes, const BinaryOptions& options)
        : at_(bytes.data()), end_(at_ + bytes.size()), begin_(at_), options_(options) {
        std::uint64_t const most = (std::uint64_t{1} << 62) / (options.max_expansion + 1);
        heap_left_ = (std::min)(std::uint64_t{bytes.size()}, most) * options.max_expansion + (1 << 16);
    }

    Diagnostics take_diagnostics() { return std::move(diagnostics_); }

protected:
    static constexpr std::size_t no_index = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_diagnostics = 100;
    /// The fields that lead to where the reader is: a list through the stack.
    struct Step {
        std::string_view name;
        std::size_t index;
        const Step* outer;
    };
    // ---- bytes

    bool read_varint(std::uint64_t& v) {
        const char* const where = at_;
        v = 0;
        for (unsigned shift = 0; at_ != end_; shift += 7) {
            if (shift == 70) return stop(where, "a number of more than 10 bytes");
            auto const byte = static_cast<unsigned char>(*at_++);
            v |= std::uint64_t{byte & 0x7Fu} << shift;  // what the tenth has above 64 bits is dropped
            if (byte < 0x80) return true;
        }
        return stop(where, "the bytes end within a number");
    }
    bool read_tag(std::uint32_t& tag) {
        const char* const where = at_;
        std::uint64_t v = 0;
        if (!read_varint(v)) return false;
        if (at_ - where > 5) return stop(where, "a field's tag of more than 5 bytes");
        tag = static_cast<std::uint32_t>(v);
        if (tag >> 3 == 0) return stop(where, "expected a field; a field's number is never 0");
        return true;
    }
    /// A length that the bytes hold.
    bool read_length(std::size_t& length) {
        const char* const where = at_;
        std::uint64_t v = 0;
        if (!read_varint(v)) return false;
        if (at_ - where > 5) return stop(where, "a length of more than 5 bytes");
        auto const left = static_cast<std::uint64_t>(end_ - at_);
        if (v > left)
            return stop(where, concat("the length is ", v, ", but the bytes left are ", left,
                                      depth_ == 0 ? ": is the file whole?" : " in the message around it"));
        length = static_cast<std::size_t>(v);
        return true;
    }
    bool skip(WireType type, const char* where) {
        std::size_t length = 0;
        std::uint64_t ignored = 0;
        switch (type) {
            case WireType::varint:
                return read_varint(ignored);
            case WireType::length:
                if (!read_length(length)) return false;
                break;
            case WireType::fixed32:
                length = 4;
                break;
            case WireType::fixed64:
                length = 8;
                break;
            case WireType::start_group:
            case WireType::end_group:
                return stop(where, "groups (wire types 3 and 4) are not supported");
            default:
                return stop(where, concat("wire type ", static_cast<unsigned>(type), " does not exist"));
        }
        if (static_cast<std::size_t>(end_ - at_) < length)
            return stop(where,
                        concat("a value takes ", length, " bytes, but the bytes left are ", end_ - at_));
        at_ += length;
        return true;
    }

    /// Precondition: the bytes are there.
    template <class T>
    T take_fixed() {
        using U = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
        U u = 0;
        for (std::size_t i = 0; i != sizeof(T); ++i)
            u |= static_cast<U>(static_cast<U>(static_cast<unsigned char>(at_[i])) << (8 * i));
        at_ += sizeof(T);
        return std::bit_cast<T>(u);
    }

    std::size_t count_packed(const char* value, WireType each) const {
        std::size_t length = 0;
        WireCursor run(*this, Silent{});
        run.at_ = value;
        if (!run.read_length(length)) return 0;
        if (each != WireType::varint) return length / (each == WireType::fixed32 ? 4 : 8);
        return static_cast<std::size_t>(std::count_if(
            run.at_, run.at_ + length, [](char c) { return (static_cast<unsigned char>(c) & 0x80) == 0; }));
    }

    /// Takes from the bound of the heap.
    bool charge(std::uint64_t bytes, const char* where) {
        if (bytes <= heap_left_) {
            heap_left_ -= bytes;
            return true;
        }
        return stop(where, concat("the message would take more memory than ", options_.max_expansion,
                                  " times its bytes: the file is damaged, or made to exhaust memory"));
    }

    // ---- diagnostics

    std::string path_text() const {
        std::string out;
        for (const Step* s = path_; s != nullptr; s = s->outer) {
            std::string part(s->name);
            if (s->index != no_index) part += concat('[', s->index, ']');
            out = out.empty() ? std::move(part) : concat(part, '.', out);
        }
        return out;
    }
    [[gnu::cold, gnu::noinline]] void report(Severity severity, std::string message) {
        if (severity == Severity::error) ok_ = false;
        if (silent_ || diagnostics_.size() == max_diagnostics) return;
        Diagnostic d;
        d.severity = severity;
        d.source = std::string(options_.source);
        d.path = path_text();
        d.message = std::move(message);
        std::size_t const size = d.source.size() + d.path.size() + d.message.size() + 3 * sizeof d;
        if (severity == Severity::warning) {  // they are part of what the bytes may take
            if (size > heap_left_) return;
            heap_left_ -= size;
        }
        diagnostics_.push_back(std::move(d));
    }
    [[gnu::cold, gnu::noinline]] bool stop(const char* where, std::string_view message) {
        if (!silent_) report(Severity::error, concat("at byte ", where - begin_, ": ", message));
        return false;
    }
    [[gnu::cold, gnu::noinline]] void warn(const char* where, std::string_view message) {
        report(Severity::warning, concat("at byte ", where - begin_, ": ", message));
    }

    struct Silent {};
    /// From the same place to the same end, without a word and without memory.
    WireCursor(const WireCursor& from, Silent)
        : at_(from.at_), end_(from.end_), begin_(from.begin_), options_(from.options_), silent_(true) {}

    const char* at_;
    const char* end_;  // of the message that is being read
    const char* begin_;
    BinaryOptions options_;
    std::uint64_t heap_left_ = 0;
    std::size_t depth_ = 0;
    const Step* path_ = nullptr;
    bool meets_required_ = false;
    bool silent_ = false;
    bool ok_ = true;
    Diagnostics diagnostics_{};
};

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/wire/reader.hpp

/// Protobuf's binary wire format into any aggregate message.
///
///     result<AMCTDistillConfig> config = read_binary<AMCTDistillConfig>(bytes, {.source = "quant.pb"});
///     if (!config) std::cerr << to_string(config.diagnostics());
///
/// As protobuf reads it: packed and unpacked numbers, unknown fields passed over, the last value of a
/// singular field wins, embedded messages merge. Members of type string_view are views into `bytes`: nothing
/// is copied, and the bytes must outlive the message. Groups are refused. Time is linear in the bytes, and so
/// is memory: what the message takes on the heap is at most `max_expansion` times the bytes, plus 64 KiB;
/// bytes that want more (two of them can spell an empty message of hundreds) are refused before it is
/// allocated.

namespace amct_distill {

namespace detail {

class WireReader : WireCursor {
public:
    using WireCursor::take_diagnostics, WireCursor::WireCursor;

    /// Reads all bytes into `message`; whether it is free of errors.
    template <class M>
    bool read(M& message) {
        note_required<M>();
        if (!fields_of(message)) return false;
        if (meets_required_) check_required(message);
        return ok_;
    }

private:
    /// A look ahead.
    struct Ahead : WireCursor {
        explicit Ahead(const WireCursor& from) : WireCursor(from, Silent{}) {}
        using WireCursor::at_, WireCursor::end_, WireCursor::read_tag, WireCursor::skip,
            WireCursor::count_packed;
    };
    enum class Outcome { done, not_mine, stopped };

    // ---- messages

    template <class M>
    bool fields_of(M& m) {
        constexpr auto& fields = binary_fields<M>;
        if (!reserve_lists(m, std::make_index_sequence<fields.size()>{})) return false;
        while (at_ != end_) {
            const char* const where = at_;
            std::uint32_t tag = 0;
            if (!read_tag(tag)) return false;
            std::size_t const k = index_of<M>(tag >> 3);
            Outcome outcome = Outcome::not_mine;
            if (k != fields.size())
                outcome = dispatch(m, k, where, static_cast<WireType>(tag & 7),
                                   std::make_index_sequence<fields.size()>{});
            if (outcome == Outcome::stopped) return false;
            if (outcome == Outcome::not_mine && !skip(static_cast<WireType>(tag & 7), where)) return false;
        }
        return true;
    }
    template <class M>
    static std::size_t index_of(std::uint32_t number) {
        constexpr auto& fields = binary_fields<M>;
        std::size_t k = 0;
        while (k != fields.size() && fields[k].number != number) ++k;
        return k;
    }
    template <class M, std::size_t... K>
    Outcome dispatch(M& m, std::size_t k, const char* where, WireType type, std::index_sequence<K...>) {
        using Handler = Outcome (WireReader::*)(M&, const char*, WireType);
        static constexpr std::array<Handler, sizeof...(K)> handlers{&WireReader::template field<M, K>...};
        return (this->*handlers[k])(m, where, type);
    }
    template <class M, std::size_t K>
    Outcome field(M& m, const char* where, WireType type) {
        constexpr BinaryField entry = binary_fields<M>[K];
        using F = reflect::field_type<M, entry.member>;
        auto& f = reflect::get<entry.member>(m);
        Step const here{entry.name, no_index, path_};
        path_ = &here;
        Outcome out{};
        if constexpr (ListField<F>) {
            out = elements<entry.coding>(f, type, here, where);
        } else if constexpr (is_oneof<F>) {
            using T = reflect::field_type<typename F::alternatives, entry.alternative>;
            constexpr std::size_t index = entry.alternative + 1;
            if constexpr (MessageType<T>) {
                out = type != WireType::length ? Outcome::not_mine
                      : f.value().index() == index
                          ? embedded(std::get<index>(f.value()), where)
                          : embedded(f.template emplace<entry.alternative>(blank_value<T>()), where);
            } else {
                T value{};
                out = scalar<entry.coding>(value, type, where);
                if (out == Outcome::done) f.template emplace<entry.alternative>(std::move(value));
            }
        } else if constexpr (MessageType<typename F::value_type>) {
            using T = typename F::value_type;
            if (type != WireType::length) {
                out = Outcome::not_mine;
            } else if constexpr (is_required<F>) {
                f.set_position({});
                out = embedded(*f, where);
            } else {
                if (!f.has_value()) {
                    if (is_boxed<F> && !charge(sizeof(T), where)) return Outcome::stopped;
                    f.emplace(blank_value<T>());
                }
                out = embedded(*f, where);
            }
        } else {
            typename F::value_type value{};
            out = scalar<entry.coding>(value, type, where);
            if (out == Outcome::done) f = F(std::move(value));
        }
        path_ = here.outer;
        return out;
    }
    template <class T>
    Outcome embedded(T& message, const char* where) {
        std::size_t length = 0;
        if (!read_length(length)) return Outcome::stopped;
        if (depth_ == options_.max_depth) {
            stop(where, concat("nested more than ", options_.max_depth, " messages deep"));
            return Outcome::stopped;
        }
        note_required<T>();
        const char* const outer_end = std::exchange(end_, at_ + length);
        ++depth_;
        bool const ok = fields_of(message);
        --depth_;
        end_ = outer_end;
        return ok ? Outcome::done : Outcome::stopped;
    }

    // ---- lists

    template <IntegerCoding Coding, class L>
    Outcome elements(L& list, WireType type, const Step& here, const char* where) {
        using T = typename L::value_type;
        if constexpr (MessageType<T>) {
            if (type != WireType::length) return Outcome::not_mine;
            Step const indexed{here.name, list.size(), here.outer};
            path_ = &indexed;
            list.push_back(blank_value<T>());
            return embedded(list.back(), where);
        } else if constexpr (StringLike<T>) {
            T value{};
            Outcome const out = scalar<Coding>(value, type, where);
            if (out == Outcome::done) list.push_back(std::move(value));
            return out;
        } else {
            if (type == WireType::length) return packed<Coding>(list);
            T value{};
            Outcome const out = scalar<Coding>(value, type, where);
            if (out == Outcome::done) list.push_back(value);
            return out;
        }
    }
    template <IntegerCoding Coding, class L>
    Outcome packed(L& list) {
        using T = typename L::value_type;
        constexpr WireType each = wire_type_of<T>(Coding);
        std::size_t length = 0;
        const char* const where = at_;
        if (!read_length(length)) return Outcome::stopped;
        const char* const run_end = at_ + length;
        if constexpr (each != WireType::varint) {
            if (length % sizeof(T) != 0) {
                stop(where, concat("a packed run of ", length, " bytes holds no whole number of values of ",
                                   sizeof(T)));
                return Outcome::stopped;
            }
            if (length == 0) return Outcome::done;  // memcpy wants pointers also for nothing
            std::size_t const old = list.size(), n = length / sizeof(T);
            list.resize(old + n);
            if constexpr (std::endian::native == std::endian::little) {
                std::memcpy(list.data() + old, at_, length);
                at_ = run_end;
            } else {
                for (std::size_t i = 0; i != n; ++i) list[old + i] = take_fixed<T>();
            }
        } else {
            const char* const outer_end = std::exchange(end_, run_end);
            while (at_ != run_end) {
                const char* const element = at_;
                T value{};
                Outcome const out = scalar<Coding>(value, each, element);
                if (out == Outcome::stopped) return out;
                if (out == Outcome::done) list.push_back(value);
                if (out == Outcome::not_mine && !skip(each, element)) return Outcome::stopped;
            }
            end_ = outer_end;
        }
        return Outcome::done;
    }

    /// Counts the elements that this message's bytes bring to each list, and makes room for them at once: so
    /// lists are allocated once, and a count that the heap's bound does not allow is refused before. Bytes
    /// that are malformed end the count; reading then says what is wrong.
    template <class M, std::size_t... K>
    bool reserve_lists(M& m, std::index_sequence<K...>) {
        if constexpr ((ListField<reflect::field_type<M, binary_fields<M>[K].member>> || ...)) {
            constexpr auto& fields = binary_fields<M>;
            std::array<std::size_t, sizeof...(K)> counts{};
            constexpr std::array<WireType, sizeof...(K)> packed_types{packed_type<M, K>()...};
            Ahead ahead(*this);
            while (ahead.at_ != ahead.end_) {
                std::uint32_t tag = 0;
                if (!ahead.read_tag(tag)) break;
                std::size_t const k = index_of<M>(tag >> 3);
                auto const type = static_cast<WireType>(tag & 7);
                const char* const value = ahead.at_;
                if (!ahead.skip(type, value)) break;
                if (k == fields.size()) continue;
                if (type == WireType::length && packed_types[k] != WireType::length)
                    counts[k] += ahead.count_packed(value, packed_types[k]);
                else
                    ++counts[k];
            }
            return (reserve<M, K>(m, counts[K]) && ...);
        } else {
            return true;
        }
    }
    /// The wire type of the numbers of a list; `length` for all else.
    template <class M, std::size_t K>
    static consteval WireType packed_type() {
        constexpr BinaryField entry = binary_fields<M>[K];
        using F = reflect::field_type<M, entry.member>;
        if constexpr (ListField<F>)
            return wire_type_of<typename F::value_type>(entry.coding);
        else
            return WireType::length;
    }
    template <class M, std::size_t K>
    bool reserve(M& m, std::size_t count) {
        constexpr BinaryField entry = binary_fields<M>[K];
        using F = reflect::field_type<M, entry.member>;
        if constexpr (ListField<F>) {
            using T = typename F::value_type;
            auto& list = reflect::get<entry.member>(m);
            if (count <= list.capacity() - list.size()) return true;
            // Lists of messages that merge grow geometrically, or merging would be quadratic.
            std::size_t const room = (std::max)(list.size() + count, 2 * list.capacity());
            Step const here{entry.name, no_index, path_};
            path_ = &here;
            bool const ok = charge(std::uint64_t{room} * sizeof(T) + 16, at_);
            path_ = here.outer;
            if (ok) list.reserve(room);
            return ok;
        } else {
            return true;
        }
    }
    // ---- scalars

    /// `not_mine`: the bytes are not of this type, or an enumerator that the schema does not have, and stay.
    template <IntegerCoding Coding, class T>
    Outcome scalar(T& v, WireType type, const char* where) {
        if (type != wire_type_of<T>(Coding)) return Outcome::not_mine;
        if constexpr (StringLike<T>) {
            std::size_t length = 0;
            if (!read_length(length)) return Outcome::stopped;
            if constexpr (!std::same_as<T, std::string_view>)
                if (!charge(length + 1, where)) return Outcome::stopped;
            v = T(std::string_view(at_, length));
            at_ += length;
        } else if constexpr (wire_type_of<T>(Coding) == WireType::varint) {
            const char* const start = at_;
            std::uint64_t n = 0;
            if (!read_varint(n)) return Outcome::stopped;
            if constexpr (std::is_enum_v<T>) {
                auto const number = static_cast<std::int32_t>(static_cast<std::uint32_t>(n));
                bool known = false;
                for (auto const& [name, value] : enumerators(T{}))
                    if (static_cast<std::int64_t>(value) == number) v = value, known = true;
                if (!known) {
                    at_ = start;
                    warn(where, concat("unknown enumerator ", number, "; the field counts as not set"));
                    return Outcome::not_mine;
                }
            } else if constexpr (std::same_as<T, bool>) {
                v = n != 0;
            } else {
                using U = std::make_unsigned_t<T>;
                auto const u = static_cast<U>(n);
                if constexpr (Coding == IntegerCoding::zigzag)
                    v = static_cast<T>((u >> 1) ^ (U{0} - (u & 1)));
                else
                    v = static_cast<T>(u);
            }
        } else {
            if (static_cast<std::size_t>(end_ - at_) < sizeof(T)) {
                stop(where,
                     concat("a value takes ", sizeof(T), " bytes, but the bytes left are ", end_ - at_));
                return Outcome::stopped;
            }
            v = take_fixed<T>();
        }
        return Outcome::done;
    }
    // ---- required fields: asked for after the reading, since messages merge

    template <class M>
    void note_required() {
        meets_required_ = meets_required_ || []<std::size_t... I>(std::index_sequence<I...>) {
            return (is_required<reflect::field_type<M, I>> || ...);
        }
        (std::make_index_sequence<reflect::field_count<M>>{});
    }
    template <class M>
    void check_required(const M& m) {
        [&]<std::size_t... I>(std::index_sequence<I...>) { (check_member<M, I>(reflect::get<I>(m)), ...); }
        (std::make_index_sequence<reflect::field_count<M>>{});
    }
    template <class M, std::size_t I, class F>
    void check_member(const F& f) {
        Step here{reflect::field_name<M, I>(), no_index, path_};
        path_ = &here;
        if constexpr (is_oneof<F>) {
            here.name = f.name();
            std::visit(
                [&]<class T>(const T& alternative) {
                    if constexpr (MessageType<T> && !std::is_same_v<T, std::monostate>)
                        check_required(alternative);
                },
                f.value());
        } else if constexpr (ListField<F>) {
            if constexpr (MessageType<typename F::value_type>) {
                for (here.index = 0; here.index != f.size(); ++here.index) check_required(f[here.index]);
            }
        } else if constexpr (!std::is_same_v<F, UnknownFields>) {
            if constexpr (is_required<F>)
                if (!f.is_set()) report(Severity::error, "this field is required, and missing");
            if constexpr (MessageType<typename F::value_type>) {
                if constexpr (is_required<F>)
                    check_required(*f);
                else if (f.has_value())
                    check_required(*f);
            }
        }
        path_ = here.outer;
    }
};

}  // namespace detail

/// Reads a message. Warnings ride on the value; without a value, the first error ends the reading, or all
/// required fields that are missing are told.
template <class M>
result<M> read_binary(std::string_view bytes, const BinaryOptions& options = {}) {
    M message = detail::blank_message<M>();
    detail::WireReader reader(bytes, options);
    bool const ok = reader.read(message);
    if (!ok) return reader.take_diagnostics();
    return {std::move(message), reader.take_diagnostics()};
}

}  // namespace amct_distill

// ---- amct_distill/wire/writer.hpp

/// Any aggregate message in protobuf's binary wire format.
///
///     std::string bytes = write_binary(config);
///     read_binary<AMCTDistillConfig>(bytes).value() == config
///     binary_size(config) == bytes.size()
///
/// The bytes that protobuf writes: fields in order of their numbers, packed where the schema says so.
/// protobuf reads messages below 2 GiB only; ask binary_size() where a message may be larger.

namespace amct_distill {
namespace detail {

constexpr std::size_t varint_size(std::uint64_t v) {
    return v == 0 ? 1 : (static_cast<std::size_t>(std::bit_width(v)) + 6) / 7;
}

/// What a scalar is as a varint.
template <IntegerCoding Coding, class T>
constexpr std::uint64_t to_varint(T v) {
    if constexpr (std::is_enum_v<T>) {
        return to_varint<IntegerCoding::varint>(static_cast<std::int32_t>(v));
    } else if constexpr (std::is_same_v<T, bool>) {
        return v ? 1 : 0;
    } else if constexpr (Coding == IntegerCoding::zigzag) {
        using U = std::make_unsigned_t<T>;
        return static_cast<U>((static_cast<U>(v) << 1) ^ (v < 0 ? ~U{0} : U{0}));
    } else if constexpr (std::is_signed_v<T>) {
        return static_cast<std::uint64_t>(static_cast<std::int64_t>(v));
    } else {
        return v;
    }
}

/// Goes through a message twice: first for sizes, then for bytes. What the first learns of messages and
/// packed runs is kept in the order in which the second asks for it.
class WireWriter {
public:
    template <class M>
    std::size_t size_of(const M& m) {
        return [&]<std::size_t... K>(std::index_sequence<K...>) {
            return (std::size_t{0} + ... + field_size<M, K>(m));
        }
        (std::make_index_sequence<binary_fields<M>.size()>{});
    }
    /// Appends the message that size_of() has measured before.
    template <class M>
    void write(const M& m, std::string& out) {
        [&]<std::size_t... K>(std::index_sequence<K...>) { (write_field<M, K>(m, out), ...); }
        (std::make_index_sequence<binary_fields<M>.size()>{});
    }

private:
    template <class M, std::size_t K>
    static constexpr std::uint32_t tag(WireType type) {
        return binary_fields<M>[K].number << 3 | static_cast<std::uint32_t>(type);
    }
    template <class M, std::size_t K>
    using field_of = reflect::field_type<M, binary_fields<M>[K].member>;
    template <class M, std::size_t K>
    static consteval bool is_packed() {
        if constexpr (ListField<field_of<M, K>>) {
            using T = typename field_of<M, K>::value_type;
            if (MessageType<T> || StringLike<T>) return false;
            return binary_fields<M>[K].packing == Packing::packed;
        } else {
            return false;
        }
    }
    /// Calls `f` with every value of the field.
    template <class M, std::size_t K, class F>
    static void each_value(const M& m, F&& f) {
        constexpr BinaryField entry = binary_fields<M>[K];
        using Field = field_of<M, K>;
        const Field& field = reflect::get<entry.member>(m);
        if constexpr (ListField<Field>) {
            using T = typename Field::value_type;
            for (const T& value : field) f(value);
        } else if constexpr (is_oneof<Field>) {
            if (field.value().index() == entry.alternative + 1)
                f(*std::get_if<entry.alternative + 1>(&field.value()));
        } else if constexpr (is_required<Field>) {
            f(*field);
        } else {
            static_assert(is_optional<Field> || is_boxed<Field>,
                          "a member of a message is required<T>, optional<T>, boxed<T>, oneof<T> or a list");
            if (field.has_value()) f(*field);
        }
    }

    template <class M, std::size_t K>
    std::size_t field_size(const M& m) {
        constexpr IntegerCoding coding = binary_fields<M>[K].coding;
        constexpr std::size_t tag_size = varint_size(tag<M, K>(WireType::varint));
        std::size_t size = 0;
        if constexpr (is_packed<M, K>()) {
            each_value<M, K>(m, [&](const auto& v) { size += value_size<coding>(v); });
            if (size == 0) return 0;  // no elements: each takes at least a byte
            sizes_.push_back(size);
            return tag_size + varint_size(size) + size;
        } else {
            each_value<M, K>(m, [&](const auto& v) { size += tag_size + value_size<coding>(v); });
            return size;
        }
    }
    template <IntegerCoding Coding, class T>
    std::size_t value_size(const T& v) {
        if constexpr (MessageType<T>) {
            std::size_t const slot = sizes_.size();
            sizes_.push_back(0);
            std::size_t const size = size_of(v);
            sizes_[slot] = size;
            return varint_size(size) + size;
        } else if constexpr (StringLike<T>) {
            std::string_view const s = v;
            return varint_size(s.size()) + s.size();
        } else if constexpr (wire_type_of<T>(Coding) == WireType::varint) {
            return varint_size(to_varint<Coding>(v));
        } else {
            return sizeof(T);
        }
    }

    template <class M, std::size_t K>
    void write_field(const M& m, std::string& out) {
        constexpr BinaryField entry = binary_fields<M>[K];
        if constexpr (is_packed<M, K>()) {
            if (reflect::get<entry.member>(m).empty()) return;
            write_varint(tag<M, K>(WireType::length), out);
            write_varint(sizes_[next_++], out);
            each_value<M, K>(m, [&](const auto& v) { write_value<entry.coding>(v, out); });
        } else {
            each_value<M, K>(m, [&]<class T>(const T& v) {
                write_varint(tag<M, K>(wire_type_of<T>(entry.coding)), out);
                write_value<entry.coding>(v, out);
            });
        }
    }
    template <IntegerCoding Coding, class T>
    void write_value(const T& v, std::string& out) {
        if constexpr (MessageType<T>) {
            write_varint(sizes_[next_++], out);
            write(v, out);
        } else if constexpr (StringLike<T>) {
            std::string_view const s = v;
            write_varint(s.size(), out);
            out.append(s);
        } else if constexpr (wire_type_of<T>(Coding) == WireType::varint) {
            write_varint(to_varint<Coding>(v), out);
        } else {
            using U = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
            auto const u = std::bit_cast<U>(v);
            char bytes[sizeof(T)];
            for (std::size_t i = 0; i != sizeof(T); ++i) bytes[i] = static_cast<char>(u >> (8 * i) & 0xFF);
            out.append(bytes, sizeof(T));
        }
    }
    static void write_varint(std::uint64_t v, std::string& out) {
        for (; v >= 0x80; v >>= 7) out.push_back(static_cast<char>((v & 0x7F) | 0x80));
        out.push_back(static_cast<char>(v));
    }

    std::vector<std::size_t> sizes_{};
    std::size_t next_ = 0;
};

}  // namespace detail

/// How many bytes write_binary() gives.
template <class M>
requires detail::MessageType<M> std::size_t binary_size(const M& message) {
    return detail::WireWriter().size_of(message);
}

template <class M>
requires detail::MessageType<M> std::string write_binary(const M& message) {
    detail::WireWriter writer;
    std::string out;
    out.reserve(writer.size_of(message));
    writer.write(message, out);
    return out;
}

}  // namespace amct_distill

#endif  // AMCT_DISTILL_WHOLE
