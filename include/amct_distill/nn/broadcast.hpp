// SPDX-License-Identifier: Apache-2.0
/// Broadcasting as numpy does it: the shape that comes of several, and the walk over two operands.
///
///     result<Shape> y = broadcast_shape(inputs);                   // [N, 8, 4, 4] and [8, 1, 1]
///     Broadcast const pair(y, a, b);                               // of shapes that fit
///     pair.for_each_run(scratch, [&](Index o, Index i, Index j, Index n) {
///         for (Index k = 0; k != n; ++k) y[o + k] = a[i + k * pair.step_a()] + b[j + k * pair.step_b()];
///     });
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "module.hpp"

namespace amct_distill::nn {

/// What the walks over tensors of several dimensions take.
inline constexpr std::size_t max_rank = 16;

/// Shapes aligned at their last dimensions; 1 fits any. The batch stands in dimension 0 of the result alone,
/// where the operands that have one, and those that have all dimensions, may have 1. Errors: they do not fit.
inline result<Shape> broadcast_shape(std::span<const Shape> inputs) {
    std::size_t rank = 0;
    bool batch = false;
    for (const Shape& s : inputs) {
        rank = (std::max)(rank, s.size());
        batch = batch || (!s.empty() && s[0] == any_batch);
    }
    if (rank == 0) return detail::unexpected_inputs("inputs that broadcast", inputs);
    if (rank > max_rank)
        return detail::unexpected_inputs(detail::concat("inputs of at most ", max_rank, " dimensions"),
                                         inputs);
    Shape shape(rank, 1);
    for (const Shape& s : inputs)
        for (std::size_t i = 0; i != s.size(); ++i) {
            std::size_t const at = rank - s.size() + i;
            if (s[i] == any_batch && at != 0)
                return detail::unexpected_inputs(
                    "inputs whose batches lie in the same dimension; reshape the one of fewer dimensions",
                    inputs);
            if (s[i] == 1 || s[i] == shape[at]) continue;
            if (shape[at] != 1)
                return detail::unexpected_inputs(batch && at == 0
                                                     ? "inputs that broadcast for a batch of any size: 1 in "
                                                       "dimension 0 of what has no batch, or a fixed batch"
                                                     : "inputs that broadcast",
                                                 inputs);
            shape[at] = s[i];
        }
    return shape;
}

/// Two operands of an output, each of a shape that broadcasts to the output's.
class Broadcast {
public:
    Broadcast(const Shape& output, const Shape& a, const Shape& b) {
        Index stride_a = 1, stride_b = 1;
        for (std::size_t back = 1; back <= output.size(); ++back) {  // from the last dimension on
            Index const extent = output[output.size() - back];
            Index const in_a = back <= a.size() ? a[a.size() - back] : 1;
            Index const in_b = back <= b.size() ? b[b.size() - back] : 1;
            size_ *= extent;
            if (extent != 1) add({extent, in_a == 1 ? 0 : stride_a, in_b == 1 ? 0 : stride_b});
            stride_a *= in_a;
            stride_b *= in_b;
        }
        if (count_ == 0) add({1, 1, 1});
    }

    /// Within a run: 1, or 0 for an operand that stays.
    Index step_a() const { return groups_[0].a; }
    Index step_b() const { return groups_[0].b; }

    /// f(in the output, in a, in b, how many) for runs that are consecutive in the output, on the scratch's
    /// threads.
    template <class T, class F>
    void for_each_run(const BasicScratch<T>& scratch, F f) const {
        scratch.in_parts(static_cast<std::size_t>(size_), [&](std::size_t first, std::size_t last) {
            auto begin = static_cast<Index>(first);
            auto const end = static_cast<Index>(last);
            std::array<Index, max_rank> at{};
            Index rest = begin, a = 0, b = 0;
            for (std::size_t k = 0; k != count_; ++k) {
                at[k] = rest % groups_[k].extent;
                rest /= groups_[k].extent;
                a += at[k] * groups_[k].a;
                b += at[k] * groups_[k].b;
            }
            while (begin != end) {
                Index const n = (std::min)(groups_[0].extent - at[0], end - begin);
                f(begin, a, b, n);
                begin += n;
                at[0] += n;
                a += n * groups_[0].a;
                b += n * groups_[0].b;
                for (std::size_t k = 0; k + 1 < count_ && at[k] == groups_[k].extent; ++k) {
                    a += groups_[k + 1].a - at[k] * groups_[k].a;
                    b += groups_[k + 1].b - at[k] * groups_[k].b;
                    at[k] = 0;
                    ++at[k + 1];
                }
            }
        });
    }

private:
    struct Group {
        Index extent = 1, a = 1, b = 1;  ///< and the strides of the operands
    };
    /// A dimension joins the one after it where both operands go on evenly.
    void add(Group g) {
        if (count_ != 0) {
            Group& inner = groups_[count_ - 1];
            if (g.a == inner.a * inner.extent && g.b == inner.b * inner.extent) {
                inner.extent *= g.extent;
                return;
            }
        }
        groups_[count_++] = g;
    }

    std::array<Group, max_rank> groups_{};  ///< the innermost first
    std::size_t count_ = 0;
    Index size_ = 1;
};

}  // namespace amct_distill::nn
