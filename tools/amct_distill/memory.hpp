// SPDX-License-Identifier: Apache-2.0
/// What --memory bounds: all that the process holds but the model.
///
///     MemoryPlan memory = plan_memory(options, network, plan, data.batch_size(), threads);
///     run.memory_bytes = memory.cache();           // what is kept so as not to be computed again
#pragma once
#include <amct_distill/nn/network.hpp>
#include <amct_distill/student/extended.hpp>
#include <cstddef>

#include "options.hpp"

namespace tool {

struct MemoryPlan {
    std::size_t bound = 0;  ///< --memory
    std::size_t model = 0;  ///< its parameters, which come on top
    std::size_t work = 0;   ///< the program, the networks that are made of it, and the values of a batch
    /// Less than the rest: a tensor in memory is a little more than its values.
    std::size_t cache() const { return bound > work ? (bound - work) / 16 * 15 : 0; }
};

/// What the work will hold at most, in any of its phases. Throws when --memory was given and is less.
MemoryPlan plan_memory(const Options& options, const amct_distill::nn::Network& network,
                       const amct_distill::ExtendedPlan& plan, std::size_t batch, int threads);

}  // namespace tool
