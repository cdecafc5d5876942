/// The three matrix products of a layer and its gradients, added to what is there.
///
///     detail::add_product<T>(c, a, b);              // c += a b
///     detail::add_product_transposed<T>(c, a, b);   // c += a b^T
///     detail::add_transposed_product<T>(c, a, b);   // c += a^T b
///
/// They are Eigen's; in one place, because each costs the compiler a second, and because of their bits:
/// under -fopenmp Eigen shares a product out among threads, and its sums then depend on their number. It
/// does so only where the result may have more than 32 rows. So there we compute 32 rows at a time, which
/// is 5 to 40 % slower; with EIGEN_DONT_PARALLELIZE defined it is neither threaded nor slower.
#pragma once
#include <algorithm>

#include "tensor.hpp"

namespace amct_distill::detail {

#ifdef EIGEN_HAS_OPENMP
inline constexpr int rows_at_once = 32;
#else
inline constexpr int rows_at_once = Eigen::Dynamic;
#endif

/// Calls f(rows of c, first row, number of rows) for all of c, in blocks that Eigen leaves to one thread.
template <class T, class F>
void for_row_blocks(nn::MatrixMap<T> c, F f) {
    using Rows = Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor, rows_at_once>>;
    nn::Index const step = rows_at_once == Eigen::Dynamic ? c.rows() : rows_at_once;
    for (nn::Index first = 0; first < c.rows(); first += step) {
        nn::Index const rows = (std::min)(step, c.rows() - first);
        f(Rows(c.data() + first * c.cols(), rows, c.cols()), first, rows);
    }
}

template <class T>
void add_product(nn::MatrixMap<T> c, nn::ConstMatrixMap<T> a, nn::ConstMatrixMap<T> b) {
    for_row_blocks(c, [&](auto block, nn::Index first, nn::Index rows) {
        block.noalias() += a.middleRows(first, rows) * b;
    });
}
template <class T>
void add_product_transposed(nn::MatrixMap<T> c, nn::ConstMatrixMap<T> a, nn::ConstMatrixMap<T> b) {
    for_row_blocks(c, [&](auto block, nn::Index first, nn::Index rows) {
        block.noalias() += a.middleRows(first, rows) * b.transpose();
    });
}
template <class T>
void add_transposed_product(nn::MatrixMap<T> c, nn::ConstMatrixMap<T> a, nn::ConstMatrixMap<T> b) {
    for_row_blocks(c, [&](auto block, nn::Index first, nn::Index rows) {
        block.noalias() += a.middleCols(first, rows).transpose() * b;
    });
}

}  // namespace amct_distill::detail
