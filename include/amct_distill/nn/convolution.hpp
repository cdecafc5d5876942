// SPDX-License-Identifier: Apache-2.0
/// The products behind every convolution, plain or transposed, of a batch of images in groups of channels.
///
///     detail::Convolution<float> c(window, images, groups, channels, outputs);    // the latter two of a group
///     c.multiply(weight, x, {.bias = bias}, y, scratch);
///     c.add_weight_gradient(x, grad_y, grad_weight, scratch);
///     c.add_input_gradient(weight, grad_y, grad_x, scratch);
///
/// Each image and group is one matrix product, outputs x taps (the weights, [outputs in all, channels, kernel
/// height, kernel width]) times taps x positions (what the window sees): matrix_product.hpp says what its
/// bits depend on. Measured against Eigen's product of the same columns, and against a product per tap of
/// images that are laid out with their channels last (no columns, but twice a transposition): see
/// tests/bench/conv.cpp.
#pragma once
#include <algorithm>
#include <cstddef>

#include "depthwise.hpp"
#include "matrix_product.hpp"
#include "scratch.hpp"
#include "window.hpp"

namespace amct_distill::detail {

template <class T>
class Convolution {
public:
    using Index = nn::Index;
    /// How many of the node's buffers it uses.
    static constexpr std::size_t scratch_tensors = 3;

    Convolution(const Window& window, Index images, Index groups, Index channels, Index outputs)
        : window_(window),
          images_(images),
          groups_(groups),
          channels_(channels),
          outputs_(outputs),
          taps_(channels * window.taps()),
          positions_(window.positions()),
          pixels_(channels * window.input[0] * window.input[1]),
          work_(double(images * groups * outputs) * double(taps_ * positions_)) {}

    Index positions() const { return positions_; }

