// SPDX-License-Identifier: Apache-2.0
/// The k-th largest and the k-th smallest of values that come in parts, each with its range.
///
///     Tails tails(k_largest, k_smallest);
///     tails.add(part, range_of(part));  ...
///     tails.kth_largest();  tails.kth_smallest();
///
/// Only what could still be among the k outermost is kept, and a part without such values is not read.
#pragma once
#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "kernels/range.hpp"

namespace amct_distill::detail {

/// The first k in the order of Before.
template <class Before>
class Tail {
public:
    /// `last`: no value comes after it. Precondition: k > 0.
    Tail(std::size_t k, float last) : k_(k), threshold_(last) {}

    float threshold() const { return threshold_; }

    /// Values equal to the threshold need not be kept: they leave the k-th as it is.
    void add(float v) {
        if (!Before{}(v, threshold_)) return;
        kept_.push_back(v);
        if (kept_.size() >= 2 * k_ + 1024) shrink();
    }

    /// Precondition: at least k values were added.
    float kth() {
        if (kept_.size() >= k_) shrink();
        return threshold_;
    }

private:
    void shrink() {
        auto const kth = kept_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
        std::nth_element(kept_.begin(), kth, kept_.end(), Before{});
        threshold_ = *kth;
        kept_.resize(k_);
    }

    std::size_t k_;
    float threshold_;
    std::vector<float> kept_{};
};

class Tails {
public:
    Tails(std::size_t k_largest, std::size_t k_smallest)
        : largest_(k_largest, -std::numeric_limits<float>::infinity()),
          smallest_(k_smallest, std::numeric_limits<float>::infinity()) {}

    /// Precondition: all finite, `range` their range or a larger one.
    void add(std::span<const float> x, ValueRange range) {
        if (range.max > largest_.threshold())
            for (float v : x) largest_.add(v);
        if (range.min < smallest_.threshold())
            for (float v : x) smallest_.add(v);
    }

    float kth_largest() { return largest_.kth(); }
    float kth_smallest() { return smallest_.kth(); }

private:
    Tail<std::greater<>> largest_;
    Tail<std::less<>> smallest_;
};

}  // namespace amct_distill::detail
