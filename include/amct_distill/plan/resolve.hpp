// SPDX-License-Identifier: Apache-2.0
/// A configuration and a network's graph become a plan: which rule holds for each layer, with which
/// settings, and which layers are distilled together.
///
///     result<DistillPlan> plan = resolve(config, network.graph());
///     if (!plan) std::cerr << to_string(plan.diagnostics());      // every error there is, not the first
///     resolve(config, graph, target::ascend, {.source = {"quant.cfg", text}});
///
/// With the text the configuration was read from, diagnostics show the line.
#pragma once
#include "../core/result.hpp"
#include "../core/source_text.hpp"
#include "../graph/graph.hpp"
#include "plan.hpp"
#include "target.hpp"

namespace amct_distill {

struct ResolveOptions {
    SourceText source{};  ///< what the configuration was read from: diagnostics then show its lines
    /// Names in quant_skip_layers and in overrides of layers may have * for any characters and ? for one, as
    /// in "layer1.*". AMCT takes names alone. An override of a name is stronger than one of a pattern; that a
    /// layer fits the patterns of two overrides is an error.
    bool patterns = false;
    /// A distill_group may be a part of the network with several paths (a residual unit with its shortcut):
    /// all that lies between its two layers. AMCT takes one path of layers. Distill with `blocks` that are
    /// not amct.
    bool group_parts = false;
};

/// Resolves a configuration. Errors: names that fit nothing or cannot be quantized, repeated overrides,
/// values out of range, groups that are not one path, rules of the target, nothing left to quantize; all of
/// them are reported. Warnings: rules that never apply, overrides that reset what they do not say, layers
/// that are quantized but not distilled. A Topology is taken for a graph; one that
/// contradicts itself throws std::invalid_argument.
template <class Algorithms, class Storage>
result<BasicDistillPlan<Algorithms>> resolve(const BasicConfig<Algorithms, Storage>& config,
                                             const Graph& graph, const Target& target = target::generic,
                                             const ResolveOptions& options = {});

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "resolve-inl.hpp"
#endif
