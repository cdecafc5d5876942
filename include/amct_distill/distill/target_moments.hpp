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
        LaneSum sums, square_sums;
        for_each_in_lanes(values.size(), [&](std::size_t i, std::size_t lane) {
            auto const v = static_cast<double>(values[i]);
            sums.lane[lane] += v;
            square_sums.lane[lane] += v * v;
        });
        sum += sums.total();
        squares += square_sums.total();
        count += static_cast<double>(values.size());
    }
    void add(const TargetMoments& other) { count += other.count, sum += other.sum, squares += other.squares; }
    double variance() const { return squares / count - sum / count * (sum / count); }
};

}  // namespace amct_distill::detail
