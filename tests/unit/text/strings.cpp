// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/text/strings.hpp>

#include "support/catch.hpp"

namespace text_strings_test {

using namespace amct_distill::detail;

namespace {
std::string unescaped(std::string_view s) {
    std::string out;
    auto const error = unescape(s, out);
    return error.message.empty() ? out : std::to_string(error.offset) + ": " + std::string(error.message);
}
}  // namespace

TEST_CASE("every escape means what protobuf says") {
    CHECK(unescaped(R"(\a\b\f\n\r\t\v\?\\\'\")") == "\a\b\f\n\r\t\v?\\'\"");
    CHECK(unescaped(R"(\101\7\1234)") == "A\7S4");
    CHECK(unescaped(R"(\x41\x9z\xfF)") == "A\tz\xff");
    CHECK(unescaped(R"(\u00e9\u5c42\U0001F600)") == "\xc3\xa9\xe5\xb1\x82\xf0\x9f\x98\x80");
    CHECK(unescaped(R"(\xab\xcd\xef\xAB\xCD\xEF)") == "\xab\xcd\xef\xab\xcd\xef");
    CHECK(unescaped(R"(\u007f\u0080\u07ff\u0800\uffff\U00010000)") ==
          "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80");
    CHECK(unescaped(R"(\0)") == std::string(1, '\0'));
}

TEST_CASE("without an error there is no place of one") {
    std::string out;
    EscapeError const none = unescape("a\\n", out);
    CHECK(none.message.empty());
    CHECK(none.offset == 0);
    CHECK(out == "a\n");
}

TEST_CASE("a bad escape is named, with its place") {
    CHECK(unescaped(R"(ab\q)") == R"(2: unknown escape; a backslash itself is written `\\`)");
    CHECK(unescaped(R"(\X41)") == R"(0: unknown escape; a backslash itself is written `\\`)");
    CHECK(unescaped(R"(\400)") == R"(0: octal escapes end at `\377`)");
    CHECK(unescaped(R"(\xg)") == R"(0: expected hexadecimal digits after `\x`)");
    for (char before : {'/', ':', '@', 'G', '`', 'g'})  // beside the digits and the letters
        CHECK(unescaped(std::string("\\x") + before) == R"(0: expected hexadecimal digits after `\x`)");
    CHECK(unescaped(R"(\u12)") == R"(0: expected four hexadecimal digits after `\u`)");
    CHECK(unescaped(R"(\U0001F60)") == R"(0: expected eight hexadecimal digits after `\U`)");
    CHECK(unescaped(R"(\ud800)") == "0: surrogates are no characters; write the character itself");
    CHECK(unescaped(R"(\U00110000)") == R"(0: characters end at `\U0010FFFF`)");
}

}  // namespace text_strings_test
