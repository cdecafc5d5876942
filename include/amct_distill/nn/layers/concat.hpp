// SPDX-License-Identifier: Apache-2.0
/// Joins tensors along a dimension, and cuts one into several: Concat, Split.
///
///     x = net.add_function("/Concat", Concat(1), {x, y});                        // along the channels
///     NodeId first = net.add_function("/Split", Split({.dim = 1, .sizes = {2, 6}}), {x});
///     std::vector<NodeId> parts = net.outputs_of(first);                         // of 2 and 6 channels
#pragma once
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "../module.hpp"
#include "../moves.hpp"

namespace amct_distill::detail {

/// A tensor as a matrix: rows are the dimensions before `dim`, columns the others.
template <class Tensor>
auto lines_before(Tensor& tensor, std::size_t dim) {
    nn::Index const rows = nn::product(tensor.shape(), 0, dim);
    return nn::matrix(tensor, rows, static_cast<nn::Index>(tensor.size()) / rows);
}

}  // namespace amct_distill::detail

namespace amct_distill::nn {

struct ConcatOptions {
    Index dim = 1;
    friend bool operator==(const ConcatOptions&, const ConcatOptions&) = default;
};

/// The inputs one after another along a dimension. Where the batch is free, an input whose dimension 0 is 1,
/// a constant, is the same for every sample.
template <class T>
class BasicConcat {
public:
    static constexpr std::string_view type_name = "Concat";
    explicit BasicConcat(std::size_t dim = 1) : dim_(dim) {}
    explicit BasicConcat(const ConcatOptions& options)
        : BasicConcat(static_cast<std::size_t>((std::max)(options.dim, Index(0)))) {}
    ConcatOptions options() const { return {static_cast<Index>(dim_)}; }
    std::size_t dim() const { return dim_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        auto const free = std::find_if(inputs.begin(), inputs.end(),
                                       [](const Shape& s) { return !s.empty() && s[0] == any_batch; });
        if (dim_ == 0 && free != inputs.end()) return detail::touches_batch("joining dimension 0", inputs);
        auto const joins = [&](Shape other) {
            if (other.size() <= dim_ || other.size() != inputs[0].size()) return false;
            if (free != inputs.end() && (other[0] == 1 || inputs[0][0] == 1)) other[0] = inputs[0][0];
            other[dim_] = inputs[0][dim_];
            return other == inputs[0];
        };
        if (inputs.empty() || !std::all_of(inputs.begin(), inputs.end(), joins))
            return detail::unexpected_inputs(
                detail::concat("inputs whose shapes differ in dimension ", dim_, " at most"), inputs);
        Shape shape = inputs[0];
        if (free != inputs.end()) shape[0] = any_batch;
        for (const Shape& other : inputs.subspan(1)) shape[dim_] += other[dim_];
        return shape;
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>&, Mode) const {
        MatrixMap<T> y = detail::lines_before(output, dim_);
        Index first = 0;
        for (const BasicTensor<T>* input : inputs) {
            ConstMatrixMap<T> const x = detail::lines_before(*input, dim_);
            for (Index row = 0; row != y.rows(); row += x.rows())  // once, but for a constant
                y.block(row, first, x.rows(), x.cols()) = x;
            first += x.cols();
        }
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        ConstMatrixMap<T> const gy = detail::lines_before(grad_output, dim_);
        Index first = 0;
        for (std::size_t i = 0; i != inputs.size(); ++i) {
            ConstMatrixMap<T> const x = detail::lines_before(*inputs[i], dim_);
            if (grad_inputs[i]) {
                MatrixMap<T> gx = detail::lines_before(*grad_inputs[i], dim_);
                for (Index row = 0; row != gy.rows(); row += x.rows())
                    gx += gy.block(row, first, x.rows(), x.cols());
            }
            first += x.cols();
        }
    }

private:
    std::size_t dim_;
};

struct SplitOptions {
    Index dim = 1;
    Shape sizes{};  ///< of the parts in that dimension
    friend bool operator==(const SplitOptions&, const SplitOptions&) = default;
};

/// The parts of the input along a dimension, an output each.
template <class T>
class BasicSplit {
public:
    static constexpr std::string_view type_name = "Split";
    /// Throws std::invalid_argument without parts, or where one is smaller than 1.
    explicit BasicSplit(SplitOptions options) : options_(std::move(options)) {
        if (options_.dim < 0 || options_.sizes.empty() ||
            std::ranges::any_of(options_.sizes, [](Index size) { return size < 1 || size > largest_size; }))
            throw std::invalid_argument("Split: expected a dimension from 0 on and parts of at least 1");
    }
    const SplitOptions& options() const { return options_; }

    result<std::vector<Shape>> output_shapes(std::span<const Shape> inputs) const {
        Index sum = 0;
        for (Index size : options_.sizes) sum += size;
        if (inputs.size() == 1 && dim() == 0 && !inputs[0].empty() && inputs[0][0] == any_batch)
            return detail::touches_batch("splitting dimension 0", inputs);
        if (inputs.size() != 1 || inputs[0].size() <= dim() || inputs[0][dim()] != sum)
            return detail::unexpected_inputs(detail::concat("one input whose dimension ", dim(), " is ", sum),
                                             inputs);
        std::vector<Shape> shapes(options_.sizes.size(), inputs[0]);
        for (std::size_t k = 0; k != shapes.size(); ++k) shapes[k][dim()] = options_.sizes[k];
        return shapes;
    }
    void forward(BasicInputs<T> inputs, std::span<BasicTensor<T>* const> outputs, BasicScratch<T>&,
                 Mode) const {
        ConstMatrixMap<T> const x = detail::lines_before(*inputs[0], dim());
        Index first = 0;
        for (BasicTensor<T>* output : outputs) {
            MatrixMap<T> y = detail::lines_before(*output, dim());
            y = x.middleCols(first, y.cols());
            first += y.cols();
        }
    }
    void backward(BasicInputs<T>, BasicInputs<T>, BasicInputs<T> grad_outputs,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        if (!grad_inputs[0]) return;
        MatrixMap<T> gx = detail::lines_before(*grad_inputs[0], dim());
        Index first = 0;
        for (const BasicTensor<T>* grad_output : grad_outputs) {
            ConstMatrixMap<T> const gy = detail::lines_before(*grad_output, dim());
            gx.middleCols(first, gy.cols()) += gy;
            first += gy.cols();
        }
    }

private:
    std::size_t dim() const { return static_cast<std::size_t>(options_.dim); }
    SplitOptions options_;
};

using Concat = BasicConcat<float>;
using Split = BasicSplit<float>;

}  // namespace amct_distill::nn
