// SPDX-License-Identifier: Apache-2.0
/// The loop of ARQ's forward, per channel: the range of a row, its scale, and the values its codes stand for.
///
///     run_on(set, FakeQuantizeRowsLoop<false>{x, y, rows, cols, x_stride, y_stride, {-128, 127}, true});
///
/// The codes' limits are numbers here: one loop serves all widths.
#pragma once
#include <cstddef>

#include "affine.hpp"
#include "range.hpp"
#include "scale.hpp"

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
