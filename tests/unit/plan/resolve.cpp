// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/resolve.hpp>

#include <amct_distill/plan/select.hpp>
#include <amct_distill/text/reader.hpp>

#include "support/catch.hpp"
#include "support/topologies.hpp"

namespace plan_resolve_test {

using namespace amct_distill;

namespace {

result<DistillPlan> plan_of(const std::string& text, const Topology& topology = example()) {
    return resolve(read<AMCTDistillConfig>(text).value(), topology, target::generic,
                   {.source = {"quant.cfg", text}});
}
std::string errors_of(const std::string& text, const Topology& topology = example()) {
    auto const plan = plan_of(text, topology);
    CHECK_FALSE(plan);
    return to_string(plan.diagnostics());
}
const ActULQquantize& data_of(const PlannedLayer& layer) { return *layer.data.get_if<ActULQquantize>(); }
const ARQDistill& weights_of(const PlannedLayer& layer) { return *layer.weights.get_if<ARQDistill>(); }

}  // namespace

TEST_CASE("without any configuration: activations ulq_quantize INT8, weights arq_distill INT8") {
    auto const plan = resolve(AMCTDistillConfig{}, example()).value();
    CHECK(plan.batch_num == PlannedValue<std::uint32_t>{1, {}});
    CHECK(plan.group_size == PlannedValue<std::uint32_t>{1, {}});
    CHECK(plan.data_dump == PlannedValue<bool>{false, {}});
    REQUIRE(plan.layers.size() == 4);
    for (const auto& layer : plan.layers) {
        CHECK(layer.quant_enable);
        CHECK(layer.quant_enable_from == Provenance{});
        CHECK(layer.data_from.algo == Provenance{});
        CHECK(layer.weights_from.algo == Provenance{});
        CHECK(*data_of(layer).dst_type == DataType::INT8);
        CHECK_FALSE(data_of(layer).clip_max_min.has_value());
        CHECK(*weights_of(layer).dst_type == DataType::INT8);
        CHECK(*weights_of(layer).channel_wise == (layer.type == "Conv2d"));
    }
}

TEST_CASE("layers are in definition order, blocks in graph order, and each knows the other") {
    network n;
    n.topology.modules = {{"head", "Linear"}};  // defined first, used last
    auto const flatten = n.operation("Flatten", {n.layer("conv", "Conv2d", {})});
    n.use("head", {flatten});
    auto const plan = resolve(AMCTDistillConfig{}, n.topology).value();
    REQUIRE(plan.layers.size() == 2);
    CHECK(plan.layers[0].name == "head");
    CHECK(plan.layers[0].module == 0);
    CHECK(plan.layers[0].node == 2);
    CHECK(plan.layers[0].block == 1u);
    CHECK(plan.layers[1].name == "conv");
    CHECK(plan.layers[1].block == 0u);
    REQUIRE(plan.blocks.size() == 2);
    CHECK(plan.blocks[0] == PlannedBlock{{{0}}, {"conv"}, {}});
    CHECK(plan.blocks[1] == PlannedBlock{{{2}}, {"head"}, {}});
}

TEST_CASE("every setting says where it came from") {
    auto const plan = plan_of(
                          "batch_num: 2\n"
                          "distill_group { start_layer_name: \"conv1\" end_layer_name: \"relu1\" }\n"
                          "distill_weight_quant_config {\n"
                          "  arq_distill {\n"
                          "    dst_type: INT4\n"
                          "  }\n"
                          "}\n"
                          "quant_skip_layers: \"fc\"\n"
                          "distill_override_layers {\n"
                          "  layer_name: \"conv2\"\n"
                          "  distill_data_quant_config { ulq_quantize { fixed_min: false } }\n"
                          "  distill_weight_quant_config { arq_distill { channel_wise: true } }\n"
                          "}\n")
                          .value();
    CHECK(plan.batch_num.from == Provenance{"batch_num at 1:1", true, {1, 1}});
    CHECK(plan.group_size.from == Provenance{});
    CHECK(plan.blocks[0].from == Provenance{"distill_group[0] at 2:1", true, {2, 1}});
    CHECK(plan.blocks[1].from == Provenance{});
    const auto &conv1 = plan.layers[0], &conv2 = plan.layers[1], &conv3 = plan.layers[2],
               &fc = plan.layers[3];
    CHECK(conv1.weights_from.algo.text == "distill_weight_quant_config at 4:3");
    CHECK(conv1.weights_from["dst_type"].text == "distill_weight_quant_config at 5:5");
    CHECK(conv1.weights_from["channel_wise"].text == "default");
    CHECK(conv1.data_from["fixed_min"].text == "default");
    CHECK(conv2.weights_from["channel_wise"].text == "distill_override_layers[0] at 12:47");
    CHECK(conv2.weights_from["dst_type"].text == "default");
    CHECK(conv2.data_from["fixed_min"].text == "distill_override_layers[0] at 11:46");
    CHECK(conv3.data_from["fixed_min"].text == "default: after ReLU `relu2`");
    CHECK(fc.quant_enable_from.text == "quant_skip_layers[0] at 8:1");
}

TEST_CASE("a configuration built in C++ has no places") {
    AMCTDistillConfig config{.batch_num = 3u};
    config.distill_weight_quant_config = DistillWeightQuantConfig{ARQDistill{.dst_type = DataType::INT4}};
    config.quant_skip_layers = {"fc"};
    auto const plan = resolve(config, example()).value();
    CHECK(plan.batch_num.from.text == "batch_num");
    CHECK(plan.layers[0].weights_from["dst_type"].text == "distill_weight_quant_config");
    CHECK(plan.layers[3].quant_enable_from.text == "quant_skip_layers[0]");
}

namespace {
struct view_storage {  // as a configuration that the compiler parsed has it
    using string = std::string_view;
    template <class T>
    using list = std::vector<T>;
};
}  // namespace

TEST_CASE("a configuration in other storage resolves alike") {
    BasicConfig<StandardAlgorithms, view_storage> config;
    config.quant_skip_layers = {"fc"};
    config.distill_group = {{.start_layer_name = "conv1", .end_layer_name = "bn1"}};
    config.distill_override_layers = {{.layer_name = "conv2"}};
    config.distill_override_layer_types = {{.layer_type = "Conv2d"}};
    auto const plan = resolve(config, example()).value();
    CHECK(plan.layers[3].quant_enable_from == Provenance{"quant_skip_layers[0]", true, {}});
    CHECK(plan.blocks[0].names == std::vector<std::string>{"conv1", "bn1"});
}

TEST_CASE("a layer that is skipped is not quantized, keeps the defaults, and stays in its block") {
    auto const plan = plan_of(
                          "quant_skip_layers: \"conv2\"\n"
                          "distill_weight_quant_config { ulq_distill { dst_type: INT4 } }\n")
                          .value();
    CHECK_FALSE(plan.layers[1].quant_enable);
    CHECK(*weights_of(plan.layers[1]).dst_type == DataType::INT8);
    CHECK(plan.layers[1].block == 1u);
    CHECK(plan.layers[0].weights.name() == "ulq_distill");
}

TEST_CASE("an override replaces: what it does not say takes the default, not the global setting") {
    auto const plan =
        plan_of(
            "distill_weight_quant_config { arq_distill { dst_type: INT4 channel_wise: false } }\n"
            "distill_override_layers {\n"
            "  layer_name: \"conv1\"\n"
            "  distill_weight_quant_config { arq_distill { dst_type: INT4 } }\n"
            "}\n"
            "distill_override_layers { layer_name: \"conv2\" }\n")
            .value();
    CHECK(*weights_of(plan.layers[0]).channel_wise);
    CHECK(weights_of(plan.layers[1]) == ARQDistill{.dst_type = DataType::INT8, .channel_wise = true});
    CHECK(weights_of(plan.layers[2]) == ARQDistill{.dst_type = DataType::INT4, .channel_wise = false});
}

TEST_CASE("divergence 6: ulq_distill selects weight ULQ") {
    auto const plan = plan_of("distill_weight_quant_config { ulq_distill { } }").value();
    CHECK(visit_weight_quantizer(plan.layers[0].weights, []<class Q>(std::type_identity<Q>, const auto&) {
              return std::is_same_v<Q, Ulq<Int8, ChannelWise>>;
          }).value());
}

TEST_CASE("divergence 8: fixed_min is true after a ReLU, through operations that keep the sign") {
    auto const plan = resolve(AMCTDistillConfig{}, example()).value();
    CHECK_FALSE(*data_of(plan.layers[0]).fixed_min);  // reads the network's input
    CHECK(*data_of(plan.layers[1]).fixed_min);
    CHECK(*data_of(plan.layers[3]).fixed_min);  // through flatten
    CHECK(plan.layers[3].data_from["fixed_min"] == Provenance{"default: after ReLU `relu3`", false, {}});

    auto const behind_norm =
        resolve(AMCTDistillConfig{},
                chain({{"a", "Conv2d"}, {"relu", "ReLU"}, {"bn", "BatchNorm2d"}, {"b", "Conv2d"}}))
            .value();
    CHECK_FALSE(*data_of(behind_norm.layers[1]).fixed_min);
}

TEST_CASE("errors are collected, in the order of the text, each with its line") {
    CHECK(
        errors_of("batch_num: 0\n"
                  "quant_skip_layers: [\"conv11\",\n"
                  "                    \"bn1\"]\n"
                  "distill_group { start_layer_name: \"conv2\" end_layer_name: \"conv1\" }\n"
                  "distill_data_quant_config {\n"
                  "  ulq_quantize { clip_max_min { clip_max: -1 clip_min: -2 } }\n"
                  "}\n"
                  "group_size: 0\n") ==
        "quant.cfg:1:1: error: batch_num: 0 is too few: IFMR computes the clips from at least 1 batch\n"
        "  batch_num: 0\n"
        "  ^\n"
        "quant.cfg:2:21: error: quant_skip_layers[0]: no layer is named `conv11`; did you mean `conv1`?\n"
        "  quant_skip_layers: [\"conv11\",\n"
        "                      ^\n"
        "quant.cfg:3:21: error: quant_skip_layers[1]: `bn1` is a BatchNorm2d; only Conv2d and Linear layers "
        "are "
        "quantized: remove it here\n"
        "                      \"bn1\"]\n"
        "                      ^\n"
        "quant.cfg:4:1: error: distill_group[0]: `conv1` comes before `conv2`: exchange start_layer_name and "
        "end_layer_name\n"
        "  distill_group { start_layer_name: \"conv2\" end_layer_name: \"conv1\" }\n"
        "  ^\n"
        "quant.cfg:6:33: error: distill_data_quant_config.ulq_quantize.clip_max_min.clip_max: clip_max must "
        "be "
        "above 0 and finite, and is -1; leave clip_max_min out, and IFMR computes the clips\n"
        "    ulq_quantize { clip_max_min { clip_max: -1 clip_min: -2 } }\n"
        "                                  ^\n"
        "quant.cfg:8:1: error: group_size: 0 is too few: a block is made of at least 1 unit\n"
        "  group_size: 0\n"
        "  ^");
}

TEST_CASE("with the name of the text alone, errors have the position") {
    auto const config = read<AMCTDistillConfig>("\n  batch_num: 0").value();
    auto const plan = resolve(config, example(), target::generic, {.source = {"quant.cfg", {}}});
    REQUIRE(plan.diagnostics().size() == 1);
    CHECK(plan.diagnostics()[0].source == "quant.cfg");
    CHECK(plan.diagnostics()[0].where == Position{2, 3});
}

TEST_CASE("all layers skipped: nothing to distill") {
    CHECK(errors_of("quant_skip_layer_types: [\"Conv2d\", \"Linear\"]") ==
          "quant.cfg: error: every layer that can be quantized is skipped, and nothing is left to distill; "
          "take one "
          "out of quant_skip_layers or quant_skip_layer_types");
}

TEST_CASE("a network without a layer that can be quantized is an error") {
    CHECK(errors_of("", chain({{"relu", "ReLU"}})) ==
          "quant.cfg: error: the network has no layer that can be quantized: a Conv2d that pads with zeros, "
          "or a "
          "Linear, used once");
    CHECK_FALSE(resolve(AMCTDistillConfig{}, Topology{}));
}

TEST_CASE("warnings ride on the plan") {
    auto const plan = plan_of(
        "distill_data_quant_config { ulq_quantize { dst_type: INT4 } }\n"
        "distill_override_layers {\n"
        "  layer_name: \"conv1\"\n"
        "  distill_weight_quant_config { arq_distill { dst_type: INT4 } }\n"
        "}\n");
    REQUIRE(plan);
    CHECK(to_string(plan.diagnostics()) ==
          "quant.cfg:2:1: warning: distill_override_layers[0]: has no distill_data_quant_config, so `conv1` "
          "gets "
          "the default (ulq_quantize, INT8), not what distill_data_quant_config at 1:1 says: an override "
          "replaces "
          "all of it; repeat in it what is to stay\n"
          "  distill_override_layers {\n"
          "  ^");
    CHECK(plan_of("").diagnostics().empty());
}

TEST_CASE("divergence 5: a layer that is quantized but never distilled is a warning") {
    auto const net = chain({{"fc1", "Linear"}, {"bn", "BatchNorm1d"}, {"fc2", "Linear"}});
    auto const plan = resolve(AMCTDistillConfig{}, net);
    REQUIRE(plan);
    CHECK(plan->layers[0].quant_enable);
    CHECK_FALSE(plan->layers[0].block);
    CHECK(
        to_string(plan.diagnostics()) ==
        "warning: `fc1` is quantized, but not distilled: it is followed by `bn`, a BatchNorm1d, which cannot "
        "join its block; a distill_group from `fc1` to `fc1` makes it one of its own");

    AMCTDistillConfig config;
    config.distill_group = {{.start_layer_name = "fc1", .end_layer_name = "fc1"}};
    auto const grouped = resolve(config, net);
    CHECK(grouped.diagnostics().empty());
    CHECK(grouped->layers[0].block == 0u);

    AMCTDistillConfig skipped;
    skipped.quant_skip_layers = {"fc1"};
    CHECK(resolve(skipped, net).diagnostics().empty());
}

TEST_CASE("divergence 5: before a shared BatchNorm, too") {
    network n;
    auto const bn = n.layer("bn", "BatchNorm2d", {n.layer("a", "Conv2d", {})});
    n.use("bn", {n.layer("b", "Conv2d", {bn})});
    CHECK_THAT(
        to_string(resolve(AMCTDistillConfig{}, n.topology).diagnostics()),
        Catch::Contains("`b` is quantized, but not distilled: it is followed by `bn`, a shared BatchNorm2d"));
}

TEST_CASE("group_size joins neighbouring units") {
    auto const plan = plan_of("group_size: 2", mlp()).value();
    REQUIRE(plan.blocks.size() == 2);
    CHECK(plan.blocks[0].names == std::vector<std::string>{"fc1", "r1", "fc2", "r2"});
    CHECK(plan.group_size == PlannedValue<std::uint32_t>{2, {"group_size at 1:1", true, {1, 1}}});
}

TEST_CASE("the example of AMCT's documentation resolves on a network that has its layers") {
    std::string const text = R"(batch_num: 1 group_size: 1 data_dump: true
distill_group: { start_layer_name: "layer1" end_layer_name: "layer2" }
distill_data_quant_config: {
  ulq_quantize: { clip_max_min: { clip_max: 6.0 clip_min: -6.0 } fixed_min: true dst_type: INT8 } }
distill_weight_quant_config: { arq_distill: { channel_wise: true dst_type: INT8 } }
quant_skip_layers: "layer3" quant_skip_layer_types: "Linear"
distill_override_layers : { layer_name: "layer4"
  distill_data_quant_config: {
    ulq_quantize: { clip_max_min: { clip_max: 3.0 clip_min: -3.0 } fixed_min: true dst_type: INT4 } }
  distill_weight_quant_config: { arq_distill: { channel_wise: false dst_type: INT4 } } }
)";
    auto const plan = plan_of(text, chain({{"layer1", "Conv2d"},
                                           {"layer2", "Conv2d"},
                                           {"layer3", "Conv2d"},
                                           {"layer4", "Conv2d"},
                                           {"layer5", "Linear"}}));
    REQUIRE(plan);
    CHECK(plan.diagnostics().empty());
    CHECK(plan->data_dump.value);
    CHECK(plan->blocks[0].names == std::vector<std::string>{"layer1", "layer2"});
    CHECK(data_of(plan->layers[0]) ==
          ActULQquantize{.clip_max_min = ClipMaxMin{.clip_max = 6.0f, .clip_min = -6.0f},
                         .fixed_min = true,
                         .dst_type = DataType::INT8});
    CHECK_FALSE(plan->layers[2].quant_enable);
    CHECK(weights_of(plan->layers[3]) == ARQDistill{.dst_type = DataType::INT4, .channel_wise = false});
    CHECK_FALSE(plan->layers[4].quant_enable);
}

