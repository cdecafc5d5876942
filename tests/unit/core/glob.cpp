// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/glob.hpp>

#include <string>

#include "support/catch.hpp"

namespace core_glob_test {

using namespace amct_distill::detail;

TEST_CASE("a star stands for any characters, a question mark for one") {
    STATIC_REQUIRE(matches("layer1.*", "layer1.0.conv1"));
    STATIC_REQUIRE_FALSE(matches("layer1.*", "layer10.0.conv1"));
    STATIC_REQUIRE(matches("layer?.conv", "layer1.conv"));
    STATIC_REQUIRE_FALSE(matches("layer?.conv", "layer10.conv"));
    STATIC_REQUIRE(matches("*.conv1", "layer1.0.conv1"));
    STATIC_REQUIRE(matches("*", ""));
    STATIC_REQUIRE(matches("", ""));
    STATIC_REQUIRE_FALSE(matches("", "a"));
    STATIC_REQUIRE_FALSE(matches("?", ""));
    STATIC_REQUIRE(matches("a*b*c", "a.b.b.c"));
    STATIC_REQUIRE_FALSE(matches("a*b*c", "a.b.b.d"));
    STATIC_REQUIRE(matches("conv[1]", "conv[1]"));  // no other character is special
    CHECK(matches("*a*a*a*", "banana"));
    CHECK_FALSE(matches("*a*a*a*a*", "banana"));
    CHECK(is_pattern("a*"));
    CHECK_FALSE(is_pattern("layer1.0"));
}

TEST_CASE("many stars take no more than a moment") {
    std::string pattern, name(20'000, 'a');
    for (int i = 0; i != 500; ++i) pattern += "*a";
    CHECK_FALSE(matches(pattern + "b", name));
    CHECK(matches(pattern, name));
}

}  // namespace core_glob_test
