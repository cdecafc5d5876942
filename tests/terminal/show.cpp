// SPDX-License-Identifier: Apache-2.0
// Prints everything that is laid out for a terminal: tables of a plan, a report and a verification with long
// and Chinese names, sentences, and a progress line that is drawn 200 times.
#include <amct_distill/config/messages.hpp>
#include <amct_distill/io/terminal.hpp>
#include <amct_distill/plan/resolve.hpp>
#include <amct_distill/report/plan_text.hpp>
#include <amct_distill/report/text.hpp>
#include <amct_distill/report/verify_text.hpp>
#include <amct_distill/text/reader.hpp>
#include <cstdio>
#include <string>

using namespace amct_distill;

int main() {
    std::string const chinese =
        "\xe7\xac\xac\xe4\xb8\x80\xe4\xb8\xaa\xe5\x8d\xb7\xe7\xa7\xaf\xe5\xb1\x82.conv1";
    std::string const long_name = "backbone.stage3.block11.residual_branch.conv2";
    Topology t;
    t.modules = {{chinese, "Conv2d"}, {"relu1", "ReLU"}, {long_name, "Conv2d"}, {"fc", "Linear"}};
    t.nodes = {{chinese, "Conv2d", 0, {}},
               {"relu1", "ReLU", 1, {0}},
               {long_name, "Conv2d", 2, {1}},
               {"fc", "Linear", 3, {2}}};
    t.outputs = {3};
    auto const config = read<AMCTDistillConfig>(
        "quant_skip_layers: 'fc' distill_weight_quant_config { arq_distill { dst_type: INT4 } }");
    DistillReport report;
    VerifyReport verified;
    for (const std::string& name : {chinese, long_name}) {
        LayerReport layer{
            .name = name, .weight_sqnr = 18.75, .data_sqnr = 40, .saturation = 0.0125, .channels = 512};
        report.layers.push_back(layer);
        report.blocks.push_back({.names = {name, "relu1"},
                                 .loss_before = 0.5,
                                 .loss_after = 0.125,
                                 .epoch_losses = {0.5, 0.4, 0.3, 0.25, 0.2, 0.2, 0.2, 0.2, 0.125},
                                 .best_epoch = 9,
                                 .teacher_inputs = 3,
                                 .seconds = 1.234,
                                 .stopped = "the loss is not finite; the best parameters so far stay"});
        verified.layers.push_back(
            {.name = name, .outputs = 12345678, .different = 12, .largest = 3, .explained = 5});
    }
    std::size_t const width = terminal_width();
    std::printf("width %zu\n%s\n%s\n%s", width, to_table(resolve(config.value(), t).value(), width).c_str(),
                to_table(report, width).c_str(), to_table(verified, width).c_str());

    ProgressLine line;
    for (int i = 0; i != 200; ++i)
        line.show("block 12 of 34", detail::concat("epoch ", i / 20 + 1, " of 10, loss 1.25e-03"), i / 199.0);
    line.show(chinese, chinese, 0.5);
    line.finish();
}
