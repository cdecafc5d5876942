// SPDX-License-Identifier: Apache-2.0
/// Names of files for layers, that every file system takes and that no two layers share.
///
///     file_names({"layer1.0.conv", "head/box", "Head_Box"})
///         // {"layer1.0.conv", "head_box-16ee4b3a", "Head_Box"}
///
/// A name of at most 80 letters, digits, `_`, `-` and `.` of ASCII is taken as it is. In any other, what some
/// file system forbids is replaced by `_`, it is cut between two characters, and a hash of the whole name is
/// put after it; also where two names differ only in upper and lower case.
#pragma once
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../core/concat.hpp"
#include "../core/utf8.hpp"
#include "../io/hash.hpp"

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
