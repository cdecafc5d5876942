// SPDX-License-Identifier: Apache-2.0
/// What decides a quantizer's type, the width and the granularity that a message asks for, as types of one
/// list.
///
///     weight_formats                             // Int4 ChannelWise, Int4 TensorWise, Int8 ChannelWise, ...
///     std::size_t const k = weight_format(message, true);
///     visit_type(weight_formats{}, k, []<class F>(std::type_identity<F>) { ... F::bits ... });
///
/// Made from the lists in policy/: a width or a granularity that is added there needs nothing here. Usable in
/// constant evaluation.
#pragma once
#include <cstddef>
#include <string_view>
#include <type_traits>

#include "../policy/bits.hpp"
#include "../policy/granularity.hpp"
#include "../policy/widths.hpp"
#include "common_settings.hpp"

namespace amct_distill::detail {

template <class...>
struct type_list {};

template <class... Lists>
struct Joined {
    using type = type_list<>;
};
template <class... A>
struct Joined<type_list<A...>> {
    using type = type_list<A...>;
};
template <class... A, class... B, class... Rest>
struct Joined<type_list<A...>, type_list<B...>, Rest...> : Joined<type_list<A..., B...>, Rest...> {};

template <class B, class G>
struct WeightFormat {
    using bits = B;
    using granularity = G;
};
template <class List>
struct AsTypeList;
template <template <class...> class List, class... T>
struct AsTypeList<List<T...>> {
    using type = type_list<T...>;
    template <class B>
    using with = type_list<WeightFormat<B, T>...>;
};
template <class Bits>
struct WithGranularities;
template <class... B>
struct WithGranularities<type_list<B...>> : Joined<typename AsTypeList<Granularities>::template with<B>...> {
};

/// The formats of activations are widths alone.
using data_formats = AsTypeList<Widths>::type;
using weight_formats = WithGranularities<data_formats>::type;

/// How many types a list has; the place of a type in it; the type at a place.
template <class... All>
constexpr std::size_t size_of(type_list<All...>) {
    return sizeof...(All);
}
template <class T, class... All>
constexpr std::size_t index_in(type_list<All...>) {
    std::size_t index = 0;
    (void)((std::is_same_v<T, All> || (++index, false)) || ...);
    return index;
}
template <class List, std::size_t I>
struct TypeAt;
template <class First, class... Rest, std::size_t I>
struct TypeAt<type_list<First, Rest...>, I> : TypeAt<type_list<Rest...>, I - 1> {};
template <class First, class... Rest>
struct TypeAt<type_list<First, Rest...>, 0> {
    using type = First;
};

/// Calls `f(std::type_identity<T>{})` for the type at `index`. Precondition: there is one.
template <class First, class... Rest, class F>
constexpr decltype(auto) visit_type(type_list<First, Rest...>, std::size_t index, F&& f) {
    if constexpr (sizeof...(Rest) == 0) {
        return f(std::type_identity<First>{});
    } else {
        if (index == 0) return f(std::type_identity<First>{});
        return visit_type(type_list<Rest...>{}, index - 1, f);
    }
}

/// The width that a message names, by its enumerator's name; Int8 without `dst_type`.
template <class M, class... B>
constexpr std::size_t width_index(const M& message, type_list<B...> all) {
    if constexpr (HasDstType<M>) {
        std::string_view const name = name_of(message.dst_type.get());
        std::size_t index = 0;
        if (((B::name == name || (++index, false)) || ...)) return index;
    }
    return index_in<Int8>(all);
}

/// Index into data_formats.
template <class M>
constexpr std::size_t data_format(const M& message) {
    return width_index(message, data_formats{});
}
/// Index into weight_formats. `channels_unless_set`: what a message means that has `channel_wise` and does
/// not set it. One without that setting has one scale.
template <class M>
constexpr std::size_t weight_format(const M& message, bool channels_unless_set) {
    bool channels = false;
    if constexpr (HasChannelWise<M>)
        channels = message.channel_wise.has_value() ? *message.channel_wise : channels_unless_set;
    return visit_type(data_formats{}, data_format(message), [&]<class B>(std::type_identity<B>) {
        return channels ? index_in<WeightFormat<B, ChannelWise>>(weight_formats{})
                        : index_in<WeightFormat<B, TensorWise>>(weight_formats{});
    });
}

}  // namespace amct_distill::detail
