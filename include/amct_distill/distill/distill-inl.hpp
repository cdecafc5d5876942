// SPDX-License-Identifier: Apache-2.0
/// The definitions of distill.hpp.
#pragma once
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "../io/directory_lock.hpp"
#include "../run/executor.hpp"
#include "../student/same_network.hpp"
#include "block.hpp"
#include "block_data.hpp"
#include "blocks.hpp"
#include "checkpoint.hpp"
#include "distance.hpp"
#include "distill.hpp"
#include "dump.hpp"
#include "fingerprint.hpp"
#include "report_layers-inl.hpp"

namespace amct_distill {
namespace detail {

/// The teacher's outputs, batch by batch: computed once, and kept where the budget allows.
class TeacherOutputs {
public:
    TeacherOutputs(const nn::Network& teacher, DataSource batches, CacheBudget& budget,
                   const nn::Executor* executor, std::size_t slices)
        : batches_(batches), budget_(budget), runner_(teacher, executor, slices), kept_(batches.size()) {
        current_.resize(teacher.outputs().size());
    }
    /// Of batch i, which `batch` is. Valid until the next call.
    std::span<const nn::Tensor> of(std::size_t i, std::span<const nn::Tensor> batch) {
        if (!kept_[i].empty()) return kept_[i];
        runner_.run_batch(batch, runner_.network().outputs(), current_);
        std::size_t bytes = 0;
        for (const nn::Tensor& t : current_) bytes += t.size() * sizeof(float);
        if (!budget_.take(bytes)) return current_;
        return kept_[i] = current_;
    }

private:
    DataSource batches_;
    CacheBudget& budget_;
    SliceRunner runner_;
    std::vector<Batch> kept_;  // by batch; empty: not kept
    Batch current_{};
};

/// The mean squared error over all values of the outputs, as the batches come in.
struct OutputError {
    double sum = 0, values = 0;
    void add(std::span<const nn::Tensor> teacher, std::span<const nn::Tensor> student) {
        for (std::size_t k = 0; k != teacher.size(); ++k) {
            auto const size = static_cast<double>(teacher[k].size());
            sum += mean_squared_error(student[k], teacher[k]) * size;
            values += size;
        }
    }
    double mean() const { return sum / values; }
};

/// Of a network's outputs over all batches. Error: a batch cannot be loaded. Throws std::invalid_argument
/// when one does not fit the network's inputs.
inline result<double> output_error(TeacherOutputs& teacher, const nn::Network& student, DataSource batches,
                                   const nn::Executor* executor, std::size_t slices) {
    SliceRunner runner(student, executor, slices);
    Batch buffer, outputs(student.outputs().size());
    OutputError error;
    for (std::size_t i = 0; i != batches.size(); ++i) {
        auto const batch = batches.load(i, buffer);
        if (!batch) return batch.diagnostics();
        require_batch(student, *batch, "distill", i);
        runner.run_batch(*batch, student.outputs(), outputs);
        error.add(teacher.of(i, *batch), outputs);
    }
    return error.mean();
}

/// What of the calibrated outputs' error may be left on the training data, or the calibrated student stays: a
/// gain that small may be a loss on other data. (Seen on unseen data of nine networks, with gains below 5 %:
/// 3 to 15 % worse in two of three.)
inline constexpr double largest_error_left = 0.95;

/// Puts a network back unless the work on it comes to its end.
class Rollback {
public:
    explicit Rollback(nn::Network& network) : network_(network), before_(network) {}
    Rollback(const Rollback&) = delete;
    Rollback& operator=(const Rollback&) = delete;
    ~Rollback() {
        if (!kept_) network_ = std::move(before_);
    }
    const nn::Network& before() const { return before_; }
    void keep() { kept_ = true; }

private:
    nn::Network& network_;
    nn::Network before_;
    bool kept_ = false;
};

/// The run's directory, and that it is this process's.
struct OpenRun {
    RunDirectory files;
    DirectoryLock lock;
};

/// Nothing without a directory. Errors: it cannot be made; another process works in it; it has checkpoints,
/// and they are not asked for. A result may hold a warning.
template <class Algorithms, class Options>
result<std::optional<OpenRun>> open_run(const nn::Network& teacher, const BasicStudent<Algorithms>& student,
                                        DataSource batches, std::span<const TrainedBlock> blocks,
                                        const Options& options, const RunOptions& run) {
    if (run.directory.empty()) return std::optional<OpenRun>{};
    std::error_code error;  // rather now than after the first block
    std::filesystem::create_directories(run.directory, error);
    if (error) return file_error("create", run.directory, error.value());
    auto lock = DirectoryLock::take(run.directory);
    if (!lock) return lock.diagnostics();
    auto const mark = fingerprint(teacher, student, batches, options);
    if (!mark) return mark.diagnostics();
    RunDirectory files(run.directory, *mark, blocks);
    if (!run.resume && files.has_checkpoints())
        return general_error(concat("distill: ", run.directory.string(),
                                    " has the checkpoints of an earlier run; set resume to continue it, or "
                                    "remove the directory"));
    Diagnostics warnings = lock.diagnostics();
    return {std::optional<OpenRun>(OpenRun{std::move(files), *std::move(lock)}), std::move(warnings)};
}

/// Takes the blocks that an earlier run has finished.
template <class Algorithms>
result<void> load_finished(const RunDirectory& files, BasicStudent<Algorithms>& student, std::size_t blocks,
                           DistillReport& report) {
    for (; report.blocks.size() != blocks; ++report.resumed_blocks) {
        auto done = files.load(report.blocks.size(), student);
        if (!done) return done.diagnostics();
        if (!*done) break;
        report.blocks.push_back(**std::move(done));
    }
    return {};
}

/// Trains the blocks that the report has not yet, and writes each to the run's directory.
template <class Algorithms, class Options>
result<void> train_blocks(const nn::Network& teacher, BasicStudent<Algorithms>& student, DataSource batches,
                          std::span<const TrainedBlock> blocks, const Options& options, const RunOptions& run,
                          const RunDirectory* files, CacheBudget& budget, const nn::Executor& executor,
                          DistillReport& report) {
    if (report.blocks.size() == blocks.size()) return {};
    std::optional<TeacherDump> dump;
    std::filesystem::path const dumps =
        files != nullptr ? run.directory / "dump" : std::filesystem::temp_directory_path();
    std::error_code ignored;
    if (files != nullptr) std::filesystem::remove_all(dumps, ignored);  // of a run that was killed
    if (student.plan().data_dump.value) {
        auto written = TeacherDump::write(teacher, blocks, batches, dumps, &executor, options.slices);
        if (!written) return written.diagnostics();
        dump.emplace(*std::move(written));
    }
    auto const failed = [&](const Diagnostics& why) { return dump ? dump->failed(why) : why; };

    PrefixRunner of_teacher(teacher, batches, budget, &executor, options.slices),
        of_student(student.network(), batches, budget, &executor, options.slices);
    Options training = options;
    for (std::size_t b = report.blocks.size(); b != blocks.size(); ++b) {
        BlockData data(of_student, of_teacher, budget, batches.size(), blocks[b], dump ? &*dump : nullptr, b,
                       options.input);
        BlockTrainer<decltype(options.loss), decltype(options.optimizer)> trainer(student.network(), data,
                                                                                  &executor, options.slices);
        if (report.cancelled) training.epochs = 0;
        auto block =
            trainer.train(training, {.block = b, .blocks = blocks.size()}, report.cancelled, run.on_progress);
        if (!block) return failed(block.diagnostics());
        if (files != nullptr && !report.cancelled)
            if (auto saved = files->save(b, student, *block); !saved) return failed(saved.diagnostics());
        report.blocks.push_back(*std::move(block));
    }
    dump.reset();
    if (files != nullptr) std::filesystem::remove(dumps, ignored);
    return {};
}

/// Throws std::invalid_argument when there is nothing sound to work with.
template <class Algorithms>
void require_same(const nn::Network& teacher, const BasicStudent<Algorithms>& student) {
    if (auto const what = difference(teacher, student.network(), "the teacher", "the student"); !what.empty())
        throw std::invalid_argument(concat("distill: the student is not one of this teacher: ", what,
                                           "; make it from this teacher by make_student()"));
}

}  // namespace detail

template <BlockLoss Loss, BlockOptimizer Optimizer, class Algorithms>
result<DistillReport> distill(const nn::Network& teacher, BasicStudent<Algorithms>& student,
                              DataSource batches, const BasicDistillOptions<Loss, Optimizer>& options,
                              const RunOptions& run) {
    options.check_options();
    run.check_options("distill");
    detail::require_same(teacher, student);
    if (batches.empty()) return general_error("distill: no batches; give at least one");
    for (const auto& layer : student.plan().layers)
        if (const auto* const q = student.quantizers(layer.name); q != nullptr && !q->is_calibrated())
            return general_error(detail::concat("distill: layer `", layer.name,
                                                "` is not calibrated; call calibrate() first"));
    auto const blocks = blocks_of(teacher, student.plan(), options.blocks);
    nn::Executor const executor(run.threads);
    CacheBudget budget(run.memory_bytes, run.directory);
    detail::TeacherOutputs outputs(teacher, batches, budget, &executor, options.slices);
    detail::Rollback rollback(student.network());
    DistillReport report;
    auto const calibrated =
        detail::output_error(outputs, rollback.before(), batches, &executor, options.slices);
    if (!calibrated) return calibrated.diagnostics();
    report.output_error_calibrated = *calibrated;

    auto const opened = detail::open_run(teacher, student, batches, blocks, options, run);
    if (!opened) return opened.diagnostics();
    const RunDirectory* const files = *opened ? &(*opened)->files : nullptr;
    if (files != nullptr)
        if (auto ok = detail::load_finished(*files, student, blocks.size(), report); !ok)
            return ok.diagnostics();
    if (auto ok = detail::train_blocks(teacher, student, batches, blocks, options, run, files, budget,
                                       executor, report);
        !ok)
        return ok.diagnostics();

    detail::OutputError error;
    auto layers = detail::measure_layers(
        student, batches, &executor, options.slices,
        [&](std::size_t i, std::span<const nn::Tensor> batch, std::span<const nn::Tensor> values) {
            error.add(outputs.of(i, batch), values);
        });
    if (!layers) return layers.diagnostics();
    report.output_error_distilled = error.mean();
    if (!(report.output_error_distilled <= detail::largest_error_left * report.output_error_calibrated)) {
        student.network() = rollback.before();
        report.output_error_distilled = report.output_error_calibrated;
        report.kept_calibrated = true;
        layers = report_layers(student, batches, &executor);
        if (!layers) return layers.diagnostics();
    }
    report.layers = *std::move(layers);
    rollback.keep();
    return {std::move(report), opened.diagnostics()};
}

}  // namespace amct_distill
