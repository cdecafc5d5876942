// SPDX-License-Identifier: Apache-2.0
/// The labels of proto2 as member types, so that an aggregate reads like its .proto message.
///
///     struct Greeting {
///         required<std::string> name;             // leaving it out does not compile
///         optional<std::uint32_t, 1u> times{};    // [default = 1]
///         oneof<Tone> tone{};                     // struct Tone { Polite polite; Rude rude; };
///         repeated<std::string> languages{};
///     };
///     Greeting g{.name = "Ada"};   g.times.get() == 1;   g.times.has_value() == false;
///
/// A label that was read from a text knows its place in it, `position()`; two labels that differ only in
/// that are equal.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "../core/diagnostic.hpp"
#include "fields.hpp"
#include "unknown_fields.hpp"

namespace amct_distill {

namespace detail {
/// Where a field was read; {0, 0} when it was not.
class Located {
public:
    constexpr Position position() const noexcept {
        return line_ == 0 ? Position{} : Position{line_, column_};
    }
    constexpr void set_position(Position p) noexcept {
        line_ = static_cast<std::uint32_t>(p.line);
        column_ = static_cast<std::uint32_t>(p.column);
    }

protected:
    static constexpr std::uint32_t unset = 0xFFFFFFFF;  // a column that no place has
    constexpr bool is_marked_unset() const noexcept { return line_ == 0 && column_ == unset; }
    constexpr void mark_unset() noexcept { column_ = unset; }

private:
    std::uint32_t line_ = 0;
    std::uint32_t column_ = 0;
};

/// Tag: a message that is being read, its required fields not yet set.
struct Blank {
    explicit Blank() = default;
};
}  // namespace detail

/// `required`: a message spelled in C++ that leaves it out does not compile (but for clang 14, which misses
/// it).
template <class T>
class required : public detail::Located {
public:
    using value_type = T;

    constexpr required(T value) : value_(std::move(value)) {}
    template <class U>
    requires(std::is_class_v<T>&& std::is_convertible_v<U, T> &&
             !std::is_class_v<U>) constexpr required(const U& value)
        : value_(value) {}  // a string literal, for instance
    constexpr explicit required(detail::Blank) : value_() { mark_unset(); }
    /// False while a message is being read and this field was not met; set_position() ends that.
    constexpr bool is_set() const noexcept { return !is_marked_unset(); }
    /// Declared so that `Message{}` is well formed where it is not evaluated: Boost.PFR then counts fields
    /// by bisection, not one by one (minutes and gigabytes). Evaluating it is a compile-time error.
    consteval required() : value_((throw "a required field is missing", T())) {}

    constexpr const T& operator*() const noexcept { return value_; }
    constexpr T& operator*() noexcept { return value_; }
    constexpr const T* operator->() const noexcept { return &value_; }
    constexpr T* operator->() noexcept { return &value_; }
    constexpr operator const T&() const noexcept { return value_; }
    friend constexpr bool operator==(const required& a, const required& b) { return a.value_ == b.value_; }

private:
    T value_;
};

/// `optional`, with the schema's `[default = ...]` as part of the type.
template <class T, auto... Default>
class optional : public detail::Located {
public:
    using value_type = T;

    constexpr optional() = default;
    constexpr optional(T value) : value_(std::move(value)) {}
    template <class U>
    requires(std::is_class_v<T>&& std::is_convertible_v<U, T> &&
             !std::is_class_v<U>) constexpr optional(const U& value)
        : value_(value) {}
    constexpr optional(std::nullopt_t) {}

    constexpr bool has_value() const noexcept { return value_.has_value(); }
    constexpr explicit operator bool() const noexcept
        requires(!std::is_same_v<T, bool>)  // `if (fixed_min)` would ask the wrong question
    {
        return has_value();
    }
    /// Precondition: has_value().
    constexpr const T& operator*() const noexcept { return *value_; }
    constexpr T& operator*() noexcept { return *value_; }
    constexpr const T* operator->() const noexcept { return &*value_; }
    constexpr T* operator->() noexcept { return &*value_; }
    /// The value, or the schema's default.
    constexpr T get() const {
        if (value_) return *value_;
        return T(Default...);
    }
    template <class... A>
    constexpr T& emplace(A&&... a) {
        return value_.emplace(std::forward<A>(a)...);
    }
    constexpr void reset() noexcept { value_.reset(); }
    friend constexpr bool operator==(const optional& a, const optional& b) { return a.value_ == b.value_; }

private:
    std::optional<T> value_{};
};

/// `oneof`: `Alternatives` is an aggregate whose members name the alternatives.
template <class Alternatives>
class oneof : public detail::Located {
    template <class>
    struct Storage;
    template <std::size_t... I>
    struct Storage<std::index_sequence<I...>> {
        using type = std::variant<std::monostate, reflect::field_type<Alternatives, I>...>;
    };

public:
    using alternatives = Alternatives;
    static constexpr std::size_t size = reflect::field_count<Alternatives>;
    using variant = typename Storage<std::make_index_sequence<size>>::type;

    constexpr oneof() = default;
    template <class T>
    requires(!std::is_same_v<std::remove_cvref_t<T>, oneof> && std::is_constructible_v<variant, T> &&
             std::is_class_v<std::remove_cvref_t<T>>) constexpr oneof(T&& alternative)
        : value_(std::forward<T>(alternative)) {}

