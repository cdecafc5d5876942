// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/static_select.hpp>

#include <amct_distill/config/static_config.hpp>
#include <amct_distill/plan/resolve.hpp>
#include <amct_distill/plan/select.hpp>
#include <amct_distill/text/printer.hpp>

#include "support/catch.hpp"

namespace plan_static_select_test {

using namespace amct_distill;

namespace {

using mixed = static_config<R"(
distill_weight_quant_config { arq_distill { dst_type: INT4 } }
distill_override_layers { layer_name: "conv2"
    distill_weight_quant_config { ulq_distill { channel_wise: false } } }
distill_override_layers { layer_name: "conv3" distill_data_quant_config { ulq_quantize { dst_type: INT4 } } }
distill_override_layer_types { layer_type: "Linear"
    distill_data_quant_config { ulq_quantize { dst_type: INT4 } } }
quant_skip_layers: "conv4"
)">;

/// The quantizers that resolve() and the run-time step select for a layer, as indices into the variants.
template <const auto& Config>
void check_as_resolved() {
    Topology t;
    t.modules = {
        {"conv1", "Conv2d"}, {"conv2", "Conv2d"}, {"conv3", "Conv2d"}, {"conv4", "Conv2d"}, {"fc", "Linear"}};
    for (std::size_t i = 0; i != t.modules.size(); ++i) {
        TopologyNode node{t.modules[i].name, t.modules[i].type, i, {}};
        if (i != 0) node.inputs = {i - 1};
        t.nodes.push_back(node);
    }
    t.outputs = {4};
    auto const plan = resolve(read<AMCTDistillConfig>(print(Config)).value(), t).value();
    auto const check = [&]<class Weights, class Data>(std::size_t i, std::type_identity<Weights>,
                                                      std::type_identity<Data>) {
        const auto& layer = plan.layers.at(i);
        INFO(layer.name);
        CHECK(layer.quant_enable != std::is_void_v<Weights>);
        CHECK(layer.quant_enable != std::is_void_v<Data>);
        if (!layer.quant_enable) return;
        CHECK(visit_weight_quantizer(layer.weights, []<class Q>(std::type_identity<Q>, const auto&) {
                  return std::is_same_v<Q, Weights>;
              }).value());
        CHECK(visit_activation_quantizer(layer.data, []<class Q>(std::type_identity<Q>, const auto&) {
                  return std::is_same_v<Q, Data>;
              }).value());
    };
    check(0, std::type_identity<weight_quantizer_for<Config, "conv1", "Conv2d">>{},
          std::type_identity<activation_quantizer_for<Config, "conv1", "Conv2d">>{});
    check(1, std::type_identity<weight_quantizer_for<Config, "conv2", "Conv2d">>{},
          std::type_identity<activation_quantizer_for<Config, "conv2", "Conv2d">>{});
    check(2, std::type_identity<weight_quantizer_for<Config, "conv3", "Conv2d">>{},
          std::type_identity<activation_quantizer_for<Config, "conv3", "Conv2d">>{});
    check(3, std::type_identity<weight_quantizer_for<Config, "conv4", "Conv2d">>{},
          std::type_identity<activation_quantizer_for<Config, "conv4", "Conv2d">>{});
    check(4, std::type_identity<weight_quantizer_for<Config, "fc", "Linear">>{},
          std::type_identity<activation_quantizer_for<Config, "fc", "Linear">>{});
}

template <BitWidth B, Granularity G>
struct Pow2 {};
struct MyPow2 {
    template <class B, class G>
    using quantizer = Pow2<B, G>;
    optional<DataType, DataType::INT4> dst_type{};
    required<std::uint32_t> exponent;
};
struct mine : StandardAlgorithms {
    struct weights {
        ARQDistill arq_distill;
        MyPow2 my_pow2;
    };
};

}  // namespace

TEST_CASE("the compiler selects the quantizers of every layer") {
    STATIC_REQUIRE(
        std::same_as<weight_quantizer_for<mixed::value, "conv1", "Conv2d">, Arq<Int4, ChannelWise>>);
    STATIC_REQUIRE(
        std::same_as<weight_quantizer_for<mixed::value, "conv2", "Conv2d">, Ulq<Int8, TensorWise>>);
    // An override replaces all of it: what it does not say takes the default.
    STATIC_REQUIRE(
        std::same_as<weight_quantizer_for<mixed::value, "conv3", "Conv2d">, Arq<Int8, ChannelWise>>);
    STATIC_REQUIRE(std::same_as<weight_quantizer_for<mixed::value, "fc", "Linear">, Arq<Int8, TensorWise>>);
    STATIC_REQUIRE(std::same_as<activation_quantizer_for<mixed::value, "fc", "Linear">, ActUlq<Int4>>);
    STATIC_REQUIRE(std::same_as<activation_quantizer_for<mixed::value, "conv1", "Conv2d">, ActUlq<Int8>>);
    STATIC_REQUIRE(std::is_void_v<weight_quantizer_for<mixed::value, "conv4", "Conv2d">>);
    STATIC_REQUIRE(std::is_void_v<activation_quantizer_for<mixed::value, "conv4", "Conv2d">>);
}

