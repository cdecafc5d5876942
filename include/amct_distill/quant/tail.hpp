/// The k-th largest and the k-th smallest of values that come in parts, in one pass over them.
///
///     Tails tails(k_largest, k_smallest);
///     tails.add(part, on);  ...
///     tails.kth_largest();  tails.kth_smallest();
///
/// Only what could still be among the k outermost is kept, so a part is mostly passed over at the speed of
/// finding its range. Exact, and no matter in what order or on what threads.
#pragma once
#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <mutex>
#include <span>
#include <vector>

#include "execution.hpp"
#include "kernels/range.hpp"

namespace amct_distill::detail {

/// The first k in the order of Before.
template <class Before>
class Tail {
public:
    /// `last`: no value comes after it. Precondition: k > 0.
    Tail(std::size_t k, float last) : k_(k), threshold_(last) {}

    std::size_t k() const { return k_; }
    float threshold() const { return threshold_; }

    /// Values equal to the threshold need not be kept: they leave the k-th as it is.
    void add(float v) {
        if (!Before{}(v, threshold_)) return;
        kept_.push_back(v);
        if (kept_.size() >= 2 * k_ + 1024) shrink();
    }
    void merge(const Tail& other) {
        for (float v : other.kept_) add(v);
    }

    /// Precondition: at least k values were added to this and what was merged, in all.
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

    /// Precondition: all finite.
    void add(std::span<const float> x, const Execution& on) {
        if (!on.parallel_for) return scan(x, on);
        std::mutex merging;
        in_parts(on, x.size(), std::size_t{1} << 20, [&](std::size_t begin, std::size_t end) {
            Tails part(largest_.k(), smallest_.k());
            part.scan(x.subspan(begin, end - begin), on);
            std::lock_guard const lock(merging);
            largest_.merge(part.largest_);
            smallest_.merge(part.smallest_);
            note({part.max_, part.min_, true});
        });
    }

    float kth_largest() { return largest_.kth(); }
    float kth_smallest() { return smallest_.kth(); }
    float largest_magnitude() const { return (std::max)(max_, -min_); }

private:
    void scan(std::span<const float> x, const Execution& on) {
        constexpr std::size_t block = 1024;
        for (std::size_t i = 0; i < x.size(); i += block) {
            auto const some = x.subspan(i, (std::min)(block, x.size() - i));
            ValueRange const range = run_on(on.instructions, range_loop{some.data(), some.size()});
            note(range);
            if (range.max > largest_.threshold())
                for (float v : some) largest_.add(v);
            if (range.min < smallest_.threshold())
                for (float v : some) smallest_.add(v);
        }
    }

    void note(ValueRange range) {
        max_ = (std::max)(max_, range.max);
        min_ = (std::min)(min_, range.min);
    }

    float max_ = 0, min_ = 0;
    Tail<std::greater<>> largest_;
    Tail<std::less<>> smallest_;
};

}  // namespace amct_distill::detail
