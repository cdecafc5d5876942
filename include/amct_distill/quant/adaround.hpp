// SPDX-License-Identifier: Apache-2.0
/// AdaRound, learned rounding of weights: for each of them it is trained whether it goes up or down.
///
///     AdaRound<Int4, ChannelWise> q({.hard_phase = 0.3});
///     q.initialize(w).value();
///     q.begin_step({.step = 3, .steps = 120});         // from now on as at this step of the training
///     q.fake_quantize(w, out);
///     q.backward(w, grad_out, grad_w, grad_v);
///     q.regularize(w, 1, grad_w, grad_v);
///     q.end_steps();                                   // as deployed: each weight up or down
///
/// Source: Nagel et al. 2020 and Li et al. 2021 (BRECQ), with a last phase in which the forward is rounded
/// and the gradient is not: without it the decisions at the end undo what was learned.
#pragma once
#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "../core/result.hpp"
#include "../policy/quantizer_names.hpp"
#include "../run/execution.hpp"
#include "../run/training_step.hpp"
#include "adaround_options.hpp"
#include "affine.hpp"
#include "arq.hpp"
#include "finite.hpp"
#include "matrix.hpp"
#include "quantized_matrix.hpp"
#include "range_search.hpp"
#include "scale.hpp"
#include "scales.hpp"

namespace amct_distill {

/// Symmetric, offset 0. A weight w of scale s stands for s * clamp(floor(w / s) + h(v), qmin, qmax), where v,
/// one for each weight, is what is trained, and h(v) = clamp(1.2 sigmoid(v) - 0.1, 0, 1). It begins where
/// w / s is met; deployed, h is 1 where it is at least a half, else 0. Weights and scales stay as they are.
/// `initialize` comes first; every w after it is the same.
template <BitWidth B, Granularity G>
class AdaRound {
public:
    using bits = B;
    using granularity = G;
    using symmetry = Symmetric;
    static constexpr bool freezes_weights = true;

    AdaRound() = default;
    explicit AdaRound(const AdaRoundOptions& options) : options_(options) {}
    /// From the message of a configuration.
    template <class Message>
    requires requires(const Message& m) {
        m.regularization.get();
        m.initial_range.get();
    }
    explicit AdaRound(const Message& m)
        : options_{.regularization = static_cast<double>(m.regularization.get()),
                   .regularization_end = static_cast<double>(m.regularization_end.get()),
                   .warm_up = static_cast<double>(m.warm_up.get()),
                   .beta_start = static_cast<double>(m.beta_start.get()),
                   .beta_end = static_cast<double>(m.beta_end.get()),
                   .hard_phase = static_cast<double>(m.hard_phase.get()),
                   .learning_rate = static_cast<double>(m.learning_rate.get()),
                   .initial_range = m.initial_range.get()} {}

    const AdaRoundOptions& options() const { return options_; }

    /// Errors: an option makes no sense; those of ARQ, whose warnings these are too. After an error all is as
    /// before.
    result<void> initialize(const ConstMatrixRef& w, const Execution& on = {}) {
        if (auto ok = options_.check_options(); !ok) return ok;
        Arq<B, G> arq;
        auto checked = arq.initialize(w, on);
        if (!checked) return checked;
        scales_ = options_.initial_range == InitialRange::MSE ? searched_scales<B, G>(w, on)
                                                              : arq.scale_offsets(w, on);
        values_.resize(static_cast<std::size_t>(w.size()));
        detail::for_each_row(on, w, [&](Eigen::Index r, const Execution&) {
            auto const row = detail::row(w, r);
            float const scale = scale_of(r);
            std::span<float> const v = of_row(values_, w, r);
            for (std::size_t i = 0; i != row.size(); ++i) {
                float const t = row[i] / scale;
                v[i] = value_of(t - std::floor(t));
            }
        });
        now_.reset();
        take_values();
        return checked;
    }

    // ---- training

    /// Looks at the values, which must not change until the next one begins.
    void begin_step(const TrainingStep& at) {
        now_ = at.progress();
        take_values();
    }
    /// What it computes is what is deployed, until the next step begins.
    void end_steps() { now_.reset(); }
    /// Whether the step computes what is deployed: in the hard phase, and outside of the training.
    bool is_settled() const { return !now_ || options_.is_hard(*now_); }
    /// Of the values, at this step.
    double learning_rate() const { return options_.learning_rate_at(now_.value_or(0)); }

    /// out = the values w stands for at this step. Precondition: equal shapes; out may be w.
    void fake_quantize(const ConstMatrixRef& w, MatrixRef out, const Execution& on = {}) const {
        assert(w.rows() == out.rows() && w.cols() == out.cols());
        bool const hard = is_settled();
        detail::for_each_row(on, w, [&](Eigen::Index r, const Execution&) {
            auto const from = detail::row(w, r);
            auto const to = detail::row(out, r);
            auto const v = of_row(hard ? values_ : parts_, w, r);
            float const scale = scale_of(r);
            for (std::size_t i = 0; i != from.size(); ++i)
                to[i] = clamped(std::floor(from[i] / scale) + (hard ? rounded(v[i]) : v[i])) * scale;
        });
    }

