// SPDX-License-Identifier: Apache-2.0
/// How blocks are trained: learning rates and their schedule, how often a block is evaluated, loss and
/// optimizer.
///
///     distill(teacher, student, batches, {.epochs = 5, .schedule = Schedule::constant});
///     distill<MyLoss, MySgd>(teacher, student, batches, {.optimizer = MySgd(0.9)});      // of your own
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string_view>

#include "../core/concat.hpp"
#include "../core/number.hpp"
#include "../nn/parameter.hpp"
#include "../student/batch_slice.hpp"
#include "adamw.hpp"
#include "block_shape.hpp"
#include "loss.hpp"
#include "optimizer.hpp"

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
/// rates with an evaluation per epoch 0.67.
struct SearchOptions {
    /// How often an epoch's steps are interrupted to compute the loss over the whole data: of the parameters'
    /// average, and of the parameters as they are if the steps' losses give them a chance. An evaluation
    /// costs a forward run of the block, or two. With falling rates only in the second half of a training:
    /// what the first one finds does not stay.
    int evaluations_per_epoch = 2;
    /// If so many evaluations in a row as are a tenth of those of all epochs bring no improvement, training
    /// restarts from the best parameters with every learning rate multiplied by this: so rates that are too
    /// high for a block cost steps, not the result. 1: it goes on from where it is.
    double rate_after_failure = 0.3;
    /// The average is average * decay + parameters * (1 - decay), step by step, with a smaller decay in the
    /// first steps. 0: no average.
    double average_decay = 0.95;
};

/// What a block is trained on: the outputs of the blocks before it as they are in the student, quantized and
/// trained (AMCT's; where they are too far from the teacher's, those); the teacher's, float; or both, the
/// teacher's in every other batch.
enum class BlockInput { student, teacher, mix };

/// What the elements of a block's outputs count in its loss: all the same; or, each, the squared gradient of
/// the distance between the network's outputs and such a little off (BRECQ): see fisher.hpp.
enum class LossWeights { none, fisher };

/// `Loss` and `Optimizer` are as in loss.hpp and optimizer.hpp.
template <BlockLoss Loss = MeanSquaredError, BlockOptimizer Optimizer = AdamW>
struct BasicDistillOptions {
    int epochs = 1;
    LearningRates learning_rates{};
    Schedule schedule = Schedule::cosine;
    SearchOptions search{};
    Loss loss{};
    Optimizer optimizer{};  ///< without parameters; a copy of it trains each block
    BlockShape blocks = BlockShape::amct;
    BlockInput input = BlockInput::student;
    /// How likely an element of a layer's quantized input stays float, in training only (QDrop, Wei et al.
    /// 2022, with 0.5): what is learned then depends less on the batches' very values.
    double drop_probability = 0;
    LossWeights loss_weights = LossWeights::none;
    std::uint64_t seed = 1;  ///< of all random numbers, which the two above use
    /// Into how many slices a batch is cut along its samples (one of fewer samples into one for each);
    /// threads take slices. It changes the last bits of the result, threads do not. 1 for modules in which
    /// samples depend on each other.
    std::size_t slices = default_slices;

    /// Throws std::invalid_argument when one makes no sense, with its name.
    void check_options() const {
        if (epochs < 0) fail("epochs must not be negative, found ", epochs);
        if (schedule != Schedule::constant && schedule != Schedule::cosine)
            fail("schedule must be one of Schedule's values, found ", static_cast<int>(schedule));
        if (blocks != BlockShape::amct && blocks != BlockShape::residual && blocks != BlockShape::automatic)
            fail("blocks must be one of BlockShape's values, found ", static_cast<int>(blocks));
        if (input != BlockInput::student && input != BlockInput::teacher && input != BlockInput::mix)
            fail("input must be one of BlockInput's values, found ", static_cast<int>(input));
        if (loss_weights != LossWeights::none && loss_weights != LossWeights::fisher)
            fail("loss_weights must be one of LossWeights's values, found ", static_cast<int>(loss_weights));
        if (loss_weights != LossWeights::none && !WeightedBlockLoss<Loss>)
            fail("loss_weights must be none: the loss takes no weights (see loss.hpp)");
        if (!(drop_probability >= 0 && drop_probability < 1))
            fail("drop_probability must be in [0, 1), found ", number(drop_probability));
        if (slices < 1 || slices > 1024) fail("slices must be 1 to 1024, found ", slices);
        rate("learning_rates.parameters", learning_rates.parameters);
        rate("learning_rates.clips", learning_rates.clips);
        rate("learning_rates.scales", learning_rates.scales);
        if (search.evaluations_per_epoch < 1)
            fail("search.evaluations_per_epoch must be at least 1, found ", search.evaluations_per_epoch);
        if (!(search.rate_after_failure > 0 && search.rate_after_failure <= 1))
            fail("search.rate_after_failure must be in (0, 1], found ", number(search.rate_after_failure));
        if (!(search.average_decay >= 0 && search.average_decay < 1))
            fail("search.average_decay must be in [0, 1), found ", number(search.average_decay));
        if constexpr (requires { loss.check_options(); }) loss.check_options();
        if constexpr (requires { optimizer.check_options(); }) optimizer.check_options();
    }

private:
    template <class... Pieces>
    [[noreturn]] static void fail(const Pieces&... pieces) {
        throw std::invalid_argument(detail::concat("distill: ", pieces...));
    }
    static void rate(std::string_view name, double value) {
        if (!(value >= 0 && std::isfinite(value)))
            fail(name, " must be a number that is not negative, found ", number(value));
    }
};
using DistillOptions = BasicDistillOptions<>;

}  // namespace amct_distill
