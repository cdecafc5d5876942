// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/wire/fields.hpp>

#include "messages.hpp"
#include "support/catch.hpp"

namespace wire_fields_test {

using namespace amct_distill;
using detail::binary_fields;
using detail::wire_type_of;
using detail::WireType;

TEST_CASE("fields stand in order of their numbers, a oneof is its alternatives") {
    constexpr auto& fields = binary_fields<wire_test::Everything>;
    STATIC_REQUIRE(fields.size() == 27);
    STATIC_REQUIRE((fields[0].name == "i32" && fields[0].number == 1 && fields[0].member == 0));
    STATIC_REQUIRE((fields[1].name == "text" && fields[1].number == 2 && fields[1].member == 1 &&
                    fields[1].alternative == 1));
    STATIC_REQUIRE((fields[2].name == "i64" && fields[2].number == 3));
    STATIC_REQUIRE((fields[26].name == "pairs" && fields[26].number == 536870911));
    for (std::size_t i = 1; i != fields.size(); ++i) CHECK(fields[i - 1].number < fields[i].number);
}

TEST_CASE("each type has its wire type") {
    constexpr auto varint = IntegerCoding::varint, fixed = IntegerCoding::fixed;
    STATIC_REQUIRE(wire_type_of<std::int32_t>(varint) == WireType::varint);
    STATIC_REQUIRE(wire_type_of<std::int64_t>(IntegerCoding::zigzag) == WireType::varint);
    STATIC_REQUIRE(wire_type_of<std::uint32_t>(fixed) == WireType::fixed32);
    STATIC_REQUIRE(wire_type_of<std::int64_t>(fixed) == WireType::fixed64);
    STATIC_REQUIRE(wire_type_of<bool>(varint) == WireType::varint);
    STATIC_REQUIRE(wire_type_of<wire_test::Color>(varint) == WireType::varint);
    STATIC_REQUIRE(wire_type_of<float>(varint) == WireType::fixed32);
    STATIC_REQUIRE(wire_type_of<double>(varint) == WireType::fixed64);
    STATIC_REQUIRE(wire_type_of<std::string>(varint) == WireType::length);
    STATIC_REQUIRE(wire_type_of<std::string_view>(varint) == WireType::length);
    STATIC_REQUIRE(wire_type_of<wire_test::Pair>(varint) == WireType::length);
}

}  // namespace wire_fields_test
