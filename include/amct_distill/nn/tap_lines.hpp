// SPDX-License-Identifier: Apache-2.0
/// What the taps of a window see at some positions of a batch, copied to lines or panels: the rows of the
/// matrix that a convolution multiplies with.
///
///     TapLines<float> lines(window, channels, images_apart);  // from image to image
///     lines.at(first, 256, panel_cols, panel_size);             // positions, counted through all images
///     run_on(set, lines.read(x, tap, 126, buffer, to, panel_cols));
///
/// The rows of the images that the positions need are copied with zeros around them once for each channel;
/// from there a tap's line is a few runs, where they begin is the same for all taps but for an offset.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>

#include "runs.hpp"
#include "tap_sums.hpp"
#include "window.hpp"

namespace amct_distill::detail {

template <class T>
class TapLines {
public:
    using Index = nn::Index;
    static constexpr Index most_positions = 256;

    TapLines(const Window& window, Index images, Index images_apart)
        : w_(window),
          apart_(images_apart),
          pixels_(window.input[0] * window.input[1]),
          rows_(window.output(0)),
          cols_(window.output(1)),
          taps_(window.taps()),
          phases_((std::min)(window.stride[1], (window.kernel[1] - 1) * window.dilation[1] + 1)),
          // A tap alone sees the images as they are.
          direct_(window.taps() == 1 && window.stride == nn::Size2{1, 1} &&
                  window.padding == nn::Size2{0, 0} && rows_ == window.input[0] && cols_ == window.input[1]),
          pitch_((std::min)(cols_, most_positions) +
                 (window.kernel[1] - 1) * window.dilation[1] / window.stride[1]) {
        // The most rows of the output that a block has some of, and of the input that they need.
        Index const in_block = (std::min)(images, most_positions / (rows_ * cols_) + 2);
        Index const rows = (std::min)(most_positions / cols_ + 1 + in_block, in_block * rows_);
        region_ = (rows * w_.stride[0] + in_block * ((w_.kernel[0] - 1) * w_.dilation[0] + 1)) * pitch_ +
                  2 * run_slack;
    }

    /// Whether the lines are rows of the images themselves.
    bool direct() const { return direct_; }

    /// What `read` needs as a buffer.
    Index buffer() const { return direct_ ? 0 : phases_ * region_ + run_slack; }

    /// The positions [first, first + n), which go on from image to image: at most `most_positions`, in one
    /// row
    /// where rows are longer. A line is in panels of `panel` values, `panel_step` apart; 0: in one piece.
    void at(Index first, Index n, Index panel, Index panel_step) {
        positions_ = n;
        panel_ = panel;
        panel_step_ = panel_step;
        pieces_count_ = parts_count_ = 0;
        Index base = 0, to = 0;
        Index const of_image = rows_ * cols_;
        while (to != n) {
            Index const q = first + to, image = q / of_image, begin = q % of_image;
            Index const count = (std::min)(n - to, of_image - begin);
            if (direct_) {
                add_pieces(image * apart_ + begin, to, count);
                to += count;
                continue;
            }
            Index const row = begin / cols_, last = (begin + count - 1) / cols_;
            bool const one = row == last;
            Index const col = one ? begin % cols_ : 0, cols = one ? count : cols_;
            Part const part{image, row, col,
                            (last - row) * w_.stride[0] + (w_.kernel[0] - 1) * w_.dilation[0] + 1, base};
            parts_[std::size_t(parts_count_++)] = part;
            for (Index y = row; y <= last; ++y) {
                Index const x = (std::max)(begin - y * cols_, col);
                Index const end = (std::min)(begin + count - y * cols_, col + cols);
                add_pieces(base + (y - row) * w_.stride[0] * pitch_ + x - col, to, end - x);
                to += end - x;
            }
            base += part.rows * pitch_;
        }
    }

