// SPDX-License-Identifier: Apache-2.0
/// What pools with a sliding window share: shapes, and the walk over planes and windows, in one to three
/// dimensions. See pool.hpp.
///
///     class BasicMaxPool : public detail::SlidingPool<BasicMaxPool<T, D>, T, MaxPoolOptions<D>> { ... };
///
/// A window at output o begins at pixel o * stride - padding; its taps are `dilation` apart. As in PyTorch:
/// with ceil_mode a window may reach beyond the padding, but none begins beyond the image and the padding
/// before it.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>

#include "../module.hpp"

namespace amct_distill::detail {

/// One number for all dimensions.
template <std::size_t D>
constexpr std::array<nn::Index, D> all_of_them(nn::Index value) {
    std::array<nn::Index, D> out{};
    out.fill(value);
    return out;
}
/// "3x3"
inline std::string sizes_text(std::span<const nn::Index> sizes) {
    std::string out;
    for (nn::Index size : sizes) out += concat(out.empty() ? "" : "x", size);
    return out;
}
/// "[N, C, H, W]": what pools of so many dimensions read.
constexpr std::string_view image_shape(std::size_t dimensions) {
    return dimensions == 1   ? "one input [N, C, L]"
           : dimensions == 2 ? "one input [N, C, H, W]"
                             : "one input [N, C, D, H, W]";
}

/// The taps of a window along a dimension that read the image.
struct PoolTaps {
    nn::Index first = 0;    ///< pixel
    nn::Index count = 0;    ///< `dilation` apart
    nn::Index counted = 0;  ///< taps on the image or its padding: what an average may count
};

/// Along one dimension.
struct PoolAxis {
    nn::Index input = 1, kernel = 1, stride = 1, begin = 0, end = 0, dilation = 1;
    bool ceil_mode = false;

    /// 0: the kernel is larger than the image.
    nn::Index output() const {
        nn::Index const room = input + begin + end - dilation * (kernel - 1) - 1;
        if (room < 0) return 0;
        nn::Index const n = (ceil_mode ? room + stride - 1 : room) / stride + 1;
        return ceil_mode && (n - 1) * stride >= input + begin ? n - 1 : n;
    }
    PoolTaps taps(nn::Index output) const {
        nn::Index const start = output * stride - begin;
        nn::Index const before = start < 0 ? steps(-start) : 0;
        nn::Index const within = (std::min)(kernel, steps((std::max)(input - start, nn::Index(0))));
        nn::Index const counted = (std::min)(kernel, steps(input + end - start));
        return {start + before * dilation, (std::max)(within - before, nn::Index(0)), counted};
    }
    /// Whether every window reads a pixel. Precondition: the paddings are smaller than the kernel's extent.
    bool all_read() const {
        if (taps(output() - 1).count == 0) return false;
        if (input >= dilation) return true;
        // Of those that begin before such an image the taps may lie on both sides of it. There are few.
        nn::Index const before = (std::min)((begin + stride - 1) / stride, output());
        if (before > 1 << 16) return false;
        for (nn::Index o = 0; o != before; ++o)
            if (taps(o).count == 0) return false;
        return true;
    }

private:
    /// Taps on the first n pixels.
    nn::Index steps(nn::Index n) const { return dilation == 1 ? n : (n + dilation - 1) / dilation; }
};

/// The pixels of a plane that a window covers.
struct PoolPatch {
    std::array<PoolTaps, 3> taps{};
    std::array<nn::Index, 3> step{};  ///< from tap to tap, in the plane
    nn::Index first = 0;              ///< pixel

