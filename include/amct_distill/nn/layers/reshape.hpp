// SPDX-License-Identifier: Apache-2.0
/// Other shapes for the same values: Flatten, Reshape, Squeeze, Unsqueeze.
///
///     x = net.add_function("/Flatten", Flatten{}, {x});          // [N, C, H, W] -> [N, C * H * W]
///     x = net.add_function("/Reshape", Reshape({16, -1}), {x});  // [N, ...] -> [N, 16, what is left]
///     Reshape::whole({6, -1})  // dimension 0 too, where the batch is fixed
///     Squeeze({2, 3})                                            // [N, C, 1, 1] -> [N, C]
///     Unsqueeze({1})                                             // [N, C] -> [N, 1, C]
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
#include "../moves.hpp"

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

struct FlattenOptions {
    Index start_dim = 1;
    friend bool operator==(const FlattenOptions&, const FlattenOptions&) = default;
};

/// Joins the dimensions from `start_dim` on into one.
template <class T>
class BasicFlatten : public detail::PassThrough<T> {
public:
    static constexpr std::string_view type_name = "Flatten";
    explicit BasicFlatten(std::size_t start_dim = 1) : start_dim_(start_dim) {}
    explicit BasicFlatten(const FlattenOptions& options)
        : BasicFlatten(static_cast<std::size_t>((std::max)(options.start_dim, Index(0)))) {}
    FlattenOptions options() const { return {static_cast<Index>(start_dim_)}; }
    std::size_t start_dim() const { return start_dim_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() <= start_dim_)
            return detail::unexpected_inputs(detail::concat("one input with a dimension ", start_dim_),
                                             inputs);
        if (start_dim_ == 0 && inputs[0][0] == any_batch)
            return detail::touches_batch("flattening from dimension 0 on", inputs);
        Shape shape(inputs[0].begin(), inputs[0].begin() + static_cast<std::ptrdiff_t>(start_dim_));
        shape.push_back(product(inputs[0], start_dim_, inputs[0].size()));
        return shape;
    }

private:
    std::size_t start_dim_;
};

struct ReshapeOptions {
    Shape sample{};      ///< without the batch; one dimension may be -1: what is left
    bool whole = false;  ///< dimension 0 is in it too: for inputs of a fixed batch
    friend bool operator==(const ReshapeOptions&, const ReshapeOptions&) = default;
};

/// Another shape for the same values, of each sample or, where the batch is fixed, of all.
template <class T>
class BasicReshape : public detail::PassThrough<T> {
public:
    static constexpr std::string_view type_name = "Reshape";
    /// The shape without the batch; one dimension may be -1: what is left. Throws std::invalid_argument
    /// when it is none.
    explicit BasicReshape(Shape sample) : BasicReshape(ReshapeOptions{std::move(sample), false}) {}
    template <std::same_as<ReshapeOptions> O>
    explicit BasicReshape(O options) : options_(std::move(options)) {
        const Shape& sample = options_.sample;
        auto const free = std::count(sample.begin(), sample.end(), Index(-1));
        auto const known = std::count_if(sample.begin(), sample.end(), [](Index d) { return d > 0; });
        if ((options_.whole && sample.empty()) || free > 1 || free + known != std::ssize(sample) ||
            is_too_large(sample))
            throw std::invalid_argument(detail::concat("Reshape: expected the dimensions",
                                                       options_.whole ? "" : " after the batch",
                                                       ", each at least 1, one of them perhaps -1"));
    }
    static BasicReshape whole(Shape shape) { return BasicReshape(ReshapeOptions{std::move(shape), true}); }
    const ReshapeOptions& options() const { return options_; }
    const Shape& sample() const { return options_.sample; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].empty()) return detail::unexpected_inputs("one input", inputs);
        bool const whole = options_.whole;
        if (whole && inputs[0][0] == any_batch) return detail::touches_batch("a whole shape", inputs);
        Index const values = product(inputs[0], whole ? 0 : 1, inputs[0].size());
        Shape shape = options_.sample;
        auto const free = std::find(shape.begin(), shape.end(), -1);
        Index const known = free == shape.end() ? product(shape, 0, shape.size())
                                                : -product(shape, 0, shape.size());  // without the -1
        if (free == shape.end() ? known != values : values % known != 0)
            return detail::unexpected_inputs(
                detail::concat("one input ", whole ? "with " : "whose samples have ",
                               free == shape.end() ? "" : "a multiple of ", known, " values"),
                inputs);
        if (free != shape.end()) *free = values / known;
        if (!whole) shape.insert(shape.begin(), inputs[0][0]);
        return shape;
    }

