// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/target.hpp>

#include "support/catch.hpp"

namespace plan_target_test {

using namespace amct_distill;

TEST_CASE("the generic target has no rules, ascend has the original's") {
    STATIC_REQUIRE((target::generic.channel_wise_linear && target::generic.mixed_widths));
    STATIC_REQUIRE((!target::ascend.channel_wise_linear && !target::ascend.mixed_widths));
    CHECK(target::generic.name == "generic");
    CHECK(target::ascend.name == "ascend");
}

}  // namespace plan_target_test
