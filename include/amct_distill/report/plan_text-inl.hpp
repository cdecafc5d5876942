// SPDX-License-Identifier: Apache-2.0
/// The definitions of plan_text.hpp.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "../core/concat.hpp"
#include "../core/number.hpp"
#include "../core/table.hpp"
#include "../plan/common_settings.hpp"
#include "../reflect/fields.hpp"
#include "../reflect/labels.hpp"
#include "plan_text.hpp"

namespace amct_distill {
namespace detail {

/// A setting's value: a number, true or false, an enumerator's name, a text; of clips both ends.
template <class Field>
std::string setting_text(const Field& field) {
    if constexpr (requires { field->clip_max; }) {
        return field.has_value() ? concat(*field->clip_min, " .. ", *field->clip_max) : "by IFMR";
    } else if constexpr (requires { field.get(); }) {
        auto const& value = field.get();
        using T = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_same_v<T, bool>)
            return value ? "true" : "false";
        else if constexpr (std::is_enum_v<T>)
            return std::string(name_of(value));
        else if constexpr (std::is_arithmetic_v<T>)
            return number(value);
        else if constexpr (std::is_convertible_v<T, std::string>)
            return value;
        else
            return "set";
    } else if constexpr (requires { number(*field); }) {
        return number(*field);
    } else {
        return "set";
    }
}

/// A row for the algorithm, and one for each setting that its description does not tell, or that has a
/// default though the algorithm was chosen. Without room for the description, a row for each setting.
template <class Alternatives, class Add>
void algorithm_rows(std::string_view what, const oneof<Alternatives>& algorithm,
                    const AlgorithmProvenance& from, bool room, const Add& add) {
    add(std::string(what), room ? describe(algorithm) : std::string(algorithm.name()), from.algo);
    std::visit(
        [&]<class M>(const M& message) {
            if constexpr (!std::is_same_v<M, std::monostate>)
                [&]<std::size_t... I>(std::index_sequence<I...>) {
                    auto const row = [&](std::string_view name, const auto& field) {
                        bool const described = name == "dst_type" || name == "channel_wise";
                        if (room && described && (from[name].by_user || from[name] == from.algo)) return;
                        add(name == "clip_max_min" ? "clips" : std::string(name), setting_text(field),
                            from[name]);
                    };
                    (row(reflect::field_name<M, I>(), reflect::get<I>(message)), ...);
                }
            (std::make_index_sequence<reflect::field_count<M>>{});
        },
        algorithm.value());
}

}  // namespace detail

template <class Algorithms>
std::string to_table(const BasicDistillPlan<Algorithms>& plan, std::size_t width) {
    bool const room = width >= 60;
    Table layers({{.heading = "layer", .least = 8},
                  {.heading = "setting"},
                  {.heading = "value", .least = room ? std::size_t{31} : 14, .keeps_start = true},
                  {.heading = "from", .least = 20, .drop = 1}});
    for (const auto& l : plan.layers) {
        std::string name = l.name;
        auto const add = [&](std::string setting, std::string value, const Provenance& from) {
            layers.add({std::exchange(name, ""), std::move(setting), std::move(value), from.text});
        };
        if (!l.quant_enable) {
            add("skipped", "not quantized, trained in float", l.quant_enable_from);
            continue;
        }
        detail::algorithm_rows("weights", l.weights, l.weights_from, room, add);
        detail::algorithm_rows("data", l.data, l.data_from, room, add);
    }
    Table blocks(
        {{"block"}, {.heading = "layers", .least = 20}, {.heading = "from", .least = 12, .drop = 1}});
    for (std::size_t b = 0; b != plan.blocks.size(); ++b) {
        std::string names;
        for (const std::string& name : plan.blocks[b].names)
            detail::append(names, detail::concat(names.empty() ? "" : " ", name));
        blocks.add({number(b + 1), std::move(names), plan.blocks[b].from.text});
    }
    Table all({{"setting"}, {"value"}, {.heading = "from", .least = 12}});
    all.add({"batch_num", number(plan.batch_num.value), plan.batch_num.from.text});
    all.add({"group_size", number(plan.group_size.value), plan.group_size.from.text});
    all.add({"data_dump", plan.data_dump.value ? "true" : "false", plan.data_dump.from.text});
    return detail::concat(layers.text(width), '\n', blocks.text(width), '\n', all.text(width));
}

}  // namespace amct_distill
