// SPDX-License-Identifier: Apache-2.0
/// Sums over the samples of a batch, slice by slice: the same bits on any number of threads and ranks.
///
///     SliceSums sums(runner);
///     sums.begin(samples, 2);                                      // two sums; samples of the whole batch
///     sums.for_each([&](BatchSlice slice, std::span<double> to) { to[0] += ...; to[1] += ...; });
///     std::span<const double> found = sums.finish();               // of all slices, along the tree
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "slices.hpp"

namespace amct_distill {

class SliceSums {
public:
    /// The runner, whose network is not run, outlives it.
    explicit SliceSums(SliceRunner& runner) : runner_(runner) {}

    void begin(nn::Index samples, std::size_t sums) {
        samples_ = samples;
        sums_ = sums;
        parts_.assign(runner_.count(samples) * sums, 0);
    }
    /// f(slice, to) for every slice of this rank, counted from its first sample; adds to `to`. Any number of
    /// times.
    template <class F>
    void for_each(F&& f) {
        runner_.for_each(samples_, [&](std::size_t k, BatchSlice slice, nn::Tape&, std::size_t) {
            f(slice, std::span(parts_).subspan(k * sums_, sums_));
        });
    }
    /// The same on this thread, in order.
    template <class F>
    void for_each_in_order(F&& f) {
        detail::IndexRange const own = runner_.own(samples_);
        for (std::size_t k = own.begin; k != own.end; ++k)
            f(runner_.slice(samples_, k), std::span(parts_).subspan(k * sums_, sums_));
    }
    /// The sums of slice k, which is this rank's.
    std::span<double> of(std::size_t k) { return std::span(parts_).subspan(k * sums_, sums_); }
    /// Valid until the next `begin`.
    std::span<const double> finish() {
        std::size_t const count = runner_.count(samples_);
        detail::gather_ranges(runner_.ranks(), std::span(parts_), count, exchange_);
        detail::for_each_addition(count, [&](std::size_t i, std::size_t stride) {
            for (std::size_t s = 0; s != sums_; ++s)
                parts_[i * sums_ + s] += parts_[(i + stride) * sums_ + s];
        });
        return std::span<const double>(parts_).first(sums_);
    }
    /// The values of a slice in a tensor of this rank's samples; all of them where samples cannot be told
    /// apart.
    std::span<const float> values(const nn::Tensor& tensor, BatchSlice slice) const {
        return runner_.is_cut() ? detail::values_of(tensor, slice) : tensor.span();
    }

private:
    SliceRunner& runner_;
    nn::Index samples_ = 0;
    std::size_t sums_ = 0;
    std::vector<double> parts_{};  // by slice
    detail::Exchange exchange_{};
};

}  // namespace amct_distill
