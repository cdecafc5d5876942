// SPDX-License-Identifier: Apache-2.0
/// The quantizers that an algorithm list can name, as a variant type.
///
///     weight_quantizer_variant<StandardAlgorithms>         // std::variant<Arq<Int4, ChannelWise>, ...>
///     activation_quantizer_variant<StandardAlgorithms>     // std::variant<ActUlq<Int4>, ActUlq<Int8>>
///
/// A message names its quantizer by a member template `quantizer<Bits, Granularity>` (weights) or
/// `quantizer<Bits>` (activations). The types may be incomplete here: they are only named.
#pragma once
#include <cstddef>
#include <type_traits>
#include <utility>
#include <variant>

#include "../reflect/fields.hpp"
#include "formats.hpp"

namespace amct_distill {
namespace detail {

template <class Done, class... Rest>
struct Distinct {
    using type = Done;
};
template <class... Done, class T, class... Rest>
struct Distinct<type_list<Done...>, T, Rest...>
    : Distinct<
          std::conditional_t<(std::is_same_v<Done, T> || ...), type_list<Done...>, type_list<Done..., T>>,
          Rest...> {};

/// A quantizer, and the message that names it.
template <class Quantizer, class Message>
struct Choice {
    using quantizer = Quantizer;
    using message = Message;
};
/// All that a message can name, one for each format.
template <class M, class Formats = weight_formats>
struct WeightChoices;
template <class M, class... F>
struct WeightChoices<M, type_list<F...>> {
    using type =
        type_list<Choice<typename M::template quantizer<typename F::bits, typename F::granularity>, M>...>;
};
template <class M, class Formats = data_formats>
struct ActivationChoices;
template <class M, class... B>
struct ActivationChoices<M, type_list<B...>> {
    using type = type_list<Choice<typename M::template quantizer<B>, M>...>;
};
template <template <class, class> class Choices, class Formats, class Alternatives,
          class = std::make_index_sequence<reflect::field_count<Alternatives>>>
struct AllChoices;
template <template <class, class> class Choices, class Formats, class Alternatives, std::size_t... I>
struct AllChoices<Choices, Formats, Alternatives, std::index_sequence<I...>>
    : Joined<typename Choices<reflect::field_type<Alternatives, I>, Formats>::type...> {};
template <class Alternatives>
using all_weight_choices = typename AllChoices<WeightChoices, weight_formats, Alternatives>::type;
template <class Alternatives>
using all_activation_choices = typename AllChoices<ActivationChoices, data_formats, Alternatives>::type;

template <class... C>
typename Distinct<type_list<>, typename C::quantizer...>::type quantizers_in(type_list<C...>);
template <class Quantizers>
struct VariantOf;
template <class... Q>
struct VariantOf<type_list<Q...>> {
    using type = std::variant<Q...>;
};

}  // namespace detail

/// Every weight quantizer that an algorithm list can name, each once: what a student's layer holds.
template <class Algorithms>
using weight_quantizer_variant = typename detail::VariantOf<decltype(detail::quantizers_in(
    detail::all_weight_choices<typename Algorithms::weights>{}))>::type;
template <class Algorithms>
using activation_quantizer_variant = typename detail::VariantOf<decltype(detail::quantizers_in(
    detail::all_activation_choices<typename Algorithms::data>{}))>::type;

}  // namespace amct_distill
