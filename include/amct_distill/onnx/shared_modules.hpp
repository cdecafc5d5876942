// SPDX-License-Identifier: Apache-2.0
/// Which module a weight is in already: a tensor that two nodes read is one module, used twice, as in
/// PyTorch.
///
///     shared.add(weight, module);
///     std::optional<ModuleId> const same = shared.find(network, module, weight, name);
#pragma once
#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "../nn/network.hpp"
#include "graph_view.hpp"
#include "names.hpp"

namespace amct_distill::onnx::detail {

class SharedModules {
public:
    /// `graph` must outlive it.
    explicit SharedModules(const GraphView& graph) : graph_(&graph) {}

    void add(TensorId weight, ModuleId module) {
        if (weight == none) return;
        if (std::vector<Use>& uses = uses_[holder(weight)]; uses.size() != most_uses)
            uses.push_back({weight, module});
    }
    /// Whether some module has this very tensor.
    bool has(TensorId weight) const {
        auto const found = uses_.find(holder(weight));
        return found != uses_.end() &&
               std::ranges::find(found->second, weight, &Use::weight) != found->second.end();
    }
    /// The module of the network that `module`, named `name`, is a further use of.
    std::optional<ModuleId> find(const nn::Network& network, const nn::Module& module, TensorId weight,
                                 const ModuleName& name) const {
        if (weight == none) return std::nullopt;
        auto const found = uses_.find(holder(weight));
        if (found == uses_.end()) return std::nullopt;
        for (const Use& use : found->second)
            if ((use.weight == weight || is_use_of(name, network.modules()[use.module].name)) &&
                are_equal(module, network.module(use.module)))
                return use.module;
        return std::nullopt;
    }

private:
    struct Use {
        TensorId weight;
        ModuleId module;
    };
    /// Different modules of one tensor that are looked at: each further one is compared with all of them.
    static constexpr std::size_t most_uses = 8;

    /// The tensor that holds the values: an exporter that finds two equal ones writes one, and Identities of
    /// it.
    TensorId holder(TensorId t) const {
        for (std::size_t steps = 0; t != none && steps != 16; ++steps) {
            NodeId const from = graph_->tensor(t).producer;
            if (from == none || graph_->node(from).op() != "Identity") break;
            t = graph_->node(from).input(0);
        }
        return t;
    }
    /// Two modules of equal weights, or one used twice? Their names tell: the uses of `cell` are cell, cell_1
    /// ...
    static bool is_use_of(const ModuleName& name, std::string_view module) {
        if (name.source == NameSource::scope)
            return without_count(name.name) == without_count(module) &&
                   std::string_view(name.name).starts_with(module);
        if (name.source == NameSource::weight || name.source == NameSource::bias ||
            name.source == NameSource::metadata)
            return name.name == module;
        return true;
    }
    static bool are_equal(const nn::Module& one, const nn::Module& other) {
        auto const a = one.parameters(), b = other.parameters();
        bool same = one.type() == other.type() && one.options() == other.options() && a.size() == b.size();
        for (std::size_t k = 0; same && k != a.size(); ++k)
            same = std::ranges::equal(a[k].shape(), b[k].shape()) &&
                   std::ranges::equal(a[k].values, b[k].values);
        return same;
    }

    const GraphView* graph_;
    std::map<TensorId, std::vector<Use>> uses_{};
};

}  // namespace amct_distill::onnx::detail
