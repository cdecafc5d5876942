// SPDX-License-Identifier: Apache-2.0
/// How a block is trained: learning rates and their schedule, how often its loss is looked at, who is told.
///
///     distill(teacher, student, batches, {.epochs = 5, .schedule = Schedule::constant});
///     distill(teacher, student, batches, {.on_progress = [](const Progress& p) { return p.block < 3; }});
#pragma once
#include <cmath>
#include <cstddef>
#include <functional>
#include <stdexcept>

#include "../nn/module.hpp"

namespace amct_distill {

/// AMCT's.
struct LearningRates {
    double parameters = 1e-3;  ///< weights, biases, BatchNorm's affine parameters
    double clips = 0.1;        ///< of activations
    double scales = 1e-4;      ///< of weights

    double of(nn::Role role) const {
        return role == nn::Role::clip ? clips : role == nn::Role::scale ? scales : parameters;
    }
};

/// Of the learning rates over a block's training: as they are throughout (AMCT's), or from there down to 0
/// along half a cosine.
enum class Schedule { constant, cosine };

/// What all rates are multiplied by at a step of a block, from 0; `steps` in all.
inline double schedule_factor(Schedule schedule, std::size_t step, std::size_t steps) {
    constexpr double pi = 3.141592653589793;
    if (schedule == Schedule::constant) return 1;
    return 0.5 * (1 + std::cos(pi * static_cast<double>(step) / static_cast<double>(steps)));
}

/// How the best parameters of a block are found. Of nine networks (dense, convolutional, residual, VGG-like;
/// trained and random; inputs from 0.02 to 30) at INT4 and INT8, the defaults and the cosine left 0.54 of the
/// calibrated error of the outputs on unseen data, the geometric mean; the cosine alone 0.59, AMCT's constant
/// rates with a look per epoch 0.67.
struct SearchOptions {
    /// How often an epoch's steps are interrupted to compute the loss over the whole data: of the parameters
    /// as they are, and of their average. A look costs two forward runs of the block.
    int looks_per_epoch = 2;
    /// After looks that found nothing better, a tenth of all in a row, training goes on from the best, with
    /// all rates times this: so rates that are too high for a block cost steps, not the result. 1: it goes on
    /// from where it is.
    double rate_after_failure = 0.3;
    /// The average is average * decay + parameters * (1 - decay), step by step, with a smaller decay in the
    /// first steps. 0: no average.
    double average_decay = 0.95;
};

struct Progress;
/// False ends the training after this step: every block keeps the best it had.
using ProgressCallback = std::function<bool(const Progress&)>;

/// Where training is; handed to the progress callback after every step.
struct Progress {
    std::size_t block = 0, blocks = 0;  ///< from 0
    int epoch = 0, epochs = 0;          ///< from 0
    std::size_t step = 0, steps = 0;    ///< of the epoch, from 0
    double loss = 0;                    ///< of this step
};

/// `Loss` and `Optimizer` are as in loss.hpp and optimizer.hpp.
template <class Loss, class Optimizer>
struct TrainOptions {
    int epochs = 1;
    LearningRates learning_rates{};
    Schedule schedule = Schedule::cosine;
    SearchOptions search{};
    Loss loss{};
    Optimizer optimizer{};  ///< without parameters; a copy of it trains each block
    ProgressCallback on_progress{};

    /// Throws std::invalid_argument when they make no sense.
    void check_options() const {
        if (epochs < 0) throw std::invalid_argument("distill: epochs must not be negative");
        if (search.looks_per_epoch < 1)
            throw std::invalid_argument("distill: search.looks_per_epoch must be at least 1");
        if (!(search.rate_after_failure > 0 && search.rate_after_failure <= 1))
            throw std::invalid_argument("distill: search.rate_after_failure must be in (0, 1]");
        if (!(search.average_decay >= 0 && search.average_decay < 1))
            throw std::invalid_argument("distill: search.average_decay must be in [0, 1)");
    }
};

}  // namespace amct_distill
