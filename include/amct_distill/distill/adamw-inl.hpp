// SPDX-License-Identifier: Apache-2.0
/// The definitions of adamw.hpp.
#pragma once
#include <cmath>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "../core/concat.hpp"
#include "../core/inline.hpp"
#include "../core/number.hpp"
#include "adamw.hpp"

namespace amct_distill {

AMCT_DISTILL_INLINE void AdamW::check_options() const {
    auto const require = [](bool holds, std::string_view what, double value) {
        if (!holds) throw std::invalid_argument(detail::concat("AdamW: ", what, ", found ", number(value)));
    };
    const AdamWOptions& o = options_;
    require(o.beta1 >= 0 && o.beta1 < 1, "beta1 must be in [0, 1)", o.beta1);
    require(o.beta2 >= 0 && o.beta2 < 1, "beta2 must be in [0, 1)", o.beta2);
    require(o.epsilon > 0 && std::isfinite(o.epsilon), "epsilon must be a number above 0", o.epsilon);
    // In float32, where it is added.
    require(static_cast<float>(o.epsilon) > 0, "epsilon must not round to 0 in float32", o.epsilon);
    require(o.weight_decay >= 0 && std::isfinite(o.weight_decay),
            "weight_decay must be a number that is not negative", o.weight_decay);
}

AMCT_DISTILL_INLINE std::string AdamW::settings() const {
    return detail::concat(number(options_.beta1), ' ', number(options_.beta2), ' ', number(options_.epsilon),
                          ' ', number(options_.weight_decay));
}

AMCT_DISTILL_INLINE void AdamW::add(std::span<float> values, std::span<const float> gradient,
                                    double learning_rate) {
    check_options();
    if (values.size() != gradient.size())
        throw std::invalid_argument(detail::concat("AdamW: a parameter of ", values.size(),
                                                   " values has a gradient of ", gradient.size()));
    entries_.push_back({values, gradient, learning_rate, std::vector<float>(values.size()),
                        std::vector<float>(values.size())});
}

AMCT_DISTILL_INLINE void AdamW::step() {
    ++steps_;
    double const correction1 = 1 - std::pow(options_.beta1, steps_);
    double const correction2 = std::sqrt(1 - std::pow(options_.beta2, steps_));
    auto const keep2 = static_cast<float>(options_.beta2), take1 = static_cast<float>(1 - options_.beta1),
               take2 = static_cast<float>(1 - options_.beta2), root = static_cast<float>(correction2),
               epsilon = static_cast<float>(options_.epsilon);
    for (Entry& e : entries_) {
        double const learning_rate = e.learning_rate * factor_;
        auto const decay = static_cast<float>(1 - learning_rate * options_.weight_decay),
                   rate = static_cast<float>(learning_rate / correction1);
        for (std::size_t i = 0; i != e.values.size(); ++i) {
            float const g = e.gradient[i];
            float &p = e.values[i], &m = e.first[i], &v = e.second[i];
            m += take1 * (g - m);
            v = v * keep2 + take2 * (g * g);
            p = p * decay - rate * (m / (std::sqrt(v) / root + epsilon));
        }
    }
}

}  // namespace amct_distill
