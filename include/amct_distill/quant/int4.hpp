// SPDX-License-Identifier: Apache-2.0
/// Packed INT4: two codes a byte, the low nibble first, every row padded to whole bytes.
///
///     auto const q = arq.quantize(w);
///     auto const bytes = pack_int4(q->codes, q->rows, q->cols);
///     auto const codes = unpack_int4(*bytes, q->rows, q->cols);         // *codes == q->codes
///     quantize_int4(x, row_bytes, p);                                   // a row straight from floats
///
/// codes.hpp has the type that holds them.
#pragma once
#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../policy/bits.hpp"
#include "../run/execution.hpp"
#include "affine.hpp"
#include "fixed_codes.hpp"
#include "kernels/codes.hpp"

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