namespace {
template <class B>
struct Pow2;
struct MyPow2 {  // an algorithm with a setting of its own, and not all of the usual ones
    template <class B, class>
    using quantizer = Pow2<B>;
    optional<std::int32_t, 7> exponents{};
    optional<DataType, DataType::INT4> dst_type{};
};
struct Sign {  // without any
    template <class B, class>
    using quantizer = Pow2<B>;
};
struct mine : StandardAlgorithms {
    struct weights {
        MyPow2 my_pow2;
        ARQDistill arq_distill;
        Sign sign;
    };
};
}  // namespace

TEST_CASE("algorithms of one's own take part: the first is the default, settings are found by name") {
    BasicConfig<mine> config;
    config.distill_override_layers = {
        {.layer_name = "conv1",
         .distill_weight_quant_config = BasicWeightQuantConfig<mine>{MyPow2{.exponents = 3}}},
        {.layer_name = "conv2", .distill_weight_quant_config = BasicWeightQuantConfig<mine>{Sign{}}},
        {.layer_name = "conv3", .distill_weight_quant_config = BasicWeightQuantConfig<mine>{ARQDistill{}}}};
    auto const plan = resolve(config, example(), target::generic).value();
    CHECK(*plan.layers[0].weights.get_if<MyPow2>()->exponents == 3);
    CHECK(plan.layers[0].weights_from["exponents"].by_user);
    CHECK(plan.layers[1].weights.name() == "sign");
    CHECK(*plan.layers[2].weights.get_if<ARQDistill>()->channel_wise);
    CHECK(plan.layers[3].weights.name() == "my_pow2");
    CHECK(*plan.layers[3].weights.get_if<MyPow2>()->dst_type == DataType::INT4);
    CHECK_FALSE(plan.layers[3].weights.get_if<MyPow2>()->exponents.has_value());

    CHECK(to_string(resolve(config, example(), target::ascend).diagnostics()) ==
          "error: `conv1` and `fc`: activations are INT8 (default), weights INT4 (default), and target "
          "ascend wants "
          "both of one width; set both dst_type to the same");
}

