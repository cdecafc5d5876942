// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/adapters/json.hpp>
#include <amct_distill/plan/resolve.hpp>
#include <boost/json/parse.hpp>
#include <cstdint>
#include <limits>

#include "support/catch.hpp"

namespace adapters_json_test {

using namespace amct_distill;

namespace {

template <class B>
struct Pow2;
struct MyPow2 {
    template <class B, class>
    using quantizer = Pow2<B>;
    optional<std::int32_t> exponents{};
    optional<DataType, DataType::INT8> dst_type{};
};
struct mine : StandardAlgorithms {
    struct weights {
        ARQDistill arq_distill;
        MyPow2 my_pow2;
    };
};

Topology one_layer(std::string name) {
    Topology t;
    t.modules = {{name, "Conv2d"}};
    t.nodes = {{name, "Conv2d", 0, {}}};
    t.outputs = {0};
    return t;
}
std::string json_of(const AMCTDistillConfig& config) {
    return print_json(to_json(resolve(config, one_layer("conv")).value()));
}

}  // namespace

TEST_CASE("a plan prints as the original prints it") {
    CHECK(json_of({}) ==
          R"({
    "version":1,
    "batch_num":1,
    "group_size":1,
    "data_dump":false,
    "distill_group":[
        [
            "conv"
        ]
    ],
    "conv":{
        "quant_enable":true,
        "distill_data_config":{
            "algo":"ulq_quantize",
            "dst_type":"INT8"
        },
        "distill_weight_config":{
            "algo":"arq_distill",
            "channel_wise":true,
            "dst_type":"INT8"
        }
    }
})");
}

TEST_CASE("clips and fixed_min appear when the user set them, floats as float32 widened") {
    AMCTDistillConfig config{.batch_num = 4294967295u, .data_dump = true};
    config.distill_data_quant_config = DistillDataQuantConfig{
        ActULQquantize{.clip_max_min = ClipMaxMin{.clip_max = 0.1f, .clip_min = -6.0f}, .fixed_min = false}};
    config.distill_weight_quant_config = DistillWeightQuantConfig{WtsULQDistill{.dst_type = DataType::INT4}};
    auto const text = json_of(config);
    CHECK_THAT(text, Catch::Contains("\"batch_num\":4294967295,"));
    CHECK_THAT(text, Catch::Contains("\"data_dump\":true,"));
    CHECK_THAT(text, Catch::Contains(R"("distill_data_config":{
            "algo":"ulq_quantize",
            "clip_max":0.10000000149011612,
            "clip_min":-6.0,
            "fixed_min":false,
            "dst_type":"INT8"
        },)"));
    CHECK_THAT(text, Catch::Contains(R"("algo":"ulq_distill",
            "channel_wise":true,
            "dst_type":"INT4")"));
}

TEST_CASE("an algorithm of one's own is written by its name, with its own settings after AMCT's") {
    BasicConfig<mine> config;
    config.distill_weight_quant_config =
        BasicWeightQuantConfig<mine>{MyPow2{.exponents = 3, .dst_type = DataType::INT4}};
    CHECK_THAT(print_json(to_json(resolve(config, one_layer("conv")).value())),
               Catch::Contains(R"("distill_weight_config":{
            "algo":"my_pow2",
            "dst_type":"INT4",
            "exponents":3
        })"));
}

TEST_CASE("a layer that is called like another key is an error") {
    auto const plan = resolve(AMCTDistillConfig{}, one_layer("batch_num")).value();
    CHECK_THROWS_WITH(to_json(plan),
                      "to_json: the layer `batch_num` has the name of another key; rename the layer");
}

TEST_CASE("numbers are spelled as Python spells them") {
    using detail::python_repr;
    CHECK(python_repr(0.0) == "0.0");
    CHECK(python_repr(-0.0) == "-0.0");
    CHECK(python_repr(1.0) == "1.0");
    CHECK(python_repr(0.1) == "0.1");
    CHECK(python_repr(static_cast<double>(0.1f)) == "0.10000000149011612");
    CHECK(python_repr(0.0001) == "0.0001");
    CHECK(python_repr(0.00001) == "1e-05");
    CHECK(python_repr(-1.5e-7) == "-1.5e-07");
    CHECK(python_repr(123456789012345.0) == "123456789012345.0");
    CHECK(python_repr(9999999999999998.0) == "9999999999999998.0");
    CHECK(python_repr(1e16) == "1e+16");
    CHECK(python_repr(static_cast<double>(std::numeric_limits<float>::max())) == "3.4028234663852886e+38");
    CHECK(python_repr(5e-324) == "5e-324");
    constexpr double inf = std::numeric_limits<double>::infinity();
    CHECK(python_repr(inf) == "Infinity");
    CHECK(python_repr(-inf) == "-Infinity");
    CHECK(python_repr(std::numeric_limits<double>::quiet_NaN()) == "NaN");
}

TEST_CASE("any JSON prints, and reads back as it was") {
    auto const value =
        boost::json::parse(R"({"a": [], "b": {}, "c": [1, -2, 1.5, null, true, "x\"\n"], "\\": {"d": []}})");
    auto const text = print_json(value);
    CHECK(
        text ==
        "{\n    \"a\":[],\n    \"b\":{},\n    \"c\":[\n        1,\n        -2,\n        1.5,\n        null,\n"
        "        true,\n        \"x\\\"\\n\"\n    ],\n    \"\\\\\":{\n        \"d\":[]\n    }\n}");
    CHECK(boost::json::parse(text) == value);
}

}  // namespace adapters_json_test
