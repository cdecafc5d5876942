// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/report/preparation_text.hpp>

#include <sstream>

#include "support/catch.hpp"

namespace report_preparation_text_test {

using namespace amct_distill;

TEST_CASE("an equalization as a table, and what could not be") {
    EqualizeReport report{.pairs = {{.first = "bn1",
                                     .second = "conv2",
                                     .channels = 16,
                                     .narrowest_before = 0.4,
                                     .widest_before = 26.6,
                                     .narrowest_after = 13,
                                     .widest_after = 27}},
                          .others = {{"conv1", "it is shared"}, {"conv3", "it is shared"}}};
    std::string const text = to_table(report);
    CHECK(text ==
          "  outputs of  read by  channels  narrowest  now       widest    now\n"
          "  bn1         conv2    16        4.00e-01   1.30e+01  2.66e+01  2.70e+01\n"
          "  Not equalized: `conv1`: it is shared; `conv3`: it is shared.\n");
    report.pairs.clear();
    CHECK(to_table(report) == "  Not equalized: `conv1`: it is shared; `conv3`: it is shared.\n");
    for (int i = 0; i != 5; ++i) report.others.push_back({"more", "why"});
    CHECK_THAT(to_table(report, 200), Catch::Contains("`more`: why; and 2 more."));
    CHECK(to_table(EqualizeReport{}).empty());
}

TEST_CASE("a bias correction as a table, and what could not be") {
    BiasReport const report{.batches = 2,
                            .layers = {{.layer = "conv1", .into = "bn1", .shift = 0.25, .deviation = 1.5}},
                            .others = {{"fc", "it has no bias"}}};
    CHECK(to_table(report) ==
          "  layer  bias of  shift     deviation\n"
          "  conv1  bn1      2.50e-01  1.50e+00\n"
          "  Not corrected: `fc`: it has no bias.\n");
    std::istringstream lines(to_table(report, 30));
    for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 30);
}

}  // namespace report_preparation_text_test
