// SPDX-License-Identifier: Apache-2.0
/// Whether an engine can run a plan: the run-time twin of RunsOn.
///
///     using engine = supports<Arq<Int8, ChannelWise>, ActUlq<Int8>>;
///     check_engine<engine>(plan, SourceText{"quant.cfg", text}).value();
///     // quant.cfg:3:7: error: layer `fc`: `arq_distill, INT8, tensor_wise` is not what this engine ...
#pragma once
#include "../core/concat.hpp"
#include "../core/diagnostic_list.hpp"
#include "../core/result.hpp"
#include "../core/source_text.hpp"
#include "plan.hpp"
#include "select.hpp"
#include "static_select.hpp"

namespace amct_distill {

/// Errors, all of them: layers that want a quantizer that `Engine` does not list, each at the place in the
/// configuration where its algorithm was chosen. Of an engine that lists weight quantizers alone, or
/// activation quantizers alone, only those are asked for.
template <class Engine, class Algorithms>
result<void> check_engine(const BasicDistillPlan<Algorithms>& plan, const SourceText& source = {}) {
    constexpr bool has_weights =
        detail::has_any<Engine>(detail::all_weight_choices<typename Algorithms::weights>{});
    constexpr bool has_data =
        detail::has_any<Engine>(detail::all_activation_choices<typename Algorithms::data>{});
    static_assert(
        has_weights || has_data,
        "check_engine: the engine supports none of the quantizers that the algorithm list can name; "
        "add one to supports<...>");
    detail::DiagnosticList found(source);
    for (const auto& layer : plan.layers) {
        if (!layer.quant_enable) continue;
        auto const require_supported = [&](const result<void>& visited, const Provenance& from) {
            for (const Diagnostic& error : visited.diagnostics())
                found.error(from.where, {}, detail::concat("layer `", layer.name, "`: ", error.message));
        };
        auto const nothing = [](auto, const auto&) {};
        if constexpr (has_weights)
            require_supported(visit_weight_quantizer<Engine>(layer.weights, nothing),
                              layer.weights_from.algo);
        if constexpr (has_data)
            require_supported(visit_activation_quantizer<Engine>(layer.data, nothing), layer.data_from.algo);
    }
    if (found.failed()) return found.errors();
    return {};
}

}  // namespace amct_distill
