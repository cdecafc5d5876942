// SPDX-License-Identifier: Apache-2.0
/// The values that a plan's JSON is made of, taken with their types; what is wrong is a finding with its
/// place.
///
///     JsonItem const item{value, places, "conv1.quant_enable"};
///     std::optional<bool> enable = boolean(item);   // 3:11: conv1.quant_enable: expected true ...
///
/// The part of json_reader.hpp that knows no plan.
#pragma once
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../core/concat.hpp"
#include "../core/diagnostic_list.hpp"
#include "../core/suggest.hpp"
#include "json_places.hpp"

namespace amct_distill::detail {

/// A value of the text, its place, and the keys that lead to it.
struct JsonItem {
    const boost::json::value& value;
    const JsonPlaces& places;
    std::string path{};
};

/// What a value is, for "..., found X".
inline std::string found_json(const boost::json::value& value) {
    if (value.is_object()) return "an object";
    if (value.is_array()) return "a list";
    std::string text = boost::json::serialize(value);
    return text.size() <= 40 ? text : std::string("a long string");  // the others are shorter
}

/// The scalars of the plan's JSON, and its objects with their keys; what is wrong is a finding.
class JsonValues {
public:
    explicit JsonValues(DiagnosticList& found) : found_(found) {}

protected:
    void error(const JsonItem& at, std::string message) const {
        found_.error(at.places.where, at.path, std::move(message));
    }
    void unexpected(const JsonItem& at, std::string_view expected) const {
        error(at, concat("expected ", expected, ", found ", found_json(at.value)));
    }
    std::optional<bool> boolean(const JsonItem& at) const {
        if (at.value.is_bool()) return at.value.get_bool();
        return unexpected(at, "true or false"), std::nullopt;
    }
    std::optional<std::uint32_t> at_least_one(const JsonItem& at) const {
        if (const auto* n = at.value.if_int64())
            if (*n >= 1 && *n <= std::int64_t{(std::numeric_limits<std::uint32_t>::max)()})
                return static_cast<std::uint32_t>(*n);
        return unexpected(at, "a whole number from 1 to 4294967295"), std::nullopt;
    }
    std::optional<std::string_view> string(const JsonItem& at, std::string_view expected) const {
        if (const auto* s = at.value.if_string()) return std::string_view(*s);
        return unexpected(at, expected), std::nullopt;
    }
    /// A number with a point or an exponent, as the original wants it, to the nearest float.
    std::optional<float> clip(const JsonItem& at, bool positive) const {
        if (const auto* x = at.value.if_double())
            if (std::abs(*x) <= static_cast<double>((std::numeric_limits<float>::max)())) {
                auto const clip = static_cast<float>(*x);
                if (positive ? clip > 0 : clip < 0) return clip;
            }
        unexpected(at, positive ? "a float32 above 0, as 6.0" : "a float32 below 0, as -6.0");
        return std::nullopt;
    }
    template <class E>
    std::optional<E> enumerator(const JsonItem& at) const {
        std::string expected;
        for (const auto& [name, value] : enumerators(E{})) {
            if (at.value == boost::json::value(boost::json::string_view(name.data(), name.size())))
                return value;
            append(expected, concat(expected.empty() ? "\"" : " or \"", name, '"'));
        }
        return unexpected(at, expected), std::nullopt;
    }

    /// Calls `f(key, item)` for each member; false, and a finding, when the value is no object.
    template <class F>
    bool members(const JsonItem& at, F&& f) const {
        const auto* object = at.value.if_object();
        if (object == nullptr) return unexpected(at, "an object"), false;
        std::size_t i = 0;
        for (const auto& member : *object) {
            std::string_view const key(member.key().data(), member.key().size());
            f(key, JsonItem{member.value(), at.places.children[i++],
                            at.path.empty() ? std::string(key) : concat(at.path, '.', key)});
        }
        return true;
    }
    template <class Names>
    void unknown_key(const JsonItem& at, std::string_view key, const Names& known) const {
        std::string_view const closest = nearest(key, known);
        error(at, closest.empty() ? concat("unknown key; what can stand here is ", quoted_list(known))
                                  : concat("unknown key; did you mean `", closest, "`?"));
    }

    DiagnosticList& found_;
};

}  // namespace amct_distill::detail
