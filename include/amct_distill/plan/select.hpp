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
#include "../policy/supports.hpp"
#include "../reflect/fields.hpp"
#include "../reflect/labels.hpp"
#include "common_settings.hpp"
#include "formats.hpp"
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
template <class Supported, class Quantizer, class M>
void add_supported(std::string_view name, std::string_view width, std::string_view granularity,
                   std::vector<std::string>& all) {
    if (!Supported::template has<Quantizer>) return;
    std::string one = concat('`', name, HasDstType<M> ? concat(", ", width) : "",
                             HasChannelWise<M> ? concat(", ", granularity) : "", '`');
    if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(std::move(one));
}
template <class Supported, class M, class... B, class... G>
void add_supported_of(std::string_view name, std::vector<std::string>& all,
                      type_list<WeightFormat<B, G>...>) {
    (add_supported<Supported, typename M::template quantizer<B, G>, M>(name, B::name, G::name, all), ...);
}
template <class Supported, class M, class... B>
void add_supported_of(std::string_view name, std::vector<std::string>& all, type_list<B...>) {
    (add_supported<Supported, typename M::template quantizer<B>, M>(name, B::name, {}, all), ...);
}
/// All that it has of an algorithm list: "`arq_distill, INT8, channel_wise`, `...`".
template <class Supported, class Alternatives, class Formats>
std::string names_of_supported() {
    std::vector<std::string> all;
    const auto& names = reflect::field_names<Alternatives>;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (add_supported_of<Supported, reflect::field_type<Alternatives, I>>(names[I], all, Formats{}), ...);
    }
    (std::make_index_sequence<reflect::field_count<Alternatives>>{});
    std::string text;
    for (const std::string& one : all) append(text, concat(text.empty() ? "" : ", ", one));
    return text;
}

/// Runs `f` for one quantizer, or says that the engine does not have it, and what it has.
template <class Supported, class Answer, class Formats, class Quantizer, class Alternatives, class M, class F>
Answer run_for(const oneof<Alternatives>& resolved, const M& message, F& f) {
    if constexpr (!Supported::template has<Quantizer>) {
        return general_error(concat("`", describe(resolved), "` is not what this engine runs; it has ",
                                    names_of_supported<Supported, Alternatives, Formats>(),
                                    "; choose one of them for the layer, or skip it with quant_skip_layers"));
    } else if constexpr (std::is_void_v<std::invoke_result_t<F&, std::type_identity<Quantizer>, const M&>>) {
        f(std::type_identity<Quantizer>{}, message);
        return {};
    } else {
        return f(std::type_identity<Quantizer>{}, message);
    }
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
                return detail::visit_type(
                    detail::weight_formats{}, detail::weight_format(message, false),
                    [&]<class Format>(std::type_identity<Format>) -> Answer {
                        return detail::run_for<Supported, Answer, detail::weight_formats,
                                               typename M::template quantizer<typename Format::bits,
                                                                              typename Format::granularity>>(
                            resolved, message, f);
                    });
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
                return detail::visit_type(detail::data_formats{}, detail::data_format(message),
                                          [&]<class B>(std::type_identity<B>) -> Answer {
                                              return detail::run_for<Supported, Answer, detail::data_formats,
                                                                     typename M::template quantizer<B>>(
                                                  resolved, message, f);
                                          });
            }
        },
        resolved.value());
}

}  // namespace amct_distill
