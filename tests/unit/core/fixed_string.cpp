// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/fixed_string.hpp>

#include "support/catch.hpp"

namespace core_fixed_string_test {

namespace {
template <amct_distill::fixed_string Name>
struct layer {
    static constexpr std::string_view name = Name.view();
};
}  // namespace

TEST_CASE("a string literal is a template argument") {
    STATIC_REQUIRE(layer<"conv1">::name == "conv1");
    STATIC_REQUIRE(layer<"">::name.empty());
    CHECK(layer<"conv1">::name == "conv1");
}

}  // namespace core_fixed_string_test
