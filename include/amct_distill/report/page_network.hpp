// SPDX-License-Identifier: Apache-2.0
/// A network and its plan as the report page draws them: layers with weights, the places where paths meet,
/// and which block each belongs to.
///
///     PageNetwork drawn = page_network(teacher, plan);
///     drawn.layers[0].shape;      // "3×3 /2 8→16"
///     drawn.nodes;                // what to_dot() and to_html() draw
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../nn/network.hpp"
#include "../plan/plan.hpp"
#include "page.hpp"

namespace amct_distill {
namespace detail {

/// The numbers of an option in the text of a module's options, "stride: [2, 2]"; none: it has no such option.
inline std::vector<std::string> option_numbers(std::string_view options, std::string_view name) {
    std::vector<std::string> found;
    std::size_t at = options.find(concat(name, ": "));
    if (at == options.npos || (at != 0 && options[at - 1] != ' ')) return found;
    std::string_view rest = options.substr(at + name.size() + 2);
    bool const list = rest.starts_with('[');
    rest = list ? rest.substr(1, rest.find(']') - 1) : rest.substr(0, rest.find(' '));
    while (!rest.empty()) {
        std::size_t const end = (std::min)(rest.find(','), rest.size());
        found.emplace_back(rest.substr(0, end));
        rest.remove_prefix(end);
        while (!rest.empty() && (rest[0] == ',' || rest[0] == ' ')) rest.remove_prefix(1);
    }
    return found;
}
/// "3×3"; one number where all are the same and `short_form`.
inline std::string times(const std::vector<std::string>& numbers, bool short_form) {
    std::string out;
    if (short_form && std::ranges::all_of(numbers, [&](const auto& n) { return n == numbers[0]; }))
        return numbers.empty() ? out : numbers[0];
    for (const std::string& n : numbers) append(out, concat(out.empty() ? "" : "×", n));
    return out;
}

/// "3×3 /2 8→16", "dw 3×3 32", "128→10".
inline std::string layer_shape(const nn::Module& module, const nn::Weighted& weighted) {
    const nn::Tensor& w = weighted.weight();
    std::string const options = module.options();
    auto const groups_text = option_numbers(options, "groups");
    std::string const groups = groups_text.empty() ? "1" : groups_text[0];
    std::vector<std::string> kernel;
    for (std::size_t k = 2; k < w.rank(); ++k) kernel.push_back(number(w.dim(k)));
    nn::Index const out = weighted.output_channels();
    std::string text = times(kernel, false);
    auto const stride = option_numbers(options, "stride");
    if (auto const s = times(stride, true); !s.empty() && s != "1") append(text, concat(" /", s));
    if (!text.empty()) text += ' ';
    bool const first = weighted.output_axis() == 0;
    if (first && w.rank() > 2 && w.dim(1) == 1 && groups == number(out) && out > 1)
        return concat("dw ", text, out);
    nn::Index in = 1;
    if (w.rank() >= 2) in = first ? w.dim(1) : w.dim(0);
    if (first && groups != "1")
        for (nn::Index g = 1; g <= out; ++g)
            if (number(g) == groups) in *= g;
    append(text, concat(in, "→", out));
    if (groups != "1") append(text, concat(" ÷", groups));
    return text;
}

/// Multiplications for one sample: each weight of a channel once for every value of its output; in a
/// transposed layer, of an input for every value that is read.
inline std::size_t multiplications(const nn::Weighted& weighted, const nn::Shape& input,
                                   const nn::Shape& output) {
    bool const first = weighted.output_axis() == 0;
    const nn::Shape& shape = first ? output : input;
    nn::Index const channels = first ? weighted.output_channels() : weighted.weight().dim(0);
    double const values = static_cast<double>(nn::product(shape, 1, shape.size()));
    double const each = static_cast<double>(weighted.weight().size()) / static_cast<double>(channels);
    return values <= 0 ? 0 : static_cast<std::size_t>(values * each);
}

template <class Layer>
PageLayer page_layer(const nn::Network& network, const Layer& planned) {
    PageLayer layer{.name = planned.name, .type = planned.type, .quantized = planned.quant_enable};
    const Provenance& from = planned.quant_enable ? planned.weights_from.algo : planned.quant_enable_from;
    layer.from = from.text;
    layer.from_line = from.where.line;
    const nn::Module& module = network.module(planned.module);
    if (const nn::Weighted* const weighted = module.weighted()) {
        const auto& node = network.node(planned.node);
        layer.shape = layer_shape(module, *weighted);
        layer.weights = weighted->weight().size();
        layer.channels = static_cast<std::size_t>(weighted->output_channels());
        layer.multiplications = multiplications(*weighted, network.node(node.inputs.at(0)).shape, node.shape);
    }
    return layer;
}

}  // namespace detail

/// Throws std::invalid_argument when the plan is of another network.
template <class Algorithms>
PageNetwork page_network(const nn::Network& network, const BasicDistillPlan<Algorithms>& plan) {
    if (auto const what = difference(plan.graph, network.graph(), "the plan", "the network"); !what.empty())
        throw std::invalid_argument(detail::concat("page_network: the plan is of another network: ", what));
    PageNetwork page;
    const Graph& graph = network.graph();
    std::vector<std::optional<std::size_t>> layer_of(graph.size()), block_of(graph.size());
    for (const auto& planned : plan.layers) {
        layer_of[planned.node] = page.layers.size();
        page.layers.push_back(detail::page_layer(network, planned));
    }
    for (std::size_t b = 0; b != plan.blocks.size(); ++b)
        for (NodeId id : plan.blocks[b].nodes) block_of[id] = b;
    std::vector<std::optional<std::size_t>> drawn(graph.size());  // what a value comes from
    for (NodeId id; id != graph.size(); ++id.index) {
        NodeKind const kind = network.node(id).kind;
        std::vector<std::size_t> inputs;
        for (NodeId input : network.node(id).inputs)
            if (drawn[input] && std::ranges::find(inputs, *drawn[input]) == inputs.end())
                inputs.push_back(*drawn[input]);
        bool const other_weights = network.node(id).module && !layer_of[id] &&
                                   network.module(*network.node(id).module).weighted() != nullptr;
        if (kind == NodeKind::constant) continue;
        if (kind != NodeKind::input && kind != NodeKind::port && !layer_of[id] && !other_weights &&
            inputs.size() < 2) {
            if (!inputs.empty()) drawn[id] = inputs[0];
            continue;
        }
        if (kind == NodeKind::port) {
            if (!inputs.empty()) drawn[id] = inputs[0];
            continue;
        }
        drawn[id] = page.nodes.size();
        bool const named = layer_of[id] || other_weights || kind == NodeKind::input;
        page.nodes.push_back({.label = named ? graph.name(id) : std::string(graph.type(id)),
                              .layer = layer_of[id],
                              .inputs = std::move(inputs),
                              .block = block_of[id]});
    }
    return page;
}

}  // namespace amct_distill
