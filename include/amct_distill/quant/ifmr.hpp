// SPDX-License-Identifier: Apache-2.0
/// IFMR, input feature map reconstruction: the clip range of activations with the smallest squared error.
///
///     Ifmr<Int8> ifmr;
///     ifmr.observe(batch1).value();
///     ifmr.observe(batch2).value();
///     result<IfmrResult> found = ifmr.finish();    // found->clip, found->scale_offset
///
/// Source: AMCT's IFMR. The winner is the candidate with the smallest sum, in double, of the squares of the
/// exact float32 errors; AMCT sums in float32 and can miss it. All observed values count: none is sampled.
#pragma once
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../policy/quantizer_names.hpp"
#include "../run/execution.hpp"
#include "../run/ordered_sum.hpp"
#include "affine.hpp"
#include "finite.hpp"
#include "histogram.hpp"
#include "ifmr_options.hpp"
#include "kernels/range.hpp"
#include "kernels/squared_error.hpp"
#include "scale.hpp"
#include "tail.hpp"
#include "value_store.hpp"

namespace amct_distill {

struct IfmrResult {
    ScaleOffset scale_offset{};
    ClipRange clip{};                   ///< the values of the highest and the lowest code
    std::size_t best = 0;               ///< the winning candidate: the first with the smallest loss
    std::vector<double> losses{};       ///< mean squared error, by candidate: exact for the best
    std::vector<double> loss_errors{};  ///< how far each may be from the exact one; 0: it is
    ClipRange range{};                  ///< the percentiles, extended to hold 0
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
    explicit Ifmr(IfmrOptions options) : options_(options), values_(options.max_bytes) {}

    /// How much memory values may take, as `IfmrOptions::max_bytes`, and where the file for more is (empty:
    /// among the system's temporary files). Precondition: no batch was observed.
    void limit_memory(std::size_t bytes, const std::string& directory = {}) {
        options_.max_bytes = bytes;
        values_.limit(bytes, directory);
    }

    /// Adds a batch, of any shape. Errors: it is empty or has a value that is not finite, or the temporary
    /// file cannot be written. It is then not added, and all is as before.
    result<void> observe(std::span<const float> batch, const Execution& on = {}) {
        // The check finds the range of each few values too, which tells `finish` where the outermost are.
        std::vector<Range> ranges((batch.size() + detail::sum_block - 1) / detail::sum_block);
        detail::in_parts(on, batch.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i < end; i += detail::sum_block) {
                std::size_t const n = (std::min)(detail::sum_block, end - i);
                ranges[i / detail::sum_block] = {
                    values_.size() + i + n,
                    detail::run_on(on.instructions, detail::RangeLoop{batch.data() + i, n})};
            }
        });
        bool const finite =
            std::all_of(ranges.begin(), ranges.end(), [](const Range& r) { return r.values.finite; });
        if (batch.empty() || !finite) return check_finite(batch, "activations", on);
        ranges_.reserve(ranges_.size() + ranges.size());  // what follows the values' addition cannot fail
        if (auto ok = values_.append(batch); !ok) return ok;
        ranges_.insert(ranges_.end(), ranges.begin(), ranges.end());
        return {};
    }

    /// The best clip range of all values observed; what is found `is_usable`. Errors: no batch, options
    /// outside their limits, values so large that no candidate is usable, a temporary file that cannot be
    /// read. Warning: a range that is not zero and so narrow that no candidate has a scale, `use_of`; it is
    /// taken for zero.
    result<IfmrResult> finish(const Execution& on = {}) const {
        if (auto ok = options_.check_options(); !ok) return ok.diagnostics();
        if (values_.size() == 0)
            return general_error("IFMR: no batch was observed; call observe() before finish()");

        IfmrResult found;
        float largest = 0;
        if (auto ok = find_range(found.range, largest); !ok) return ok.diagnostics();
        std::vector<Candidate> candidates = candidates_in(found.range);
        Diagnostics warnings;
        if (std::all_of(candidates.begin(), candidates.end(),
                        [](const Candidate& c) { return c.use == RangeUse::too_narrow; })) {
            warnings.push_back(detail::too_narrow("activations", found.range, B::name));
            candidates = candidates_in({});
        }
        if (auto ok = find_losses(on, candidates, largest, found); !ok) return ok.diagnostics();
        double smallest = std::numeric_limits<double>::infinity();
        for (std::size_t i = 0; i != candidates.size(); ++i) {
            if (found.loss_errors[i] == 0 && found.losses[i] < smallest) {
                smallest = found.losses[i];
                found.best = i;
            }
        }
        if (!std::isfinite(smallest)) return detail::too_wide("activations", found.range, B::name);
        found.scale_offset = candidates[found.best].p;
        found.clip = clip_of<B>(found.scale_offset);
        return {std::move(found), std::move(warnings)};
    }

