// SPDX-License-Identifier: Apache-2.0
/// Pads, or crops, any dimension at its beginning and end.
///
///     x = net.add_function("/Pad", Pad({.begin = {0, 0, 1, 1}, .end = {0, 0, 2, 2}}), {x});     // zeros
///     Pad({.begin = {0, 0, 2}, .end = {0, 0, 2}, .mode = PadMode::reflect})         // c b [a b c] b a
///     Pad({.begin = {0, 0, -1}, .end = {0, 0, 2}, .mode = PadMode::edge})           // [b c] c c
///
/// One number for each dimension, the batch's being 0; a negative one crops.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "../moves.hpp"

namespace amct_distill::nn {

enum class PadMode { constant, reflect, edge };

struct PadOptions {
    Shape begin{}, end{};
    PadMode mode = PadMode::constant;
    float value = 0;  ///< in PadMode::constant
    friend bool operator==(const PadOptions&, const PadOptions&) = default;
};

template <class T>
class BasicPad : public detail::MovingModule<BasicPad<T>, T> {
public:
    static constexpr std::string_view type_name = "Pad";

    /// Throws std::invalid_argument when `begin` and `end` are not of one length.
    explicit BasicPad(PadOptions options) : options_(std::move(options)) {
        auto const large = [](Index n) { return n > largest_size || n < -largest_size; };
        if (options_.begin.empty() || options_.begin.size() != options_.end.size() ||
            std::ranges::any_of(options_.begin, large) || std::ranges::any_of(options_.end, large) ||
            options_.mode < PadMode::constant || options_.mode > PadMode::edge)
            throw std::invalid_argument(
                "Pad: expected a beginning and an end for each dimension, and a mode");
    }
    const PadOptions& options() const { return options_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        std::size_t const rank = options_.begin.size();
        if (inputs.size() != 1 || inputs[0].size() != rank)
            return detail::unexpected_inputs(detail::concat("one input with ", rank, " dimensions"), inputs);
        Shape shape = inputs[0];
        for (std::size_t d = 0; d != rank; ++d) {
            Index const begin = options_.begin[d], end = options_.end[d], size = shape[d];
            if (begin == 0 && end == 0) continue;
            if (d == 0 && size == any_batch) return detail::touches_batch("padding of dimension 0", inputs);
            // What cropping leaves must be there, and a mirror image has no more than the tensor but one.
            if (size + (std::min)(begin, Index(0)) + (std::min)(end, Index(0)) < 1)
                return detail::unexpected_inputs(
                    detail::concat("a dimension ", d, " that is larger than what is cropped"), inputs);
            if (options_.mode == PadMode::reflect && (begin >= size || end >= size))
                return detail::unexpected_inputs(
                    detail::concat("a dimension ", d, " that is larger than its reflected padding"), inputs);
            shape[d] = size + begin + end;
        }
        return shape;
    }

    void moves(const Shape& input, const Shape& output, detail::Moves<T>& m) const {
        m.fill(T(options_.value));
        for (std::size_t d = 0; d != input.size(); ++d) {
            Index const step = detail::step_of(input, d), begin = options_.begin[d], last = input[d] - 1;
            if (begin == 0 && output[d] == input[d]) {
                m.every(output[d], step);
                continue;
            }
            m.at(output[d], step, [&](Index i) {
                Index const from = i - begin;
                if (from >= 0 && from <= last) return from;
                if (options_.mode == PadMode::constant) return Index(-1);
                if (options_.mode == PadMode::edge) return std::clamp(from, Index(0), last);
                return from < 0 ? -from : 2 * last - from;
            });
        }
    }

private:
    PadOptions options_;
};

using Pad = BasicPad<float>;

}  // namespace amct_distill::nn
