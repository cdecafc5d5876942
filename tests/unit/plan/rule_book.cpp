// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/rule_book.hpp>

#include "support/catch.hpp"
#include "support/topologies.hpp"

namespace plan_rules_test {

using namespace amct_distill;

namespace {

DistillDataQuantConfig data(DataType type) { return {ActULQquantize{.dst_type = type}}; }
DistillWeightQuantConfig weights(DataType type) { return {ARQDistill{.dst_type = type}}; }

/// The rule that holds for each layer of example(), and what is found.
struct outcome {
    std::vector<std::string> rules{};
    std::string errors{}, warnings{};
};
outcome rules_of(const AMCTDistillConfig& config) {
    Topology const topology = example();
    Graph const g(topology);
    detail::DiagnosticList found({});
    detail::LayerLookup const names(g, found);
    detail::RuleBook<StandardAlgorithms> const book(config, g, names, found);
    outcome out;
    for (const auto& layer : book.layers())
        out.rules.push_back(layer.skipped ? layer.skipped->text : layer.strongest().name);
    book.warn_of_idle_rules();
    book.warn_of_resets([&](const auto& layer) {
        return detail::LayerFacts{.is_conv = topology.modules[layer.module].type == "Conv2d"};
    });
    out.errors = to_string(found.errors());
    out.warnings = to_string(found.warnings());
    return out;
}
using names = std::vector<std::string>;

}  // namespace

TEST_CASE("a skip beats the layer's override, that the type's, that the global settings") {
    AMCTDistillConfig config;
    config.quant_skip_layers = {"conv1"};
    config.distill_override_layers = {{.layer_name = "conv1"}, {.layer_name = "conv2"}};
    config.distill_override_layer_types = {{.layer_type = "Conv2d"}};
    CHECK(rules_of(config).rules ==
          names{"quant_skip_layers[0]", "distill_override_layers[1]", "distill_override_layer_types[0]", ""});
}

TEST_CASE("a skip by type beats a layer's override") {
    AMCTDistillConfig config;
    config.quant_skip_layer_types = {"Conv2d"};
    config.distill_override_layers = {{.layer_name = "conv2"}};
    auto const out = rules_of(config);
    CHECK(out.rules ==
          names{"quant_skip_layer_types[0]", "quant_skip_layer_types[0]", "quant_skip_layer_types[0]", ""});
    CHECK(out.warnings ==
          "warning: distill_override_layers[0]: never applies: `conv2` is skipped by "
          "quant_skip_layer_types[0]; "
          "remove one of the two");
}

TEST_CASE("a layer may be skipped twice") {
    AMCTDistillConfig config;
    config.quant_skip_layers = {"conv2", "conv2"};
    config.quant_skip_layer_types = {"Conv2d", "Conv2d"};
    auto const out = rules_of(config);
    CHECK(out.errors.empty());
    CHECK(out.rules[1] == "quant_skip_layers[0]");
}

TEST_CASE("all names that fit nothing are reported at once") {
    AMCTDistillConfig config;
    config.quant_skip_layers = {"conv11", "bn1"};
    config.quant_skip_layer_types = {"Conv3d"};
    config.distill_override_layers = {{.layer_name = "fcc"}};
    config.distill_override_layer_types = {{.layer_type = "ReLU"}};
    CHECK(
        rules_of(config).errors ==
        "error: quant_skip_layers[0]: no layer is named `conv11`; did you mean `conv1`?\n"
        "error: quant_skip_layers[1]: `bn1` is a BatchNorm2d; only Conv2d and Linear layers are quantized: "
        "remove "
        "it here\n"
        "error: quant_skip_layer_types[0]: no layer is of type `Conv3d`; did you mean `Conv2d`?\n"
        "error: distill_override_layers[0].layer_name: no layer is named `fcc`; did you mean `fc`?\n"
        "error: distill_override_layer_types[0].layer_type: a ReLU is not quantized; only Conv2d and Linear "
        "layers are: remove it here");
}

TEST_CASE("a layer or type that is overridden twice is an error") {
    AMCTDistillConfig config;
    config.distill_override_layers = {{.layer_name = "conv1"}, {.layer_name = "fc"}, {.layer_name = "conv1"}};
    config.distill_override_layer_types = {{.layer_type = "Conv2d"}, {.layer_type = "Conv2d"}};
    CHECK(rules_of(config).errors ==
          "error: distill_override_layers[2].layer_name: `conv1` has an override already, "
          "distill_override_layers[0]: put the settings of both into one\n"
          "error: distill_override_layer_types[1].layer_type: `Conv2d` has an override already, "
          "distill_override_layer_types[0]: put the settings of both into one");
}

TEST_CASE("clips are checked in the global settings and in every override") {
    DistillDataQuantConfig const bad{
        ActULQquantize{.clip_max_min = ClipMaxMin{.clip_max = 1.0f, .clip_min = 1.0f}}};
    AMCTDistillConfig config{.distill_data_quant_config = bad};
    config.distill_override_layers = {{.layer_name = "conv1", .distill_data_quant_config = bad}};
    config.distill_override_layer_types = {{.layer_type = "Conv2d", .distill_data_quant_config = bad}};
    auto const wrong = [](const char* rule) {
        return detail::concat(
            "error: ", rule,
            ".ulq_quantize.clip_max_min.clip_min: clip_min must be below 0 and finite, and is 1; "
            "leave clip_max_min out, and IFMR computes the clips");
    };
    CHECK(rules_of(config).errors ==
          detail::concat(wrong("distill_data_quant_config"), '\n',
                         wrong("distill_override_layers[0].distill_data_quant_config"), '\n',
                         wrong("distill_override_layer_types[0].distill_data_quant_config")));
}

TEST_CASE("a type's override that stronger rules cover never applies: a warning") {
    AMCTDistillConfig config;
    config.quant_skip_layers = {"conv1"};
    config.distill_override_layers = {{.layer_name = "conv2"}, {.layer_name = "conv3"}};
    config.distill_override_layer_types = {{.layer_type = "Conv2d"}};
    CHECK(rules_of(config).warnings ==
          "warning: distill_override_layer_types[0]: never applies: every layer of that type is skipped or "
          "has an "
          "override of its own; remove it");
}

TEST_CASE("global settings that stronger rules cover never apply: a warning") {
    AMCTDistillConfig config{.distill_data_quant_config = data(DataType::INT8),
                             .distill_weight_quant_config = weights(DataType::INT8)};
    config.quant_skip_layers = {"fc"};
    config.distill_override_layer_types = {{.layer_type = "Conv2d"}};
    CHECK(rules_of(config).warnings ==
          "warning: distill_data_quant_config: never applies: every layer is skipped or has an override; "
          "remove "
          "it\n"
          "warning: distill_weight_quant_config: never applies: every layer is skipped or has an override; "
          "remove "
          "it");
}

TEST_CASE("a weights-only override resets the activations: a warning when that changes anything") {
    AMCTDistillConfig config{.distill_data_quant_config = data(DataType::INT4)};
    config.distill_override_layers = {
        {.layer_name = "conv2", .distill_weight_quant_config = weights(DataType::INT4)}};
    CHECK(
        rules_of(config).warnings ==
        "warning: distill_override_layers[0]: has no distill_data_quant_config, so `conv2` gets the default "
        "(ulq_quantize, INT8), not what distill_data_quant_config says: an override replaces all of it; "
        "repeat "
        "in it what is to stay");
    config.distill_data_quant_config = data(DataType::INT8);
    CHECK(rules_of(config).warnings.empty());
}

TEST_CASE("an activations-only override resets the weights, of all layers of a type") {
    AMCTDistillConfig config{.distill_weight_quant_config = DistillWeightQuantConfig{WtsULQDistill{}}};
    config.distill_override_layer_types = {
        {.layer_type = "Conv2d", .distill_data_quant_config = data(DataType::INT8)}};
    CHECK(rules_of(config).warnings ==
          "warning: distill_override_layer_types[0]: has no distill_weight_quant_config, so `conv1`, `conv2` "
          "and "
          "`conv3` get the default (arq_distill, INT8, channel_wise), not what distill_weight_quant_config "
          "says: an override "
          "replaces all of it; repeat in it what is to stay");
}

TEST_CASE("a layer's override resets what the type's says") {
    AMCTDistillConfig config;
    config.distill_override_layer_types = {
        {.layer_type = "Conv2d", .distill_weight_quant_config = weights(DataType::INT4)}};
    config.distill_override_layers = {
        {.layer_name = "conv1", .distill_data_quant_config = data(DataType::INT8)}};
    CHECK_THAT(
        rules_of(config).warnings,
        Catch::Contains(
            "distill_override_layers[0]: has no distill_weight_quant_config, so `conv1` gets the "
            "default (arq_distill, INT8, channel_wise), not what distill_override_layer_types[0] says"));
}

}  // namespace plan_rules_test
