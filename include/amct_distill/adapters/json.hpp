// SPDX-License-Identifier: Apache-2.0
/// A plan as the JSON that AMCT's `create_distill_config` writes.
///
///     std::ofstream("distill.json") << print_json(to_json(plan));
///
/// Needs Boost.JSON: link Boost::json, or write `#include <boost/json/src.hpp>` in one source file of the
/// program. Not part of amct_distill.hpp.
#pragma once
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>

#include "../core/concat.hpp"
#include "../core/number.hpp"
#include "../plan/common_settings.hpp"
#include "../plan/plan.hpp"
#include "json_messages.hpp"

namespace amct_distill {
namespace detail {

/// The shortest decimal that reads back, spelled as Python's repr: `1.0`, `0.10000000149011612`, `1e-05`,
/// `1e+16`.
inline std::string python_repr(double x) {
    if (std::isnan(x)) return "NaN";
    if (std::isinf(x)) return x < 0 ? "-Infinity" : "Infinity";
    std::string const scientific = number(x, std::chars_format::scientific);
    int const exponent = std::atoi(scientific.c_str() + scientific.find('e') + 1);
    if (exponent < -4 || exponent >= 16) return scientific;
    std::string fixed = number(x, std::chars_format::fixed);
    if (fixed.find('.') == fixed.npos) fixed += ".0";
    return fixed;
}

/// Whether a setting has a place of its own in the original's JSON.
template <class M>
constexpr bool is_amct_setting(std::string_view name) {
    if constexpr (requires(const M& m) { m.clip_max_min->clip_max; })
        if (name == "clip_max_min") return true;
    if constexpr (requires(const M& m) { m.fixed_min.get(); })
        if (name == "fixed_min") return true;
    return (HasChannelWise<M> && name == "channel_wise") || (HasDstType<M> && name == "dst_type");
}
/// The settings of an algorithm of one's own that are set.
template <class M>
void add_own_settings(boost::json::object& out, const M& message) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        [[maybe_unused]] auto const add = [&](std::string_view name, const auto& field) {
            if (!is_amct_setting<M>(name)) add_json_field(out, name, field);
        };
        (add(reflect::field_name<M, I>(), reflect::get<I>(message)), ...);
    }
    (std::make_index_sequence<reflect::field_count<M>>{});
}

/// `algo`, then the settings in the order of the original, then those of one's own in the message's order.
/// `fixed_min` and the clips appear only when the user set them.
template <class Alternatives>
boost::json::object algorithm_to_json(const oneof<Alternatives>& algorithm, const AlgorithmProvenance& from) {
    boost::json::object out;
    out["algo"] = algorithm.name();
    std::visit(
        [&]<class M>(const M& message) {
            if constexpr (requires { message.clip_max_min->clip_max; })
                if (message.clip_max_min.has_value()) {
                    out["clip_max"] = static_cast<double>(*message.clip_max_min->clip_max);
                    out["clip_min"] = static_cast<double>(*message.clip_max_min->clip_min);
                }
            if constexpr (requires { message.fixed_min.get(); })
                if (from["fixed_min"].by_user) out["fixed_min"] = message.fixed_min.get();
            if constexpr (HasChannelWise<M>) out["channel_wise"] = message.channel_wise.get();
            if constexpr (HasDstType<M>) out["dst_type"] = name_of(message.dst_type.get());
            if constexpr (!std::is_same_v<M, std::monostate>) add_own_settings(out, message);
        },
        algorithm.value());
    return out;
}

inline void print_json(std::string& out, const boost::json::value& value, std::size_t indent) {
    auto const line = [&](std::size_t width) { append(out, concat('\n', std::string(width, ' '))); };
    auto const list = [&](const auto& items, char open, char close, const auto& print_item) {
        out += open;
        bool first = true;
        for (const auto& item : items) {
            if (!first) out += ',';
            first = false;
            line(indent + 4);
            print_item(item);
        }
        if (!first) line(indent);
        out += close;
    };
    if (const auto* object = value.if_object())
        list(*object, '{', '}', [&](const auto& item) {
            append(out, concat(boost::json::serialize(item.key()), ':'));
            print_json(out, item.value(), indent + 4);
        });
    else if (const auto* array = value.if_array())
        list(*array, '[', ']', [&](const auto& item) { print_json(out, item, indent + 4); });
    else if (const auto* x = value.if_double())
        append(out, python_repr(*x));
    else
        append(out, boost::json::serialize(value));
}

}  // namespace detail

/// The plan with the keys in the original's order: `version`, `batch_num`, `group_size`, `data_dump`,
/// `distill_group`, then one key per layer. Floats are float32 widened to double. The settings of an
/// algorithm of one's own stand beside those of AMCT, by their names. Throws std::invalid_argument when a
/// layer's name is one of those keys.
template <class Algorithms>
boost::json::value to_json(const BasicDistillPlan<Algorithms>& plan) {
    boost::json::object out;
    out["version"] = 1;
    out["batch_num"] = plan.batch_num.value;
    out["group_size"] = plan.group_size.value;
    out["data_dump"] = plan.data_dump.value;
    boost::json::array groups;
    for (const PlannedBlock& block : plan.blocks) {
        boost::json::array names;
        for (const std::string& name : block.names) names.emplace_back(name);
        groups.emplace_back(std::move(names));
    }
    out["distill_group"] = std::move(groups);
    for (const auto& layer : plan.layers) {
        if (out.contains(layer.name))
            throw std::invalid_argument(detail::concat("to_json: the layer `", layer.name,
                                                       "` has the name of another key; rename the layer"));
        boost::json::object settings;
        settings["quant_enable"] = layer.quant_enable;
        settings["distill_data_config"] = detail::algorithm_to_json(layer.data, layer.data_from);
        settings["distill_weight_config"] = detail::algorithm_to_json(layer.weights, layer.weights_from);
        out[layer.name] = std::move(settings);
    }
    return out;
}

/// The text as the original lays it out: indented by four, no space after a colon, floats as Python prints
/// them, no newline at the end.
inline std::string print_json(const boost::json::value& value) {
    std::string out;
    detail::print_json(out, value, 0);
    return out;
}

}  // namespace amct_distill
