// SPDX-License-Identifier: Apache-2.0
/// The definitions of graph.hpp.
#pragma once
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/inline.hpp"
#include "graph.hpp"

namespace amct_distill {
namespace detail {

/// One input, and not a value below 0 unless the input has one: pooling, flatten, reshape, dropout. Modules
/// go by PyTorch's names, functional operations by ONNX's.
constexpr bool keeps_sign(std::string_view type) {
    return type.find("Pool") != type.npos || type.starts_with("Dropout") || type == "ReduceMean" ||
           type == "Flatten" || type == "Unflatten" || type == "Reshape" || type == "Identity";
}

template <class... Pieces>
[[noreturn]] void bad_topology(const Pieces&... pieces) {
    throw std::invalid_argument(concat("Topology: ", pieces...));
}

}  // namespace detail

AMCT_DISTILL_INLINE Graph::Graph(const Topology& topology) {
    for (const TopologyModule& m : topology.modules) add_module(m);
    for (const TopologyNode& n : topology.nodes) add_node(n);
    for (std::size_t n : topology.outputs) add_output({n});
}

AMCT_DISTILL_INLINE ModuleId Graph::add_module(TopologyModule module) {
    ModuleId const id{topology_.modules.size()};
    if (!modules_.emplace(module.name, id.index).second)
        detail::bad_topology("two modules are named `", module.name, "`");
    topology_.modules.push_back(std::move(module));
    uses_.emplace_back();
    return id;
}

AMCT_DISTILL_INLINE NodeId Graph::add_node(TopologyNode node) {
    NodeId const id{topology_.nodes.size()};
    if (node.module && *node.module >= uses_.size())
        detail::bad_topology("node `", node.name, "` is of a module that does not exist");
    for (std::size_t input : node.inputs)
        if (input >= id) detail::bad_topology("node `", node.name, "` stands before a node that it reads");
    for (std::size_t input : node.inputs)
        if (consumers_[input].empty() || consumers_[input].back() != id) consumers_[input].push_back(id);
    if (node.module) uses_[*node.module].push_back(id);
    names_.emplace(node.name, id.index);
    topology_.nodes.push_back(std::move(node));
    consumers_.emplace_back();
    leaves_network_.push_back(false);
    return id;
}

AMCT_DISTILL_INLINE void Graph::add_output(NodeId id) {
    if (id >= leaves_network_.size()) detail::bad_topology("an output is a node that does not exist");
    leaves_network_[id] = true;
    topology_.outputs.push_back(id);
}

AMCT_DISTILL_INLINE void Graph::set_type(ModuleId module, std::string type, bool weighted) {
    for (NodeId use : uses_.at(module)) topology_.nodes[use].type = type;
    topology_.modules[module].type = std::move(type);
    topology_.modules[module].weighted = weighted;
}

AMCT_DISTILL_INLINE std::optional<ModuleId> Graph::module_named(std::string_view name) const {
    auto const found = modules_.find(std::string(name));
    if (found == modules_.end()) return std::nullopt;
    return ModuleId{found->second};
}

AMCT_DISTILL_INLINE std::optional<NodeId> Graph::node_named(std::string_view name) const {
    auto const found = names_.find(std::string(name));
    if (found == names_.end()) return std::nullopt;
    return NodeId{found->second};
}

AMCT_DISTILL_INLINE std::optional<ModuleId> Graph::module_of(NodeId node) const {
    const auto& m = topology_.nodes[node].module;
    return m ? std::optional(ModuleId{*m}) : std::nullopt;
}

AMCT_DISTILL_INLINE const std::string& Graph::name(NodeId node) const {
    const TopologyNode& n = topology_.nodes[node];
    return n.module ? topology_.modules[*n.module].name : n.name;
}

AMCT_DISTILL_INLINE std::optional<NodeId> Graph::only_consumer(NodeId node) const {
    if (consumers_[node].size() != 1 || leaves_network_[node]) return std::nullopt;
    return consumers_[node].front();
}

AMCT_DISTILL_INLINE bool Graph::is_weighted(ModuleId module) const {
    const TopologyModule& m = topology_.modules[module];
    return m.weighted || detail::is_quantizable_type(m.type);
}

AMCT_DISTILL_INLINE std::string Graph::why_not_quantized(ModuleId module) const {
    using detail::concat;
    const TopologyModule& m = topology_.modules[module];
    if (!is_weighted(module)) return concat("is a ", m.type, "; only Conv2d and Linear layers are quantized");
    if (m.type == "Conv2d" && !m.zero_padding)
        return "is a Conv2d that does not pad with zeros; only those that do are quantized";
    if (uses_[module].empty()) return "is never used; only layers that are used once are quantized";
    if (uses_[module].size() > 1)
        return concat("is used ", uses_[module].size(), " times; a shared layer is not quantized");
    return {};
}

AMCT_DISTILL_INLINE std::optional<NodeId> Graph::relu_before(NodeId node) const {
    while (!topology_.nodes[node].inputs.empty()) {
        node = NodeId{topology_.nodes[node].inputs.front()};
        if (detail::is_relu(type(node))) return node;
        if (kind(node) != NodeKind::port && !detail::keeps_sign(type(node))) break;
    }
    return std::nullopt;
}

AMCT_DISTILL_INLINE std::string difference(const Graph& a, const Graph& b, std::string_view a_name,
                                           std::string_view b_name) {
    using detail::concat;
    const Topology &x = a.topology(), &y = b.topology();
    auto const differ = [&](std::string_view what, std::size_t i, const auto& in_a, const auto& in_b) {
        return concat(what, ' ', i, " is `", in_a.name, "` (", in_a.type, ") in ", a_name, ", and `",
                      in_b.name, "` (", in_b.type, ") in ", b_name);
    };
    auto const count = [&](std::string_view what, std::size_t in_a, std::size_t in_b) {
        return concat(a_name, " has ", in_a, ' ', what, ", ", b_name, ' ', in_b);
    };
    for (std::size_t m = 0; m != x.modules.size() && m != y.modules.size(); ++m)
        if (x.modules[m].name != y.modules[m].name || x.modules[m].type != y.modules[m].type)
            return differ("module", m, x.modules[m], y.modules[m]);
    if (x.modules.size() != y.modules.size()) return count("modules", x.modules.size(), y.modules.size());
    for (std::size_t n = 0; n != x.nodes.size() && n != y.nodes.size(); ++n) {
        const TopologyNode &in_a = x.nodes[n], &in_b = y.nodes[n];
        if (in_a.name != in_b.name || in_a.type != in_b.type || in_a.kind != in_b.kind)
            return differ("node", n, in_a, in_b);
        if (in_a.module != in_b.module)
            return concat("node `", in_a.name, "` is a use of one module in ", a_name,
                          ", and of another one in ", b_name);
        if (in_a.inputs != in_b.inputs)
            return concat("node `", in_a.name, "` reads other nodes in ", a_name, " than in ", b_name);
    }
    if (x.nodes.size() != y.nodes.size()) return count("nodes", x.nodes.size(), y.nodes.size());
    if (x.outputs != y.outputs)
        return concat("the outputs of ", a_name, " are other nodes than those of ", b_name);
    return {};
}

}  // namespace amct_distill
