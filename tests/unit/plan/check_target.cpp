// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/check_target.hpp>
#include <amct_distill/plan/resolve.hpp>

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

}  // namespace plan_check_target_test
