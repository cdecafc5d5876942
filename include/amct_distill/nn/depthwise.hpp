// SPDX-License-Identifier: Apache-2.0
/// Convolutions of few channels in a group, such as depthwise ones, plane by plane: forward and gradients.
///
///     detail::Depthwise<float> c(window, images, groups, channels, outputs);  // channels of a group
///     c.multiply(weight, x, {.bias = bias}, y, scratch);
///     c.add_weight_gradient(x, grad_y, grad_weight, scratch);
///     c.add_input_gradient(weight, grad_y, grad_x, scratch);
///
/// A matrix product would be a few rows high. Here a tile of a plane is copied with zeros around it, its
/// columns and rows apart by their remainder by the stride; then what a tap sees of it is one run of memory,
/// and the sums over the taps stay in registers (tap_sums.hpp).
///
/// An output is a sum in the order of channels and taps, on every instruction set (with fused multiply-adds
/// where it has them, as in matrix_product.hpp).
#pragma once
#include <algorithm>
#include <cstddef>
#include <vector>

#include "plane_tiles.hpp"
#include "runs.hpp"
#include "scratch.hpp"
#include "tap_sums.hpp"
#include "window.hpp"

namespace amct_distill::detail {

/// What a convolution's outputs begin with: the channels' biases (null: 0), or what they are.
template <class T>
struct OutputStart {
    const T* bias = nullptr;
    bool add = false;
};

template <class T>
class Depthwise {
public:
    using Index = nn::Index;
    /// How many of the node's buffers it uses.
    static constexpr std::size_t scratch_tensors = 2;
    /// Whether it is faster than matrix products.
    static bool fits(Index channels, Index outputs) { return outputs < 4 || (channels == 1 && outputs <= 8); }

    Depthwise(const Window& window, Index images, Index groups, Index channels, Index outputs)
        : w_(window),
          images_(images),
          groups_(groups),
          channels_(channels),
          outputs_(outputs),
          taps_(window.taps()),
          pixels_(window.input[0] * window.input[1]),
          positions_(window.positions()),
          out_{window.output(0), window.output(1)},
          work_(double(images * groups * channels) * double(outputs * taps_) * double(positions_)) {
        for (std::size_t d : {0u, 1u}) {
            reach_[d] = shift(d, window.kernel[d] - 1);
            phases_[d] = (std::min)(window.stride[d], (window.kernel[d] - 1) * window.dilation[d] + 1);
        }
        bool const dense = window.stride == nn::Size2{1, 1} && window.dilation == nn::Size2{1, 1};
        Index const side = window.kernel[0];
        if (dense && side == window.kernel[1] && (side == 3 || side == 5)) square_ = side;
    }

    void multiply(const T* weight, const T* input, OutputStart<T> start, T* output,
                  nn::BasicScratch<T>& scratch) const {
        Job job = prepare(out_, scratch);
        job.set_buffers(scratch, laid_out_input(job.tiles), outputs_ * (job.tiles.size() + run_slack));
        for_chunks(
            scratch, images_ * groups_ * job.tiles.count, 1, [&](Index first, Index last, Index worker) {
                run_on(job.set, Forward{*this, job.of(first, last, worker), weight, input, start, output});
            });
    }

    /// The sum over the images, in parts, whose sums are added in the end, from the first to the last; how
    /// many there are depends on the sizes alone.
    void add_weight_gradient(const T* input, const T* grad_output, T* grad_weight,
                             nn::BasicScratch<T>& scratch) const {
        Index const planes = groups_ * channels_, size = planes * outputs_ * taps_;
        Index const in_part = planes >= 32 ? images_ : (images_ + 7) / 8, parts = (images_ - 1) / in_part + 1;
        Job job = prepare(out_, scratch);
        job.set_buffers(scratch, laid_out_input(job.tiles), outputs_ * (job.tiles.size() + 2 * run_slack));
        T* const sums = scratch.buffer(1, parts * size, 1);
        for_chunks(
            scratch, parts * planes, in_part * job.tiles.count, [&](Index first, Index last, Index worker) {
                run_on(job.set,
                       WeightGradient{*this, job.of(first, last, worker), input, grad_output, sums, in_part});
            });
        for (Index i = 0; i != size; ++i) {
            T sum = sums[i];
            for (Index part = 1; part != parts; ++part) sum += sums[part * size + i];
            grad_weight[i] += sum;
        }
    }

