// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/concat.hpp>

#include <limits>

#include "support/catch.hpp"

namespace core_concat_test {

TEST_CASE("texts, characters and whole numbers are joined") {
    using amct_distill::detail::concat;
    CHECK(concat().empty());
    CHECK(concat("a", 'b', std::string("c"), std::string_view("d"), 1, -2, 3u) == "abcd1-23");
}

TEST_CASE("numbers of every type are joined whole, the longest too") {
    using amct_distill::detail::concat;
    CHECK(concat(std::numeric_limits<double>::lowest(), ' ', -std::numeric_limits<double>::denorm_min()) ==
          "-1.7976931348623157e+308 -5e-324");
    CHECK(concat(0.1f, ' ', 0.1, ' ', std::numeric_limits<double>::quiet_NaN()) == "0.1 0.1 nan");
    CHECK(
        concat(std::numeric_limits<long long>::min(), '|', std::numeric_limits<unsigned long long>::max()) ==
        "-9223372036854775808|18446744073709551615");
    CHECK(concat(static_cast<signed char>(-128), static_cast<unsigned char>(7)) == "-1287");
    CHECK(concat(std::string_view(), "", std::string(100, 'x')) == std::string(100, 'x'));
}

}  // namespace core_concat_test
