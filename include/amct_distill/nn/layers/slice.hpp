// SPDX-License-Identifier: Apache-2.0
/// A part of a tensor: Slice, Gather by constant indices.
///
///     // x[:, :, 1:5:2, -1:0:-1]
///     Slice({.dims = {2, 3}, .starts = {1, -1}, .ends = {5, 0}, .steps = {2, -1}})
///     Gather({.dim = 1, .indices = {2, 0, 2}, .shape = {3}})    // channels 2, 0 and 2
///     Gather({.dim = 1, .indices = {-1}})                       // the last one, without the dimension
#pragma once
#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "../moves.hpp"

namespace amct_distill::nn {

/// As numpy's x[start:end:step] in some dimensions: negative starts and ends count from the end, and what
/// exceeds the tensor is cut off.
struct SliceOptions {
    Shape dims{}, starts{}, ends{};
    Shape steps{};  ///< none: all are 1
    friend bool operator==(const SliceOptions&, const SliceOptions&) = default;
};

template <class T>
class BasicSlice : public detail::MovingModule<BasicSlice<T>, T> {
public:
    static constexpr std::string_view type_name = "Slice";
    /// Throws std::invalid_argument when the lists differ in length, a dimension is negative or named twice,
    /// or a step is 0.
    explicit BasicSlice(SliceOptions options) : options_(std::move(options)) {
        SliceOptions& o = options_;
        if (o.steps.empty()) o.steps.assign(o.dims.size(), 1);
        Shape sorted = o.dims;
        std::sort(sorted.begin(), sorted.end());
        if (o.starts.size() != o.dims.size() || o.ends.size() != o.dims.size() ||
            o.steps.size() != o.dims.size() || std::ranges::count(o.steps, Index(0)) != 0 ||
            (!sorted.empty() && sorted[0] < 0) ||
            std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
            throw std::invalid_argument(
                "Slice: expected different dimensions from 0 on, and for each a start, an end and a step "
                "other than 0");
    }
    /// With the steps filled in.
    const SliceOptions& options() const { return options_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1) return detail::unexpected_inputs("one input", inputs);
        Shape shape = inputs[0];
        for (std::size_t i = 0; i != options_.dims.size(); ++i) {
            auto const d = static_cast<std::size_t>(options_.dims[i]);
            if (d >= shape.size())
                return detail::unexpected_inputs(detail::concat("one input with a dimension ", d), inputs);
            if (d == 0 && shape[0] == any_batch)
                return detail::touches_batch("a slice of dimension 0", inputs);
            shape[d] = part(i, shape[d]).size;
            if (shape[d] < 1)
                return detail::unexpected_inputs(
                    detail::concat("one input of whose dimension ", d, " the slice leaves something"),
                    inputs);
        }
        return shape;
    }
    void moves(const Shape& input, const Shape&, detail::Moves<T>& m) const {
        for (std::size_t d = 0; d != input.size(); ++d) {
            Index const step = detail::step_of(input, d);
            auto const i = std::ranges::find(options_.dims, static_cast<Index>(d)) - options_.dims.begin();
            Part const p = i == std::ssize(options_.dims) ? Part{0, 1, input[d]}
                                                          : part(static_cast<std::size_t>(i), input[d]);
            m.skip(p.start * step);
            m.every(p.size, p.step * step);
        }
    }

private:
    struct Part {
        Index start = 0, step = 1, size = 0;
    };
    Part part(std::size_t i, Index size) const {
        Index const step = options_.steps[i];
        // From after the last value on, or, backwards, until before the first.
        Index const low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
        auto const within = [&](Index at) { return std::clamp(at < 0 ? at + size : at, low, high); };
        Index const start = within(options_.starts[i]), end = within(options_.ends[i]);
        Index const length = step > 0 ? end - start : start - end;
        // Of a step's size as an unsigned number: the smallest one has no positive counterpart.
        std::size_t const stride =
            step > 0 ? static_cast<std::size_t>(step) : 0 - static_cast<std::size_t>(step);
        if (length <= 0) return {0, 1, 0};
        auto const count = static_cast<Index>((static_cast<std::size_t>(length) - 1) / stride) + 1;
        return {start, count == 1 ? 1 : step, count};  // a step past the end may be any number
    }
    SliceOptions options_;
};

struct GatherOptions {
    Index dim = 0;
    Shape indices{};  ///< into the dimension; negative ones count from its end
    Shape shape{};    ///< of the indices, which takes the dimension's place; none: one index, which drops it
    friend bool operator==(const GatherOptions&, const GatherOptions&) = default;
};

/// Chosen values of one dimension, in any order. (Indices that are an activation: Embedding.)
template <class T>
class BasicGather : public detail::MovingModule<BasicGather<T>, T> {
public:
    static constexpr std::string_view type_name = "Gather";
    /// Throws std::invalid_argument when the shape has not as many values as there are indices.
    explicit BasicGather(GatherOptions options) : options_(std::move(options)) {
        const GatherOptions& o = options_;
        if (o.dim < 0 || o.indices.empty() || std::ranges::any_of(o.shape, [](Index d) { return d < 1; }) ||
            is_too_large(o.shape) || product(o.shape, 0, o.shape.size()) != std::ssize(o.indices))
            throw std::invalid_argument(
                "Gather: expected a dimension from 0 on and indices, as many as their shape says");
    }
    const GatherOptions& options() const { return options_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        std::size_t const dim = static_cast<std::size_t>(options_.dim);
        if (inputs.size() != 1 || inputs[0].size() <= dim)
            return detail::unexpected_inputs(detail::concat("one input with a dimension ", dim), inputs);
        if (dim == 0 && inputs[0][0] == any_batch)
            return detail::touches_batch("chosen values of dimension 0", inputs);
        for (Index i : options_.indices)
            if (i < -inputs[0][dim] || i >= inputs[0][dim])
                return detail::unexpected_inputs(
                    detail::concat("one input whose dimension ", dim, " has an index ", i), inputs);
        Shape shape = inputs[0];
        auto const at = shape.erase(shape.begin() + options_.dim);
        shape.insert(at, options_.shape.begin(), options_.shape.end());
        return shape.empty() ? Shape{1} : shape;
    }
    void moves(const Shape& input, const Shape&, detail::Moves<T>& m) const {
        for (std::size_t d = 0; d != input.size(); ++d) {
            Index const step = detail::step_of(input, d);
            if (d != static_cast<std::size_t>(options_.dim)) {
                m.every(input[d], step);
                continue;
            }
            m.at(std::ssize(options_.indices), step, [&](Index i) {
                Index const index = options_.indices[static_cast<std::size_t>(i)];
                return index < 0 ? index + input[d] : index;
            });
        }
    }

private:
    GatherOptions options_;
};

using Slice = BasicSlice<float>;
using Gather = BasicGather<float>;

}  // namespace amct_distill::nn
