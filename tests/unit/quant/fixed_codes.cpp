// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/fixed_codes.hpp>

#include "support/catch.hpp"

namespace quant_fixed_codes_test {

using namespace amct_distill;

struct Int3 : bits<3> {
    static constexpr std::string_view name = "INT3";
};
struct Int6 : bits<6> {
    static constexpr std::string_view name = "INT6";
};

template <BitWidth B>
constexpr bool keeps_every_code() {
    FixedCodes<B, 2, 3> codes;
    for (int a = B::qmin; a <= B::qmax; ++a)
        for (int b = B::qmin; b <= B::qmax; ++b) {
            codes.set(1, 0, a);
            codes.set(1, 1, b);
            codes.set(1, 2, a);
            if (codes.at(1, 0) != a || codes.at(1, 1) != b || codes.at(1, 2) != a) return false;
            if (codes.at(0, 0) != 0 || codes.at(0, 1) != 0 || codes.at(0, 2) != 0) return false;
        }
    return true;
}

TEST_CASE("a constant of codes is read by the compiler") {
    constexpr FixedCodes<Int4, 2, 3> codes{{0xF1, 0x07, 0x08, 0x05}};
    STATIC_REQUIRE(codes.at(0, 0) == 1);
    STATIC_REQUIRE(codes.at(0, 1) == -1);
    STATIC_REQUIRE(codes.at(0, 2) == 7);
    STATIC_REQUIRE(codes.at(1, 0) == -8);
    STATIC_REQUIRE(codes.at(1, 2) == 5);
    CHECK(codes.at(1, 1) == 0);
}

TEST_CASE("up to four bits take half a byte, rows whole bytes, more bits a byte each") {
    STATIC_REQUIRE(sizeof(FixedCodes<Int4, 4, 9>) == 4 * 5);
    STATIC_REQUIRE(sizeof(FixedCodes<Int3, 4, 9>) == 4 * 5);
    STATIC_REQUIRE(sizeof(FixedCodes<Int6, 4, 9>) == 4 * 9);
    STATIC_REQUIRE(sizeof(FixedCodes<Int8, 4, 9>) == 4 * 9);
}

TEST_CASE("every code of every width is kept beside every other") {
    STATIC_REQUIRE(keeps_every_code<Int3>());
    STATIC_REQUIRE(keeps_every_code<Int4>());
    CHECK(keeps_every_code<Int3>());
    CHECK(keeps_every_code<Int4>());
    CHECK(keeps_every_code<Int6>());
    CHECK(keeps_every_code<Int8>());
}

}  // namespace quant_fixed_codes_test
