// SPDX-License-Identifier: Apache-2.0
/// A distillation's progress on the terminal.
///
///     ProgressLine line;
///     distill(teacher, student, batches, {.epochs = 5}, {.on_progress = show_progress(line)}).value();
///     line.finish();
#pragma once
#include "../core/concat.hpp"
#include "../core/number.hpp"
#include "../io/terminal.hpp"
#include "../student/run_options.hpp"

namespace amct_distill {

/// The line must outlive the run.
inline ProgressCallback show_progress(ProgressLine& line) {
    return [&line](const Progress& p) {
        double const done = p.epoch + static_cast<double>(p.step + 1) / static_cast<double>(p.steps);
        line.show(
            detail::concat("block ", p.block + 1, " of ", p.blocks),
            detail::concat("epoch ", p.epoch + 1, " of ", p.epochs, ", loss ", detail::short_number(p.loss)),
            done / p.epochs);
        return true;
    };
}

}  // namespace amct_distill
