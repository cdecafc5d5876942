// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/wire/writer.hpp>

#include <amct_distill/config/field_numbers.hpp>
#include <limits>

#include "messages.hpp"
#include "support/catch.hpp"

namespace wire_writer_test {

using namespace amct_distill;
using wire_test::Choice;
using wire_test::Color;
using wire_test::Everything;
using wire_test::Leaf;
using wire_test::of;

TEST_CASE("sizes of varints") {
    STATIC_REQUIRE(detail::varint_size(0) == 1);
    STATIC_REQUIRE(detail::varint_size(127) == 1);
    STATIC_REQUIRE(detail::varint_size(128) == 2);
    STATIC_REQUIRE(detail::varint_size(16383) == 2);
    STATIC_REQUIRE(detail::varint_size(16384) == 3);
    STATIC_REQUIRE(detail::varint_size(std::numeric_limits<std::uint64_t>::max()) == 10);
}

TEST_CASE("scalars are written as protobuf writes them") {
    Everything m;
    CHECK(write_binary(m).empty());
    m.i32 = -1;
    CHECK(write_binary(m) == of({8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}));
    m = {};
    m.u32 = 300u;
    m.s32 = -3;
    m.f32 = 0x01020304u;
    m.sf64 = -2;
    m.flag = true;
    CHECK(write_binary(m) ==
          of({32, 0xAC, 2, 48, 5, 69, 4, 3, 2, 1, 73, 254, 255, 255, 255, 255, 255, 255, 255, 80, 1}));
    m = {};
    m.real = 1.0f;
    m.wide = -2.0;
    m.color = Color::NEGATIVE;
    m.blob = bytes(std::string("\0\xff", 2));
    CHECK(write_binary(m) == of({93,  0,   0,   0x80, 0x3F, 97,  0,   0,   0,   0, 0,   0, 0, 0xC0, 104,
                                 255, 255, 255, 255,  255,  255, 255, 255, 255, 1, 114, 2, 0, 255}));
}

TEST_CASE("lists are packed where the schema says so") {
    Everything m;
    m.plain = {1, 300};
    m.packed = {1, 300, -1};
    m.zigzags = {-1, 1};
    m.reals = {1.0f};
    m.flags = {true, false};
    CHECK(write_binary(m) ==
          of({0x88, 1,    1,  0x88, 1,    0xAC, 2,                                                // plain
              0x92, 1,    13, 1,    0xAC, 2,    255,  255, 255, 255, 255, 255, 255, 255, 255, 1,  // packed
              0x9A, 1,    2,  1,    2,                                                            // zigzags
              0xAA, 1,    4,  0,    0,    0x80, 0x3F,                                             // reals
              0xF8, 0x7F, 1,  0xF8, 0x7F, 0}));                                                   // flags
}

TEST_CASE("messages, a oneof and boxes are written in order of their numbers") {
    Everything m;
    m.i64 = 1;
    m.i32 = 2;
    m.choice = std::string("t");
    m.child.emplace().pair = wire_test::Pair{.a = 1, .b = "b"};
    m.pairs.push_back({.a = 2, .b = ""});
    CHECK(write_binary(m) == of({8,    2,   18,  1,   't', 24, 1, 0x82, 1,  7, 122, 5, 8, 1, 18, 1, 'b',  //
                                 0xFA, 255, 255, 255, 15,  4,  8, 2,    18, 0}));
    m = {};
    m.choice = Leaf{.n = 7};
    CHECK(write_binary(m) == of({0xFA, 1, 2, 8, 7}));
    m.choice.emplace<0>(9);
    CHECK(write_binary(m) == of({0xF0, 1, 9}));
}

TEST_CASE("the size is known without writing") {
    Everything m;
    m.texts = {"a", std::string(300, 'x')};
    m.packed = repeated<std::int64_t>(1000, -1);
    Everything* at = &m;
    for (int depth = 0; depth != 10; ++depth) {
        at->reals = {1, 2, 3};
        at = &at->child.emplace();
    }
    CHECK(binary_size(m) == write_binary(m).size());
}

TEST_CASE("configurations and records have the bytes of the schema") {
    AMCTDistillConfig c{.batch_num = 300u};
    c.distill_group.push_back({.start_layer_name = "a", .end_layer_name = "bb"});
    c.distill_weight_quant_config = DistillWeightQuantConfig{ARQDistill{.dst_type = DataType::INT4}};
    c.quant_skip_layers = {"x", "y"};
    CHECK(write_binary(c) == of({8, 0xAC, 2, 0x52, 7, 10,   1, 'a', 18,  2,    'b', 'b', 0x62,
                                 4, 10,   2, 8,    0, 0xC2, 7, 1,   'x', 0xC2, 7,   1,   'y'}));
    ScaleOffsetRecord r;
    r.record.push_back({.key = "k", .value = SingleLayerRecord{.scale_d = 1.0f, .offset_d = -1}});
    r.record[0].value->scale_w = {1.0f, 2.0f};  // not packed: proto2
    CHECK(write_binary(r) ==
          of({10,  31,  10,  1,   'k', 18, 26, 13, 0, 0,    0x80, 0x3F, 16, 255, 255, 255, 255,
              255, 255, 255, 255, 255, 1,  29, 0,  0, 0x80, 0x3F, 29,   0,  0,   0,   0x40}));
}

}  // namespace wire_writer_test
