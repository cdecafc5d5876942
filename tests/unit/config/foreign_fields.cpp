// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/config/foreign_fields.hpp>

#include <algorithm>
#include <string>
#include <string_view>

#include "amct_distill/config/messages.hpp"
#include "amct_distill/config/static_config.hpp"
#include "amct_distill/text/reader.hpp"
#include "support/catch.hpp"

namespace config_foreign_fields_test {

using namespace amct_distill;

namespace {

Diagnostics errors_of(std::string_view text, ReaderOptions options = {}) {
    auto const r = read<AMCTDistillConfig>(text, options);
    INFO(text);
    CHECK_FALSE(r);
    return r.diagnostics();
}
/// The messages that say which format a text seems to be of.
std::string flow_of(std::string_view text) {
    std::string flow;
    for (const Diagnostic& d : errors_of(text)) {
        auto const at = d.message.find("AMCT's ");
        if (at == std::string::npos) continue;
        CHECK(flow.empty());  // one sentence
        CHECK(d.message.find("this library reads distillation configurations") != std::string::npos);
        flow = d.message.substr(at + 7, d.message.find(':') - at - 7);
    }
    return flow;
}

}  // namespace

TEST_CASE("one sentence names the flow that a configuration seems to be for") {
    CHECK(flow_of("activation_offset: true skip_layers: 'a' common_config { }") == "calibration");
    CHECK(flow_of("common_config { arq_quantize { num_bits: 8 } } skip_layers: 'a'") == "calibration");
    CHECK(flow_of("batch_num: 1 retrain_data_quant_config { } override_layer_types { layer_type: 'a' }") ==
          "retraining");
    CHECK(flow_of("prune_config { }") == "pruning");
    CHECK(flow_of("regular_prune_skip_layers: 'a'") == "pruning");
    CHECK(flow_of("retrain_data_quant_config { } prune_config { }") == "retraining and pruning");
    CHECK(flow_of("compress_ratio: 1.4 ascend_optimized: true") == "automatic search");
    CHECK(flow_of("kv_cache_quant_config { quant_layers: 'a' }") == "KV-cache quantization");
    // Fields that several flows have leave it open.
    CHECK(flow_of("skip_layers: 'a'") == "calibration or retraining");
    CHECK(flow_of("batch_num: 1 group_siz: 2").empty());
}

TEST_CASE("each of its fields is answered once, by what there is for it here") {
    auto const all = errors_of(
        "skip_layers: 'a' skip_layers: 'b'\n"
        "override_layer_configs { layer_name: 'a' retrain_weight_quant_config { arq_retrain { } } }\n"
        "prune_config { filter_pruner { } }\n");
    REQUIRE(all.size() == 6);
    CHECK(all[0].message ==
          "this looks like a configuration for AMCT's retraining and pruning: this library reads "
          "distillation configurations (AMCTDistillConfig)");
    CHECK(all[1].message == "unknown field `skip_layers`; write `quant_skip_layers`");
    CHECK(all[2].message == "unknown field `override_layer_configs`; write `distill_override_layers`");
    CHECK(all[3].message ==
          "unknown field `retrain_weight_quant_config`; write `distill_weight_quant_config`");
    CHECK(all[3].path == "override_layer_configs");
    CHECK(all[4].message == "unknown field `arq_retrain`; write `arq_distill`");
    CHECK(all[4].path == "override_layer_configs.retrain_weight_quant_config");
    CHECK(all[5].message ==
          "unknown field `prune_config`; it has no counterpart here: this library does not prune");
}

TEST_CASE("fields of another flow within a distillation's are answered, too") {
    auto const all = errors_of(
        "distill_weight_quant_config { arq_distill { num_bits: 4 } }\n"
        "distill_data_quant_config { ulq_quantize { } ifmr_quantize { } }");
    REQUIRE(all.size() == 3);
    CHECK(all[0].message.starts_with("this configuration has fields of one for AMCT's "));
    CHECK(all[1].path == "distill_weight_quant_config.arq_distill");
    CHECK(all[1].message == "unknown field `num_bits`; write `dst_type: INT4` or `dst_type: INT8`");
    CHECK(all[2].message.starts_with("unknown field `ifmr_quantize`; leave it out: IFMR finds the clips"));
}

TEST_CASE("no suggestion leads to a field that only looks alike") {
    // Each name of another flow is answered by its own advice, not by the nearest name.
    for (const ForeignField& f : detail::amct::fields_of_others) {
        auto const all = errors_of(detail::concat(f.name, ": 1"));
        INFO(f.name);
        CHECK(std::none_of(all.begin(), all.end(), [](const Diagnostic& d) {
            return d.message.find("did you mean") != std::string::npos;
        }));
    }
    // Misspelled names of another flow are nearer to those than to any of ours.
    CHECK(errors_of("retrain_data_quant_configs { }").at(1).message ==
          "unknown field `retrain_data_quant_configs`; for `retrain_data_quant_config`: write "
          "`distill_data_quant_config`");
    CHECK(errors_of("skip_layer: 'a'").at(1).message ==
          "unknown field `skip_layer`; for `skip_layers`: write `quant_skip_layers`");
    CHECK(errors_of("quant_skip_layer: 'a'").at(0).message ==
          "unknown field `quant_skip_layer`; did you mean `quant_skip_layers`?");
}

TEST_CASE("what the advice tells to write is a field of the configuration") {
    auto const is_field = [](std::string_view name) {
        constexpr std::string_view names[] = {"dst_type", "arq_distill", "ulq_distill", "ulq_quantize",
                                              "layer_type"};
        for (const auto& f : detail::text_fields<AMCTDistillConfig>)
            if (f.name == name) return true;
        return std::find(std::begin(names), std::end(names), name) != std::end(names);
    };
    for (const ForeignField& f : detail::amct::fields_of_others) {
        std::string_view rest = f.advice;
        for (auto at = rest.find('`'); at != rest.npos; at = rest.find('`')) {
            rest.remove_prefix(at + 1);
            auto const name = rest.substr(0, rest.find_first_of("`:"));
            INFO(f.name);
            CHECK(is_field(name));
            rest.remove_prefix(rest.find('`') + 1);
        }
        CHECK_FALSE(is_field(f.name));  // it would never be asked for
    }
}

TEST_CASE("where unknown fields are warnings, these are") {
    auto const r =
        read<AMCTDistillConfig>("skip_layers: 'a' batch_num: 3", {.unknown_fields_are_warnings = true});
    REQUIRE(r);
    CHECK(*r->batch_num == 3);
    REQUIRE(r.diagnostics().size() == 2);
    CHECK(r.diagnostics()[0].severity == Severity::warning);
    CHECK(r.diagnostics()[1].severity == Severity::warning);
}

TEST_CASE("other messages know nothing of them") {
    auto const r = read<ClipMaxMin>("skip_layers: 'a' clip_max: 1 clip_min: -1");
    REQUIRE_FALSE(r);
    REQUIRE(r.diagnostics().size() == 1);
    CHECK(r.diagnostics()[0].message == "unknown field `skip_layers`");
}

}  // namespace config_foreign_fields_test