    void add_input_gradient(const T* weight, const T* grad_output, T* grad_input,
                            nn::BasicScratch<T>& scratch) const {
        // Pixel i is i + padding = j * stride + phase; the outputs that it contributed to are j - the shifts
        // of the taps of that phase.
        nn::Size2 first{}, count{};
        for (std::size_t d : {0u, 1u}) {
            first[d] = w_.padding[d] / w_.stride[d];
            count[d] = (w_.input[d] - 1 + w_.padding[d]) / w_.stride[d] + 1 - first[d];
        }
        Job job = prepare(count, scratch, true);
        job.set_buffers(scratch, outputs_ * laid_out_gradient(job.tiles), job.tiles.size() + run_slack);
        for_chunks(scratch, images_ * groups_ * job.tiles.count, 1,
                   [&](Index begin, Index end, Index worker) {
                       run_on(job.set, InputGradient{*this, job.of(begin, end, worker), weight, grad_output,
                                                     grad_input, scratch.indices(2).data(), first});
                   });
    }

private:
    Index shift(std::size_t axis, Index k) const { return k * w_.dilation[axis] / w_.stride[axis]; }
    Index phase(std::size_t axis, Index k) const { return k * w_.dilation[axis] % w_.stride[axis]; }
    bool sees(std::size_t axis, Index of_phase) const {
        for (Index k = 0; k != w_.kernel[axis]; ++k)
            if (phase(axis, k) == of_phase) return true;
        return false;
    }
    using Tiles = PlaneTiles;
    using Job = PlaneJob<T>;
    Tiles tiles(const nn::Size2& all) const { return PlaneTiles::of(all, reach_); }
    /// A phase of the input's tile; all of them, and what is read after the last value.
    Index phase_size(const Tiles& t) const { return (t.rows + reach_[0]) * t.pitch; }
    Index laid_out_input(const Tiles& t) const {
        return phases_[0] * phases_[1] * phase_size(t) + reach_[1] + 3 * run_slack;
    }
    Index laid_out_gradient(const Tiles& t) const { return phase_size(t) + reach_[1] + 3 * run_slack; }

    /// With the taps in their order, or for the gradient of the input, by phases, in the order of offsets:
    /// where those of a phase begin is in indices(2).
    Job prepare(const nn::Size2& all, nn::BasicScratch<T>& scratch, bool gradient = false) const {
        Job job{.tiles = tiles(all), .set = scratch.execution().instructions};
        if (channels_ * outputs_ == 1 && job.tiles.count == 1)
            job.batch = std::clamp(4096 / job.tiles.size(), Index(1), Index(16));
        auto &offsets = scratch.indices(0), &weights = scratch.indices(1), &begins = scratch.indices(2);
        offsets.clear(), weights.clear(), begins.clear();
        Index const pitch = job.tiles.pitch;
        if (!gradient) {
            for (Index ky = 0; ky != w_.kernel[0]; ++ky)
                for (Index kx = 0; kx != w_.kernel[1]; ++kx) {
                    Index const of_phase = phase(0, ky) * phases_[1] + phase(1, kx);
                    offsets.push_back(of_phase * phase_size(job.tiles) + shift(0, ky) * pitch + shift(1, kx));
                    weights.push_back(ky * w_.kernel[1] + kx);
                }
        } else {
            for (Index py = 0; py != w_.stride[0]; ++py)
                for (Index px = 0; px != w_.stride[1]; ++px) {
                    begins.push_back(static_cast<Index>(offsets.size()));
                    for (Index ky = w_.kernel[0]; ky-- != 0;)
                        for (Index kx = w_.kernel[1]; kx-- != 0;) {
                            if (phase(0, ky) != py || phase(1, kx) != px) continue;
                            offsets.push_back((reach_[0] - shift(0, ky)) * pitch + reach_[1] - shift(1, kx));
                            weights.push_back(ky * w_.kernel[1] + kx);
                        }
                }
            begins.push_back(static_cast<Index>(offsets.size()));
        }
        job.taps = {offsets.data(), weights.data(), static_cast<Index>(offsets.size())};
        return job;
    }

