// SPDX-License-Identifier: Apache-2.0
/// Where the training of a block is: what quantizers and modules are told before each of its steps.
///
///     TrainingStep const at{.step = 30, .steps = 120};
///     at.progress();                  // 0.25
///     at.random;                      // a number of this step and of who is told: see random_bits.hpp
#pragma once
#include <cstddef>
#include <cstdint>

namespace amct_distill {

struct TrainingStep {
    std::size_t step = 0;   ///< from 0
    std::size_t steps = 1;  ///< in all
    /// The same in every run with the same seed, whatever the threads, and however often it was resumed;
    /// another one for every step, and for every module of a step.
    std::uint64_t random = 0;
    /// How likely an element of a quantized input stays float in this step.
    double drop_probability = 0;

    /// What is done of the whole before this step, 0 to below 1.
    double progress() const { return static_cast<double>(step) / static_cast<double>(steps); }
};

}  // namespace amct_distill
