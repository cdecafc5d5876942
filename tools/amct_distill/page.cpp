// SPDX-License-Identifier: Apache-2.0
#include "page.hpp"

#include <amct_distill/adapters/report_json.hpp>
#include <amct_distill/io/file.hpp>
#include <amct_distill/report/html.hpp>

#include "console.hpp"
#include "exact_json.hpp"
#include "fields_from_json.hpp"
#include "program.hpp"
#include "sensitivity_file.hpp"
#include "verbs.hpp"

namespace tool {

namespace ad = amct_distill;

void write_report(const ad::ReportPage& page, const std::filesystem::path& directory) {
    boost::json::object json = ad::fields_to_json(page);
    if (page.verified) json["verified"].as_object()["agrees"] = page.verified->agrees();
    ad::write_file(directory / "report.json", ad::print_json(json) + '\n').value();
    draw_report(directory);  // from the file, so that it is the same when it is drawn again
}

void draw_report(const std::filesystem::path& directory) {
    std::filesystem::path const path = directory / "report.json";
    boost::json::value const json = read_json(path);
    ad::ReportPage page;
    try {
        fields_from_json(json, page, "");
    } catch (const std::invalid_argument& e) {
        bad_input(path.string(), ": ", e.what(), "; is it a report of this version?");
    }
    add_sensitivity(page, directory);
    ad::write_file(directory / "report.html", ad::to_html(page)).value();
}

int run_report(const Options& options) {
    Console console(options);
    draw_report(options.model.path);
    console.say(ad::detail::concat("written: ",
                                   (std::filesystem::path(options.model.path) / "report.html").string()));
    return exit_done;
}

}  // namespace tool
