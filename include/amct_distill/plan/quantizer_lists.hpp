// SPDX-License-Identifier: Apache-2.0
/// The quantizers that an algorithm list can name, as a variant type.
///
///     weight_quantizer_variant<standard_algorithms>         // std::variant<Arq<Int4, ChannelWise>, ...>
///     activation_quantizer_variant<standard_algorithms>     // std::variant<ActUlq<Int4>, ActUlq<Int8>>
///
/// A message names its quantizer by a member template `quantizer<Bits, Granularity>` (weights) or
/// `quantizer<Bits>` (activations). The types may be incomplete here: they are only named.
#pragma once
#include <cstddef>
#include <type_traits>
#include <utility>
#include <variant>

#include "../policy/bits.hpp"
#include "../policy/granularity.hpp"
#include "../reflect/fields.hpp"

namespace amct_distill {
namespace detail {

template <class...>
struct type_list {};

template <class... Lists>
struct joined {
    using type = type_list<>;
};
template <class... A>
struct joined<type_list<A...>> {
    using type = type_list<A...>;
};
template <class... A, class... B, class... Rest>
struct joined<type_list<A...>, type_list<B...>, Rest...> : joined<type_list<A..., B...>, Rest...> {};

template <class Done, class... Rest>
struct distinct {
    using type = Done;
};
template <class... Done, class T, class... Rest>
struct distinct<type_list<Done...>, T, Rest...>
    : distinct<
          std::conditional_t<(std::is_same_v<Done, T> || ...), type_list<Done...>, type_list<Done..., T>>,
          Rest...> {};

/// A quantizer, and the message that names it.
template <class Quantizer, class Message>
struct choice {
    using quantizer = Quantizer;
    using message = Message;
};
/// All that a message can name.
template <class M>
struct weight_choices {
    using type = type_list<choice<typename M::template quantizer<Int4, ChannelWise>, M>,
                           choice<typename M::template quantizer<Int4, TensorWise>, M>,
                           choice<typename M::template quantizer<Int8, ChannelWise>, M>,
                           choice<typename M::template quantizer<Int8, TensorWise>, M>>;
};
template <class M>
struct activation_choices {
    using type = type_list<choice<typename M::template quantizer<Int4>, M>,
                           choice<typename M::template quantizer<Int8>, M>>;
};
template <template <class> class Choices, class Alternatives,
          class = std::make_index_sequence<reflect::field_count<Alternatives>>>
struct all_choices;
template <template <class> class Choices, class Alternatives, std::size_t... I>
struct all_choices<Choices, Alternatives, std::index_sequence<I...>>
    : joined<typename Choices<reflect::field_type<Alternatives, I>>::type...> {};
template <class Alternatives>
using all_weight_choices = typename all_choices<weight_choices, Alternatives>::type;
template <class Alternatives>
using all_activation_choices = typename all_choices<activation_choices, Alternatives>::type;

template <class... C>
typename distinct<type_list<>, typename C::quantizer...>::type quantizers_in(type_list<C...>);
template <class Quantizers>
struct variant_of;
template <class... Q>
struct variant_of<type_list<Q...>> {
    using type = std::variant<Q...>;
};

}  // namespace detail

/// Every weight quantizer that an algorithm list can name, each once: what a student's layer holds.
template <class Algorithms>
using weight_quantizer_variant = typename detail::variant_of<decltype(detail::quantizers_in(
    detail::all_weight_choices<typename Algorithms::weights>{}))>::type;
template <class Algorithms>
using activation_quantizer_variant = typename detail::variant_of<decltype(detail::quantizers_in(
    detail::all_activation_choices<typename Algorithms::data>{}))>::type;

}  // namespace amct_distill
