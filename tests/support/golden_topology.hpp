// SPDX-License-Identifier: Apache-2.0
/// The topology of the network that a file of `tests/golden/config` is about.
///
///     Topology t = golden::topology(golden::load("config/chain.json").at("graph"));
#pragma once
#include <amct_distill/graph/topology.hpp>
#include <map>
#include <set>
#include <string>

#include "golden.hpp"

namespace golden {

inline amct_distill::Topology topology(const json::value& graph) {
    auto const text = [](const json::value& v) { return std::string(v.as_string()); };
    amct_distill::Topology out;
    std::map<std::string, std::size_t> modules, nodes;
    for (const auto& m : graph.at("modules_in_named_modules_order").as_array()) {
        const auto* padding = m.as_object().if_contains("padding_mode");
        modules.emplace(text(m.at("name")), out.modules.size());
        out.modules.push_back({text(m.at("name")), text(m.at("type")), !padding || *padding == "zeros"});
    }
    std::set<std::string> outputs;
    for (const auto& io : graph.at("graph_io").as_array())
        if (io.at("kind") == "output") outputs.insert(text(io.at("name")));
    for (const auto& n : graph.at("nodes_in_graph_order").as_array()) {
        amct_distill::TopologyNode node{.name = text(n.at("name"))};
        bool const has_module = !n.at("module_name").is_null();
        node.type = text(n.at(has_module ? "module_type" : "onnx_type"));
        if (has_module) node.module = modules.at(text(n.at("module_name")));
        for (const auto& input : n.at("inputs").as_array())
            if (auto const found = nodes.find(text(input)); found != nodes.end())
                node.inputs.push_back(found->second);
        for (const auto& output : n.at("consumers_per_output").as_array())
            for (const auto& consumer : output.as_array())
                if (outputs.count(text(consumer)) != 0) out.outputs.push_back(out.nodes.size());
        nodes.emplace(node.name, out.nodes.size());
        out.nodes.push_back(std::move(node));
    }
    return out;
}

}  // namespace golden
