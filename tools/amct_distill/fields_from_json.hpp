// SPDX-License-Identifier: Apache-2.0
/// An aggregate from the JSON that fields_to_json() made of it.
///
///     ReportPage page;
///     fields_from_json(json, page, "");       // throws std::invalid_argument: which field, what is wrong
///
/// A field that is missing keeps its default. null is a number that was not finite: infinity for a signal to
/// noise (no noise), else NaN.
#pragma once
#include <amct_distill/core/concat.hpp>
#include <amct_distill/reflect/fields.hpp>
#include <boost/json/value.hpp>
#include <concepts>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace tool {

/// Whether a field is a signal to noise.
inline bool is_sqnr(std::string_view path) {
    return path.ends_with("sqnr") || path.ends_with("_int4") || path.ends_with("_int8") ||
           path.ends_with("all_but_this");
}

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
void fields_from_json(const boost::json::value& json, T& out, const std::string& path) {
    namespace ad = amct_distill;
    auto const expected = [&](std::string_view what) {
        throw std::invalid_argument(ad::detail::concat("`", path, "`: expected ", what));
    };
    if constexpr (std::same_as<T, bool>) {
        if (!json.is_bool()) expected("true or false");
        out = json.get_bool();
    } else if constexpr (std::is_enum_v<T>) {
        if (!json.is_int64()) expected("a whole number");
        out = static_cast<T>(json.get_int64());
    } else if constexpr (std::integral<T>) {
        boost::json::error_code error;
        out = json.to_number<T>(error);
        if (error) expected("a whole number");
    } else if constexpr (std::floating_point<T>) {
        if (json.is_null()) {
            out = is_sqnr(path) ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::quiet_NaN();
            return;
        }
        boost::json::error_code error;
        out = static_cast<T>(json.to_number<double>(error));
        if (error) expected("a number");
    } else if constexpr (std::same_as<T, std::string>) {
        if (!json.is_string()) expected("a text");
        out = std::string(json.get_string());
    } else if constexpr (is_optional<T>) {
        if (json.is_null()) return out.reset();
        fields_from_json(json, out.emplace(), path);
    } else if constexpr (requires { out.emplace_back(); }) {
        if (!json.is_array()) expected("a list");
        for (std::size_t i = 0; i != json.get_array().size(); ++i)
            fields_from_json(json.get_array()[i], out.emplace_back(), ad::detail::concat(path, "[", i, "]"));
    } else {
        static_assert(std::is_aggregate_v<T>);
        if (!json.is_object()) expected("an object");
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            auto const one = [&](std::string_view name, auto& field) {
                if (const auto* const value = json.get_object().if_contains(name))
                    fields_from_json(*value, field, ad::detail::concat(path, path.empty() ? "" : ".", name));
            };
            (one(ad::reflect::field_names<T>[I], ad::reflect::get<I>(out)), ...);
        }
        (std::make_index_sequence<ad::reflect::field_count<T>>{});
    }
}

}  // namespace tool