TEST_CASE("what the compiler selects is what resolve() selects") {
    check_as_resolved<mixed::value>();
    check_as_resolved<static_config<"">::value>();
    check_as_resolved<static_config<R"(
        distill_data_quant_config { ulq_quantize { dst_type: INT4 } }
        distill_weight_quant_config { ulq_distill { channel_wise: true } }
        distill_override_layer_types { layer_type: "Conv2d" distill_weight_quant_config { arq_distill {} } }
        distill_override_layers { layer_name: "conv1"
            distill_weight_quant_config { ulq_distill { dst_type: INT4 } } }
        quant_skip_layer_types: "Linear")">::value>();
}

TEST_CASE("an engine runs a configuration when it has all that this can ask for") {
    using channel_wise =
        static_config<"distill_weight_quant_config { arq_distill { dst_type: INT4 channel_wise: true } }">;
    STATIC_REQUIRE(RunsOn<channel_wise::value, supports<Arq<Int4, ChannelWise>>>);  // weights alone
    STATIC_REQUIRE(RunsOn<channel_wise::value, supports<Arq<Int4, ChannelWise>, ActUlq<Int8>>>);
    STATIC_REQUIRE_FALSE(RunsOn<channel_wise::value, supports<Arq<Int4, ChannelWise>, ActUlq<Int4>>>);
    STATIC_REQUIRE_FALSE(RunsOn<channel_wise::value, supports<Arq<Int8, ChannelWise>>>);
    STATIC_REQUIRE_FALSE(RunsOn<channel_wise::value, supports<>>);
    STATIC_REQUIRE(RunsOn<channel_wise::value, supports_all>);

    // channel_wise unset: one scale per channel for Conv2d, one for Linear.
    using by_type = static_config<"distill_weight_quant_config { arq_distill { } }">;
    STATIC_REQUIRE(RunsOn<by_type::value, supports<Arq<Int8, ChannelWise>, Arq<Int8, TensorWise>>>);
    STATIC_REQUIRE_FALSE(RunsOn<by_type::value, supports<Arq<Int8, ChannelWise>>>);
    using convolutions = static_config<"quant_skip_layer_types: 'Linear'">;
    STATIC_REQUIRE(RunsOn<convolutions::value, supports<Arq<Int8, ChannelWise>>>);
    using overridden = static_config<
        "distill_override_layer_types { layer_type: 'Linear' distill_weight_quant_config { "
        "arq_distill { channel_wise: true } } }">;
    STATIC_REQUIRE(RunsOn<overridden::value, supports<Arq<Int8, ChannelWise>>>);
}

TEST_CASE("an algorithm of one's own is selected by the compiler, without registration") {
    using config = static_config<"distill_weight_quant_config { my_pow2 { exponent: 3 } }", mine>;
    STATIC_REQUIRE(std::same_as<weight_quantizer_for<config::value, "x", "Conv2d">, Pow2<Int4, TensorWise>>);
    STATIC_REQUIRE(RunsOn<config::value, supports<Pow2<Int4, TensorWise>>>);
}

TEST_CASE("the settings of a layer's activations are those of the rule that holds for it") {
    using config = static_config<R"(
        distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 2 clip_min: -1 } } }
        distill_override_layers { layer_name: "fc" }
        distill_override_layers { layer_name: "fc2"
            distill_data_quant_config { ulq_quantize { fixed_min: true dst_type: INT4 } } }
    )">;
    STATIC_REQUIRE(*activation_settings_for<config::value, "conv", "Conv2d">.clip_max_min->clip_max == 2);
    STATIC_REQUIRE(!activation_settings_for<config::value, "fc", "Linear">.clip_max_min.has_value());
    STATIC_REQUIRE(activation_settings_for<config::value, "fc2", "Linear"> ==
                   ActULQquantize{.fixed_min = true, .dst_type = DataType::INT4});
}

}  // namespace plan_static_select_test
