// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/check_engine.hpp>

#include <amct_distill/plan/resolve.hpp>
#include <amct_distill/text/reader.hpp>
#include <string_view>

#include "support/catch.hpp"
#include "support/topologies.hpp"

namespace plan_check_engine_test {

using namespace amct_distill;

namespace {

template <class Engine>
std::string errors_of(std::string_view text) {
    Topology const t = chain({{"conv1", "Conv2d"}, {"conv2", "Conv2d"}, {"fc", "Linear"}});
    auto const plan = resolve(read<AMCTDistillConfig>(text).value(), t, target::generic,
                              {.source = {{}, std::string(text)}});
    return to_string(check_engine<Engine>(plan.value(), SourceText{"e.cfg", {}}).diagnostics());
}

}  // namespace

TEST_CASE("an engine is asked for each layer, and says which it cannot run, and what it has") {
    using engine = supports<Arq<Int8, ChannelWise>, Arq<Int8, TensorWise>, ActUlq<Int8>>;
    CHECK(errors_of<engine>("").empty());
    CHECK(errors_of<supports_all>("").empty());
    constexpr std::string_view text =
        "distill_override_layers { layer_name: 'fc'\n"
        "  distill_weight_quant_config { ulq_distill { } }\n"
        "  distill_data_quant_config { ulq_quantize { dst_type: INT4 } } }\n"
        "distill_weight_quant_config { arq_distill { } }";
    CHECK(errors_of<engine>(text) ==
          "e.cfg:2:33: error: layer `fc`: `ulq_distill, INT8, tensor_wise` is not what this engine runs; it "
          "has "
          "`arq_distill, INT8, channel_wise`, `arq_distill, INT8, tensor_wise`; choose one of them for the "
          "layer, or skip it with quant_skip_layers\n"
          "e.cfg:3:31: error: layer `fc`: `ulq_quantize, INT4` is not what this engine runs; it has "
          "`ulq_quantize, "
          "INT8`; choose one of them for the layer, or skip it with quant_skip_layers");
}

TEST_CASE("of an engine with weights alone nothing is asked about data, nor of a layer that is skipped") {
    using engine = supports<Arq<Int8, ChannelWise>>;
    CHECK(errors_of<engine>("quant_skip_layers: 'fc'").empty());
    CHECK(errors_of<supports<ActUlq<Int8>>>("").empty());
    CHECK(errors_of<engine>("").starts_with(
        "e.cfg: error: layer `fc`: `arq_distill, INT8, tensor_wise` is not"));
}

}  // namespace plan_check_engine_test
