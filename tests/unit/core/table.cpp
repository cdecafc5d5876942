// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/table.hpp>

#include "support/catch.hpp"

namespace core_table_test {

using namespace amct_distill;

TEST_CASE("columns are as wide as their widest cell, counted in characters") {
    CHECK(detail::text_table({{"layer", "SQNR"}, {"\xe5\xb1\x82", "48.9 dB"}, {"convolution"}, {}}) ==
          "  layer        SQNR\n"
          "  \xe5\xb1\x82            48.9 dB\n"
          "  convolution\n"
          "\n");
    CHECK(detail::text_table({}).empty());
}

TEST_CASE("a long name keeps its end") {
    CHECK(detail::shortened("layer1.0.conv1", 14) == "layer1.0.conv1");
    CHECK(detail::shortened("backbone.layer1.0.conv1", 17) == "...layer1.0.conv1");
    CHECK(detail::shortened("\xe5\xb1\x82\xe5\xb1\x82\xe5\xb1\x82\xe5\xb1\x82"
                            "1",
                            4) == "...1");
}

}  // namespace core_table_test
