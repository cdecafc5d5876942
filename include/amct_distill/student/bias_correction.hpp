// SPDX-License-Identifier: Apache-2.0
/// Bias correction: what quantization shifts the mean of each output channel by is taken back by the bias.
///
///     calibrate(student, batches).value();
///     BiasReport const report = correct_biases(teacher, student, batches).value();
///     distill(teacher, student, batches).value();              // or deploy(student)
///
/// Source: Nagel et al. 2019, with means over data. Layer by layer, in the graph's order: each sees those
/// before it corrected. It is for students that are calibrated only, or before distillation. Afterwards it
/// does harm: the layers of a block have learned to make up for each other's errors.
#pragma once
#include <cstddef>

#include "../core/result.hpp"
#include "bias_report.hpp"
#include "data_source.hpp"
#include "run_options.hpp"
#include "student.hpp"

namespace amct_distill {

struct BiasOptions {
    std::size_t batch_num = 0;  ///< take the first so many batches; 0: as many as the plan's batch_num says
};

/// A layer's own bias is corrected, or that of the BatchNorm after it; a layer that has neither stays as it
/// is, and the report says so: give it a bias of zeros. Nothing but biases changes.
///
/// Errors, the student then being as before: no batches, or one that cannot be loaded; outputs whose mean is
/// not finite, with the layer's name. Throws std::invalid_argument when the teacher is not the student's, or
/// a batch does not fit its inputs. The result has the same bits with any number of threads and
/// ranks, and any memory_bytes: where what layers read has no room, it is computed again for each of them.
template <class Algorithms>
result<BiasReport> correct_biases(const nn::Network& teacher, BasicStudent<Algorithms>& student,
                                  DataSource batches, const RunOptions& run = {},
                                  const BiasOptions& options = {});

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "bias_correction-inl.hpp"
#endif
