// SPDX-License-Identifier: Apache-2.0
/// A weight's symmetric scales by least squared error: of shrunk ranges, the one whose codes lie nearest.
///
///     std::vector<float> const ratios = search_ratios<Int4, ChannelWise>(w);      // one per row: 0.3 to 1
///     Scales const scales = searched_scales<Int4, ChannelWise>(w);
///     // scales[r] is symmetric_scale<Int4>(range of row r, ratios[r])
///
/// Candidates are 1.00, 0.99, ..., 0.30 of the range; of equal errors the widest wins. At 4 bits clipping a
/// few large weights costs less than a coarse step for all of them; at 8 bits the whole range is the better
/// choice for a network, although the error of the weights alone is less here too.
#pragma once
#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "../policy/granularity.hpp"
#include "../run/execution.hpp"
#include "../run/ordered_sum.hpp"
#include "kernels/squared_error.hpp"
#include "matrix.hpp"
#include "scale.hpp"
#include "scales.hpp"

namespace amct_distill {

inline constexpr std::size_t range_candidates = 71;

/// From the widest.
constexpr float range_candidate(std::size_t k) { return static_cast<float>(100 - k) / 100.0f; }

namespace detail {

/// The sum of (w - q(w))^2 with this scale, the errors being those of float32.
template <BitWidth B>
double squared_error(std::span<const float> w, float scale, const Execution& on) {
    CodeLimits const limits = limits_of<B>();
    return ordered_sums(on, w.size(),
                        SquaredError{w.data(), scale * limits.qmax, scale * limits.qmin, scale})[0];
}

/// The candidate of the least error, 1 where there is no scale; `error_of(scale)`.
template <BitWidth B, class Error>
float best_ratio(ClipRange range, Error error_of) {
    float best = 1;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k != range_candidates; ++k) {
        float const scale = symmetric_quotient(range.max, range.min, range_candidate(k), limits_of<B>());
        if (!is_usable<B>({scale, 0})) continue;
        if (double const error = error_of(k, scale); error < least) {
            least = error;
            best = range_candidate(k);
        }
    }
    return best;
}

/// The ratios, and the ranges that they shrink.
template <BitWidth B, Granularity G>
std::pair<std::vector<float>, std::vector<ClipRange>> search_ranges(const ConstMatrixRef& w,
                                                                    const Execution& on) {
    if constexpr (std::same_as<G, ChannelWise>) {
        auto const rows = static_cast<std::size_t>(w.rows());
        std::pair<std::vector<float>, std::vector<ClipRange>> out(rows, rows);
        for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
            auto const i = static_cast<std::size_t>(r);
            std::span<const float> const values = row(w, r);
            out.second[i] = clips(range_of(values, serial));
            out.first[i] = best_ratio<B>(out.second[i], [&](std::size_t, float scale) {
                return squared_error<B>(values, scale, serial);
            });
        });
        return out;
    } else {
        ClipRange const range = clips(range_of(w, on));
        Execution serial;
        serial.instructions = on.instructions;
        std::array<double, range_candidates> errors{};  // threads share the candidates
        in_parts(on, range_candidates, 1, [&](std::size_t begin, std::size_t end) {
            for (std::size_t k = begin; k != end; ++k) {
                float const scale =
                    symmetric_quotient(range.max, range.min, range_candidate(k), limits_of<B>());
                if (!is_usable<B>({scale, 0})) continue;
                for (Eigen::Index r = 0; r != w.rows(); ++r)
                    errors[k] += squared_error<B>(row(w, r), scale, serial);
            }
        });
        return {{best_ratio<B>(range, [&](std::size_t k, float) { return errors[k]; })}, {range}};
    }
}

}  // namespace detail

/// One per row, or one. Precondition: w is finite and not empty.
template <BitWidth B, Granularity G>
std::vector<float> search_ratios(const ConstMatrixRef& w, const Execution& on = {}) {
    return detail::search_ranges<B, G>(w, on).first;
}

/// One per row, or one; where a range has no scale it is 1, as `symmetric_scale` has it.
template <BitWidth B, Granularity G>
Scales searched_scales(const ConstMatrixRef& w, const Execution& on = {}) {
    auto const found = detail::search_ranges<B, G>(w, on);
    std::vector<ScaleOffset> scales;
    scales.reserve(found.first.size());
    for (std::size_t i = 0; i != found.first.size(); ++i)
        scales.push_back(symmetric_scale<B>(found.second[i], found.first[i]));
    return scales;
}

}  // namespace amct_distill
