// SPDX-License-Identifier: Apache-2.0
/// Protobuf's binary wire format into any aggregate message.
///
///     result<AMCTDistillConfig> config = read_binary<AMCTDistillConfig>(bytes, {.source = "quant.pb"});
///     if (!config) std::cerr << to_string(config.diagnostics());
///
/// As protobuf reads it: packed and unpacked numbers, unknown fields passed over, the last value of a
/// singular field wins, embedded messages merge. Members of type string_view are views into `bytes`: nothing
/// is copied, and the bytes must outlive the message. Groups are refused. Time is linear in the bytes, and so
/// is memory: what the message takes on the heap is at most `max_expansion` times the bytes, plus 64 KiB;
/// bytes that want more (two of them can spell an empty message of hundreds) are refused before it is
/// allocated.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "../core/result.hpp"
#include "cursor.hpp"
#include "fields.hpp"

namespace amct_distill {

namespace detail {

class WireReader : WireCursor {
public:
    using WireCursor::take_diagnostics, WireCursor::WireCursor;

    /// Reads all bytes into `message`; whether it is free of errors.
    template <class M>
    bool read(M& message) {
        note_required<M>();
        if (!fields_of(message)) return false;
        if (meets_required_) check_required(message);
        return ok_;
    }

private:
    /// A look ahead.
    struct Ahead : WireCursor {
        explicit Ahead(const WireCursor& from) : WireCursor(from, Silent{}) {}
        using WireCursor::at_, WireCursor::end_, WireCursor::read_tag, WireCursor::skip,
            WireCursor::count_packed;
    };
    enum class Outcome { done, not_mine, stopped };

    // ---- messages

    template <class M>
    bool fields_of(M& m) {
        constexpr auto& fields = binary_fields<M>;
        if (!reserve_lists(m, std::make_index_sequence<fields.size()>{})) return false;
        while (at_ != end_) {
            const char* const where = at_;
            std::uint32_t tag = 0;
            if (!read_tag(tag)) return false;
            std::size_t const k = index_of<M>(tag >> 3);
            Outcome outcome = Outcome::not_mine;
            if (k != fields.size())
                outcome = dispatch(m, k, where, static_cast<WireType>(tag & 7),
                                   std::make_index_sequence<fields.size()>{});
            if (outcome == Outcome::stopped) return false;
            if (outcome == Outcome::not_mine && !skip(static_cast<WireType>(tag & 7), where)) return false;
        }
        return true;
    }
    template <class M>
    static std::size_t index_of(std::uint32_t number) {
        constexpr auto& fields = binary_fields<M>;
        std::size_t k = 0;
        while (k != fields.size() && fields[k].number != number) ++k;
        return k;
    }
    template <class M, std::size_t... K>
    Outcome dispatch(M& m, std::size_t k, const char* where, WireType type, std::index_sequence<K...>) {
        using Handler = Outcome (WireReader::*)(M&, const char*, WireType);
        static constexpr std::array<Handler, sizeof...(K)> handlers{&WireReader::template field<M, K>...};
        return (this->*handlers[k])(m, where, type);
    }
    template <class M, std::size_t K>
    Outcome field(M& m, const char* where, WireType type) {
        constexpr BinaryField entry = binary_fields<M>[K];
        using F = reflect::field_type<M, entry.member>;
        auto& f = reflect::get<entry.member>(m);
        Step const here{entry.name, no_index, path_};
        path_ = &here;
        Outcome out{};
        if constexpr (ListField<F>) {
            out = elements<entry.coding>(f, type, here, where);
        } else if constexpr (is_oneof<F>) {
            using T = reflect::field_type<typename F::alternatives, entry.alternative>;
            constexpr std::size_t index = entry.alternative + 1;
            if constexpr (MessageType<T>) {
                out = type != WireType::length ? Outcome::not_mine
                      : f.value().index() == index
                          ? embedded(std::get<index>(f.value()), where)
                          : embedded(f.template emplace<entry.alternative>(blank_value<T>()), where);
            } else {
                T value{};
                out = scalar<entry.coding>(value, type, where);
                if (out == Outcome::done) f.template emplace<entry.alternative>(std::move(value));
            }
        } else if constexpr (MessageType<typename F::value_type>) {
            using T = typename F::value_type;
            if (type != WireType::length) {
                out = Outcome::not_mine;
            } else if constexpr (is_required<F>) {
                f.set_position({});
                out = embedded(*f, where);
            } else {
                if (!f.has_value()) {
                    if (is_boxed<F> && !charge(sizeof(T), where)) return Outcome::stopped;
                    f.emplace(blank_value<T>());
                }
                out = embedded(*f, where);
            }
        } else {
            typename F::value_type value{};
            out = scalar<entry.coding>(value, type, where);
            if (out == Outcome::done) f = F(std::move(value));
        }
        path_ = here.outer;
        return out;
    }
    template <class T>
    Outcome embedded(T& message, const char* where) {
        std::size_t length = 0;
        if (!read_length(length)) return Outcome::stopped;
        if (depth_ == options_.max_depth) {
            stop(where, concat("nested more than ", options_.max_depth, " messages deep"));
            return Outcome::stopped;
        }
        note_required<T>();
        const char* const outer_end = std::exchange(end_, at_ + length);
        ++depth_;
        bool const ok = fields_of(message);
        --depth_;
        end_ = outer_end;
        return ok ? Outcome::done : Outcome::stopped;
    }

