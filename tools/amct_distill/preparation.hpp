// SPDX-License-Identifier: Apache-2.0
/// What is done to a model and a student of it before anything is learned: options of distill and analyze.
///
///     Preparation preparation(options, batch_num, console);
///     preparation.equalize(model.network, data, run);                   // before students are made
///     ad::calibrate(student, data, run, preparation.calibration());
///     preparation.correct(model.network, student, data, run);
#pragma once
#include <amct_distill/report/page.hpp>
#include <amct_distill/report/preparation_text.hpp>
#include <amct_distill/student/bias_correction.hpp>
#include <amct_distill/student/calibrate.hpp>
#include <amct_distill/student/equalize.hpp>
#include <cstddef>
#include <optional>
#include <vector>

#include "console.hpp"
#include "data.hpp"
#include "interrupt.hpp"
#include "options.hpp"

namespace tool {

class Preparation {
public:
    /// `batch_num`: batches to look at.
    Preparation(const Options& options, std::size_t batch_num, Console& console)
        : o_(options), batch_num_(batch_num), console_(console) {}

    /// Where it is asked for. False: interrupted.
    bool equalize(amct_distill::nn::Network& network, const Dataset& data,
                  const amct_distill::RunOptions& run);

    amct_distill::CalibrateOptions calibration() const;

    /// Where it is asked for. False: interrupted.
    template <class Student>
    bool correct(const amct_distill::nn::Network& teacher, Student& student, const Dataset& data,
                 const amct_distill::RunOptions& run) {
        if (!o_.bias_correction) return true;
        auto found = amct_distill::correct_biases(teacher, student, data, run, {.batch_num = batch_num_});
        if (!found && interrupted()) return false;
        corrected_ = std::move(found).value();
        return !interrupted();
    }

    /// Tables of what was done.
    void print() const;
    /// The same in a line each, for the report.
    std::vector<amct_distill::PageFact> facts() const;

private:
    const Options& o_;
    std::size_t batch_num_;
    Console& console_;
    std::optional<amct_distill::EqualizeReport> equalized_{};
    std::optional<amct_distill::BiasReport> corrected_{};
};

}  // namespace tool
