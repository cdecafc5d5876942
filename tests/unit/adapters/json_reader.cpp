// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/adapters/json_reader.hpp>

#include <amct_distill/adapters/json.hpp>
#include <amct_distill/plan/resolve.hpp>
#include <amct_distill/student/extended.hpp>
#include <amct_distill/text/reader.hpp>

#include "support/catch.hpp"

namespace adapters_json_reader_test {

using namespace amct_distill;

namespace {

/// conv1, relu1, conv2.
Topology two_layers() {
    Topology t;
    t.modules = {{"conv1", "Conv2d"}, {"relu1", "ReLU"}, {"conv2", "Conv2d"}};
    t.nodes = {{"conv1", "Conv2d", 0, {}}, {"relu1", "ReLU", 1, {0}}, {"conv2", "Conv2d", 2, {1}}};
    t.outputs = {2};
    return t;
}
/// The head that every text has, with two groups, then the layers.
std::string with_layers(std::string_view layers) {
    return detail::concat(R"({"version": 1, "batch_num": 2, "group_size": 1, "data_dump": false,
"distill_group": [["conv1", "relu1"], ["conv2"]],
)",
                          layers, "}");
}
std::string with_groups(std::string_view groups) {
    return detail::concat(R"({"version": 1, "batch_num": 2, "group_size": 1, "data_dump": false,
"conv1": {},
"distill_group": )",
                          groups, "}");
}
std::string errors(std::string_view text) {
    auto const plan = plan_from_json(SourceText{"p.json", std::string(text)}, two_layers());
    REQUIRE_FALSE(plan);
    return to_string(plan.diagnostics());
}
std::string first_line(std::string_view text) {
    auto const all = errors(text);
    return all.substr(0, all.find('\n'));
}

enum class Mode { FAST = 0, SLOW = 1 };
constexpr std::array<std::pair<std::string_view, Mode>, 2> enumerators(Mode) {
    return {{{"FAST", Mode::FAST}, {"SLOW", Mode::SLOW}}};
}
struct Inner {
    optional<bool> deep{};
};
struct Strict {
    required<bool> sure;
};
struct NeedsMore {
    template <class, class>
    using quantizer = int;
    required<std::uint32_t> exponent;
    optional<float> rate{};
    repeated<std::int64_t> levels{};
    optional<std::string> name{};
    optional<Mode> mode{};
    optional<Inner> inner{};
    optional<Strict> strict{};
    optional<std::uint64_t> seed{};
};
struct needy : StandardAlgorithms {
    struct weights {
        ARQDistill arq_distill;
        NeedsMore needs_more;
    };
};

}  // namespace

TEST_CASE("what the JSON leaves out takes the default: a layer that is not there is not quantized") {
    auto const plan = plan_from_json(
        with_layers(R"("conv1": {"distill_weight_config": {"dst_type": "INT4"}})"), two_layers());
    INFO(to_string(plan.diagnostics()));
    REQUIRE(plan);
    CHECK(plan->batch_num.value == 2);
    CHECK(plan->layers[0].quant_enable);
    CHECK(describe(plan->layers[0].weights) == "arq_distill, INT4, channel_wise");
    CHECK(describe(plan->layers[0].data) == "ulq_quantize, INT8");
    CHECK_FALSE(plan->layers[1].quant_enable);
    CHECK(plan->layers[1].block == std::size_t{1});
    CHECK(plan->layers[0].weights_from["dst_type"].text == "conv1.distill_weight_config at 3:37");
    CHECK(plan->blocks[0].from.text == "distill_group[0] at 2:19");
}

