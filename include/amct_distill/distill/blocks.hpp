// SPDX-License-Identifier: Apache-2.0
/// What is trained together: a part of the network with inputs and outputs of its own.
///
///     for (const TrainedBlock& b : blocks_of(network, plan, BlockShape::automatic))
///         use(b.nodes, b.inputs, b.outputs);
///
/// AMCT's blocks are chains, whose last value is taught. A residual unit is the part between a value that
/// forks and the Add where its paths meet again, with the activation after it: its shortcut is trained with
/// it, and what is taught is what the rest of the network reads.
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../graph/layer_types.hpp"
#include "../nn/network.hpp"
#include "../plan/plan.hpp"
#include "block_shape.hpp"

namespace amct_distill {

struct TrainedBlock {
    std::vector<NodeId> nodes{};       ///< in graph order
    std::vector<NodeId> inputs{};      ///< values from outside that the nodes read, each once; no constants
    std::vector<NodeId> outputs{};     ///< values that are taught
    std::vector<std::string> names{};  ///< of the modules

    /// The first node that does not come before all of the block's.
    NodeId end(const nn::Network& network) const {
        return {nodes.back().index + network.node(nodes.back()).ports + 1};
    }
};

namespace detail {

/// The operation that a value is of: a port belongs to the node before it.
inline NodeId operation_of(const nn::Network& network, NodeId value) {
    auto const after = std::ranges::upper_bound(network.operations(), value);
    NodeId const op = after == network.operations().begin() ? value : after[-1];
    return value.index - op.index <= network.node(op).ports ? op : value;
}

/// Whether each node reads the one before it, and nothing else but constants.
inline bool is_chain(const nn::Network& network, const std::vector<NodeId>& nodes) {
    for (std::size_t k = 1; k != nodes.size(); ++k) {
        bool reads = false;
        for (NodeId input : network.node(nodes[k]).inputs) {
            if (network.node(input).kind == NodeKind::constant) continue;
            if (input != nodes[k - 1]) return false;
            reads = true;
        }
        if (!reads) return false;
    }
    return true;
}

/// A block of these nodes, in graph order; taught is the last one's value, or all that is read from outside.
inline TrainedBlock block_of_nodes(const nn::Network& network, std::vector<NodeId> nodes, bool last_alone) {
    TrainedBlock block{.nodes = std::move(nodes)};
    auto const is_own = [&](NodeId value) {
        return std::ranges::find(block.nodes, operation_of(network, value)) != block.nodes.end();
    };
    for (NodeId id : block.nodes) {
        if (auto const m = network.node(id).module) block.names.push_back(network.modules()[*m].name);
        for (NodeId input : network.node(id).inputs)
            if (network.node(input).kind != NodeKind::constant && !is_own(input) &&
                std::ranges::find(block.inputs, input) == block.inputs.end())
                block.inputs.push_back(input);
    }
    for (NodeId input : block.inputs)
        if (input > block.nodes.front())
            throw std::invalid_argument(concat("distill: the block at `", network.name(block.nodes.front()),
                                               "` reads `", network.name(input),
                                               "`, which is computed after its first node"));
    if (!last_alone)
        for (NodeId id : block.nodes)
            for (NodeId value : network.outputs_of(id)) {
                const auto& readers = network.graph().consumers(value);
                if (network.graph().is_output(value) || !std::ranges::all_of(readers, is_own))
                    block.outputs.push_back(value);
            }
    if (block.outputs.empty()) block.outputs.push_back(block.nodes.back());
    return block;
}

/// Finds residual units, which are runs of operations without anything else between.
class ResidualUnits {
public:
    explicit ResidualUnits(const nn::Network& network)
        : network_(network), operations_(network.operations()) {}

