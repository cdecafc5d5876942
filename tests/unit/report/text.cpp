// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/report/text.hpp>

#include <algorithm>
#include <limits>
#include <sstream>

#include "support/catch.hpp"

namespace distill_report_text_test {

using namespace amct_distill;

namespace {
DistillReport sample() {
    DistillReport r;
    r.layers.push_back({.name = "conv1",
                        .weight_algorithm = "arq_distill, INT4, channel_wise",
                        .data_algorithm = "ulq_quantize, INT8",
                        .weight_bits = 4,
                        .data_bits = 8,
                        .weight_scales = {{0.5f, 0}, {0.25f, 0}},
                        .data_scale = {0.0078125f, -128},
                        .data_clip = {1.9921875f, 0},
                        .user_clips = true,
                        .weight_sqnr = 18.75,
                        .data_sqnr = std::numeric_limits<double>::infinity(),
                        .saturation = 0.0125,
                        .channels = 2,
                        .dead_channels = {1}});
    r.blocks.push_back({.names = {"conv1", "bn1", "relu1"},
                        .loss_before = 0.5,
                        .loss_after = 0.125,
                        .epoch_losses = {0.5, 0.4, 0.3, 0.25, 0.2, 0.2, 0.2, 0.2, 0.125},
                        .best_epoch = 9,
                        .teacher_inputs = 3,
                        .seconds = 1.234});
    r.blocks.push_back(
        {.names = {"fc"}, .loss_before = 0.5, .loss_after = 0.5, .stopped = "NaN in the loss"});
    r.output_error_calibrated = 0.75;
    r.output_error_distilled = 0.375;
    return r;
}
}  // namespace

TEST_CASE("a report as tables") {
    DistillReport r = sample();
    CHECK(to_table(r) ==
          "  layer  weights                          scale                 SQNR     dead channels\n"
          "  conv1  arq_distill, INT4, channel_wise  2.50e-01 .. 5.00e-01  18.8 dB  1 of 2\n"
          "\n"
          "  layer  inputs              scale     clips      by   SQNR   outside\n"
          "  conv1  ulq_quantize, INT8  7.81e-03  0 .. 1.99  you  exact  1.25 %\n"
          "\n"
          "  block  modules         error     distilled  best epoch  teacher's input  seconds\n"
          "  1      conv1 .. relu1  5.00e-01  1.25e-01   9           3 steps          1.23\n"
          "  2      fc              5.00e-01  5.00e-01   calibrated  never            0.00\n"
          "  block 2 ended early: NaN in the loss\n"
          "\n"
          "  block  loss per epoch\n"
          "  1      5.00e-01  4.00e-01  3.00e-01  2.50e-01  2.00e-01  2.00e-01  2.00e-01  2.00e-01\n"
          "         1.25e-01\n"
          "\n"
          "  output, mean squared error to the teacher's: 7.50e-01 calibrated, 3.75e-01 distilled\n");
    r.kept_calibrated = r.cancelled = true;
    r.resumed_blocks = 2;
    CHECK_THAT(to_table(r), Catch::Contains("the calibrated network stays") &&
                                Catch::Contains("was cancelled") &&
                                Catch::Contains("Blocks taken from an earlier run: 2\n"));
}

TEST_CASE("on a narrow terminal a report leaves columns out") {
    CHECK(to_table(sample(), 50) ==
          "  layer  weights                          SQNR\n"
          "  conv1  arq_distill, INT4, channel_wise  18.8 dB\n"
          "\n"
          "  layer  inputs              clips      SQNR\n"
          "  conv1  ulq_quantize, INT8  0 .. 1.99  exact\n"
          "\n"
          "  block  modules         error     distilled\n"
          "  1      conv1 .. relu1  5.00e-01  1.25e-01\n"
          "  2      fc              5.00e-01  5.00e-01\n"
          "  block 2 ended early: NaN in the loss\n"
          "\n"
          "  block  loss per epoch\n"
          "  1      5.00e-01  4.00e-01  3.00e-01  2.50e-01\n"
          "         2.00e-01  2.00e-01  2.00e-01  2.00e-01\n"
          "         1.25e-01\n"
          "\n"
          "  output, mean squared error to the teacher's:\n"
          "  7.50e-01 calibrated, 3.75e-01 distilled\n");
}

TEST_CASE("a report keeps to its width, whatever the names and figures") {
    DistillReport r = sample();
    r.layers[0].name = r.blocks[0].names[0] = r.blocks[0].names[2] = r.blocks[1].names[0] =
        std::string(80, 'n');
    r.layers[0].weight_algorithm = r.layers[0].data_algorithm = std::string(80, 'p');
    r.layers[0].data_clip = {123456.0f, -123456.0f};
    r.layers[0].weight_sqnr = r.layers[0].data_sqnr = 101.23;
    r.layers[0].saturation = 1;
    r.layers[0].channels = 4096;
    r.layers[0].dead_channels.resize(1024);
    r.blocks[0].teacher_inputs = 100000;
    r.blocks[0].seconds = 12345.678;
    for (std::size_t width : {40u, 60u, 80u, 100u, 200u}) {
        std::istringstream lines(to_table(r, width));
        for (std::string line; std::getline(lines, line);) {
            INFO(line);
            CHECK(line.size() <= width);
        }
    }
}

TEST_CASE("a report of one scale, of no signal, of a block without modules, on the narrowest terminal") {
    DistillReport r = sample();
    r.layers[0].weight_scales = {{0.5f, 0}, {0.5f, 0}};
    r.layers[0].weight_sqnr = -std::numeric_limits<double>::infinity();
    r.blocks[1].names.clear();
    std::string const text = to_table(r);
    CHECK_THAT(text, Catch::Contains("conv1  arq_distill, INT4, channel_wise  5.00e-01  -     1 of 2\n"));
    CHECK_THAT(text, Catch::Contains("  2                      5.00e-01  5.00e-01   calibrated"));
    std::string const narrow = detail::losses_table(r.blocks, 18);
    CHECK_THAT(narrow, Catch::Contains("5.00e-01\n"));
    CHECK(std::ranges::count(narrow, '\n') == 2 + 9);
    CHECK(detail::range_of_scales({}).empty());
}

}  // namespace distill_report_text_test
