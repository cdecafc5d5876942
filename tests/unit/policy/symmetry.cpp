// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/policy/symmetry.hpp>

#include "support/catch.hpp"

namespace policy_symmetry_test {

using namespace amct_distill;

TEST_CASE("a symmetry is symmetric or asymmetric") {
    STATIC_REQUIRE(Symmetry<Symmetric>);
    STATIC_REQUIRE(Symmetry<Asymmetric>);
    STATIC_REQUIRE_FALSE(Symmetry<bool>);
    STATIC_REQUIRE(Symmetric::name == "symmetric");
    CHECK(Asymmetric::name == "asymmetric");
}

}  // namespace policy_symmetry_test
