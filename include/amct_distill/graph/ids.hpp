// SPDX-License-Identifier: Apache-2.0
/// The identities that a network, its plan, its student and its deployment share.
///
///     NodeId conv = net.add("conv1", ...);      // a value of the graph, in graph order
///     ModuleId module = *net.graph().module_of(conv);
///
/// Names are looked up at the edge only: in configurations, files and messages.
#pragma once
#include <compare>
#include <cstddef>

namespace amct_distill {

/// A value of a graph and the node that computes it; nodes are in graph order.
struct NodeId {
    std::size_t index = 0;
    /// For arrays that run parallel to the nodes.
    constexpr operator std::size_t() const { return index; }
    friend constexpr auto operator<=>(const NodeId&, const NodeId&) = default;
};

/// A named module of a network, in definition order.
struct ModuleId {
    std::size_t index = 0;
    constexpr operator std::size_t() const { return index; }
    friend constexpr auto operator<=>(const ModuleId&, const ModuleId&) = default;
};

}  // namespace amct_distill
