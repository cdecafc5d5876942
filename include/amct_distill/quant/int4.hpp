/// Packed INT4: two codes a byte, the low nibble first, every row padded to whole bytes.
///
///     auto const q = arq.quantize(w);                                    // Arq<Int4, ...>
///     auto const bytes = pack_int4(q->codes, q->rows, q->cols);          // rows * packed_row_bytes(cols)
///     auto const codes = unpack_int4(*bytes, q->rows, q->cols);          // *codes == q->codes
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../policy/bits.hpp"

namespace amct_distill {

constexpr std::size_t packed_row_bytes(std::size_t cols) { return cols / 2 + cols % 2; }

/// `codes` is a row-major rows x cols matrix of codes in -8..7. The nibble that pads an odd row is 0.
inline result<std::vector<std::uint8_t>> pack_int4(std::span<const std::int8_t> codes, std::size_t rows,
                                                   std::size_t cols) {
    if (codes.size() != rows * cols)
        return general_error(detail::concat("pack_int4: ", codes.size(), " codes are not a ", rows, " x ",
                                            cols,
                                            " matrix; pass the rows and columns they were quantized with"));
    std::vector<std::uint8_t> bytes(rows * packed_row_bytes(cols));
    for (std::size_t r = 0; r != rows; ++r) {
        for (std::size_t c = 0; c != cols; ++c) {
            int const code = codes[r * cols + c];
            if (code < Int4::qmin || code > Int4::qmax)
                return general_error(detail::concat("pack_int4: code ", code, " at [", r, ", ", c,
                                                    "] is outside -8..7; quantize with Int4"));
            unsigned const nibble = static_cast<unsigned>(code) & 0xFu;
            std::uint8_t& byte = bytes[r * packed_row_bytes(cols) + c / 2];
            byte = static_cast<std::uint8_t>(byte | (c % 2 == 0 ? nibble : nibble << 4));
        }
    }
    return bytes;
}

/// The inverse of pack_int4; what is in the padding does not matter.
inline result<std::vector<std::int8_t>> unpack_int4(std::span<const std::uint8_t> bytes, std::size_t rows,
                                                    std::size_t cols) {
    if (bytes.size() != rows * packed_row_bytes(cols))
        return general_error(detail::concat("unpack_int4: a ", rows, " x ", cols, " matrix takes ",
                                            rows * packed_row_bytes(cols), " bytes, found ", bytes.size(),
                                            "; pass the rows and columns it was packed with"));
    std::vector<std::int8_t> codes(rows * cols);
    for (std::size_t r = 0; r != rows; ++r) {
        for (std::size_t c = 0; c != cols; ++c) {
            unsigned const byte = bytes[r * packed_row_bytes(cols) + c / 2];
            unsigned const nibble = c % 2 == 0 ? byte & 0xFu : byte >> 4;
            codes[r * cols + c] = static_cast<std::int8_t>(static_cast<int>(nibble ^ 8u) - 8);
        }
    }
    return codes;
}

}  // namespace amct_distill
