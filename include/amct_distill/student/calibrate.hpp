// SPDX-License-Identifier: Apache-2.0
/// Finds the first clip range of every quantized layer's input, by IFMR over some batches.
///
///     calibrate(student, batches).value();                              // batch_num of the plan
///     calibrate(student, batches, {.threads = 4, .memory_bytes = 1 << 30}).value();
///     calibrate(student, batches, {}, {.ifmr = {.max_percentile = 0.9999}}).value();
///
/// Source: AMCT's calibration. Weights are quantized throughout; an input passes unquantized until the clips
/// of all are found, or is quantized from the start by clips of the user's.
#pragma once
#include <cstddef>
#include <stdexcept>

#include "../core/concat.hpp"
#include "../quant/ifmr_options.hpp"
#include "data_source.hpp"
#include "run_options.hpp"
#include "student.hpp"

namespace amct_distill {

struct CalibrateOptions {
    IfmrOptions ifmr{};  ///< of every layer; what `max_bytes` allows for one is within the run's memory_bytes

    /// Throws std::invalid_argument when they make no sense.
    void check_options() const {
        if (auto const ok = ifmr.check_options(); !ok)
            throw std::invalid_argument(detail::concat("calibrate: ifmr: ", ok.diagnostics()[0].message));
    }
};

struct CalibrationReport {
    std::size_t batches = 0;  ///< that were observed: batch_num, or all where there are fewer
};

/// Takes the first batch_num batches; each counts once, and a warning says when there are fewer. Anew at
/// every call: clips that an earlier calibration found, or that were trained since, do not count.
///
/// Errors, the student then being as before: no batches, or one that cannot be loaded; an input of a layer
/// that is empty or not finite (with the layer's name). Throws std::invalid_argument, the student being as
/// before too, when a batch does not fit the network's inputs, or an option makes no sense. The result has
/// the same bits with any number of threads.
template <class Algorithms>
result<CalibrationReport> calibrate(BasicStudent<Algorithms>& student, DataSource batches,
                                    const RunOptions& run = {}, const CalibrateOptions& options = {});

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "calibrate-inl.hpp"
#endif