    /// grad_w = 0. Of a value: grad_out * s * dh/dv, h as if it were not rounded; 0 where both codes are one
    /// after clamping.
    void backward(const ConstMatrixRef& w, const ConstMatrixRef& grad_out, MatrixRef grad_w,
                  std::span<float> grad_values, const Execution& on = {}) const {
        assert(grad_values.size() == values_.size());
        detail::for_each_row(on, w, [&](Eigen::Index r, const Execution&) {
            auto const from = detail::row(w, r), grad = detail::row(grad_out, r);
            auto const slope = of_row(slopes_, w, r);
            auto const to = of_row(grad_values, w, r);
            float const scale = scale_of(r);
            for (std::size_t i = 0; i != from.size(); ++i) {
                float const low = std::floor(from[i] / scale);
                bool const has_choice = low >= lowest && low < highest;
                to[i] = has_choice ? grad[i] * scale * slope[i] : 0;
            }
        });
        grad_w.setZero();
    }

    /// The penalty of weights that are not decided, lambda * sum of 1 - |2 h - 1|^beta at this step; `factor`
    /// times its gradient is added.
    double regularize(const ConstMatrixRef& w, double factor, MatrixRef, std::span<float> grad_values,
                      const Execution& on = {}) const {
        assert(grad_values.size() == values_.size());
        auto const [weight, exponent] = options_.penalty(now_.value_or(0));
        if (!now_ || weight == 0) return 0;
        auto const power = static_cast<float>(exponent - 1);
        auto const share = static_cast<float>(-2 * factor * weight * exponent);
        std::array<double, 256> sums;  // of some rows, on the stack
        auto const step = static_cast<Eigen::Index>(sums.size());
        double sum = 0;
        for (Eigen::Index first = 0; first < w.rows(); first += step) {
            Eigen::Index const rows = (std::min)(step, w.rows() - first);
            detail::for_each_row(on, w.middleRows(first, rows), [&](Eigen::Index k, const Execution&) {
                auto const part = of_row(parts_, w, first + k), slope = of_row(slopes_, w, first + k);
                auto const grad = of_row(grad_values, w, first + k);
                double of_this = 0;
                for (std::size_t i = 0; i != part.size(); ++i) {
                    float const u = 2 * part[i] - 1, size = std::abs(u);
                    if (size == 1) continue;                           // decided
                    float const p = std::exp(power * std::log(size));  // in half of std::pow's time
                    of_this += 1 - static_cast<double>(p * size);
                    grad[i] += share * std::copysign(p, u) * slope[i];
                }
                sums[static_cast<std::size_t>(k)] = of_this;
            });
            for (Eigen::Index k = 0; k != rows; ++k) sum += sums[static_cast<std::size_t>(k)];
        }
        return weight * sum;
    }

    /// What is trained, a value for each weight, in the order of the rows.
    std::span<float> parameters() { return values_; }
    std::span<const float> parameters() const { return values_; }
    void constrain() {}

    // ---- what is deployed

    Scales scale_offsets(const ConstMatrixRef&) const { return scales_; }

    /// The integers. An error when w is empty or has a value that is not finite.
    result<QuantizedMatrix> quantize(const ConstMatrixRef& w, const Execution& on = {}) const {
        if (auto ok = check_finite(w, "weights", on); !ok) return ok.diagnostics();
        QuantizedMatrix q{
            static_cast<std::size_t>(w.rows()), static_cast<std::size_t>(w.cols()), {}, scales_};
        q.codes.resize(q.rows * q.cols);
        detail::for_each_row(on, w, [&](Eigen::Index r, const Execution&) {
            auto const from = detail::row(w, r);
            auto const v = of_row(values_, w, r);
            auto const to = of_row(std::span(q.codes), w, r);
            float const scale = scale_of(r);
            for (std::size_t i = 0; i != from.size(); ++i)
                to[i] = static_cast<std::int8_t>(clamped(std::floor(from[i] / scale) + rounded(v[i])));
        });
        return q;
    }

private:
    void take_values() {
        parts_.resize(values_.size());
        slopes_.resize(values_.size());
        for (std::size_t i = 0; i != values_.size(); ++i) {
            float const s = 1 / (1 + std::exp(-values_[i])), h = stretch * s - below;
            parts_[i] = (std::min)((std::max)(h, 0.0f), 1.0f);
            slopes_[i] = h > 0 && h < 1 ? stretch * s * (1 - s) : 0;
        }
    }

    static constexpr auto lowest = static_cast<float>(B::qmin), highest = static_cast<float>(B::qmax);
    static constexpr float stretch = 1.2f, below = 0.1f;  // h reaches 0 and 1 at finite values

    static float clamped(float code) { return (std::min)((std::max)(code, lowest), highest); }
    /// h is at least a half where v is not negative.
    static float rounded(float v) { return v >= 0 ? 1.0f : 0.0f; }
    /// Where h is `part`, which is kept off 0 and 1.
    static float value_of(float part) {
        double const h = (std::min)((std::max)(static_cast<double>(part), 1e-4), 1 - 1e-4);
        double const s = (h + 0.1) / 1.2;
        return static_cast<float>(std::log(s / (1 - s)));
    }

    template <class Values>
    static auto of_row(Values&& values, const ConstMatrixRef& w, Eigen::Index r) {
        auto const cols = static_cast<std::size_t>(w.cols());
        assert(values.size() == cols * static_cast<std::size_t>(w.rows()));
        return std::span(values).subspan(static_cast<std::size_t>(r) * cols, cols);
    }
    float scale_of(Eigen::Index r) const { return scales_.of_row(static_cast<std::size_t>(r)).scale; }

    AdaRoundOptions options_{};
    Scales scales_{};
    std::vector<float> values_{};
    std::vector<float> parts_{}, slopes_{};  // h and dh/dv of the values when the step began
    std::optional<double> now_{};            // the progress of the step; none: as deployed
};

}  // namespace amct_distill
