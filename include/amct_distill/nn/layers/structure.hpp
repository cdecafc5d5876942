// SPDX-License-Identifier: Apache-2.0
/// What joins and reshapes: Concat, Flatten, Reshape, Identity, Dropout.
///
///     x = net.add_function("/Concat", Concat(1), {x, y});       // along the channels
///     x = net.add_function("/Flatten", Flatten{}, {x});         // [N, C, H, W] -> [N, C * H * W]
///     x = net.add_function("/Reshape", Reshape({16, -1}), {x}); // [N, ...] -> [N, 16, what is left]
#pragma once
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "../module.hpp"

namespace amct_distill::detail {

/// What only changes the shape: the values pass in their order, and so do the gradients.
template <class T>
class PassThrough {
public:
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>&,
                 nn::Mode) const {
        std::copy(inputs[0]->begin(), inputs[0]->end(), output.begin());
    }
    void backward(nn::BasicInputs<T>, const nn::BasicTensor<T>&, const nn::BasicTensor<T>& grad_output,
                  std::span<nn::BasicTensor<T>* const> grad_inputs, std::span<nn::BasicTensor<T>>,
                  nn::BasicScratch<T>&, nn::Mode) const {
        if (grad_inputs[0]) nn::array(*grad_inputs[0]) += nn::array(grad_output);
    }
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

struct ConcatOptions {
    Index dim = 1;
    friend bool operator==(const ConcatOptions&, const ConcatOptions&) = default;
};

/// The inputs one after another along a dimension.
template <class T>
class BasicConcat {
public:
    static constexpr std::string_view type_name = "Concat";
    /// Throws std::invalid_argument for dimension 0, the batch.
    explicit BasicConcat(std::size_t dim = 1) : dim_(dim) {
        if (dim == 0) throw std::invalid_argument("Concat: dim 0 is the batch; expected 1 or more");
    }
    explicit BasicConcat(const ConcatOptions& options) : BasicConcat(detail::dimension(options.dim)) {}
    ConcatOptions options() const { return {static_cast<Index>(dim_)}; }
    std::size_t dim() const { return dim_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        auto const joins = [&](Shape other) {
            if (other.size() <= dim_ || other.size() != inputs[0].size()) return false;
            other[dim_] = inputs[0][dim_];
            return other == inputs[0];
        };
        if (inputs.empty() || !std::all_of(inputs.begin(), inputs.end(), joins))
            return detail::unexpected_inputs(
                detail::concat("inputs whose shapes differ in dimension ", dim_, " at most"), inputs);
        Shape shape = inputs[0];
        for (const Shape& other : inputs.subspan(1)) shape[dim_] += other[dim_];
        return shape;
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>&, Mode) const {
        Index const outer = product(output.shape(), 0, dim_);
        MatrixMap<T> y = lines(output, outer);
        Index first = 0;
        for (const BasicTensor<T>* input : inputs) {
            ConstMatrixMap<T> const x = lines(*input, outer);
            y.middleCols(first, x.cols()) = x;
            first += x.cols();
        }
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        Index const outer = product(grad_output.shape(), 0, dim_);
        ConstMatrixMap<T> const gy = lines(grad_output, outer);
        Index first = 0;
        for (std::size_t i = 0; i != inputs.size(); ++i) {
            Index const cols = static_cast<Index>(inputs[i]->size()) / outer;
            if (grad_inputs[i]) lines(*grad_inputs[i], outer) += gy.middleCols(first, cols);
            first += cols;
        }
    }

private:
    /// Rows are the dimensions before `dim`, columns the others.
    template <class Tensor>
    static auto lines(Tensor& tensor, Index outer) {
        return matrix(tensor, outer, static_cast<Index>(tensor.size()) / outer);
    }
    std::size_t dim_;
};

struct FlattenOptions {
    Index start_dim = 1;
    friend bool operator==(const FlattenOptions&, const FlattenOptions&) = default;
};

/// Joins the dimensions from `start_dim` on into one.
template <class T>
class BasicFlatten : public detail::PassThrough<T> {
public:
    static constexpr std::string_view type_name = "Flatten";
    /// Throws std::invalid_argument for dimension 0, the batch.
    explicit BasicFlatten(std::size_t start_dim = 1) : start_dim_(start_dim) {
        if (start_dim == 0)
            throw std::invalid_argument("Flatten: start_dim 0 is the batch; expected 1 or more");
    }
    explicit BasicFlatten(const FlattenOptions& options)
        : BasicFlatten(detail::dimension(options.start_dim)) {}
    FlattenOptions options() const { return {static_cast<Index>(start_dim_)}; }
    std::size_t start_dim() const { return start_dim_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() <= start_dim_)
            return detail::unexpected_inputs(detail::concat("one input with a dimension ", start_dim_),
                                             inputs);
        Shape shape(inputs[0].begin(), inputs[0].begin() + static_cast<std::ptrdiff_t>(start_dim_));
        shape.push_back(product(inputs[0], start_dim_, inputs[0].size()));
        return shape;
    }

private:
    std::size_t start_dim_;
};

