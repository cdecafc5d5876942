// SPDX-License-Identifier: Apache-2.0
/// The walk of a reduction: for every output, what is folded into it.
///
///     Reduction const over(x.shape(), [](std::size_t dim) { return dim == 1; });
///     over.for_each(scratch, [&](Index out, Index width, auto each_line) {   // outputs [out, out + width)
///         double sums[Reduction::strip] = {};
///         each_line([&](Index at, Index n) {
///             for (Index j = 0; j != n; ++j) sums[j * over.step()] += x[at + j];
///         });
///         ...
///     });
///
/// Either all of a line belong to one output, and the step is 0, or each to one of its own, and it is 1. The
/// order is fixed by the shape, so the bits are the same for any number of threads.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>

#include "broadcast.hpp"

namespace amct_distill::nn {

class Reduction {
public:
    /// The most outputs that are handed out at a time.
    static constexpr Index strip = 32;

    template <class IsReduced>
    Reduction(const Shape& shape, IsReduced is_reduced) {
        std::array<Group, max_rank> groups{};
        std::size_t count = 0;
        for (std::size_t i = 0; i != shape.size(); ++i) {
            size_ *= shape[i];
            if (shape[i] == 1) continue;
            bool const reduced = is_reduced(i);
            if (reduced) terms_ *= shape[i];
            if (count != 0 && groups[count - 1].reduced == reduced)
                groups[count - 1].extent *= shape[i];
            else
                groups[count++] = {shape[i], 1, reduced};
        }
        if (count != 0 && !groups[count - 1].reduced) step_ = 1;
        if (count != 0) inner_ = groups[--count].extent;
        Index stride = inner_;
        for (std::size_t k = count; k-- != 0; stride *= groups[k].extent) groups[k].stride = stride;
        for (std::size_t k = 0; k != count; ++k)
            (groups[k].reduced ? reduced_[reduced_count_++] : kept_[kept_count_++]) = groups[k];
    }

    /// How many are folded into each output.
    Index terms() const { return terms_; }
    Index step() const { return step_; }

    template <class T, class F>
    void for_each(const BasicScratch<T>& scratch, F f) const {
        if (size_ == 0) return;
        Index const wide = step_ == 0 ? 1 : inner_;
        Index const strips = (wide + strip - 1) / strip, tasks = size_ / terms_ / wide * strips;
        Index const chunk = (std::max)(Index{1}, (1 << 14) / (terms_ * (std::min)(wide, strip)));
        scratch.parallel_for((tasks + chunk - 1) / chunk, double(size_), [&](Index c, Index) {
            for (Index task = c * chunk; task != (std::min)(tasks, (c + 1) * chunk); ++task) {
                Index const first = task % strips * strip, width = (std::min)(strip, wide - first);
                Index rest = task / strips, base = first;
                for (std::size_t k = kept_count_; k-- != 0; rest /= kept_[k].extent)
                    base += rest % kept_[k].extent * kept_[k].stride;
                f(task / strips * wide + first, width,
                  [&](auto line) { each_line(base, step_ == 0 ? inner_ : width, line); });
            }
        });
    }

private:
    struct Group {
        Index extent = 1, stride = 1;
        bool reduced = false;
    };
    template <class F>
    void each_line(Index base, Index length, F line) const {
        std::array<Index, max_rank> at{};
        Index offset = base;
        for (;;) {
            line(offset, length);
            std::size_t k = reduced_count_;
            for (;; at[k] = 0) {
                if (k == 0) return;
                --k;
                offset += reduced_[k].stride;
                if (++at[k] != reduced_[k].extent) break;
                offset -= reduced_[k].extent * reduced_[k].stride;
            }
        }
    }

    std::array<Group, max_rank> kept_{}, reduced_{};  ///< but for the innermost; the outermost first
    std::size_t kept_count_ = 0, reduced_count_ = 0;
    Index inner_ = 1, terms_ = 1, size_ = 1, step_ = 0;
};

}  // namespace amct_distill::nn
