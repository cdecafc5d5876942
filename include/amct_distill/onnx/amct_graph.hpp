// SPDX-License-Identifier: Apache-2.0
/// The float model from which both of AMCT's models are written: folded, trained, and with AMCT's names.
///
///     result<onnx::QuantizedGraph> graph = onnx::detail::amct_graph(model, imported, deployment);
///     auto const weight = onnx::detail::amct_weight(graph->layers[0]);     // codes as AMCT stores them
///
/// Convolutions that are not quantized have their BatchNorm folded too, as AMCT does it.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../deploy/deployment.hpp"
#include "../deploy/fold.hpp"
#include "amct_names.hpp"
#include "quantized_graph.hpp"

namespace amct_distill::onnx::detail {

inline bool all_finite(const nn::Tensor& values) {
    return std::ranges::all_of(values.span(), [](float v) { return std::isfinite(v); });
}

/// A Conv that is not quantized, and a BatchNorm that alone reads it: one Conv.
inline void fold_float_layers(GraphEdit& edit, std::span<const ImportedName> names,
                              const Deployment& deployment) {
    const nn::Network& network = deployment.network();
    for (const ImportedName& name : names) {
        auto const module = network.graph().module_named(name.module);
        if (name.nodes.size() != 1 || !module || deployment.layer(name.module) != nullptr) continue;
        GraphEdit::Node const conv = name.nodes.front();
        const nn::Weighted* const weighted = network.module(*module).weighted();
        if (!edit.has(conv) || edit.op(conv) != "Conv" || weighted == nullptr) continue;
        auto const bn = batch_norm_after(network, *module);
        auto const reader = edit.only_reader(edit.node(conv).output.front());
        if (!bn || !reader || edit.op(*reader) != "BatchNormalization") continue;
        FoldedLayer const folded =
            amct_distill::fold(weighted->weight(), weighted->bias(), *nn::as_batch_norm(network.module(*bn)));
        if (!all_finite(folded.weight) || !all_finite(folded.bias)) continue;
        auto const put = [&](std::size_t input, std::string_view what, const nn::Tensor& t) {
            std::string_view const text =
                edit.keep(amct_distill::detail::concat(name.module, ".sub_module.", what));
            edit.set_input(conv, input,
                           edit.floats(text, {t.shape().begin(), t.shape().end()}, {t.begin(), t.end()}));
        };
        put(1, "weight", folded.weight);
        put(2, "bias", folded.bias);
        edit.bypass(*reader);
    }
}

/// Layers in the order of their nodes. Errors: see quantized_graph().
inline result<QuantizedGraph> amct_graph(const ModelFile& source, const Imported& imported,
                                         const Deployment& deployment) {
    result<QuantizedGraph> graph = quantized_graph(source, imported, deployment);
    if (!graph) return graph;
    fold_float_layers(graph->edit, imported.names, deployment);
    give_amct_names(*graph);
    std::ranges::sort(graph->layers, {}, &QuantizedNode::node);
    return graph;
}

/// The codes of a layer's weight, a byte each. A matrix is [in, out], which AMCT turns it to.
struct AmctWeight {
    std::vector<std::int64_t> dims{};
    std::vector<std::int8_t> codes{};
    std::size_t input_axis = 1;  ///< the dimension that counts input channels
};
inline AmctWeight amct_weight(const QuantizedNode& layer, std::string_view op) {
    AmctWeight out{layer.dims, layer.codes};
    bool const is_matrix = op == "Gemm" || op == "MatMul";
    if (is_matrix || op == "ConvTranspose") out.input_axis = 0;
    if (!is_matrix || layer.axis == 1) return out;
    auto const rows = static_cast<std::size_t>(layer.dims[0]), cols = static_cast<std::size_t>(layer.dims[1]);
    std::swap(out.dims[0], out.dims[1]);
    for (std::size_t r = 0; r != rows; ++r)
        for (std::size_t c = 0; c != cols; ++c) out.codes[c * rows + r] = layer.codes[r * cols + c];
    return out;
}
/// Two codes of 4 bits in a byte along `axis`, which becomes half as long; the first in the lower half.
/// Precondition: it is even.
inline AmctWeight pack_pairs(const AmctWeight& weight, std::size_t axis) {
    AmctWeight out{weight.dims, std::vector<std::int8_t>(weight.codes.size() / 2), weight.input_axis};
    out.dims[axis] /= 2;
    std::size_t inner = 1;
    for (std::size_t d = axis + 1; d != weight.dims.size(); ++d)
        inner *= static_cast<std::size_t>(weight.dims[d]);
    for (std::size_t i = 0; i != out.codes.size(); ++i) {
        std::size_t const first = i / inner * 2 * inner + i % inner;
        unsigned const low = static_cast<unsigned char>(weight.codes[first]) & 0xFu;
        unsigned const high = static_cast<unsigned char>(weight.codes[first + inner]) & 0xFu;
        out.codes[i] = static_cast<std::int8_t>(static_cast<unsigned char>(low | high << 4));
    }
    return out;
}

/// A value between two nodes that a third is put into: who reads `layer`'s result reads the output of a new
/// node `name` of this operator, which reads that and `factor`. Gives that output.
inline std::string_view put_after(GraphEdit& edit, const QuantizedNode& layer, std::string_view name,
                                  std::string_view op, std::string_view factor, AttributeList attributes) {
    GraphEdit::Node const last = layer.bias_add.value_or(layer.node);
    std::string_view const result = edit.node(last).output.front();
    edit.forget_info(result);
    edit.forget_info(edit.node(layer.node).output.front());
    if (edit.is_output(result)) {
        std::string_view const own =
            edit.new_value(edit.keep(amct_distill::detail::concat(edit.node(last).name.get(), "_output0")));
        edit.redirect(result, own);
        edit.set_output(last, 0, own);
        std::string_view const made =
            edit.insert_maker_of(result, last, name, op, {own, factor}, std::move(attributes));
        edit.redirect(own, made, edit.producer(made));  // readers besides the model's output
        return made;
    } else {
        std::string_view const made =
            edit.insert_after(last, name, op, {result, factor},
                              amct_distill::detail::concat(name, ".output0"), std::move(attributes));
        edit.redirect(result, made, edit.producer(made));
        return made;
    }
}

}  // namespace amct_distill::onnx::detail