struct ReshapeOptions {
    Shape sample{};  ///< without the batch; one dimension may be -1: what is left
    friend bool operator==(const ReshapeOptions&, const ReshapeOptions&) = default;
};

/// Another shape for the same values of each sample.
template <class T>
class BasicReshape : public detail::PassThrough<T> {
public:
    static constexpr std::string_view type_name = "Reshape";
    /// The shape without the batch; one dimension may be -1: what is left. Throws std::invalid_argument
    /// when it is none.
    explicit BasicReshape(Shape sample) : sample_(std::move(sample)) {
        auto const is_free = [](Index d) { return d == -1; };
        auto const is_known = [](Index d) { return d > 0; };
        auto const free = std::count_if(sample_.begin(), sample_.end(), is_free);
        auto const known = std::count_if(sample_.begin(), sample_.end(), is_known);
        if (sample_.empty() || free > 1 || free + known != std::ssize(sample_))
            throw std::invalid_argument(
                "Reshape: expected the dimensions after the batch, each at least 1, one of them perhaps -1");
    }
    template <std::same_as<ReshapeOptions> O>
    explicit BasicReshape(O options) : BasicReshape(std::move(options.sample)) {}
    ReshapeOptions options() const { return {sample_}; }
    const Shape& sample() const { return sample_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].empty()) return detail::unexpected_inputs("one input", inputs);
        Index const values = product(inputs[0], 1, inputs[0].size());
        Shape shape = sample_;
        auto const free = std::find(shape.begin(), shape.end(), -1);
        Index const known = free == shape.end() ? product(shape, 0, shape.size())
                                                : -product(shape, 0, shape.size());  // without the -1
        if (free == shape.end() ? known != values : values % known != 0)
            return detail::unexpected_inputs(
                detail::concat("one input whose samples have ", free == shape.end() ? "" : "a multiple of ",
                               known, " values"),
                inputs);
        if (free != shape.end()) *free = values / known;
        shape.insert(shape.begin(), inputs[0][0]);
        return shape;
    }

private:
    Shape sample_;
};

template <class T>
class BasicIdentity : public detail::PassThrough<T> {
public:
    static constexpr std::string_view type_name = "Identity";
    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1) return detail::unexpected_inputs("one input", inputs);
        return inputs[0];
    }
};

/// The identity, in train too: a place for the name. What is trained here learns to follow a teacher, and a
/// random teacher or student has nothing to teach or to be compared.
template <class T>
class BasicDropout : public BasicIdentity<T> {
public:
    static constexpr std::string_view type_name = "Dropout";
};

using Concat = BasicConcat<float>;
using Flatten = BasicFlatten<float>;
using Reshape = BasicReshape<float>;
using Identity = BasicIdentity<float>;
using Dropout = BasicDropout<float>;

}  // namespace amct_distill::nn
