// SPDX-License-Identifier: Apache-2.0
/// What a network is to those who plan, train and deploy it: nodes, modules, who reads whom, what leaves it.
///
///     Graph g = network.graph();                // or Graph(topology), of a network that is elsewhere
///     g.only_consumer(conv);                    // the one node that reads it
///     g.why_not_quantized(module);              // "is a ReLU; only Conv2d and Linear layers are quantized"
///     g.relu_before(fc);                        // the ReLU that produces its input, maybe through pooling
///     difference(g, other, "the plan", "the network");   // "module 3 is `a` (Conv2d) in the plan, and ..."
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ids.hpp"
#include "layer_types.hpp"
#include "topology.hpp"

namespace amct_distill {

/// Owns its topology. Every query takes constant time but for `relu_before` and what follows a name.
class Graph {
public:
    Graph() = default;
    /// Throws std::invalid_argument when the topology is not one: an index out of range, a node before one
    /// that it reads, two modules of one name.
    Graph(const Topology& topology);

    // ---- building: each throws std::invalid_argument for what contradicts the rest

    ModuleId add_module(TopologyModule module);
    NodeId add_node(TopologyNode node);
    void add_output(NodeId id);
    /// Another module takes the place of one: of another type, perhaps.
    void set_type(ModuleId module, std::string type, bool weighted);

    // ---- looking at it

    const Topology& topology() const { return topology_; }
    std::size_t size() const { return topology_.nodes.size(); }
    const TopologyNode& node(NodeId id) const { return topology_.nodes.at(id); }
    const TopologyModule& module(ModuleId id) const { return topology_.modules.at(id); }
    std::size_t module_count() const { return topology_.modules.size(); }

    std::optional<ModuleId> module_named(std::string_view name) const;
    std::optional<NodeId> node_named(std::string_view name) const;
    std::string_view type(NodeId node) const { return topology_.nodes[node].type; }
    NodeKind kind(NodeId node) const { return topology_.nodes[node].kind; }
    bool has_module(NodeId node) const { return topology_.nodes[node].module.has_value(); }
    std::optional<ModuleId> module_of(NodeId node) const;
    /// The module's name; the operation's, when it has no module.
    const std::string& name(NodeId node) const;
    /// The nodes that are uses of a module.
    const std::vector<NodeId>& uses(ModuleId module) const { return uses_[module]; }
    bool is_shared(NodeId node) const {
        return has_module(node) && uses_[*topology_.nodes[node].module].size() > 1;
    }
    /// The nodes that read a node, each once.
    const std::vector<NodeId>& consumers(NodeId node) const { return consumers_[node]; }
    bool is_output(NodeId node) const { return leaves_network_[node]; }
    /// The one node that reads it; none also when its output leaves the network.
    std::optional<NodeId> only_consumer(NodeId node) const;

    /// Whether a module has weights that can be quantized.
    bool is_weighted(ModuleId module) const;
    /// What to say after the module's name; empty when it can be quantized.
    std::string why_not_quantized(ModuleId module) const;

    /// The ReLU that produces a node's input, maybe through operations that keep the sign.
    std::optional<NodeId> relu_before(NodeId node) const;

private:
    Topology topology_{};
    std::unordered_map<std::string, std::size_t> modules_{}, names_{};
    std::vector<std::vector<NodeId>> consumers_{};
    std::vector<bool> leaves_network_{};
    std::vector<std::vector<NodeId>> uses_{};
};

/// The first difference of two graphs in their modules, nodes, connections and outputs, as a sentence without
/// its period; empty when there is none. `a_name` and `b_name` say whose they are: "the teacher", "the
/// student".
std::string difference(const Graph& a, const Graph& b, std::string_view a_name, std::string_view b_name);

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "graph-inl.hpp"
#endif