TEST_CASE("patterns of names, where they are asked for") {
    Topology const net = chain({{"stem", "Conv2d"},
                                {"layer1.0.conv1", "Conv2d"},
                                {"layer1.0.relu", "ReLU"},
                                {"layer1.0.conv2", "Conv2d"},
                                {"layer2.0.conv1", "Conv2d"},
                                {"fc", "Linear"}});
    auto const resolved = [&](std::string_view text, bool patterns = true) {
        SourceText const source{"quant.cfg", std::string(text)};
        return resolve(read<AMCTDistillConfig>(source).value(), net, target::generic,
                       {.source = source, .patterns = patterns});
    };
    auto const skipped = resolved("quant_skip_layers: 'layer1.*'").value();
    CHECK(skipped.layers[0].quant_enable);
    CHECK_FALSE(skipped.layers[1].quant_enable);
    CHECK_FALSE(skipped.layers[2].quant_enable);
    CHECK(skipped.layers[3].quant_enable);
    CHECK(skipped.layers[1].quant_enable_from.text == "quant_skip_layers[0] at 1:1");

    // A name is stronger than a pattern, wherever it stands.
    auto const overridden = resolved(
        "distill_override_layers { layer_name: '*.conv?' distill_weight_quant_config { arq_distill { "
        "dst_type: INT4 } } }\n"
        "distill_override_layers { layer_name: 'layer1.0.conv2' distill_weight_quant_config { ulq_distill { "
        "} } }");
    REQUIRE(overridden);
    CHECK(describe(overridden->layers[0].weights) == "arq_distill, INT8, channel_wise");
    CHECK(describe(overridden->layers[1].weights) == "arq_distill, INT4, channel_wise");
    CHECK(describe(overridden->layers[2].weights) == "ulq_distill, INT8, channel_wise");
    CHECK(describe(overridden->layers[3].weights) == "arq_distill, INT4, channel_wise");

    CHECK(to_string(resolved("distill_override_layers { layer_name: 'layer1*' }\n"
                             "distill_override_layers { layer_name: '*.conv1' }")
                        .diagnostics())
              .starts_with("quant.cfg:2:27: error: distill_override_layers[1].layer_name: `layer1.0.conv1` "
                           "has an override "
                           "already, distill_override_layers[0] at 1:1"));
    CHECK(
        to_string(resolved("quant_skip_layers: 'layer9.*'").diagnostics())
            .starts_with("quant.cfg:1:1: error: quant_skip_layers[0]: no layer that can be quantized matches "
                         "`layer9.*`; these can be: `stem`, "));
    CHECK(to_string(resolved("quant_skip_layers: 'layer1.*'", false).diagnostics())
              .starts_with("quant.cfg:1:1: error: quant_skip_layers[0]: no layer is named `layer1.*`; "
                           "patterns are taken "
                           "with ResolveOptions::patterns"));
}

}  // namespace plan_resolve_test
