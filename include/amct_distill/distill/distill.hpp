// SPDX-License-Identifier: Apache-2.0
/// Block-wise distillation: the student learns, block after block, to reproduce the float teacher.
///
///     Student student = make_student(teacher, plan).value();
///     calibrate(student, batches).value();
///     DistillReport report = distill(teacher, student, batches, {.epochs = 5}).value();
///     distill<MyLoss, MySgd>(teacher, student, batches, {.optimizer = MySgd(0.9)});      // of your own
///     distill(teacher, student, batches, {.run_directory = "run", .resume = true});   // where it was killed
///
/// The teacher is never changed. No block ends above the loss it began with, and the student's outputs are
/// nearer to the teacher's than when calibrated, by 5 % of the error, or the calibrated student is what
/// stays. The same bits come out whatever the dump, the cache and the threads, and whether a run was
/// interrupted or not.
///
/// All of that is measured on the batches. Other data follow where the batches stand for them; with fewer
/// values in them than a network has weights, many epochs fit the batches alone.
#pragma once
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "../run/executor.hpp"
#include "../student/calibrate.hpp"
#include "../student/student.hpp"
#include "block.hpp"
#include "block_data.hpp"
#include "checkpoint.hpp"
#include "dump.hpp"
#include "fingerprint.hpp"
#include "report.hpp"
#include "report_layers.hpp"

