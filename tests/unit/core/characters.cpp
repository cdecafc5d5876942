// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/characters.hpp>

#include <string>

#include "support/catch.hpp"

namespace core_characters_test {

using namespace amct_distill::detail;

TEST_CASE("what is mistaken for ASCII is known by name, with what is meant") {
    STATIC_REQUIRE(lookalike(0x00A0).instead == " ");
    STATIC_REQUIRE(lookalike(0x200B).unseen);
    STATIC_REQUIRE(lookalike(0x200B).instead.empty());
    STATIC_REQUIRE(lookalike(0xFF1A).instead == ":");
    STATIC_REQUIRE(lookalike(0xFF10).instead == "0");
    STATIC_REQUIRE(lookalike(0xFF41).instead == "a");
    STATIC_REQUIRE(lookalike(0xFF5E).instead == "~");
    STATIC_REQUIRE(lookalike(0x201C).instead == "\"");
    STATIC_REQUIRE(lookalike(0x2013).instead == "-");
    STATIC_REQUIRE(lookalike(0x0430).instead == "a");
    STATIC_REQUIRE(lookalike(0x0430).name == "a Cyrillic letter");
    STATIC_REQUIRE(lookalike(0x039F).name == "a Greek letter");
    STATIC_REQUIRE(lookalike(0x3000).instead == " ");
    for (std::uint32_t ascii = 0; ascii != 0x80; ++ascii) CHECK(lookalike(ascii).name.empty());
    CHECK(lookalike(0x4E2D).name.empty());  // a Chinese character is what it is
    CHECK(lookalike(0x00E9).name.empty());
    for (const Lookalike& l : lookalikes) {
        CHECK(l.first <= l.last);
        CHECK(l.instead.size() <= 1);
        CHECK(lookalike(l.last).name == l.name);
    }
}

TEST_CASE("names are shown with what leaves no ink") {
    CHECK(visible("conv1") == "conv1");
    CHECK(visible("conv1\xe2\x80\x8b") == "conv1<U+200B>");
    CHECK(visible("\xc2\xa0"
                  "fc\n") == "<U+00A0>fc<U+000A>");
    CHECK(visible("\xe5\xb1\x82\xef\xbc\x9a") == "\xe5\xb1\x82\xef\xbc\x9a");
}

TEST_CASE("names are read as they were meant") {
    CHECK(as_meant("conv1\xe2\x80\x8b") == "conv1");
    CHECK(as_meant("\xc2\xa0"
                   "fc") == "fc");
    CHECK(as_meant("\xef\xbd\x83onv\xef\xbc\x91") == "conv1");
    CHECK(as_meant("\xe5\xb1\x82") == "\xe5\xb1\x82");
}

}  // namespace core_characters_test
