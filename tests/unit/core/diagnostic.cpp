// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/diagnostic.hpp>

#include <amct_distill/core/concat.hpp>

#include "support/catch.hpp"

namespace core_diagnostic_test {

using namespace amct_distill;

TEST_CASE("a diagnostic shows the line and puts the caret below the place") {
    std::string const text = "batch_num: 1\ngroup_size 2\n";
    auto const d =
        diagnostic_at(Severity::error, "quant.cfg", text, 24, "group_size", "expected `:`, found `2`");
    CHECK(d.where == Position{2, 12});
    CHECK(to_string(d) ==
          "quant.cfg:2:12: error: group_size: expected `:`, found `2`\n"
          "  group_size 2\n"
          "             ^");
}

TEST_CASE("columns count code points, a tab counts one, and the caret knows tabs and Chinese") {
    std::string const text = "\tname: \"\xe5\xb1\x82\" x";  // one Chinese character, three bytes
    auto const d = diagnostic_at(Severity::warning, "", text, text.size() - 1, "", "unknown field `x`");
    CHECK(d.where == Position{1, 12});
    CHECK(to_string(d) == detail::concat("1:12: warning: unknown field `x`\n  ", text, "\n  \t           ^"));
}

TEST_CASE("a long line is cut to 100 code points around the place") {
    std::string const text = detail::concat(std::string(300, 'a'), "X", std::string(300, 'b'));
    auto const d = diagnostic_at(Severity::error, "f", text, 300, "", "here");
    CHECK(d.where == Position{1, 301});
    CHECK(d.excerpt == detail::concat(std::string(50, 'a'), "X", std::string(49, 'b')));
    CHECK(d.caret == 50);

    auto const at_start = diagnostic_at(Severity::error, "f", text, 3, "", "here");
    CHECK(at_start.excerpt == text.substr(0, 100));
    CHECK(at_start.caret == 3);

    auto const at_end = diagnostic_at(Severity::error, "f", text, text.size(), "", "here");
    CHECK(at_end.excerpt == std::string(100, 'b'));
    CHECK(at_end.caret == 100);
}

TEST_CASE("a place after the text is its end, and control characters do not reach the terminal") {
    auto const end = diagnostic_at(Severity::error, "f", "ab\n", 99, "", "end of text");
    CHECK(to_string(end) == "f:2:1: error: end of text\n  \n  ^");
    auto const control = diagnostic_at(Severity::error, "f", std::string("a\0\x1b[31m\r\n", 9), 1, "", "NUL");
    CHECK(control.excerpt == "a??[31m");
}

TEST_CASE("a place in a text that is not at hand is named without the line") {
    Diagnostic d = general_error("unknown layer `x`");
    d.source = "quant.cfg";
    d.where = {3, 7};
    CHECK(to_string(d) == "quant.cfg:3:7: error: unknown layer `x`");
}

TEST_CASE("a diagnostic without a place has no line") {
    CHECK((Diagnostic{}.caret == 0 && Diagnostic{}.where == Position{0, 0} && !Diagnostic{}.quoted));
    CHECK(to_string(general_error("no layer is left")) == "error: no layer is left");
    CHECK(to_string(general_warning("that is odd")) == "warning: that is odd");
}

}  // namespace core_diagnostic_test
