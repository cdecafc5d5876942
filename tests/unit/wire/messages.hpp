// SPDX-License-Identifier: Apache-2.0
/// A message with a field of every kind, and what the tests of the binary format share.
#pragma once
#include <amct_distill/reflect/boxed.hpp>
#include <amct_distill/reflect/bytes.hpp>
#include <amct_distill/reflect/field_number.hpp>
#include <amct_distill/reflect/labels.hpp>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace wire_test {

using namespace amct_distill;

enum class Color { RED = 0, BLUE = 5, NEGATIVE = -1 };
constexpr std::array<std::pair<std::string_view, Color>, 3> enumerators(Color) {
    return {{{"RED", Color::RED}, {"BLUE", Color::BLUE}, {"NEGATIVE", Color::NEGATIVE}}};
}

struct Pair {
    required<std::int32_t> a;
    required<std::string> b;
    friend bool operator==(const Pair&, const Pair&) = default;
};
constexpr std::array<FieldNumber, 2> field_numbers(const Pair*) { return {{{"a", 1}, {"b", 2}}}; }

struct Leaf {
    optional<std::int32_t> n{};
    repeated<std::uint32_t> list{};
    friend bool operator==(const Leaf&, const Leaf&) = default;
};
constexpr std::array<FieldNumber, 2> field_numbers(const Leaf*) { return {{{"n", 1}, {"list", 2}}}; }

struct Choice {
    std::int64_t number;
    std::string text;
    Leaf leaf;
};
constexpr std::array<FieldNumber, 3> field_numbers(const Choice*) {
    return {{{"number", 30}, {"text", 2}, {"leaf", 31}}};
}

struct Everything {
    optional<std::int32_t> i32{};
    oneof<Choice> choice{};
    optional<std::int64_t> i64{};
    optional<std::uint32_t> u32{};
    optional<std::uint64_t> u64{};
    optional<std::int32_t> s32{};
    optional<std::int64_t> s64{};
    optional<std::uint32_t> f32{};
    optional<std::int64_t> sf64{};
    optional<bool> flag{};
    optional<float> real{};
    optional<double> wide{};
    optional<Color> color{};
    optional<bytes> blob{};
    optional<Pair> pair{};
    boxed<Everything> child{};
    repeated<std::int64_t> plain{};
    repeated<std::int64_t> packed{};
    repeated<std::int64_t> zigzags{};
    repeated<std::uint64_t> fixed{};
    repeated<float> reals{};
    repeated<Color> colors{};
    repeated<bool> flags{};
    repeated<std::string> texts{};
    repeated<Pair> pairs{};
    friend bool operator==(const Everything&, const Everything&) = default;
};
constexpr std::array<FieldNumber, 24> field_numbers(const Everything*) {
    using enum Packing;
    using enum IntegerCoding;
    return {{{"i32", 1},
             {"i64", 3},
             {"u32", 4},
             {"u64", 5},
             {"s32", 6, unpacked, zigzag},
             {"s64", 7, unpacked, zigzag},
             {"f32", 8, unpacked, IntegerCoding::fixed},
             {"sf64", 9, unpacked, IntegerCoding::fixed},
             {"flag", 10},
             {"real", 11},
             {"wide", 12},
             {"color", 13},
             {"blob", 14},
             {"pair", 15},
             {"child", 16},
             {"plain", 17},
             {"packed", 18, Packing::packed},
             {"zigzags", 19, Packing::packed, zigzag},
             {"fixed", 20, Packing::packed, IntegerCoding::fixed},
             {"reals", 21, Packing::packed},
             {"colors", 22, Packing::packed},
             {"flags", 2047},
             {"texts", 2048},
             {"pairs", 536870911}}};
}

/// Bytes, spelled as numbers.
inline std::string of(std::initializer_list<int> numbers) {
    std::string out;
    for (int n : numbers) out += static_cast<char>(n);
    return out;
}

}  // namespace wire_test
