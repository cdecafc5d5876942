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

}  // namespace report_html_text_test
