// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/element_type.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

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

TEST_CASE("names and widths of all types, of which there are 24") {
    struct Row {
        std::string_view name;
        unsigned bits;
    };
    constexpr Row expected[] = {
        {"undefined", 0},      {"float", 32},       {"uint8", 8},          {"int8", 8},
        {"uint16", 16},        {"int16", 16},       {"int32", 32},         {"int64", 64},
        {"string", 0},         {"bool", 8},         {"float16", 16},       {"double", 64},
        {"uint32", 32},        {"uint64", 64},      {"complex64", 0},      {"complex128", 0},
        {"bfloat16", 16},      {"float8e4m3fn", 0}, {"float8e4m3fnuz", 0}, {"float8e5m2", 0},
        {"float8e5m2fnuz", 0}, {"uint4", 4},        {"int4", 4},           {"float4e2m1", 0}};
    std::int32_t number = 0;
    for (const Row& row : expected) {
        auto const type = static_cast<ElementType>(number++);
        CHECK(name_of(type) == row.name);
        CHECK(bits_of(type) == row.bits);
        CHECK(is_floating(type) == (row.name == "float" || row.name == "double" || row.name == "float16" ||
                                    row.name == "bfloat16"));
    }
    for (std::int32_t beyond : {24, 25, -1, 1000}) {
        CHECK(name_of(static_cast<ElementType>(beyond)) == "unknown");
        CHECK(bits_of(static_cast<ElementType>(beyond)) == 0);
        CHECK_FALSE(is_floating(static_cast<ElementType>(beyond)));
    }
}

namespace {

/// What lies between two neighbours of a small type goes to the nearer, the middle to the even one.
template <class To, class From>
void check_rounding(std::uint32_t infinity, To to, From from) {
    std::size_t wrong = 0;
    for (std::uint32_t h = 0; h != infinity; ++h) {
        auto const low = static_cast<std::uint16_t>(h), high = static_cast<std::uint16_t>(h + 1);
        float const a = from(low);
        double const step = static_cast<double>(
            h + 1 == infinity ? a - from(static_cast<std::uint16_t>(h - 1)) : from(high) - a);
        auto const middle = static_cast<float>(static_cast<double>(a) + step / 2);
        for (std::uint32_t sign : {0u, 0x8000u}) {
            auto const is = [&](float value, std::uint16_t expected) {
                auto const signed_value = sign != 0 ? -value : value;
                wrong += to(signed_value) != static_cast<std::uint16_t>(expected | sign);
            };
            is(a, low);
            is(middle, h % 2 == 0 ? low : high);
            is(std::nextafter(middle, 0.0f), low);
            is(std::nextafter(middle, std::numeric_limits<float>::infinity()), high);
        }
    }
    CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("a float becomes the nearest float16 and the nearest bfloat16, ties to even") {
    check_rounding(0x7C00, to_float16, from_float16);
    check_rounding(0x7F80, to_bfloat16, from_bfloat16);
    float const infinity = std::numeric_limits<float>::infinity();
    CHECK(to_float16(infinity) == 0x7C00);
    CHECK(to_float16(-infinity) == 0xFC00);
    CHECK(to_float16(1e30f) == 0x7C00);
    CHECK(to_float16(1e-30f) == 0);
    CHECK(to_float16(-1e-30f) == 0x8000);
    CHECK(to_bfloat16(infinity) == 0x7F80);
    CHECK(to_bfloat16(-infinity) == 0xFF80);
    // A NaN stays one, also one whose upper bits are those of infinity; the sign is kept.
    for (std::uint32_t bits : {0x7F800001u, 0x7FC00000u, 0x7FFFFFFFu, 0xFF800001u, 0xFFC00000u}) {
        auto const nan = std::bit_cast<float>(bits);
        CHECK(to_float16(nan) == (0x7E00u | (bits >> 16 & 0x8000u)));
        CHECK(to_bfloat16(nan) == (bits >> 16 | 0x40u));
        CHECK(std::isnan(from_float16(to_float16(nan))));
        CHECK(std::isnan(from_bfloat16(to_bfloat16(nan))));
    }
    CHECK(std::bit_cast<std::uint32_t>(from_float16(0x7E01)) == 0x7FC02000u);
    CHECK(std::bit_cast<std::uint32_t>(from_float16(0xFC01)) == 0xFF802000u);
    CHECK(std::bit_cast<std::uint32_t>(from_float16(0x8001)) == 0xB3800000u);
    CHECK(from_bfloat16(0xC040) == -3.0f);
}

TEST_CASE("a float is rounded to the floats of a type") {
    CHECK(rounded_to(ElementType::float16, 1.0f + 0x1p-12f) == 1.0f);
    CHECK(rounded_to(ElementType::float16, 1.0f + 0x1p-10f) == 1.0f + 0x1p-10f);
    CHECK(rounded_to(ElementType::bfloat16, 1.0f + 0x1p-10f) == 1.0f);
    CHECK(rounded_to(ElementType::bfloat16, 1.0f + 0x1p-7f) == 1.0f + 0x1p-7f);
    CHECK(rounded_to(ElementType::float32, 1.0f + 0x1p-23f) == 1.0f + 0x1p-23f);
    CHECK(rounded_to(ElementType::float64, 1.0f + 0x1p-23f) == 1.0f + 0x1p-23f);
}

}  // namespace onnx_element_type_test
