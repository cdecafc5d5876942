// SPDX-License-Identifier: Apache-2.0
/// What changes a block's parameters by their gradients; AdamW unless another is given.
///
///     distill<MeanSquaredError, Sgd>(teacher, student, batches, {.optimizer = Sgd(0.9)});
///
/// A copy of the object that the options hold trains a block; it is a copy of the same again, with nothing
/// remembered, when training falls back to the best parameters.
#pragma once
#include <concepts>
#include <span>

namespace amct_distill {

/// `add`: a parameter, its gradient (both outlive the optimizer) and its learning rate; `step`: changes all
/// of them, each rate times the factor that was set last. One with settings may show them as a text by
/// `settings()`: a run that is resumed with others is then refused; and may have a `check_options()`, which
/// throws std::invalid_argument when they make no sense, before any work. (A loss may do both, too.) One that
/// draws values towards 0 has a `without_decay()`, the same one that does not: values whose rate a quantizer
/// says are trained by a copy of that. A `step(on)` of an Execution (run/execution.hpp) is called in place of
/// `step()`: it may use all threads.
template <class O>
concept BlockOptimizer = std::copyable<O> && std::default_initializable<O> &&
    requires(O optimizer, std::span<float> values, std::span<const float> gradient, double rate) {
    optimizer.add(values, gradient, rate);
    optimizer.set_learning_rate_factor(rate);
    optimizer.step();
};

}  // namespace amct_distill
