// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/concat.hpp>

#include "support/catch.hpp"

namespace core_concat_test {

TEST_CASE("texts, characters and whole numbers are joined") {
    using amct_distill::detail::concat;
    CHECK(concat().empty());
    CHECK(concat("a", 'b', std::string("c"), std::string_view("d"), 1, -2, 3u) == "abcd1-23");
}

}  // namespace core_concat_test
