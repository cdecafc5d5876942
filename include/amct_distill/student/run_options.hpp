// SPDX-License-Identifier: Apache-2.0
/// How calibrate, distill and verify are run: threads, memory, where to keep what is finished, who is told.
/// None of it changes a bit of the result.
///
///     RunOptions run{.threads = 4, .memory_bytes = 2 << 30, .directory = "out/run"};
///     run.on_progress = [](const Progress& p) { return p.block < 3; };     // false: end here, keep the best
///     calibrate(student, batches, run).value();
///     distill(teacher, student, batches, {.epochs = 5}, run).value();
#pragma once
#include <cstddef>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string_view>

#include "../core/concat.hpp"
#include "../run/ranks.hpp"

namespace amct_distill {

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

struct RunOptions {
    int threads = 1;
    /// What may be kept in memory beyond the networks and one batch: the values that calibration observes,
    /// and the blocks' inputs and outputs. Where it does not suffice, files in `directory` take the rest;
    /// without one, files in the system's directory for temporary files.
    std::size_t memory_bytes = std::size_t{512} << 20;
    /// Where distill writes each finished block and a dump, and what has no room in memory; empty: the latter
    /// two to the system's directory for temporary files.
    std::filesystem::path directory{};
    /// Whether blocks that the directory has are taken from there. If not, it must have none.
    bool resume = false;
    /// Whether the next batch is loaded by another thread while one is worked on, where memory_bytes has room
    /// for it. The source is still asked for one at a time.
    bool load_ahead = true;
    ProgressCallback on_progress{};  ///< of several ranks, the first one's
    /// The processes that share the run, each with a part of every batch (see run/ranks.hpp); null: this one
    /// has all of it. Then threads and memory are each rank's, and all see the directory.
    Ranks* ranks = nullptr;

    /// Throws std::invalid_argument when they make no sense; `who` begins the message.
    void check_options(std::string_view who) const {
        if (threads < 1 || threads > 1024)
            throw std::invalid_argument(detail::concat(who, ": threads must be 1 to 1024, found ", threads));
        if (resume && directory.empty())
            throw std::invalid_argument(
                detail::concat(who, ": resume needs the directory of the run to continue; set directory"));
    }
};

}  // namespace amct_distill
