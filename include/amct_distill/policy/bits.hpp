// SPDX-License-Identifier: Apache-2.0
/// Bit widths as types: how many bits a quantized value has, and the codes they give.
///
///     Arq<Int4, ChannelWise>            // weights in 4 bits
///     Int4::qmin == -8, Int4::qmax == 7, Int4::name == "INT4"
///     struct Int6 : bits<6> { static constexpr std::string_view name = "INT6"; };   // a width of your own
#pragma once
#include <concepts>
#include <cstdint>
#include <string_view>

namespace amct_distill {

/// Signed two's complement codes of `N` bits.
template <int N>
struct bits {
    static_assert(N >= 2 && N <= 8,
                  "bits<N>: N must be 2..8; for a layer that stays in float use quant_skip_layers");
    static constexpr int width = N;
    static constexpr int qmin = -(1 << (N - 1));
    static constexpr int qmax = (1 << (N - 1)) - 1;
    using storage = std::int8_t;  ///< one code, not packed
};

/// The names are those of the configuration's DataType.
struct Int4 : bits<4> {
    static constexpr std::string_view name = "INT4";
};
struct Int8 : bits<8> {
    static constexpr std::string_view name = "INT8";
};

template <class B>
concept BitWidth = requires {
    { B::name } -> std::convertible_to<std::string_view>;
    typename bits<B::width>;
    requires B::qmin == bits<B::width>::qmin&& B::qmax == bits<B::width>::qmax;
    requires std::same_as<typename B::storage, typename bits<B::width>::storage>;
};

}  // namespace amct_distill
