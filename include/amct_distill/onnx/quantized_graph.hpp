// SPDX-License-Identifier: Apache-2.0
/// A float model and its deployment, put together: which nodes each quantized layer is, and its integers in
/// the layout of the file.
///
///     onnx::Imported const net = onnx::import_network(model).value();     // of which `deployment` was made
///     result<onnx::QuantizedGraph> graph = onnx::quantized_graph(model, net, deployment);
///     for (const onnx::QuantizedNode& layer : graph->layers)
///         graph->edit.set_input(layer.node, 0, quantized(layer.input, layer.layer->data));
///     graph->edit.finish();
///
/// Every quantized layer is one node then, Conv, ConvTranspose, Gemm or MatMul (with an Add for its bias):
/// the BatchNorm that folding removed is gone, and so are other nodes that the layer's weights contain. What
/// distillation has changed elsewhere is in the model; all else is as it was. Writers (qdq.hpp,
/// amct_models.hpp) begin here.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../deploy/deployment.hpp"
#include "../nn/weight_rows.hpp"
#include "changed_parameters.hpp"
#include "element_type.hpp"
#include "graph_edit.hpp"
#include "imported.hpp"
#include "layer_nodes.hpp"

namespace amct_distill::onnx {

struct QuantizedNode : LayerNodes {
    const DeployedLayer* layer = nullptr;  ///< of the deployment
    std::vector<std::int64_t> dims{};      ///< of the weight in the file
    std::vector<std::int8_t> codes{};      ///< of the weight, in the file's order
    std::size_t axis = 0;    ///< the weight's dimension that counts the layer's channels, in each group
    std::size_t groups = 1;  ///< of a ConvTranspose, whose channels are groups * dims[axis]
};

struct QuantizedGraph {
    GraphEdit edit;
    std::vector<QuantizedNode> layers{};  ///< in the deployment's order
};

namespace detail {

/// The layer's node with its codes. Errors name the layer.
inline result<QuantizedNode> quantized_node(GraphEdit& edit, LayerFinder& finder,
                                            const nn::Weighted& weighted, const DeployedLayer& layer) {
    auto const fail = [&](const auto&... why) {
        return general_error(amct_distill::detail::concat("layer `", layer.name, "`: ", why...,
                                                          "; give the model that was quantized"));
    };
    result<LayerNodes> nodes =
        finder.find(layer.name, {.has_bias = !layer.bias.empty(), .batch_norm = layer.batch_norm});
    if (!nodes) return nodes.diagnostics();
    QuantizedNode out;
    static_cast<LayerNodes&>(out) = *std::move(nodes);
    out.layer = &layer;
    const nn::Shape& shape = weighted.weight().shape();
    std::string_view const op = edit.op(out.node);
    bool const transposed = op == "ConvTranspose";
    if ((op == "Gemm" || op == "MatMul") != (shape.size() == 2) ||
        (weighted.output_axis() != 0) != transposed)
        return fail("it is a ", op, " in the model, but its weights are ", nn::to_string(shape));
    if (const TensorProto* const t = edit.initializer(out.weight)) {
        std::int64_t count = 1;
        for (std::int64_t d : t->dims) count *= d;
        if (count != static_cast<std::int64_t>(weighted.weight().size()))
            return fail("it has ", weighted.weight().size(), " weights, but the model's `", out.weight,
                        "` has ", count);
    }
    nn::BasicTensor<std::int8_t> rows(
        {static_cast<nn::Index>(layer.rows()), static_cast<nn::Index>(layer.cols())});
    for (std::size_t r = 0; r != layer.rows(); ++r)
        unpack_row(layer.codes, r, rows.span().subspan(r * layer.cols(), layer.cols()));
    nn::BasicTensor<std::int8_t> weight(shape);
    nn::WeightRows(weighted).scatter(rows, weight);
    out.codes = in_file_order(weight, out.is_transposed);
    out.dims = file_dims(shape, out.is_transposed);
    out.axis = out.is_transposed ? 1 : weighted.output_axis();
    out.groups = transposed ? static_cast<std::size_t>(weighted.weight_groups()) : 1;
    return out;
}

/// An input whose numbers are not float32, and with it the activations.
inline std::optional<std::string_view> other_float(const GraphEdit& edit) {
    for (const ValueInfoProto& v : edit.inputs()) {
        if (!v.type.has_value() || !v.type->tensor_type.has_value()) continue;
        auto const type = static_cast<ElementType>(v.type->tensor_type->elem_type.get());
        if (is_floating(type) && type != ElementType::float32) return v.name.get();
    }
    return std::nullopt;
}

}  // namespace detail

/// `imported`: what the import of `source` gave. `source` and `deployment` must outlive the result. Errors,
/// all of them: each layer that the model has not, or has otherwise.
inline result<QuantizedGraph> quantized_graph(const ModelFile& source, const Imported& imported,
                                              const Deployment& deployment) {
    QuantizedGraph out{GraphEdit(source)};
    Diagnostics errors;
    auto const fail = [&](const Diagnostics& why) {
        for (Diagnostic d : why) {
            if (d.source.empty()) d.source = source.source();
            errors.push_back(std::move(d));
        }
    };
    if (auto const name = detail::other_float(out.edit))
        fail({general_error(amct_distill::detail::concat(
            "its input `", *name,
            "` is not float32, and nor are its activations, which cannot be quantized then; write the model "
            "in float32 first (export --format float)"))});
    detail::LayerFinder finder(out.edit, imported.names);
    std::unordered_set<std::string_view> done;
    for (const DeployedLayer& layer : deployment.layers()) {
        done.insert(layer.name);
        if (!layer.batch_norm.empty()) done.insert(layer.batch_norm);
        const nn::Weighted& weighted = *deployment.network().module(layer.module).weighted();
        result<QuantizedNode> node = detail::quantized_node(out.edit, finder, weighted, layer);
        if (node)
            out.layers.push_back(*std::move(node));
        else
            fail(node.diagnostics());
    }
    if (errors.empty()) {
        detail::ChangedParameters changed(out.edit, imported, deployment.network());
        for (const ImportedName& name : imported.names)
            if (!done.contains(name.module))
                if (auto ok = changed.put(name); !ok) fail(ok.diagnostics());
    }
    if (!errors.empty()) return errors;
    // A layer's input may be another's output, which folding has renamed.
    for (QuantizedNode& layer : out.layers) layer.input = out.edit.input(layer.node, 0);
    return out;
}

}  // namespace amct_distill::onnx
