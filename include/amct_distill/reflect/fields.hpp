// SPDX-License-Identifier: Apache-2.0
/// The fields of an aggregate: how many, their names, types and values, without macros or registration.
///
///     struct point { int x; int y; };
///     static_assert(reflect::field_count<point> == 2 && reflect::field_name<point, 1>() == "y");
///     reflect::get<0>(p) = 3;
///
/// The only user of Boost.PFR. Boost >= 1.84 knows field names; for older ones the same technique is below.
#pragma once
#include <array>
#include <boost/pfr/core.hpp>
#include <boost/pfr/tuple_size.hpp>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>
#if __has_include(<boost/pfr/config.hpp>)
#include <boost/pfr/config.hpp>
#endif
#if defined(BOOST_PFR_CORE_NAME_ENABLED) && BOOST_PFR_CORE_NAME_ENABLED
#include <boost/pfr/core_name.hpp>
#endif

namespace amct_distill::reflect {

template <class T>
inline constexpr std::size_t field_count = boost::pfr::tuple_size_v<T>;

template <class T, std::size_t I>
using field_type = boost::pfr::tuple_element_t<I, T>;

template <std::size_t I, class T>
constexpr auto& get(T& object) noexcept {
    return boost::pfr::get<I>(object);
}

#if defined(BOOST_PFR_CORE_NAME_ENABLED) && BOOST_PFR_CORE_NAME_ENABLED

template <class T, std::size_t I>
consteval std::string_view field_name() {
    return boost::pfr::get_name<I, T>();
}

#else

namespace detail {
#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
#endif
template <class T>
struct Holder {
    const T value;
};
template <class T>
extern const Holder<T> phantom;  // declared, never defined: only the address of its fields is spelled

template <class P>
struct Address {  // clang < 18 does not take the pointer itself as a template argument
    P pointer;
};
template <class P>
Address(P) -> Address<P>;

template <class T, Address Where>
consteval auto spelled_name() {
    // g++:   ... Where = Address<..>{(& phantom<X>.Holder<X>::value.X::name)}]
    // clang: ... Where = {&phantom.value.name}]       -- either way: the last identifier
    constexpr std::string_view text = __PRETTY_FUNCTION__;
    constexpr std::string_view word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    constexpr auto end = text.find_last_of(word) + 1, begin = text.find_last_not_of(word, end - 1) + 1;
    std::array<char, end - begin> out{};
    for (std::size_t i = 0; i != out.size(); ++i) out[i] = text[begin + i];
    return out;  // a copy, so that only the name itself gets into the binary
}
template <class T, std::size_t I>
inline constexpr auto name_chars =
    spelled_name<T, Address{std::addressof(boost::pfr::get<I>(phantom<T>.value))}>();
#ifdef __clang__
#pragma clang diagnostic pop
#endif
}  // namespace detail

template <class T, std::size_t I>
consteval std::string_view field_name() {
    return {detail::name_chars<T, I>.data(), detail::name_chars<T, I>.size()};
}

#endif

/// The names of all fields, in order.
template <class T>
inline constexpr auto field_names = []<std::size_t... I>(std::index_sequence<I...>) {
    return std::array<std::string_view, sizeof...(I)>{field_name<T, I>()...};
}
(std::make_index_sequence<field_count<T>>{});

namespace detail {
struct Known {
    int expected_spelling;
};
static_assert(field_name<Known, 0>() == "expected_spelling",
              "amct_distill: this compiler spells pointers to members in an unknown way; use Boost >= 1.84");
}  // namespace detail

}  // namespace amct_distill::reflect
