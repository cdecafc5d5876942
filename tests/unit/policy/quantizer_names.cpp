// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/policy/quantizer_names.hpp>

#include <type_traits>

#include "support/catch.hpp"

namespace policy_forward_test {

using namespace amct_distill;

TEST_CASE("quantizers can be named without their definitions, with their usual symmetry") {
    STATIC_REQUIRE(std::is_same_v<Arq<Int8, ChannelWise>, Arq<Int8, ChannelWise, Symmetric>>);
    STATIC_REQUIRE(std::is_same_v<ActUlq<Int8>, ActUlq<Int8, Asymmetric>>);
    STATIC_REQUIRE(std::is_same_v<Ifmr<Int4>, Ifmr<Int4, Symmetric>>);
    STATIC_REQUIRE_FALSE(std::is_same_v<Ulq<Int4, ChannelWise>, Ulq<Int4, TensorWise>>);
    Arq<Int8, ChannelWise>* named = nullptr;
    CHECK(named == nullptr);
}

}  // namespace policy_forward_test
