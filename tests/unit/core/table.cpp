// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/table.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"

namespace core_table_test {

using namespace amct_distill;

namespace {
Table sample() {
    Table table({{.heading = "layer", .least = 8},
                 {"SQNR"},
                 {.heading = "seconds", .drop = 1},
                 {.heading = "by", .drop = 2}});
    table.add({"backbone.conv1", "48.9 dB", "0.31", "you"});
    table.add({"fc", "exact"});
    table.add({});
    return table;
}
}  // namespace

TEST_CASE("columns are as wide as their widest cell, as a terminal counts") {
    Table table({{"layer"}, {"SQNR"}});
    table.add({"\xe5\xb1\x82", "48.9 dB"});
    table.add({"convolution"});
    table.add({});
    CHECK(table.text() ==
          "  layer        SQNR\n"
          "  \xe5\xb1\x82           48.9 dB\n"
          "  convolution\n"
          "\n");
    CHECK(Table(std::vector<TableColumn>{}).text() == "\n");
}

TEST_CASE("a table fits its width: columns are shortened, then dropped, and at last all are narrow") {
    CHECK(sample().text() ==
          "  layer           SQNR     seconds  by\n"
          "  backbone.conv1  48.9 dB  0.31     you\n"
          "  fc              exact\n"
          "\n");
    CHECK(sample().text(36) ==
          "  layer        SQNR     seconds  by\n"
          "  ...ne.conv1  48.9 dB  0.31     you\n"
          "  fc           exact\n"
          "\n");
    CHECK(sample().text(30) ==
          "  layer       SQNR     seconds\n"
          "  ...e.conv1  48.9 dB  0.31\n"
          "  fc          exact\n"
          "\n");
    CHECK(sample().text(25) ==
          "  layer           SQNR\n"
          "  backbone.conv1  48.9 dB\n"
          "  fc              exact\n"
          "\n");
    CHECK(sample().text(15) ==
          "  layer  SQNR\n"
          "  ...v1  ... dB\n"
          "  fc     exact\n"
          "\n");
}

TEST_CASE("a long name keeps its end") {
    CHECK(detail::shortened("layer1.0.conv1", 14) == "layer1.0.conv1");
    CHECK(detail::shortened("backbone.layer1.0.conv1", 17) == "...layer1.0.conv1");
    CHECK(detail::shortened("\xe5\xb1\x82\xe5\xb1\x82\xe5\xb1\x82\xe5\xb1\x82"
                            "1",
                            4) == "...1");
    CHECK(detail::shortened("arq_distill, INT4", 11, true) == "arq_dist...");
    CHECK(detail::shortened("\xe5\xb1\x82\xe5\xb1\x82\xe5\xb1\x82\xe5\xb1\x82", 6, true) ==
          "\xe5\xb1\x82...");
}

}  // namespace core_table_test
