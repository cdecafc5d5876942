// SPDX-License-Identifier: Apache-2.0
/// How AdaRound learns: its penalty over a block's training, and when it decides.
///
///     AdaRoundOptions const options{.hard_phase = 0.3};
///     options.penalty(at.progress());                // {weight, exponent} at this step
///     options.learning_rate_at(at.progress());
///     options.is_hard(at.progress());
#pragma once
#include <cmath>
#include <string_view>

#include "../core/concat.hpp"
#include "../core/number.hpp"
#include "../core/result.hpp"
#include "../policy/initial_range.hpp"

namespace amct_distill {

struct AdaRoundOptions {
    double regularization = 1;        ///< weight of the penalty after the warm-up; 0: no penalty
    double regularization_end = 100;  ///< and at the end, where it comes to along an exponential
    double warm_up = 0.2;             ///< share of the steps without the penalty
    double beta_start = 20;           ///< the penalty's exponent after the warm-up
    double beta_end = 2;              ///< and at the end, along half a cosine
    double hard_phase = 0.5;          ///< share of the steps, the last, that compute what is deployed
    double learning_rate = 0.05;      ///< until the hard phase, in which it falls to 2 % along half a cosine
    InitialRange initial_range = InitialRange::MSE;

    struct Penalty {
        double weight = 0;    ///< lambda
        double exponent = 2;  ///< beta
    };
    /// At a share of the steps. The last step is just below 1.
    Penalty penalty(double progress) const {
        if (progress < warm_up || regularization == 0) return {0, beta_start};
        double const t = (progress - warm_up) / (1 - warm_up);
        return {regularization * std::pow(regularization_end / regularization, t),
                beta_end + (beta_start - beta_end) * half_cosine(t)};
    }
    bool is_hard(double progress) const { return progress >= 1 - hard_phase; }
    double learning_rate_at(double progress) const {
        if (!is_hard(progress)) return learning_rate;
        return learning_rate * (0.02 + 0.98 * half_cosine((progress - (1 - hard_phase)) / hard_phase));
    }

    /// Error: one makes no sense, with its name.
    result<void> check_options() const {
        auto const wrong = [](std::string_view name, std::string_view range, double found) {
            return general_error(
                detail::concat("adaround_distill: ", name, " must be ", range, ", found ", number(found)));
        };
        auto const not_negative = [](double v) { return v >= 0 && std::isfinite(v); };
        auto const share = [](double v) { return v >= 0 && v <= 1; };
        if (!not_negative(regularization)) return wrong("regularization", "at least 0", regularization);
        if (!(regularization_end > 0 && std::isfinite(regularization_end)))
            return wrong("regularization_end", "above 0", regularization_end);
        if (!(warm_up >= 0 && warm_up < 1)) return wrong("warm_up", "0 to below 1", warm_up);
        for (auto [name, beta] : {NamedBeta{"beta_start", beta_start}, {"beta_end", beta_end}})
            if (!(beta >= 1 && beta <= 1000)) return wrong(name, "1 to 1000", beta);
        if (!share(hard_phase)) return wrong("hard_phase", "0 to 1", hard_phase);
        if (!not_negative(learning_rate)) return wrong("learning_rate", "at least 0", learning_rate);
        return {};
    }

private:
    struct NamedBeta {
        std::string_view name;
        double beta;
    };
    /// From 1 down to 0.
    static double half_cosine(double t) {
        constexpr double pi = 3.141592653589793;
        return 0.5 * (1 + std::cos(pi * t));
    }
};

}  // namespace amct_distill