    struct Read;
    /// A kernel (run/instructions.hpp) that writes the lines of the taps [tap, tap + count) of a group's
    /// image
    /// `x`, each `step` after the other. Panels are filled up with zeros.
    Read read(const T* x, Index tap, Index count, T* buffer, T* to, Index step) const {
        return {*this, x, tap, count, buffer, to, step};
    }

    struct Read {
        const TapLines& lines;
        const T* x;
        Index tap, count;
        T* buffer;
        T* to;
        Index step;

        template <int Bytes>
        [[gnu::always_inline]] void run() const {
            Index const last = tap + count;
            T* line = to;
            for (Index t = tap; t != last;) {
                Index const channel = t / lines.taps_, end = (std::min)(last, (channel + 1) * lines.taps_);
                const T* const plane = x + channel * lines.pixels_;
                if (lines.direct_) {
                    line = copy<Bytes>(plane, line);
                    ++t;
                    continue;
                }
                lines.template lay<Bytes>(plane, buffer);
                for (; t != end; ++t)
                    line = copy<Bytes>(buffer + lines.offset(t - channel * lines.taps_), line);
            }
        }
        template <int Bytes>
        [[gnu::always_inline]] T* copy(const T* from, T* line) const {
            for (Index k = 0; k != lines.pieces_count_; ++k) {
                const Piece& piece = lines.pieces_[std::size_t(k)];
                copy_run<Bytes>(from + piece.from, piece.n, line + piece.to);
            }
            if (lines.panel_ != 0) {
                Index const used = lines.positions_ % lines.panel_;
                if (used != 0)
                    zero_run<Bytes>(line + lines.positions_ / lines.panel_ * lines.panel_step_ + used,
                                    lines.panel_ - used);
            }
            return line + step;
        }
    };

private:
    struct Piece {
        Index from = 0, to = 0, n = 0;
    };
    /// What of an image is laid out.
    struct Part {
        Index image = 0, row = 0, col = 0;  ///< of the output
        Index rows = 0;                     ///< of the input
        Index base = 0;
    };

    void add_pieces(Index from, Index to, Index n) {
        while (n > 0) {
            Index const in_panel = panel_ == 0 ? to : to % panel_;
            Index const count = panel_ == 0 ? n : (std::min)(n, panel_ - in_panel);
            pieces_[std::size_t(pieces_count_++)] = {
                from, panel_ == 0 ? to : to / panel_ * panel_step_ + in_panel, count};
            from += count, to += count, n -= count;
        }
    }
    Index offset(Index tap) const {
        Index const ky = tap / w_.kernel[1], x = tap % w_.kernel[1] * w_.dilation[1];
        Index const shift = w_.stride[1] == 1 ? x : x / w_.stride[1];
        return ky * w_.dilation[0] * pitch_ + (x - shift * w_.stride[1]) * region_ + shift;
    }
    template <int Bytes>
    [[gnu::always_inline]] void lay(const T* plane, T* buffer) const {
        for (Index k = 0; k != parts_count_; ++k) {
            const Part& part = parts_[std::size_t(k)];
            PlanePart rows{w_.input[0], w_.input[1], part.row * w_.stride[0] - w_.padding[0],
                           0,           1,           w_.stride[1]};
            for (Index phase = 0; phase != phases_; ++phase) {
                rows.left = part.col * w_.stride[1] - w_.padding[1] + phase;
                lay_out<Bytes>(plane + part.image * apart_, rows, part.rows, pitch_, pitch_,
                               buffer + part.base + phase * region_);
            }
        }
    }

    Window w_;
    Index apart_, pixels_, rows_, cols_, taps_, phases_;
    bool direct_;
    Index pitch_;       // of what is laid out
    Index region_ = 0;  // of all rows that have a phase of the columns
    Index positions_ = 0, panel_ = 0, panel_step_ = 0;
    Index pieces_count_ = 0, parts_count_ = 0;
    std::array<Piece, std::size_t(most_positions)> pieces_{};
    std::array<Part, std::size_t(most_positions)> parts_{};
};

}  // namespace amct_distill::detail
