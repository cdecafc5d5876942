// SPDX-License-Identifier: Apache-2.0
/// Planes in tiles that a first-level cache holds, and what the tasks of a depthwise convolution have in common.
///
///     PlaneTiles const tiles = PlaneTiles::of({112, 112}, {2, 2});    // of 112 x 112 results; taps see 2 more
///     tiles.at(task).row, tiles.plane(task);                         // tasks: tiles.count for each plane
#pragma once
#include <algorithm>
#include <cstddef>

#include "../run/instructions.hpp"
#include "scratch.hpp"
#include "tap_sums.hpp"
#include "window.hpp"

namespace amct_distill::detail {

/// Rows and columns in tiles that a first-level cache holds.
struct PlaneTiles {
    struct Tile {
        nn::Index row, col, rows, cols;
    };
    /// The tile of a task, which are `count` for each plane. A division takes as long as a small
    /// plane's sums.
    [[gnu::always_inline]] Tile at(nn::Index task) const {
        if (count == 1) return {0, 0, all[0], all[1]};
        nn::Index const k = task % count, row = k / across * rows, col = k % across * cols;
        return {row, col, (std::min)(rows, all[0] - row), (std::min)(cols, all[1] - col)};
    }
    [[gnu::always_inline]] nn::Index plane(nn::Index task) const { return count == 1 ? task : task / count; }
    nn::Index size() const { return rows * pitch; }

    /// `reach`: how many rows and columns more the taps see.
    static PlaneTiles of(const nn::Size2& all, const nn::Size2& reach) {
        auto const parts = [](nn::Index n, nn::Index most) { return (n + most - 1) / most; };
        PlaneTiles t{.all = all};
        t.across = parts(all[1], 1024);
        t.cols = parts(all[1], t.across);
        t.pitch = t.cols + reach[1];
        nn::Index const most = (std::max)((std::min)(all[0], nn::Index(8)), 4096 / t.pitch - reach[0]);
        t.rows = parts(all[0], parts(all[0], most));
        t.count = parts(all[0], t.rows) * t.across;
        return t;
    }

    nn::Size2 all{};
    nn::Index rows = 0, cols = 0, pitch = 0, across = 0, count = 0;
};

/// What the tasks have in common.
template <class T>
struct PlaneJob {
    PlaneTiles tiles{};
    Taps taps{};
    InstructionSet set{};
    T* laid = nullptr;  ///< the planes that are laid out, and what the kernels give
    T* result = nullptr;
    nn::Index laid_size = 0, result_size = 0;
    /// How many planes are laid out at a time: wide loads of what has just been stored in narrower pieces
    /// wait for it to reach the cache, so that between the steps of a small plane others are better.
    nn::Index batch = 1;
    nn::Index first = 0, last = 0;

    void set_buffers(nn::BasicScratch<T>& scratch, nn::Index for_laid, nn::Index for_result) {
        laid_size = (for_laid + 15) / 16 * 16;
        result_size = (for_result + 15) / 16 * 16;
        laid = scratch.buffer(0, batch * (laid_size + result_size));
        result = laid + batch * laid_size;
    }
    PlaneJob of(nn::Index begin, nn::Index end, nn::Index worker) const {
        PlaneJob job = *this;
        job.laid += worker * batch * (laid_size + result_size);
        job.result += worker * batch * (laid_size + result_size);
        job.first = begin;
        job.last = end;
        return job;
    }
};

}  // namespace amct_distill::detail