    /// f(first, last, worker) for parts of [0, count) that are some 50 us of work each; one of `count` is
    /// `tiles` tiles.
    template <class F>
    void for_chunks(const nn::BasicScratch<T>& scratch, Index count, Index tiles_each, F f) const {
        double const each = work_ / double(count) + 200.0 * double(tiles_each);
        Index const chunk = std::clamp(static_cast<Index>(5e5 / each), Index(1), (std::max)(Index(1), count));
        scratch.parallel_for((count + chunk - 1) / chunk, work_, [&](Index k, Index worker) {
            f(k * chunk, (std::min)(count, (k + 1) * chunk), worker);
        });
    }

    /// A tile of one plane, or all of `count` planes, for which the zeros are there already.
    template <int Bytes>
    [[gnu::always_inline]] void lay(const T* plane, Index plane_step, const PlanePart& part, Index rows,
                                    Index cols, Index pitch, T* to, Index to_step, Index count) const {
        if (count > 0) {
            lay_out_inside<Bytes>(plane, plane_step, part, rows, cols, pitch, to, to_step, count);
        } else {
            lay_out<Bytes>(plane, part, rows, cols, pitch, to);
            zero_run<Bytes>(to + rows * pitch, reach_[1] + run_slack);
        }
    }
    /// What the taps see of it: its phases one after another.
    template <int Bytes>
    [[gnu::always_inline]] void lay_input(const T* plane, Index plane_step, const Tiles& tiles,
                                          const Tiles::Tile& tile, T* to, Index to_step, Index count) const {
        for (Index py = 0; py != phases_[0]; ++py)
            for (Index px = 0; px != phases_[1]; ++px)
                if (phases_[0] * phases_[1] == 1 || (sees(0, py) && sees(1, px)))
                    lay<Bytes>(plane, plane_step,
                               {w_.input[0], w_.input[1], tile.row * w_.stride[0] + py - w_.padding[0],
                                tile.col * w_.stride[1] + px - w_.padding[1], w_.stride[0], w_.stride[1]},
                               tile.rows + reach_[0], tiles.pitch, tiles.pitch,
                               to + (py * phases_[1] + px) * phase_size(tiles), to_step, count);
    }

    struct Forward {
        const Depthwise& c;
        Job job;
        const T *weight, *input;
        OutputStart<T> start;
        T* output;

        template <int Bytes>
        [[gnu::always_inline]] void run() const {
            bool const same = job.tiles.count == 1;  // all tiles have their zeros in the same places
            if (same) zero_run<Bytes>(job.laid, job.batch * job.laid_size);
            for (Index task = job.first; task < job.last; task += job.batch) {
                Index const n = (std::min)(job.batch, job.last - task);
                for (Index i = 0; i != c.channels_; ++i) {
                    c.template lay_input<Bytes>(input + (job.tiles.plane(task) * c.channels_ + i) * c.pixels_,
                                                c.pixels_, job.tiles, job.tiles.at(task), job.laid,
                                                job.laid_size, same ? n : 0);
                    for (Index k = 0; k != n; ++k) sum<Bytes>(task + k, i, k);
                }
                for (Index k = 0; k != n; ++k) write<Bytes>(task + k, k);
            }
        }
        T* to(Index task, const Tiles::Tile& tile, Index o) const {
            return output + (job.tiles.plane(task) * c.outputs_ + o) * c.positions_ +
                   tile.row * job.tiles.all[1] + tile.col;
        }
        Index side() const { return c.channels_ == 1 ? c.square_ : 0; }
        /// The output itself, where nothing is written beyond the tile, or only what comes later.
        bool direct(Index task, Index o) const {
            return !start.add && (job.tiles.cols >= run_slack || task + 1 != job.last || o + 1 != c.outputs_);
        }
        T* result(Index k, Index o) const {
            return job.result + k * job.result_size + o * (job.tiles.size() + run_slack);
        }
        template <int Bytes>
        [[gnu::always_inline]] void sum(Index task, Index channel, Index k) const {
            auto const tile = job.tiles.at(task);
            Index const pitch = job.tiles.pitch, group = job.tiles.plane(task) % c.groups_;
            const T* const x = job.laid + k * job.laid_size;
            for (Index o = 0; o != c.outputs_; ++o) {
                Index const out = group * c.outputs_ + o, square = side();
                const T* const w = weight + (out * c.channels_ + channel) * c.taps_;
                T const first = start.bias ? start.bias[out] : T(0);
                bool const at_once = direct(task, o);
                T* const y = at_once && square != 0 ? to(task, tile, o) : result(k, o);
                Index const y_pitch = at_once ? job.tiles.all[1] : tile.cols;
                if (square == 3)
                    square_sums<Bytes, 3>(x, pitch, job.taps, w, first, tile.rows, tile.cols, y, y_pitch);
                else if (square == 5)
                    square_sums<Bytes, 5>(x, pitch, job.taps, w, first, tile.rows, tile.cols, y, y_pitch);
                else
                    tap_sums<Bytes>(x, job.taps, w, first, channel != 0, y,
                                    (tile.rows - 1) * pitch + tile.cols);
            }
        }
        template <int Bytes>
        [[gnu::always_inline]] void write(Index task, Index k) const {
            auto const tile = job.tiles.at(task);
            Index const square = side(), pitch = square != 0 ? tile.cols : job.tiles.pitch;
            for (Index o = 0; o != c.outputs_; ++o) {
                if (square != 0 && direct(task, o)) continue;
                for (Index r = 0; r != tile.rows; ++r) {
                    const T* const from = result(k, o) + r * pitch;
                    T* const row = to(task, tile, o) + r * job.tiles.all[1];
                    if (start.add)
                        add_run<Bytes>(from, tile.cols, row);
                    else
                        copy_run<Bytes>(from, tile.cols, row);
                }
            }
        }
    };

