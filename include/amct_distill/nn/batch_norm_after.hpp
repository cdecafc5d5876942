// SPDX-License-Identifier: Apache-2.0
/// The BatchNorm after a layer: deployment folds it into the layer.
///
///     if (std::optional<ModuleId> bn = batch_norm_after(network, conv1))
///         const nn::BatchNorm& norm = *nn::as_batch_norm(network.module(*bn));
#pragma once
#include <optional>

#include "layers/batch_norm.hpp"
#include "network.hpp"

namespace amct_distill {

/// The BatchNorm1d, 2d or 3d that is the only consumer of a layer's output, as a module of the network. None
/// when there is none; when the layer or the BatchNorm is used more than once; when the layer's output leaves
/// the network.
inline std::optional<ModuleId> batch_norm_after(const nn::Network& network, ModuleId layer) {
    const Graph& graph = network.graph();
    if (graph.uses(layer).size() != 1) return std::nullopt;
    auto const next = graph.only_consumer(graph.uses(layer).front());
    if (!next) return std::nullopt;
    auto const module = graph.module_of(*next);
    if (!module || graph.uses(*module).size() != 1) return std::nullopt;
    return nn::as_batch_norm(network.module(*module)) != nullptr ? module : std::nullopt;
}

}  // namespace amct_distill
