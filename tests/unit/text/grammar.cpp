// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/text/grammar.hpp>

#include <string_view>

#include "support/catch.hpp"

namespace text_grammar_test {

namespace grammar = amct_distill::grammar;

namespace {
template <class Rule>
constexpr bool all(const Rule& rule, std::string_view text) {
    return grammar::match_all(rule, text.data(), text.data() + text.size());
}
/// The length that the rule takes off the text, or -1.
template <class Rule>
constexpr int taken(const Rule& rule, std::string_view text) {
    const char* at = text.data();
    return grammar::match(rule, at, text.data() + text.size()) ? static_cast<int>(at - text.data()) : -1;
}
}  // namespace

TEST_CASE("numbers are those of the text format, and touch nothing") {
    static constexpr std::string_view good[] = {"0",
                                                "7",
                                                "9",
                                                "10",
                                                "0x1F",
                                                "0X1f",
                                                "0xaA9",
                                                "017",
                                                ".5",
                                                "1.",
                                                "1.5",
                                                "1e3",
                                                "1.5E+3",
                                                "1.5e-3f",
                                                "2e-10",
                                                "1f",
                                                "1.F",
                                                ".5e1f",
                                                "123456789012345678901234567890"};
    static constexpr std::string_view bad[] = {"",      "08",  "1e",   "1e+", "00.5", "0x",   "12abc",
                                               "1.2.3", "1..", ".",    "1ff", "-1",   "0x1g", "0x1G",
                                               "1_000", "f",   "01.5", "09",  "0x:",  "0x@"};
    for (std::string_view text : good) CHECK(all(grammar::number, text));
    for (std::string_view text : bad) CHECK(taken(grammar::number, text) == -1);
    // The compiler walks the rules by itself.
    constexpr auto the_same = [] {
        for (std::string_view text : good)
            if (!all(grammar::number, text)) return false;
        for (std::string_view text : bad)
            if (taken(grammar::number, text) != -1) return false;
        return true;
    };
    STATIC_REQUIRE(the_same());
}

TEST_CASE("strings end on their line, and a backslash protects what follows") {
    CHECK(taken(grammar::quoted, R"("a\"b" c)") == 6);
    CHECK(taken(grammar::quoted, R"('it''s')") == 4);
    CHECK(taken(grammar::quoted, R"("it's")") == 6);
    STATIC_REQUIRE(taken(grammar::quoted, R"("a\"b" c)") == 6);
    STATIC_REQUIRE(taken(grammar::quoted, R"('it''s')") == 4);
    STATIC_REQUIRE(taken(grammar::quoted, "\"a\nb\"") == -1);
    STATIC_REQUIRE(taken(grammar::quoted, "\"\\") == -1);
    for (std::string_view bad : {"\"abc", "\"a\nb\"", "\"a\\\nb\"", "\"abc\\\"", "'", "\"\\"})
        CHECK(taken(grammar::quoted, bad) == -1);
}

TEST_CASE("blanks and comments are skipped, and nothing else") {
    CHECK(taken(grammar::skipped, " \t\r\v\f\n# c \" { \n x") == 16);
    CHECK(taken(grammar::skipped, "# to the end") == 12);
    CHECK(taken(grammar::skipped, "\xc2\xa0") == 0);  // a no-break space is not white space here
    CHECK(taken(grammar::skipped, "") == 0);
    STATIC_REQUIRE(taken(grammar::skipped, " \t\r\v\f\n# c \" { \n x") == 16);
    STATIC_REQUIRE(taken(grammar::skipped, "") == 0);
}

}  // namespace text_grammar_test
