// SPDX-License-Identifier: Apache-2.0
/// The matrix product of convolution and linear layers: c = a b, or c += a b, on one thread.
///
///     std::vector<float> buffer(product_buffer);
///     auto const row_of_b = [&](nn::Index k, float*) { return b + k * 100; };
///     multiply(best_instructions(), {.c = c, .c_stride = 100, .a = a, .a_stride = 70, .rows = 50,
///                                    .depth = 70, .cols = 100}, row_of_b, buffer.data());
///
/// Not Eigen's, because that has the instructions that the compiler was told of: at plain -O2 a sixth of the
/// machine's speed. (EIGEN_USE_BLAS and EIGEN_DONT_PARALLELIZE change nothing here.) This one is compiled for
/// each instruction set and chosen at run time. The rows of b are copied to panels of 32 columns, or computed
/// there: the columns of a convolution are nowhere else.
///
/// An element of c is a sum in the order of k, in blocks of `product_depth`; it depends neither on threads,
/// on how c is cut in parts, nor on the width of vectors. (What it depends on is whether there is a fused
/// multiply-add: AVX2 and AVX-512 have it, plain x86-64 has not.)
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "../run/instructions.hpp"
#include "tensor.hpp"

namespace amct_distill::detail {

inline constexpr nn::Index product_depth =
    128;  ///< of b's rows that are in panels at a time: a panel is half an L1
inline constexpr nn::Index product_cols =
    256;  ///< the most columns of a product; 256 KB of panels: half an L2
inline constexpr nn::Index panel_cols = 32;
/// What `multiply` needs as a buffer: the panels, and a row of b.
inline constexpr nn::Index product_buffer = product_depth * product_cols + product_cols;

template <class T>
struct Product {
    T* c = nullptr;
    nn::Index c_stride = 0;  ///< from row to row
    const T* a = nullptr;
    nn::Index a_stride = 0;
    nn::Index rows = 0, depth = 0, cols = 0;
    bool add = true;           ///< else c is overwritten
    const T* start = nullptr;  ///< not null, and not `add`: what the rows begin with
    nn::Index panel_step = 0;  ///< from panel to panel; 0: panel_cols * depth
};

#if defined(__GNUC__)
template <class T, int Bytes>
struct ProductLanes {
    typedef T type __attribute__((vector_size(Bytes)));
    static constexpr int count = Bytes / int(sizeof(T));
};
#else
template <class T, int Bytes>
struct ProductLanes;
#endif
template <class T>
struct ProductLanes<T, 4> {  // the scalar instruction set
    using type = T;
    static constexpr int count = 1;
};

/// c += a b over panels that are filled. A tile of c stays in registers: 12 of the 16 that AVX2 has.
template <class T>
struct PanelProduct {
    Product<T> p;
    const T* panels;

    template <int Bytes, int Rows>
    [[gnu::always_inline]] void tile(const T* a, const T* b, T* c, nn::Index c_stride, bool add,
                                     const T* start) const {
        using V = typename ProductLanes<T, Bytes>::type;
        constexpr int count = ProductLanes<T, Bytes>::count;
        nn::Index const depth = p.depth, stride = p.a_stride;
        V sums[std::size_t(Rows)][2] = {};
        for (nn::Index k = 0; k != depth; ++k, b += panel_cols) {
            V left, right;
            std::memcpy(&left, b, sizeof left);
            std::memcpy(&right, b + count, sizeof right);
#pragma GCC unroll 8
            for (int r = 0; r != Rows; ++r) {
                T const factor = a[r * stride + k];
                sums[r][0] += factor * left;
                sums[r][1] += factor * right;
            }
        }
#pragma GCC unroll 8
        for (int r = 0; r != Rows; ++r)
#pragma GCC unroll 2
            for (int half = 0; half != 2; ++half) {
                T* const to = c + r * c_stride + half * count;
                V sum = sums[r][half];
                if (add) {
                    V old;
                    std::memcpy(&old, to, sizeof old);
                    sum += old;
                } else if (start) {
                    sum += start[r];
                }
                std::memcpy(to, &sum, sizeof sum);
            }
    }

