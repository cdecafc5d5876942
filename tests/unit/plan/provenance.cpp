// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/provenance.hpp>

#include "support/catch.hpp"

namespace plan_provenance_test {

using namespace amct_distill;

TEST_CASE("a provenance names the rule and its place") {
    CHECK(Provenance{}.text == "default");
    CHECK_FALSE(Provenance{}.by_user);
    CHECK(detail::provenance_of("distill_group[0]", {3, 1}) ==
          Provenance{"distill_group[0] at 3:1", true, {3, 1}});
    CHECK(detail::provenance_of("distill_group[0]", {}) == Provenance{"distill_group[0]", true, {}});
}

TEST_CASE("settings are asked for by name") {
    AlgorithmProvenance const from{.settings = {{"dst_type", detail::provenance_of("x", {1, 2})}}};
    CHECK(from["dst_type"].text == "x at 1:2");
    CHECK_THROWS_WITH(
        from["clip"],
        "AlgorithmProvenance: the algorithm has no setting `clip`; ask for a field of its message");
}

}  // namespace plan_provenance_test
