// SPDX-License-Identifier: Apache-2.0
/// A plan's network as a graph for Graphviz: blocks boxed, quantized layers with their algorithms.
///
///     write_file("plan.dot", plan_dot(plan)).value();        // dot -Tsvg plan.dot > plan.svg
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "../core/concat.hpp"
#include "../plan/common_settings.hpp"
#include "../plan/plan.hpp"

namespace amct_distill {
namespace detail {

/// In quotes, as DOT has it.
inline std::string dot_text(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
    return out += '"';
}

}  // namespace detail

template <class Algorithms>
std::string plan_dot(const BasicDistillPlan<Algorithms>& plan) {
    using detail::append, detail::concat;
    const Graph& g = plan.graph;
    std::vector<const BasicPlannedLayer<Algorithms>*> layer_of(g.size(), nullptr);
    for (const auto& layer : plan.layers) layer_of[layer.node] = &layer;
    std::string out =
        "digraph plan {\n  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n  edge [arrowsize=.6];\n";
    auto const draw = [&](NodeId n, std::string_view indent) {
        std::string text = g.name(n);
        std::string style;
        if (g.kind(n) == NodeKind::input || g.kind(n) == NodeKind::constant) {
            style = ", shape=ellipse";
        } else if (g.type(n) != text) {
            append(text, concat('\n', g.type(n)));
        }
        if (const auto* layer = layer_of[n]; layer != nullptr) {
            if (layer->quant_enable) {
                append(text, concat('\n', describe(layer->weights), '\n', describe(layer->data)));
                style = ", style=filled, fillcolor=\"#dcebf7\"";
            } else {
                append(text, "\nnot quantized");
            }
        }
        append(out, concat(indent, 'n', n.index, " [label=", detail::dot_text(text), style, "];\n"));
    };
    std::vector<bool> drawn(g.size(), false);
    for (std::size_t b = 0; b != plan.blocks.size(); ++b) {
        append(out, concat("  subgraph cluster_", b, " {\n    label=\"block ", b + 1,
                           "\"; fontname=\"sans-serif\"; fontsize=10; color=\"#5a636c\";\n"));
        for (NodeId n : plan.blocks[b].nodes)
            if (!drawn[n]) {
                draw(n, "    ");
                drawn[n] = true;
            }
        append(out, "  }\n");
    }
    for (NodeId n; n != g.size(); ++n.index)
        if (!drawn[n]) draw(n, "  ");
    for (NodeId n; n != g.size(); ++n.index)
        for (std::size_t input : g.node(n).inputs) append(out, concat("  n", input, " -> n", n.index, ";\n"));
    return out += "}\n";
}

}  // namespace amct_distill