private:
    ReshapeOptions options_;
};

struct DimsOptions {
    Shape dims{};
    friend bool operator==(const DimsOptions&, const DimsOptions&) = default;
};

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// The dimensions that Squeeze takes away and Unsqueeze adds.
template <class T>
class DimsModule : public PassThrough<T> {
public:
    /// Throws std::invalid_argument when one is negative or named twice.
    explicit DimsModule(nn::Shape dims) : options_{std::move(dims)} {
        nn::Shape sorted = options_.dims;
        std::sort(sorted.begin(), sorted.end());
        if ((!sorted.empty() && sorted[0] < 0) ||
            std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
            throw std::invalid_argument("Squeeze, Unsqueeze: expected different dimensions from 0 on");
    }
    const nn::DimsOptions& options() const { return options_; }

protected:
    bool has(std::size_t dim) const {
        return std::ranges::find(options_.dims, static_cast<nn::Index>(dim)) != options_.dims.end();
    }
    nn::DimsOptions options_;
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// Without some dimensions, which are 1. Of a tensor without any others a dimension of 1 stays.
template <class T>
class BasicSqueeze : public detail::DimsModule<T> {
public:
    static constexpr std::string_view type_name = "Squeeze";
    explicit BasicSqueeze(Shape dims) : detail::DimsModule<T>(std::move(dims)) {}
    template <std::same_as<DimsOptions> O>
    explicit BasicSqueeze(O options) : BasicSqueeze(std::move(options.dims)) {}

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        for (Index d : this->options_.dims)
            if (inputs.size() != 1 || std::ssize(inputs[0]) <= d || inputs[0][std::size_t(d)] != 1)
                return detail::unexpected_inputs(detail::concat("one input whose dimension ", d, " is 1"),
                                                 inputs);
        if (inputs.size() != 1) return detail::unexpected_inputs("one input", inputs);
        Shape shape;
        for (std::size_t d = 0; d != inputs[0].size(); ++d)
            if (!this->has(d)) shape.push_back(inputs[0][d]);
        return shape.empty() ? Shape{1} : shape;
    }
};

/// With some further dimensions, of 1; the numbers are those that they have in the output.
template <class T>
class BasicUnsqueeze : public detail::DimsModule<T> {
public:
    static constexpr std::string_view type_name = "Unsqueeze";
    explicit BasicUnsqueeze(Shape dims) : detail::DimsModule<T>(std::move(dims)) {}
    template <std::same_as<DimsOptions> O>
    explicit BasicUnsqueeze(O options) : BasicUnsqueeze(std::move(options.dims)) {}

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].empty()) return detail::unexpected_inputs("one input", inputs);
        std::size_t const rank = inputs[0].size() + this->options_.dims.size();
        for (Index d : this->options_.dims)
            if (d >= static_cast<Index>(rank))
                return detail::unexpected_inputs(
                    detail::concat("one input with ", d - static_cast<Index>(rank) + 1, " more dimensions"),
                    inputs);
        if (inputs[0][0] == any_batch && this->has(0))
            return detail::touches_batch("a dimension before the batch", inputs);
        Shape shape;
        std::size_t from = 0;
        for (std::size_t d = 0; d != rank; ++d) shape.push_back(this->has(d) ? 1 : inputs[0][from++]);
        return shape;
    }
};

using Flatten = BasicFlatten<float>;
using Reshape = BasicReshape<float>;
using Squeeze = BasicSqueeze<float>;
using Unsqueeze = BasicUnsqueeze<float>;

}  // namespace amct_distill::nn
