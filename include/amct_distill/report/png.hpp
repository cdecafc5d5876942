// SPDX-License-Identifier: Apache-2.0
/// Small pictures for a page: PNG without compression, and base64.
///
///     base64(png_of(pixels, 8, 8, 1))      // grey; 3: red, green, blue
///
/// Source: RFC 2083 (PNG), 1950 and 1951 (stored blocks), 4648 (base64).
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "../io/crc32.hpp"

namespace amct_distill::detail {

inline std::string base64(std::string_view bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t three = 0;
        for (std::size_t k = 0; k != 3; ++k)
            three = three << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        for (std::size_t k = 0; k != 4; ++k)
            out += i + k > bytes.size() ? '=' : digits[three >> (18 - 6 * k) & 63u];
    }
    return out;
}

/// Rows from the top, `channels` bytes a pixel: 1, grey, or 3.
inline std::string png_of(std::span<const std::uint8_t> pixels, std::size_t width, std::size_t height,
                          std::size_t channels) {
    auto const big_endian = [](std::size_t n) {
        std::string out;
        for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(n >> shift & 0xFFu);
        return out;
    };
    std::string rows;  // each after a 0: not filtered
    for (std::size_t y = 0; y != height; ++y) {
        rows += '\0';
        for (std::uint8_t p : pixels.subspan(y * width * channels, width * channels))
            rows += static_cast<char>(p);
    }
    std::string packed("\x78\x01", 2);
    std::uint32_t a = 1, b = 0;  // Adler-32
    for (char c : rows) {
        a = (a + static_cast<unsigned char>(c)) % 65521u;
        b = (b + a) % 65521u;
    }
    for (std::size_t at = 0; at == 0 || at < rows.size(); at += 65535) {
        std::size_t const size = (std::min)(rows.size() - at, std::size_t{65535}), not_size = ~size;
        packed += at + size == rows.size() ? '\1' : '\0';
        for (std::size_t n : {size, not_size}) {
            packed += static_cast<char>(n & 0xFFu);
            packed += static_cast<char>(n >> 8 & 0xFFu);
        }
        packed += rows.substr(at, size);
    }
    packed += big_endian(b << 16 | a);

    std::string out("\x89PNG\r\n\x1a\n", 8);
    auto const chunk = [&](std::string_view type, std::string_view content) {
        std::string named(type);
        named += content;
        out += big_endian(content.size());
        out += named;
        out += big_endian(crc32(named));
    };
    std::string header = big_endian(width);
    header += big_endian(height);
    for (char c : std::array{'\x08', static_cast<char>(channels == 3 ? 2 : 0), '\0', '\0', '\0'}) header += c;
    chunk("IHDR", header);
    chunk("IDAT", packed);
    chunk("IEND", "");
    return out;
}

}  // namespace amct_distill::detail
