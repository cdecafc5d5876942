// SPDX-License-Identifier: Apache-2.0
/// Small networks for the tests of plan/.
#pragma once
#include <amct_distill/graph/ids.hpp>
#include <amct_distill/graph/topology.hpp>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

/// Builds a topology node by node.
///
///     network n;
///     auto c = n.layer("conv1", "Conv2d", {});     // a module, used once
///     auto f = n.operation("Flatten", {c});        // no module
///     n.use("conv1", {f});                         // a second use
struct network {
    amct_distill::Topology topology{};

    amct_distill::NodeId layer(std::string name, std::string type, std::vector<amct_distill::NodeId> inputs) {
        topology.modules.push_back({name, type});
        topology.nodes.push_back({name, type, topology.modules.size() - 1, {inputs.begin(), inputs.end()}});
        return {topology.nodes.size() - 1};
    }
    amct_distill::NodeId operation(std::string type, std::vector<amct_distill::NodeId> inputs) {
        topology.nodes.push_back({"/" + type, type, {}, {inputs.begin(), inputs.end()}});
        return {topology.nodes.size() - 1};
    }
    amct_distill::NodeId use(const std::string& name, std::vector<amct_distill::NodeId> inputs) {
        std::size_t module = 0;
        while (topology.modules[module].name != name) ++module;
        topology.nodes.push_back(
            {name + "_again", topology.modules[module].type, module, {inputs.begin(), inputs.end()}});
        return {topology.nodes.size() - 1};
    }
};

/// Layers one after the other, the last one the network's output.
inline amct_distill::Topology chain(std::initializer_list<std::pair<const char*, const char*>> layers) {
    network n;
    for (const auto& [name, type] : layers)
        n.layer(name, type,
                n.topology.nodes.empty() ? std::vector<amct_distill::NodeId>{}
                                         : std::vector<amct_distill::NodeId>{{n.topology.nodes.size() - 1}});
    n.topology.outputs = {n.topology.nodes.size() - 1};
    return n.topology;
}

/// Three convolutions and a Linear: conv1 bn1 relu1 conv2 bn2 relu2 conv3 relu3 flatten fc.
inline amct_distill::Topology example() {
    return chain({{"conv1", "Conv2d"},
                  {"bn1", "BatchNorm2d"},
                  {"relu1", "ReLU"},
                  {"conv2", "Conv2d"},
                  {"bn2", "BatchNorm2d"},
                  {"relu2", "ReLU"},
                  {"conv3", "Conv2d"},
                  {"relu3", "ReLU"},
                  {"flatten", "Flatten"},
                  {"fc", "Linear"}});
}

/// A chain of Linear layers: fc1 r1 fc2 r2 fc3.
inline amct_distill::Topology mlp() {
    return chain({{"fc1", "Linear"}, {"r1", "ReLU"}, {"fc2", "Linear"}, {"r2", "ReLU"}, {"fc3", "Linear"}});
}
