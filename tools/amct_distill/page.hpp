// SPDX-License-Identifier: Apache-2.0
/// The report: report.json has all of a run, report.html is drawn from that and from what an analysis left in
/// the folder (sensitivity_file.hpp).
///
///     write_report(page, "out");
///     draw_report("out");              // report.html again, from report.json
///
/// (A unit of its own, because it compiles for long.)
#pragma once
#include <amct_distill/report/page.hpp>
#include <filesystem>

namespace tool {

/// Throws ConfigError when a file cannot be written.
void write_report(const amct_distill::ReportPage& page, const std::filesystem::path& directory);
/// Throws ConfigError or std::invalid_argument: report.json is missing, or is none of ours.
void draw_report(const std::filesystem::path& directory);

}  // namespace tool
