// SPDX-License-Identifier: Apache-2.0
/// An exported network whose layers have the quantizers that a configuration gives them, which the compiler
/// has read: the header's own, or one of yours, which then has to fit the codes.
///
///     #include <amct_distill.hpp>                        // static_config
///     using config = amct_distill::static_config<digits_model::configuration>;
///     static_assert(amct_distill::RunsOn<config::value, Loops::capabilities>);
///     Engine<Configured<config::value, digits_model::network>> net;
#pragma once
#include <amct_distill.hpp>
#include <concepts>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>

namespace engine {

template <std::size_t Size>
constexpr auto as_fixed_string(std::string_view text) {
    amct_distill::fixed_string<Size + 1> out;
    for (std::size_t i = 0; i != Size; ++i) out.text[i] = text[i];
    return out;
}

template <class L, const auto& Config>
struct ConfiguredLayer : L {
    static constexpr auto own_name = as_fixed_string<L::name.size()>(L::name);
    static constexpr auto own_type = as_fixed_string<L::type.size()>(L::type);
    using weights = amct_distill::weight_quantizer_for<Config, own_name, own_type>;
    using data = amct_distill::activation_quantizer_for<Config, own_name, own_type>;

    template <class Quantizer>
    struct bits_of {
        using type = typename Quantizer::bits;
    };
    template <class Quantizer>
    requires std::is_void_v<Quantizer>
    struct bits_of<Quantizer> {
        using type = void;
    };
    static constexpr bool fits() {
        if constexpr (L::quantized)
            return std::same_as<typename bits_of<weights>::type, typename decltype(L::codes)::bits> &&
                   std::same_as<typename bits_of<data>::type, typename L::data::bits>;
        else
            return std::is_void_v<weights>;
    }
    static_assert(
        fits(),
        "the configuration gives the layer other bits than its codes have: see ConfiguredLayer<LAYER, "
        "...>; distill with this configuration, and export again");
};

template <const auto& Config, class Network>
struct Configured : Network {
    template <class L>
    static auto layer() {
        if constexpr (L::type == "Conv2d" || L::type == "Linear")  // the types that a configuration can name
            return std::type_identity<ConfiguredLayer<L, Config>>{};
        else
            return std::type_identity<L>{};
    }
    template <class... L>
    static auto all(std::type_identity<std::tuple<L...>>)
        -> std::tuple<typename decltype(layer<L>())::type...>;
    using layers = decltype(all(std::type_identity<typename Network::layers>{}));
};

}  // namespace engine
