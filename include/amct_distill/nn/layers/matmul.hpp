// SPDX-License-Identifier: Apache-2.0
/// The matrix product of two activations, as torch.matmul: [..., M, K] times [..., K, N] -> [..., M, N].
///
///     x = net.add_function("/MatMul", MatMul{}, {queries, keys});   // [N, heads, T, D], [N, heads, D, T]
///
/// The dimensions before the last two are broadcast. An input of one dimension is a row on the left, a column
/// on the right, and is not in the output's shape. A batch of any size is dimension 0 of the output: it may
/// count the left input's rows, but not what the product sums over.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

#include "../matrix_product.hpp"
#include "../module.hpp"

namespace amct_distill::nn {

template <class T>
class BasicMatMul {
public:
    static constexpr std::string_view type_name = "MatMul";

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        auto const error = [&](std::string_view expected) {
            return detail::unexpected_inputs(expected, inputs);
        };
        if (inputs.size() != 2 || inputs[0].empty() || inputs[1].empty())
            return error("two inputs [..., M, K] and [..., K, N]");
        const Shape &a = inputs[0], &b = inputs[1];
        Index const depth = b.size() == 1 ? b[0] : b[b.size() - 2];
        if (a.back() != depth || depth == any_batch)
            return error("two inputs [..., M, K] and [..., K, N] of one K, which is not the batch");
        Shape out((std::max)({a.size(), b.size(), std::size_t(2)}) - 2);
        for (std::size_t i = 0; i != out.size(); ++i) {
            Index const left = dim_before(a, out.size(), i), right = dim_before(b, out.size(), i);
            if (left != right && left != 1 && right != 1)
                return error(
                    "two inputs [..., M, K] and [..., K, N] whose other dimensions are the same or 1");
            out[i] = left == 1 ? right : left;
        }
        if (a.size() > 1) out.push_back(a[a.size() - 2]);
        if (b.size() > 1) out.push_back(b.back());
        if (out.empty()) out.push_back(1);
        for (std::size_t i = 1; i < out.size(); ++i)
            if (out[i] == any_batch)
                return error(
                    "the batch, N, as dimension 0 of the output: give both inputs as many dimensions");
        return out;
    }

    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch, Mode) const {
        Sizes const s(inputs[0]->shape(), inputs[1]->shape());
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        Index const col_parts = detail::parts(s.cols, detail::product_cols);
        scratch.parallel_for(s.outputs * col_parts, s.work(), [&](Index task, Index worker) {
            Index const out = task / col_parts, col = task % col_parts * detail::product_cols;
            const T* const b = inputs[1]->data() + s.right.of_output(out) * s.depth * s.cols + col;
            detail::multiply<T>(
                set,
                {.c = output.data() + out * s.rows * s.cols + col,
                 .c_stride = s.cols,
                 .a = inputs[0]->data() + s.left.of_output(out) * s.rows * s.depth,
                 .a_stride = s.depth,
                 .rows = s.rows,
                 .depth = s.depth,
                 .cols = (std::min)(detail::product_cols, s.cols - col),
                 .add = false},
                [&](Index k, T*) { return b + k * s.cols; }, buffers + worker * detail::product_buffer);
        });
    }

    /// The gradient of a matrix that is broadcast is the sum over all products that read it, in their order.
    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>,
                  BasicScratch<T>& scratch, Mode) const {
        Sizes const s(inputs[0]->shape(), inputs[1]->shape());
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        Index const size = (std::max)(s.depth * s.cols, s.rows * s.depth);
        T* const transposed = scratch.buffer(1, size);
        auto const set = scratch.execution().instructions;
        auto const add_product = [&](Index rows, Index depth, Index cols, const T* a, const T* b, T* c,
                                     Index worker) {
            for (Index col = 0; col < cols; col += detail::product_cols)
                detail::multiply<T>(
                    set,
                    {.c = c + col,
                     .c_stride = cols,
                     .a = a,
                     .a_stride = depth,
                     .rows = rows,
                     .depth = depth,
                     .cols = (std::min)(detail::product_cols, cols - col)},
                    [&](Index k, T*) { return b + k * cols + col; },
                    buffers + worker * detail::product_buffer);
        };
        if (grad_inputs[0])  // g b^T
            scratch.parallel_for(s.left.count, s.work(), [&](Index left, Index worker) {
                T* const b = transposed + worker * size;
                for (Index i = 0; i != s.outputs / s.left.count; ++i) {
                    Index const out = s.left.output(left, i);
                    detail::transpose(inputs[1]->data() + s.right.of_output(out) * s.depth * s.cols, s.cols,
                                      s.depth, s.cols, b, s.depth);
                    add_product(s.rows, s.cols, s.depth, grad_output.data() + out * s.rows * s.cols, b,
                                grad_inputs[0]->data() + left * s.rows * s.depth, worker);
                }
            });
        if (grad_inputs[1])  // a^T g
            scratch.parallel_for(s.right.count, s.work(), [&](Index right, Index worker) {
                T* const a = transposed + worker * size;
                for (Index i = 0; i != s.outputs / s.right.count; ++i) {
                    Index const out = s.right.output(right, i);
                    detail::transpose(inputs[0]->data() + s.left.of_output(out) * s.rows * s.depth, s.depth,
                                      s.rows, s.depth, a, s.rows);
                    add_product(s.depth, s.rows, s.cols, a, grad_output.data() + out * s.rows * s.cols,
                                grad_inputs[1]->data() + right * s.depth * s.cols, worker);
                }
            });
    }

