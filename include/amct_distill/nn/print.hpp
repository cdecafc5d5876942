// SPDX-License-Identifier: Apache-2.0
/// A network's structure as text: a line per node, with the module's options.
///
///     std::cout << nn::print(network);
///     // amct_distill network 1
///     // input "image" [N, 1, 8, 8]
///     // layer "conv1" Conv2d { in_channels: 1 out_channels: 4 kernel: [3, 3] ... } "image"
///     // function "/Flatten" Flatten { start_dim: 1 } "conv1"
///     // use "relu_again" "relu" "/Flatten"                  a further use of the layer "relu"
///     // output "relu_again"
///
/// nn/save.hpp reads it back. Names are quoted; `"` and `\\` in them stand after a `\\`.
#pragma once
#include <string>

#include "network.hpp"
#include "options_text.hpp"

namespace amct_distill::nn {

inline constexpr std::string_view network_text_begins = "amct_distill network 1\n";

template <class T>
std::string print(const BasicNetwork<T>& network) {
    std::string out(network_text_begins);
    auto const name = [&](std::string_view text) {
        out += ' ';
        detail::put_option(out, text);
    };
    auto const operation = [&](NodeId id) {
        out += detail::concat(' ', network.operation(id).type(), " {");
        if (std::string const options = network.operation(id).options(); !options.empty())
            out += ' ' + options;
        out += " }";
    };
    for (std::size_t i = 0; i != network.graph().size(); ++i) {
        NodeId const id{i};
        const auto& node = network.node(id);
        if (node.kind == NodeKind::port) continue;  // named by the node before it
        bool const first_use = node.module && network.graph().uses(*node.module).front() == id;
        out += node.kind == NodeKind::input      ? "input"
               : node.kind == NodeKind::constant ? "constant"
               : first_use                       ? "layer"
               : node.module                     ? "use"
                                                 : "function";
        name(network.name(id));
        if (node.kind != NodeKind::operation) out += ' ' + to_string(node.shape);
        if (first_use || node.function) operation(id);
        if (node.module && !first_use) name(network.modules()[*node.module].name);
        for (NodeId input : node.inputs) name(network.name(input));
        out += '\n';
    }
    for (NodeId id : network.outputs()) {
        out += "output";
        name(network.name(id));
        out += '\n';
    }
    return out;
}

}  // namespace amct_distill::nn
