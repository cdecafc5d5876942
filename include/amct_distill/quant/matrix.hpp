// SPDX-License-Identifier: Apache-2.0
/// A weight as a matrix of float32: a row per output channel.
///
///     RowMajorMatrix w(64, 27);                  // Linear [out, in], Conv2d [out, in * kh * kw]
///     void look(const ConstMatrixRef& w);        // takes it, a map of it, a block of its columns
///
/// Quantizers take views: what is not float32 does not convert, what is not row-major is copied first.
#pragma once
#include <Eigen/Core>
#include <cstddef>
#include <span>

#include "../run/execution.hpp"

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
