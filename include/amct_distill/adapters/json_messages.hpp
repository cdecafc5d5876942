// SPDX-License-Identifier: Apache-2.0
/// Messages as JSON objects and back, by reflection: what an algorithm of one's own has beside AMCT's.
///
///     boost::json::value const v = detail::to_json_value(message);  // {"exponent": 3, "levels": [1.0]}
///     std::optional<MyPow2> m = value<MyPow2>(item);                      // as a member of JsonMessages
///
/// Needs Boost.JSON, as json.hpp. A field that is not set has no key; floats are widened to double.
#pragma once
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "../plan/common_settings.hpp"
#include "../reflect/labels.hpp"
#include "json_values.hpp"

namespace amct_distill::detail {

template <class M>
boost::json::object to_json_object(const M& message);

template <class T>
boost::json::value to_json_value(const T& value) {
    if constexpr (MessageType<T>)
        return to_json_object(value);
    else if constexpr (std::is_enum_v<T>)
        return boost::json::value(boost::json::string_view(name_of(value).data(), name_of(value).size()));
    else if constexpr (std::floating_point<T>)
        return boost::json::value(static_cast<double>(value));
    else if constexpr (std::same_as<T, bool>)
        return boost::json::value(value);
    else if constexpr (std::signed_integral<T>)
        return boost::json::value(std::int64_t{value});
    else if constexpr (std::unsigned_integral<T>)
        return boost::json::value(std::uint64_t{value});
    else
        return boost::json::value(boost::json::string_view(value.data(), value.size()));
}

/// Adds a member of a message, when it is set.
template <class F>
void add_json_field(boost::json::object& out, std::string_view name, const F& field) {
    boost::json::string_view const key(name.data(), name.size());
    if constexpr (ListField<F>) {
        boost::json::array all;
        for (const auto& element : field) all.push_back(to_json_value(element));
        if (!all.empty()) out[key] = std::move(all);
    } else if constexpr (is_oneof<F>) {
        std::visit(
            [&]<class T>(const T& alternative) {
                if constexpr (!std::is_same_v<T, std::monostate>)
                    add_json_field(out, field.name(), required<T>(alternative));
            },
            field.value());
    } else if constexpr (is_required<F>) {
        out[key] = to_json_value(*field);
    } else if constexpr (is_optional<F>) {
        if (field.has_value()) out[key] = to_json_value(*field);
    }
}
template <class M>
boost::json::object to_json_object(const M& message) {
    boost::json::object out;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (add_json_field(out, reflect::field_name<M, I>(), reflect::get<I>(message)), ...);
    }
    (std::make_index_sequence<reflect::field_count<M>>{});
    return out;
}

/// Values of the types that messages are made of.
class JsonMessages : public JsonValues {
protected:
    using JsonValues::JsonValues;

    template <class T>
    std::optional<T> value(const JsonItem& at) const {
        if constexpr (MessageType<T>) {
            T message = blank_message<T>();
            return read_message(at, message) ? std::optional<T>(std::move(message)) : std::nullopt;
        } else if constexpr (std::is_enum_v<T>) {
            return enumerator<T>(at);
        } else if constexpr (std::same_as<T, bool>) {
            return boolean(at);
        } else if constexpr (std::integral<T>) {
            return whole_number<T>(at);
        } else if constexpr (std::floating_point<T>) {
            if (at.value.is_number()) {
                auto const x = at.value.to_number<double>();
                if (std::abs(x) <= static_cast<double>((std::numeric_limits<T>::max)()))
                    return static_cast<T>(x);
            }
            return unexpected(at, "a number"), std::nullopt;
        } else {
            auto const text = string(at, "a string");
            return text ? std::optional<T>(T(std::string(*text))) : std::nullopt;
        }
    }
    /// The members of a message; false, and a finding, when one is wrong, unknown or missing.
    template <class M>
    bool read_message(const JsonItem& at, M& message) const {
        bool ok = true;
        std::vector<std::string_view> met;
        ok = members(at,
                     [&](std::string_view key, const JsonItem& item) {
                         met.push_back(key);
                         if (!is_field<M>(key)) {
                             unknown_key(item, key, names_of_fields<M>());
                             ok = false;
                         } else if (!read_field(message, key, item)) {
                             ok = false;
                         }
                     }) &&
             ok;
        return check_required<M>(at, met) && ok;
    }
    template <class M>
    static bool is_field(std::string_view key) {
        for (const TextField& f : text_fields<M>)
            if (f.name == key) return true;
        return false;
    }
    template <class M>
    static std::vector<std::string_view> names_of_fields() {
        std::vector<std::string_view> names;
        for (const TextField& f : text_fields<M>) names.push_back(f.name);
        return names;
    }
    /// The field of that key; false when its value is wrong. Precondition: is_field<M>(key).
    template <class M>
    bool read_field(M& message, std::string_view key, const JsonItem& item) const {
        bool ok = true;
        [&]<std::size_t... K>(std::index_sequence<K...>) {
            ((text_fields<M>[K].name == key ? void(ok = read_member<M, K>(message, item)) : void()), ...);
        }
        (std::make_index_sequence<text_fields<M>.size()>{});
        return ok;
    }
    template <class M>
    bool check_required(const JsonItem& at, const std::vector<std::string_view>& met) const {
        bool ok = true;
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            auto const look_for = [&](std::string_view name, bool is_one) {
                if (!is_one || std::find(met.begin(), met.end(), name) != met.end()) return;
                error(at, concat("missing key `", name, '`'));
                ok = false;
            };
            (look_for(reflect::field_name<M, I>(), is_required<reflect::field_type<M, I>>), ...);
        }
        (std::make_index_sequence<reflect::field_count<M>>{});
        return ok;
    }

private:
    template <class M, std::size_t K>
    bool read_member(M& message, const JsonItem& item) const {
        constexpr TextField entry = text_fields<M>[K];
        using F = reflect::field_type<M, entry.member>;
        auto& field = reflect::get<entry.member>(message);
        if constexpr (ListField<F>) {
            const auto* all = item.value.if_array();
            if (all == nullptr) return unexpected(item, "a list"), false;
            bool ok = true;
            for (std::size_t i = 0; i != all->size(); ++i) {
                auto element = value<typename F::value_type>(
                    {(*all)[i], item.places.children[i], concat(item.path, '[', i, ']')});
                if (element) field.push_back(*std::move(element));
                ok = ok && element.has_value();
            }
            return ok;
        } else {
            field.set_position(item.places.where);
            if constexpr (is_oneof<F>) {
                auto v = value<reflect::field_type<typename F::alternatives, entry.alternative>>(item);
                if (v) field.template emplace<entry.alternative>(*std::move(v));
                return v.has_value();
            } else {
                auto v = value<typename F::value_type>(item);
                if (!v) return false;
                if constexpr (is_required<F>)
                    *field = *std::move(v);
                else
                    field.emplace(*std::move(v));
                return true;
            }
        }
    }
    template <class T>
    std::optional<T> whole_number(const JsonItem& at) const {
        if (const auto* n = at.value.if_int64())
            if (std::in_range<T>(*n)) return static_cast<T>(*n);
        if (const auto* n = at.value.if_uint64())
            if (std::in_range<T>(*n)) return static_cast<T>(*n);
        unexpected(at, concat("a whole number from ", (std::numeric_limits<T>::min)(), " to ",
                              (std::numeric_limits<T>::max)()));
        return std::nullopt;
    }
};

}  // namespace amct_distill::detail