private:
    /// Of values that were observed together.
    struct Range {
        std::size_t end;  // the place of the first after them
        detail::ValueRange values;
    };

    struct Candidate {
        float upper, lower;  // values are clamped to these
        ScaleOffset p;
        RangeUse use;  // what is not usable has no loss, and cannot win

        detail::SquaredError terms(std::span<const float> x) const {
            return {x.data(), upper, lower, p.scale};
        }
        /// Precondition: the ends and the scale are finite.
        detail::CodeRange codes() const {
            auto const code = [this](float end) { return static_cast<int>(std::nearbyint(end / p.scale)); };
            return {p.scale, std::same_as<S, Symmetric> ? 0 : code(lower), code(upper)};
        }
        /// All values become 0: the loss does not depend on the candidate.
        bool is_zero() const { return codes().max_code == 0 && std::nearbyint(lower / p.scale) == 0; }
    };

    /// The percentiles - the k-th value from an end, k = N - int(percentile * N) but at least 1 - extended to
    /// hold 0, and the largest magnitude of all values.
    result<void> find_range(ClipRange& range, float& largest) const {
        std::size_t const n = values_.size();
        auto const k = [n](double percentile) {
            auto const below = static_cast<std::size_t>(percentile * static_cast<double>(n));
            return (std::max<std::size_t>)(1, n - (std::min)(n, below));
        };
        detail::Tails tails(k(options_.max_percentile), k(options_.min_percentile));
        auto current = ranges_.begin();
        std::size_t place = 0;
        auto read = values_.for_each_part([&](std::span<const float> part) {
            while (!part.empty()) {
                std::size_t const size = (std::min)(part.size(), current->end - place);
                tails.add(part.first(size), current->values);
                place += size;
                part = part.subspan(size);
                if (place == current->end) ++current;
            }
        });
        range = {(std::max)(0.0f, tails.kth_largest()), (std::min)(0.0f, tails.kth_smallest())};
        largest = 0;
        for (const Range& r : ranges_) largest = (std::max)({largest, r.values.max, -r.values.min});
        return read;
    }

    std::vector<Candidate> candidates_in(ClipRange range) const {
        auto const count = static_cast<std::size_t>(options_.candidates());
        std::vector<Candidate> all;
        all.reserve(count);
        auto const limits = detail::limits_of<B>();
        auto const use = [&](float scale, ScaleOffset p) {
            if (range.max == range.min) return RangeUse::usable;  // of zeros, with scale 1
            if (scale < smallest_scale) return RangeUse::too_narrow;
            return detail::is_scale(scale) && is_usable<B>(p) ? RangeUse::usable : RangeUse::too_wide;
        };
        for (std::size_t i = 0; i != count; ++i) {
            auto const ratio =
                static_cast<float>(options_.search_start + static_cast<double>(i) * options_.search_step);
            if constexpr (std::same_as<S, Symmetric>) {
                float const upper = ratio * detail::magnitude(range);
                auto const p = symmetric_scale<B>(range, ratio);
                all.push_back({upper, -upper, p,
                               use(detail::symmetric_quotient(range.max, range.min, ratio, limits), p)});
            } else {
                float const upper = ratio * range.max;
                ClipRange const scaled{upper, range.min};
                auto const p = asymmetric_scale<B>(scaled);
                all.push_back(
                    {upper, range.min, p, use(detail::asymmetric_quotient(upper, range.min, limits), p)});
            }
        }
        return all;
    }

    /// All losses, or those of the candidates that the histogram leaves, and estimates of the others.
    result<void> find_losses(const Execution& on, const std::vector<Candidate>& candidates, float largest,
                             IfmrResult& found) const {
        // Below, the sweep takes less time than the bounds do.
        constexpr std::size_t few = 8192;
        found.losses.assign(candidates.size(), std::numeric_limits<double>::infinity());
        found.loss_errors.assign(candidates.size(), 0);
        std::vector<std::size_t> left;
        for (std::size_t i = 0; i != candidates.size(); ++i)
            if (candidates[i].use == RangeUse::usable) left.push_back(i);
        if (left.empty()) return {};
        std::vector<detail::LossBound> bounds;
        double unit_squared = 0;
        if (values_.size() >= few && !options_.every_loss)
            if (auto ok = bound_losses(on, candidates, largest, bounds, unit_squared); !ok) return ok;
        if (!bounds.empty()) {
            double lowest = std::numeric_limits<double>::infinity();
            for (const auto& bound : bounds) lowest = (std::min)(lowest, bound.high());
            std::erase_if(left, [&](std::size_t i) { return bounds[i].low() > lowest; });
        }
        if (auto ok = evaluate(on, candidates, left, found.losses); !ok) return ok;
        if (bounds.empty()) return {};

        // An estimate lacks the sum of squares, which an exact loss has.
        double const to_mean = unit_squared / static_cast<double>(values_.size());
        std::size_t const known = left[0];
        std::size_t next = 0;
        for (std::size_t i = 0; i != candidates.size(); ++i) {
            if (next != left.size() && left[next] == i) {
                ++next;
                continue;
            }
            found.losses[i] = found.losses[known] + (bounds[i].estimate - bounds[known].estimate) * to_mean;
            found.loss_errors[i] = (bounds[i].slack + bounds[known].slack) * to_mean;
        }
        return {};
    }

    /// `bounds` stays empty where the histogram cannot be used.
    result<void> bound_losses(const Execution& on, const std::vector<Candidate>& candidates, float largest,
                              std::vector<detail::LossBound>& bounds, double& unit_squared) const {
        std::vector<detail::CodeRange> codes;
        float kept = 0;  // the largest magnitude that some candidate does not clip
        for (const Candidate& c : candidates) {
            if (c.use != RangeUse::usable) return {};
            codes.push_back(c.codes());
            kept = (std::max)({kept, std::abs(c.upper), std::abs(c.lower)});
        }
        // Cells are a twentieth of a step or less, and their words stay in the first-level cache.
        constexpr int cell_bits = (std::min)(12, B::width + 6);
        detail::CertifiedHistogram<std::same_as<S, Asymmetric>, cell_bits> histogram(
            (std::min)(kept, largest));
        if (!histogram.usable(codes)) return {};
        if (auto ok = values_.for_each_part([&](std::span<const float> part) { histogram.add(part, on); });
            !ok)
            return ok;
        if (histogram.too_many_beyond()) return {};
        histogram.finish();
        for (const detail::CodeRange& c : codes) bounds.push_back(histogram.bound(c));
        unit_squared = histogram.unit_squared();
        return {};
    }

    /// The exact losses of the candidates in `which`. Every block of values is read from memory once, and
    /// evaluated for all of them while in cache.
    result<void> evaluate(const Execution& on, const std::vector<Candidate>& candidates,
                          const std::vector<std::size_t>& which, std::vector<double>& losses) const {
        std::vector<std::size_t> todo;
        std::size_t zero = candidates.size();
        for (std::size_t i : which) {
            bool const is_zero = candidates[i].is_zero();
            if (is_zero && zero != candidates.size()) continue;
            if (is_zero) zero = i;
            todo.push_back(i);
        }
        for (std::size_t i : todo) losses[i] = 0;
        Execution serial;
        serial.instructions = on.instructions;
        auto read = values_.for_each_part([&](std::span<const float> part) {
            std::size_t const blocks = (part.size() - 1) / detail::sum_block + 1;
            std::vector<double> sums(blocks * todo.size());
            detail::in_parts(
                on, blocks, detail::task_size / detail::sum_block, [&](std::size_t begin, std::size_t end) {
                    for (std::size_t k = begin; k != end; ++k) {
                        auto const block =
                            part.subspan(k * detail::sum_block)
                                .first((std::min)(detail::sum_block, part.size() - k * detail::sum_block));
                        for (std::size_t c = 0; c != todo.size(); ++c)
                            sums[k * todo.size() + c] = detail::ordered_sums(
                                serial, block.size(), candidates[todo[c]].terms(block))[0];
                    }
                });
            for (std::size_t k = 0; k != blocks; ++k)
                for (std::size_t c = 0; c != todo.size(); ++c) losses[todo[c]] += sums[k * todo.size() + c];
        });
        if (!read) return read;
        for (std::size_t i : todo) losses[i] /= static_cast<double>(values_.size());
        for (std::size_t i : which)
            if (candidates[i].is_zero()) losses[i] = losses[zero];
        return {};
    }

    IfmrOptions options_{};
    detail::ValueStore values_{options_.max_bytes};
    std::vector<Range> ranges_{};
};

}  // namespace amct_distill
