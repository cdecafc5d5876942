// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/any_codes.hpp>

#include "support/catch.hpp"

namespace quant_any_codes_test {

using namespace amct_distill;

TEST_CASE("codes of a width that is known at run time tell it, their shape and themselves") {
    std::vector<std::int8_t> const codes{-8, 7, 0, 1, -1, 3};
    AnyCodes const four = Codes<Int4>::pack(codes, 2, 3).value();
    AnyCodes const eight = Codes<Int8>::pack(codes, 2, 3).value();
    for (const AnyCodes* all : {&four, &eight}) {
        CHECK(rows(*all) == 2);
        CHECK(cols(*all) == 3);
        CHECK(unpack(*all) == codes);
        std::vector<std::int8_t> row(3);
        unpack_row(*all, 1, row);
        CHECK(row == std::vector<std::int8_t>{1, -1, 3});
    }
    CHECK(name_of(four) == "INT4");
    CHECK(name_of(eight) == "INT8");
    CHECK(name_of(Width{Int4{}}) == "INT4");
    CHECK(four != eight);
}

}  // namespace quant_any_codes_test
