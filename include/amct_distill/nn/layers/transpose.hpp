// SPDX-License-Identifier: Apache-2.0
/// Dimensions in another order, and blocks of pixels as channels and back: Transpose, DepthToSpace,
/// SpaceToDepth, PixelShuffle, PixelUnshuffle.
///
///     x = net.add_function("/Transpose", Transpose({0, 2, 3, 1}), {x});   // [N, C, H, W] -> [N, H, W, C]
///     PixelShuffle({.block = 2})            // [N, 4 C, H, W] -> [N, C, 2 H, 2 W], as in torch.nn
///     DepthToSpace({.block = 2})            // the same with the channels of a pixel C apart (ONNX's DCR)
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

struct TransposeOptions {
    Shape permutation{};  ///< dimension i of the output is dimension permutation[i] of the input
    friend bool operator==(const TransposeOptions&, const TransposeOptions&) = default;
};

template <class T>
class BasicTranspose : public detail::MovingModule<BasicTranspose<T>, T> {
public:
    static constexpr std::string_view type_name = "Transpose";
    /// Throws std::invalid_argument when it is no permutation of 0, 1, ...
    explicit BasicTranspose(Shape permutation) : options_{std::move(permutation)} {
        Shape sorted = options_.permutation;
        std::sort(sorted.begin(), sorted.end());
        for (std::size_t i = 0; i != sorted.size(); ++i)
            if (sorted[i] != static_cast<Index>(i))
                throw std::invalid_argument("Transpose: expected every dimension once, from 0 on");
    }
    template <std::same_as<TransposeOptions> O>
    explicit BasicTranspose(O options) : BasicTranspose(std::move(options.permutation)) {}
    const TransposeOptions& options() const { return options_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        const Shape& order = options_.permutation;
        if (inputs.size() != 1 || inputs[0].size() != order.size() || order.empty())
            return detail::unexpected_inputs(detail::concat("one input with ", order.size(), " dimensions"),
                                             inputs);
        if (inputs[0][0] == any_batch && order[0] != 0)
            return detail::touches_batch("another place of dimension 0", inputs);
        Shape shape;
        for (Index from : order) shape.push_back(inputs[0][static_cast<std::size_t>(from)]);
        return shape;
    }
    void moves(const Shape& input, const Shape& output, detail::Moves<T>& m) const {
        for (std::size_t d = 0; d != output.size(); ++d)
            m.every(output[d], detail::step_of(input, static_cast<std::size_t>(options_.permutation[d])));
    }

private:
    TransposeOptions options_;
};

struct BlockOptions {
    Index block = 1;  ///< pixels in each direction
    friend bool operator==(const BlockOptions&, const BlockOptions&) = default;
};

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// Blocks of pixels and channels. `Derived::channel_first`: a channel's pixels follow each other, channel c
/// and pixel p of a block being c * block^2 + p; else p * channels + c.
template <class Derived, class T>
class BlockModule : public MovingModule<Derived, T> {
public:
    /// Throws std::invalid_argument when the block is smaller than 1, or above largest_size.
    explicit BlockModule(nn::BlockOptions options) : options_(options) {
        if (options.block < 1 || options.block > nn::largest_size)
            throw std::invalid_argument(
                concat(Derived::type_name, ": expected a block from 1 to ", nn::largest_size));
    }
    const nn::BlockOptions& options() const { return options_; }

protected:
    /// How far apart the pixels and the channels are, in channels.
    static nn::Index pixel_step(nn::Index channels) { return Derived::channel_first ? 1 : channels; }
    nn::Index channel_step() const { return Derived::channel_first ? options_.block * options_.block : 1; }

    nn::BlockOptions options_;
};

/// [N, C b b, H, W] -> [N, C, H b, W b].
template <class Derived, class T>
class ToSpace : public BlockModule<Derived, T> {
public:
    using BlockModule<Derived, T>::BlockModule;

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        nn::Index const b = this->options_.block;
        if (inputs.size() != 1 || inputs[0].size() != 4 || inputs[0][1] % (b * b) != 0)
            return unexpected_inputs(concat("one input [N, C, H, W] with a multiple of ", b * b, " channels"),
                                     inputs);
        return nn::Shape{inputs[0][0], inputs[0][1] / (b * b), inputs[0][2] * b, inputs[0][3] * b};
    }
    void moves(const nn::Shape& input, const nn::Shape& output, Moves<T>& m) const {
        nn::Index const b = this->options_.block, channels = output[1], plane = input[2] * input[3];
        nn::Index const pixel = this->pixel_step(channels) * plane;
        m.every(input[0], input[1] * plane);
        m.every(channels, this->channel_step() * plane);
        m.every(input[2], input[3]);
        m.every(b, b * pixel);
        m.every(input[3], 1);
        m.every(b, pixel);
    }
};

/// [N, C, H b, W b] -> [N, C b b, H, W].
template <class Derived, class T>
class ToDepth : public BlockModule<Derived, T> {
public:
    using BlockModule<Derived, T>::BlockModule;

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        nn::Index const b = this->options_.block;
        if (inputs.size() != 1 || inputs[0].size() != 4 || inputs[0][2] % b != 0 || inputs[0][3] % b != 0)
            return unexpected_inputs(
                concat("one input [N, C, H, W] whose height and width are multiples of ", b), inputs);
        return nn::Shape{inputs[0][0], inputs[0][1] * b * b, inputs[0][2] / b, inputs[0][3] / b};
    }
    void moves(const nn::Shape& input, const nn::Shape& output, Moves<T>& m) const {
        nn::Index const b = this->options_.block, width = input[3], plane = input[2] * width;
        m.every(input[0], input[1] * plane);
        if (Derived::channel_first) m.every(input[1], plane);
        m.every(b, width);
        m.every(b, 1);
        if (!Derived::channel_first) m.every(input[1], plane);
        m.every(output[2], b * width);
        m.every(output[3], b);
    }
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

template <class T>
class BasicPixelShuffle : public detail::ToSpace<BasicPixelShuffle<T>, T> {
public:
    static constexpr std::string_view type_name = "PixelShuffle";
    static constexpr std::string_view operation = "DepthToSpace";
    static constexpr bool channel_first = true;
    using detail::ToSpace<BasicPixelShuffle<T>, T>::ToSpace;
};

template <class T>
class BasicDepthToSpace : public detail::ToSpace<BasicDepthToSpace<T>, T> {
public:
    static constexpr std::string_view type_name = "DepthToSpace";
    static constexpr bool channel_first = false;
    using detail::ToSpace<BasicDepthToSpace<T>, T>::ToSpace;
};

template <class T>
class BasicPixelUnshuffle : public detail::ToDepth<BasicPixelUnshuffle<T>, T> {
public:
    static constexpr std::string_view type_name = "PixelUnshuffle";
    static constexpr std::string_view operation = "SpaceToDepth";
    static constexpr bool channel_first = true;
    using detail::ToDepth<BasicPixelUnshuffle<T>, T>::ToDepth;
};

template <class T>
class BasicSpaceToDepth : public detail::ToDepth<BasicSpaceToDepth<T>, T> {
public:
    static constexpr std::string_view type_name = "SpaceToDepth";
    static constexpr bool channel_first = false;
    using detail::ToDepth<BasicSpaceToDepth<T>, T>::ToDepth;
};

using Transpose = BasicTranspose<float>;
using PixelShuffle = BasicPixelShuffle<float>;
using DepthToSpace = BasicDepthToSpace<float>;
using PixelUnshuffle = BasicPixelUnshuffle<float>;
using SpaceToDepth = BasicSpaceToDepth<float>;

}  // namespace amct_distill::nn
