// SPDX-License-Identifier: Apache-2.0
/// amct_distill's quantizers in one file: ARQ, ULQ and IFMR at INT4 and INT8. Needs C++20 and Eigen.
// Made from include/ by cmake/single_header.cmake: change the headers there.
#pragma once

#ifdef AMCT_DISTILL_IMPLEMENTATION
#undef AMCT_DISTILL_COMPILED
#endif
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
#if !defined(AMCT_DISTILL_COMPILED) || defined(AMCT_DISTILL_DEFINITIONS)
#include <cstdlib>
#endif  // definitions

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

// ---- amct_distill/policy/initial_range.hpp

/// How the first scale of a weight is found.
///
///     adaround_distill { initial_range: MSE }

namespace amct_distill {

/// MAX: of the largest magnitude, as ARQ has it. MSE: of the shrunk range whose codes have the least squared
/// error.
enum class InitialRange { MAX = 0, MSE = 1 };

constexpr std::array<std::pair<std::string_view, InitialRange>, 2> enumerators(InitialRange) {
    return {{{"MAX", InitialRange::MAX}, {"MSE", InitialRange::MSE}}};
}

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
/// Their definitions are in quant/arq.hpp, quant/ulq.hpp, quant/adaround.hpp, quant/act_ulq.hpp and
/// quant/ifmr.hpp.

namespace amct_distill {

template <BitWidth B, Granularity G, Symmetry S = Symmetric>
class Arq;
template <BitWidth B, Granularity G>
class Ulq;
template <BitWidth B, Granularity G>
class AdaRound;
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

}  // namespace detail

/// The diagnostic for byte `offset` of `text`: finds line and column, copies the line.
Diagnostic diagnostic_at(Severity severity, std::string_view source, std::string_view text,
                         std::size_t offset, std::string path, std::string message);

/// A diagnostic that is not about a place in a text.
// Not inlined: an error path is cold, and inlining it draws false -Wstringop-overflow from g++ 12.
[[gnu::cold]] Diagnostic general_error(std::string message);
[[gnu::cold]] Diagnostic general_warning(std::string message);

/// `source:line:column: error: path: message`, then the line, indented by two, and a caret. No newline at
/// the end.
std::string to_string(const Diagnostic& d);

}  // namespace amct_distill

#if !defined(AMCT_DISTILL_COMPILED) || defined(AMCT_DISTILL_DEFINITIONS)

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

// ---- amct_distill/core/inline.hpp

/// How a function that is not a template is defined in an -inl header: once in the compiled library, else in
/// every file that uses it.
///
///     AMCT_DISTILL_INLINE result<void> write(const Deployment& deployment, ...) { ... }

#ifdef AMCT_DISTILL_IMPLEMENTATION
#define AMCT_DISTILL_INLINE
#else
#define AMCT_DISTILL_INLINE inline
#endif
/// Of onnx/, which is a library of its own: amct_distill::compiled_onnx.
#ifdef AMCT_DISTILL_IMPLEMENTATION_ONNX
#define AMCT_DISTILL_ONNX_INLINE
#else
#define AMCT_DISTILL_ONNX_INLINE inline
#endif

// ---- amct_distill/core/diagnostic-inl.hpp

/// The definitions of diagnostic.hpp.

