// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/reflect/fields.hpp>

#include <amct_distill/reflect/boxed.hpp>
#include <amct_distill/reflect/field_number.hpp>
#include <amct_distill/reflect/unknown_fields.hpp>

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

TEST_CASE("a boxed message and unknown fields are as before when they are emptied") {
    boxed<point> box;
    box.emplace(point{1, 2, "n"});
    CHECK(box.has_value());
    box.reset();
    CHECK_FALSE(box.has_value());

    UnknownFields unknown;
    unknown.append("x: 1\n");
    unknown.append("y: 2\n");
    CHECK(unknown.text() == "x: 1\ny: 2\n");
    unknown.clear();
    CHECK(unknown.empty());
    STATIC_REQUIRE(FieldNumber{}.number == 0);  // which no field has
}

}  // namespace reflect_fields_test