TEST_CASE("a wrong value in the JSON is shown with its place and the keys that lead to it") {
    CHECK(errors(with_layers(R"("conv1": {"distill_data_config": {"dst_type": "INT16"}})")) ==
          "p.json:3:35: error: conv1.distill_data_config.dst_type: expected \"INT4\" or \"INT8\", found "
          "\"INT16\"\n"
          "  \"conv1\": {\"distill_data_config\": {\"dst_type\": \"INT16\"}}}\n"
          "                                    ^");
    auto const in_data = [](std::string_view settings) {
        return first_line(
            with_layers(detail::concat(R"("conv1": {"distill_data_config": {)", settings, "}}")));
    };
    CHECK(in_data(R"("fixed_min": 1)") ==
          "p.json:3:35: error: conv1.distill_data_config.fixed_min: expected true or false, found 1");
    CHECK(in_data(R"("clip_max": 3, "clip_min": -3.0)") ==
          "p.json:3:35: error: conv1.distill_data_config.clip_max: expected a float32 above 0, as 6.0, found "
          "3");
    CHECK(in_data(R"("clip_max": 1e39, "clip_min": -3.0)") ==
          "p.json:3:35: error: conv1.distill_data_config.clip_max: expected a float32 above 0, as 6.0, found "
          "1E39");
    CHECK(in_data(R"("clip_max": 3e38, "clip_min": -3e38)")
              .starts_with(
                  "p.json:3:35: error: conv1.distill_data_config.clip_max: the range from -3e+38 to 3e+38 "
                  "is wider than the largest float32"));
    CHECK(in_data(R"("clip_min": -3.0)") ==
          "p.json:3:35: error: conv1.distill_data_config.clip_min: clip_max and clip_min are given both, or "
          "neither: then IFMR computes them");
    CHECK(in_data(R"("dst_typ": "INT4")") ==
          "p.json:3:35: error: conv1.distill_data_config.dst_typ: unknown key; did you mean `dst_type`?");
    CHECK(in_data(R"("algo": "ifmr")") ==
          "p.json:3:35: error: conv1.distill_data_config.algo: expected an algorithm: `ulq_quantize`, found "
          "\"ifmr\"");
    CHECK(
        in_data(R"("algo": null)") ==
        "p.json:3:35: error: conv1.distill_data_config.algo: expected the name of an algorithm, found null");
    CHECK(first_line(with_layers(R"("conv1": {"quant": true})")) ==
          "p.json:3:11: error: conv1.quant: unknown key; what can stand here is `quant_enable`, "
          "`distill_data_config` and `distill_weight_config`");
    CHECK(first_line(with_layers(R"("conv1": [])")) ==
          "p.json:3:1: error: conv1: expected an object, found a list");
    CHECK(first_line(with_layers(R"("conv3": {})")) ==
          "p.json:3:1: error: conv3: no layer is named `conv3`; did you mean `conv1`?");
    CHECK(first_line(with_layers(R"("conv1": {"quant_enable": false})")) ==
          "p.json: error: no layer is quantized, and nothing is left to distill; give one \"quant_enable\": "
          "true");
}

TEST_CASE("keys of the JSON are there once") {
    CHECK(errors(R"({"version": 1,
"\u0076ersion": 1})") ==
          "p.json:2:1: error: version: set more than once; first at 1:2\n"
          "  \"\\u0076ersion\": 1}\n"
          "  ^");
    auto const missing = errors("{}");
    for (std::string_view key : {"version", "batch_num", "group_size", "data_dump", "distill_group"})
        CHECK_THAT(missing, Catch::Contains(detail::concat("missing key `", key, '`')));
    CHECK(first_line("[]") == "p.json:1:1: error: expected an object, found a list");
    CHECK(first_line("{\"version\": 1,\n nope}") == "p.json:2:2: error: this is no JSON: syntax error");
    CHECK(first_line("{} {}") == "p.json:1:4: error: this is no JSON: extra data");
    CHECK(first_line("") == "p.json:1:1: error: this is no JSON: incomplete JSON");
    CHECK(first_line(std::string(1000, '[')) == "p.json:1:33: error: this is no JSON: too deep");
}

TEST_CASE("groups of the JSON are whole paths, in order, and share no layer") {
    CHECK(first_line(with_groups(R"([["conv1", "relu1"], ["relu1", "conv2"]])")) ==
          "p.json:3:39: error: distill_group[1]: `relu1` is already in distill_group[0] at 3:19, and a layer "
          "is "
          "in one group only");
    CHECK(first_line(with_groups(R"([["conv2"], ["conv1", "relu1"]])")) ==
          "p.json:3:30: error: distill_group[1]: `conv1` comes before `conv2` in the network: write the "
          "groups in "
          "its order");
    CHECK(first_line(with_groups(R"([["conv1", "conv2"]])")) ==
          "p.json:3:29: error: distill_group[0][1]: does not read `conv1`: a group is a path of layers, each "
          "reading the one before");
    CHECK(first_line(with_groups(R"([[]])")) ==
          "p.json:3:19: error: distill_group[0]: an empty group; remove it");
    CHECK(first_line(with_groups(R"([3])")) ==
          "p.json:3:19: error: distill_group[0]: expected a list of layers, found 3");
    CHECK(first_line(with_groups(R"([["conv1", null]])")) ==
          "p.json:3:29: error: distill_group[0][1]: expected the name of a layer, found null");
    CHECK(first_line(with_groups(R"([["conv"]])")) ==
          "p.json:3:20: error: distill_group[0][0]: no layer is named `conv`; did you mean `conv1`?");
}

