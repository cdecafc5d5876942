// SPDX-License-Identifier: Apache-2.0
/// The numbers of a message's fields in protobuf's binary format, found as `enumerators` is.
///
///     struct Point { optional<float> x{}; repeated<std::int32_t> path{}; };
///     constexpr std::array<FieldNumber, 2> field_numbers(const Point*) {
///         return {{{"x", 1}, {"path", 2, Packing::packed}}};
///     }
///
/// A oneof has no number of its own: those of its alternatives belong to the aggregate that names them.
#pragma once
#include <cstdint>
#include <string_view>

namespace amct_distill {

/// How a repeated number is written: each with a tag of its own (proto2's default), or all as one run of
/// bytes. Readers take both.
enum class Packing : bool { unpacked, packed };

/// How a whole number is written. `varint`: int32, uint32, int64, uint64 of the schema; `zigzag`: sint32,
/// sint64; `fixed`: fixed32, sfixed32, fixed64, sfixed64.
enum class IntegerCoding : std::uint8_t { varint, zigzag, fixed };

struct FieldNumber {
    std::string_view name;
    std::uint32_t number = 0;
    Packing packing = Packing::unpacked;
    IntegerCoding coding = IntegerCoding::varint;
};

}  // namespace amct_distill
