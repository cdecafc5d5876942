// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/text/decimal.hpp>

#include <amct_distill/core/concat.hpp>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>

#include "support/catch.hpp"

namespace text_decimal_test {

using amct_distill::detail::concat;
using amct_distill::detail::to_floating;

TEST_CASE("the edges of float32 are rounded correctly") {
    using limits = std::numeric_limits<float>;
    STATIC_REQUIRE(to_floating<float>("0") == 0.0f);
    STATIC_REQUIRE(to_floating<float>("0.000e99") == 0.0f);
    STATIC_REQUIRE(to_floating<float>("6.0") == 6.0f);
    STATIC_REQUIRE(to_floating<float>(".1") == 0.1f);
    STATIC_REQUIRE(to_floating<float>("1.17549435e-38") == limits::min());
    STATIC_REQUIRE(to_floating<float>("1.4e-45") == limits::denorm_min());
    STATIC_REQUIRE(to_floating<float>("7.0064923216240854e-46") == limits::denorm_min());  // just above half
    STATIC_REQUIRE(to_floating<float>("7.0064923216240853e-46") == 0.0f);                  // just below half
    STATIC_REQUIRE(to_floating<float>("3.4028235e38") == limits::max());
    STATIC_REQUIRE(to_floating<float>("340282356779733661637539395458142568447.9") == limits::max());
    STATIC_REQUIRE(to_floating<float>("340282356779733661637539395458142568448") == limits::infinity());
    STATIC_REQUIRE(to_floating<float>("1e99999999999999999999") == limits::infinity());
    STATIC_REQUIRE(to_floating<float>("1e-99999999999999999999") == 0.0f);
    CHECK(to_floating<float>(concat(std::string(100'000, '9'), "e-100000")) == 1.0f);
    CHECK(to_floating<float>(concat("0.", std::string(100'000, '0'), "1e100001")) == 1.0f);
}

TEST_CASE("the edges of both types, as the program computes them") {
    auto const check = [](const std::string& text, float f, double d) {
        INFO(text);
        CHECK(to_floating<float>(text) == f);
        CHECK(to_floating<double>(text) == d);
    };
    using one = std::numeric_limits<float>;
    check("7.0064923216240854e-46", one::denorm_min(), 7.0064923216240854e-46);  // just above half
    check("7.0064923216240853e-46", 0, 7.0064923216240853e-46);                  // just below half
    check("9.9e-46", one::denorm_min(), 9.9e-46);
    check("1e-46", 0, 1e-46);
    check("2.4703282292062328e-324", 0, 0x1p-1074);
    check("2.4703282292062327e-324", 0, 0);
    check("9e-325", 0, 0);
    check("340282356779733661637539395458142568447.9", one::max(), 340282356779733661637539395458142568447.9);
    check("340282356779733661637539395458142568448", one::infinity(),
          340282356779733661637539395458142568448.0);
    check("1.7976931348623158e308", one::infinity(), std::numeric_limits<double>::max());
    check("1.7976931348623159e308", one::infinity(), std::numeric_limits<double>::infinity());
    // 2^53 and what follows it: doubles no longer hold every whole number.
    check("9007199254740992", 0x1p53f, 0x1p53);
    check("9007199254740993", 0x1p53f, 0x1p53);
    check("9007199254740993e1", 90071992547409930.0f, 90071992547409930.0);
    check("9007199254740995e22", 9007199254740995e22f, 9007199254740995e22);
    check("18014398509481983e-5", 18014398509481983e-5f, 18014398509481983e-5);
    // Rounded up into the next power of two.
    check("0.99999999999999999999", 1, 1);
    check("16777215.99999999999999999999999", 16777216, 16777216);
}

TEST_CASE("rounding to double first would be wrong here") {
    // 1 + 2^-24 + 2^-60: above the midpoint of two floats, but the nearest double is that midpoint.
    CHECK(to_floating<float>("1.000000059604644775390625867361738") == 1.00000011920928955078125f);
    CHECK(static_cast<float>(to_floating<double>("1.000000059604644775390625867361738")) == 1.0f);
}

TEST_CASE("random decimals, and the midpoints between floats, agree with std::from_chars") {
    std::mt19937_64 random(1);
    std::size_t wrong = 0;
    auto const check = [&]<class F>(F, const std::string& s) {
        F expected = 0;
        F const seen = to_floating<F>(s);
        auto const r = std::from_chars(s.data(), s.data() + s.size(), expected);
        if (r.ec == std::errc::result_out_of_range)
            expected = seen > 1 ? std::numeric_limits<F>::infinity() : F{0};
        wrong += std::memcmp(&expected, &seen, sizeof(F)) != 0;
    };
    for (int i = 0; i != 100'000; ++i) {
        std::string s = "0";
        s[0] = static_cast<char>('0' + random() % 10);
        std::size_t const digits = random() % (i % 50 == 0 ? 900 : 22);
        for (std::size_t k = 0; k != digits; ++k) s += static_cast<char>('0' + random() % 10);
        if (random() % 2 != 0) s.insert(1 + random() % s.size(), 1, '.');
        if (random() % 3 != 0) {
            bool const wide = i % 3 == 0;
            s += 'e';
            s += std::to_string(static_cast<int>(random() % (wide ? 700 : 90)) - (wide ? 360 : 60));
        }
        check(float{}, s);
        check(double{}, s);
        auto const bits = static_cast<std::uint32_t>(random()) & 0x7FFFFFFFu;
        float const f = std::bit_cast<float>(bits);
        if (f < 1e38f) {
            double const midpoint =
                (static_cast<double>(f) + static_cast<double>(std::nextafter(f, 2e38f))) / 2;
            char text[200];
            std::snprintf(text, sizeof text, "%.160g", midpoint);
            check(float{}, text);
        }
    }
    CHECK(wrong == 0);
}

}  // namespace text_decimal_test
