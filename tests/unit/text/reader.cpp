// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/text/reader.hpp>

#include <cmath>
#include <filesystem>
#include <random>

#include "amct_distill/config/messages.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"

namespace text_reader_test {

using namespace amct_distill;

namespace {

enum class Color { RED = 0, BLUE = 5, NEGATIVE = -2 };
constexpr std::array<std::pair<std::string_view, Color>, 3> enumerators(Color) {
    return {{{"RED", Color::RED}, {"BLUE", Color::BLUE}, {"NEGATIVE", Color::NEGATIVE}}};
}

/// Every kind of field, with nesting of its own kind.
struct Everything {
    optional<std::int32_t> i32{};
    optional<std::int64_t> i64{};
    optional<std::uint32_t> u32{};
    optional<std::uint64_t> u64{};
    optional<float> f{};
    optional<double> d{};
    optional<bool> b{};
    optional<std::string> s{};
    optional<Color> color{};
    repeated<std::int32_t> numbers{};
    std::vector<Everything> nested{};
};

/// The value of the one field, or the first message.
template <class T>
struct outcome {
    T value{};
    std::string message{};
};
Everything good(std::string_view text) {
    auto r = read<Everything>(text);
    INFO(text << '\n' << to_string(r.diagnostics()));
    REQUIRE(r);
    return *r;
}
std::string bad(std::string_view text, ReaderOptions options = {}) {
    auto const r = read<Everything>(text, options);
    INFO(text);
    REQUIRE_FALSE(r);
    return detail::concat(r.diagnostics().front().where.line, ':', r.diagnostics().front().where.column, ' ',
                          r.diagnostics().front().message);
}

}  // namespace

TEST_CASE("integers in every base, to their limits") {
    CHECK(*good("i32: 42").i32 == 42);
    CHECK(*good("i32: -2147483648").i32 == std::numeric_limits<std::int32_t>::min());
    CHECK(*good("i32: - # minus\n 0x7f").i32 == -127);
    CHECK(*good("i64: -9223372036854775808").i64 == std::numeric_limits<std::int64_t>::min());
    CHECK(*good("u64: 18446744073709551615").u64 == std::numeric_limits<std::uint64_t>::max());
    CHECK(*good("u32: 0xFFFFFFFF").u32 == 0xFFFFFFFFu);
    CHECK(*good("u32: 017").u32 == 15);
    CHECK(*good("u32: 0").u32 == 0);
    CHECK(bad("i32: 2147483648") == "1:6 `2147483648` is out of range for int32 (-2147483648 to 2147483647)");
    CHECK(bad("i32: -0x80000001") ==
          "1:6 `-0x80000001` is out of range for int32 (-2147483648 to 2147483647)");
    CHECK(bad("u32: 040000000000") == "1:6 `040000000000` is out of range for uint32 (0 to 4294967295)");
    CHECK(bad("u64: 18446744073709551616") ==
          "1:6 `18446744073709551616` is out of range for uint64 (0 to 18446744073709551615)");
    CHECK(
        bad("i64: 9223372036854775808") ==
        "1:6 `9223372036854775808` is out of range for int64 (-9223372036854775808 to 9223372036854775807)");
    CHECK(bad("u32: -0") == "1:6 expected an unsigned integer, found `-`");
    CHECK(bad("u32: +1") == "1:6 expected an unsigned integer, found `+`");
    CHECK(bad("i32: 1.5") == "1:6 expected an integer, found `1.5`");
    CHECK(bad("i32: 08") == "1:6 `08` is not a number");
    CHECK(bad("i32: 10bar") == "1:6 `10bar` is not a number");
    CHECK(bad("i32: -") == "1:7 expected an integer, found the end of the text");
}

TEST_CASE("floats: decimal only, with suffix, infinities and NaN") {
    CHECK(*good("f: .5").f == 0.5f);
    CHECK(*good("f: 1.").f == 1.0f);
    CHECK(*good("f: - 2.5e-1F").f == -0.25f);
    CHECK(*good("f: 123456789012345678901234567890").f == 123456789012345678901234567890.0f);
    CHECK(*good("f: 1e40").f == std::numeric_limits<float>::infinity());
    CHECK(*good("f: -iNf").f == -std::numeric_limits<float>::infinity());
    CHECK(*good("d: Infinity").d == std::numeric_limits<double>::infinity());
    CHECK(std::isnan(*good("f: nan").f));
    CHECK(std::isnan(*good("f: -NaN").f));
    CHECK(std::signbit(*good("f: -0").f));
    CHECK(*good("d: 0.1").d == 0.1);
    CHECK(bad("f: 0x10") == "1:4 expected a decimal number, found `0x10`");
    CHECK(bad("f: 010") == "1:4 expected a decimal number, found `010`");
    CHECK(bad("f: inff") == "1:4 expected a number, found `inff`");
    CHECK(bad("f: 1e") == "1:4 `1e` is not a number");
    CHECK(bad("f: 00.5") == "1:4 `00.5` is not a number");
    CHECK(bad("f: \"1\"") == "1:4 expected a number, found `\"1\"`");
}

TEST_CASE("booleans by their six names, or 0 and 1 in any base") {
    for (std::string_view t : {"true", "True", "t", "1", "01", "0x1"})
        CHECK(*good(detail::concat("b: ", t)).b);
    for (std::string_view f : {"false", "False", "f", "0", "00", "0X0"})
        CHECK_FALSE(*good(detail::concat("b: ", f)).b);
    for (std::string_view x : {"TRUE", "2", "\"true\"", "1.0", "yes"})
        CHECK(bad(detail::concat("b: ", x)) == detail::concat("1:4 expected true or false, found `", x, "`"));
}

TEST_CASE("enums by name or number, closed") {
    CHECK(*good("color: BLUE").color == Color::BLUE);
    CHECK(*good("color: 5").color == Color::BLUE);
    CHECK(*good("color: 0x5").color == Color::BLUE);
    CHECK(*good("color: -2").color == Color::NEGATIVE);
    CHECK(*good("color: -0").color == Color::RED);
    CHECK(bad("color: blue") == "1:8 expected `RED`, `BLUE` or `NEGATIVE`, found `blue`");
    CHECK(bad("color: BLEU") ==
          "1:8 expected `RED`, `BLUE` or `NEGATIVE`, found `BLEU`; did you mean `BLUE`?");
    CHECK(bad("color: 1") == "1:8 expected `RED`, `BLUE` or `NEGATIVE`, found `1`");
    CHECK(bad("color: -5") == "1:8 expected `RED`, `BLUE` or `NEGATIVE`, found `-5`");
    CHECK(bad("color: \"RED\"") == "1:8 expected `RED`, `BLUE` or `NEGATIVE`, found `\"RED\"`");
}

TEST_CASE("strings join across comments, with escapes") {
    CHECK(*good("s: 'a' # c\n \"b\" '\\x63'").s == "abc");
    CHECK(*good("s: '\\345\\261' '\\202'").s == "\xe5\xb1\x82");  // one character in two pieces
    CHECK(good("s: ''").s->empty());
    CHECK(bad("s: '\\345\\261'") == "1:4 the escapes of this string do not spell valid UTF-8");
    CHECK(bad("s: 'a\n'") == "1:4 the string is not closed on its line");
    CHECK(bad("s: x") == "1:4 expected a string in quotes, found `x`");
}

TEST_CASE("messages: either bracket, the colon optional, one separator") {
    for (std::string_view text : {"nested { i32: 1 }", "nested: { i32: 1 }", "nested < i32: 1 >",
                                  "nested: <i32: 1,>,", "nested [{i32: 1}]", "nested: [{i32: 1;},]"})
        if (text.ends_with(",]"))
            CHECK(bad(text) == "1:20 expected a message in `{ }`, found `]`");
        else
            CHECK(*good(text).nested.at(0).i32 == 1);
    CHECK(bad("nested { i32: 1 >") == "1:17 expected a field name or `}`, found `>`");
    CHECK(bad("i32: 1,, i64: 2") == "1:8 expected a field name, found `,`");
    CHECK(bad(", i32: 1") == "1:1 expected a field name, found `,`");
    CHECK(bad("nested: 3") == "1:9 expected a message in `{ }`, found `3`");
    CHECK(bad("nested { ") ==
          "1:10 expected `}` to close the message that begins at 1:8, found the end of the text");
}

TEST_CASE("repeated fields keep their order across both forms") {
    CHECK(good("numbers: 1 numbers: [2, 3] numbers: [] numbers: 4").numbers ==
          repeated<std::int32_t>{1, 2, 3, 4});
    CHECK(bad("numbers: [1 2]") == "1:13 expected `,` or `]`, found `2`");
    CHECK(bad("numbers: [1, ]") == "1:14 expected an integer, found `]`");
    CHECK(bad("numbers [1]") == "1:9 expected `:` before the list");
    CHECK(bad("numbers 1") == "1:9 expected `:`, found `1`");
    CHECK(bad("i32: [1]") == "1:6 expected an integer, found `[`");
    CHECK(bad("numbers: [1, 2") ==
          "1:15 expected `]` to close the list that begins at 1:10, found the end of the text");
}

TEST_CASE("nesting is limited, in the message and in what is passed over") {
    auto const nest = [](std::string_view open, std::size_t n) {
        std::string s;
        for (std::size_t i = 0; i != n; ++i) s += open;
        return s + std::string(n, '}');
    };
    CHECK(read<Everything>(nest("nested{", 100)));
    CHECK(bad(nest("nested{", 101)) == "1:707 nested more than 100 messages deep");
    CHECK(bad(nest("nested{", 5), {.max_depth = 4}) == "1:35 nested more than 4 messages deep");
    auto const unknown = read<Everything>(nest("other{", 100'000));
    REQUIRE_FALSE(unknown);
    CHECK(unknown.diagnostics().back().message == "nested more than 100 messages deep");
}

TEST_CASE("unknown fields are errors or warnings, and their values are passed over") {
    std::string_view const text =
        "i23: [1, -2.5, inf] i32: 1 x { y: 'a' 'b' z < 1: 2, q: [{}, {r: 3;}] > } [ext.a]: { w: [] } 7: 1 "
        "i64: 2";
    auto const strict = read<Everything>(text);
    REQUIRE_FALSE(strict);
    CHECK(strict.diagnostics().size() == 4);
    CHECK(strict.diagnostics()[0].message == "unknown field `i23`; did you mean `i32`?");
    CHECK(strict.diagnostics()[1].message == "unknown field `x`");
    CHECK(strict.diagnostics()[2].message == "extensions and Any are not supported; name a field");
    CHECK(strict.diagnostics()[3].message == "fields go by name, not by number; found `7`");

    auto const lenient =
        read<Everything>("i23: [1] i32: 1 x { y: 'a' }", {.unknown_fields_are_warnings = true});
    REQUIRE(lenient);
    CHECK(*lenient->i32 == 1);
    CHECK(lenient.diagnostics().size() == 2);
    CHECK(lenient.diagnostics()[0].severity == Severity::warning);
}

TEST_CASE("a value that is passed over needs its colon, but for a message") {
    ReaderOptions const lenient{.unknown_fields_are_warnings = true};
    auto const stopped = [&](std::string_view text) {
        auto const r = read<Everything>(text, lenient);
        REQUIRE_FALSE(r);
        auto const& last = r.diagnostics().back();
        return detail::concat(last.where.line, ':', last.where.column, ' ', last.message);
    };
    CHECK(stopped("x 1") == "1:3 expected `:`, found `1`");
    CHECK(stopped("x 'a' i32: 1") == "1:3 expected `:`, found `'a'`");
    CHECK(stopped("x [1]") == "1:3 expected `:` before the list");
    CHECK(stopped("x [\n # of numbers\n -1]") == "1:3 expected `:` before the list");
    CHECK(stopped("x [") == "1:3 expected `:` before the list");
    CHECK(stopped("x { y 1 }") == "1:7 expected `:`, found `1`");
    CHECK(stopped("x { y: [{ z a }] }") == "1:13 expected `:`, found `a`");
    CHECK(stopped("x { y [a] }") == "1:7 expected `:` before the list");
    CHECK(stopped("i32: 1 i32 2") == "1:12 expected `:`, found `2`");  // of a field that is set again
    for (std::string_view text : {"x {} i32: 1", "x < y: 1 > i32: 1", "x: 1 i32: 1", "x [{}, {y: 1}] i32: 1",
                                  "x [\n # none\n] i32: 1", "x { y [<>] } i32: 1", "x : [1] i32: 1"}) {
        auto const r = read<Everything>(text, lenient);
        INFO(text);
        REQUIRE(r);
        CHECK(*r->i32 == 1);
    }
}

TEST_CASE("a value that is passed over is a value of the format") {
    ReaderOptions const lenient{.unknown_fields_are_warnings = true};
    auto const error = [&](std::string_view text) {
        auto const r = read<Everything>(text, lenient);
        INFO(text);
        REQUIRE_FALSE(r);
        auto const& last = r.diagnostics().back();
        return detail::concat(last.where.line, ':', last.where.column, ' ', last.message);
    };
    CHECK(error("x: 'ab\\q'") == R"(1:7 unknown escape; a backslash itself is written `\\`)");
    CHECK(error("x { y: ['a', \"b\" 'c\\400'] }") == R"(1:20 octal escapes end at `\377`)");
    CHECK(error("x: -a") == "1:5 expected a number after `-`, found `a`");
    CHECK(error("x { y: -true }") == "1:9 expected a number after `-`, found `true`");
    CHECK(error("x: 08") == "1:4 `08` is not a number");
    for (std::string_view value : {"-inf", "- Infinity", "-NaN", "'\\x41\\n'", "nana", "-0x1F", "-1.5e3f"})
        CHECK(read<Everything>(detail::concat("x: ", value), lenient));
}

TEST_CASE("what is required is missing, though an unknown field that is passed over may have meant it") {
    // Where unknown fields are errors, the suggestion says it; where they are not, nothing else would.
    std::string_view const text = "distill_group { start_layer_nam: 'a' end_layer_name: 'b' }";
    auto const strict = read<AMCTDistillConfig>(text);
    REQUIRE_FALSE(strict);
    CHECK(strict.diagnostics().size() == 1);
    auto const lenient = read<AMCTDistillConfig>(text, {.unknown_fields_are_warnings = true});
    REQUIRE_FALSE(lenient);
    REQUIRE(lenient.diagnostics().size() == 2);
    CHECK(lenient.diagnostics()[0].message == "missing required `start_layer_name`");
}

TEST_CASE("duplicates are errors that name both places, or warnings when the last wins") {
    CHECK(bad("i32: 1\ni32: 2") == "2:1 set more than once; first at 1:1");
    auto const r = read<Everything>("i32: 1 i32: 2", {.on_duplicate = Duplicates::last_wins});
    REQUIRE(r);
    CHECK(*r->i32 == 2);
    REQUIRE(r.diagnostics().size() == 1);
    CHECK(r.diagnostics()[0].message == "set more than once; first at 1:1; the last one counts");

    // As protobuf's Merge: messages merge, the last member of a oneof replaces the others.
    auto const config = read<AMCTDistillConfig>(
        "distill_weight_quant_config { arq_distill { dst_type: INT4 } }\n"
        "distill_weight_quant_config { arq_distill { channel_wise: true } }\n"
        "distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 1 clip_min: -1 } } }\n"
        "distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 2 } } }\n",
        {.on_duplicate = Duplicates::last_wins});
    INFO(to_string(config.diagnostics()));
    REQUIRE(config);
    auto const* arq = config->distill_weight_quant_config->weights_quant_algo.get_if<ARQDistill>();
    REQUIRE(arq);
    CHECK(arq->dst_type.get() == DataType::INT4);
    CHECK(arq->channel_wise.get());
    auto const& clips =
        *config->distill_data_quant_config->data_quant_algo.get_if<ActULQquantize>()->clip_max_min;
    CHECK(*clips.clip_max == 2.0f);
    CHECK(*clips.clip_min == -1.0f);

    auto const other =
        read<AMCTDistillConfig>("distill_weight_quant_config { arq_distill {} ulq_distill {} }",
                                {.on_duplicate = Duplicates::last_wins});
    REQUIRE(other);
    CHECK(other->distill_weight_quant_config->weights_quant_algo.name() == "ulq_distill");
}

TEST_CASE("the documentation's own example is read, with the place of every field") {
    auto const r =
        read<AMCTDistillConfig>(SourceText{"example.cfg", golden::read_file("documentation_example.cfg")});
    INFO(to_string(r.diagnostics()));
    REQUIRE(r);
    CHECK(r->batch_num.get() == 1);
    CHECK(r->data_dump.get());
    CHECK(*r->distill_group.at(0).end_layer_name == "layer2");
    auto const& data = *r->distill_data_quant_config->data_quant_algo.get_if<ActULQquantize>();
    CHECK(*data.clip_max_min->clip_min == -6.0f);
    CHECK(data.fixed_min.get());
    CHECK(r->quant_skip_layers == repeated<std::string>{"layer3"});
    CHECK(r->distill_override_layers.at(0).distill_weight_quant_config->weights_quant_algo.name() ==
          "arq_distill");
    CHECK(r->distill_override_layer_types.at(0).distill_weight_quant_config->weights_quant_algo.name() ==
          "ulq_distill");

    CHECK(r->batch_num.position() == Position{1, 1});
    CHECK(r->group_size.position() == Position{1, 14});
    CHECK(r->distill_group.position(0) == Position{2, 1});
    CHECK(r->quant_skip_layers.position(0) == Position{5, 1});
    CHECK(r->distill_override_layers.at(0).distill_data_quant_config.position() == Position{7, 3});
}

TEST_CASE("each broken configuration gives its complete diagnostic") {
    std::size_t cases = 0;
    for (const auto& entry : std::filesystem::directory_iterator(AMCT_DISTILL_GOLDEN_DIR "/bad")) {
        if (entry.path().extension() != ".cfg") continue;
        std::string const name = entry.path().filename().string();
        std::string const text = golden::read_file(detail::concat("bad/", name));
        std::string const expected =
            golden::read_file(detail::concat("bad/", entry.path().stem().string(), ".txt"));
        auto const r = read<AMCTDistillConfig>(SourceText{name, text});
        INFO(name);
        CHECK_FALSE(r);
        CHECK(detail::concat(to_string(r.diagnostics()), '\n') == expected);
        ++cases;
    }
    CHECK(cases == 48);
    golden::print_count("bad/*.cfg", cases, 48);
}

TEST_CASE("a comment goes on after a lone carriage return, with a warning") {
    auto const r = read<AMCTDistillConfig>(SourceText{"old.cfg", "# old\rbatch_num: 2\rgroup_size: 3"});
    REQUIRE(r);
    CHECK_FALSE(r->batch_num.has_value());
    REQUIRE(r.diagnostics().size() == 1);
    CHECK(to_string(r.diagnostics()[0])
              .starts_with("old.cfg:1:6: warning: a lone carriage return does not end"));
    CHECK(r.diagnostics()[0].excerpt == "# old");
    // One warning for all comments; none where the line feed follows, where the comment ends with the text,
    // or where the carriage return is no comment's.
    CHECK(read<AMCTDistillConfig>("# a\rb\n# c\rd\n").diagnostics().size() == 1);
    CHECK(read<AMCTDistillConfig>("# a\r\nbatch_num: 2 # b\r\n").diagnostics().empty());
    CHECK(read<AMCTDistillConfig>("batch_num: 2 # b\r").diagnostics().empty());
    CHECK(read<AMCTDistillConfig>("batch_num: 2\rgroup_size: 3\r# b").diagnostics().empty());
}

TEST_CASE("positions count lone carriage returns as line ends, in strings too") {
    auto const r = read<AMCTDistillConfig>(
        "batch_num: 2\rgroup_size: 3\r\n quant_skip_layers: 'a\rb' data_dump: true\r\r data_dump: false");
    REQUIRE_FALSE(r);
    REQUIRE(r.diagnostics().size() == 1);
    CHECK(to_string(r.diagnostics()[0]) ==
          "6:2: error: data_dump: set more than once; first at 4:4\n   data_dump: false\n   ^");
    auto const good =
        read<AMCTDistillConfig>("batch_num: 2\rgroup_size: 3\r\n quant_skip_layers: 'a\rb' data_dump: true")
            .value();
    CHECK(good.batch_num.position() == Position{1, 1});
    CHECK(good.group_size.position() == Position{2, 1});
    CHECK(good.quant_skip_layers.position(0) == Position{3, 2});
    CHECK(good.data_dump.position() == Position{4, 4});
}

TEST_CASE("at most a hundred diagnostics are kept") {
    std::string text;
    for (int i = 0; i != 500; ++i) text += "x: 1\n";
    auto const r = read<Everything>(text);
    REQUIRE(r.diagnostics().size() == 100);
    CHECK(r.diagnostics().back().message == "unknown field `x` (further messages are not shown)");
}

TEST_CASE("no input is too odd: random tokens, and every prefix of a good text") {
    std::mt19937 random(3);
    std::vector<std::string_view> const pieces{
        "i32", ":",      "1", "-",  "{",       "}",     "<",  ">",   "[",   "]", ",", ";", "'a'", "\"",
        "#",   "nested", " ", "\n", "numbers", "color", "\\", "x.y", "1e9", "f", "s", "b", "inf", "\t"};
    for (int i = 0; i != 50'000; ++i) {
        std::string text;
        for (std::size_t n = random() % 12; n != 0; --n) text += pieces[random() % pieces.size()];
        auto const r = read<Everything>(text);
        if (!r && r.diagnostics().empty()) FAIL("an error without a message: " << text);
    }
    std::string const example = golden::read_file("documentation_example.cfg");
    for (std::size_t n = 0; n != example.size(); ++n) {
        auto const r = read<AMCTDistillConfig>(std::string_view(example).substr(0, n));
        if (!r && r.diagnostics().empty()) FAIL("an error without a message at " << n);
    }
}

TEST_CASE("messages beside each other do not nest, however many there are") {
    std::string text;
    for (int i = 0; i != 150; ++i) text += "nested { nested { } } ";
    CHECK(read<Everything>(text, {.max_depth = 2}).value().nested.size() == 150);
    CHECK(bad("nested { } nested { nested { nested { } } }", {.max_depth = 2}).find("nested more than 2") !=
          std::string::npos);
}

TEST_CASE("a comma of another script between two digits is a decimal point, and else a comma") {
    std::string const comma = "\xEF\xBC\x8C", point = "; a decimal point is written `.`",
                      other = "; write `,`";
    for (std::string const after : {"0", "9"}) CHECK(bad("f: 1" + comma + after).ends_with(point));
    for (std::string const after : {"", " ", "/", ":", " 5", "a"})
        CHECK(bad("f: 1" + comma + after).ends_with(other));
    for (std::string const before : {"0", "9"}) CHECK(bad("f: " + before + comma + "5").ends_with(point));
    CHECK(bad("f:" + comma + "5").ends_with(other));
}

TEST_CASE("only a slash before a slash or a star is a comment of another language") {
    CHECK(bad("i32: // five") ==
          "1:6 expected an integer, found `//`; comments begin with `#` and end with the line");
    CHECK(bad("i32: /* five */") ==
          "1:6 expected an integer, found `/*`; comments begin with `#` and end with the line");
    CHECK(bad("i32: /") == "1:6 expected an integer, found `/`");
    CHECK(bad("i32: / 5") == "1:6 expected an integer, found `/`");
    CHECK(bad("i32: five/* x */") == "1:6 expected an integer, found `five`");
    CHECK(bad("i32: =// x") == "1:6 expected an integer, found `=`; a value follows a `:`");
}

TEST_CASE("what was found is shown up to 40 bytes, and cut between two characters") {
    std::string const long_word(41, 'w');
    CHECK(bad("i32: " + long_word.substr(1)) ==
          "1:6 expected an integer, found `" + long_word.substr(1) + "`");
    CHECK(bad("i32: " + long_word) == "1:6 expected an integer, found `" + long_word.substr(1) + "...`");
    std::string const e = "\xC3\xA9";
    std::string quoted = "'";
    for (int i = 0; i != 30; ++i) quoted += e;
    CHECK(bad("i32: " + quoted + "'") == "1:6 expected an integer, found `" + quoted.substr(0, 39) + "...`");
}

}  // namespace text_reader_test
