// SPDX-License-Identifier: Apache-2.0
/// A topology and what follows from it: who reads a node, how often a module is used, what can be quantized.
///
///     detail::graph g(topology);
///     g.only_consumer(0);                       // the one node that reads node 0
///     g.why_not_quantized(1);                   // "is a ReLU; only Conv2d and Linear layers are quantized"
///     g.relu_before(2);                         // the ReLU behind which node 2 is
#pragma once
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "../core/concat.hpp"
#include "layer_types.hpp"
#include "topology.hpp"

namespace amct_distill::detail {

/// One input, and not a value below 0 unless the input has one: pooling, flatten, reshape, dropout. Modules
/// go by PyTorch's names, functional operations by ONNX's.
constexpr bool keeps_sign(std::string_view type) {
    return type.find("Pool") != type.npos || type.starts_with("Dropout") || type == "ReduceMean" ||
           type == "Flatten" || type == "Unflatten" || type == "Reshape" || type == "Identity";
}
constexpr bool is_relu(std::string_view type) { return type == "ReLU" || type == "Relu"; }

/// Holds a reference to the topology.
class graph {
public:
    /// Throws std::invalid_argument when the topology is not one: an index out of range, a node before one
    /// that it reads, two modules of one name.
    explicit graph(const Topology& topology)
        : topology_(topology),
          consumers_(topology.nodes.size()),
          leaves_network_(topology.nodes.size(), false),
          uses_(topology.modules.size()) {
        for (std::size_t m = 0; m != topology.modules.size(); ++m)
            if (!modules_.emplace(topology.modules[m].name, m).second)
                fail("two modules are named `", topology.modules[m].name, "`");
        for (std::size_t n = 0; n != topology.nodes.size(); ++n) {
            const TopologyNode& node = topology.nodes[n];
            if (node.module) {
                if (*node.module >= uses_.size())
                    fail("node `", node.name, "` is of a module that is not there");
                uses_[*node.module].push_back(n);
            }
            for (std::size_t input : node.inputs) {
                if (input >= n) fail("node `", node.name, "` stands before a node that it reads");
                if (consumers_[input].empty() || consumers_[input].back() != n)
                    consumers_[input].push_back(n);
            }
        }
        for (std::size_t n : topology.outputs) {
            if (n >= leaves_network_.size()) fail("an output is a node that is not there");
            leaves_network_[n] = true;
        }
    }

    const Topology& topology() const { return topology_; }
    std::size_t size() const { return topology_.nodes.size(); }
    /// Index of the module of that name.
    std::optional<std::size_t> module_named(std::string_view name) const {
        auto const found = modules_.find(name);
        if (found == modules_.end()) return std::nullopt;
        return found->second;
    }
    std::string_view type(std::size_t node) const { return topology_.nodes[node].type; }
    bool has_module(std::size_t node) const { return topology_.nodes[node].module.has_value(); }
    /// The module's name; the operation's, when it has no module.
    const std::string& name(std::size_t node) const {
        const TopologyNode& n = topology_.nodes[node];
        return n.module ? topology_.modules[*n.module].name : n.name;
    }
    /// The nodes that are uses of a module.
    const std::vector<std::size_t>& uses(std::size_t module) const { return uses_[module]; }
    bool is_shared(std::size_t node) const {
        return has_module(node) && uses_[*topology_.nodes[node].module].size() > 1;
    }
    /// The nodes that read a node, each once.
    const std::vector<std::size_t>& consumers(std::size_t node) const { return consumers_[node]; }
    /// The one node that reads it; none also when its output leaves the network.
    std::optional<std::size_t> only_consumer(std::size_t node) const {
        if (consumers_[node].size() != 1 || leaves_network_[node]) return std::nullopt;
        return consumers_[node].front();
    }

    /// What to say after the module's name; empty when it can be quantized.
    std::string why_not_quantized(std::size_t module) const {
        const TopologyModule& m = topology_.modules[module];
        if (!is_quantizable_type(m.type))
            return concat("is a ", m.type, "; only Conv2d and Linear layers are quantized");
        if (m.type == "Conv2d" && !m.zero_padding)
            return "is a Conv2d that does not pad with zeros; only those that do are quantized";
        if (uses_[module].empty()) return "is never used; only layers that are used once are quantized";
        if (uses_[module].size() > 1)
            return concat("is used ", uses_[module].size(), " times; a shared layer is not quantized");
        return {};
    }

    /// The ReLU that produces a node's input, maybe through operations that keep the sign.
    std::optional<std::size_t> relu_before(std::size_t node) const {
        while (!topology_.nodes[node].inputs.empty()) {
            node = topology_.nodes[node].inputs.front();
            if (is_relu(type(node))) return node;
            if (!keeps_sign(type(node))) break;
        }
        return std::nullopt;
    }

private:
    template <class... Pieces>
    [[noreturn]] static void fail(const Pieces&... pieces) {
        throw std::invalid_argument(concat("Topology: ", pieces...));
    }

    const Topology& topology_;
    std::unordered_map<std::string_view, std::size_t> modules_{};
    std::vector<std::vector<std::size_t>> consumers_;
    std::vector<bool> leaves_network_;
    std::vector<std::vector<std::size_t>> uses_;
};

}  // namespace amct_distill::detail
