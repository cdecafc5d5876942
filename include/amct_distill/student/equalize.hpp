// SPDX-License-Identifier: Apache-2.0
/// Equalization: the channels of a value that a convolution reads are scaled to one range, and its weights
/// inversely, so that one scale for all of them serves each. The network computes what it did.
///
///     EqualizeReport const report = equalize(teacher, batches, {.threads = 4}).value();
///     for (const EqualizedPair& p : report.pairs)
///         std::cout << p.first << " -> " << p.second << ": " << p.narrowest_before << " became "
///                   << p.narrowest_after << '\n';
///     Student student = make_student(teacher, plan).value();             // afterwards
///
/// Source: cross-layer equalization (Nagel et al. 2019), with the ranges that data shows in place of the
/// weights'. What is scaled is the layer before, a convolution or the BatchNorm after it, and only where
/// nothing but positively homogeneous operations of each channel (ReLU, LeakyReLU, PReLU, pooling) stands
/// between the two, and nothing else reads what is scaled. In float the outputs are the same but for
/// rounding, and deployment costs nothing.
#pragma once
#include <cstddef>

#include "../core/result.hpp"
#include "../nn/network.hpp"
#include "data_source.hpp"
#include "equalize_report.hpp"
#include "run_options.hpp"

namespace amct_distill {

/// Into which layers is equalized. A depthwise convolution has a scale for each channel anyway, so that its
/// weights lose nothing; those of other convolutions do: a channel's factor is then the square root of what
/// its range and its weights ask for.
enum class EqualizeInto { depthwise, convolutions };

struct EqualizeOptions {
    EqualizeInto into = EqualizeInto::depthwise;
    std::size_t batch_num = 0;    ///< take the first so many batches; 0: all
    double largest_factor = 256;  ///< a channel is widened, against the widest, by no more; at least 1

    /// Throws std::invalid_argument when they make no sense.
    void check_options() const;
};

/// Changes parameters of a float network, never its structure. Errors, the network being as before: no
/// batches, or one that cannot be loaded; parameters that cannot be computed with; a value that is not
/// finite, with the layer that reads it. Throws std::invalid_argument when a batch does not fit the network's
/// inputs, or an option makes no sense. The result has the same bits with any number of threads
/// and ranks.
result<EqualizeReport> equalize(nn::Network& network, DataSource batches, const RunOptions& run = {},
                                const EqualizeOptions& options = {});

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "equalize-inl.hpp"
#endif
