/// IFMR, input feature map reconstruction: the clip range of activations with the smallest squared error.
///
///     Ifmr<Int8> ifmr;
///     ifmr.observe(batch1).value();
///     ifmr.observe(batch2).value();
///     result<IfmrResult> found = ifmr.finish();    // found->clip, found->scale_offset
///
/// Source: AMCT's IFMR. The winner is the candidate with the smallest sum, in double, of the squares of the
/// exact float32 errors; AMCT sums in float32 and can miss it. All observed values are kept until the end.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../policy/forward.hpp"
#include "affine.hpp"
#include "finite.hpp"
#include "kernels/ifmr.hpp"
#include "ordered_sum.hpp"
#include "range.hpp"

namespace amct_distill {

/// Candidate i has the ratio float(search_start + i * search_step), for i < ceil((search_end - search_start)
/// / search_step). The defaults give 61 of them, 0.70 to 1.30: in double, 0.6 / 0.01 is a little over 60.
struct IfmrOptions {
    double max_percentile = 0.999999;  ///< the part of the values that are not above the range, (0, 1]
    double min_percentile = 0.999999;  ///< the part of the values that are not below it, (0, 1]
    double search_start = 0.7;
    double search_end = 1.3;
    double search_step = 0.01;

    static constexpr double max_candidates = 10000;
};

struct IfmrResult {
    ScaleOffset scale_offset{};
    ClipRange clip{};              ///< the values of the highest and the lowest code
    std::size_t best = 0;          ///< the winning candidate: the first with the smallest loss
    std::vector<double> losses{};  ///< mean squared error, by candidate
    ClipRange range{};             ///< the percentiles, extended to hold 0
};

/// With M = max(|max|, |min|) of the percentiles and limit as in `symmetric_scale`, ratio r has
///   symmetric:   scale r * M / limit, values clamped to -r * M .. r * M;
///   asymmetric:  scale and offset of `asymmetric_scale` of r * max and min (the ratio moves only the upper
///                end), values clamped to min .. r * max.
/// Its loss is mean((round(clamp(x) / scale) * scale - x)^2): not clamped to the integers of n bits.
template <BitWidth B, Symmetry S>
class Ifmr {
public:
    using bits = B;
    using symmetry = S;

    Ifmr() = default;
    explicit Ifmr(IfmrOptions options) : options_(options) {}

    /// Adds a batch, of any shape. An error when it is empty or has a value that is not finite; it is then
    /// not added.
    result<void> observe(std::span<const float> batch) {
        if (auto ok = check_finite(batch, "activations"); !ok) return ok;
        values_.insert(values_.end(), batch.begin(), batch.end());
        return {};
    }

    /// The best clip range of all values observed. Errors: no batch, options outside their limits, values so
    /// large that no candidate has a finite loss.
    result<IfmrResult> finish() const {
        if (auto ok = check_options(); !ok) return ok.diagnostics();
        if (values_.empty())
            return general_error("IFMR: no batch was observed; call observe() before finish()");

        IfmrResult found;
        found.range = {(std::max)(0.0f, kth<std::greater<>>(options_.max_percentile)),
                       (std::min)(0.0f, kth<std::less<>>(options_.min_percentile))};
        std::vector<Candidate> const candidates = candidates_in(found.range);
        found.losses = losses(candidates);
        double smallest = std::numeric_limits<double>::infinity();
        for (std::size_t i = 0; i != candidates.size(); ++i) {
            if (found.losses[i] < smallest) {
                smallest = found.losses[i];
                found.best = i;
            }
        }
        if (!std::isfinite(smallest))
            return general_error(detail::concat(
                "IFMR: no candidate has a finite loss for values between ", detail::number(found.range.min),
                " and ", detail::number(found.range.max), "; scale the network's input down"));
        found.scale_offset = candidates[found.best].p;
        found.clip = clip_of<B>(found.scale_offset);
        return found;
    }

private:
    struct Candidate {
        float upper, lower;  // values are clamped to these
        ScaleOffset p;
    };

    double count_of_candidates() const {
        return std::ceil((options_.search_end - options_.search_start) / options_.search_step);
    }

    result<void> check_options() const {
        using detail::number;
        for (double p : {options_.max_percentile, options_.min_percentile})
            if (!(p > 0 && p <= 1))
                return general_error(detail::concat("IFMR: the percentile ", number(p),
                                                    " is not in (0, 1]; the default is 0.999999"));
        double const count = count_of_candidates();
        if (!(options_.search_start > 0 && options_.search_step > 0 && count >= 1 &&
              count <= IfmrOptions::max_candidates))
            return general_error(detail::concat(
                "IFMR: the search from ", number(options_.search_start), " to ", number(options_.search_end),
                " by ", number(options_.search_step),
                " is not one of 1 to 10000 positive ratios; the default is from 0.7 to 1.3 by 0.01"));
        return {};
    }

    /// The k-th value in the order of Before, k = N - int(percentile * N) but at least 1.
    template <class Before>
    float kth(double percentile) const {
        std::size_t const n = values_.size();
        auto const below = static_cast<std::size_t>(percentile * static_cast<double>(n));
        std::vector<float> first((std::max<std::size_t>)(1, n - (std::min)(n, below)));
        std::partial_sort_copy(values_.begin(), values_.end(), first.begin(), first.end(), Before{});
        return first.back();
    }

    std::vector<Candidate> candidates_in(ClipRange range) const {
        auto const count = static_cast<std::size_t>(count_of_candidates());
        std::vector<Candidate> all;
        all.reserve(count);
        for (std::size_t i = 0; i != count; ++i) {
            auto const ratio =
                static_cast<float>(options_.search_start + static_cast<double>(i) * options_.search_step);
            if constexpr (std::same_as<S, Symmetric>) {
                float const upper = ratio * detail::magnitude(range);
                all.push_back({upper, -upper, symmetric_scale<B>(range, ratio)});
            } else {
                float const upper = ratio * range.max;
                all.push_back({upper, range.min, asymmetric_scale<B>({upper, range.min})});
            }
        }
        return all;
    }

    /// Every block of values is read from memory once, and evaluated for all candidates while in cache.
    std::vector<double> losses(const std::vector<Candidate>& candidates) const {
        std::vector<double> loss(candidates.size());
        for (std::size_t begin = 0; begin < values_.size(); begin += detail::sum_block) {
            auto const block = std::span(values_).subspan(begin).first(
                (std::min)(detail::sum_block, values_.size() - begin));
            for (std::size_t c = 0; c != candidates.size(); ++c) loss[c] += block_loss(block, candidates[c]);
        }
        for (double& sum : loss) sum /= static_cast<double>(values_.size());
        return loss;
    }

    static double block_loss(std::span<const float> block, Candidate candidate) {
        return detail::ordered_sums(
            {}, block.size(),
            detail::SquaredError{block.data(), candidate.upper, candidate.lower, candidate.p.scale})[0];
    }

    IfmrOptions options_{};
    std::vector<float> values_{};
};

}  // namespace amct_distill
