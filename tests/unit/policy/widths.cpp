// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/policy/widths.hpp>

#include <string_view>

#include "support/catch.hpp"

namespace policy_widths_test {

using namespace amct_distill;

namespace {
template <class B>
struct Of {
    int bits = B::width;
};
struct Int6 : bits<6> {
    static constexpr std::string_view name = "INT6";
};
}  // namespace

TEST_CASE("a width is a value of one of the listed types, and a type again when visited") {
    STATIC_REQUIRE(std::is_same_v<EachWidth<Of>, std::variant<Of<Int4>, Of<Int8>>>);
    STATIC_REQUIRE(Widths::has<Int4>);
    STATIC_REQUIRE_FALSE(Widths::has<Int6>);
    STATIC_REQUIRE(sizeof(Width) <= 2);
    auto const name = [](Width w) {
        return std::visit([]<class B>(B) -> std::string_view { return B::name; }, w);
    };
    CHECK(name(Int4{}) == "INT4");
    CHECK(name(Int8{}) == "INT8");
}

}  // namespace policy_widths_test