private:
    /// Dimension i of those before the last two, of which the output has `n`; 1 where the shape has none.
    static Index dim_before(const Shape& shape, std::size_t n, std::size_t i) {
        return shape.size() + i < n + 2 ? 1 : shape[shape.size() + i - n - 2];
    }

    /// The matrices of an input, as the output's matrices read them.
    struct Matrices {
        const Shape *own = nullptr, *other = nullptr;
        std::size_t dims = 0;  // of the output before the last two
        Index count = 1;

        Matrices(const Shape& a, const Shape& b)
            : own(&a), other(&b), dims((std::max)({a.size(), b.size(), std::size_t(2)}) - 2) {
            for (std::size_t d = 0; d != dims; ++d) count *= dim_before(a, dims, d);
        }
        Index output_dim(std::size_t d) const {
            Index const n = dim_before(*own, dims, d);
            return n == 1 ? dim_before(*other, dims, d) : n;
        }
        /// The matrix that an output's reads.
        Index of_output(Index output) const {
            Index index = 0, step = 1;
            for (std::size_t d = dims; d-- != 0; output /= output_dim(d)) {
                Index const n = dim_before(*own, dims, d);
                if (n != 1) index += output % n * step;
                step *= n;
            }
            return index;
        }
        /// The i-th of the outputs that read a matrix.
        Index output(Index index, Index i) const {
            Index out = 0, step = 1;
            for (std::size_t d = dims; d-- != 0;) {
                Index const n = dim_before(*own, dims, d), all = output_dim(d);
                Index& from = n == 1 ? i : index;
                out += from % all * step;
                from /= all;
                step *= all;
            }
            return out;
        }
    };
    struct Sizes {
        Matrices left, right;
        Index outputs = 1, rows = 1, depth = 1, cols = 1;

        Sizes(const Shape& a, const Shape& b) : left(a, b), right(b, a), depth(a.back()) {
            for (std::size_t d = 0; d != left.dims; ++d) outputs *= left.output_dim(d);
            if (a.size() > 1) rows = a[a.size() - 2];
            if (b.size() > 1) cols = b.back();
        }
        double work() const { return double(outputs * rows) * double(depth * cols); }
    };
};

using MatMul = BasicMatMul<float>;

}  // namespace amct_distill::nn
