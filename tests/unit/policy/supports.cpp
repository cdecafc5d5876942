// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/policy/supports.hpp>

#include <amct_distill/policy/quantizer_names.hpp>

#include "support/catch.hpp"

namespace policy_supports_test {

using namespace amct_distill;

TEST_CASE("an engine has the quantizers of its list, and no others") {
    using engine = supports<Arq<Int4, ChannelWise>, ActUlq<Int8>>;
    STATIC_REQUIRE(engine::has<Arq<Int4, ChannelWise>>);
    STATIC_REQUIRE(engine::has<ActUlq<Int8, Asymmetric>>);
    STATIC_REQUIRE_FALSE(engine::has<Arq<Int8, ChannelWise>>);
    STATIC_REQUIRE_FALSE(engine::has<Arq<Int4, TensorWise>>);
    STATIC_REQUIRE_FALSE(supports<>::has<ActUlq<Int8>>);
    STATIC_REQUIRE(supports_all::has<Ulq<Int4, TensorWise>>);
    CHECK(engine::has<ActUlq<Int8>>);
}

}  // namespace policy_supports_test