    struct WeightGradient {
        const Depthwise& c;
        Job job;
        const T *input, *grad_output;
        T* sums;
        Index in_part;

        template <int Bytes>
        [[gnu::always_inline]] void run() const {
            Tiles const tiles = job.tiles;
            Index const planes = c.groups_ * c.channels_, part_size = planes * c.outputs_ * c.taps_;
            Index const x_step = job.laid_size, g_step = job.result_size;
            bool const same = tiles.count == 1;
            if (same) zero_run<Bytes>(job.laid, job.batch * (x_step + g_step));
            for (Index task = job.first; task != job.last; ++task) {
                Index const part = task / planes, channel = task % planes, group = channel / c.channels_;
                // The weights of this channel, for the group's outputs.
                T* const to = sums + part * part_size +
                              (group * c.outputs_ * c.channels_ + channel % c.channels_) * c.taps_;
                for (Index o = 0; o != c.outputs_; ++o)
                    for (Index t = 0; t != c.taps_; ++t) to[o * c.channels_ * c.taps_ + t] = 0;
                // Over the tiles of the part's images, in batches.
                Index const end = (std::min)(c.images_, (part + 1) * in_part) * tiles.count;
                for (Index first = part * in_part * tiles.count; first < end; first += job.batch) {
                    Index const count = (std::min)(job.batch, end - first);
                    Index const image = tiles.plane(first);
                    auto const tile = tiles.at(first);
                    c.template lay_input<Bytes>(input + (image * planes + channel) * c.pixels_,
                                                planes * c.pixels_, tiles, tile, job.laid, x_step,
                                                same ? count : 0);
                    // Zeros where the rows of the input go on: its rows and the gradient's are as long.
                    Index const n = tile.rows * tiles.pitch;
                    for (Index o = 0; o != c.outputs_; ++o) {
                        c.template lay<Bytes>(
                            grad_output + ((image * c.groups_ + group) * c.outputs_ + o) * c.positions_,
                            c.groups_ * c.positions_, {tiles.all[0], tiles.all[1], tile.row, tile.col, 1, 1},
                            tile.rows, tile.cols, tiles.pitch, job.result, g_step, same ? count : 0);
                        tap_products<Bytes>(Runs<T>{job.laid, x_step, job.result, g_step, count}, job.taps, n,
                                            to + o * c.channels_ * c.taps_);
                    }
                }
            }
        }
    };

    struct InputGradient {
        const Depthwise& c;
        Job job;
        const T *weight, *grad_output;
        T* grad_input;
        const Index* begins;
        nn::Size2 origin;

