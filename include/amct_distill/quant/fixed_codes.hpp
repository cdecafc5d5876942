// SPDX-License-Identifier: Apache-2.0
/// A matrix of codes whose size the compiler knows, for an engine's constants: no allocation, usable in
/// constant expressions, the same bytes as Codes (codes.hpp).
///
///     constexpr FixedCodes<Int4, 1, 3> row{{0xF1, 0x07}};       // 1, -1, 7
///     static_assert(row.at(0, 1) == -1);
///
/// Up to 4 bits two codes in a byte, the low nibble first and every row padded to whole bytes; above, a byte
/// each.
#pragma once
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../policy/bits.hpp"

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
