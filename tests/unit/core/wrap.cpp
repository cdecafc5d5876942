// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/wrap.hpp>

#include "support/catch.hpp"

namespace core_wrap_test {

using namespace amct_distill;

TEST_CASE("a sentence is broken at blanks") {
    CHECK(wrapped("The integers compute what was simulated.") ==
          "  The integers compute what was simulated.\n");
    CHECK(wrapped("The integers compute what was simulated.", 22) ==
          "  The integers compute\n  what was simulated.\n");
    CHECK(wrapped("The integers compute what was simulated.", 21, 0) ==
          "The integers compute\nwhat was simulated.\n");
    CHECK(wrapped("a wordthatistoolong b", 8) == "  a\n  wordthatistoolong\n  b\n");
    CHECK(wrapped("\xe5\xb1\x82\xe5\xb1\x82 \xe5\xb1\x82", 8) ==
          "  \xe5\xb1\x82\xe5\xb1\x82\n  \xe5\xb1\x82\n");
    CHECK(wrapped("").empty());
}

}  // namespace core_wrap_test
