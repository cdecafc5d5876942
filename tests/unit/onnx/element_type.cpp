// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/element_type.hpp>

#include <cmath>
#include <limits>

#include "support/catch.hpp"

namespace onnx_element_type_test {

using namespace amct_distill::onnx;

TEST_CASE("types have names and widths") {
    STATIC_REQUIRE(name_of(ElementType::float32) == "float");
    STATIC_REQUIRE(name_of(ElementType::bfloat16) == "bfloat16");
    STATIC_REQUIRE(name_of(ElementType::float4e2m1) == "float4e2m1");
    STATIC_REQUIRE(name_of(static_cast<ElementType>(99)) == "unknown");
    STATIC_REQUIRE(name_of(static_cast<ElementType>(-1)) == "unknown");
    STATIC_REQUIRE(bits_of(ElementType::int4) == 4);
    STATIC_REQUIRE(bits_of(ElementType::boolean) == 8);
    STATIC_REQUIRE(bits_of(ElementType::float16) == 16);
    STATIC_REQUIRE(bits_of(ElementType::float64) == 64);
    STATIC_REQUIRE(bits_of(ElementType::string) == 0);
    STATIC_REQUIRE(bits_of(ElementType::float8e5m2) == 0);
    STATIC_REQUIRE(is_floating(ElementType::float16));
    STATIC_REQUIRE_FALSE(is_floating(ElementType::int8));
}

TEST_CASE("float16 and bfloat16 are exact floats") {
    STATIC_REQUIRE(from_float16(0x3C00) == 1.0f);
    STATIC_REQUIRE(from_float16(0xC000) == -2.0f);
    STATIC_REQUIRE(from_float16(0x7BFF) == 65504.0f);
    STATIC_REQUIRE(from_float16(0x0001) == 0x1p-24f);
    STATIC_REQUIRE(from_float16(0x83FF) == -0x1.ff8p-15f);
    STATIC_REQUIRE(from_float16(0x0400) == 0x1p-14f);
    CHECK(from_float16(0x7C00) == std::numeric_limits<float>::infinity());
    CHECK(from_float16(0xFC00) == -std::numeric_limits<float>::infinity());
    CHECK(std::isnan(from_float16(0x7E01)));
    CHECK(std::signbit(from_float16(0x8000)));
    // Every finite one, by its definition.
    for (unsigned h = 0; h != 0x8000; ++h) {
        int const exponent = static_cast<int>(h >> 10), fraction = static_cast<int>(h & 0x3FF);
        if (exponent == 31) break;
        float const expected = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                             : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
        if (from_float16(static_cast<std::uint16_t>(h)) != expected) FAIL(h);
    }
    STATIC_REQUIRE(from_bfloat16(0x3F80) == 1.0f);
    STATIC_REQUIRE(from_bfloat16(0xC040) == -3.0f);
}

}  // namespace onnx_element_type_test
