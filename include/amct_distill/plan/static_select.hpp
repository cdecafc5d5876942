// SPDX-License-Identifier: Apache-2.0
/// From a configuration that the compiler read to a layer's quantizer types, and to whether an engine can run
/// it.
///
///     using config = static_config<R"(distill_weight_quant_config { arq_distill { dst_type: INT4 } })">;
///     weight_quantizer_for<config::value, "conv1", "Conv2d">          // Arq<Int4, ChannelWise>
///     weight_quantizer_for<config::value, "fc", "Linear">             // Arq<Int4, TensorWise>
///     activation_quantizer_for<config::value, "fc", "Linear">         // ActUlq<Int8>
///     activation_settings_for<config::value, "fc", "Linear">.clip_max_min     // the message: not set here
///     static_assert(RunsOn<config::value, supports<Arq<Int4, ChannelWise>, Arq<Int4, TensorWise>>>);
///
/// The rules and the defaults are those of resolve(): skip > override of the layer > override of the type >
/// global; an override replaces all of it. Names cannot be checked here: there is no network.
#pragma once
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "../config/messages.hpp"
#include "../core/fixed_string.hpp"
#include "../graph/layer_types.hpp"
#include "../policy/supports.hpp"
#include "formats.hpp"
#include "precedence.hpp"
#include "quantizer_lists.hpp"

