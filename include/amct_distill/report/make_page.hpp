// SPDX-License-Identifier: Apache-2.0
/// The report page's content from a run: what can be told from the networks and the data.
///
///     ReportPage page = make_page("digits", teacher, student, batches, report, run).value();
///     page.verified = verify(device, student, batches, run).value();      // what else there is to say
///     page.run.config_text = source.text;
///     write_file("report.html", to_html(page)).value();
#pragma once
#include <string>
#include <utility>

#include "../distill/observe_layers.hpp"
#include "data_summary.hpp"
#include "page.hpp"
#include "page_network.hpp"

namespace amct_distill {

/// Runs teacher and student on the first samples (distill/observe_layers.hpp), and looks at all batches.
/// Errors: no batches, or one that cannot be loaded. Throws std::invalid_argument when the student is not one
/// of this teacher, or a batch does not fit the networks' inputs.
template <class Algorithms>
result<ReportPage> make_page(std::string model, const nn::Network& teacher,
                             const BasicStudent<Algorithms>& student, DataSource batches,
                             DistillReport report, const RunOptions& run = {}) {
    ReportPage page{.model = std::move(model), .report = std::move(report)};
    auto observed = observe_layers(teacher, student, batches, run);
    if (!observed) return observed.diagnostics();
    page.observed = *std::move(observed);
    auto data = summarize_data(teacher, batches);
    if (!data) return data.diagnostics();
    page.data = *std::move(data);
    page.network = page_network(teacher, student.plan());
    return page;
}

}  // namespace amct_distill
