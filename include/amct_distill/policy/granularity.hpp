// SPDX-License-Identifier: Apache-2.0
/// How many scales a weight has: one per output channel, or one for the whole tensor.
///
///     Arq<Int8, ChannelWise>      // as many scales as rows of the weight matrix
///     Arq<Int8, TensorWise>       // one
#pragma once
#include <concepts>
#include <string_view>

namespace amct_distill {

struct ChannelWise {
    static constexpr std::string_view name = "channel_wise";
};
struct TensorWise {
    static constexpr std::string_view name = "tensor_wise";
};

/// The granularities that a configuration can name: the one list from which every choice among them is made.
template <class... G>
struct GranularityList {};
using Granularities = GranularityList<ChannelWise, TensorWise>;

template <class G>
concept Granularity = std::same_as<G, ChannelWise> || std::same_as<G, TensorWise>;

}  // namespace amct_distill
