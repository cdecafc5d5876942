// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/policy/granularity.hpp>

#include "support/catch.hpp"

namespace policy_granularity_test {

using namespace amct_distill;

TEST_CASE("a granularity is channel-wise or tensor-wise") {
    STATIC_REQUIRE(Granularity<ChannelWise>);
    STATIC_REQUIRE(Granularity<TensorWise>);
    STATIC_REQUIRE_FALSE(Granularity<bool>);
    STATIC_REQUIRE(ChannelWise::name == "channel_wise");
    CHECK(TensorWise::name == "tensor_wise");
}

}  // namespace policy_granularity_test
