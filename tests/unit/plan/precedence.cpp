// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/precedence.hpp>

#include <cstddef>
#include <random>
#include <string>

#include "amct_distill/plan/formats.hpp"
#include "amct_distill/plan/resolve.hpp"
#include "amct_distill/plan/static_select.hpp"
#include "amct_distill/text/printer.hpp"
#include "amct_distill/text/reader.hpp"
#include "support/catch.hpp"
#include "support/topologies.hpp"

namespace plan_precedence_test {

using namespace amct_distill;
using detail::RuleLevel;

TEST_CASE("skip, layer, type, global: each is stronger than those after it") {
    STATIC_REQUIRE(detail::strongest({true, true, true}) == RuleLevel::skip);
    STATIC_REQUIRE(detail::strongest({true, false, false}) == RuleLevel::skip);
    STATIC_REQUIRE(detail::strongest({false, true, true}) == RuleLevel::layer);
    STATIC_REQUIRE(detail::strongest({false, false, true}) == RuleLevel::type);
    STATIC_REQUIRE(detail::strongest({}) == RuleLevel::global);
    STATIC_REQUIRE(detail::next_strongest({true, true, true}) == RuleLevel::type);
    STATIC_REQUIRE(detail::next_strongest({false, true, false}) == RuleLevel::global);
    STATIC_REQUIRE(detail::next_strongest({false, false, true}) == RuleLevel::global);
    STATIC_REQUIRE(detail::next_strongest({}) == RuleLevel::global);
}

namespace {

class Generator {
public:
    explicit Generator(std::uint32_t seed) : random_(seed) {}

    AMCTDistillConfig config(const Topology& net) {
        AMCTDistillConfig c;
        if (chance(2)) c.distill_data_quant_config = data();
        if (chance(2)) c.distill_weight_quant_config = weights();
        for (const TopologyModule& m : net.modules) {
            if (!detail::is_quantizable_type(m.type)) continue;
            if (chance(4)) c.quant_skip_layers.push_back(m.name);
            if (!chance(2)) continue;
            DistillOverrideLayer o{.layer_name = m.name};
            if (chance(2)) o.distill_data_quant_config = data();
            if (chance(2)) o.distill_weight_quant_config = weights();
            c.distill_override_layers.push_back(o);
        }
        for (std::string_view type : detail::quantizable_types) {
            if (chance(6)) c.quant_skip_layer_types.push_back(std::string(type));
            if (!chance(2)) continue;
            DistillOverrideLayerType o{.layer_type = std::string(type)};
            if (chance(2)) o.distill_data_quant_config = data();
            if (chance(2)) o.distill_weight_quant_config = weights();
            c.distill_override_layer_types.push_back(o);
        }
        return c;
    }

private:
    bool chance(std::uint32_t one_in) { return random_() % one_in == 0; }
    template <class M>
    M settings(M m) {
        if (chance(2)) m.dst_type = chance(2) ? DataType::INT4 : DataType::INT8;
        if constexpr (requires { m.channel_wise; })
            if (chance(2)) m.channel_wise = chance(2);
        return m;
    }
    DistillDataQuantConfig data() {
        if (chance(5)) return {};
        return {settings(ActULQquantize{})};
    }
    DistillWeightQuantConfig weights() {
        if (chance(5)) return {};
        if (chance(2)) return {settings(ARQDistill{})};
        return {settings(WtsULQDistill{})};
    }
    std::mt19937 random_;
};

}  // namespace

TEST_CASE("the compiler's road and resolve()'s select the same for generated configurations") {
    Topology const net = chain({{"conv1", "Conv2d"},
                                {"relu1", "ReLU"},
                                {"conv2", "Conv2d"},
                                {"conv3", "Conv2d"},
                                {"fc1", "Linear"},
                                {"fc2", "Linear"}});
    Generator generate(11);
    std::size_t configurations = 0, layers = 0, skipped = 0, formats[4] = {};
    for (int i = 0; i != 2000; ++i) {
        auto const config = read<AMCTDistillConfig>(print(generate.config(net))).value();
        auto const plan = resolve(config, net);
        if (!plan) continue;  // all layers skipped
        ++configurations;
        for (const PlannedLayer& layer : plan->layers) {
            INFO(print(config) << layer.name);
            auto const weights = detail::weights_of(config, layer.name, layer.type);
            auto const data = detail::data_of(config, layer.name, layer.type);
            ++layers;
            REQUIRE(weights.quantized == layer.quant_enable);
            REQUIRE(data.quantized == layer.quant_enable);
            if (!layer.quant_enable) {
                ++skipped;
                continue;
            }
            REQUIRE(layer.weights.value().index() == weights.alternative + 1);
            REQUIRE(layer.data.value().index() == data.alternative + 1);
            std::visit(
                [&]<class M>(const M& m) {
                    if constexpr (!std::is_same_v<M, std::monostate>)
                        REQUIRE(detail::weight_format(m, false) == weights.format);
                },
                layer.weights.value());
            REQUIRE(detail::data_format(*layer.data.get_if<ActULQquantize>()) == data.format);
            ++formats[weights.format];
        }
    }
    CHECK(configurations >= 1000);
    CHECK(skipped > 1000);
    for (std::size_t n : formats) CHECK(n > 200);
    std::printf("both roads: %zu configurations, %zu layers, %zu of them skipped\n", configurations, layers,
                skipped);
}

}  // namespace plan_precedence_test
