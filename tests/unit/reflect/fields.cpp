// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/reflect/fields.hpp>

#include "support/catch.hpp"

namespace reflect_fields_test {

using namespace amct_distill;

namespace {
struct point {
    int x;
    double y_value;
    std::string Name2;
};
}  // namespace

TEST_CASE("an aggregate's fields are counted, named and reached") {
    STATIC_REQUIRE(reflect::field_count<point> == 3);
    STATIC_REQUIRE(reflect::field_name<point, 0>() == "x");
    STATIC_REQUIRE(reflect::field_name<point, 1>() == "y_value");
    STATIC_REQUIRE(reflect::field_names<point>[2] == "Name2");
    STATIC_REQUIRE(std::is_same_v<reflect::field_type<point, 1>, double>);

    point p{1, 2.5, "n"};
    reflect::get<0>(p) = 7;
    CHECK(p.x == 7);
    CHECK(reflect::get<2>(std::as_const(p)) == "n");
}

}  // namespace reflect_fields_test
