// SPDX-License-Identifier: Apache-2.0
/// Reports as JSON: objects with the names that their fields have in C++, by reflection.
///
///     boost::json::object json = to_json(report).as_object();              // a DistillReport
///     json["verify"] = to_json(verify(deployment, batches).value());
///     json["run"] = fields_to_json(mine);                                  // any aggregate of yours
///     write_file("report.json", print_json(json)).value();
///
/// Needs Boost.JSON, as json.hpp. Not part of amct_distill.hpp. JSON has no infinities: what is not finite is
/// null.
#pragma once
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <optional>
#include <ranges>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../deploy/verify_report.hpp"
#include "../distill/report.hpp"
#include "../reflect/fields.hpp"
#include "json.hpp"

namespace amct_distill {
namespace detail {

template <class T>
inline constexpr bool is_std_optional = false;
template <class T>
inline constexpr bool is_std_optional<std::optional<T>> = true;

template <class T>
boost::json::value value_to_json(const T& v) {
    if constexpr (std::same_as<T, bool> || std::integral<T>) {
        return v;
    } else if constexpr (std::floating_point<T>) {
        return std::isfinite(v) ? boost::json::value(static_cast<double>(v)) : boost::json::value(nullptr);
    } else if constexpr (std::convertible_to<const T&, std::string_view>) {
        std::string_view const text = v;
        return boost::json::value(boost::json::string_view(text.data(), text.size()));
    } else if constexpr (std::is_enum_v<T>) {
        return static_cast<std::underlying_type_t<T>>(v);
    } else if constexpr (is_std_optional<T>) {
        return v ? value_to_json(*v) : boost::json::value(nullptr);
    } else if constexpr (std::ranges::range<const T>) {
        boost::json::array list;
        for (const auto& element : v) list.push_back(value_to_json(element));
        return list;
    } else {
        static_assert(std::is_aggregate_v<T>,
                      "fields_to_json: a field is a number, an enumerator, a text, an optional, a list or an "
                      "aggregate of "
                      "these");
        boost::json::object object;
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            ((object[reflect::field_names<T>[I]] = value_to_json(reflect::get<I>(v))), ...);
        }
        (std::make_index_sequence<reflect::field_count<T>>{});
        return object;
    }
}

}  // namespace detail

/// The fields of any aggregate, and of the aggregates in it; float widened to double, enumerators by number.
template <class T>
requires std::is_aggregate_v<T> boost::json::object fields_to_json(const T& aggregate) {
    return std::move(detail::value_to_json(aggregate).as_object());
}

inline boost::json::value to_json(const DistillReport& report) { return fields_to_json(report); }
/// The fields, and what they come to as `agrees`.
inline boost::json::value to_json(const VerifyReport& report) {
    boost::json::object json = fields_to_json(report);
    json["agrees"] = report.agrees();
    return json;
}

}  // namespace amct_distill