        template <int Bytes>
        [[gnu::always_inline]] void run() const {
            bool const same = job.tiles.count == 1;
            if (same) zero_run<Bytes>(job.laid, job.batch * job.laid_size);
            Index const phases = c.w_.stride[0] * c.w_.stride[1];
            for (Index task = job.first; task < job.last; task += job.batch) {
                Index const n = (std::min)(job.batch, job.last - task);
                auto const tile = job.tiles.at(task);
                for (Index o = 0; o != c.outputs_; ++o)
                    c.template lay<Bytes>(
                        grad_output + (job.tiles.plane(task) * c.outputs_ + o) * c.positions_, c.positions_,
                        {c.out_[0], c.out_[1], origin[0] + tile.row - c.reach_[0],
                         origin[1] + tile.col - c.reach_[1], 1, 1},
                        tile.rows + c.reach_[0], job.tiles.pitch, job.tiles.pitch,
                        job.laid + o * c.laid_out_gradient(job.tiles), job.laid_size, same ? n : 0);
                for (Index i = 0; i != c.channels_; ++i)
                    for (Index phase = 0; phase != phases; ++phase) {
                        if (begins[phase] == begins[phase + 1]) continue;
                        for (Index k = 0; k != n; ++k) sum<Bytes>(task + k, i, phase, k);
                        for (Index k = 0; k != n; ++k) add<Bytes>(task + k, i, phase, k);
                    }
            }
        }
        Index side() const { return c.outputs_ == 1 ? c.square_ : 0; }
        template <int Bytes>
        [[gnu::always_inline]] void sum(Index task, Index channel, Index phase, Index k) const {
            auto const tile = job.tiles.at(task);
            Index const pitch = job.tiles.pitch, group = job.tiles.plane(task) % c.groups_, square = side();
            Taps const taps = job.taps.part(begins[phase], begins[phase + 1] - begins[phase]);
            T* const to = job.result + k * job.result_size;
            for (Index o = 0; o != c.outputs_; ++o) {
                const T* const w = weight + ((group * c.outputs_ + o) * c.channels_ + channel) * c.taps_;
                const T* const g = job.laid + k * job.laid_size + o * c.laid_out_gradient(job.tiles);
                if (square == 3)
                    square_sums<Bytes, 3>(g, pitch, taps, w, T(0), tile.rows, tile.cols, to, tile.cols);
                else if (square == 5)
                    square_sums<Bytes, 5>(g, pitch, taps, w, T(0), tile.rows, tile.cols, to, tile.cols);
                else
                    tap_sums<Bytes>(g, taps, w, T(0), o != 0, to, (tile.rows - 1) * pitch + tile.cols);
            }
        }
        template <int Bytes>
        [[gnu::always_inline]] void add(Index task, Index channel, Index phase, Index k) const {
            auto const tile = job.tiles.at(task);
            nn::Size2 const stride = c.w_.stride;
            PlanePart const pixels{c.w_.input[0],
                                   c.w_.input[1],
                                   (origin[0] + tile.row) * stride[0] + phase / stride[1] - c.w_.padding[0],
                                   (origin[1] + tile.col) * stride[1] + phase % stride[1] - c.w_.padding[1],
                                   stride[0],
                                   stride[1]};
            T* const to = grad_input + (job.tiles.plane(task) * c.channels_ + channel) * c.pixels_;
            const T* const from = job.result + k * job.result_size;
            Index const pitch = side() != 0 ? tile.cols : job.tiles.pitch;
            if (pitch == c.w_.input[1] && tile.cols == pitch && stride == nn::Size2{1, 1})  // whole rows
                add_run<Bytes>(from, tile.rows * pitch, to + pixels.top * pitch);
            else
                add_back<Bytes>(from, pitch, tile.rows, tile.cols, pixels, to);
        }
    };

    Window w_;
    Index images_, groups_, channels_, outputs_;
    Index taps_, pixels_, positions_;
    nn::Size2 out_;
    nn::Size2 reach_{};   // how many rows or columns further than a tile the taps see
    nn::Size2 phases_{};  // how many remainders by the stride rows or columns may have that taps see
    Index square_ = 0;    // the side of a square of taps that has a kernel of its own, or 0
    double work_;         // multiplications in all
};

}  // namespace amct_distill::detail