    constexpr bool has_value() const noexcept { return value_.index() != 0; }
    /// The field name of the alternative that is set, or "".
    constexpr std::string_view name() const noexcept {
        return has_value() ? reflect::field_names<Alternatives>[value_.index() - 1] : std::string_view{};
    }
    template <class T>
    constexpr const T* get_if() const noexcept {
        return std::get_if<T>(&value_);
    }
    /// Sets alternative `I`, counted from 0.
    template <std::size_t I, class... A>
    constexpr auto& emplace(A&&... a) {
        if (std::is_constant_evaluated()) {  // clang cannot evaluate emplace of libstdc++ 12
            std::destroy_at(&value_);
            std::construct_at(&value_, std::in_place_index<I + 1>, std::forward<A>(a)...);
            return *std::get_if<I + 1>(&value_);
        }
        return value_.template emplace<I + 1>(std::forward<A>(a)...);
    }
    /// The variant that holds it; `std::monostate` when nothing is set.
    constexpr const variant& value() const noexcept { return value_; }
    constexpr variant& value() noexcept { return value_; }
    friend constexpr bool operator==(const oneof& a, const oneof& b) { return a.value_ == b.value_; }

private:
    variant value_{};
};

/// `repeated`: a vector that knows where each element was read.
template <class T>
class repeated : public std::vector<T> {
public:
    using std::vector<T>::vector;

    /// Where element `i` was read; {0, 0} when the list was not read, or has changed in length since.
    Position position(std::size_t i) const noexcept {
        return positions_.size() == this->size() ? positions_[i].position() : Position{};
    }
    void note_position(Position p) {  // of the last element
        positions_.resize(this->size());
        positions_.back().set_position(p);
    }
    friend bool operator==(const repeated& a, const repeated& b) {
        return static_cast<const std::vector<T>&>(a) == static_cast<const std::vector<T>&>(b);
    }

private:
    std::vector<detail::Located> positions_{};
};

namespace detail {

template <class T>
inline constexpr bool is_required = false;
template <class T>
inline constexpr bool is_required<required<T>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T, auto... D>
inline constexpr bool is_optional<optional<T, D...>> = true;
template <class T>
inline constexpr bool is_oneof = false;
template <class A>
inline constexpr bool is_oneof<oneof<A>> = true;
template <class T>
concept ListField = requires(T list, typename T::value_type v) {
    list.push_back(std::move(v));
    list.back();
}
&&!requires(T s) { s.substr(); };
/// Messages are aggregates; everything else is a scalar.
template <class T>
concept MessageType = std::is_aggregate_v<T>;

template <class F>
constexpr F blank_field() {
    if constexpr (is_required<F>)
        return F(Blank{});
    else
        return F{};
}

/// A message with no field set, also where it has required ones.
template <class M>
constexpr M blank_message() {
    return []<std::size_t... I>(std::index_sequence<I...>) {
        return M{blank_field<reflect::field_type<M, I>>()...};
    }
    (std::make_index_sequence<reflect::field_count<M>>{});
}

/// A value to read into.
template <class T>
constexpr T blank_value() {
    if constexpr (MessageType<T>)
        return blank_message<T>();
    else
        return T{};
}

/// Where a message keeps the fields that it does not know; its number of members when it does not keep them.
template <class M>
inline constexpr std::size_t unknown_fields_member = []<std::size_t... I>(std::index_sequence<I...>) {
    std::size_t member = sizeof...(I);
    ((member = std::is_same_v<reflect::field_type<M, I>, UnknownFields> ? I : member), ...);
    return member;
}
(std::make_index_sequence<reflect::field_count<M>>{});
template <class M>
inline constexpr bool keeps_unknown_fields = unknown_fields_member<M> != reflect::field_count<M>;

/// The fields of a message as its texts name them: its members, a oneof replaced by its alternatives.
struct TextField {
    std::string_view name;
    std::size_t member;       // index of the member
    std::size_t alternative;  // index in the oneof
};
template <class M, std::size_t I>
consteval std::size_t text_field_width() {
    using F = reflect::field_type<M, I>;
    if constexpr (is_oneof<F>)
        return F::size;
    else
        return std::is_same_v<F, UnknownFields> ? 0 : 1;
}
template <class M>
inline constexpr auto text_fields = []<std::size_t... I>(std::index_sequence<I...>) {
    std::array<TextField, (std::size_t{0} + ... + text_field_width<M, I>())> all{};
    std::size_t n = 0;
    auto add = [&]<std::size_t J>(std::integral_constant<std::size_t, J>) {
        using F = reflect::field_type<M, J>;
        if constexpr (is_oneof<F>) {
            for (std::size_t a = 0; a != F::size; ++a)
                all[n++] = {reflect::field_names<typename F::alternatives>[a], J, a};
        } else if constexpr (!std::is_same_v<F, UnknownFields>) {
            all[n++] = {reflect::field_name<M, J>(), J, 0};
        }
    };
    (add(std::integral_constant<std::size_t, I>{}), ...);
    return all;
}
(std::make_index_sequence<reflect::field_count<M>>{});

}  // namespace detail
}  // namespace amct_distill
