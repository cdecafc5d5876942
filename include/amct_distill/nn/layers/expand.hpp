// SPDX-License-Identifier: Apache-2.0
/// Repeats values: Expand along dimensions of 1, Tile along any. (RepeatOverBatch: along the batch.)
///
///     Expand({1, 4, 8})                                   // [N, 1, 8] -> [N, 4, 8]: 1 keeps a dimension
///     Tile({1, 2, 3})                                     // [N, C, H] -> [N, 2 C, 3 H]
#pragma once
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "../moves.hpp"

namespace amct_distill::nn {

struct ExpandOptions {
    Shape shape{};  ///< of the output where the input has a 1; a 1 keeps what the input has
    friend bool operator==(const ExpandOptions&, const ExpandOptions&) = default;
};

/// Broadcasts as numpy does.
template <class T>
class BasicExpand : public detail::MovingModule<BasicExpand<T>, T> {
public:
    static constexpr std::string_view type_name = "Expand";
    /// Throws std::invalid_argument when a dimension is smaller than 1.
    explicit BasicExpand(Shape shape) : options_{std::move(shape)} {
        if (std::ranges::any_of(options_.shape, [](Index d) { return d < 1 || d > largest_size; }))
            throw std::invalid_argument(
                detail::concat("Expand: expected dimensions from 1 to ", largest_size));
    }
    template <std::same_as<ExpandOptions> O>
    explicit BasicExpand(O options) : BasicExpand(std::move(options.shape)) {}
    const ExpandOptions& options() const { return options_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].empty()) return detail::unexpected_inputs("one input", inputs);
        std::size_t const rank = (std::max)(options_.shape.size(), inputs[0].size());
        Shape shape(rank, 1);
        std::copy(inputs[0].rbegin(), inputs[0].rend(), shape.rbegin());
        Shape target(rank, 1);
        std::copy(options_.shape.rbegin(), options_.shape.rend(), target.rbegin());
        if (inputs[0][0] == any_batch && (rank != inputs[0].size() || target[0] != 1))
            return detail::touches_batch("another dimension 0", inputs);
        for (std::size_t d = 0; d != rank; ++d) {
            if (shape[d] != 1 && target[d] != 1 && shape[d] != target[d])
                return detail::unexpected_inputs(
                    detail::concat("an input that can be expanded to ", to_string(options_.shape)), inputs);
            if (shape[d] == 1) shape[d] = target[d];
        }
        return shape;
    }
    void moves(const Shape& input, const Shape& output, detail::Moves<T>& m) const {
        std::size_t const more = output.size() - input.size();
        for (std::size_t d = 0; d != output.size(); ++d)
            m.every(output[d],
                    d < more || input[d - more] != output[d] ? 0 : detail::step_of(input, d - more));
    }

private:
    ExpandOptions options_;
};

struct TileOptions {
    Shape repeats{};
    friend bool operator==(const TileOptions&, const TileOptions&) = default;
};

/// The whole tensor again and again, a number of times along each dimension.
template <class T>
class BasicTile : public detail::MovingModule<BasicTile<T>, T> {
public:
    static constexpr std::string_view type_name = "Tile";
    /// Throws std::invalid_argument when a number is smaller than 1.
    explicit BasicTile(Shape repeats) : options_{std::move(repeats)} {
        if (std::ranges::any_of(options_.repeats, [](Index n) { return n < 1 || n > largest_size; }))
            throw std::invalid_argument(detail::concat("Tile: expected numbers from 1 to ", largest_size));
    }
    template <std::same_as<TileOptions> O>
    explicit BasicTile(O options) : BasicTile(std::move(options.repeats)) {}
    const TileOptions& options() const { return options_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        const Shape& repeats = options_.repeats;
        if (inputs.size() != 1 || inputs[0].size() != repeats.size() || repeats.empty())
            return detail::unexpected_inputs(detail::concat("one input with ", repeats.size(), " dimensions"),
                                             inputs);
        if (inputs[0][0] == any_batch && repeats[0] != 1)
            return detail::touches_batch("repeating dimension 0", inputs);
        Shape shape = inputs[0];
        for (std::size_t d = 0; d != shape.size(); ++d)
            if (repeats[d] != 1) shape[d] *= repeats[d];
        return shape;
    }
    void moves(const Shape& input, const Shape&, detail::Moves<T>& m) const {
        for (std::size_t d = 0; d != input.size(); ++d) {
            m.every(options_.repeats[d], 0);
            m.every(input[d], detail::step_of(input, d));
        }
    }

private:
    TileOptions options_;
};

using Expand = BasicExpand<float>;
using Tile = BasicTile<float>;

}  // namespace amct_distill::nn
