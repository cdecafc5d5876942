// SPDX-License-Identifier: Apache-2.0
/// AdamW (Loshchilov and Hutter 2019), with a learning rate per parameter tensor, as torch.optim.AdamW.
///
///     AdamW optimizer({.weight_decay = 0});
///     optimizer.add(weight, gradient, 1e-3);      // values of the caller's, which outlive the optimizer
///     optimizer.step();
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "../run/execution.hpp"

namespace amct_distill {

struct AdamWOptions {
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-8;
    double weight_decay = 0.01;
};

class AdamW {
public:
    explicit AdamW(AdamWOptions options = {}) : options_(options) {}

    /// Throws std::invalid_argument when an option makes no sense.
    void check_options() const;
    /// For the fingerprint of a run.
    std::string settings() const;

    /// The same without weight decay: for values that shall not be drawn towards 0.
    AdamW without_decay() const {
        AdamWOptions options = options_;
        options.weight_decay = 0;
        return AdamW(options);
    }

    /// Trains `values` by their gradient; throws std::invalid_argument when they differ in number, and where
    /// check_options() does.
    void add(std::span<float> values, std::span<const float> gradient, double learning_rate);

    /// Of all learning rates, from the next step on; a schedule sets it step by step.
    void set_learning_rate_factor(double factor) { factor_ = factor; }

    /// p *= 1 - lr * weight_decay;  m = lerp(m, g, 1 - beta1);  v = beta2 * v + (1 - beta2) * g^2;
    /// p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon).
    /// float32 by element, the factors in double, as PyTorch does it.
    /// On the execution's threads, with the same bits.
    void step(const Execution& on = {});

private:
    struct Entry {
        std::span<float> values;
        std::span<const float> gradient;
        double learning_rate;
        std::vector<float> first, second;  // moments
    };

    AdamWOptions options_;
    double factor_ = 1;
    int steps_ = 0;
    std::vector<Entry> entries_{};
};

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "adamw-inl.hpp"
#endif
