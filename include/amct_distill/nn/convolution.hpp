// SPDX-License-Identifier: Apache-2.0
/// The products of every convolution, plain or transposed, of a batch of images in groups of channels.
///
///     detail::Convolution<float> c(window, images, groups, channels, outputs);  // channels of a group
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

#include "channel_loops.hpp"
#include "depthwise.hpp"
#include "matrix_product.hpp"
#include "scratch.hpp"
#include "tap_lines.hpp"
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
        products({window_, images_, groups_, channels_, outputs_}, weight, input, start, output, scratch);
    }

    /// taps x positions times positions x outputs, the sum over all images: the images go in parts, whose
    /// sums are added in the end, from the first to the last. How many parts there are depends on the sizes
    /// alone: at most 8, and at most 8 MB of them unless one is larger.
    void add_weight_gradient(const T* input, const T* grad_output, T* grad_weight,
                             nn::BasicScratch<T>& scratch) const {
        if (Depthwise<T>::fits(channels_, outputs_))
            return depthwise().add_weight_gradient(input, grad_output, grad_weight, scratch);
        Index const size = groups_ * outputs_ * taps_;
        Index const tap_parts = parts(taps_, gradient_taps);
        Index const tap_step = parts(taps_, tap_parts);
        Index const wanted = parts(8, groups_ * tap_parts);
        Index const most = std::clamp((Index(8) << 20) / Index(sizeof(T)) / size, Index(1), wanted);
        Index const in_part = parts(images_, (std::min)(most, images_));  // images
        Index const image_parts = parts(images_, in_part);

        T* const sums = scratch.buffer(1, image_parts * size, 1);
        TapLines<T> const prototype(window_, images_, groups_ * pixels_);
        Index const line_buffer = (gradient_taps + product_cols) * gradient_positions + prototype.buffer();
        T* const lines = scratch.buffer(2, line_buffer);
        T* const buffers = scratch.buffer(0, product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(image_parts * groups_ * tap_parts, work_, [&](Index task, Index worker) {
            Index const tap = task % tap_parts * tap_step, taps = (std::min)(tap_step, taps_ - tap);
            Index const group = task / tap_parts % groups_, part = task / tap_parts / groups_;
            T* const sum = sums + part * size + (group * taps_ + tap) * outputs_;
            T* const columns = lines + worker * line_buffer;
            T* const transposed = columns + gradient_taps * gradient_positions;
            T* const laid = transposed + product_cols * gradient_positions;
            const T* const x = input + group * pixels_;
            const T* const g = grad_output + group * outputs_ * positions_;
            TapLines<T> line = prototype;
            Index const last = (std::min)(images_, (part + 1) * in_part) * positions_;
            bool add = false;
            for (Index first = part * in_part * positions_; first != last; add = true) {
                Index const n = block(first, last, gradient_positions);
                Index const image = first / positions_, at = first % positions_;
                // The image itself, where it has all of the positions.
                bool const direct = line.direct() && at + n <= positions_;
                if (!direct) {
                    line.at(first, n, 0, 0);
                    run_on(set, line.read(x, tap, taps, laid, columns, gradient_positions));
                }
                for (Index out = 0; out < outputs_; out += product_cols) {
                    Index const outs = (std::min)(product_cols, outputs_ - out);
                    for (Index k = 0; k != n;) {  // image by image
                        Index const q = first + k, count = (std::min)(n - k, positions_ - q % positions_);
                        transpose(
                            g + (q / positions_ * groups_ * outputs_ + out) * positions_ + q % positions_,
                            positions_, outs, count, transposed + k * outs, outs);
                        k += count;
                    }
                    detail::multiply<T>(
                        set,
                        {.c = sum + out,
                         .c_stride = outputs_,
                         .a = direct ? x + image * groups_ * pixels_ + tap * positions_ + at : columns,
                         .a_stride = direct ? positions_ : gradient_positions,
                         .rows = taps,
                         .depth = n,
                         .cols = outs,
                         .add = add},
                        [&](Index k, T*) { return transposed + k * outs; },
                        buffers + worker * product_buffer);
                }
                first += n;
            }
        });
        constexpr Index tile = 16;
        Index const tap_tiles = parts(taps_, tile);
        scratch.parallel_for(groups_ * tap_tiles, double(size) * double(image_parts), [&](Index task, Index) {
            Index const group = task / tap_tiles, tap = task % tap_tiles * tile;
            Index const taps = (std::min)(tile, taps_ - tap);
            for (Index out = 0; out < outputs_; out += tile) {
                Index const outs = (std::min)(tile, outputs_ - out);
                T sum[tile][tile] = {};
                for (Index part = 0; part != image_parts; ++part) {
                    const T* from = sums + part * size + (group * taps_ + tap) * outputs_ + out;
                    for (Index t = 0; t != taps; ++t, from += outputs_)
                        if (outs == tile)
                            for (Index o = 0; o != tile; ++o) sum[t][o] += from[o];
                        else
                            for (Index o = 0; o != outs; ++o) sum[t][o] += from[o];
                }
                T* to = grad_weight + (group * outputs_ + out) * taps_ + tap;
                for (Index o = 0; o != outs; ++o, to += taps_)
                    for (Index t = 0; t != taps; ++t) to[t] += sum[t][o];
            }
        });
    }

    /// taps x outputs times outputs x positions gives taps x positions, added to the pixels they came from.
    void add_input_gradient(const T* weight, const T* grad_output, T* grad_input,
                            nn::BasicScratch<T>& scratch) const {
        if (Depthwise<T>::fits(channels_, outputs_))
            return depthwise().add_input_gradient(weight, grad_output, grad_input, scratch);
        T* const transposed = scratch.buffer(1, groups_ * outputs_ * taps_, 1);
        if (window_.stride == nn::Size2{1, 1}) {
            // A convolution again: of the gradient, with the weights turned round.
            Window back = window_;
            for (std::size_t d : {0u, 1u}) {
                back.input[d] = window_.output(d);
                back.count[d] = window_.input[d];
                back.padding[d] = window_.dilation[d] * (window_.kernel[d] - 1) - window_.padding[d];
            }
            Index const each = window_.taps();
            constexpr Index step = 8;  // channels, of which a line of the cache has several
            Index const steps = parts(channels_, step);
            scratch.parallel_for(groups_ * steps, double(groups_ * outputs_ * taps_), [&](Index task, Index) {
                Index const channel = task % steps * step, group = task / steps;
                Index const count = (std::min)(step, channels_ - channel);
                const T* from = weight + group * outputs_ * taps_ + channel * each;
                T* to = transposed + (group * channels_ + channel) * outputs_ * each;
                for (Index o = 0; o != outputs_; ++o, from += taps_, to += each)
                    for (Index i = 0; i != count; ++i)
                        for (Index k = 0; k != each; ++k)
                            to[i * outputs_ * each + k] = from[i * each + each - 1 - k];
            });
            return products({back, images_, groups_, outputs_, channels_}, transposed, grad_output,
                            {.add = true}, grad_input, scratch);
        }
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

    /// How many positions, counted through all images, are taken together from `first` on: `most`, but
    /// those of
    /// one image where it has many, and those of one row where it has.
    Index block(Index first, Index last, Index most) const {
        Index const cols = window_.output(1);
        Index end = last;
        if (cols >= TapLines<T>::most_positions)
            end = first - first % cols + cols;
        else if (positions_ >= 2 * TapLines<T>::most_positions)
            end = first - first % positions_ + positions_;
        return (std::min)(most, (std::min)(last, end) - first);
    }

    /// outputs x taps times taps x positions, in blocks of positions.
    static void products(const Convolution& c, const T* weight, const T* input, OutputStart<T> start,
                         T* output, nn::BasicScratch<T>& scratch) {
        c.multiply_blocks(weight, input, start, output, scratch);
    }
    void multiply_blocks(const T* weight, const T* input, OutputStart<T> start, T* output,
                         nn::BasicScratch<T>& scratch) const {
        Index const all = images_ * positions_;
        // Blocks that are alike, in images or rows that are.
        Index const unit = block(0, all, all), units = all / unit;
        Index const step = even_step(unit), blocks = parts(unit, step);
        Index const rows_step = (std::min)(outputs_, block_rows), row_parts = parts(outputs_, rows_step);
        // Taps of whole channels, so that none is laid out twice.
        Index const each = window_.taps();
        Index const depth = each <= product_depth ? product_depth / each * each : product_depth;

        TapLines<T> const prototype(window_, images_, groups_ * pixels_);
        Index const aside = unit == all && images_ > 1 ? rows_step * product_cols : 0;
        Index const buffer = product_buffer + prototype.buffer() + aside;
        T* const buffers = scratch.buffer(0, buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(groups_ * units * blocks * row_parts, work_, [&](Index task, Index worker) {
            Index const row = task % row_parts * rows_step, rows = (std::min)(rows_step, outputs_ - row);
            Index const begin = task / row_parts % blocks * step, n = (std::min)(step, unit - begin);
            Index const first = task / row_parts / blocks % units * unit + begin;
            Index const group = task / row_parts / blocks / units, channel = group * outputs_ + row;
            Index const image = first / positions_, at = first % positions_;
            T* const panels = buffers + worker * buffer;
            T* const laid = panels + product_buffer;
            T* const apart = laid + prototype.buffer();
            bool const inside = at + n <= positions_;  // one image

            Product<T> p{.c = apart,
                         .c_stride = product_cols,
                         .a = weight + channel * taps_,
                         .a_stride = taps_,
                         .rows = rows,
                         .cols = n,
                         .add = false,
                         .panel_step = panel_cols * depth};
            if (start.bias) p.start = start.bias + channel;
            if (inside) {
                p.c = output + (image * groups_ * outputs_ + channel) * positions_ + at;
                p.c_stride = positions_;
                p.add = start.add;
            }
            TapLines<T> lines = prototype;
            lines.at(first, n, panel_cols, panel_cols * depth);
            for (Index tap = 0; tap < taps_; tap += depth) {
                p.depth = (std::min)(depth, taps_ - tap);
                run_on(set, lines.read(input + group * pixels_, tap, p.depth, laid, panels, panel_cols));
                run_on(set, PanelProduct<T>{p, panels});
                p.a += p.depth;
                p.add = true;
            }
            if (!inside) run_on(set, WriteOut{*this, apart, rows, n, first, channel, start.add, output});
        });
    }

    /// A block's results to the images that they belong to.
    struct WriteOut {
        const Convolution& c;
        const T* from;
        Index rows, n, first, channel;
        bool add;
        T* output;

        template <int Bytes>
        [[gnu::always_inline]] void run() const {
            for (Index k = 0; k != n;) {
                Index const image = (first + k) / c.positions_, at = (first + k) % c.positions_;
                Index const count = (std::min)(n - k, c.positions_ - at);
                T* const to = output + (image * c.groups_ * c.outputs_ + channel) * c.positions_ + at;
                for (Index r = 0; r != rows; ++r)
                    if (add)
                        add_run<Bytes>(from + r * product_cols + k, count, to + r * c.positions_);
                    else
                        copy_run<Bytes>(from + r * product_cols + k, count, to + r * c.positions_);
                k += count;
            }
        }
    };

    /// The columns of a block: as many as fit, the same for all, in whole panels.
    static Index even_step(Index n) {
        Index const each = parts(n, parts(n, product_cols));
        return (std::min)(product_cols, parts(each, panel_cols) * panel_cols);
    }

    void add(const T* line, Index tap, Index first, Index n, T* image) const {
        Index const k = tap % window_.taps();
        add_tap(line, window_, k / window_.kernel[1], k % window_.kernel[1], first, n,
                image + tap / window_.taps() * window_.input[0] * window_.input[1]);
    }

    static constexpr Index block_rows = 256;
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
    auto const set = scratch.execution().instructions;
    scratch.parallel_for(
        channels, double(images * channels) * double(positions), [&](nn::Index c, nn::Index) {
            double sum = 0;
            for (nn::Index image = 0; image != images; ++image)
                sum += run_on(set, SumLoop<T>{values + (image * channels + c) * positions, positions});
            sums[c] += T(sum);
        });
}

}  // namespace amct_distill::detail