    /// None lies in another; the innermost where they do.
    std::vector<std::vector<NodeId>> find() const {
        std::vector<std::vector<NodeId>> units;
        std::size_t free = 0;  // operations before this one are in no further unit
        for (std::size_t at = 0; at != operations_.size(); ++at) {
            if (!is_addition(operations_[at])) continue;
            auto const begin = begin_of(at, free);
            if (!begin) continue;
            std::size_t end = at + 1;
            if (end != operations_.size() && is_activation_of(operations_[end], operations_[at])) ++end;
            units.emplace_back(operations_.begin() + static_cast<std::ptrdiff_t>(*begin),
                               operations_.begin() + static_cast<std::ptrdiff_t>(end));
            free = end;
        }
        return units;
    }

private:
    bool is_addition(NodeId id) const {
        auto const is_computed = [&](NodeId input) {
            return network_.node(input).kind != NodeKind::constant;
        };
        const auto& inputs = network_.node(id).inputs;
        return network_.graph().type(id) == "Add" && inputs.size() == 2 &&
               std::ranges::all_of(inputs, is_computed);
    }
    bool is_activation_of(NodeId id, NodeId addition) const {
        auto const reader = network_.graph().only_consumer(addition);
        std::string_view const type = network_.graph().type(id);
        return reader && *reader == id && network_.node(id).inputs.size() == 1 &&
               (is_activation(type) || is_further_activation(type) || is_relu(type));
    }
    /// Where the unit of the addition begins: the nearest operation from which on all paths come of one
    /// value.
    std::optional<std::size_t> begin_of(std::size_t addition, std::size_t free) const {
        bool has_weights = false;
        for (std::size_t begin = addition + 1; begin-- != free;) {
            auto const module = network_.node(operations_[begin]).module;
            has_weights = has_weights || (module && network_.module(*module).weighted() != nullptr);
            if (sources(begin, addition) == 1 && is_closed(begin, addition))
                return has_weights ? std::optional(begin) : std::nullopt;
        }
        return std::nullopt;
    }
    /// How many values from outside the operations begin..last read.
    std::size_t sources(std::size_t begin, std::size_t last) const {
        std::vector<NodeId> found;
        for (std::size_t k = begin; k <= last; ++k)
            for (NodeId input : network_.node(operations_[k]).inputs)
                if (is_from_outside(input, begin) && std::ranges::find(found, input) == found.end())
                    found.push_back(input);
        return found.size();
    }
    /// An input of the network is, wherever it stands in the graph.
    bool is_from_outside(NodeId value, std::size_t begin) const {
        NodeKind const kind = network_.node(value).kind;
        return kind == NodeKind::input || (kind != NodeKind::constant && value < operations_[begin]);
    }
    /// Whether nothing but the addition is read from outside.
    bool is_closed(std::size_t begin, std::size_t last) const {
        for (std::size_t k = begin; k != last; ++k)
            for (NodeId value : network_.outputs_of(operations_[k])) {
                if (network_.graph().is_output(value)) return false;
                for (NodeId reader : network_.graph().consumers(value))
                    if (reader > operations_[last]) return false;
            }
        return true;
    }

    const nn::Network& network_;
    std::span<const NodeId> operations_;
};

}  // namespace detail

/// In graph order. Throws std::invalid_argument when residual units are asked for and there are none.
template <class Algorithms>
std::vector<TrainedBlock> blocks_of(const nn::Network& network, const BasicDistillPlan<Algorithms>& plan,
                                    BlockShape shape) {
    std::vector<std::vector<NodeId>> units;
    if (shape != BlockShape::amct) units = detail::ResidualUnits(network).find();
    auto const shares = [](const std::vector<NodeId>& a, const std::vector<NodeId>& b) {
        return std::ranges::any_of(a, [&](NodeId id) { return std::ranges::find(b, id) != b.end(); });
    };
    std::erase_if(units, [&](const auto& unit) {
        return std::ranges::any_of(plan.blocks, [&](const PlannedBlock& block) {
            return block.from.by_user && shares(unit, block.nodes);
        });
    });
    if (shape == BlockShape::residual && units.empty())
        throw std::invalid_argument(
            "distill: blocks is `residual`, and the network has no residual unit that a distill_group leaves "
            "free; "
            "use `automatic` or `amct`");
    std::vector<TrainedBlock> blocks;
    for (const PlannedBlock& planned : plan.blocks) {
        std::vector<NodeId> rest;  // what no unit has
        for (NodeId id : planned.nodes)
            if (!std::ranges::any_of(units,
                                     [&](const auto& u) { return std::ranges::find(u, id) != u.end(); }))
                rest.push_back(id);
        if (rest.empty()) continue;
        bool const is_chain = detail::is_chain(network, rest);
        if (!is_chain && shape == BlockShape::amct)
            throw std::invalid_argument(detail::concat(
                "distill: the block at `", network.name(rest.front()),
                "` is not a chain, as AMCT's blocks are: set blocks to BlockShape::automatic"));
        blocks.push_back(detail::block_of_nodes(network, std::move(rest), is_chain));
    }
    for (auto& unit : units) blocks.push_back(detail::block_of_nodes(network, std::move(unit), false));
    std::ranges::sort(blocks, {}, [](const TrainedBlock& b) { return b.nodes.front(); });
    return blocks;
}

}  // namespace amct_distill
