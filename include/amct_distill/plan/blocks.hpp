// SPDX-License-Identifier: Apache-2.0
/// The blocks of a plan: the user's groups, and the layers that are left, unit by unit, joined `group_size`
/// at a time.
///
///     auto [blocks, left_out] = detail::plan_blocks(graph, quantizable_nodes, user_blocks, group_size);
///
/// A unit is a quantizable layer with a following BatchNorm2d and a following activation.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "../graph/graph.hpp"
#include "plan.hpp"

namespace amct_distill::detail {

struct PlannedBlocks {
    std::vector<PlannedBlock> blocks{};  // in graph order
    std::vector<NodeId> left_out{};      // nodes of layers before a BatchNorm that no unit may have
};

class BlockPlanner {
public:
    BlockPlanner(const Graph& g, const std::vector<PlannedBlock>& groups)
        : graph_(g), in_group_(g.size(), false), unit_at_(g.size()) {
        for (const PlannedBlock& group : groups)
            for (NodeId n : group.nodes) in_group_[n] = true;
    }

    /// `layers`: the nodes of the quantizable layers, in graph order.
    PlannedBlocks plan(const std::vector<NodeId>& layers, std::vector<PlannedBlock> groups,
                       std::uint32_t group_size) {
        PlannedBlocks out{std::move(groups), {}};
        for (NodeId layer : layers) {
            if (in_group_[layer]) continue;
            unit_at_[layer] = unit(layer);
            if (unit_at_[layer].empty()) out.left_out.push_back(layer);
        }
        for (NodeId layer : layers)
            if (!unit_at_[layer].empty()) out.blocks.push_back(joined(layer, group_size));
        std::sort(out.blocks.begin(), out.blocks.end(), [](const PlannedBlock& a, const PlannedBlock& b) {
            return a.nodes.front() < b.nodes.front();
        });
        return out;
    }

private:
    /// The only reader of a node, unless a group has it.
    std::optional<NodeId> next(NodeId node) const {
        auto const reader = graph_.only_consumer(node);
        return reader && !in_group_[*reader] ? reader : std::nullopt;
    }
    /// The unit that begins with a layer. Empty before a BatchNorm that cannot be part of one (BatchNorm1d,
    /// or shared): the original leaves such a layer out of every block, and so do we.
    std::vector<NodeId> unit(NodeId layer) const {
        std::vector<NodeId> nodes{layer};
        auto follower = next(layer);
        if (follower && graph_.has_module(*follower) && graph_.type(*follower).starts_with("BatchNorm")) {
            if (graph_.type(*follower) != "BatchNorm2d" || graph_.is_shared(*follower)) return {};
            nodes.push_back(*follower);
            follower = next(*follower);
        }
        // A functional activation is no module, and stays outside.
        if (follower && graph_.has_module(*follower) && is_activation(graph_.type(*follower)))
            nodes.push_back(*follower);
        return nodes;
    }
    /// The unit at `layer` with those that follow it directly, `group_size` in all; takes them.
    PlannedBlock joined(NodeId layer, std::uint32_t group_size) {
        PlannedBlock block{std::exchange(unit_at_[layer], {}), {}, {}};
        for (std::uint32_t units = 1; units < group_size; ++units) {
            auto const follower = next(block.nodes.back());
            if (!follower || unit_at_[*follower].empty()) break;
            auto const more = std::exchange(unit_at_[*follower], {});
            block.nodes.insert(block.nodes.end(), more.begin(), more.end());
        }
        for (NodeId n : block.nodes) block.names.push_back(graph_.name(n));
        return block;
    }

    const Graph& graph_;
    std::vector<bool> in_group_;
    std::vector<std::vector<NodeId>> unit_at_;  // by its first node
};

inline PlannedBlocks plan_blocks(const Graph& g, const std::vector<NodeId>& layers,
                                 std::vector<PlannedBlock> groups, std::uint32_t group_size) {
    BlockPlanner planner(g, groups);
    return planner.plan(layers, std::move(groups), group_size);
}

}  // namespace amct_distill::detail
