// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/plan.hpp>

#include "support/catch.hpp"

namespace plan_plan_test {

using namespace amct_distill;

TEST_CASE("an empty plan has the schema's defaults") {
    DistillPlan const plan;
    CHECK(plan.batch_num.value == 1);
    CHECK(plan.group_size.value == 1);
    CHECK_FALSE(plan.data_dump.value);
    CHECK(plan.batch_num.from.text == "default");
    CHECK(PlannedLayer{}.quant_enable);
}

}  // namespace plan_plan_test
