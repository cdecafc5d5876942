// SPDX-License-Identifier: Apache-2.0
/// The definitions of resolve.hpp.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/diagnostic_list.hpp"
#include "blocks.hpp"
#include "check_target.hpp"
#include "layer_lookup.hpp"
#include "resolve.hpp"
#include "rule_book.hpp"
#include "settings.hpp"
#include "user_blocks.hpp"

namespace amct_distill {
namespace detail {

/// An optional of the configuration with a default in the schema.
template <class T, auto Default>
PlannedValue<T> planned_value(const optional<T, Default>& field, std::string_view name) {
    return {field.get(), field.has_value() ? provenance_of(name, field.position()) : Provenance{}};
}

inline void check_at_least_one(const PlannedValue<std::uint32_t>& value, std::string_view name,
                               std::string_view rule, DiagnosticList& found) {
    if (value.value == 0) found.error(value.from.where, std::string(name), concat("0 is too few: ", rule));
}

template <class Algorithms>
LayerFacts facts_of(const LayerRules<Algorithms>& layer, const Graph& g) {
    auto const relu = g.relu_before(g.uses(layer.module).front());
    return {has_channels_by_default(g.module(layer.module).type), relu ? g.name(*relu) : std::string()};
}

template <class Algorithms>
BasicPlannedLayer<Algorithms> plan_layer(const LayerRules<Algorithms>& rules, const Graph& g) {
    const TopologyModule& module = g.module(rules.module);
    BasicPlannedLayer<Algorithms> layer;
    layer.name = module.name;
    layer.type = module.type;
    layer.module = rules.module;
    layer.node = g.uses(rules.module).front();
    layer.quant_enable = !rules.skipped;
    if (rules.skipped) layer.quant_enable_from = *rules.skipped;
    // A layer that is skipped keeps the defaults, as in the original.
    const Rule<Algorithms> nothing{};
    const Rule<Algorithms>& source = rules.skipped ? nothing : rules.strongest();
    auto const facts = facts_of(rules, g);
    auto data = settle(source.data, facts);
    auto weights = settle(source.weights, facts);
    layer.data = std::move(data.algorithm);
    layer.data_from = std::move(data.from);
    layer.weights = std::move(weights.algorithm);
    layer.weights_from = std::move(weights.from);
    return layer;
}

inline void warn_of_left_out(const std::vector<NodeId>& nodes, const std::vector<bool>& quantized,
                             const Graph& g, DiagnosticList& found) {
    for (NodeId node : nodes) {
        if (!quantized[node]) continue;
        const std::string& layer = g.name(node);
        NodeId const norm = *g.only_consumer(node);
        found.warning({}, "",
                      concat("`", layer, "` is quantized, but not distilled: it is followed by `",
                             g.name(norm), "`, a ", g.is_shared(norm) ? "shared " : "", g.type(norm),
                             ", which cannot join its block; a distill_group from `", layer, "` to `", layer,
                             "` makes it one of its own"));
    }
}

template <class Algorithms, class Storage>
result<BasicDistillPlan<Algorithms>> resolve(const BasicConfig<Algorithms, Storage>& config, const Graph& g,
                                             const Target& target, DiagnosticList found, bool patterns,
                                             bool group_parts = false) {
    BasicDistillPlan<Algorithms> plan;
    plan.graph = g;
    plan.batch_num = planned_value(config.batch_num, "batch_num");
    plan.group_size = planned_value(config.group_size, "group_size");
    plan.data_dump = planned_value(config.data_dump, "data_dump");
    check_at_least_one(plan.batch_num, "batch_num", "IFMR computes the clips from at least 1 batch", found);
    check_at_least_one(plan.group_size, "group_size", "a block is made of at least 1 unit", found);

    LayerLookup const names(g, found, patterns);
    RuleBook<Algorithms> const rules(config, g, names, found);
    if (names.quantizable().empty())
        found.error(
            {}, "",
            "the network has no layer that can be quantized: a Conv2d that pads with zeros, or a Linear, "
            "used once");
    else if (std::all_of(rules.layers().begin(), rules.layers().end(),
                         [](const auto& layer) { return layer.skipped.has_value(); }))
        found.error(
            {}, "",
            "every layer that can be quantized is skipped, and nothing is left to distill; take one out "
            "of quant_skip_layers or quant_skip_layer_types");

    std::vector<NodeId> nodes;  // of the quantizable layers
    std::vector<bool> quantized(g.size(), false);
    for (const auto& layer : rules.layers()) {
        plan.layers.push_back(plan_layer(layer, g));
        nodes.push_back(plan.layers.back().node);
        quantized[nodes.back()] = plan.layers.back().quant_enable;
    }
    check_target(plan.layers, rules.layers(), target, found);

    auto groups = user_blocks(config.distill_group, g, names, found, group_parts);
    if (found.failed()) return found.errors();

    std::sort(nodes.begin(), nodes.end());
    auto planned = plan_blocks(g, nodes, std::move(groups), plan.group_size.value);
    plan.blocks = std::move(planned.blocks);
    std::vector<std::size_t> block_of(g.size(), plan.blocks.size());
    for (std::size_t b = 0; b != plan.blocks.size(); ++b)
        for (NodeId n : plan.blocks[b].nodes) block_of[n] = b;
    for (auto& layer : plan.layers)
        if (block_of[layer.node] != plan.blocks.size()) layer.block = block_of[layer.node];

    rules.warn_of_idle_rules();
    rules.warn_of_resets([&](const auto& layer) { return facts_of(layer, g); });
    warn_of_left_out(planned.left_out, quantized, g, found);
    return {std::move(plan), found.warnings()};
}

}  // namespace detail

template <class Algorithms, class Storage>
result<BasicDistillPlan<Algorithms>> resolve(const BasicConfig<Algorithms, Storage>& config,
                                             const Graph& graph, const Target& target,
                                             const ResolveOptions& options) {
    return detail::resolve(config, graph, target, detail::DiagnosticList(options.source), options.patterns,
                           options.group_parts);
}

}  // namespace amct_distill
