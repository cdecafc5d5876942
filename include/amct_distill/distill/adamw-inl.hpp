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
#include "../run/vectors.hpp"
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

namespace detail {

/// The factors of a step, in float32, and the step of some elements. Each operation is rounded.
struct AdamWStep {
    float keep2, take1, take2, root, epsilon, decay, rate;

    template <class F>
    [[gnu::always_inline]] void run(const float* gradient, float* value, float* first, float* second) const {
        F g, p, m, v;
        load(gradient, g);
        load(value, p);
        load(first, m);
        load(second, v);
        F product = take1 * (g - m);
        keep_rounded(product);
        m += product;
        F old = v * keep2, square = g * g;
        keep_rounded(old);
        keep_rounded(square);
        product = take2 * square;
        keep_rounded(product);
        v = old + product;
        F deviation = v;
        square_root(deviation);
        F kept = p * decay, taken = rate * (m / (deviation / root + epsilon));
        keep_rounded(kept);
        keep_rounded(taken);
        p = kept - taken;
        store(p, value);
        store(m, first);
        store(v, second);
    }
};

}  // namespace detail

AMCT_DISTILL_INLINE void AdamW::step(const Execution& on) {
    ++steps_;
    double const correction1 = 1 - std::pow(options_.beta1, steps_);
    double const correction2 = std::sqrt(1 - std::pow(options_.beta2, steps_));
    for (Entry& e : entries_) {
        double const learning_rate = e.learning_rate * factor_;
        detail::AdamWStep const step{.keep2 = static_cast<float>(options_.beta2),
                                     .take1 = static_cast<float>(1 - options_.beta1),
                                     .take2 = static_cast<float>(1 - options_.beta2),
                                     .root = static_cast<float>(correction2),
                                     .epsilon = static_cast<float>(options_.epsilon),
                                     .decay = static_cast<float>(1 - learning_rate * options_.weight_decay),
                                     .rate = static_cast<float>(learning_rate / correction1)};
        detail::in_parts(on, e.values.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
            const float* const g = e.gradient.data();
            float *const p = e.values.data(), *const m = e.first.data(), *const v = e.second.data();
            std::size_t i = begin;
#if defined(__GNUC__)
            using Four = detail::Vectors<16>::floats;
            for (; i + 4 <= end; i += 4) step.run<Four>(g + i, p + i, m + i, v + i);
#endif
            for (; i != end; ++i) step.run<float>(g + i, p + i, m + i, v + i);
        });
    }
}

}  // namespace amct_distill