TEST_CASE("a group of the JSON is one path of modules that can be distilled, from a layer used once") {
    Topology
        t;  // conv1 -> relu -> conv2 -> relu -> pool, and conv1 beside it to a conv3 that also reads conv2
    t.modules = {{"conv1", "Conv2d"},
                 {"relu", "ReLU"},
                 {"conv2", "Conv2d"},
                 {"pool", "MaxPool2d"},
                 {"conv3", "Conv2d"}};
    t.nodes = {{"conv1", "Conv2d", 0, {}}, {"relu", "ReLU", 1, {0}},      {"conv2", "Conv2d", 2, {1}},
               {"relu2", "ReLU", 1, {2}},  {"pool", "MaxPool2d", 3, {3}}, {"conv3", "Conv2d", 4, {1, 2}}};
    t.outputs = {4, 5};
    auto const read = [&](std::string_view group) {
        return plan_from_json(
            SourceText{"p.json", std::string(with_groups(detail::concat("[[", group, "]]")))}, t);
    };
    auto const shared = read(R"("conv1", "relu", "conv2", "relu")");  // the ReLU twice
    REQUIRE(shared);
    CHECK(shared->blocks[0].nodes == std::vector<NodeId>{{0}, {1}, {2}, {3}});
    auto const message = [&](std::string_view group) {
        auto const plan = read(group);
        REQUIRE_FALSE(plan);
        return plan.diagnostics().front().message;
    };
    CHECK(message(R"("relu", "conv2")") ==
          "a group cannot start at a shared layer: start it at a layer that is used once");
    CHECK(
        message(R"("conv2", "relu", "pool")") ==
        "a MaxPool2d cannot stand in a group, which is made of Conv2d, Linear, BatchNorm2d, ReLU, LeakyReLU, "
        "Sigmoid, Tanh and Softmax modules only");
    CHECK(message(R"("conv1", "relu", "conv3")") ==
          "several paths lead from `conv1` to `conv3`, and a group is one path: start it after the fork, or "
          "end "
          "it before");
}

TEST_CASE("a BatchNorm that is used twice cannot be in a group") {
    Topology t;
    t.modules = {{"k1", "Conv2d"}, {"norm", "BatchNorm2d"}, {"k2", "Conv2d"}};
    t.nodes = {{"k1", "Conv2d", 0, {}},
               {"norm", "BatchNorm2d", 1, {0}},
               {"k2", "Conv2d", 2, {1}},
               {"norm", "BatchNorm2d", 1, {2}}};
    t.outputs = {3};
    auto const plan = plan_from_json(
        R"({"version": 1, "batch_num": 1, "group_size": 1, "data_dump": false,
"distill_group": [["k1", "norm"]], "k1": {}})",
        t);
    REQUIRE_FALSE(plan);
    CHECK(plan.diagnostics().front().message ==
          "`norm` (BatchNorm2d) is used more than once, and in a group it would be trained in two places: "
          "end the "
          "group before it, or start it after");
}

