// SPDX-License-Identifier: Apache-2.0
/// A plan as a drawing for Graphviz: layers with their settings, the places where paths meet, blocks boxed.
///
///     write_file("plan.dot", to_dot(teacher, plan)).value();         // dot -Tsvg plan.dot > plan.svg
///
/// Operations without weights are not drawn, as on the report page (page_network.hpp).
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "../core/concat.hpp"
#include "../plan/common_settings.hpp"
#include "page_network.hpp"

namespace amct_distill {
namespace detail {

/// A text in quotes; lines are parted by line feeds.
inline std::string dot_text(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '\n') {
            append(out, "\\n");
            continue;
        }
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

}  // namespace detail

/// Throws std::invalid_argument when the plan is of another network.
template <class Algorithms>
std::string to_dot(const nn::Network& network, const BasicDistillPlan<Algorithms>& plan) {
    using detail::append, detail::concat, detail::dot_text;
    PageNetwork const drawn = page_network(network, plan);
    std::string out =
        "digraph plan {\n"
        "    rankdir=TB\n"
        "    node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"sans-serif\", "
        "fontsize=11]\n"
        "    edge [arrowsize=0.7]\n";
    auto const node = [&](std::size_t n, std::string_view indent) {
        const PageNode& d = drawn.nodes[n];
        append(out, concat(indent, "n", n, " [label="));
        if (d.layer) {  // the plan's layers are in the same order
            const auto& l = plan.layers[*d.layer];
            const PageLayer& of = drawn.layers[*d.layer];
            std::string const head = concat(l.name, "\n", l.type, " ", of.shape, "\n");
            if (l.quant_enable)
                append(out, concat(dot_text(concat(head, "weights: ", describe(l.weights),
                                                   "\ninputs: ", describe(l.data))),
                                   ", fillcolor=\"#dce9f7\""));
            else
                append(out, concat(dot_text(concat(head, "in float: ", l.quant_enable_from.text)),
                                   ", style=\"rounded,dashed\""));
        } else {
            append(out, dot_text(d.label));
            append(out, d.inputs.size() < 2 ? ", shape=plaintext, style=\"\"" : ", shape=ellipse");
        }
        append(out, "]\n");
    };
    for (std::size_t b = 0; b != plan.blocks.size(); ++b) {
        bool begun = false;
        for (std::size_t n = 0; n != drawn.nodes.size(); ++n) {
            if (drawn.nodes[n].block != b) continue;
            if (!begun)
                append(out, concat("    subgraph cluster_", b, " {\n        label=",
                                   dot_text(concat("block ", b + 1)), "\n        color=grey\n"));
            begun = true;
            node(n, "        ");
        }
        if (begun) append(out, "    }\n");
    }
    for (std::size_t n = 0; n != drawn.nodes.size(); ++n)
        if (!drawn.nodes[n].block) node(n, "    ");
    for (std::size_t n = 0; n != drawn.nodes.size(); ++n)
        for (std::size_t input : drawn.nodes[n].inputs) append(out, concat("    n", input, " -> n", n, "\n"));
    return concat(out, "}\n");
}

}  // namespace amct_distill