    /// Calls f(offset in the plane) for every pixel.
    template <class F>
    void for_each_pixel(F f) const {
        nn::Index plane = first;
        for (nn::Index z = 0; z != taps[0].count; ++z, plane += step[0]) {
            nn::Index row = plane;
            for (nn::Index y = 0; y != taps[1].count; ++y, row += step[1]) {
                nn::Index i = row;
                for (nn::Index x = 0; x != taps[2].count; ++x, i += step[2]) f(i);
            }
        }
    }
    nn::Index pixels() const { return taps[0].count * taps[1].count * taps[2].count; }
    /// Of three kernels of 2^30 it is more than an integer holds.
    double counted() const {
        return double(taps[0].counted) * double(taps[1].counted) * double(taps[2].counted);
    }
};

/// `Derived` has `pooled(plane, patch)`, and `carry_back(g, y, plane, patch, grad_plane)`: adds the gradient
/// of what `pooled` gave, y.
template <class Derived, class T, class Options>
class SlidingPool {
    static constexpr std::size_t dimensions = std::tuple_size_v<decltype(Options::kernel)>;

public:
    /// Throws std::invalid_argument when the options make no sense.
    explicit SlidingPool(const Options& options) : options_(options) {
        Options& o = options_;
        if (o.stride == all_of_them<dimensions>(0)) o.stride = o.kernel;
        if (o.end_padding == all_of_them<dimensions>(-1)) o.end_padding = o.padding;
        for (std::size_t d = 0; d != dimensions; ++d) {
            if (o.kernel[d] < 1 || o.stride[d] < 1 || o.dilation[d] < 1 || o.padding[d] < 0 ||
                o.end_padding[d] < 0)
                throw std::invalid_argument(
                    "pooling: kernel, stride and dilation must be at least 1, padding at least 0");
            if ((std::max)({o.kernel[d], o.stride[d], o.dilation[d], o.padding[d], o.end_padding[d]}) >
                nn::largest_size)
                throw std::invalid_argument(concat("pooling: a size is above ", nn::largest_size));
            nn::Index const extent = o.dilation[d] * (o.kernel[d] - 1) + 1;
            if (o.padding[d] >= extent || o.end_padding[d] >= extent)
                throw std::invalid_argument(concat("pooling: padding ", sizes_text(o.padding),
                                                   " must be smaller than the kernel ",
                                                   sizes_text(o.kernel)));
        }
    }
    /// With the stride and the padding at the end filled in.
    const Options& options() const { return options_; }

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != dimensions + 2)
            return unexpected_inputs(image_shape(dimensions), inputs);
        nn::Shape shape = inputs[0];
        for (std::size_t d = 0; d != dimensions; ++d) {
            PoolAxis const a = axis(inputs[0], d);
            if (a.output() == 0)
                return unexpected_inputs(
                    concat("an image that holds the kernel ", sizes_text(options_.kernel), " (padding ",
                           sizes_text(options_.padding), ")"),
                    inputs);
            if (!a.all_read())
                return unexpected_inputs("an image of which every window covers something", inputs);
            shape[d + 2] = a.output();
        }
        return shape;
    }

    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        const T* const x = inputs[0]->data();
        T* const y = output.data();
        for_each_patch(inputs[0]->shape(), scratch,
                       [&](nn::Index plane, const PoolPatch& patch, nn::Index out) {
                           y[out] = self().pooled(x + plane, patch);
                       });
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>& output,
                  const nn::BasicTensor<T>& grad_output, std::span<nn::BasicTensor<T>* const> grad_inputs,
                  std::span<nn::BasicTensor<T>>, nn::BasicScratch<T>& scratch, nn::Mode) const {
        if (!grad_inputs[0]) return;
        const T* const x = inputs[0]->data();
        T* const gx = grad_inputs[0]->data();
        for_each_patch(inputs[0]->shape(), scratch,
                       [&](nn::Index plane, const PoolPatch& patch, nn::Index out) {
                           auto const i = static_cast<std::size_t>(out);
                           self().carry_back(grad_output[i], output[i], x + plane, patch, gx + plane);
                       });
    }

private:
    const Derived& self() const { return static_cast<const Derived&>(*this); }

    PoolAxis axis(const nn::Shape& input, std::size_t d) const {
        const Options& o = options_;
        return {input[d + 2],     o.kernel[d],   o.stride[d], o.padding[d],
                o.end_padding[d], o.dilation[d], o.ceil_mode};
    }

    /// Calls f(offset of the plane in the input, patch, offset in the output) for every output value.
    template <class F>
    void for_each_patch(const nn::Shape& input, const nn::BasicScratch<T>& scratch, F f) const {
        std::array<PoolAxis, 3> axes{};  // the missing dimensions in front are 1
        for (std::size_t d = 0; d != dimensions; ++d) axes[3 - dimensions + d] = axis(input, d);
        nn::Index const width = axes[2].input, plane_size = axes[1].input * width;
        nn::Index const pixels = axes[0].input * plane_size, planes = input[0] * input[1];
        nn::Index const deep = axes[0].output(), rows = axes[1].output(), columns = axes[2].output();
        double work = double(planes * deep * rows * columns);
        for (const PoolAxis& a : axes) work *= double(a.kernel);  // more than an integer holds
        scratch.parallel_for(planes, work, [&](nn::Index plane, nn::Index) {
            nn::Index out = plane * deep * rows * columns;
            PoolPatch patch;
            patch.step = {axes[0].dilation * plane_size, axes[1].dilation * width, axes[2].dilation};
            for (nn::Index z = 0; z != deep; ++z) {
                patch.taps[0] = axes[0].taps(z);
                for (nn::Index y = 0; y != rows; ++y) {
                    patch.taps[1] = axes[1].taps(y);
                    for (nn::Index x = 0; x != columns; ++x, ++out) {
                        patch.taps[2] = axes[2].taps(x);
                        patch.first = patch.taps[0].first * plane_size + patch.taps[1].first * width +
                                      patch.taps[2].first;
                        f(plane * pixels, patch, out);
                    }
                }
            }
        });
    }

    Options options_;
};

}  // namespace amct_distill::detail
