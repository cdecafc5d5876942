// SPDX-License-Identifier: Apache-2.0
/// From a configuration that the compiler read to a layer's quantizer types, and to whether an engine can run it.
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
#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "../config/messages.hpp"
#include "../core/fixed_string.hpp"
#include "../policy/bits.hpp"
#include "../policy/granularity.hpp"
#include "../policy/supports.hpp"
#include "quantizer_lists.hpp"

namespace amct_distill {
namespace detail {

/// An algorithm with what decides its quantizer's type.
struct Selection {
    bool quantized = true;
    std::size_t alternative = 0;
    bool int4 = false;
    bool channels = false;
    friend bool operator==(const Selection&, const Selection&) = default;
};

/// No algorithm named: the first of the list.
template <class Alternatives>
constexpr Selection select(const oneof<Alternatives>* source, bool is_conv) {
    auto const of = [&](std::size_t alternative, const auto& message) {
        Selection s{.alternative = alternative};
        if constexpr (requires { message.dst_type.get() == DataType::INT4; })
            s.int4 = message.dst_type.get() == DataType::INT4;
        if constexpr (requires { message.channel_wise.get(); })
            s.channels = message.channel_wise.has_value() ? *message.channel_wise : is_conv;
        return s;
    };
    if (source == nullptr || !source->has_value())
        return of(0, blank_value<reflect::field_type<Alternatives, 0>>());
    return std::visit(
        [&]<class M>(const M& message) {
            if constexpr (std::is_same_v<M, std::monostate>)
                return Selection{};
            else
                return of(source->value().index() - 1, message);
        },
        source->value());
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
    if (contains(config.quant_skip_layers, layer) || contains(config.quant_skip_layer_types, type))
        return false;
    for (const auto& o : config.distill_override_layers)
        if (*o.layer_name == layer) return f(o), true;
    for (const auto& o : config.distill_override_layer_types)
        if (*o.layer_type == type) return f(o), true;
    return f(config), true;
}

constexpr bool is_static_type(std::string_view type) { return type == "Conv2d" || type == "Linear"; }

template <class Alternatives, Selection S>
struct SelectedWeights {
    using type = void;
};
template <class Alternatives, Selection S>
requires(S.quantized) struct SelectedWeights<Alternatives, S> {
    using type = typename reflect::field_type<Alternatives, S.alternative>::template quantizer<
        std::conditional_t<S.int4, Int4, Int8>, std::conditional_t<S.channels, ChannelWise, TensorWise>>;
};
template <class Alternatives, Selection S>
struct SelectedData {
    using type = void;
};
template <class Alternatives, Selection S>
requires(S.quantized) struct SelectedData<Alternatives, S> {
    using type = typename reflect::field_type<Alternatives, S.alternative>::template quantizer<
        std::conditional_t<S.int4, Int4, Int8>>;
};

template <class Config>
constexpr Selection weights_of(const Config& config, std::string_view layer, std::string_view type) {
    Selection s{};
    s.quantized = with_rule_of(
        config, layer, type, [&](const auto& rule) { s = select(weight_algorithm(rule), type == "Conv2d"); });
    return s;
}
template <class Config>
constexpr Selection data_of(const Config& config, std::string_view layer, std::string_view type) {
    Selection s{};
    s.quantized = with_rule_of(config, layer, type,
                               [&](const auto& rule) { s = select(data_algorithm(rule), type == "Conv2d"); });
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
template <class Supported, class Alternatives, template <class, Selection> class Selected>
constexpr bool has_selected(const Selection& s) {
    bool has = false;
    auto const one = [&]<std::size_t I, bool Four, bool Channels>() {
        if (s.alternative != I || s.int4 != Four || s.channels != Channels) return;
        using quantizer = typename Selected<Alternatives, Selection{true, I, Four, Channels}>::type;
        has = Supported::template has<quantizer>;
    };
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        ((one.template operator()<I, false, false>(), one.template operator()<I, false, true>(),
          one.template operator()<I, true, false>(), one.template operator()<I, true, true>()),
         ...);
    }
    (std::make_index_sequence<reflect::field_count<Alternatives>>{});
    return has;
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
            ok = ok && has_selected<Supported, weights, SelectedWeights>(
                           select(weight_algorithm(rule), type == "Conv2d"));
        if constexpr (has_any<Supported>(all_activation_choices<data>{}))
            ok = ok &&
                 has_selected<Supported, data, SelectedData>(select(data_algorithm(rule), type == "Conv2d"));
    };
    for (std::string_view type : {"Conv2d", "Linear"}) {
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
requires(detail::is_static_type(Type.view())) using weight_quantizer_for =
    typename detail::SelectedWeights<typename std::remove_cvref_t<decltype(Config)>::algorithms::weights,
                                     detail::weights_of(Config, Layer.view(), Type.view())>::type;

/// Its activation quantizer; `void` when the configuration skips it.
template <const auto& Config, fixed_string Layer, fixed_string Type>
requires(detail::is_static_type(Type.view())) using activation_quantizer_for =
    typename detail::SelectedData<typename std::remove_cvref_t<decltype(Config)>::algorithms::data,
                                  detail::data_of(Config, Layer.view(), Type.view())>::type;

/// The settings of its activations: the message of the algorithm, with the clips when the user gave them.
template <const auto& Config, fixed_string Layer, fixed_string Type>
requires(detail::is_static_type(Type.view())) inline constexpr auto activation_settings_for =
    detail::activation_message<Config, Layer, Type>();

/// Whether `Engine` (a `supports<...>`) has every quantizer that the configuration can ask for, on Conv2d and
/// Linear layers of any name. An override of a layer, whose type is not known here, has to run as either. Of an
/// engine that lists weight quantizers alone, or activation quantizers alone, only those are asked for.
template <const auto& Config, class Engine>
concept RunsOn = detail::runs_on<Engine>(Config);

}  // namespace amct_distill
