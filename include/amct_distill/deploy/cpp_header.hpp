// SPDX-License-Identifier: Apache-2.0
/// A deployment as a C++ header: the network as types and constants, for engines that read no files.
///
///     write_file("digits.hpp", write_cpp_header(device, {.name = "digits"}).value()).value();
///
/// The header needs amct_distill_quant.hpp alone. For every layer it has a type, in namespace
/// `digits::layers`:
///
///     struct conv1 {
///         static constexpr std::string_view name = "conv1", type = "Conv2d";
///         static constexpr std::array<int, 1> reads{0}, writes{1};         // of `network::values`
///         struct options { static constexpr std::array<std::int64_t, 2> kernel{3, 3}; ... };
///         static constexpr bool quantized = true;
///         using weights = amct_distill::Arq<amct_distill::Int4, amct_distill::ChannelWise>;
///         using data = amct_distill::ActUlq<amct_distill::Int8>;
///         static constexpr amct_distill::ScaleOffset input{0.0078125f, -128};
///         static constexpr std::array<float, 4> scales{...};               // one, or one per output channel
///         static constexpr std::array<std::int32_t, 4> bias{...};          // of size 0: none
///         static constexpr amct_distill::FixedCodes<amct_distill::Int4, 4, 9> codes{{...}};
///     };
///
/// It computes what DeployedLayer says. What is not quantized has `parameters` in float in the place of the
/// integers. `digits::network` lists the layers in the order in which they run, and the values between;
/// `digits::configuration` is a text for static_config: which layer has which bits and granularity.
#pragma once
#include <string>

#include "../core/result.hpp"
#include "deployment.hpp"

namespace amct_distill {

struct CppHeaderOptions {
    std::string name = "model";                        ///< the namespace
    std::string include = "<amct_distill_quant.hpp>";  ///< what its types come from
};

/// Errors, all of them: layers that are of no type that the library has, with what to do; a name that is no
/// identifier.
result<std::string> write_cpp_header(const Deployment& deployment, const CppHeaderOptions& options = {});

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "cpp_header-inl.hpp"
#endif
