/// Block-wise distillation: the student learns, block after block, to reproduce the float teacher.
///
///     Student student = make_student(teacher, plan).value();
///     calibrate(student, batches).value();
///     DistillReport report = distill(teacher, student, batches, {.epochs = 5}).value();
///
/// The teacher is never changed. No block ends above the loss it began with, and the student's outputs are never
/// farther from the teacher's than when calibrated: the best parameters seen are what stays.
#pragma once
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "block.hpp"
#include "calibrate.hpp"
#include "dump.hpp"
#include "report.hpp"
#include "report_layers.hpp"
#include "student.hpp"

namespace amct_distill {

struct DistillOptions {
    int epochs = 1;
    LearningRates learning_rates{};
    AdamWOptions adamw{};
    ProgressCallback on_progress{};
    /// Where a plan with data_dump makes its directory; empty: the system's directory for temporary files.
    std::filesystem::path dump_directory{};
};

namespace detail {

/// Mean squared error of the first output over all batches.
inline double output_error(const nn::Network& teacher, const nn::Network& student,
                           std::span<const nn::Tensor> batches) {
    nn::Tape teacher_tape, student_tape;
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

}  // namespace detail

/// Distills a calibrated student of `teacher`. Errors: no batches; a layer that is not calibrated; the dump
/// cannot be written or read (the student is then as calibrated). Throws std::invalid_argument when a batch does
/// not have the shape of the network's input.
template <class Algorithms>
result<DistillReport> distill(const nn::Network& teacher, BasicStudent<Algorithms>& student,
                              std::span<const nn::Tensor> batches, const DistillOptions& options = {}) {
    if (batches.empty()) return general_error("distill: no batches; give at least one");
    const auto& plan = student.plan();
    for (const auto& layer : plan.layers)
        if (const auto* const q = student.quantizers(layer.name); q != nullptr && !q->is_calibrated())
            return general_error(detail::concat("distill: layer `", layer.name,
                                                "` is not calibrated; call calibrate() first"));

    nn::Network const calibrated = student.network();
    DistillReport report;
    report.output_error_calibrated = detail::output_error(teacher, calibrated, batches);

    std::optional<TeacherDump> dump;
    if (plan.data_dump.value) {
        auto written = TeacherDump::write(
            teacher, plan.blocks, batches,
            options.dump_directory.empty() ? std::filesystem::temp_directory_path() : options.dump_directory);
        if (!written) return written.diagnostics();
        dump.emplace(*std::move(written));
    }
    for (std::size_t b = 0; b != plan.blocks.size(); ++b) {
        BlockTrainer trainer(teacher, student.network(), plan.blocks[b], dump ? &*dump : nullptr, b);
        auto block = trainer.train(batches,
                                   {.epochs = report.cancelled ? 0 : options.epochs,
                                    .learning_rates = options.learning_rates,
                                    .adamw = options.adamw,
                                    .on_progress = options.on_progress},
                                   {.block = b, .blocks = plan.blocks.size()}, report.cancelled);
        if (!block) {
            student.network() = calibrated;
            return block.diagnostics();
        }
        report.blocks.push_back(*std::move(block));
    }

    report.output_error_distilled = detail::output_error(teacher, student.network(), batches);
    if (!(report.output_error_distilled <= report.output_error_calibrated)) {
        student.network() = calibrated;
        report.output_error_distilled = report.output_error_calibrated;
        report.kept_calibrated = true;
    }
    report.layers = report_layers(student, batches);
    return report;
}

}  // namespace amct_distill
