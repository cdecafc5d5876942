// SPDX-License-Identifier: Apache-2.0
/// Quantization of what comes from outside: everything is checked first, and on an error nothing is written.
///
///     result<void> done = checked_fake_quantize<Int4>(w, out, scales);
///     // error: weights: value at [3, 5] is nan; only finite values can be quantized: ...
///     // error: scales: the scale of row 2 is 0; a scale is positive and finite: ...
///     auto const w = as_channels(data, 64);           // of 64 rows, or the error that 64 does not divide
///
/// The functions of affine.hpp take the same as a precondition. Values are float32; float16 is to be widened
/// first.
#pragma once
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../run/execution.hpp"
#include "affine.hpp"
#include "codes.hpp"
#include "finite.hpp"
#include "matrix.hpp"
#include "quantized_matrix.hpp"
#include "scales.hpp"

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
