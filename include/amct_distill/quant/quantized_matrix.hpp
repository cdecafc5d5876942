// SPDX-License-Identifier: Apache-2.0
/// The integers of a weight, a code in each byte, with their scales.
///
///     QuantizedMatrix const q = quantize<Int4>(w, Scales{{0.5f, 0}});
///     q.codes[r * q.cols + c];          // in -8..7
///     q.scales.of_row(r);
///
/// Codes as they are stored and shipped, typed by their width, are in codes.hpp.
#pragma once
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "affine.hpp"
#include "matrix.hpp"
#include "scales.hpp"

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
