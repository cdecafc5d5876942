// SPDX-License-Identifier: Apache-2.0
/// From a layer's resolved settings to its quantizer's type: the one step from run time to compile time.
///
///     visit_weight_quantizer(layer.weights, [&]<class Q>(std::type_identity<Q>, const auto& message) {
///         use<Q>(message);                       // Q is Arq<Int4, ChannelWise>, Ulq<Int8, TensorWise>, ...
///     }).value();
///     using engine = supports<Arq<Int8, ChannelWise>, ActUlq<Int8>>;
///     visit_weight_quantizer<engine>(layer.weights, f);   // an error for any other; f is not instantiated
///
/// The quantizers may be incomplete types here: they are only named.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "../config/messages.hpp"
#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../policy/bits.hpp"
#include "../policy/granularity.hpp"
#include "../policy/supports.hpp"
#include "../reflect/fields.hpp"
#include "../reflect/labels.hpp"
#include "common_settings.hpp"
#include "quantizer_lists.hpp"

namespace amct_distill {
namespace detail {

/// What `f` returns, as a result: asked of the first quantizer that is supported.
template <class Supported, class F, class... C>
struct VisitResult {
    static_assert(
        sizeof...(C) != 0,
        "visit_..._quantizer: the engine supports none of the quantizers that the algorithm list can "
        "name; add one to supports<...>");
};
template <class R>
struct AsResult {
    using type = result<R>;
};
template <class R>
struct AsResult<result<R>> {
    using type = result<R>;
};
template <class Supported, class F, class First, class... Rest>
struct VisitResult<Supported, F, First, Rest...> : VisitResult<Supported, F, Rest...> {};
template <class Supported, class F, class First, class... Rest>
requires(Supported::template has<typename First::quantizer>) struct VisitResult<Supported, F, First, Rest...>
    : AsResult<std::invoke_result_t<F&, std::type_identity<typename First::quantizer>,
                                    const typename First::message&>> {
};
template <class Supported, class F, class... C>
typename VisitResult<Supported, F, C...>::type answer_to(type_list<C...>);

/// Adds what an engine has of a message's quantizers, as describe() says it.
template <class Supported, class M, class B, class G>
void add_supported(std::string_view name, std::vector<std::string>& all) {
    bool supported = false;
    if constexpr (requires { typename M::template quantizer<B, G>; })
        supported = Supported::template has<typename M::template quantizer<B, G>>;
    else
        supported = Supported::template has<typename M::template quantizer<B>>;
    if (!supported) return;
    std::string one = concat('`', name, HasDstType<M> ? concat(", ", B::name) : "",
                             HasChannelWise<M> ? concat(", ", G::name) : "", '`');
    if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(std::move(one));
}
/// All that it has of an algorithm list: "`arq_distill, INT8, channel_wise`, `...`".
template <class Supported, class Alternatives>
std::string names_of_supported() {
    std::vector<std::string> all;
    const auto& names = reflect::field_names<Alternatives>;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (add_supported<Supported, reflect::field_type<Alternatives, I>, Int4, ChannelWise>(names[I], all),
         ...);
        (add_supported<Supported, reflect::field_type<Alternatives, I>, Int4, TensorWise>(names[I], all),
         ...);
        (add_supported<Supported, reflect::field_type<Alternatives, I>, Int8, ChannelWise>(names[I], all),
         ...);
        (add_supported<Supported, reflect::field_type<Alternatives, I>, Int8, TensorWise>(names[I], all),
         ...);
    }
    (std::make_index_sequence<reflect::field_count<Alternatives>>{});
    std::string text;
    for (const std::string& one : all) append(text, concat(text.empty() ? "" : ", ", one));
    return text;
}

/// Runs `f` for one quantizer, or says that the engine does not have it, and what it has.
template <class Supported, class Answer, class Quantizer, class Alternatives, class M, class F>
Answer run_for(const oneof<Alternatives>& resolved, const M& message, F& f) {
    if constexpr (!Supported::template has<Quantizer>) {
        return general_error(concat("`", describe(resolved), "` is not what this engine runs; it has ",
                                    names_of_supported<Supported, Alternatives>(),
                                    "; choose one of them for the layer, or skip it with quant_skip_layers"));
    } else if constexpr (std::is_void_v<std::invoke_result_t<F&, std::type_identity<Quantizer>, const M&>>) {
        f(std::type_identity<Quantizer>{}, message);
        return {};
    } else {
        return f(std::type_identity<Quantizer>{}, message);
    }
}

template <class M>
bool wants_int4(const M& message) {
    if constexpr (requires { message.dst_type.get() == DataType::INT4; })
        return message.dst_type.get() == DataType::INT4;
    else
        return false;
}

}  // namespace detail

/// Calls `f(std::type_identity<Quantizer>{}, message)` for the quantizer that a layer's resolved weights ask
/// for. `f` returns the same type for all; it comes back as a result of that type (of void for void). Error:
/// the quantizer is not in `Supported`. A message without `dst_type` means INT8, without `channel_wise` one
/// scale.
template <class Supported = supports_all, class Alternatives, class F>
auto visit_weight_quantizer(const oneof<Alternatives>& resolved, F&& f) {
    using Answer = decltype(detail::answer_to<Supported, F>(detail::all_weight_choices<Alternatives>{}));
    return std::visit(
        [&]<class M>(const M& message) -> Answer {
            if constexpr (std::is_same_v<M, std::monostate>) {
                return general_error("no weight algorithm is set; take the message from a resolved plan");
            } else {
                auto const with = [&]<class B, class G>(B, G) -> Answer {
                    return detail::run_for<Supported, Answer, typename M::template quantizer<B, G>>(
                        resolved, message, f);
                };
                bool const channels = detail::wants_channels(message);
                if (detail::wants_int4(message))
                    return channels ? with(Int4{}, ChannelWise{}) : with(Int4{}, TensorWise{});
                return channels ? with(Int8{}, ChannelWise{}) : with(Int8{}, TensorWise{});
            }
        },
        resolved.value());
}

/// The same for a layer's activations.
template <class Supported = supports_all, class Alternatives, class F>
auto visit_activation_quantizer(const oneof<Alternatives>& resolved, F&& f) {
    using Answer = decltype(detail::answer_to<Supported, F>(detail::all_activation_choices<Alternatives>{}));
    return std::visit(
        [&]<class M>(const M& message) -> Answer {
            if constexpr (std::is_same_v<M, std::monostate>) {
                return general_error("no activation algorithm is set; take the message from a resolved plan");
            } else {
                if (detail::wants_int4(message))
                    return detail::run_for<Supported, Answer, typename M::template quantizer<Int4>>(
                        resolved, message, f);
                return detail::run_for<Supported, Answer, typename M::template quantizer<Int8>>(resolved,
                                                                                                message, f);
            }
        },
        resolved.value());
}

}  // namespace amct_distill
