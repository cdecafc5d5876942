// SPDX-License-Identifier: Apache-2.0
/// One layer's algorithm as a rule of the configuration gives it, with no setting left open, and where each
/// setting came from.
///
///     detail::RuleSection<Alternatives> source{&message.weights_quant_algo, "distill_weight_quant_config"};
///     auto [algorithm, from] = detail::settle(source, {.is_conv = true});
///
/// A setting is found by its name: an algorithm of one's own has `dst_type`, `channel_wise`, `fixed_min` and
/// `clip_max_min`, or has them not.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "../core/diagnostic_list.hpp"
#include "../reflect/fields.hpp"
#include "../reflect/labels.hpp"
#include "provenance.hpp"

namespace amct_distill::detail {

/// What one rule says of activations, or of weights.
template <class Alternatives>
struct RuleSection {
    const oneof<Alternatives>* choice = nullptr;  // null: nothing
    std::string name{};                           // "distill_override_layers[1]"
    Position where{};                             // of the rule
    std::string path{};                           // of its settings, for diagnostics
};

/// What the defaults depend on.
struct LayerFacts {
    bool is_conv = false;
    std::string relu_before{};  // its name; empty when no ReLU comes before the layer
};

template <class Alternatives>
struct ResolvedAlgorithm {
    oneof<Alternatives> algorithm{};
    AlgorithmProvenance from{};
};

template <class F>
bool is_set(const F& field) {
    if constexpr (requires { field.has_value(); })
        return field.has_value();
    else if constexpr (requires { field.empty(); })
        return !field.empty();
    else
        return true;
}
template <class F>
Position position_of_field(const F& field) {
    if constexpr (requires { field.position(); })
        return field.position();
    else
        return {};
}

/// Fills in the settings that mean something for every algorithm.
template <class M>
void complete(M& message, AlgorithmProvenance& from, const LayerFacts& layer) {
    if constexpr (requires { message.dst_type.emplace(message.dst_type.get()); })
        if (!message.dst_type.has_value()) message.dst_type.emplace(message.dst_type.get());
    if constexpr (requires { message.channel_wise.emplace(true); })
        if (!message.channel_wise.has_value()) message.channel_wise.emplace(layer.is_conv);
    if constexpr (requires { message.fixed_min.emplace(true); })
        if (!message.fixed_min.has_value()) {
            message.fixed_min.emplace(!layer.relu_before.empty());
            if (!layer.relu_before.empty())
                for (auto& [name, provenance] : from.settings)
                    if (name == "fixed_min")
                        provenance.text = concat("default: after ReLU `", layer.relu_before, "`");
        }
}

/// The algorithm of a section, or the first of its list when the section names none.
template <class Alternatives>
ResolvedAlgorithm<Alternatives> settle(const RuleSection<Alternatives>& source, const LayerFacts& layer) {
    ResolvedAlgorithm<Alternatives> out;
    Position where = source.where;
    if (source.choice != nullptr && source.choice->has_value()) {
        out.algorithm = *source.choice;
        where = either(source.choice->position(), where);
        out.from.algo = provenance_of(source.name, where);
    } else {
        out.algorithm.template emplace<0>();
    }
    std::visit(
        [&]<class M>(M& message) {
            if constexpr (!std::is_same_v<M, std::monostate>) {
                [&]<std::size_t... I>(std::index_sequence<I...>) {
                    [[maybe_unused]] auto const note = [&](std::string_view name, const auto& field) {
                        out.from.settings.emplace_back(
                            name, is_set(field)
                                      ? provenance_of(source.name, either(position_of_field(field), where))
                                      : Provenance{});
                    };
                    (note(reflect::field_name<M, I>(), reflect::get<I>(message)), ...);
                }
                (std::make_index_sequence<reflect::field_count<M>>{});
                complete(message, out.from, layer);
            }
        },
        out.algorithm.value());
    return out;
}

/// Whether two algorithms differ, as far as their messages can be compared.
template <class Alternatives>
bool differ(const oneof<Alternatives>& a, const oneof<Alternatives>& b) {
    if (a.value().index() != b.value().index()) return true;
    return std::visit(
        []<class A, class B>(const A& x, const B& y) {
            if constexpr (std::is_same_v<A, B> && requires { x == x; })
                return !(x == y);
            else
                return false;
        },
        a.value(), b.value());
}

}  // namespace amct_distill::detail