TEST_CASE("the settings of an algorithm of one's own are read by their names") {
    auto const read = [](std::string_view settings) {
        return plan_from_json<needy>(
            SourceText{"p.json",
                       with_layers(detail::concat(
                           R"("conv1": {"distill_weight_config": {"algo": "needs_more")", settings, "}}"))},
            two_layers());
    };
    auto const plan = read(
        R"(, "exponent": 3, "rate": 0.5, "levels": [1, 2], "name": "x", "mode": "SLOW",
"inner": {"deep": true})");
    INFO(to_string(plan.diagnostics()));
    REQUIRE(plan);
    const NeedsMore& m = *plan->layers[0].weights.get_if<NeedsMore>();
    CHECK(*m.exponent == 3);
    CHECK(*m.rate == 0.5f);
    CHECK(m.levels == repeated<std::int64_t>{1, 2});
    CHECK(*m.name == "x");
    CHECK(*m.mode == Mode::SLOW);
    CHECK(*m.inner->deep);
    CHECK(plan->layers[0].weights_from["rate"].by_user);
    // And back, to the same text.
    std::string const json = print_json(to_json(*plan));
    CHECK(print_json(to_json(plan_from_json<needy>(json, two_layers()).value())) == json);

    auto const first = [&](std::string_view settings) {
        auto const wrong = read(settings);
        REQUIRE_FALSE(wrong);
        std::string const all = to_string(wrong.diagnostics());
        return all.substr(0, all.find('\n'));
    };
    CHECK(first("") == "p.json:3:11: error: conv1.distill_weight_config: missing key `exponent`");
    CHECK(first(R"(, "exponent": -1)") ==
          "p.json:3:59: error: conv1.distill_weight_config.exponent: expected a whole number from 0 to "
          "4294967295, found -1");
    CHECK(first(R"(, "exponent": 1, "mode": "x")").ends_with(R"(expected "FAST" or "SLOW", found "x")"));
    CHECK(first(R"(, "exponent": 1, "levels": [1, "2"])").find("levels[1]: expected a whole number from") !=
          std::string::npos);
    CHECK(first(R"(, "exponent": 1, "rate": 1e39)").ends_with("rate: expected a number, found 1E39"));
    CHECK(
        first(R"(, "exponent": 1, "inner": {"depp": true})").ends_with("unknown key; did you mean `deep`?"));
    auto const found = [&](std::string_view settings) {
        return first(detail::concat(R"(, "exponent": 1, )", settings)).substr(48);
    };
    CHECK(found(R"("rate": "fast")") == "rate: expected a number, found \"fast\"");
    CHECK(found(R"("name": 3)") == "name: expected a string, found 3");
    CHECK(found(R"("levels": 3)") == "levels: expected a list, found 3");
    CHECK(found(R"("inner": 3)") == "inner: expected an object, found 3");
    CHECK(found(R"("inner": {"deep": 3})") == "inner.deep: expected true or false, found 3");
    CHECK(found(R"("strict": {})") == "strict: missing key `sure`");
    CHECK(
        first(R"(, "exponent": 18446744073709551615)")
            .ends_with("exponent: expected a whole number from 0 to 4294967295, found 18446744073709551615"));
    CHECK(found(detail::concat(R"("mode": ")", std::string(60, 'x'), '"')) ==
          "mode: expected \"FAST\" or \"SLOW\", found a long string");
    auto const both = to_string(read(R"(, "exponent": 1, "levels": [1, "2", 3, "4"])").diagnostics());
    CHECK(both.find("levels[1]: expected") != both.npos);
    CHECK(both.find("levels[3]: expected") != both.npos);
    auto const large = read(R"(, "exponent": 1, "strict": {"sure": true}, "seed": 18446744073709551615)");
    REQUIRE(large);
    CHECK(*large->layers[0].weights.get_if<NeedsMore>()->seed == 18446744073709551615u);
    std::string const printed = print_json(to_json(*large));
    CHECK(printed.find("\"seed\":18446744073709551615") != printed.npos);
    CHECK(printed.find("levels") == printed.npos);  // an empty list is left out
    CHECK(to_string(read(R"(, "exponnent": 1)").diagnostics())
              .find("exponnent: unknown key; did you mean `exponent`?") != std::string::npos);
}

TEST_CASE("JSON of AMCT's other flows is told as such, key by key") {
    std::string const text = errors(R"({"version": 1, "batch_num": 1, "activation_offset": true,
 "conv1": {"quant_enable": true, "activation_quant_params": {},
           "weight_quant_params": {"wts_algo": "arq_quantize"}}})");
    CHECK(text.find("p.json:1:32: error: activation_offset: unknown key; leave it out: activations always "
                    "have an offset "
                    "here") != std::string::npos);
    CHECK(text.find(
              "this looks like a configuration for AMCT's calibration: plan_from_json reads the plan of a "
              "distillation") != std::string::npos);
    CHECK(text.find("conv1.activation_quant_params: unknown key; write `distill_data_config`") !=
          std::string::npos);
    CHECK(text.find("conv1.weight_quant_params: unknown key; write `distill_weight_config`") !=
          std::string::npos);
    CHECK(text.find("no layer is named") == std::string::npos);
    CHECK(errors(R"({"version": 1, "conv1": {"retrain_enable": true, "retrain_data_config": {}}})")
              .find("AMCT's retraining") != std::string::npos);
}

