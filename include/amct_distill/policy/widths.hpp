// SPDX-License-Identifier: Apache-2.0
/// The bit Widths that a configuration can name: the one list from which every choice among them is made.
///
///     Width const w = Int4{};                              // one of them, as a value
///     std::visit([]<class B>(B) { return B::name; }, w);   // "INT4": back to a type
///     EachWidth<Codes>                                     // std::variant<Codes<Int4>, Codes<Int8>>
#pragma once
#include <type_traits>
#include <variant>

#include "bits.hpp"

namespace amct_distill {

template <class... B>
struct WidthList {
    using Any = std::variant<B...>;
    template <template <class> class Of>
    using AnyOf = std::variant<Of<B>...>;
    template <class T>
    static constexpr bool has = (std::is_same_v<T, B> || ...);
};

/// A width of your own is a type of its own; one that a configuration can name stands here, and in DataType.
using Widths = WidthList<Int4, Int8>;

/// One of them: their types are empty, so that the value says no more than which.
using Width = Widths::Any;

/// `Of<B>` for one of the widths.
template <template <class> class Of>
using EachWidth = Widths::AnyOf<Of>;

}  // namespace amct_distill
