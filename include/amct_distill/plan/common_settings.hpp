// SPDX-License-Identifier: Apache-2.0
/// The settings that algorithms have in common, found by their names; and an algorithm in one line.
///
///     describe(layer.weights);        // "arq_distill, INT4, channel_wise"
///     describe(layer.data);           // "ulq_quantize, INT8"
#pragma once
#include <string>
#include <string_view>
#include <variant>

#include "../core/concat.hpp"
#include "../policy/granularity.hpp"
#include "../reflect/labels.hpp"

namespace amct_distill {
namespace detail {

/// The name of an enumerator; empty when the number is none.
template <class E>
requires requires(E value) { enumerators(value); }
constexpr std::string_view name_of(E value) {
    for (const auto& [name, number] : enumerators(value))
        if (number == value) return name;
    return {};
}

template <class M>
concept HasDstType = requires(const M& message) {
    name_of(message.dst_type.get());
};
template <class M>
concept HasChannelWise = requires(const M& message) {
    message.channel_wise.get();
};

/// One scale per output channel? Without the setting: one in all.
template <class M>
bool wants_channels(const M& message) {
    if constexpr (HasChannelWise<M>)
        return message.channel_wise.get();
    else
        return false;
}
template <class Alternatives>
bool wants_channels(const oneof<Alternatives>& algorithm) {
    return std::visit([](const auto& message) { return wants_channels(message); }, algorithm.value());
}

/// "INT4", "INT8"; empty without the setting.
template <class Alternatives>
std::string_view width_of(const oneof<Alternatives>& algorithm) {
    return std::visit(
        []<class M>(const M& message) -> std::string_view {
            if constexpr (HasDstType<M>)
                return name_of(message.dst_type.get());
            else
                return {};
        },
        algorithm.value());
}

}  // namespace detail

/// The algorithm's name, its width and its granularity, as far as it has them; "" when none is set.
template <class Alternatives>
std::string describe(const oneof<Alternatives>& algorithm) {
    std::string_view const width = detail::width_of(algorithm);
    return std::visit(
        [&]<class M>(const M& message) {
            std::string_view granularity;
            if constexpr (detail::HasChannelWise<M>)
                granularity = detail::wants_channels(message) ? ChannelWise::name : TensorWise::name;
            return detail::concat(algorithm.name(), width.empty() ? "" : ", ", width,
                                  granularity.empty() ? "" : ", ", granularity);
        },
        algorithm.value());
}

}  // namespace amct_distill
