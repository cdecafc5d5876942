// SPDX-License-Identifier: Apache-2.0
/// A part of a batch: some of its samples. How batches are cut says slices.hpp.
///
///     BatchSlice slice{.begin = 0, .end = 4};     // the first four samples
#pragma once
#include <cstddef>

#include "../nn/tensor.hpp"

namespace amct_distill {

/// Into how many slices a batch is cut; one of fewer samples into one for each.
inline constexpr std::size_t default_slices = 8;

/// Samples begin..end of what a rank has of a batch; `first` is the first one's number in the whole batch.
struct BatchSlice {
    nn::Index begin = 0, end = 0, first = begin;
    nn::Index size() const { return end - begin; }
};

}  // namespace amct_distill
