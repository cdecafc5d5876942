// SPDX-License-Identifier: Apache-2.0
/// Whether the integer 0 stands for the real 0: offset 0 (symmetric), or an offset fitted to the range.
///
///     Arq<Int8, ChannelWise>                  // weights are symmetric by default
///     ActUlq<Int8>                            // activations are asymmetric by default
///     Arq<Int8, ChannelWise, Asymmetric>
#pragma once
#include <concepts>
#include <string_view>

namespace amct_distill {

struct Symmetric {
    static constexpr std::string_view name = "symmetric";
};
struct Asymmetric {
    static constexpr std::string_view name = "asymmetric";
};

template <class S>
concept Symmetry = std::same_as<S, Symmetric> || std::same_as<S, Asymmetric>;

}  // namespace amct_distill
