// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/number.hpp>

#include <cstdint>
#include <limits>

#include "support/catch.hpp"

namespace core_number_test {

using namespace amct_distill;

TEST_CASE("a number is the shortest text that reads back") {
    CHECK(number(0.1f) == "0.1");
    CHECK(number(0.1) == "0.1");
    CHECK(number(static_cast<double>(0.1f)) == "0.10000000149011612");
    CHECK(number(-1.5e-30) == "-1.5e-30");
    CHECK(number(1234567) == "1234567");
    CHECK(number(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
    CHECK(number(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
    CHECK(number(-std::numeric_limits<double>::infinity()) == "-inf");
    CHECK(number(-std::numeric_limits<double>::quiet_NaN()) == "nan");
}

TEST_CASE("a number in a format of a given length is what printf gives") {
    CHECK(number(0.00125, std::chars_format::scientific, 2) == "1.25e-03");
    CHECK(number(-12.0, std::chars_format::scientific, 2) == "-1.20e+01");
    CHECK(number(48.96, std::chars_format::fixed, 1) == "49.0");
    CHECK(number(3.14159, std::chars_format::general, 3) == "3.14");
    CHECK(number(1e-5, std::chars_format::fixed) == "0.00001");
    double const largest = std::numeric_limits<double>::max();
    CHECK(number(largest, std::chars_format::fixed, 2).size() == 312);
    CHECK(number(-largest, std::chars_format::fixed).size() == 310);
    CHECK(number(std::numeric_limits<double>::denorm_min(), std::chars_format::fixed).size() == 326);
    CHECK(detail::short_number(0.00125) == "1.25e-03");
    CHECK(detail::percent(0.98485) == "98.48 %");
}

}  // namespace core_number_test
