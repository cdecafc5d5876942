// SPDX-License-Identifier: Apache-2.0
/// What resolving a configuration needs to know of a network: its modules, their use, and the graph.
///
///     Topology t;
///     t.modules = {{"conv1", "Conv2d"}, {"relu1", "ReLU"}};
///     t.nodes = {{"conv1", "Conv2d", 0, {}}, {"relu1", "ReLU", 1, {0}}};
///     t.outputs = {1};
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace amct_distill {

/// A named module of the network; the name and the type are what a configuration speaks of.
struct TopologyModule {
    std::string name{};        ///< unique, "layer1.0.conv1"
    std::string type{};        ///< as PyTorch spells it: "Conv2d", "Linear", "BatchNorm2d", "ReLU", ...
    bool zero_padding = true;  ///< a Conv2d pads with zeros (`padding_mode="zeros"`)
    bool weighted = false;     ///< has weights that can be quantized, whatever its type (nn/weighted.hpp)
};

/// What a node is: a use of a module or a function; an input of the network; a constant; or a further output
/// of the node that it reads, which has several.
enum class NodeKind { operation, input, constant, port };

/// One value of the graph, and what computes it.
struct TopologyNode {
    std::string name{};  ///< unique
    std::string type{};  ///< the module's type; without a module the operation, "Flatten", "Add", "Relu", ...
    std::optional<std::size_t> module{};  ///< index into `modules`; none for a functional operation
    std::vector<std::size_t> inputs{};    ///< nodes read, in order
    NodeKind kind = NodeKind::operation;  ///< a topology may leave out inputs and constants
};

struct Topology {
    std::vector<TopologyModule> modules{};  ///< in definition order
    std::vector<TopologyNode> nodes{};      ///< in graph order: a node comes after those it reads
    std::vector<std::size_t> outputs{};     ///< nodes whose output leaves the network
};

}  // namespace amct_distill
