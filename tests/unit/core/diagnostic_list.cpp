// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/diagnostic_list.hpp>

#include "support/catch.hpp"

namespace core_diagnostic_list_test {

using namespace amct_distill;

TEST_CASE("offset_of is the inverse of position_of") {
    constexpr std::string_view text = "a\n\tname: \"\xe5\xb1\x82\" x\n\r\n\rb\rend\r";
    for (std::size_t offset = 0; offset <= text.size(); ++offset) {
        if (offset < text.size() && detail::is_utf8_continuation(text[offset])) continue;
        CHECK(detail::offset_of(text, detail::position_of(text, offset)) == offset);
    }
    STATIC_REQUIRE(detail::offset_of("a\nbc", {2, 2}) == 3);
}

TEST_CASE("a position after the text's or the line's end is that end") {
    CHECK(detail::offset_of("ab\ncd", {1, 9}) == 2);
    CHECK(detail::offset_of("ab\ncd", {2, 9}) == 5);
    CHECK(detail::offset_of("ab\ncd", {7, 1}) == 5);
}

TEST_CASE("diagnostics are collected in the order of the text, those without a place last") {
    std::string const text = "batch_num: 0\ngroup_size: 0\n";
    detail::DiagnosticList found(SourceText{"quant.cfg", text});
    CHECK_FALSE(found.failed());
    found.error({}, "", "nothing is left");
    found.error({2, 1}, "group_size", "too few");
    found.error({1, 12}, "batch_num", "too few");
    found.warning({1, 1}, "batch_num", "odd");
    CHECK(found.failed());
    CHECK(to_string(found.errors()) ==
          "quant.cfg:1:12: error: batch_num: too few\n"
          "  batch_num: 0\n"
          "             ^\n"
          "quant.cfg:2:1: error: group_size: too few\n"
          "  group_size: 0\n"
          "  ^\n"
          "quant.cfg: error: nothing is left");
    CHECK(to_string(found.warnings()) ==
          "quant.cfg:1:1: warning: batch_num: odd\n"
          "  batch_num: 0\n"
          "  ^");
}

TEST_CASE("without the text, a finding has the position alone") {
    detail::DiagnosticList found(SourceText{"quant.cfg", {}});
    found.error({2, 3}, "group_size", "too few");
    CHECK(found.errors() == Diagnostics{{Severity::error, "quant.cfg", {2, 3}, "group_size", "too few"}});
}

TEST_CASE("names are listed, many of them cut") {
    using detail::quoted_list;
    using names = std::vector<std::string>;
    CHECK(quoted_list(names{"a"}) == "`a`");
    CHECK(quoted_list(names{"a", "b"}) == "`a` and `b`");
    CHECK(quoted_list(names{"a", "b", "c"}) == "`a`, `b` and `c`");
    CHECK(quoted_list(names(12, "x")) == "`x`, `x`, `x`, `x`, `x`, `x`, `x`, `x` and 4 more");
}

}  // namespace core_diagnostic_list_test
