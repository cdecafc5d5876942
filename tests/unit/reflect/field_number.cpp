// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/reflect/field_number.hpp>

#include "support/catch.hpp"

namespace reflect_field_number_test {

using namespace amct_distill;

TEST_CASE("a field's number is 0, which none has, until it is given, and its list is not packed") {
    STATIC_REQUIRE(FieldNumber{}.number == 0);
    FieldNumber const f{.name = "x"};
    CHECK(f.number == 0);
    CHECK(f.packing == Packing::unpacked);
    CHECK(f.coding == IntegerCoding::varint);
}

}  // namespace reflect_field_number_test
