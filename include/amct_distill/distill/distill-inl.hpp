// SPDX-License-Identifier: Apache-2.0
/// The definitions of distill.hpp.
#pragma once
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../io/directory_lock.hpp"
#include "../run/executor.hpp"
#include "../run/together.hpp"
#include "../student/load_ahead.hpp"
#include "../student/same_network.hpp"
#include "../student/slice_sums.hpp"
#include "block.hpp"
#include "block_data.hpp"
#include "blocks.hpp"
#include "checkpoint.hpp"
#include "distance.hpp"
#include "distill.hpp"
#include "dump.hpp"
#include "fingerprint.hpp"
#include "prefix_cache.hpp"
#include "report_layers-inl.hpp"

namespace amct_distill {
namespace detail {

/// The mean squared error over all values of the outputs, as the batches come in.
class OutputError {
public:
    /// Networks that have come to their end for a batch when it is added; both outlive it.
    OutputError(PrefixRunner& teacher, PrefixRunner& student)
        : teacher_(teacher), student_(student), sums_(student.runner()) {}
    void add(std::size_t i) {
        sums_.begin(student_.samples(i), 2);
        sums_.for_each([&](BatchSlice slice, std::span<double> to) {
            for (nn::NodeId output : student_.network().outputs()) {
                auto const t = sums_.values(teacher_.value(output), slice),
                           s = sums_.values(student_.value(output), slice);
                to[0] += squared_error(s, t);
                to[1] += static_cast<double>(t.size());
            }
        });
        auto const of_batch = sums_.finish();
        sum_ += of_batch[0];
        values_ += of_batch[1];
    }
    double mean() const { return sum_ / values_; }

private:
    PrefixRunner &teacher_, &student_;
    SliceSums sums_;
    double sum_ = 0, values_ = 0;
};

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

/// The run's directory, and that it is this run's: the first rank has the lock.
struct OpenRun {
    RunDirectory files;
    std::optional<DirectoryLock> lock;
};

/// Nothing without a directory. Errors: it cannot be made; another process works in it; it has checkpoints,
/// and they are not asked for. A result may hold a warning.
template <class Algorithms, class Options>
result<std::optional<OpenRun>> open_run(const nn::Network& teacher, const BasicStudent<Algorithms>& student,
                                        DataSource batches, std::span<const TrainedBlock> blocks,
                                        const Options& options, const RunOptions& run,
                                        const nn::Executor& executor) {
    if (run.directory.empty()) return std::optional<OpenRun>{};
    std::error_code error;  // rather now than after the first block
    std::filesystem::create_directories(run.directory, error);
    if (error) return file_error("create", run.directory, error.value());
    std::optional<DirectoryLock> lock;
    Diagnostics warnings;
    if (is_first(run.ranks)) {
        auto taken = DirectoryLock::take(run.directory);
        if (!taken) return taken.diagnostics();
        warnings = taken.diagnostics();
        lock.emplace(*std::move(taken));
    }
    auto const mark = fingerprint(teacher, student, batches, options, &executor);
    if (!mark) return mark.diagnostics();
    RunDirectory files(run.directory, *mark, blocks);
    if (!run.resume && is_first(run.ranks) && files.has_checkpoints())
        return general_error(concat("distill: ", run.directory.string(),
                                    " has the checkpoints of an earlier run; set resume to continue it, or "
                                    "remove the directory"));
    return {std::optional<OpenRun>(OpenRun{std::move(files), std::move(lock)}), std::move(warnings)};
}

/// Takes the blocks that an earlier run has finished; the first rank reads them for all.
template <class Algorithms>
result<void> load_finished(const RunDirectory& files, BasicStudent<Algorithms>& student, std::size_t blocks,
                           Ranks* ranks, DistillReport& report) {
    for (; report.blocks.size() != blocks; ++report.resumed_blocks) {
        std::size_t const b = report.blocks.size();
        result<std::optional<std::string>> content = std::optional<std::string>{};
        if (is_first(ranks)) content = files.read(b);
        if (!content) return content.diagnostics();
        if (!first_says(ranks, content->has_value())) break;
        auto done = files.load(b, student, first_text(ranks, std::move(*content).value_or(std::string())));
        if (!done) return done.diagnostics();
        report.blocks.push_back(*std::move(done));
    }
    return {};
}

/// Trains the blocks that the report has not yet, and writes each to the run's directory. The runners have
/// then come to the last one's inputs.
template <class Algorithms, class Options>
result<void> train_blocks(PrefixRunner& of_teacher, PrefixRunner& of_student,
                          BasicStudent<Algorithms>& student, DataSource batches,
                          std::span<const TrainedBlock> blocks, const Options& options, const RunOptions& run,
                          const RunDirectory* files, CacheBudget& budget, const nn::Executor& executor,
                          DistillReport& report) {
    std::optional<TeacherDump> dump;
    std::filesystem::path const dumps =
        files != nullptr ? run.directory / "dump" : std::filesystem::temp_directory_path();
    std::error_code ignored;
    if (files != nullptr && is_first(run.ranks))
        std::filesystem::remove_all(dumps, ignored);  // of a run that was killed
    meet(run.ranks);
    if (report.blocks.size() == blocks.size()) return {};
    if (student.plan().data_dump.value) {
        auto written =
            TeacherDump::write(of_teacher.network(), blocks, batches, dumps, &executor, options.slices);
        if (!written) return written.diagnostics();
        dump.emplace(*std::move(written));
    }
    auto const failed = [&](const Diagnostics& why) { return dump ? dump->failed(why) : why; };

    Options training = options;
    for (std::size_t b = report.blocks.size(); b != blocks.size(); ++b) {
        FisherOptions const fisher{.seed = mixed(options.seed, b)};
        BlockData data(of_student, of_teacher, budget, batches.size(), blocks[b], dump ? &*dump : nullptr, b,
                       options.input, options.loss_weights == LossWeights::fisher ? &fisher : nullptr);
        BlockTrainer<decltype(options.loss), decltype(options.optimizer)> trainer(student.network(), data,
                                                                                  &executor, options.slices);
        if (report.cancelled) training.epochs = 0;
        auto block =
            trainer.train(training, {.block = b, .blocks = blocks.size()}, report.cancelled, run.on_progress);
        if (!block) return failed(block.diagnostics());
        if (files != nullptr && is_first(run.ranks) && !report.cancelled)
            if (auto saved = files->save(b, student, *block); !saved) return failed(saved.diagnostics());
        report.blocks.push_back(*std::move(block));
    }
    dump.reset();
    if (files != nullptr) std::filesystem::remove(dumps, ignored);
    return {};
}

/// Whether a module is used more than once: then training one block changes values before another.
inline bool has_shared_modules(const nn::Network& network) {
    for (std::size_t m = 0; m != network.modules().size(); ++m)
        if (network.graph().uses({m}).size() > 1) return true;
    return false;
}

/// Runs all to the end of their networks, and puts how far the outputs are off into the report.
inline result<void> measure_outputs(PrefixRunner& teacher, PrefixRunner& calibrated, PrefixRunner& distilled,
                                    DistillReport& report) {
    OutputError before(teacher, calibrated), after(teacher, distilled);
    for (std::size_t i = 0; i != teacher.size(); ++i) {
        for (PrefixRunner* const one : {&teacher, &calibrated, &distilled})
            if (auto ok = one->advance_to_end(i); !ok) return ok;
        before.add(i);
        after.add(i);
    }
    report.output_error_calibrated = before.mean();
    report.output_error_distilled = after.mean();
    return {};
}

/// Throws std::invalid_argument when there is nothing sound to work with.
template <class Algorithms>
void require_same(const nn::Network& teacher, const BasicStudent<Algorithms>& student) {
    if (auto const what = difference(teacher, student.network(), "the teacher", "the student"); !what.empty())
        throw std::invalid_argument(concat("distill: the student is not one of this teacher: ", what,
                                           "; make it from this teacher by make_student()"));
}

/// `distill`, when the arguments make sense.
template <class Loss, class Optimizer, class Algorithms>
result<DistillReport> distill_together(const nn::Network& teacher, BasicStudent<Algorithms>& student,
                                       DataSource source, const BasicDistillOptions<Loss, Optimizer>& options,
                                       const RunOptions& run) {
    std::error_code ignored;  // then what has no room is computed again
    CacheBudget budget(run.memory_bytes,
                       run.directory.empty() ? std::filesystem::temp_directory_path(ignored) : run.directory);
    LoadAhead ahead(source, run.load_ahead ? source.size() : 0,
                    [&](std::size_t bytes) { return budget.take(bytes); });
    DataSource const batches = ahead.source();
    auto const blocks = blocks_of(teacher, student.plan(), options.blocks);
    nn::Executor const executor(run.threads, best_instructions(), run.ranks);
    Rollback rollback(student.network());
    DistillReport report;
    auto const opened = open_run(teacher, student, batches, blocks, options, run, executor);
    if (!opened) return opened.diagnostics();
    const RunDirectory* const files = *opened ? &(*opened)->files : nullptr;
    if (files != nullptr)
        if (auto ok = load_finished(*files, student, blocks.size(), run.ranks, report); !ok)
            return ok.diagnostics();

    PrefixRunner of_teacher(teacher, batches, budget, &executor, options.slices),
        of_student(student.network(), batches, budget, &executor, options.slices);
    // A layer's values are measured where they are computed for the next block, if they stay.
    LayerMeasure<Algorithms> measure(student, of_student.runner());
    bool const stays = !has_shared_modules(teacher);
    if (stays) of_student.tell(&measure);
    if (auto ok = train_blocks(of_teacher, of_student, student, batches, blocks, options, run, files, budget,
                               executor, report);
        !ok)
        return ok.diagnostics();
    if (!stays) {
        of_student.forget();
        of_student.tell(&measure);
    }
    CacheBudget nothing(0);
    PrefixRunner calibrated(rollback.before(), batches, nothing, &executor, options.slices);
    if (auto ok = measure_outputs(of_teacher, calibrated, of_student, report); !ok) return ok.diagnostics();
    report.layers = measure.finish();
    if (!(report.output_error_distilled <= largest_error_left * report.output_error_calibrated)) {
        student.network() = rollback.before();
        report.output_error_distilled = report.output_error_calibrated;
        report.kept_calibrated = true;
        auto layers = report_layers(student, batches, &executor);
        if (!layers) return layers.diagnostics();
        report.layers = *std::move(layers);
    }
    rollback.keep();
    return {std::move(report), opened.diagnostics()};
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
    if (std::size_t const n = run.ranks == nullptr ? 1 : run.ranks->size(); n > options.slices)
        return general_error(detail::concat("distill: there are ", n, " ranks, and a batch is cut into ",
                                            options.slices, " slices; set slices to ", n, " or more"));
    return detail::together(
        run.ranks, [&] { return detail::distill_together(teacher, student, batches, options, run); });
}

}  // namespace amct_distill