namespace amct_distill {
namespace detail {

/// Fills in the excerpt of a diagnostic whose position is set.
AMCT_DISTILL_INLINE void quote_line(Diagnostic& d, std::string_view text, std::size_t offset) {
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

AMCT_DISTILL_INLINE Diagnostic diagnostic_at(Severity severity, std::string_view source,
                                             std::string_view text, std::size_t offset, std::string path,
                                             std::string message) {
    offset = (std::min)(offset, text.size());
    Diagnostic d{severity, std::string(source), detail::position_of(text, offset), std::move(path),
                 std::move(message)};
    detail::quote_line(d, text, offset);
    return d;
}

// Not inlined: an error path is cold, and inlining it draws false -Wstringop-overflow from g++ 12.
[[gnu::cold, gnu::noinline]] AMCT_DISTILL_INLINE Diagnostic general_error(std::string message) {
    Diagnostic d;
    d.message = std::move(message);
    return d;
}
[[gnu::cold, gnu::noinline]] AMCT_DISTILL_INLINE Diagnostic general_warning(std::string message) {
    Diagnostic d = general_error(std::move(message));
    d.severity = Severity::warning;
    return d;
}

AMCT_DISTILL_INLINE std::string to_string(const Diagnostic& d) {
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

#endif  // definitions

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
std::string to_string(std::span<const Diagnostic> all);

/// What `result::value()` throws; `what()` is the text of all diagnostics.
class ConfigError : public std::exception {
public:
    explicit ConfigError(Diagnostics diagnostics);
    const char* what() const noexcept override { return text_.c_str(); }
    const Diagnostics& diagnostics() const noexcept { return diagnostics_; }

private:
    Diagnostics diagnostics_;
    std::string text_;
};

namespace detail {
[[noreturn]] void raise(const Diagnostics& diagnostics);
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

#if !defined(AMCT_DISTILL_COMPILED) || defined(AMCT_DISTILL_DEFINITIONS)

// ---- amct_distill/core/result-inl.hpp

/// The definitions of result.hpp.

namespace amct_distill {

AMCT_DISTILL_INLINE std::string to_string(std::span<const Diagnostic> all) {
    std::string out;
    for (const Diagnostic& d : all) {
        if (!out.empty()) out += '\n';
        out += to_string(d);
    }
    return out;
}

AMCT_DISTILL_INLINE ConfigError::ConfigError(Diagnostics diagnostics)
    : diagnostics_(std::move(diagnostics)), text_(to_string(diagnostics_)) {}

namespace detail {
[[noreturn]] AMCT_DISTILL_INLINE void raise(const Diagnostics& diagnostics) {
#if defined(__cpp_exceptions)
    throw ConfigError(diagnostics);
#else
    std::fprintf(stderr, "%s\n", to_string(diagnostics).c_str());
    std::abort();  // -fno-exceptions: ask has_value() first
#endif
}
}  // namespace detail

}  // namespace amct_distill

#endif  // definitions

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
///
/// All of a program compiled with AMCT_DISTILL_NO_DISPATCH has each loop once, for `vectors`: it is smaller
/// and compiles sooner, is slower where the machine has more, and gives the same bits.
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
#if (defined(__x86_64__) || defined(__i386__)) && !defined(AMCT_DISTILL_NO_DISPATCH)
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
[[gnu::noinline]] auto run_scalar(Kernel kernel) -> decltype(kernel.template run<4>()) {
    return kernel.template run<4>();
}
#if defined(__GNUC__)
template <class Kernel>
[[gnu::noinline]] auto run_vectors(Kernel kernel) -> decltype(kernel.template run<16>()) {
    return kernel.template run<16>();
}
#if (defined(__x86_64__) || defined(__i386__)) && !defined(AMCT_DISTILL_NO_DISPATCH)
template <class Kernel>
[[gnu::noinline, gnu::target("avx2,fma")]] auto run_avx2(Kernel kernel)
    -> decltype(kernel.template run<32>()) {
    return kernel.template run<32>();
}
template <class Kernel>
[[gnu::noinline, gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] auto run_avx512(Kernel kernel)
    -> decltype(kernel.template run<64>()) {
    return kernel.template run<64>();
}
#endif
#endif

/// kernel.run<Bytes>() with vectors of `Bytes` bytes, compiled for `set`. Precondition: available(set).
template <class Kernel>
auto run_on(InstructionSet set, const Kernel& kernel) {
    switch (set) {
#if defined(__GNUC__)
#if (defined(__x86_64__) || defined(__i386__)) && !defined(AMCT_DISTILL_NO_DISPATCH)
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

/// The square root of each.
template <class F>
[[gnu::always_inline]] inline void square_root(F& v) {
    if constexpr (sizeof(F) == 4) {
        v = std::sqrt(v);
    } else {
#if defined(__SSE2__)
        if constexpr (sizeof(F) == 16) {
            v = __builtin_bit_cast(F, _mm_sqrt_ps(__builtin_bit_cast(__m128, v)));
            return;
        }
#endif
        for (std::size_t k = 0; k != sizeof(F) / 4; ++k) v[k] = std::sqrt(v[k]);
    }
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

// ---- amct_distill/quant/ifmr_options.hpp

/// How IFMR searches a clip range.
///
///     Ifmr<Int8> ifmr(IfmrOptions{.max_percentile = 0.9999});
///     calibrate(student, batches, {}, {.ifmr = {.max_percentile = 0.9999}}).value();

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

}  // namespace amct_distill

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
/// The file has no name and vanishes with the object; `limit` says where it is. Nothing is ever left out.

namespace amct_distill::detail {

class ValueStore {
public:
    explicit ValueStore(std::size_t max_bytes) { limit(max_bytes); }

    /// Half of the bytes hold what was appended last, half are for reading the file; at least 512 KB.
    /// `directory`, which exists: where the file will be; empty: where the system's temporary files are.
    /// Precondition: empty.
    void limit(std::size_t max_bytes, std::string directory = {}) {
        directory_ = std::move(directory);
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
        if (std::size_t const needed = before + x.size() - rest.size();
            !in_memory_ && needed > recent_.capacity())  // not beyond the limit, as a vector grows
            recent_.reserve((std::min)(capacity_, (std::max)(needed, 2 * recent_.capacity())));
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

    /// It has no name, or loses it at once. Null: it cannot be made.
    std::FILE* make_file() const {
#if __has_include(<unistd.h>)  // a file that is open can be removed
        if (!directory_.empty()) {
            for (int i = 0;; ++i) {
                std::string const path = concat(directory_, "/observed_", i);
                std::FILE* const file = std::fopen(path.c_str(), "w+bx");
                if (file == nullptr && errno == EEXIST) continue;
                if (file != nullptr) std::remove(path.c_str());
                return file;
            }
        }
#endif
        return std::tmpfile();
    }

    /// `capacity_` values as those from `end` on, which moves after them.
    result<void> write(std::span<const float> x, std::size_t& end) {
        if (!file_) file_.reset(make_file());
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
    std::string directory_{};
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

    /// How much memory values may take, as `IfmrOptions::max_bytes`, and where the file for more is (empty:
    /// among the system's temporary files). Precondition: no batch was observed.
    void limit_memory(std::size_t bytes, const std::string& directory = {}) {
        options_.max_bytes = bytes;
        values_.limit(bytes, directory);
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

// ---- amct_distill/run/training_step.hpp

/// Where the training of a block is: what quantizers and modules are told before each of its steps.
///
///     TrainingStep const at{.step = 30, .steps = 120};
///     at.progress();                  // 0.25
///     at.random;                      // a number of this step and of who is told: see random_bits.hpp

namespace amct_distill {

struct TrainingStep {
    std::size_t step = 0;   ///< from 0
    std::size_t steps = 1;  ///< in all
    /// The same in every run with the same seed, whatever the threads, and however often it was resumed;
    /// another one for every step, and for every module of a step.
    std::uint64_t random = 0;
    /// How likely an element of a quantized input stays float in this step.
    double drop_probability = 0;

    /// What is done of the whole before this step, 0 to below 1.
    double progress() const { return static_cast<double>(step) / static_cast<double>(steps); }
};

}  // namespace amct_distill

// ---- amct_distill/quant/adaround_options.hpp

/// How AdaRound learns: its penalty over a block's training, and when it decides.
///
///     AdaRoundOptions const options{.hard_phase = 0.3};
///     options.penalty(at.progress());                // {weight, exponent} at this step
///     options.learning_rate_at(at.progress());
///     options.is_hard(at.progress());

namespace amct_distill {

struct AdaRoundOptions {
    double regularization = 1;        ///< weight of the penalty after the warm-up; 0: no penalty
    double regularization_end = 100;  ///< and at the end, where it comes to along an exponential
    double warm_up = 0.2;             ///< share of the steps without the penalty
    double beta_start = 20;           ///< the penalty's exponent after the warm-up
    double beta_end = 2;              ///< and at the end, along half a cosine
    double hard_phase = 0.5;          ///< share of the steps, the last, that compute what is deployed
    double learning_rate = 0.05;      ///< until the hard phase, in which it falls to 2 % along half a cosine
    InitialRange initial_range = InitialRange::MSE;

    struct Penalty {
        double weight = 0;    ///< lambda
        double exponent = 2;  ///< beta
    };
    /// At a share of the steps. The last step is just below 1.
    Penalty penalty(double progress) const {
        if (progress < warm_up || regularization == 0) return {0, beta_start};
        double const t = (progress - warm_up) / (1 - warm_up);
        return {regularization * std::pow(regularization_end / regularization, t),
                beta_end + (beta_start - beta_end) * half_cosine(t)};
    }
    bool is_hard(double progress) const { return progress >= 1 - hard_phase; }
    double learning_rate_at(double progress) const {
        if (!is_hard(progress)) return learning_rate;
        return learning_rate * (0.02 + 0.98 * half_cosine((progress - (1 - hard_phase)) / hard_phase));
    }

    /// Error: one makes no sense, with its name.
    result<void> check_options() const {
        auto const wrong = [](std::string_view name, std::string_view range, double found) {
            return general_error(
                detail::concat("adaround_distill: ", name, " must be ", range, ", found ", number(found)));
        };
        auto const not_negative = [](double v) { return v >= 0 && std::isfinite(v); };
        auto const share = [](double v) { return v >= 0 && v <= 1; };
        if (!not_negative(regularization)) return wrong("regularization", "at least 0", regularization);
        if (!(regularization_end > 0 && std::isfinite(regularization_end)))
            return wrong("regularization_end", "above 0", regularization_end);
        if (!(warm_up >= 0 && warm_up < 1)) return wrong("warm_up", "0 to below 1", warm_up);
        for (auto [name, beta] : {NamedBeta{"beta_start", beta_start}, {"beta_end", beta_end}})
            if (!(beta >= 1 && beta <= 1000)) return wrong(name, "1 to 1000", beta);
        if (!share(hard_phase)) return wrong("hard_phase", "0 to 1", hard_phase);
        if (!not_negative(learning_rate)) return wrong("learning_rate", "at least 0", learning_rate);
        return {};
    }

private:
    struct NamedBeta {
        std::string_view name;
        double beta;
    };
    /// From 1 down to 0.
    static double half_cosine(double t) {
        constexpr double pi = 3.141592653589793;
        return 0.5 * (1 + std::cos(pi * t));
    }
};

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

// ---- amct_distill/quant/range_search.hpp

/// A weight's symmetric scales by least squared error: of shrunk ranges, the one whose codes lie nearest.
///
///     std::vector<float> const ratios = search_ratios<Int4, ChannelWise>(w);      // one per row: 0.3 to 1
///     Scales const scales = searched_scales<Int4, ChannelWise>(w);
///     // scales[r] is symmetric_scale<Int4>(range of row r, ratios[r])
///
/// Candidates are 1.00, 0.99, ..., 0.30 of the range; of equal errors the widest wins. At 4 bits clipping a
/// few large weights costs less than a coarse step for all of them; at 8 bits the whole range is the better
/// choice for a network, although the error of the weights alone is less here too.

namespace amct_distill {

inline constexpr std::size_t range_candidates = 71;

/// From the widest.
constexpr float range_candidate(std::size_t k) { return static_cast<float>(100 - k) / 100.0f; }

namespace detail {

/// The sum of (w - q(w))^2 with this scale, the errors being those of float32.
template <BitWidth B>
double squared_error(std::span<const float> w, float scale, const Execution& on) {
    CodeLimits const limits = limits_of<B>();
    return ordered_sums(on, w.size(),
                        SquaredError{w.data(), scale * limits.qmax, scale * limits.qmin, scale})[0];
}

/// The candidate of the least error, 1 where there is no scale; `error_of(scale)`.
template <BitWidth B, class Error>
float best_ratio(ClipRange range, Error error_of) {
    float best = 1;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k != range_candidates; ++k) {
        float const scale = symmetric_quotient(range.max, range.min, range_candidate(k), limits_of<B>());
        if (!is_usable<B>({scale, 0})) continue;
        if (double const error = error_of(k, scale); error < least) {
            least = error;
            best = range_candidate(k);
        }
    }
    return best;
}

/// The ratios, and the ranges that they shrink.
template <BitWidth B, Granularity G>
std::pair<std::vector<float>, std::vector<ClipRange>> search_ranges(const ConstMatrixRef& w,
                                                                    const Execution& on) {
    if constexpr (std::same_as<G, ChannelWise>) {
        auto const rows = static_cast<std::size_t>(w.rows());
        std::pair<std::vector<float>, std::vector<ClipRange>> out(rows, rows);
        for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
            auto const i = static_cast<std::size_t>(r);
            std::span<const float> const values = row(w, r);
            out.second[i] = clips(range_of(values, serial));
            out.first[i] = best_ratio<B>(out.second[i], [&](std::size_t, float scale) {
                return squared_error<B>(values, scale, serial);
            });
        });
        return out;
    } else {
        ClipRange const range = clips(range_of(w, on));
        Execution serial;
        serial.instructions = on.instructions;
        std::array<double, range_candidates> errors{};  // threads share the candidates
        in_parts(on, range_candidates, 1, [&](std::size_t begin, std::size_t end) {
            for (std::size_t k = begin; k != end; ++k) {
                float const scale =
                    symmetric_quotient(range.max, range.min, range_candidate(k), limits_of<B>());
                if (!is_usable<B>({scale, 0})) continue;
                for (Eigen::Index r = 0; r != w.rows(); ++r)
                    errors[k] += squared_error<B>(row(w, r), scale, serial);
            }
        });
        return {{best_ratio<B>(range, [&](std::size_t k, float) { return errors[k]; })}, {range}};
    }
}

}  // namespace detail

/// One per row, or one. Precondition: w is finite and not empty.
template <BitWidth B, Granularity G>
std::vector<float> search_ratios(const ConstMatrixRef& w, const Execution& on = {}) {
    return detail::search_ranges<B, G>(w, on).first;
}

/// One per row, or one; where a range has no scale it is 1, as `symmetric_scale` has it.
template <BitWidth B, Granularity G>
Scales searched_scales(const ConstMatrixRef& w, const Execution& on = {}) {
    auto const found = detail::search_ranges<B, G>(w, on);
    std::vector<ScaleOffset> scales;
    scales.reserve(found.first.size());
    for (std::size_t i = 0; i != found.first.size(); ++i)
        scales.push_back(symmetric_scale<B>(found.second[i], found.first[i]));
    return scales;
}

}  // namespace amct_distill

// ---- amct_distill/quant/arq.hpp

/// ARQ, adaptive range quantization of weights: the largest weight of a row, or of all, sets the scale.
///
///     Arq<Int4, ChannelWise> arq;
///     arq.fake_quantize(w, out);                  // w: one row per output channel
///     result<QuantizedMatrix> q = arq.quantize(w);
///
/// Source: AMCT's ARQ; equal to it bit for bit. Nothing is trained: scales are recomputed from the weights
/// each time. Kept is, with InitialRange::MSE, which part of its range a row has left.

namespace amct_distill {

/// Symmetric: `symmetric_scale` of the range; asymmetric: `asymmetric_scale` of it (scale.hpp).
template <BitWidth B, Granularity G, Symmetry S>
class Arq {
public:
    using bits = B;
    using granularity = G;
    using symmetry = S;

    Arq() = default;
    /// MSE: a row's range, now and later, is as much smaller as the one of the least squared error is in
    /// `initialize` (range_search.hpp).
    explicit Arq(InitialRange initial) requires std::same_as<S, Symmetric> : initial_(initial) {}
    /// From the message of a configuration.
    template <class Message>
    requires requires(const Message& m) { InitialRange(m.initial_range.get()); } && std::same_as<S, Symmetric>
    explicit Arq(const Message& m) : initial_(m.initial_range.get()) {}

    /// Errors: w is empty, has a value that is not finite, or a range so wide that codes would stand for
    /// values that are not. Warning, one for all rows: ranges so narrow that they have no scale, `use_of`;
    /// their weights become 0.
    result<void> initialize(const ConstMatrixRef& w, const Execution& on = {}) {
        auto const found = ranges(w, on);
        if (auto ok = check_weights(w, found, on); !ok) return ok;
        Diagnostics warnings;
        std::size_t narrow = 0;
        for (std::size_t r = 0; r != found.size(); ++r)
            if (ClipRange const range = detail::clips(found[r]); use_of<B, S>(range) == RangeUse::too_narrow)
                if (++narrow == 1) warnings.push_back(detail::too_narrow(name_of(r), range, B::name));
        if (narrow > 1)
            warnings.front().message += detail::concat("; so it is with ", narrow - 1, " more of its rows");
        if constexpr (std::same_as<S, Symmetric>)
            if (initial_ == InitialRange::MSE) ratios_ = search_ratios<B, G>(w, on);
        return result<void>::with_warnings(std::move(warnings));
    }

    /// out = the values w's codes stand for. Preconditions: equal shapes, not empty; out may be w.
    void fake_quantize(const ConstMatrixRef& w, MatrixRef out, const Execution& on = {}) const {
        assert(w.rows() == out.rows() && w.cols() == out.cols());
        if constexpr (std::same_as<G, ChannelWise>) {
            if (!ratios_.empty()) {
                detail::for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
                    auto const row = detail::row(w, r);
                    amct_distill::fake_quantize<B>(
                        row, detail::row(out, r),
                        scale_of(detail::range_of(row, serial), static_cast<std::size_t>(r)), serial);
                });
                return;
            }
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
            ScaleOffset const p = scale_of(detail::range_of(w, on), 0);
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
    Scales scales_of(const Ranges& all) const {
        std::vector<ScaleOffset> scales;
        scales.reserve(all.size());
        for (const detail::ValueRange& range : all) scales.push_back(scale_of(range, scales.size()));
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

    ScaleOffset scale_of(detail::ValueRange range, [[maybe_unused]] std::size_t r) const {
        if constexpr (std::same_as<S, Symmetric>)
            return symmetric_scale<B>(detail::clips(range), ratios_.empty() ? 1.0f : ratios_[r]);
        else
            return asymmetric_scale<B>(detail::clips(range));
    }

    InitialRange initial_ = InitialRange::MAX;
    std::vector<float> ratios_{};  // one per row, or one, of the ranges; empty: all of them 1
};

}  // namespace amct_distill

// ---- amct_distill/quant/adaround.hpp

/// AdaRound, learned rounding of weights: for each of them it is trained whether it goes up or down.
///
///     AdaRound<Int4, ChannelWise> q({.hard_phase = 0.3});
///     q.initialize(w).value();
///     q.begin_step({.step = 3, .steps = 120});         // from now on as at this step of the training
///     q.fake_quantize(w, out);
///     q.backward(w, grad_out, grad_w, grad_v);
///     q.regularize(w, 1, grad_w, grad_v);
///     q.end_steps();                                   // as deployed: each weight up or down
///
/// Source: Nagel et al. 2020 and Li et al. 2021 (BRECQ), with a last phase in which the forward is rounded
/// and the gradient is not: without it the decisions at the end undo what was learned.

namespace amct_distill {

/// Symmetric, offset 0. A weight w of scale s stands for s * clamp(floor(w / s) + h(v), qmin, qmax), where v,
/// one for each weight, is what is trained, and h(v) = clamp(1.2 sigmoid(v) - 0.1, 0, 1). It begins where
/// w / s is met; deployed, h is 1 where it is at least a half, else 0. Weights and scales stay as they are.
/// `initialize` comes first; every w after it is the same.
template <BitWidth B, Granularity G>
class AdaRound {
public:
    using bits = B;
    using granularity = G;
    using symmetry = Symmetric;
    static constexpr bool freezes_weights = true;

    AdaRound() = default;
    explicit AdaRound(const AdaRoundOptions& options) : options_(options) {}
    /// From the message of a configuration.
    template <class Message>
    requires requires(const Message& m) {
        m.regularization.get();
        m.initial_range.get();
    }
    explicit AdaRound(const Message& m)
        : options_{.regularization = static_cast<double>(m.regularization.get()),
                   .regularization_end = static_cast<double>(m.regularization_end.get()),
                   .warm_up = static_cast<double>(m.warm_up.get()),
                   .beta_start = static_cast<double>(m.beta_start.get()),
                   .beta_end = static_cast<double>(m.beta_end.get()),
                   .hard_phase = static_cast<double>(m.hard_phase.get()),
                   .learning_rate = static_cast<double>(m.learning_rate.get()),
                   .initial_range = m.initial_range.get()} {}

    const AdaRoundOptions& options() const { return options_; }

    /// Errors: an option makes no sense; those of ARQ, whose warnings these are too. After an error all is as
    /// before.
    result<void> initialize(const ConstMatrixRef& w, const Execution& on = {}) {
        if (auto ok = options_.check_options(); !ok) return ok;
        Arq<B, G> arq;
        auto checked = arq.initialize(w, on);
        if (!checked) return checked;
        scales_ = options_.initial_range == InitialRange::MSE ? searched_scales<B, G>(w, on)
                                                              : arq.scale_offsets(w, on);
        values_.resize(static_cast<std::size_t>(w.size()));
        detail::for_each_row(on, w, [&](Eigen::Index r, const Execution&) {
            auto const row = detail::row(w, r);
            float const scale = scale_of(r);
            std::span<float> const v = of_row(values_, w, r);
            for (std::size_t i = 0; i != row.size(); ++i) {
                float const t = row[i] / scale;
                v[i] = value_of(t - std::floor(t));
            }
        });
        now_.reset();
        take_values();
        return checked;
    }

    // ---- training

    /// Looks at the values, which must not change until the next one begins.
    void begin_step(const TrainingStep& at) {
        now_ = at.progress();
        take_values();
    }
    /// What it computes is what is deployed, until the next step begins.
    void end_steps() { now_.reset(); }
    /// Whether the step computes what is deployed: in the hard phase, and outside of the training.
    bool is_settled() const { return !now_ || options_.is_hard(*now_); }
    /// Of the values, at this step.
    double learning_rate() const { return options_.learning_rate_at(now_.value_or(0)); }

    /// out = the values w stands for at this step. Precondition: equal shapes; out may be w.
    void fake_quantize(const ConstMatrixRef& w, MatrixRef out, const Execution& on = {}) const {
        assert(w.rows() == out.rows() && w.cols() == out.cols());
        bool const hard = is_settled();
        detail::for_each_row(on, w, [&](Eigen::Index r, const Execution&) {
            auto const from = detail::row(w, r);
            auto const to = detail::row(out, r);
            auto const v = of_row(hard ? values_ : parts_, w, r);
            float const scale = scale_of(r);
            for (std::size_t i = 0; i != from.size(); ++i)
                to[i] = clamped(std::floor(from[i] / scale) + (hard ? rounded(v[i]) : v[i])) * scale;
        });
    }

    /// grad_w = 0. Of a value: grad_out * s * dh/dv, h as if it were not rounded; 0 where both codes are one
    /// after clamping.
    void backward(const ConstMatrixRef& w, const ConstMatrixRef& grad_out, MatrixRef grad_w,
                  std::span<float> grad_values, const Execution& on = {}) const {
        assert(grad_values.size() == values_.size());
        detail::for_each_row(on, w, [&](Eigen::Index r, const Execution&) {
            auto const from = detail::row(w, r), grad = detail::row(grad_out, r);
            auto const slope = of_row(slopes_, w, r);
            auto const to = of_row(grad_values, w, r);
            float const scale = scale_of(r);
            for (std::size_t i = 0; i != from.size(); ++i) {
                float const low = std::floor(from[i] / scale);
                bool const has_choice = low >= lowest && low < highest;
                to[i] = has_choice ? grad[i] * scale * slope[i] : 0;
            }
        });
        grad_w.setZero();
    }

    /// The penalty of weights that are not decided, lambda * sum of 1 - |2 h - 1|^beta at this step; `factor`
    /// times its gradient is added.
    double regularize(const ConstMatrixRef& w, double factor, MatrixRef, std::span<float> grad_values,
                      const Execution& on = {}) const {
        assert(grad_values.size() == values_.size());
        auto const [weight, exponent] = options_.penalty(now_.value_or(0));
        if (!now_ || weight == 0) return 0;
        auto const power = static_cast<float>(exponent - 1);
        auto const share = static_cast<float>(-2 * factor * weight * exponent);
        std::array<double, 256> sums;  // of some rows, on the stack
        auto const step = static_cast<Eigen::Index>(sums.size());
        double sum = 0;
        for (Eigen::Index first = 0; first < w.rows(); first += step) {
            Eigen::Index const rows = (std::min)(step, w.rows() - first);
            detail::for_each_row(on, w.middleRows(first, rows), [&](Eigen::Index k, const Execution&) {
                auto const part = of_row(parts_, w, first + k), slope = of_row(slopes_, w, first + k);
                auto const grad = of_row(grad_values, w, first + k);
                double of_this = 0;
                for (std::size_t i = 0; i != part.size(); ++i) {
                    float const u = 2 * part[i] - 1, size = std::abs(u);
                    if (size == 1) continue;                           // decided
                    float const p = std::exp(power * std::log(size));  // in half of std::pow's time
                    of_this += 1 - static_cast<double>(p * size);
                    grad[i] += share * std::copysign(p, u) * slope[i];
                }
                sums[static_cast<std::size_t>(k)] = of_this;
            });
            for (Eigen::Index k = 0; k != rows; ++k) sum += sums[static_cast<std::size_t>(k)];
        }
        return weight * sum;
    }

    /// What is trained, a value for each weight, in the order of the rows.
    std::span<float> parameters() { return values_; }
    std::span<const float> parameters() const { return values_; }
    void constrain() {}

    // ---- what is deployed

    Scales scale_offsets(const ConstMatrixRef&) const { return scales_; }

    /// The integers. An error when w is empty or has a value that is not finite.
    result<QuantizedMatrix> quantize(const ConstMatrixRef& w, const Execution& on = {}) const {
        if (auto ok = check_finite(w, "weights", on); !ok) return ok.diagnostics();
        QuantizedMatrix q{
            static_cast<std::size_t>(w.rows()), static_cast<std::size_t>(w.cols()), {}, scales_};
        q.codes.resize(q.rows * q.cols);
        detail::for_each_row(on, w, [&](Eigen::Index r, const Execution&) {
            auto const from = detail::row(w, r);
            auto const v = of_row(values_, w, r);
            auto const to = of_row(std::span(q.codes), w, r);
            float const scale = scale_of(r);
            for (std::size_t i = 0; i != from.size(); ++i)
                to[i] = static_cast<std::int8_t>(clamped(std::floor(from[i] / scale) + rounded(v[i])));
        });
        return q;
    }

private:
    void take_values() {
        parts_.resize(values_.size());
        slopes_.resize(values_.size());
        for (std::size_t i = 0; i != values_.size(); ++i) {
            float const s = 1 / (1 + std::exp(-values_[i])), h = stretch * s - below;
            parts_[i] = (std::min)((std::max)(h, 0.0f), 1.0f);
            slopes_[i] = h > 0 && h < 1 ? stretch * s * (1 - s) : 0;
        }
    }

    static constexpr auto lowest = static_cast<float>(B::qmin), highest = static_cast<float>(B::qmax);
    static constexpr float stretch = 1.2f, below = 0.1f;  // h reaches 0 and 1 at finite values

    static float clamped(float code) { return (std::min)((std::max)(code, lowest), highest); }
    /// h is at least a half where v is not negative.
    static float rounded(float v) { return v >= 0 ? 1.0f : 0.0f; }
    /// Where h is `part`, which is kept off 0 and 1.
    static float value_of(float part) {
        double const h = (std::min)((std::max)(static_cast<double>(part), 1e-4), 1 - 1e-4);
        double const s = (h + 0.1) / 1.2;
        return static_cast<float>(std::log(s / (1 - s)));
    }

    template <class Values>
    static auto of_row(Values&& values, const ConstMatrixRef& w, Eigen::Index r) {
        auto const cols = static_cast<std::size_t>(w.cols());
        assert(values.size() == cols * static_cast<std::size_t>(w.rows()));
        return std::span(values).subspan(static_cast<std::size_t>(r) * cols, cols);
    }
    float scale_of(Eigen::Index r) const { return scales_.of_row(static_cast<std::size_t>(r)).scale; }

    AdaRoundOptions options_{};
    Scales scales_{};
    std::vector<float> values_{};
    std::vector<float> parts_{}, slopes_{};  // h and dh/dv of the values when the step began
    std::optional<double> now_{};            // the progress of the step; none: as deployed
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
///   - `limit_memory(bytes)` or `limit_memory(bytes, directory)`, before the first batch: how much of what it
///     observed it may keep in memory, and where a file for the rest may be (empty: anywhere).
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
void limit_memory_of([[maybe_unused]] C& c, [[maybe_unused]] std::size_t bytes,
                     [[maybe_unused]] const std::string& directory = {}) {
    if constexpr (requires { c.limit_memory(bytes, directory); })
        c.limit_memory(bytes, directory);
    else if constexpr (requires { c.limit_memory(bytes); })
        c.limit_memory(bytes);
}

}  // namespace detail
}  // namespace amct_distill

#if !defined(AMCT_DISTILL_COMPILED) || defined(AMCT_DISTILL_DEFINITIONS)

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

#endif  // definitions

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

// ---- what a weight quantizer may have besides; each part is found by its members
//
// A misspelt one is not there: check_weight_quantizer() names what looks like a half of it.

/// Is told where the training is: `begin_step` before each step, and `end_steps` before its loss is judged,
/// and at the end: from then on `fake_quantize` must be what `quantize` deploys. It begins like that. With
/// `bool is_settled() const`, whether a step computes what is deployed already, it is judged in such steps
/// only, and at the end.
template <class Q>
concept SteppedQuantizer = requires(Q q, const TrainingStep& at) {
    { q.begin_step(at) } -> std::same_as<void>;
    { q.end_steps() } -> std::same_as<void>;
};

/// Trains its parameters at a rate of its own, at the step it was told last, in the place of that which the
/// options have for scales; they are then kept out of the weight decay, too.
template <class Q>
concept HasLearningRate = requires(const Q& c) {
    { c.learning_rate() } -> std::convertible_to<double>;
};

/// The float weight stays as it is: no update, no decay.
template <class Q>
concept FreezesWeights = requires {
    requires Q::freezes_weights;
};

/// Adds a term to the block's loss: the sum that `regularize` returns, over all of the block's quantizers,
/// divided by the number of their weights. `factor` times its gradients is added. The loss itself is then
/// divided by the variance of what the block shall give, so that one weight of the term fits all blocks.
template <class Q>
concept RegularizedQuantizer = requires(const Q& c, const ConstMatrixRef& w, MatrixRef grad_w,
                                        std::span<float> grad_parameters) {
    { c.regularize(w, /*factor*/ 1.0, grad_w, grad_parameters) } -> std::convertible_to<double>;
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
concept NamesBeginStep = requires {
    &Q::begin_step;
};
template <class Q>
concept NamesEndSteps = requires {
    &Q::end_steps;
};
template <class Q>
concept NamesRegularize = requires {
    &Q::regularize;
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
    static_assert(SteppedQuantizer<Q> || !(detail::NamesBeginStep<Q> || detail::NamesEndSteps<Q>),
                  "a weight quantizer that is told its steps has both: `void begin_step(const TrainingStep& "
                  "at)` and `void end_steps()`");
    static_assert(RegularizedQuantizer<Q> || !detail::NamesRegularize<Q>,
                  "a weight quantizer's regularizer is `double regularize(const ConstMatrixRef& w, double "
                  "factor, MatrixRef grad_w, std::span<float> grad_parameters) const`");
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

    Ulq() = default;
    explicit Ulq(InitialRange initial) : initial_(initial) {}
    /// From the message of a configuration.
    template <class Message>
    requires requires(const Message& m) { InitialRange(m.initial_range.get()); }
    explicit Ulq(const Message& m) : initial_(m.initial_range.get()) {}

    /// Takes ARQ's scales of w, of the range that it was made with. Errors and warnings are those of ARQ;
    /// after an error all is as before.
    result<void> initialize(const ConstMatrixRef& w, const Execution& on = {}) {
        Arq<B, G> arq(initial_);
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

    InitialRange initial_ = InitialRange::MAX;
    std::vector<float> scales_{};
    std::vector<float> last_good_{};
};

}  // namespace amct_distill

#elif AMCT_DISTILL_VERSION != 200
#error "two versions of amct_distill in one translation unit"
#endif  // AMCT_DISTILL_VERSION
