// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/common_settings.hpp>

#include <amct_distill/config/messages.hpp>

#include "support/catch.hpp"

namespace plan_describe_test {

using namespace amct_distill;

namespace {
struct Sign {};
struct only_sign {
    Sign sign;
};
}  // namespace

TEST_CASE("an algorithm in one line") {
    using weights = oneof<StandardAlgorithms::weights>;
    CHECK(describe(weights{}) == "");
    CHECK(describe(weights{ARQDistill{.dst_type = DataType::INT4, .channel_wise = true}}) ==
          "arq_distill, INT4, channel_wise");
    CHECK(describe(weights{WtsULQDistill{}}) == "ulq_distill, INT8, tensor_wise");
    CHECK(describe(oneof<StandardAlgorithms::data>{ActULQquantize{}}) == "ulq_quantize, INT8");
    CHECK(describe(oneof<only_sign>{Sign{}}) == "sign");
}

TEST_CASE("an enumerator's name") {
    CHECK(detail::name_of(DataType::INT4) == "INT4");
    CHECK(detail::name_of(static_cast<DataType>(7)) == "");
}

}  // namespace plan_describe_test
