// SPDX-License-Identifier: Apache-2.0
/// How many values a block shall give, their sum and the sum of their squares: for the variance that losses
/// of several blocks are divided by.
///
///     detail::TargetMoments of_slice;
///     of_slice.add(target.span());
///     moments.add(of_slice);                              // slice after slice, in order
///     moments.variance();
#pragma once
#include <cstddef>
#include <span>

#include "distance.hpp"

namespace amct_distill::detail {

/// Sums of what a block shall give: of a slice, then of all.
struct TargetMoments {
    double count = 0, sum = 0, squares = 0;
    void add(std::span<const float> values) {
        auto const found = lane_sums<Terms>(values, values);
        sum += found[0].total();
        squares += found[1].total();
        count += static_cast<double>(values.size());
    }
    void add(const TargetMoments& other) { count += other.count, sum += other.sum, squares += other.squares; }
    double variance() const { return squares / count - sum / count * (sum / count); }

private:
    struct Terms {
        static constexpr std::size_t sums = 2;
        template <class D>
        [[gnu::always_inline]] static void of(const D& x, const D&, D* to) {
            to[0] = x;
            to[1] = x * x;
        }
    };
};

}  // namespace amct_distill::detail
