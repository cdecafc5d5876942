// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/check_target.hpp>
#include <amct_distill/plan/resolve.hpp>
#include <amct_distill/text/reader.hpp>

#include "support/catch.hpp"
#include "support/topologies.hpp"

namespace plan_check_target_test {

using namespace amct_distill;

namespace {
std::string errors_of(const AMCTDistillConfig& config, const Target& target = target::ascend) {
    return to_string(resolve(config, example(), target).diagnostics());
}
}  // namespace

TEST_CASE("ascend: a Linear takes no channel_wise weights") {
    AMCTDistillConfig config{.distill_weight_quant_config =
                                 DistillWeightQuantConfig{ARQDistill{.channel_wise = true}}};
    CHECK(
        errors_of(config) ==
        "error: distill_weight_quant_config.arq_distill.channel_wise: `fc`: a Linear has one weight scale on "
        "target ascend; set channel_wise to false for it");
    config.quant_skip_layers = {"fc"};
    CHECK(errors_of(config).empty());
}

TEST_CASE("ascend: activations and weights have the same bit width") {
    AMCTDistillConfig config{.distill_data_quant_config =
                                 DistillDataQuantConfig{ActULQquantize{.dst_type = DataType::INT4}}};
    CHECK(errors_of(config) ==
          "error: distill_data_quant_config.ulq_quantize.dst_type: `conv1`, `conv2`, `conv3` and `fc`: "
          "activations "
          "are INT4 (distill_data_quant_config), weights INT8 (default), and target ascend wants both of one "
          "width; "
          "set both dst_type to the same");
    config.distill_weight_quant_config = DistillWeightQuantConfig{ARQDistill{.dst_type = DataType::INT4}};
    CHECK(errors_of(config).empty());
    config.distill_override_layers = {{.layer_name = "conv2",
                                       .distill_data_quant_config = DistillDataQuantConfig{ActULQquantize{}},
                                       .distill_weight_quant_config = config.distill_weight_quant_config}};
    CHECK(
        errors_of(config) ==
        "error: distill_override_layers[0].distill_weight_quant_config.arq_distill.dst_type: `conv2`: "
        "activations "
        "are INT8 (default), weights INT4 (distill_override_layers[0]), and target ascend wants both of one "
        "width; set both dst_type to the same");
}

TEST_CASE("the generic target takes both, and one of one's own what it says") {
    AMCTDistillConfig const config{
        .distill_data_quant_config = DistillDataQuantConfig{ActULQquantize{.dst_type = DataType::INT4}},
        .distill_weight_quant_config = DistillWeightQuantConfig{ARQDistill{.channel_wise = true}}};
    CHECK(errors_of(config, target::generic).empty());
    CHECK_THAT(errors_of(config, Target{.name = "mine", .mixed_widths = false}),
               Catch::Contains("and target mine wants both of one width"));
}

TEST_CASE("layers are told together where one setting is wrong for all, and one by one where several are") {
    network n;
    n.layer("b", "Linear", {n.layer("a", "Linear", {})});
    n.topology.outputs = {1};
    auto const said = [&](const AMCTDistillConfig& config) {
        return to_string(resolve(config, n.topology, target::ascend).diagnostics());
    };
    std::string const why =
        "a Linear has one weight scale on target ascend; set channel_wise to false for it";
    std::string_view const each =
        "distill_override_layers { layer_name: 'a' distill_weight_quant_config {\n"
        "  arq_distill { channel_wise: true } } }\n"
        "distill_override_layers { layer_name: 'b' distill_weight_quant_config {\n"
        "  arq_distill { channel_wise: true } } }\n";
    auto const text = said(read<AMCTDistillConfig>(each).value());
    CHECK(text.find("2:") != text.npos);
    CHECK(text.find("4:") != text.npos);
    CHECK(text.find("`a`: " + why) != text.npos);
    CHECK(text.find("`b`: " + why) != text.npos);
    AMCTDistillConfig config;  // which was not read, and has no lines
    for (const char* name : {"a", "b"})
        config.distill_override_layers.push_back(
            {.layer_name = name,
             .distill_weight_quant_config = DistillWeightQuantConfig{ARQDistill{.channel_wise = true}}});
    CHECK(said(config) ==
          "error: distill_override_layers[0].distill_weight_quant_config.arq_distill.channel_wise: `a`: " +
              why +
              "\nerror: distill_override_layers[1].distill_weight_quant_config.arq_distill.channel_wise: "
              "`b`: " +
              why);
}

}  // namespace plan_check_target_test
