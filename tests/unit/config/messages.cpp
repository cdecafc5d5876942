// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/config/messages.hpp>

#include <type_traits>

#include "support/catch.hpp"

namespace config_messages_test {

using namespace amct_distill;

namespace {
struct MyPow2 {
    optional<DataType, DataType::INT4> dst_type{};
    required<std::uint32_t> exponent;
};
struct mine : StandardAlgorithms {
    struct weights {
        ARQDistill arq_distill;
        WtsULQDistill ulq_distill;
        MyPow2 my_pow2;
    };
};
}  // namespace

TEST_CASE("the messages are aggregates with the schema's fields and defaults") {
    STATIC_REQUIRE(std::is_aggregate_v<AMCTDistillConfig>);
    STATIC_REQUIRE(reflect::field_count<AMCTDistillConfig> == 10);
    STATIC_REQUIRE(reflect::field_name<AMCTDistillConfig, 9>() == "quant_skip_layer_types");
    AMCTDistillConfig const c;
    CHECK(c.batch_num.get() == 1);
    CHECK(c.group_size.get() == 1);
    CHECK_FALSE(c.data_dump.get());
    CHECK(ARQDistill{}.dst_type.get() == DataType::INT8);
    CHECK(c == AMCTDistillConfig{});
}

TEST_CASE("an algorithm list of one's own takes part without registration") {
    using config = BasicConfig<mine>;
    config c;
    c.distill_weight_quant_config = BasicWeightQuantConfig<mine>{MyPow2{.exponent = 3u}};
    CHECK(c.distill_weight_quant_config->weights_quant_algo.name() == "my_pow2");
    STATIC_REQUIRE(detail::text_fields<BasicWeightQuantConfig<mine>>.size() == 3);
}

}  // namespace config_messages_test