    /// All tiles of this height that the rows from `row` on have room for; returns the next row.
    template <int Bytes, int Rows>
    [[gnu::always_inline]] nn::Index tiles(nn::Index row, const T* b, nn::Index col) const {
        constexpr int width = 2 * ProductLanes<T, Bytes>::count;
        T aside[std::size_t(Rows * width)];  // where c has only some of the columns
        nn::Index const cols = (std::min)(p.cols - col, nn::Index(width));
        bool const whole = cols == width;
        for (; row + Rows <= p.rows; row += Rows) {
            T* const c = p.c + row * p.c_stride + col;
            tile<Bytes, Rows>(p.a + row * p.a_stride, b, whole ? c : aside, whole ? p.c_stride : width,
                              whole && p.add, p.start && !p.add ? p.start + row : nullptr);
            if (whole) continue;
            for (nn::Index r = 0; r != Rows; ++r)
                for (nn::Index j = 0; j != cols; ++j) {
                    T& to = c[r * p.c_stride + j];
                    to = aside[r * width + j] + (p.add ? to : T(0));
                }
        }
        return row;
    }

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        constexpr int width = 2 * ProductLanes<T, Bytes>::count;
        for (nn::Index col = 0; col < p.cols; col += width) {
            nn::Index const step = p.panel_step != 0 ? p.panel_step : panel_cols * p.depth;
            const T* const b = panels + col / panel_cols * step + col % panel_cols;
            nn::Index row = 0;
            if constexpr (Bytes == 64) row = tiles<Bytes, 8>(row, b, col);
            if constexpr (Bytes == 32) row = tiles<Bytes, 6>(row, b, col);
            row = tiles<Bytes, 4>(row, b, col);
            row = tiles<Bytes, 2>(row, b, col);
            tiles<Bytes, 1>(row, b, col);
        }
    }
};

/// `row_of_b(k, line)` tells where the p.cols values of row k are: in memory of the caller's, or, computed,
/// in `line`. `buffer` has `product_buffer` values. Precondition: p.cols <= product_cols.
template <class T, class RowOfB>
void multiply(InstructionSet set, Product<T> p, const RowOfB& row_of_b, T* buffer) {
    T* const line = buffer + product_depth * product_cols;
    nn::Index const depth = p.depth;
    for (nn::Index first = 0; first < depth; first += product_depth) {
        p.depth = (std::min)(product_depth, depth - first);
        for (nn::Index k = 0; k != p.depth; ++k) {
            const T* const from = row_of_b(first + k, line);
            nn::Index col = 0;
            for (; col + panel_cols <= p.cols; col += panel_cols)
                std::memcpy(buffer + col * p.depth + k * panel_cols, from + col, panel_cols * sizeof(T));
            if (col == p.cols) continue;
            T* const last = buffer + col * p.depth + k * panel_cols;
            std::fill(std::copy(from + col, from + p.cols, last), last + panel_cols, T(0));
        }
        run_on(set, PanelProduct<T>{p, buffer});
        p.a += p.depth;
        p.add = true;
    }
}

/// How many parts of at most `size` something of length n has.
constexpr nn::Index parts(nn::Index n, nn::Index size) { return (n + size - 1) / size; }

/// to = from^T; `from` is rows x cols.
template <class T>
void transpose(const T* from, nn::Index from_stride, nn::Index rows, nn::Index cols, T* to,
               nn::Index to_stride) {
    constexpr nn::Index block = 8;  // lines of the cache at a time: as many as can lie a power of two apart
    for (nn::Index i = 0; i < rows; i += block)
        for (nn::Index j = 0; j < cols; j += block)
            for (nn::Index r = i; r < (std::min)(rows, i + block); ++r)
                for (nn::Index c = j; c < (std::min)(cols, j + block); ++c)
                    to[c * to_stride + r] = from[r * from_stride + c];
}

}  // namespace amct_distill::detail