    // ---- lists

    template <IntegerCoding Coding, class L>
    Outcome elements(L& list, WireType type, const Step& here, const char* where) {
        using T = typename L::value_type;
        if constexpr (MessageType<T>) {
            if (type != WireType::length) return Outcome::not_mine;
            Step const indexed{here.name, list.size(), here.outer};
            path_ = &indexed;
            list.push_back(blank_value<T>());
            return embedded(list.back(), where);
        } else if constexpr (StringLike<T>) {
            T value{};
            Outcome const out = scalar<Coding>(value, type, where);
            if (out == Outcome::done) list.push_back(std::move(value));
            return out;
        } else {
            if (type == WireType::length) return packed<Coding>(list);
            T value{};
            Outcome const out = scalar<Coding>(value, type, where);
            if (out == Outcome::done) list.push_back(value);
            return out;
        }
    }
    template <IntegerCoding Coding, class L>
    Outcome packed(L& list) {
        using T = typename L::value_type;
        constexpr WireType each = wire_type_of<T>(Coding);
        std::size_t length = 0;
        const char* const where = at_;
        if (!read_length(length)) return Outcome::stopped;
        const char* const run_end = at_ + length;
        if constexpr (each != WireType::varint) {
            if (length % sizeof(T) != 0) {
                stop(where, concat("a packed run of ", length, " bytes holds no whole number of values of ",
                                   sizeof(T)));
                return Outcome::stopped;
            }
            if (length == 0) return Outcome::done;  // memcpy wants pointers also for nothing
            std::size_t const old = list.size(), n = length / sizeof(T);
            list.resize(old + n);
            if constexpr (std::endian::native == std::endian::little) {
                std::memcpy(list.data() + old, at_, length);
                at_ = run_end;
            } else {
                for (std::size_t i = 0; i != n; ++i) list[old + i] = take_fixed<T>();
            }
        } else {
            const char* const outer_end = std::exchange(end_, run_end);
            while (at_ != run_end) {
                const char* const element = at_;
                T value{};
                Outcome const out = scalar<Coding>(value, each, element);
                if (out == Outcome::stopped) return out;
                if (out == Outcome::done) list.push_back(value);
                if (out == Outcome::not_mine && !skip(each, element)) return Outcome::stopped;
            }
            end_ = outer_end;
        }
        return Outcome::done;
    }

    /// Counts the elements that this message's bytes bring to each list, and makes room for them at once: so
    /// lists are allocated once, and a count that the heap's bound does not allow is refused before. Bytes
    /// that are malformed end the count; reading then says what is wrong.
    template <class M, std::size_t... K>
    bool reserve_lists(M& m, std::index_sequence<K...>) {
        if constexpr ((ListField<reflect::field_type<M, binary_fields<M>[K].member>> || ...)) {
            constexpr auto& fields = binary_fields<M>;
            std::array<std::size_t, sizeof...(K)> counts{};
            constexpr std::array<WireType, sizeof...(K)> packed_types{packed_type<M, K>()...};
            Ahead ahead(*this);
            while (ahead.at_ != ahead.end_) {
                std::uint32_t tag = 0;
                if (!ahead.read_tag(tag)) break;
                std::size_t const k = index_of<M>(tag >> 3);
                auto const type = static_cast<WireType>(tag & 7);
                const char* const value = ahead.at_;
                if (!ahead.skip(type, value)) break;
                if (k == fields.size()) continue;
                if (type == WireType::length && packed_types[k] != WireType::length)
                    counts[k] += ahead.count_packed(value, packed_types[k]);
                else
                    ++counts[k];
            }
            return (reserve<M, K>(m, counts[K]) && ...);
        } else {
            return true;
        }
    }
    /// The wire type of the numbers of a list; `length` for all else.
    template <class M, std::size_t K>
    static consteval WireType packed_type() {
        constexpr BinaryField entry = binary_fields<M>[K];
        using F = reflect::field_type<M, entry.member>;
        if constexpr (ListField<F>)
            return wire_type_of<typename F::value_type>(entry.coding);
        else
            return WireType::length;
    }
    template <class M, std::size_t K>
    bool reserve(M& m, std::size_t count) {
        constexpr BinaryField entry = binary_fields<M>[K];
        using F = reflect::field_type<M, entry.member>;
        if constexpr (ListField<F>) {
            using T = typename F::value_type;
            auto& list = reflect::get<entry.member>(m);
            if (count <= list.capacity() - list.size()) return true;
            // Lists of messages that merge grow geometrically, or merging would be quadratic.
            std::size_t const room = (std::max)(list.size() + count, 2 * list.capacity());
            Step const here{entry.name, no_index, path_};
            path_ = &here;
            bool const ok = charge(std::uint64_t{room} * sizeof(T) + 16, at_);
            path_ = here.outer;
            if (ok) list.reserve(room);
            return ok;
        } else {
            return true;
        }
    }
    // ---- scalars

