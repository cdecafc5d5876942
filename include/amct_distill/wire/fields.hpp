// SPDX-License-Identifier: Apache-2.0
/// A message's fields as protobuf's binary format knows them: numbers, wire types, codings.
///
/// The part that reader.hpp and writer.hpp share; all of it is decided by the compiler.
#pragma once
#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../reflect/boxed.hpp"
#include "../reflect/field_number.hpp"
#include "../reflect/labels.hpp"

namespace amct_distill::detail {

enum class WireType : std::uint8_t {
    varint = 0,
    fixed64 = 1,
    length = 2,  // strings, bytes, messages, packed numbers
    start_group = 3,
    end_group = 4,
    fixed32 = 5
};

template <class M>
concept NumberedMessage = requires(const M* m) {
    field_numbers(m).size();
};

/// A field as it is written; a oneof is replaced by its alternatives.
struct BinaryField {
    std::string_view name;
    std::uint32_t number;
    std::size_t member;       // index of the member
    std::size_t alternative;  // index in the oneof
    Packing packing;
    IntegerCoding coding;
};

template <std::size_t N>
constexpr FieldNumber number_of(std::string_view name, const std::array<FieldNumber, N>& numbers) {
    for (const FieldNumber& f : numbers)
        if (f.name == name) {
            if (f.number < 1 || f.number > 0x1FFFFFFF || (f.number >= 19000 && f.number <= 19999))
                throw "field_numbers: a number is 1 to 536870911, without 19000 to 19999";
            return f;
        }
    throw "field_numbers does not name all members of the message: add the one that is missing";
}

template <class M>
constexpr auto make_binary_fields() {
    static_assert(
        NumberedMessage<M>,
        "amct_distill: a message in protobuf's binary format tells the numbers of its fields: add "
        "`constexpr std::array<FieldNumber, N> field_numbers(const Message*)` beside it (those of the "
        "configuration and the record are in config/field_numbers.hpp)");
    std::array<BinaryField, text_fields<M>.size()> all{};
    constexpr auto numbers = field_numbers(static_cast<const M*>(nullptr));
    std::size_t named = 0;
    [&]<std::size_t... K>(std::index_sequence<K...>) {
        auto const add = [&]<std::size_t J>(std::integral_constant<std::size_t, J>) {
            constexpr TextField t = text_fields<M>[J];
            using F = reflect::field_type<M, t.member>;
            FieldNumber f{};
            if constexpr (is_oneof<F>) {
                using A = typename F::alternatives;
                static_assert(NumberedMessage<A>,
                              "amct_distill: the alternatives of a oneof tell their "
                              "numbers: add field_numbers(const Alternatives*)");
                f = number_of(t.name, field_numbers(static_cast<const A*>(nullptr)));
            } else {
                f = number_of(t.name, numbers);
                ++named;
            }
            all[J] = {t.name, f.number, t.member, t.alternative, f.packing, f.coding};
        };
        (add(std::integral_constant<std::size_t, K>{}), ...);
    }
    (std::make_index_sequence<text_fields<M>.size()>{});
    if (named != numbers.size()) throw "field_numbers names a field that the message does not have";
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
    for (std::size_t i = 1; i < all.size(); ++i)
        if (all[i].number == all[i - 1].number) throw "field_numbers gives two fields the same number";
    return all;
}

/// In order of their numbers, which is the order in which they are written.
template <class M>
inline constexpr auto binary_fields = make_binary_fields<M>();

template <class T>
concept StringLike = std::convertible_to<const T&, std::string_view>;

template <class T>
consteval WireType wire_type_of(IntegerCoding coding) {
    if constexpr (MessageType<T> || StringLike<T>)
        return WireType::length;
    else if constexpr (std::floating_point<T>)
        return sizeof(T) == 4 ? WireType::fixed32 : WireType::fixed64;
    else if constexpr (std::is_enum_v<T> || std::same_as<T, bool>)
        return WireType::varint;
    else {
        static_assert(
            std::integral<T> && (sizeof(T) == 4 || sizeof(T) == 8),
            "amct_distill: protobuf's binary format has bool, 32- and 64-bit integers, float, double, "
            "enums, strings, bytes and messages");
        return coding != IntegerCoding::fixed ? WireType::varint
               : sizeof(T) == 4               ? WireType::fixed32
                                              : WireType::fixed64;
    }
}

}  // namespace amct_distill::detail