namespace amct_distill {
namespace detail {

/// An algorithm with what decides its quantizer's type.
struct Selection {
    bool quantized = true;
    std::size_t alternative = 0;
    std::size_t format = 0;  // into weight_formats, or data_formats
    friend bool operator==(const Selection&, const Selection&) = default;
};

/// `format_of(message)` is an index into the formats. No algorithm named: the first of the list.
template <class Alternatives, class FormatOf>
constexpr Selection select(const oneof<Alternatives>* source, const FormatOf& format_of) {
    if (source == nullptr || !source->has_value())
        return {true, 0, format_of(blank_value<reflect::field_type<Alternatives, 0>>())};
    return std::visit(
        [&]<class M>(const M& message) {
            if constexpr (std::is_same_v<M, std::monostate>)
                return Selection{};
            else
                return Selection{true, source->value().index() - 1, format_of(message)};
        },
        source->value());
}
template <class Alternatives>
constexpr Selection select_weights(const oneof<Alternatives>* source, std::string_view type) {
    return select(source,
                  [&](const auto& message) { return weight_format(message, has_channels_by_default(type)); });
}
template <class Alternatives>
constexpr Selection select_data(const oneof<Alternatives>* source) {
    return select(source, [](const auto& message) { return data_format(message); });
}
/// `rule` is the configuration, or one of its overrides.
template <class Rule>
constexpr auto data_algorithm(const Rule& rule) {
    return rule.distill_data_quant_config.has_value() ? &rule.distill_data_quant_config->data_quant_algo
                                                      : nullptr;
}
template <class Rule>
constexpr auto weight_algorithm(const Rule& rule) {
    return rule.distill_weight_quant_config.has_value()
               ? &rule.distill_weight_quant_config->weights_quant_algo
               : nullptr;
}

template <class Strings>
constexpr bool contains(const Strings& strings, std::string_view name) {
    for (std::string_view s : strings)
        if (s == name) return true;
    return false;
}

/// Calls `f(rule)` for what holds for a layer; false when it is skipped.
template <class Config, class F>
constexpr bool with_rule_of(const Config& config, std::string_view layer, std::string_view type, F&& f) {
    auto const of_layer = [&](const auto& o) { return *o.layer_name == layer; };
    auto const of_type = [&](const auto& o) { return *o.layer_type == type; };
    const auto& layers = config.distill_override_layers;
    const auto& types = config.distill_override_layer_types;
    auto const by_layer = std::find_if(layers.begin(), layers.end(), of_layer);
    auto const by_type = std::find_if(types.begin(), types.end(), of_type);
    switch (
        strongest({contains(config.quant_skip_layers, layer) || contains(config.quant_skip_layer_types, type),
                   by_layer != layers.end(), by_type != types.end()})) {
        case RuleLevel::skip:
            return false;
        case RuleLevel::layer:
            return f(*by_layer), true;
        case RuleLevel::type:
            return f(*by_type), true;
        case RuleLevel::global:
            break;
    }
    return f(config), true;
}

template <class Alternatives, Selection S>
struct SelectedWeights {
    using type = void;
};
template <class Alternatives, Selection S>
requires(S.quantized) struct SelectedWeights<Alternatives, S> {
    using format = typename TypeAt<weight_formats, S.format>::type;
    using type = typename reflect::field_type<Alternatives, S.alternative>::template quantizer<
        typename format::bits, typename format::granularity>;
};
template <class Alternatives, Selection S>
struct SelectedData {
    using type = void;
};
template <class Alternatives, Selection S>
requires(S.quantized) struct SelectedData<Alternatives, S> {
    using type = typename reflect::field_type<Alternatives, S.alternative>::template quantizer<
        typename TypeAt<data_formats, S.format>::type>;
};

template <class Config>
constexpr Selection weights_of(const Config& config, std::string_view layer, std::string_view type) {
    Selection s{};
    s.quantized = with_rule_of(config, layer, type,
                               [&](const auto& rule) { s = select_weights(weight_algorithm(rule), type); });
    return s;
}
template <class Config>
constexpr Selection data_of(const Config& config, std::string_view layer, std::string_view type) {
    Selection s{};
    s.quantized =
        with_rule_of(config, layer, type, [&](const auto& rule) { s = select_data(data_algorithm(rule)); });
    return s;
}

/// The message that names the activation quantizer, as the user wrote it.
template <const auto& Config, fixed_string Layer, fixed_string Type>
constexpr auto activation_message() {
    using alternatives = typename std::remove_cvref_t<decltype(Config)>::algorithms::data;
    constexpr Selection selected = data_of(Config, Layer.view(), Type.view());
    static_assert(selected.quantized,
                  "activation_settings_for: the configuration skips the layer; ask for its "
                  "activation_quantizer_for first, which is then void");
    auto message = blank_value<reflect::field_type<alternatives, selected.alternative>>();
    with_rule_of(Config, Layer.view(), Type.view(), [&](const auto& rule) {
        if (const auto* const source = data_algorithm(rule); source != nullptr && source->has_value())
            message = std::get<selected.alternative + 1>(source->value());
    });
    return message;
}

/// Whether an engine has the quantizer of a Selection.
template <class Supported, class Alternatives, class Formats, template <class, Selection> class Selected>
constexpr bool has_selected(const Selection& s) {
    constexpr std::size_t formats = size_of(Formats{});
    return [&]<std::size_t... K>(std::index_sequence<K...>) {
        return ((s == Selection{true, K / formats, K % formats} &&
                 Supported::template has<
                     typename Selected<Alternatives, Selection{true, K / formats, K % formats}>::type>) ||
                ...);
    }
    (std::make_index_sequence<reflect::field_count<Alternatives> * formats>{});
}
/// Whether it has any quantizer of a list.
template <class Supported, class... C>
constexpr bool has_any(type_list<C...>) {
    return (Supported::template has<typename C::quantizer> || ...);
}

/// Every layer that a rule may hold for, of either type.
template <class Supported, class Config>
constexpr bool runs_on(const Config& config) {
    using data = typename Config::algorithms::data;
    using weights = typename Config::algorithms::weights;
    bool ok = true;
    auto const require_supported = [&](const auto& rule, std::string_view type) {
        if (contains(config.quant_skip_layer_types, type)) return;
        if constexpr (has_any<Supported>(all_weight_choices<weights>{}))
            ok = ok && has_selected<Supported, weights, weight_formats, SelectedWeights>(
                           select_weights(weight_algorithm(rule), type));
        if constexpr (has_any<Supported>(all_activation_choices<data>{}))
            ok = ok &&
                 has_selected<Supported, data, data_formats, SelectedData>(select_data(data_algorithm(rule)));
    };
    for (std::string_view type : quantizable_types) {
        for (const auto& o : config.distill_override_layers)
            if (!contains(config.quant_skip_layers, *o.layer_name)) require_supported(o, type);
        bool overridden = false;
        for (const auto& o : config.distill_override_layer_types)
            if (*o.layer_type == type) {
                require_supported(o, type);
                overridden = true;
            }
        if (!overridden) require_supported(config, type);
    }
    return ok && (has_any<Supported>(all_weight_choices<weights>{}) ||
                  has_any<Supported>(all_activation_choices<data>{}));
}

}  // namespace detail

/// The weight quantizer of a layer; `void` when the configuration skips it. `Type` is "Conv2d" or "Linear".
template <const auto& Config, fixed_string Layer, fixed_string Type>
requires(detail::is_quantizable_type(Type.view())) using weight_quantizer_for =
    typename detail::SelectedWeights<typename std::remove_cvref_t<decltype(Config)>::algorithms::weights,
                                     detail::weights_of(Config, Layer.view(), Type.view())>::type;

/// Its activation quantizer; `void` when the configuration skips it.
template <const auto& Config, fixed_string Layer, fixed_string Type>
requires(detail::is_quantizable_type(Type.view())) using activation_quantizer_for =
    typename detail::SelectedData<typename std::remove_cvref_t<decltype(Config)>::algorithms::data,
                                  detail::data_of(Config, Layer.view(), Type.view())>::type;

/// The settings of its activations: the message of the algorithm, with the clips when the user gave them.
template <const auto& Config, fixed_string Layer, fixed_string Type>
requires(detail::is_quantizable_type(Type.view())) inline constexpr auto activation_settings_for =
    detail::activation_message<Config, Layer, Type>();

/// Whether `Engine` (a `supports<...>`) has every quantizer that the configuration can ask for, on Conv2d and
/// Linear layers of any name. An override of a layer, whose type is not known here, has to run as either. Of
/// an engine that lists weight quantizers alone, or activation quantizers alone, only those are asked for.
template <const auto& Config, class Engine>
concept RunsOn = detail::runs_on<Engine>(Config);

}  // namespace amct_distill