    /// `not_mine`: the bytes are not of this type, or an enumerator that the schema does not have, and stay.
    template <IntegerCoding Coding, class T>
    Outcome scalar(T& v, WireType type, const char* where) {
        if (type != wire_type_of<T>(Coding)) return Outcome::not_mine;
        if constexpr (StringLike<T>) {
            std::size_t length = 0;
            if (!read_length(length)) return Outcome::stopped;
            if constexpr (!std::same_as<T, std::string_view>)
                if (!charge(length + 1, where)) return Outcome::stopped;
            v = T(std::string_view(at_, length));
            at_ += length;
        } else if constexpr (wire_type_of<T>(Coding) == WireType::varint) {
            const char* const start = at_;
            std::uint64_t n = 0;
            if (!read_varint(n)) return Outcome::stopped;
            if constexpr (std::is_enum_v<T>) {
                auto const number = static_cast<std::int32_t>(static_cast<std::uint32_t>(n));
                bool known = false;
                for (auto const& [name, value] : enumerators(T{}))
                    if (static_cast<std::int64_t>(value) == number) v = value, known = true;
                if (!known) {
                    at_ = start;
                    warn(where, concat("unknown enumerator ", number, "; the field counts as not set"));
                    return Outcome::not_mine;
                }
            } else if constexpr (std::same_as<T, bool>) {
                v = n != 0;
            } else {
                using U = std::make_unsigned_t<T>;
                auto const u = static_cast<U>(n);
                if constexpr (Coding == IntegerCoding::zigzag)
                    v = static_cast<T>((u >> 1) ^ (U{0} - (u & 1)));
                else
                    v = static_cast<T>(u);
            }
        } else {
            if (static_cast<std::size_t>(end_ - at_) < sizeof(T)) {
                stop(where,
                     concat("a value takes ", sizeof(T), " bytes, but the bytes left are ", end_ - at_));
                return Outcome::stopped;
            }
            v = take_fixed<T>();
        }
        return Outcome::done;
    }
    // ---- required fields: asked for after the reading, since messages merge

    template <class M>
    void note_required() {
        meets_required_ = meets_required_ || []<std::size_t... I>(std::index_sequence<I...>) {
            return (is_required<reflect::field_type<M, I>> || ...);
        }
        (std::make_index_sequence<reflect::field_count<M>>{});
    }
    template <class M>
    void check_required(const M& m) {
        [&]<std::size_t... I>(std::index_sequence<I...>) { (check_member<M, I>(reflect::get<I>(m)), ...); }
        (std::make_index_sequence<reflect::field_count<M>>{});
    }
    template <class M, std::size_t I, class F>
    void check_member(const F& f) {
        Step here{reflect::field_name<M, I>(), no_index, path_};
        path_ = &here;
        if constexpr (is_oneof<F>) {
            here.name = f.name();
            std::visit(
                [&]<class T>(const T& alternative) {
                    if constexpr (MessageType<T> && !std::is_same_v<T, std::monostate>)
                        check_required(alternative);
                },
                f.value());
        } else if constexpr (ListField<F>) {
            if constexpr (MessageType<typename F::value_type>) {
                for (here.index = 0; here.index != f.size(); ++here.index) check_required(f[here.index]);
            }
        } else if constexpr (!std::is_same_v<F, UnknownFields>) {
            if constexpr (is_required<F>)
                if (!f.is_set()) report(Severity::error, "this field is required, and missing");
            if constexpr (MessageType<typename F::value_type>) {
                if constexpr (is_required<F>)
                    check_required(*f);
                else if (f.has_value())
                    check_required(*f);
            }
        }
        path_ = here.outer;
    }
};

}  // namespace detail

/// Reads a message. Warnings ride on the value; without a value, the first error ends the reading, or all
/// required fields that are missing are told.
template <class M>
result<M> read_binary(std::string_view bytes, const BinaryOptions& options = {}) {
    M message = detail::blank_message<M>();
    detail::WireReader reader(bytes, options);
    bool const ok = reader.read(message);
    if (!ok) return reader.take_diagnostics();
    return {std::move(message), reader.take_diagnostics()};
}

}  // namespace amct_distill
