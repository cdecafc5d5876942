// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/policy/bits.hpp>

#include "support/catch.hpp"

namespace policy_bits_test {

using namespace amct_distill;

namespace {
struct Int6 : bits<6> {
    static constexpr std::string_view name = "INT6";
};
struct Nameless : bits<4> {};
struct Unsigned4 : bits<4> {
    static constexpr std::string_view name = "UINT4";
    static constexpr int qmin = 0;
};
}  // namespace

TEST_CASE("a bit width knows its codes and its name") {
    STATIC_REQUIRE(Int4::width == 4);
    STATIC_REQUIRE(Int4::qmin == -8);
    STATIC_REQUIRE(Int4::qmax == 7);
    STATIC_REQUIRE(Int4::name == "INT4");
    STATIC_REQUIRE(Int8::width == 8);
    STATIC_REQUIRE(Int8::qmin == -128);
    STATIC_REQUIRE(Int8::qmax == 127);
    STATIC_REQUIRE(Int8::name == "INT8");
    STATIC_REQUIRE(std::same_as<Int8::storage, std::int8_t>);
    CHECK(Int4::name == "INT4");
}

TEST_CASE("a width of one's own is a bit width, what lacks a part of one is not") {
    STATIC_REQUIRE(BitWidth<Int4>);
    STATIC_REQUIRE(BitWidth<Int8>);
    STATIC_REQUIRE(BitWidth<Int6>);
    STATIC_REQUIRE(Int6::qmin == -32);
    STATIC_REQUIRE(Int6::qmax == 31);
    STATIC_REQUIRE_FALSE(BitWidth<Nameless>);
    STATIC_REQUIRE_FALSE(BitWidth<Unsigned4>);
    STATIC_REQUIRE_FALSE(BitWidth<int>);
    CHECK(Int6::qmax == 31);
}

}  // namespace policy_bits_test
