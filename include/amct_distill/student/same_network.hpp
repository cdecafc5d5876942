// SPDX-License-Identifier: Apache-2.0
/// Whether what is used together belongs together: a plan, a teacher, a student, batches.
///
///     detail::difference(plan, network);           // "layer `conv` is ... in the plan, and here ...", or ""
///     detail::difference(teacher, student, "teacher", "student");
///     detail::require_batch(network, tensors, "calibrate", 3);       // throws std::invalid_argument
#pragma once
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "../core/concat.hpp"
#include "../nn/network.hpp"
#include "../plan/plan.hpp"

namespace amct_distill::detail {

/// "`relu` (ReLU)".
inline std::string node_text(const nn::Network& network, nn::NodeId id) {
    const auto& n = network.node(id);
    std::string_view const type = n.module     ? network.modules()[*n.module].module.type()
                                  : n.function ? n.function->type()
                                               : std::string_view("an input");
    return concat('`', n.name, "` (", type, ')');
}

/// The first difference of two networks in their nodes, connections, modules and shapes, which parameters are
/// not part of; empty when there is none. `a_name` and `b_name` say whose they are.
inline std::string difference(const nn::Network& a, const nn::Network& b, std::string_view a_name,
                              std::string_view b_name) {
    auto const numbers = [&](std::string_view what, std::size_t in_a, std::size_t in_b) {
        return concat("the ", a_name, " has ", in_a, ' ', what, ", the ", b_name, ' ', in_b);
    };
    auto const of_node = [&](nn::NodeId id, std::string_view in_a, std::string_view in_b) {
        return concat("node ", node_text(a, id), ' ', in_a, " in the ", a_name, ", and ", in_b, " in the ",
                      b_name);
    };
    std::size_t const nodes_a = a.inputs().size() + a.operations().size(),
                      nodes_b = b.inputs().size() + b.operations().size();
    for (std::size_t i = 0; i != (std::min)(nodes_a, nodes_b); ++i) {
        nn::NodeId const id{i};
        const auto &in_a = a.node(id), &in_b = b.node(id);
        if (node_text(a, id) != node_text(b, id))
            return concat("node ", i, " is ", node_text(a, id), " in the ", a_name, ", and ",
                          node_text(b, id), " in the ", b_name);
        if (in_a.module != in_b.module) return of_node(id, "is a use of one module", "of another one");
        if (in_a.module && a.modules()[*in_a.module].name != b.modules()[*in_b.module].name)
            return of_node(id, concat("is module `", a.modules()[*in_a.module].name, '`'),
                           concat('`', b.modules()[*in_b.module].name, '`'));
        if (in_a.inputs != in_b.inputs) return of_node(id, "reads other nodes", "those that it reads");
        if (in_a.shape != in_b.shape)
            return of_node(id, concat("has the shape ", nn::to_string(in_a.shape)),
                           nn::to_string(in_b.shape));
    }
    if (nodes_a != nodes_b) return numbers("nodes", nodes_a, nodes_b);
    if (a.modules().size() != b.modules().size())
        return numbers("modules", a.modules().size(), b.modules().size());
    if (!std::ranges::equal(a.outputs(), b.outputs()))
        return concat("the outputs of the ", a_name, " are other nodes than those of the ", b_name);
    return {};
}

/// What a plan says that is not so in a network, the first of it; empty when it fits.
template <class Algorithms>
std::string difference(const BasicDistillPlan<Algorithms>& plan, const nn::Network& network) {
    auto const operations = network.operations();
    auto const modules = network.modules();
    for (const auto& layer : plan.layers) {
        if (layer.module >= modules.size() || modules[layer.module].name != layer.name ||
            modules[layer.module].module.type() != layer.type)
            return concat(
                "module ", layer.module, " is `", layer.name, "` (", layer.type, ") in the plan, and here ",
                layer.module >= modules.size() ? std::string("there are fewer")
                                               : concat("it is `", modules[layer.module].name, "` (",
                                                        modules[layer.module].module.type(), ')'));
        if (layer.node >= operations.size() || network.node(operations[layer.node]).module != layer.module)
            return concat("layer `", layer.name, "` is node ", layer.node, " in the plan, and here ",
                          layer.node >= operations.size()
                              ? std::string("there are fewer")
                              : concat("that is ", node_text(network, operations[layer.node])));
    }
    for (std::size_t b = 0; b != plan.blocks.size(); ++b) {
        const PlannedBlock& block = plan.blocks[b];
        if (block.nodes.empty()) return concat("block ", b, " has no nodes");
        for (std::size_t k = 0; k != block.nodes.size(); ++k) {
            std::size_t const n = block.nodes[k];
            if (n >= operations.size())
                return concat("block ", b, " has node ", n, ", and here there are fewer");
            const auto& node = network.node(operations[n]);
            std::string_view const name = node.module ? modules[*node.module].name : node.name;
            if (k < block.names.size() && block.names[k] != name)
                return concat("block ", b, " has `", block.names[k], "`, and here that is `", name, '`');
            if (k != 0 && std::ranges::find(node.inputs, operations[block.nodes[k - 1]]) == node.inputs.end())
                return concat("in block ", b, " `", name, "` reads the node before it, and here it does not");
        }
    }
    return {};
}

/// Throws std::invalid_argument unless the network can run batch number `i`.
inline void require_batch(const nn::Network& network, std::span<const nn::Tensor> batch, std::string_view who,
                          std::size_t i) {
    auto const fail = [&](auto&&... what) {
        throw std::invalid_argument(concat(who, ": batch ", i, ": ", what...));
    };
    auto const inputs = network.inputs();
    if (batch.size() != inputs.size())
        fail("expected ", inputs.size(), inputs.size() == 1 ? " tensor" : " tensors",
             ", one for each input, found ", batch.size());
    for (std::size_t k = 0; k != inputs.size(); ++k) {
        const auto& input = network.node(inputs[k]);
        const nn::Shape& found = batch[k].shape();
        bool fits = found.size() == input.shape.size() && !found.empty() && found[0] >= 1;
        for (std::size_t d = 0; fits && d != found.size(); ++d)
            fits = input.shape[d] == nn::any_batch || input.shape[d] == found[d];
        if (!fits)
            fail("input \"", input.name, "\": expected ", nn::to_string(input.shape), ", found ",
                 nn::to_string(found));
        if (found[0] != batch[0].dim(0))
            fail("input \"", input.name, "\": expected ", batch[0].dim(0), " samples as in the first, found ",
                 found[0]);
    }
}

}  // namespace amct_distill::detail
