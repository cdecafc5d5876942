// SPDX-License-Identifier: Apache-2.0
/// Packed INT4: two codes a byte, the low nibble first, every row padded to whole bytes.
///
///     PackedInt4 const p = quantize_int4(w, arq.scale_offsets(w));      // straight from floats
///     auto const q = arq.quantize(w);                                   // or by way of codes
///     auto const bytes = pack_int4(q->codes, q->rows, q->cols);         // *bytes == p.bytes
///     auto const codes = unpack_int4(*bytes, q->rows, q->cols);         // *codes == q->codes
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../policy/bits.hpp"
#include "../run/execution.hpp"
#include "affine.hpp"
#include "kernels/int4.hpp"

namespace amct_distill {

constexpr std::size_t packed_row_bytes(std::size_t cols) { return cols / 2 + cols % 2; }

/// The integers of a weight, packed.
struct PackedInt4 {
    std::size_t rows = 0;
    std::size_t cols = 0;
    std::vector<std::uint8_t> bytes{};  ///< rows * packed_row_bytes(cols)
    std::vector<ScaleOffset> scales{};  ///< one, or one per row
};

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
                                detail::pack_int4_loop{codes.data() + r * cols,
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
            detail::run_on(on.instructions,
                           detail::unpack_int4_loop{bytes.data() + r * packed_row_bytes(cols),
                                                    codes.data() + r * cols, cols});
    });
    return codes;
}

/// `bytes` has packed_row_bytes(x.size()) entries. Preconditions: that; x has no NaN.
inline void quantize_int4(std::span<const float> x, std::span<std::uint8_t> bytes, ScaleOffset p,
                          const Execution& on = {}) {
    assert(bytes.size() == packed_row_bytes(x.size()));
    detail::in_parts(on, x.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
        detail::run_on(on.instructions, detail::quantize_int4_loop{x.data() + begin, bytes.data() + begin / 2,
                                                                   end - begin, detail::constants<Int4>(p)});
    });
}

/// Preconditions: `scales` has 1 or w.rows() entries; w has no NaN.
inline PackedInt4 quantize_int4(const ConstMatrixRef& w, std::vector<ScaleOffset> scales,
                                const Execution& on = {}) {
    PackedInt4 q{static_cast<std::size_t>(w.rows()), static_cast<std::size_t>(w.cols()), {}, {}};
    q.bytes.resize(q.rows * packed_row_bytes(q.cols));
    detail::quantize_rows(on, w, scales, std::span(q.bytes),
                          [](auto x, auto bytes, ScaleOffset p, const Execution& serial) {
                              quantize_int4(x, bytes, p, serial);
                          });
    q.scales = std::move(scales);
    return q;
}

/// What the codes stand for. Preconditions: `out` has the shape of q, whose members agree.
inline void dequantize(const PackedInt4& q, MatrixRef out, const Execution& on = {}) {
    assert(q.rows == static_cast<std::size_t>(out.rows()) && q.cols == static_cast<std::size_t>(out.cols()));
    detail::for_each_row(on, out, [&](Eigen::Index row, const Execution& serial) {
        auto const r = static_cast<std::size_t>(row);
        std::span<float> const y = detail::row(out, row);
        std::array<std::int8_t, 1024> codes;  // stays in the cache
        for (std::size_t c = 0; c < q.cols; c += codes.size()) {
            auto const some = std::span(codes).first((std::min)(codes.size(), q.cols - c));
            detail::run_on(serial.instructions,
                           detail::unpack_int4_loop{q.bytes.data() + r * packed_row_bytes(q.cols) + c / 2,
                                                    some.data(), some.size()});
            dequantize(some, y.subspan(c, some.size()), q.scales[q.scales.size() == 1 ? 0 : r], serial);
        }
    });
}

}  // namespace amct_distill
