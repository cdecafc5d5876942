// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/utf8.hpp>

#include <string>

#include "support/catch.hpp"

namespace core_utf8_test {

using amct_distill::detail::first_invalid_utf8;
static constexpr auto npos = std::string_view::npos;

TEST_CASE("valid UTF-8 of every length is accepted") {
    STATIC_REQUIRE(first_invalid_utf8("") == npos);
    STATIC_REQUIRE(first_invalid_utf8("a\xc3\xa9\xe5\xb1\x82\xf0\x9f\x98\x80") == npos);
    CHECK(first_invalid_utf8("a\xc3\xa9\xe5\xb1\x82\xf0\x9f\x98\x80") == npos);
    CHECK(first_invalid_utf8("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf") ==
          npos);  // the edges of what is allowed
    CHECK(first_invalid_utf8(std::string(1000, 'x')) == npos);
}

TEST_CASE("the first byte that is not UTF-8 is found, wherever it stands") {
    STATIC_REQUIRE(first_invalid_utf8("ab\xff") == 2);
    for (std::size_t at = 0; at != 40; ++at) {
        std::string s(40, 'x');
        s[at] = '\x80';
        CHECK(first_invalid_utf8(s) == at);
    }
    CHECK(first_invalid_utf8("\xc3") == 0);              // cut off
    CHECK(first_invalid_utf8("a\xe5\xb1") == 1);         // cut off
    CHECK(first_invalid_utf8("\xc0\x80") == 0);          // overlong
    CHECK(first_invalid_utf8("\xe0\x80\x80") == 0);      // overlong
    CHECK(first_invalid_utf8("\xed\xa0\x80") == 0);      // a surrogate
    CHECK(first_invalid_utf8("\xf4\x90\x80\x80") == 0);  // above U+10FFFF
}

TEST_CASE("characters of one to four bytes") {
    STATIC_REQUIRE(amct_distill::detail::character_at("a").code == 'a');
    STATIC_REQUIRE(amct_distill::detail::character_at("\xc2\xa0").code == 0xA0);
    STATIC_REQUIRE(amct_distill::detail::character_at("\xef\xbc\x9a").code == 0xFF1A);
    STATIC_REQUIRE(amct_distill::detail::character_at("\xf0\x9f\x98\x80").code == 0x1F600);
    CHECK(amct_distill::detail::character_at("\xf0\x9f\x98\x80 ").size == 4);
}

TEST_CASE("East Asian characters take two columns, combining marks none") {
    using amct_distill::detail::columns;
    STATIC_REQUIRE(columns("conv1") == 5);
    STATIC_REQUIRE(columns("\xd0\xb0") == 1);                              // a Cyrillic letter
    STATIC_REQUIRE(columns("\xe5\x8d\xb7\xe7\xa7\xaf 1") == 6);            // U+5377 U+79EF
    STATIC_REQUIRE(columns("e\xcc\x81") == 1);                             // e, combining acute
    STATIC_REQUIRE(columns("\xc3\xa9\xef\xbc\x81\xf0\x9f\x98\x80") == 5);  // e acute, fullwidth !, a face
    CHECK(columns("\xec\xb8\xb5\xe3\x81\x82") == 4);                       // Hangul, Hiragana
    CHECK(columns("a\xff\xe5") == 3);                                      // bytes that are not UTF-8
}

}  // namespace core_utf8_test
