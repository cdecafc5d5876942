// SPDX-License-Identifier: Apache-2.0
// The rules of protobuf's text format that need a message with every kind of field, by their numbers in the
// description this library follows; reader.cpp, strings.cpp, decimal.cpp and grammar.cpp have the rest.
#include <amct_distill/reflect/bytes.hpp>
#include <amct_distill/text/printer.hpp>
#include <amct_distill/text/reader.hpp>
#include <cmath>
#include <cstdint>
#include <limits>

#include "support/catch.hpp"

namespace text_specification_test {

using namespace amct_distill;

namespace {

enum class Tone { POLITE = 1, RUDE = -3 };
constexpr std::array<std::pair<std::string_view, Tone>, 2> enumerators(Tone) {
    return {{{"POLITE", Tone::POLITE}, {"RUDE", Tone::RUDE}}};
}
struct First {
    optional<std::int32_t> n{};
    friend bool operator==(const First&, const First&) = default;
};
struct Second {
    required<std::string> s;
    friend bool operator==(const Second&, const Second&) = default;
};
struct Choice {
    First first;
    Second second;
};

/// All scalar types of proto2 (its sint, fixed and sfixed are read as int and uint: the text knows no wire),
/// each label, and recursion.
struct Node {
    optional<std::int32_t> int32{};
    optional<std::int64_t> int64{};
    optional<std::uint32_t> uint32{};
    optional<std::uint64_t> uint64{};
    optional<float> f{};
    optional<double> d{};
    optional<bool, true> b{};
    optional<std::string> s{};
    optional<bytes> raw{};
    optional<Tone, Tone::RUDE> tone{};
    oneof<Choice> choice{};
    repeated<std::int64_t> numbers{};
    repeated<std::string> strings{};
    repeated<bytes> raws{};
    repeated<bool> flags{};
    repeated<Tone> tones{};
    std::vector<Node> children{};
    friend bool operator==(const Node&, const Node&) = default;
};

Node good(std::string_view text) {
    auto const r = read<Node>(text);
    INFO(text << '\n' << to_string(r.diagnostics()));
    REQUIRE(r);
    CHECK(read<Node>(print(*r)).value() == *r);
    return *r;
}
std::string bad(std::string_view text) {
    auto const r = read<Node>(text);
    INFO(text);
    REQUIRE_FALSE(r);
    const Diagnostic& d = r.diagnostics().front();
    return detail::concat(d.where.line, ':', d.where.column, ' ', d.message);
}

}  // namespace

TEST_CASE("rule 1: UTF-8 everywhere, six blanks, comments to the end of line or text") {
    CHECK(*good("int32:\t\v\f\r\n 1 # 层\n# at the end").int32 == 1);
    CHECK(bad("int32:\xc2\xa0"
              "1") == "1:7 expected an integer, found U+00A0 (a no-break space); replace it by a blank");
    CHECK(bad("int32: 1 # \xff\n") == "1:12 not valid UTF-8; save the text as UTF-8");
    CHECK(bad(std::string_view("int32: 1\0", 9)) == "1:9 a NUL character cannot stand in a text");
    CHECK(bad(std::string_view("# \0", 3)) == "1:3 a NUL character cannot stand in a text");
    CHECK(bad("\xEF\xBB\xBFint32: 1") ==
          "1:1 the text begins with a byte order mark; save it as UTF-8 without BOM");
    CHECK(*good(R"(s: "\000")").s == std::string(1, '\0'));  // escaped it may
}

TEST_CASE("rule 2: a number may not touch an identifier") {
    CHECK(bad("int32: 10bar") == "1:8 `10bar` is not a number");
    CHECK(bad("int32: 10_") == "1:8 `10_` is not a number");
    CHECK(bad("f: 1.5e3x") == "1:4 `1.5e3x` is not a number");
    CHECK(bad("int32: 10b: true") == "1:8 `10b` is not a number");
}

TEST_CASE("rule 3: integers in three bases, each within its range") {
    CHECK(*good("int32: -0x80000000").int32 == std::numeric_limits<std::int32_t>::min());
    CHECK(*good("int64: -01000000000000000000000").int64 == std::numeric_limits<std::int64_t>::min());
    CHECK(*good("uint32: 037777777777").uint32 == 0xFFFFFFFFu);
    CHECK(*good("uint64: 0Xffffffffffffffff").uint64 == std::numeric_limits<std::uint64_t>::max());
    CHECK(*good("int32: -\n# between\n7").int32 == -7);
    for (std::string_view over :
         {"int32: 0x80000000", "int32: -2147483649", "uint32: 0x100000000", "int64: 0x8000000000000000",
          "uint64: 02000000000000000000000", "int32: 99999999999999999999999999"})
        CHECK_THAT(bad(over), Catch::Contains("is out of range for"));
    CHECK(bad("int32: 08") == "1:8 `08` is not a number");
    CHECK(bad("uint64: -0") == "1:9 expected an unsigned integer, found `-`");
    CHECK(bad("int32: +1") == "1:8 expected an integer, found `+`");
}

TEST_CASE("rule 5 and 6: a bool and an enum take their names and their numbers only") {
    CHECK(*good("b: 0x1").b);
    CHECK(bad("b: -1") == "1:4 expected true or false, found `-`");
    CHECK(*good("tone: -3").tone == Tone::RUDE);
    CHECK(good("tone: 01").tone.get() == Tone::POLITE);
    CHECK(bad("tone: 2") == "1:7 expected `POLITE` or `RUDE`, found `2`");
    CHECK(bad("tone: polite") == "1:7 expected `POLITE` or `RUDE`, found `polite`");
    CHECK(good("").tone.get() == Tone::RUDE);
    CHECK(good("").b.get());
}

TEST_CASE("rule 7: escapes of bytes may spell any bytes, those of strings only UTF-8") {
    CHECK(*good(R"(raw: "\377\x00\345" 'a')").raw == bytes("\xff\0\xe5"
                                                           "a",
                                                           4));
    CHECK(print(good(R"(raw: "\377\0\n" raws: ["\xfe", ""])")) ==
          "raw: \"\\377\\000\\n\"\nraws: \"\\376\"\nraws: \"\"\n");
    CHECK(bad(R"(s: "\377")") == "1:4 the escapes of this string do not spell valid UTF-8");
    CHECK(bad(R"(raw: "\ud83d\ude00")") == "1:7 surrogates are no characters; write the character itself");
    CHECK(bad(R"(raw: "\400")") == "1:7 octal escapes end at `\\377`");
    CHECK(bad("raw: '\xff'") == "1:7 not valid UTF-8; save the text as UTF-8");
    CHECK(good("strings: ['a' # one\n 'b', \"c\"]").strings == repeated<std::string>{"ab", "c"});
}

TEST_CASE("rule 8 and 9: colons, brackets, separators, lists") {
    CHECK(good("children { } children: < >, children [ { }, < int32: 1; > ];").children.size() == 4);
    CHECK(bad("children { >") == "1:12 expected a field name or `}`, found `>`");
    CHECK(bad("int32 1") == "1:7 expected `:`, found `1`");
    CHECK(good("numbers: 1 numbers: [2, -3] numbers: 0x4").numbers == repeated<std::int64_t>{1, 2, -3, 4});
    CHECK(good("numbers: []").numbers.empty());
    CHECK(good("flags: [t, 0, True] tones: [1, RUDE]").flags == repeated<bool>{true, false, true});
    CHECK(bad("numbers: [1; 2]") == "1:12 expected `,` or `]`, found `;`");
    CHECK(bad("int32: 1;, ") == "1:10 expected a field name, found `,`");
}

TEST_CASE("rule 10: one value, one member of a oneof, and all that is required") {
    CHECK(bad("int32: 1 int32: 1") == "1:10 set more than once; first at 1:1");
    CHECK(bad("first { } second { s: '' }") ==
          "1:11 only one of a oneof can be set; `first` already is, at 1:1");
    CHECK(bad("children { second { } }") == "1:19 missing required `s`");
    CHECK(good("second { s: 'x' }").choice.name() == "second");
}

TEST_CASE("rule 11: what the message does not have, with the nearest name") {
    CHECK(bad("int23: 1") == "1:1 unknown field `int23`; did you mean `int32`?");
    CHECK(bad("4: 1") == "1:1 fields go by name, not by number; found `4`");
    CHECK(bad("[a.b]: 1") == "1:1 extensions and Any are not supported; name a field");
    CHECK(bad("[type.googleapis.com/x.Y] { }") == "1:1 extensions and Any are not supported; name a field");
}

TEST_CASE("rule 12: recursion through a list of its own kind, to a limit") {
    CHECK(*good("children { children { children { int32: 3 } } int32: 1 }")
               .children[0]
               .children[0]
               .children[0]
               .int32 == 3);
    auto const deep = read<Node>("children { children { children { } } }", {.max_depth = 2});
    REQUIRE_FALSE(deep);
    CHECK(deep.diagnostics().front().message == "nested more than 2 messages deep");
    CHECK(deep.diagnostics().front().path == "children[0].children[0].children[0]");
}

}  // namespace text_specification_test