    void multiply(const T* weight, const T* input, OutputStart<T> start, T* output,
                  nn::BasicScratch<T>& scratch) const {
        if (Depthwise<T>::fits(channels_, outputs_))
            return depthwise().multiply(weight, input, start, output, scratch);
        Index const step = product_cols;
        Index const blocks = parts(positions_, step);
        T* const buffers = scratch.buffer(0, product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(images_ * groups_ * blocks, work_, [&](Index task, Index worker) {
            Index const first = task % blocks * step, image = task / blocks;
            Index const channel = image % groups_ * outputs_;  // the first output of the group
            Index const n = (std::min)(step, positions_ - first);
            T* const y = output + image * outputs_ * positions_ + first;
            for (Index c = 0; c != outputs_ && !start.add; ++c)
                std::fill_n(y + c * positions_, n, start.bias ? start.bias[channel + c] : T(0));
            const T* const x = input + image * pixels_;
            T* const buffer = buffers + worker * product_buffer;
            detail::multiply<T>(
                set,
                {.c = y,
                 .c_stride = positions_,
                 .a = weight + channel * taps_,
                 .a_stride = taps_,
                 .rows = outputs_,
                 .depth = taps_,
                 .cols = n},
                [&](Index tap, T* line) {
                    read(x, tap, first, n, line);
                    return line;
                },
                buffer);
        });
    }

    /// taps x positions times positions x outputs, the sum over all images: the images go in parts, whose
    /// sums are added in the end, from the first to the last. How many parts there are depends on the sizes
    /// alone: at most 8, and at most 8 MB of them unless one is larger.
    void add_weight_gradient(const T* input, const T* grad_output, T* grad_weight,
                             nn::BasicScratch<T>& scratch) const {
        if (Depthwise<T>::fits(channels_, outputs_))
            return depthwise().add_weight_gradient(input, grad_output, grad_weight, scratch);
        Index const size = groups_ * outputs_ * taps_;
        Index const most = std::clamp((Index(8) << 20) / Index(sizeof(T)) / size, Index(1), Index(8));
        Index const in_part = parts(images_, (std::min)(most, images_));  // images
        Index const image_parts = parts(images_, in_part);
        Index const tap_parts = parts(taps_, gradient_taps);
        Index const tap_step = parts(taps_, tap_parts);

        T* const sums = scratch.buffer(1, image_parts * size, 1);
        constexpr Index line_buffer = (gradient_taps + product_cols) * gradient_positions;
        T* const lines = scratch.buffer(2, line_buffer);
        T* const buffers = scratch.buffer(0, product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(image_parts * groups_ * tap_parts, work_, [&](Index task, Index worker) {
            Index const tap = task % tap_parts * tap_step, taps = (std::min)(tap_step, taps_ - tap);
            Index const group = task / tap_parts % groups_, part = task / tap_parts / groups_;
            T* const sum = sums + part * size + (group * taps_ + tap) * outputs_;
            T* const columns = lines + worker * line_buffer;
            T* const transposed = columns + gradient_taps * gradient_positions;
            Index const last = (std::min)(images_, (part + 1) * in_part);
            bool add = false;
            for (Index image = part * in_part; image != last; ++image)
                for (Index first = 0; first < positions_; first += gradient_positions, add = true) {
                    Index const n = (std::min)(gradient_positions, positions_ - first);
                    const T* const x = input + (image * groups_ + group) * pixels_;
                    for (Index k = 0; k != taps; ++k)
                        read(x, tap + k, first, n, columns + k * gradient_positions);
                    const T* const g =
                        grad_output + (image * groups_ + group) * outputs_ * positions_ + first;
                    for (Index out = 0; out < outputs_; out += product_cols) {
                        Index const outs = (std::min)(product_cols, outputs_ - out);
                        transpose(g + out * positions_, positions_, outs, n, transposed, outs);
                        detail::multiply<T>(
                            set,
                            {.c = sum + out,
                             .c_stride = outputs_,
                             .a = columns,
                             .a_stride = gradient_positions,
                             .rows = taps,
                             .depth = n,
                             .cols = outs,
                             .add = add},
                            [&](Index k, T*) { return transposed + k * outs; },
                            buffers + worker * product_buffer);
                    }
                }
        });
        scratch.parallel_for(groups_ * outputs_, double(size) * double(image_parts), [&](Index out, Index) {
            T* const to = grad_weight + out * taps_;
            const T* const from = sums + out / outputs_ * taps_ * outputs_ + out % outputs_;
            for (Index tap = 0; tap != taps_; ++tap) {
                T sum = from[tap * outputs_];
                for (Index part = 1; part != image_parts; ++part) sum += from[part * size + tap * outputs_];
                to[tap] += sum;
            }
        });
    }

    /// taps x outputs times outputs x positions gives taps x positions, added to the pixels they came from.
    void add_input_gradient(const T* weight, const T* grad_output, T* grad_input,
                            nn::BasicScratch<T>& scratch) const {
        if (Depthwise<T>::fits(channels_, outputs_))
            return depthwise().add_input_gradient(weight, grad_output, grad_input, scratch);
        T* const transposed = scratch.buffer(1, groups_ * outputs_ * taps_, 1);
        for (Index group = 0; group != groups_; ++group)
            transpose(weight + group * outputs_ * taps_, taps_, outputs_, taps_,
                      transposed + group * outputs_ * taps_, outputs_);

        // Channels go in parts of some 144 taps.
        Index const step = std::clamp(Index(144) / window_.taps(), Index(1), channels_);
        Index const channel_parts = parts(channels_, step);
        Index const line_buffer = step * window_.taps() * product_cols;
        T* const lines = scratch.buffer(2, line_buffer);
        T* const buffers = scratch.buffer(0, product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(images_ * groups_ * channel_parts, work_, [&](Index task, Index worker) {
            Index const channel = task % channel_parts * step, image = task / channel_parts;
            Index const tap = channel * window_.taps();
            Index const taps = (std::min)(step, channels_ - channel) * window_.taps();
            T* const columns = lines + worker * line_buffer;
            for (Index first = 0; first < positions_; first += product_cols) {
                Index const n = (std::min)(product_cols, positions_ - first);
                const T* const g = grad_output + image * outputs_ * positions_ + first;
                detail::multiply<T>(
                    set,
                    {.c = columns,
                     .c_stride = product_cols,
                     .a = transposed + (image % groups_ * taps_ + tap) * outputs_,
                     .a_stride = outputs_,
                     .rows = taps,
                     .depth = outputs_,
                     .cols = n,
                     .add = false},
                    [&](Index k, T*) { return g + k * positions_; }, buffers + worker * product_buffer);
                for (Index k = 0; k != taps; ++k)
                    add(columns + k * product_cols, tap + k, first, n, grad_input + image * pixels_);
            }
        });
    }

private:
    Depthwise<T> depthwise() const { return {window_, images_, groups_, channels_, outputs_}; }

    /// The row `tap` of taps x positions, columns [first, first + n), of an image's group.
    void read(const T* image, Index tap, Index first, Index n, T* line) const {
        Index const k = tap % window_.taps();
        read_tap(image + tap / window_.taps() * window_.input[0] * window_.input[1], window_,
                 k / window_.kernel[1], k % window_.kernel[1], first, n, line);
    }
    void add(const T* line, Index tap, Index first, Index n, T* image) const {
        Index const k = tap % window_.taps();
        add_tap(line, window_, k / window_.kernel[1], k % window_.kernel[1], first, n,
                image + tap / window_.taps() * window_.input[0] * window_.input[1]);
    }

    // Of a product for the weights' gradient.
    static constexpr Index gradient_taps = 576, gradient_positions = 128;

    Window window_;
    Index images_, groups_, channels_, outputs_;
    Index taps_, positions_;
    Index pixels_;  // of the channels of a group
    double work_;   // multiplications in all
};

/// The sums over images and positions of each channel, added.
template <class T>
void add_channel_sums(const T* values, nn::Index images, nn::Index channels, nn::Index positions, T* sums,
                      nn::BasicScratch<T>& scratch) {
    scratch.parallel_for(channels, double(images * channels) * double(positions),
                         [&](nn::Index c, nn::Index) {
                             double sum = 0;
                             for (nn::Index image = 0; image != images; ++image)
                                 sum += sum_of(values + (image * channels + c) * positions, positions);
                             sums[c] += T(sum);
                         });
}

}  // namespace amct_distill::detail
