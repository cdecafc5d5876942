// SPDX-License-Identifier: Apache-2.0
/// How IFMR searches a clip range.
///
///     Ifmr<Int8> ifmr(IfmrOptions{.max_percentile = 0.9999});
///     calibrate(student, batches, {}, {.ifmr = {.max_percentile = 0.9999}}).value();
#pragma once
#include <cmath>
#include <cstddef>

#include "../core/concat.hpp"
#include "../core/number.hpp"
#include "../core/result.hpp"

namespace amct_distill {

/// Candidate i has the ratio float(search_start + i * search_step), for i < ceil((search_end - search_start)
/// / search_step). The defaults give 61 of them, 0.70 to 1.30: in double, 0.6 / 0.01 is a little over 60.
struct IfmrOptions {
    double max_percentile = 0.999999;  ///< the part of the values that are not above the range, (0, 1]
    double min_percentile = 0.999999;  ///< the part of the values that are not below it, (0, 1]
    double search_start = 0.7;
    double search_end = 1.3;
    double search_step = 0.01;
    /// Of memory for values; at least 512 KB are used. What is more goes to a temporary file, which `finish`
    /// reads three times.
    std::size_t max_bytes = static_cast<std::size_t>(-1);
    /// Evaluate every candidate exactly; otherwise only those that could be the best.
    bool every_loss = false;

    static constexpr double max_candidates = 10000;

    double candidates() const { return std::ceil((search_end - search_start) / search_step); }
    /// Errors: a percentile outside (0, 1], a search that is none.
    result<void> check_options() const {
        using detail::number;
        for (double p : {max_percentile, min_percentile})
            if (!(p > 0 && p <= 1))
                return general_error(detail::concat("IFMR: the percentile ", number(p),
                                                    " is not in (0, 1]; the default is 0.999999"));
        double const count = candidates();
        if (!(search_start > 0 && search_step > 0 && count >= 1 && count <= max_candidates))
            return general_error(detail::concat(
                "IFMR: the search from ", number(search_start), " to ", number(search_end), " by ",
                number(search_step),
                " is not one of 1 to 10000 positive ratios; the default is from 0.7 to 1.3 by 0.01"));
        return {};
    }
};

}  // namespace amct_distill
