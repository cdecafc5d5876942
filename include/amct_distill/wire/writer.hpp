// SPDX-License-Identifier: Apache-2.0
/// Any aggregate message in protobuf's binary wire format.
///
///     std::string bytes = write_binary(config);
///     read_binary<AMCTDistillConfig>(bytes).value() == config
///     binary_size(config) == bytes.size()
///
/// The bytes that protobuf writes: fields in order of their numbers, packed where the schema says so.
/// protobuf reads messages below 2 GiB only; ask binary_size() where a message may be larger.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "fields.hpp"

namespace amct_distill {
namespace detail {

constexpr std::size_t varint_size(std::uint64_t v) {
    return v == 0 ? 1 : (static_cast<std::size_t>(std::bit_width(v)) + 6) / 7;
}

/// What a scalar is as a varint.
template <IntegerCoding Coding, class T>
constexpr std::uint64_t to_varint(T v) {
    if constexpr (std::is_enum_v<T>) {
        return to_varint<IntegerCoding::varint>(static_cast<std::int32_t>(v));
    } else if constexpr (std::is_same_v<T, bool>) {
        return v ? 1 : 0;
    } else if constexpr (Coding == IntegerCoding::zigzag) {
        using U = std::make_unsigned_t<T>;
        return static_cast<U>((static_cast<U>(v) << 1) ^ (v < 0 ? ~U{0} : U{0}));
    } else if constexpr (std::is_signed_v<T>) {
        return static_cast<std::uint64_t>(static_cast<std::int64_t>(v));
    } else {
        return v;
    }
}

/// Goes through a message twice: first for sizes, then for bytes. What the first learns of messages and
/// packed runs is kept in the order in which the second asks for it.
class WireWriter {
public:
    template <class M>
    std::size_t size_of(const M& m) {
        return [&]<std::size_t... K>(std::index_sequence<K...>) {
            return (std::size_t{0} + ... + field_size<M, K>(m));
        }
        (std::make_index_sequence<binary_fields<M>.size()>{});
    }
    /// Appends the message that size_of() has measured before.
    template <class M>
    void write(const M& m, std::string& out) {
        [&]<std::size_t... K>(std::index_sequence<K...>) { (write_field<M, K>(m, out), ...); }
        (std::make_index_sequence<binary_fields<M>.size()>{});
    }

private:
    template <class M, std::size_t K>
    static constexpr std::uint32_t tag(WireType type) {
        return binary_fields<M>[K].number << 3 | static_cast<std::uint32_t>(type);
    }
    template <class M, std::size_t K>
    using field_of = reflect::field_type<M, binary_fields<M>[K].member>;
    template <class M, std::size_t K>
    static consteval bool is_packed() {
        if constexpr (ListField<field_of<M, K>>) {
            using T = typename field_of<M, K>::value_type;
            if (MessageType<T> || StringLike<T>) return false;
            return binary_fields<M>[K].packing == Packing::packed;
        } else {
            return false;
        }
    }
    /// Calls `f` with every value of the field.
    template <class M, std::size_t K, class F>
    static void each_value(const M& m, F&& f) {
        constexpr BinaryField entry = binary_fields<M>[K];
        using Field = field_of<M, K>;
        const Field& field = reflect::get<entry.member>(m);
        if constexpr (ListField<Field>) {
            using T = typename Field::value_type;
            for (const T& value : field) f(value);
        } else if constexpr (is_oneof<Field>) {
            if (field.value().index() == entry.alternative + 1)
                f(*std::get_if<entry.alternative + 1>(&field.value()));
        } else if constexpr (is_required<Field>) {
            f(*field);
        } else {
            static_assert(is_optional<Field> || is_boxed<Field>,
                          "a member of a message is required<T>, optional<T>, boxed<T>, oneof<T> or a list");
            if (field.has_value()) f(*field);
        }
    }

    template <class M, std::size_t K>
    std::size_t field_size(const M& m) {
        constexpr IntegerCoding coding = binary_fields<M>[K].coding;
        constexpr std::size_t tag_size = varint_size(tag<M, K>(WireType::varint));
        std::size_t size = 0;
        if constexpr (is_packed<M, K>()) {
            each_value<M, K>(m, [&](const auto& v) { size += value_size<coding>(v); });
            if (size == 0) return 0;  // no elements: each takes at least a byte
            sizes_.push_back(size);
            return tag_size + varint_size(size) + size;
        } else {
            each_value<M, K>(m, [&](const auto& v) { size += tag_size + value_size<coding>(v); });
            return size;
        }
    }
    template <IntegerCoding Coding, class T>
    std::size_t value_size(const T& v) {
        if constexpr (MessageType<T>) {
            std::size_t const slot = sizes_.size();
            sizes_.push_back(0);
            std::size_t const size = size_of(v);
            sizes_[slot] = size;
            return varint_size(size) + size;
        } else if constexpr (StringLike<T>) {
            std::string_view const s = v;
            return varint_size(s.size()) + s.size();
        } else if constexpr (wire_type_of<T>(Coding) == WireType::varint) {
            return varint_size(to_varint<Coding>(v));
        } else {
            return sizeof(T);
        }
    }

    template <class M, std::size_t K>
    void write_field(const M& m, std::string& out) {
        constexpr BinaryField entry = binary_fields<M>[K];
        if constexpr (is_packed<M, K>()) {
            if (reflect::get<entry.member>(m).empty()) return;
            write_varint(tag<M, K>(WireType::length), out);
            write_varint(sizes_[next_++], out);
            each_value<M, K>(m, [&](const auto& v) { write_value<entry.coding>(v, out); });
        } else {
            each_value<M, K>(m, [&]<class T>(const T& v) {
                write_varint(tag<M, K>(wire_type_of<T>(entry.coding)), out);
                write_value<entry.coding>(v, out);
            });
        }
    }
    template <IntegerCoding Coding, class T>
    void write_value(const T& v, std::string& out) {
        if constexpr (MessageType<T>) {
            write_varint(sizes_[next_++], out);
            write(v, out);
        } else if constexpr (StringLike<T>) {
            std::string_view const s = v;
            write_varint(s.size(), out);
            out.append(s);
        } else if constexpr (wire_type_of<T>(Coding) == WireType::varint) {
            write_varint(to_varint<Coding>(v), out);
        } else {
            using U = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
            auto const u = std::bit_cast<U>(v);
            char bytes[sizeof(T)];
            for (std::size_t i = 0; i != sizeof(T); ++i) bytes[i] = static_cast<char>(u >> (8 * i) & 0xFF);
            out.append(bytes, sizeof(T));
        }
    }
    static void write_varint(std::uint64_t v, std::string& out) {
        for (; v >= 0x80; v >>= 7) out.push_back(static_cast<char>((v & 0x7F) | 0x80));
        out.push_back(static_cast<char>(v));
    }

    std::vector<std::size_t> sizes_{};
    std::size_t next_ = 0;
};

}  // namespace detail

/// How many bytes write_binary() gives.
template <class M>
requires detail::MessageType<M> std::size_t binary_size(const M& message) {
    return detail::WireWriter().size_of(message);
}

template <class M>
requires detail::MessageType<M> std::string write_binary(const M& message) {
    detail::WireWriter writer;
    std::string out;
    out.reserve(writer.size_of(message));
    writer.write(message, out);
    return out;
}

}  // namespace amct_distill
