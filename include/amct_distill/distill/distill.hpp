// SPDX-License-Identifier: Apache-2.0
/// Block-wise distillation: the student learns, block after block, to reproduce the float teacher.
///
///     Student student = make_student(teacher, plan).value();
///     calibrate(student, batches, run).value();
///     DistillReport report = distill(teacher, student, batches, {.epochs = 5}, run).value();
///     distill<MyLoss, MySgd>(teacher, student, batches, {.optimizer = MySgd(0.9)});      // of your own
///     distill(teacher, student, batches, {.blocks = BlockShape::automatic});     // residual units whole
///     distill(teacher, student, batches, {}, {.directory = "run", .resume = true});   // where it was killed
///
/// The teacher is never changed. No block ends above the loss it began with, and the student's outputs are
/// nearer to the teacher's than when calibrated, by 5 % of the error, or the calibrated student is what
/// stays. The same bits come out whatever the dump, the memory and the threads, and whether a run was
/// interrupted or not.
///
/// All of that is measured on the batches. Other data follow where the batches stand for them; with fewer
/// values in them than a network has weights, many epochs fit the batches alone.
#pragma once
#include "../core/result.hpp"
#include "../student/data_source.hpp"
#include "../student/run_options.hpp"
#include "../student/student.hpp"
#include "distill_options.hpp"
#include "report.hpp"

namespace amct_distill {

/// Distills a calibrated student of `teacher`. Errors, the student then being as calibrated: no batches, or
/// one that cannot be loaded; a layer that is not calibrated; another process works in the run's directory;
/// the dump or a checkpoint cannot be written or read (a full disk, ...), which leaves the blocks in the
/// directory that are finished; a checkpoint is damaged or of another run. Throws std::invalid_argument, the
/// student being as calibrated too, when the student is of another network, a batch does not fit the
/// networks' inputs, or an option makes no sense.
template <BlockLoss Loss = MeanSquaredError, BlockOptimizer Optimizer = AdamW, class Algorithms>
result<DistillReport> distill(const nn::Network& teacher, BasicStudent<Algorithms>& student,
                              DataSource batches, const BasicDistillOptions<Loss, Optimizer>& options = {},
                              const RunOptions& run = {});

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "distill-inl.hpp"
#endif