namespace amct_distill {

template <BlockLoss Loss = MeanSquaredError, BlockOptimizer Optimizer = AdamW>
struct BasicDistillOptions {
    int epochs = 1;
    LearningRates learning_rates{};
    Schedule schedule = Schedule::cosine;
    SearchOptions search{};
    Loss loss{};
    Optimizer optimizer{};
    ProgressCallback on_progress{};
    /// Where a plan with data_dump makes its directory; empty: in the run directory, and without one in the
    /// system's directory for temporary files.
    std::filesystem::path dump_directory{};
    /// Where each finished block is written to; empty: nowhere.
    std::filesystem::path run_directory{};
    /// Whether blocks that the run directory has are taken from there. If not, it must have none.
    bool resume = false;
    /// What may be kept in memory of the blocks' inputs and outputs, and of what both networks have computed
    /// up to them. Where it does not suffice they are computed again (or read, when dumped) at every epoch.
    std::size_t cache_bytes = std::size_t{512} << 20;
    int threads = 1;
};
using DistillOptions = BasicDistillOptions<>;

namespace detail {

/// Mean squared error of the first output over all batches.
inline double output_error(const nn::Network& teacher, const nn::Network& student,
                           std::span<const nn::Tensor> batches, const nn::Executor* executor = nullptr) {
    nn::Tape teacher_tape(executor), student_tape(executor);
    double sum = 0, values = 0;
    for (const nn::Tensor& batch : batches) {
        const nn::Tensor& t = teacher.forward(batch, teacher_tape, nn::Mode::evaluate);
        const nn::Tensor& s = student.forward(batch, student_tape, nn::Mode::evaluate);
        auto const size = static_cast<double>(t.size());
        sum += mean_squared_error(s, t) * size;
        values += size;
    }
    return sum / values;
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

/// The checkpoints of the run, or nothing without a run directory. Errors: it cannot be made; it has some,
/// and they are not asked for.
template <class Algorithms, class Options, class Loss, class Optimizer>
result<std::optional<RunDirectory>> open_run(const nn::Network& teacher,
                                             const BasicStudent<Algorithms>& student,
                                             std::span<const nn::Tensor> batches, const Options& options,
                                             const TrainOptions<Loss, Optimizer>& training) {
    std::optional<RunDirectory> run;
    if (options.run_directory.empty()) return run;
    std::error_code error;  // rather now than after the first block
    std::filesystem::create_directories(options.run_directory, error);
    if (error) return file_error("create", options.run_directory, error.value());
    run.emplace(options.run_directory, fingerprint(teacher, student, batches, training),
                student.plan().blocks);
    if (!options.resume && run->has_checkpoints())
        return general_error(concat("distill: ", options.run_directory.string(),
                                    " has the checkpoints of an earlier run; set resume to continue it, or "
                                    "remove the directory"));
    return run;
}

}  // namespace detail

/// Distills a calibrated student of `teacher`. Errors, the student then being as calibrated: no batches; a
/// layer that is not calibrated; the dump or a checkpoint cannot be written or read (a full disk, ...), which
/// leaves the blocks in the run directory that are finished; a checkpoint is damaged or of another run.
/// Throws std::invalid_argument, the student being as calibrated too, when a batch does not have the shape of
/// the network's input, or an option makes no sense.
template <BlockLoss Loss = MeanSquaredError, BlockOptimizer Optimizer = AdamW, class Algorithms>
result<DistillReport> distill(const nn::Network& teacher, BasicStudent<Algorithms>& student,
                              std::span<const nn::Tensor> batches,
                              const BasicDistillOptions<Loss, Optimizer>& options = {}) {
    if (batches.empty()) return general_error("distill: no batches; give at least one");
    const auto& plan = student.plan();
    for (const auto& layer : plan.layers)
        if (const auto* const q = student.quantizers(layer.name); q != nullptr && !q->is_calibrated())
            return general_error(detail::concat("distill: layer `", layer.name,
                                                "` is not calibrated; call calibrate() first"));
    TrainOptions<Loss, Optimizer> training{.epochs = options.epochs,
                                           .learning_rates = options.learning_rates,
                                           .schedule = options.schedule,
                                           .search = options.search,
                                           .loss = options.loss,
                                           .optimizer = options.optimizer,
                                           .on_progress = options.on_progress};
    training.check_options();
    nn::Executor const executor(options.threads);
    detail::Rollback rollback(student.network());
    DistillReport report;
    report.output_error_calibrated = detail::output_error(teacher, rollback.before(), batches, &executor);

    // 1. The blocks that an earlier run has finished.
    auto run = detail::open_run(teacher, student, batches, options, training);
    if (!run) return run.diagnostics();
    if (*run)
        for (; report.blocks.size() != plan.blocks.size(); ++report.resumed_blocks) {
            auto done = (*run)->load(report.blocks.size(), student);
            if (!done) return done.diagnostics();
            if (!*done) break;
            report.blocks.push_back(**std::move(done));
        }

    // 2. The teacher's part of the others.
    std::optional<TeacherDump> dump;
    bool const in_run = options.dump_directory.empty() && *run;
    std::filesystem::path const dumps = in_run ? options.run_directory / "dump"
                                        : options.dump_directory.empty()
                                            ? std::filesystem::temp_directory_path()
                                            : options.dump_directory;
    std::error_code ignored;
    if (in_run) std::filesystem::remove_all(dumps, ignored);  // of a run that was killed
    if (plan.data_dump.value && report.blocks.size() != plan.blocks.size()) {
        auto written = TeacherDump::write(teacher, plan.blocks, batches, dumps, &executor);
        if (!written) return written.diagnostics();
        dump.emplace(*std::move(written));
    }
    auto const failed = [&](const Diagnostics& why) { return dump ? dump->failed(why) : why; };

    // 3. The others.
    CacheBudget budget(options.cache_bytes);
    Frontier teacher_frontier(teacher, budget, &executor),
        student_frontier(student.network(), budget, &executor);
    for (std::size_t b = report.blocks.size(); b != plan.blocks.size(); ++b) {
        BlockData data(student_frontier, teacher_frontier, budget, batches, plan.blocks[b],
                       dump ? &*dump : nullptr, b);
        BlockTrainer<Loss, Optimizer> trainer(student.network(), data, &executor);
        if (report.cancelled) training.epochs = 0;
        auto block = trainer.train(training, {.block = b, .blocks = plan.blocks.size()}, report.cancelled);
        if (!block) return failed(block.diagnostics());
        if (*run && !report.cancelled)
            if (auto saved = (*run)->save(b, student, *block); !saved) return failed(saved.diagnostics());
        report.blocks.push_back(*std::move(block));
    }
    dump.reset();
    if (in_run) std::filesystem::remove(dumps, ignored);

    // 4. The whole.
    report.output_error_distilled = detail::output_error(teacher, student.network(), batches, &executor);
    if (!(report.output_error_distilled <= detail::largest_error_left * report.output_error_calibrated)) {
        student.network() = rollback.before();
        report.output_error_distilled = report.output_error_calibrated;
        report.kept_calibrated = true;
    }
    rollback.keep();
    report.layers = report_layers(student, batches, &executor);
    return report;
}

}  // namespace amct_distill
