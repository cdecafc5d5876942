// SPDX-License-Identifier: Apache-2.0
/// What an engine can run: a closed list of quantizers, asked at compile time.
///
///     using engine = supports<Arq<Int4, ChannelWise>, Arq<Int8, ChannelWise>, ActUlq<Int8>>;
///     static_assert(engine::has<ActUlq<Int8>>);
///     static_assert(!engine::has<ActUlq<Int4>>);
///
/// Only what the list has is instantiated, so it is also what an embedder pays for.
#pragma once
#include <concepts>

namespace amct_distill {

template <class... Q>
struct supports {
    template <class X>
    static constexpr bool has = (std::same_as<X, Q> || ...);
};

/// An engine without limits.
struct supports_all {
    template <class X>
    static constexpr bool has = true;
};

}  // namespace amct_distill