TEST_CASE("a plan with learned rounding comes back from its JSON") {
    auto const config = read<ExtendedConfig>(
                            "distill_weight_quant_config { adaround_distill { hard_phase: 0.25 "
                            "initial_range: MAX } }\n"
                            "distill_override_layers { layer_name: 'conv2' distill_weight_quant_config { "
                            "ulq_distill { dst_type: INT4 } } }")
                            .value();
    ExtendedPlan const plan = resolve(config, two_layers()).value();
    std::string const json = print_json(to_json(plan));
    CHECK(json.find("\"initial_range\":\"MAX\"") != std::string::npos);
    ExtendedPlan const again = plan_from_json<ExtendedAlgorithms>(json, two_layers()).value();
    CHECK(print_json(to_json(again)) == json);
    CHECK(again.layers[0].weights == plan.layers[0].weights);
    CHECK(again.layers[1].weights == plan.layers[1].weights);
    CHECK_FALSE(plan_from_json(json, two_layers()));  // AMCT's algorithms have no such one
}

TEST_CASE("more values that the JSON of a plan cannot have") {
    auto const in_data = [](std::string_view settings) {
        return first_line(
            with_layers(detail::concat(R"("conv1": {"distill_data_config": {)", settings, "}}")));
    };
    CHECK(in_data(R"("clip_max": -3.0, "clip_min": -3.0)") ==
          "p.json:3:35: error: conv1.distill_data_config.clip_max: expected a float32 above 0, as 6.0, found "
          "-3E0");
    CHECK(
        in_data(R"("clip_max": 3.0, "clip_min": 3.0)") ==
        "p.json:3:52: error: conv1.distill_data_config.clip_min: expected a float32 below 0, as -6.0, found "
        "3E0");
    CHECK(in_data(R"("clip_max_min": {})")
              .starts_with("p.json:3:35: error: conv1.distill_data_config.clip_max_min: unknown key; "));
    CHECK(first_line("3") == "p.json:1:1: error: expected an object, found 3");
    CHECK(errors(R"({"version": 1, "batch_num": 4294967296})")
              .find("p.json:1:16: error: batch_num: expected a whole number from 1 to 4294967295, found "
                    "4294967296") != std::string::npos);
    // Columns count characters.
    CHECK(errors(with_layers(R"("卷积": {}, "conv3": {})"))
              .find("p.json:3:11: error: conv3: no layer is named") != std::string::npos);
}

TEST_CASE("groups of two paths that lie between each other stand in the order of their first layers") {
    Topology t;
    t.modules = {{"a", "Conv2d"}, {"b", "Conv2d"}, {"a2", "Conv2d"}, {"b2", "Conv2d"}};
    t.nodes = {
        {"a", "Conv2d", 0, {}}, {"b", "Conv2d", 1, {}}, {"a2", "Conv2d", 2, {0}}, {"b2", "Conv2d", 3, {1}}};
    t.outputs = {2, 3};
    auto const read = [&](std::string_view groups) {
        return plan_from_json(
            SourceText{
                "p.json",
                detail::concat(R"({"version": 1, "batch_num": 2, "group_size": 1, "data_dump": false, "a": {},
"distill_group": )",
                               groups, "}")},
            t);
    };
    auto const plan = read(R"([["a", "a2"], ["b", "b2"]])");
    INFO(to_string(plan.diagnostics()));
    REQUIRE(plan);
    CHECK(plan->blocks[1].nodes == std::vector<NodeId>{{1}, {3}});
    auto const other = read(R"([["b", "b2"], ["a", "a2"]])");
    REQUIRE_FALSE(other);
    CHECK(other.diagnostics().front().message ==
          "`a` comes before `b` in the network: write the groups in its order");
}

}  // namespace adapters_json_reader_test
