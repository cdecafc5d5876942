// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/report/html_text.hpp>

#include <cmath>
#include <limits>

#include "support/catch.hpp"

namespace report_html_text_test {

namespace html = amct_distill::detail::html;

TEST_CASE("what a user named is text, whatever it is") {
    CHECK(html::escaped("conv1 卷积") == "conv1 卷积");
    CHECK(html::escaped("<script>\"'&") == "&lt;script&gt;&quot;&#39;&amp;");
    CHECK(html::escaped(std::string("a\0b\x1b", 4)) == "a\uFFFDb\uFFFD");
    CHECK(html::escaped("a\xffz\xe5\xb1") == "a\uFFFDz\uFFFD\uFFFD");
    CHECK(html::escaped("a\u202Eb") == "a\uFFFDb");
    CHECK(html::escaped("") == "");
}

TEST_CASE("numbers as people read them") {
    CHECK(html::fixed(-1.25, 1) == "−1.2");
    CHECK(html::fixed(std::nan(""), 1) == "–");
    CHECK(html::fixed(std::numeric_limits<double>::infinity(), 1) == "∞");
    CHECK(html::digits3(6.7622174e-6) == "6.76e−6");
    CHECK(html::digits3(1.5e-12) == "1.5e−12");
    CHECK(html::digits3(2e10) == "2e10");
    CHECK(html::digits3(0.0906) == "0.0906");
    CHECK(html::thousands(0) == "0");
    CHECK(html::thousands(999) == "999");
    CHECK(html::thousands(1234567) == "1\u202F234\u202F567");
    CHECK(html::bytes(576) == "576\u00A0B");
    CHECK(html::bytes(10900) == "10.9\u00A0kB");
    CHECK(html::bytes(2520000) == "2.52\u00A0MB");
    CHECK(html::short_count(4608) == "4.6\u00A0k");
    CHECK(html::value(0.1) == "0.1");
    CHECK(html::value(std::nan("")) == "");
    CHECK(html::plain(-0.001) == "0");
    CHECK(html::plain(12.3456) == "12.35");
}

TEST_CASE("both languages, or one where they are the same") {
    CHECK(html::both("FP32", "FP32") == "FP32");
    CHECK(html::both("float", "浮点") == "<span lang=\"en\">float</span><span lang=\"zh\">浮点</span>");
    html::Text text{"One.", "一。"};
    text.add({"Two.", "二。"});
    CHECK(text.element("p", "class=\"soft\"") ==
          "<p class=\"soft\" lang=\"en\">One. Two.</p><p class=\"soft\" lang=\"zh\">一。二。</p>");
}

TEST_CASE("numbers at the ends of their ranges") {
    double const inf = std::numeric_limits<double>::infinity();
    CHECK(html::fixed(-inf, 1) == "−∞");
    CHECK(html::digits3(-inf) == "−∞");
    CHECK(html::digits3(inf) == "∞");
    CHECK(html::digits3(std::nan("")) == "–");
    CHECK(html::digits3(6.76e-6) == "6.76e−6");
    CHECK(html::digits3(1e-10) == "1e−10");
    CHECK(html::digits3(1.25e21) == "1.25e21");
    CHECK(html::bytes(999) == "999\u00A0B");
    CHECK(html::bytes(2.5e9) == "2.50\u00A0GB");
    CHECK(html::short_count(12) == "12");
    CHECK(html::short_count(123456) == "123\u00A0k");
    CHECK(html::short_count(4.5e6) == "4.5\u00A0M");
    CHECK(html::short_count(3e9) == "3.0\u00A0G");
    CHECK(html::value(inf).empty());
    CHECK(html::plain(inf) == "0");
    CHECK(html::plain(-0.001) == "0");
}

TEST_CASE("what turns the direction of text, or controls a terminal, is replaced") {
    for (const char* bad : {"\u202A", "\u202E", "\u2066", "\u2069", "\x01", "\x7F", "\xFF"})
        CHECK(html::escaped(bad) == "\uFFFD");
    for (const char* good : {"\u2029", "\u202F", "\u2065", "\u206A", "\t", "\n"})
        CHECK(html::escaped(good) == good);
}

}  // namespace report_html_text_test
