// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/report/verify_text.hpp>

#include <sstream>

#include "support/catch.hpp"

namespace report_verify_text_test {

using namespace amct_distill;

TEST_CASE("a verification as a table") {
    VerifiedLayer l{.name = "fc",
                    .outputs = 6,
                    .different = 2,
                    .largest = 9,
                    .explained = 5,
                    .inputs = 20,
                    .inputs_different = 1,
                    .inputs_largest = 3};
    VerifyReport report{.layers = {l}, .output_error = 0.5, .output_largest = 1, .output_square = 2};
    CHECK(to_table(report) ==
          "  layer  sums  differ  by  explained  codes in  differ  by  new codes\n"
          "  fc     6     2       9   5          20        1       3   none\n"
          "  The integers do NOT compute what was simulated: rounding explains less.\n"
          "  Of the outputs: mean squared difference 5.00e-01 (of 2.00e+00), at most 1.00e+00.\n");
    report.layers[0].explained = 9;
    report.layers[0].requantized_channels = 3;
    CHECK_THAT(to_table(report),
               Catch::Contains("  The integers compute what was simulated.\n") && Catch::Contains("3 ch.\n"));
}

TEST_CASE("the table of a verification keeps to its width") {
    VerifiedLayer const l{.name = std::string(60, 'n'),
                          .outputs = 12345678,
                          .different = 1234567,
                          .largest = 1234,
                          .explained = 123456,
                          .inputs = 12345678,
                          .inputs_different = 1234567,
                          .inputs_largest = 255,
                          .requantized_channels = 1024};
    for (std::size_t width : {40u, 80u, 100u, 200u}) {
        std::istringstream lines(to_table(VerifyReport{.layers = {l}}, width));
        for (std::string line; std::getline(lines, line);) {
            INFO(line);
            CHECK(line.size() <= width);
        }
    }
}

}  // namespace report_verify_text_test
