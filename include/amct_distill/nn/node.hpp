// SPDX-License-Identifier: Apache-2.0
/// What a network holds of a node besides its place in the graph, and its modules and parameters by name.
///
///     const Network::Node& n = net.node(id);
///     n.shape, n.inputs, n.module;              // the name is net.graph().node(id).name
#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "../graph/ids.hpp"
#include "../graph/topology.hpp"
#include "module.hpp"

namespace amct_distill::nn {

using amct_distill::ModuleId;
using amct_distill::NodeId;

template <class T>
struct BasicNamedModule {
    std::string name{};
    BasicModule<T> module;
};

/// A use of a named module, a functional operation, an input, a constant, or a further output of the
/// operation before it (see `NodeKind`).
template <class T>
struct BasicNode {
    NodeKind kind = NodeKind::operation;
    Shape shape{};  ///< of the value; dimension 0 is `any_batch` where it is the batch and free
    std::vector<NodeId> inputs{};  ///< what it reads, in order
    std::optional<ModuleId> module{};
    std::optional<BasicModule<T>> function{};
    BasicTensor<T> constant{};  ///< the value of a constant
    std::size_t ports = 0;      ///< further outputs: the nodes that follow this one
    bool is_input() const { return kind == NodeKind::input; }
};

/// A parameter of the network by its full name, "conv1.weight", and the tape's gradient of it.
template <class T>
struct BasicNamedParameter {
    std::string name{};
    ModuleId module{};
    Role role = Role::weight;
    std::span<T> values{};
    BasicTensor<T>* gradient = nullptr;  ///< has the parameter's shape
};

}  // namespace amct_distill::nn
