// SPDX-License-Identifier: Apache-2.0
/// The blocks that the user spells out: the one path from a distill_group's start to its end.
///
///     std::vector<PlannedBlock> blocks = detail::user_blocks(config.distill_group, graph, names, found);
///
/// What is wrong with a group is a finding, and the group is left out.
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../core/diagnostic_list.hpp"
#include "../graph/graph.hpp"
#include "layer_lookup.hpp"
#include "plan.hpp"

namespace amct_distill::detail {

struct Paths {
    std::size_t count = 0;        // 2 stands for "several"
    std::vector<NodeId> nodes{};  // of the path, when there is one
};

/// The paths from a node to those for which `is_end` holds, none of them through another such node. Time
/// linear in the graph.
template <class IsEnd>
Paths paths_between(const Graph& g, NodeId start, const IsEnd& is_end) {
    std::vector<std::size_t> ways(g.size(), 0);  // from the start to each node, counted up to 2
    ways[start] = 1;
    std::size_t count = 0;
    NodeId node = start;
    for (NodeId n = start; n != g.size(); ++n.index) {
        if (is_end(n) && ways[n] != 0) {
            count = (std::min<std::size_t>)(count + ways[n], 2);
            node = n;
        } else {
            for (NodeId next : g.consumers(n)) ways[next] = (std::min<std::size_t>)(ways[next] + ways[n], 2);
        }
    }
    Paths found{count, {}};
    if (count != 1) return found;
    while (node != start) {
        found.nodes.push_back(node);
        const auto& inputs = g.node(node).inputs;
        // None of them is another end: it would have counted.
        node =
            NodeId{*std::find_if(inputs.begin(), inputs.end(), [&](std::size_t n) { return ways[n] != 0; })};
    }
    found.nodes.push_back(start);
    std::reverse(found.nodes.begin(), found.nodes.end());
    return found;
}

inline bool may_stand_in_group(const Graph& g, NodeId node) {
    return g.has_module(node) && (g.is_weighted(*g.module_of(node)) || g.type(node) == "BatchNorm2d" ||
                                  is_activation(g.type(node)));
}

/// Why nodes cannot be one block, when one of them is a BatchNorm that the network uses elsewhere, too.
inline std::string trained_twice(const Graph& g, const std::vector<NodeId>& nodes) {
    for (NodeId n : nodes)
        if (g.type(n).starts_with("BatchNorm") && g.is_shared(n))
            return concat("`", g.name(n), "` (", g.type(n),
                          ") is used more than once, and in a group it would be trained in two places");
    return {};
}

/// The nodes of the group from module `start` to module `end`; empty, and a finding, when it is not one.
inline std::vector<NodeId> nodes_of_group(const Graph& g, ModuleId start, ModuleId end, Position where,
                                          const std::string& path, DiagnosticList& found) {
    std::string_view const first = g.module(start).name, last = g.module(end).name;
    if (g.uses(start).size() > 1) {
        found.error(where, path,
                    concat("`", first, "` is used ", g.uses(start).size(),
                           " times, and a group cannot start at a shared layer: start it at a layer that is "
                           "used once"));
        return {};
    }
    auto const use_of = [&](ModuleId module) {
        return [&g, module](NodeId n) { return g.module_of(n) == module; };
    };
    Paths way = paths_between(g, g.uses(start).front(), use_of(end));
    if (way.count == 0) {
        const auto& ends = g.uses(end);
        bool const reversed = std::any_of(ends.begin(), ends.end(), [&](NodeId n) {
            return paths_between(g, n, use_of(start)).count != 0;
        });
        found.error(where, path,
                    reversed ? concat("`", last, "` comes before `", first,
                                      "`: exchange start_layer_name and end_layer_name")
                             : concat("no path leads from `", first, "` to `", last,
                                      "`: a group is one path of layers, each reading the one before"));
        return {};
    }
    if (way.count != 1) {
        found.error(where, path,
                    concat("several paths lead from `", first, "` to `", last,
                           "`, and a group is one path: start it after the fork, or end it before"));
        return {};
    }
    auto const foreign =
        std::find_if(way.nodes.begin(), way.nodes.end(), [&](NodeId n) { return !may_stand_in_group(g, n); });
    if (foreign != way.nodes.end()) {
        found.error(
            where, path,
            concat("`", g.name(*foreign), "` (", g.type(*foreign), ") is on the path from `", first, "` to `",
                   last,
                   "`, and a group is made of Conv2d, Linear, BatchNorm2d, ReLU, LeakyReLU, Sigmoid, Tanh "
                   "and Softmax modules only: ",
                   foreign == way.nodes.begin() ? "start it after that"
                                                : concat("end it at `", g.name(foreign[-1]), "`")));
        return {};
    }
    if (auto const twice = trained_twice(g, way.nodes); !twice.empty()) {
        found.error(where, path, concat(twice, ": end the group before it, or start it after"));
        return {};
    }
    return way.nodes;
}

/// All nodes from module `start` to module `end` that lead to the latter; empty, and a finding, when one of
/// them is read outside.
inline std::vector<NodeId> part_of_group(const Graph& g, ModuleId start, ModuleId end, Position where,
                                         const std::string& path, DiagnosticList& found) {
    NodeId const first = g.uses(start).front(), last = g.uses(end).back();
    auto const fail = [&](const std::string& why) -> std::vector<NodeId> {
        found.error(where, path, why);
        return {};
    };
    if (last < first)
        return fail(concat("`", g.module(end).name, "` comes before `", g.module(start).name,
                           "`: exchange start_layer_name and end_layer_name"));
    std::vector<bool> leads(g.size(), false);
    leads[last] = true;
    for (std::size_t n = last.index; n > first.index; --n)
        if (leads[n])
            for (std::size_t input : g.node({n}).inputs) leads[input] = true;
    if (!leads[first])
        return fail(concat("no path leads from `", g.module(start).name, "` to `", g.module(end).name, "`"));
    std::vector<NodeId> nodes;
    for (NodeId n = first; n <= last; ++n.index)
        if (leads[n] && g.kind(n) != NodeKind::constant && g.kind(n) != NodeKind::input &&
            g.kind(n) != NodeKind::port)
            nodes.push_back(n);
    for (NodeId n : nodes) {
        bool const leaves = n != last && g.is_output(n);
        auto const reader =
            std::ranges::find_if(g.consumers(n), [&](NodeId r) { return r > last || !leads[r]; });
        if (n != last && (leaves || reader != g.consumers(n).end()))
            return fail(concat("`", g.name(n), "` inside of the group ",
                               leaves ? std::string("leaves the network")
                                      : concat("is read by `", g.name(*reader), "`, outside of it"),
                               ": a group has one value that others read, its last"));
    }
    if (auto const twice = trained_twice(g, nodes); !twice.empty())
        return fail(concat(twice, ": end the group before it, or start it after"));
    return nodes;
}

/// Every group that is sound and shares no node with an earlier one, in the order of the configuration.
template <class Groups>
std::vector<PlannedBlock> user_blocks(const Groups& groups, const Graph& g, const LayerLookup& names,
                                      DiagnosticList& found, bool parts = false) {
    std::vector<PlannedBlock> blocks;
    std::vector<std::optional<std::size_t>> owner(g.size());  // of a node: index of its group
    for (std::size_t i = 0; i != groups.size(); ++i) {
        const auto& group = groups[i];
        Position const where = position_in(groups, i);
        std::string const path = element("distill_group", i);
        auto const start =
            names.used_module(*group.start_layer_name, either(group.start_layer_name.position(), where),
                              concat(path, ".start_layer_name"));
        auto const end =
            names.used_module(*group.end_layer_name, either(group.end_layer_name.position(), where),
                              concat(path, ".end_layer_name"));
        if (!start || !end) continue;
        auto nodes = parts ? part_of_group(g, *start, *end, where, path, found)
                           : nodes_of_group(g, *start, *end, where, path, found);

        auto const shared =
            std::find_if(nodes.begin(), nodes.end(), [&](NodeId n) { return owner[n].has_value(); });
        if (shared != nodes.end()) {
            found.error(where, path,
                        concat("`", g.name(*shared), "` is already in ",
                               provenance_of(element("distill_group", *owner[*shared]),
                                             position_in(groups, *owner[*shared]))
                                   .text,
                               ", and a layer is in one group only: end one before the other starts"));
            continue;
        }
        if (nodes.empty()) continue;
        PlannedBlock block{std::move(nodes), {}, provenance_of(path, where)};
        for (NodeId n : block.nodes) {
            owner[n] = i;
            block.names.push_back(g.name(n));
        }
        blocks.push_back(std::move(block));
    }
    return blocks;
}

}  // namespace amct_distill::detail
