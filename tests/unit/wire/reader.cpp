// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/wire/reader.hpp>

#include <amct_distill/config/field_numbers.hpp>
#include <amct_distill/wire/writer.hpp>
#include <limits>

#include "messages.hpp"
#include "support/catch.hpp"

namespace wire_reader_test {

using namespace amct_distill;
using wire_test::Color;
using wire_test::Everything;
using wire_test::Leaf;
using wire_test::of;

template <class M = Everything>
std::string error_of(const std::string& bytes, BinaryOptions options = {}) {
    auto const r = read_binary<M>(bytes, options);
    return r ? "no error" : to_string(r.diagnostics());
}

struct Views {
    optional<std::string_view> name{};
    repeated<std::string_view> list{};
};
constexpr std::array<FieldNumber, 2> field_numbers(const Views*) { return {{{"name", 1}, {"list", 2}}}; }

TEST_CASE("what was written is read back equal") {
    Everything m;
    m.i32 = std::numeric_limits<std::int32_t>::min();
    m.i64 = std::numeric_limits<std::int64_t>::min();
    m.u32 = 0xFFFFFFFFu;
    m.u64 = std::numeric_limits<std::uint64_t>::max();
    m.s32 = std::numeric_limits<std::int32_t>::min();
    m.s64 = std::numeric_limits<std::int64_t>::max();
    m.f32 = 7u;
    m.sf64 = -7;
    m.flag = false;
    m.real = -0.0f;
    m.wide = 1e300;
    m.color = Color::NEGATIVE;
    m.blob = bytes("\xff");
    m.pair = wire_test::Pair{.a = -5, .b = "b"};
    m.choice = Leaf{.n = 3, .list = {1, 2}};
    m.child.emplace().child.emplace().texts = {"deep", ""};
    m.plain = {1, -1};
    m.packed = {1, -1, 1000000};
    m.zigzags = {std::numeric_limits<std::int64_t>::min()};
    m.fixed = {1, 2, 3};
    m.reals = {1.5f, std::numeric_limits<float>::infinity()};
    m.colors = {Color::BLUE, Color::RED};
    m.flags = {true, false, true};
    m.texts = {"x"};
    m.pairs.push_back({.a = 1, .b = "p"});
    auto const r = read_binary<Everything>(write_binary(m));
    REQUIRE(r);
    CHECK(*r == m);
    CHECK(r.diagnostics().empty());
    CHECK(write_binary(*r) == write_binary(m));
    CHECK(read_binary<Everything>("").value() == Everything{});
}

TEST_CASE("numbers of other sizes are cut as protobuf cuts them") {
    CHECK(*read_binary<Everything>(of({8, 0x81, 0x80, 0x80, 0x80, 0x10})).value().i32 == 1);  // 2^32 + 1
    CHECK(*read_binary<Everything>(of({32, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})).value().u32 ==
          0xFFFFFFFFu);
    CHECK(*read_binary<Everything>(of({80, 0x80, 0x80, 0x80, 0x80, 0x10})).value().flag);  // 2^32 is true
    CHECK(*read_binary<Everything>(of({40, 0x81, 0x80, 0})).value().u64 == 1);  // longer than it must
    CHECK(*read_binary<Everything>(of({40, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0x7F})).value().u64 ==
          std::numeric_limits<std::uint64_t>::max());
}

TEST_CASE("packed and unpacked numbers are both read, also mixed") {
    auto const both = read_binary<Everything>(of({0x88, 1, 1, 0x8A, 1, 2, 2, 3, 0x88, 1, 4}));  // plain
    CHECK(both.value().plain == repeated<std::int64_t>{1, 2, 3, 4});
    auto const reals = read_binary<Everything>(of({0xAD, 1, 0, 0, 0x80, 0x3F, 0xAA, 1, 4, 0, 0, 0, 0x40}));
    CHECK(reals.value().reals == repeated<float>{1, 2});
    CHECK(read_binary<Everything>(of({0xAA, 1, 0})).value().reals.empty());
    CHECK_THAT(
        error_of(of({0xAA, 1, 3, 0, 0, 0})),
        Catch::Contains("reals: at byte 2: a packed run of 3 bytes holds no whole number of values of 4"));
    CHECK_THAT(error_of(of({0x92, 1, 1, 0x80})), Catch::Contains("packed: at byte 3: the bytes end within"));
}

TEST_CASE("the last value wins, messages merge, a oneof holds one") {
    auto const r = read_binary<Everything>(of({8, 1, 8, 2}));
    CHECK(*r.value().i32 == 2);
    // pair {a: 1} pair {b: "x"}: one message, and none of its required fields is missing
    auto const merged = read_binary<Everything>(of({122, 2, 8, 1, 122, 3, 18, 1, 'x'}));
    REQUIRE(merged);
    CHECK(*merged->pair->a == 1);
    CHECK(*merged->pair->b == "x");
    // leaf {n: 1, list: 1} leaf {list: 2}
    auto const leaf = read_binary<Everything>(of({0xFA, 1, 4, 8, 1, 16, 1, 0xFA, 1, 2, 16, 2}));
    CHECK(*leaf.value().choice.get_if<Leaf>() == Leaf{.n = 1, .list = {1, 2}});
    // leaf, then text, then leaf: the first leaf is gone
    auto const last = read_binary<Everything>(of({0xFA, 1, 2, 8, 1, 18, 1, 't', 0xFA, 1, 2, 16, 2}));
    CHECK(*last.value().choice.get_if<Leaf>() == Leaf{.list = {2}});
    auto const boxes = read_binary<Everything>(of({0x82, 1, 2, 8, 1, 0x82, 1, 2, 24, 2}));
    CHECK(*boxes.value().child->i32 == 1);
    CHECK(*boxes.value().child->i64 == 2);
}

TEST_CASE("unknown fields are passed over, whatever they hold") {
    // 100: varint, 101: fixed64, 102: length, 103: fixed32, then i32
    std::string const bytes =
        of({0xA0, 6, 0x96, 1, 0xA9, 6, 1, 2, 3, 4, 5, 6, 7, 8, 0xB2, 6, 2, 9, 9, 0xBD, 6, 1, 2, 3, 4, 8, 5});
    auto const r = read_binary<Everything>(bytes);
    REQUIRE(r);
    CHECK(*r->i32 == 5);
    // a known number with another wire type is an unknown field
    CHECK(read_binary<Everything>(of({13, 1, 0, 0, 0})).value() == Everything{});
    CHECK(read_binary<Everything>(of({10, 1, 0})).value() == Everything{});
    CHECK(read_binary<Everything>(of({120, 1})).value() == Everything{});
}

TEST_CASE("an enumerator that the schema does not have counts as not set, with a warning") {
    auto const r = read_binary<Everything>(of({104, 5, 104, 2, 0xB2, 1, 3, 0, 9, 5}), {.source = "x.pb"});
    REQUIRE(r);
    CHECK(*r->color == Color::BLUE);
    CHECK(r->colors == repeated<Color>{Color::RED, Color::BLUE});
    REQUIRE(r.diagnostics().size() == 2);
    CHECK(to_string(r.diagnostics()[0]) ==
          "x.pb: warning: color: at byte 2: unknown enumerator 2; the field counts as not set");
}

TEST_CASE("strings can be views into the bytes") {
    std::string const bytes = of({10, 3, 'a', 'b', 'c', 18, 0, 18, 1, 'z'});
    auto const r = read_binary<Views>(bytes);
    REQUIRE(r);
    CHECK(*r->name == "abc");
    CHECK(r->name->data() == bytes.data() + 2);
    CHECK(r->list == repeated<std::string_view>{"", "z"});
    CHECK(write_binary(*r) == bytes);
}

TEST_CASE("required fields that are missing are all told, with the fields that lead there") {
    auto const r = read_binary<Everything>(of({122, 0}) + of({0xFA, 255, 255, 255, 15, 2, 8, 1}));
    REQUIRE_FALSE(r);
    CHECK(to_string(r.diagnostics()) ==
          "error: pair.a: this field is required, and missing\n"
          "error: pair.b: this field is required, and missing\n"
          "error: pairs[0].b: this field is required, and missing");
    CHECK(error_of<wire_test::Pair>(of({8, 1})) == "error: b: this field is required, and missing");
    CHECK(error_of<AMCTDistillConfig>(of({0x52, 3, 10, 1, 'a'})) ==
          "error: distill_group[0].end_layer_name: this field is required, and missing");
}

TEST_CASE("what is damaged is refused with its place") {
    BinaryOptions const named{.source = "m.pb"};
    CHECK(error_of(of({8}), named) == "m.pb: error: i32: at byte 1: the bytes end within a number");
    CHECK(error_of(of({0x80}), named) == "m.pb: error: at byte 0: the bytes end within a number");
    CHECK_THAT(error_of(of({8, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 1})),
               Catch::Contains("i32: at byte 1: a number of more than 10 bytes"));
    CHECK_THAT(error_of(of({0x88, 0x80, 0x80, 0x80, 0x80, 0, 1})),
               Catch::Contains("at byte 0: a field's tag of more than 5 bytes"));
    CHECK_THAT(error_of(of({0})), Catch::Contains("a field's number is never 0"));
    CHECK_THAT(
        error_of(of({114, 3, 1})),
        Catch::Contains("blob: at byte 1: the length is 3, but the bytes left are 1: is the file whole?"));
    CHECK_THAT(
        error_of(of({0x82, 1, 3, 114, 2, 1})),
        Catch::Contains("child.blob: at byte 4: the length is 2, but the bytes left are 1 in the message"));
    CHECK_THAT(error_of(of({114, 255, 255, 255, 255, 7})), Catch::Contains("the length is 2147483647"));
    CHECK_THAT(error_of(of({114, 129, 128, 128, 128, 128, 0, 1})),
               Catch::Contains("a length of more than 5 bytes"));
    CHECK_THAT(error_of(of({93, 1, 2})),
               Catch::Contains("real: at byte 0: a value takes 4 bytes, but the bytes "
                               "left are 2"));
    CHECK_THAT(error_of(of({0xA9, 6, 1})),
               Catch::Contains("a value takes 8 bytes, but the bytes left are 1"));
    CHECK_THAT(error_of(of({11, 12})), Catch::Contains("groups (wire types 3 and 4) are not supported"));
    CHECK_THAT(error_of(of({14})), Catch::Contains("wire type 6 does not exist"));
    CHECK_THAT(error_of(of({15})), Catch::Contains("wire type 7 does not exist"));
    auto const pairs = error_of(of({0xFA, 255, 255, 255, 15, 0}) + of({0xFA, 255, 255, 255, 15, 2, 8, 128}));
    CHECK_THAT(pairs, Catch::Contains("pairs[1].a: at byte 13: the bytes end within a number"));
}

TEST_CASE("messages nest as deep as the options allow") {
    auto const nested = [](int depth) {
        std::string bytes;
        for (int i = 0; i != depth; ++i) {
            std::string length;
            std::size_t n = bytes.size();
            for (; n >= 128; n >>= 7) length += static_cast<char>((n & 127) | 128);
            length += static_cast<char>(n);
            bytes = of({0x82, 1}) + length + bytes;
        }
        return bytes;
    };
    CHECK(read_binary<Everything>(nested(100)).has_value());
    CHECK_THAT(error_of(nested(101)), Catch::Contains("nested more than 100 messages deep"));
    CHECK(read_binary<Everything>(nested(3), {.max_depth = 3}).has_value());
    CHECK_THAT(error_of(nested(4), {.max_depth = 3}),
               Catch::Contains("child.child.child.child: at byte 9: nested more than 3 messages deep"));
}

TEST_CASE("bytes that would take too much memory are refused before it is allocated") {
    std::string bytes;  // empty messages of some 500 bytes each, six bytes in the file
    for (int i = 0; i != 100000; ++i) bytes += of({0xFA, 255, 255, 255, 15, 0});
    CHECK_THAT(
        error_of(bytes, {.max_expansion = 2}),
        Catch::Contains("pairs: at byte 0: the message would take more memory than 2 times its bytes"));
    CHECK_THAT(error_of(bytes), Catch::Contains("pairs[0].a: this field is required"));  // 128 times would do

    // The bound itself: 4 bytes for each of a list and 16, of twice the bytes and 64 KiB.
    auto const leaf = [](std::size_t n) {
        return of({18, 128 + static_cast<int>(n % 128), 128 + static_cast<int>(n / 128 % 128),
                   static_cast<int>(n / 16384)}) +
               std::string(n, '\1');
    };
    auto const full = read_binary<Leaf>(leaf(32764), {.max_expansion = 2});
    REQUIRE(full);
    CHECK(full->list.size() == 32764);
    CHECK(full->list.capacity() == 32764);
    CHECK_THAT(error_of<Leaf>(leaf(32765), {.max_expansion = 2}),
               Catch::Contains("more memory than 2 times"));
    // A warning counts as more than its texts: 300 bytes, which hold those, are not enough for it.
    auto const warned = [&](std::size_t n) {
        return read_binary<Everything>(of({0x92, 1}) + leaf(n).substr(1) + of({104, 2}), {.max_expansion = 7})
            .diagnostics()
            .size();
    };
    // Three times its own size and those of its texts, to the byte.
    for (std::string const source : {"", "a.pb"}) {
        auto const bytes_of = [&](std::size_t n) { return of({0x92, 1}) + leaf(n).substr(1) + of({104, 2}); };
        std::string const message = "at byte 65000: unknown enumerator 2; the field counts as not set";
        std::size_t const needed =
            source.size() + std::string_view("color").size() + message.size() + 3 * sizeof(Diagnostic);
        std::size_t n = 64000;  // of 8 bytes each
        while (7 * bytes_of(n + 1).size() + 65536 - 8 * (n + 1) - 16 >= needed) ++n;
        for (std::size_t more : {0u, 1u}) {
            auto const r =
                read_binary<Everything>(bytes_of(n + more), {.source = source, .max_expansion = 7});
            REQUIRE(r);
            CHECK(r->packed.size() == n + more);
            CHECK(r.diagnostics().size() == 1 - more);
        }
    }
    CHECK(warned(64500) == 1);
    CHECK(warned(65569 - 300) == 0);

    std::string four;  // grows to the double, and only when it is full
    for (std::size_t room : {1u, 2u, 4u, 4u, 8u}) {
        four += of({0x82, 1, 3, 0x88, 1, 1});
        CHECK(read_binary<Everything>(four).value().child->plain.capacity() == room);
    }
    std::string boxes;  // a list of merges must not be quadratic, and counts all the same
    for (int i = 0; i != 20000; ++i) boxes += of({0x82, 1, 3, 0x88, 1, 1});
    auto const merged = read_binary<Everything>(boxes);
    REQUIRE(merged);
    CHECK(merged->child->plain.size() == 20000);
}

TEST_CASE("configurations are read as their texts are") {
    AMCTDistillConfig c{.batch_num = 2u, .data_dump = true};
    c.distill_data_quant_config = DistillDataQuantConfig{
        ActULQquantize{.clip_max_min = ClipMaxMin{.clip_max = 6.0f, .clip_min = -6.0f}}};
    c.distill_override_layers.push_back({.layer_name = "l"});
    auto const r = read_binary<AMCTDistillConfig>(write_binary(c));
    REQUIRE(r);
    CHECK(*r == c);
    auto const int16 = read_binary<AMCTDistillConfig>(of({0x62, 4, 10, 2, 8, 2}));
    REQUIRE(int16);
    REQUIRE(int16.diagnostics().size() == 1);
    CHECK_THAT(to_string(int16.diagnostics()), Catch::Contains("unknown enumerator 2"));
}

}  // namespace wire_reader_test
