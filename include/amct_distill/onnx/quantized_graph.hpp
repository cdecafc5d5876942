// SPDX-License-Identifier: Apache-2.0
/// A float model and its deployment, put together: which nodes each quantized layer is, and its integers in
/// the layout of the file.
///
///     result<onnx::Imported> net = onnx::import_network(model);     // of which `deployment` was made
///     result<onnx::QuantizedGraph> graph = onnx::quantized_graph(model, net->names, deployment);
///     for (const onnx::QuantizedNode& layer : graph->layers)
///         graph->edit.set_input(layer.node, 0, quantized(layer.input, layer.layer->data));
///     graph->edit.finish();
///
/// Every quantized layer is one node then, Conv, ConvTranspose, Gemm or MatMul (with an Add for its bias):
/// the BatchNorm that folding removed is gone, and so are other nodes that the layer's weights contain. All
/// else is as it was in the model. Writers (qdq.hpp, amct_models.hpp) begin here.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../deploy/deployment.hpp"
#include "../nn/weight_rows.hpp"
#include "element_type.hpp"
#include "graph_edit.hpp"
#include "names.hpp"

namespace amct_distill::onnx {

struct QuantizedNode {
    const DeployedLayer* layer = nullptr;       ///< of the deployment
    GraphEdit::Node node = 0;                   ///< Conv, ConvTranspose, Gemm or MatMul
    std::optional<GraphEdit::Node> bias_add{};  ///< of a MatMul with a bias: the Add after it
    std::string_view input{};                   ///< the activation, input 0 of `node`
    std::string_view output{};                  ///< what the last of the two makes
    std::string_view weight{}, bias{};  ///< what they are called in the file; a bias that is new: empty
    std::vector<std::int64_t> dims{};   ///< of the weight in the file
    std::vector<std::int8_t> codes{};   ///< of the weight in the file's order
    std::size_t axis = 0;    ///< the weight's dimension that counts the layer's channels, in each group
    std::size_t groups = 1;  ///< of a ConvTranspose, whose channels are groups * dims[axis]
    /// A Gemm adds something else than a bias of the layer: its input 2, in float, times beta.
    bool adds_float = false;
    bool is_matmul = false;
};

struct QuantizedGraph {
    GraphEdit edit;
    std::vector<QuantizedNode> layers{};  ///< in the deployment's order
};

namespace detail {

class LayerFinder {
public:
    LayerFinder(GraphEdit& edit, std::span<const ImportedName> names, const Deployment& deployment)
        : edit_(edit), names_(names), deployment_(deployment) {}

    result<QuantizedNode> find(const DeployedLayer& layer) {
        const ImportedName* const name = named(layer.name);
        if (name == nullptr || name->nodes.empty())
            return fail(layer, "the model has no such layer; give the model that was quantized");
        QuantizedNode out{.layer = &layer, .node = name->nodes.front()};
        std::string_view const op = edit_.op(out.node);
        if (op != "Conv" && op != "ConvTranspose" && op != "Gemm" && op != "MatMul")
            return fail(layer, "it is a ", op, " there, which has no weights that are quantized");
        out.is_matmul = op == "MatMul";
        out.input = edit_.input(out.node, 0);
        out.weight = edit_.input(out.node, 1);
        if (auto ok = find_codes(out, op); !ok) return ok.diagnostics();
        bool const has_bias = !layer.bias.empty();
        out.bias = edit_.input(out.node, 2);
        if (op == "Gemm") {
            out.adds_float = !has_bias && !out.bias.empty();
            edit_.set_attribute(out.node, attribute("alpha", 1.0f));
            if (!out.adds_float) edit_.set_attribute(out.node, attribute("beta", 1.0f));
        }
        if (auto ok = fold(out, *name, has_bias); !ok) return ok.diagnostics();
        out.output = edit_.node(out.bias_add.value_or(out.node)).output.front();
        return out;
    }

private:
    template <class... Pieces>
    static Diagnostic fail(const DeployedLayer& layer, const Pieces&... why) {
        return general_error(amct_distill::detail::concat("layer `", layer.name, "`: ", why...));
    }
    const ImportedName* named(std::string_view module) const {
        auto const at = std::ranges::find(names_, module, &ImportedName::module);
        return at == names_.end() ? nullptr : &*at;
    }

    result<void> find_codes(QuantizedNode& out, std::string_view op) const {
        const DeployedLayer& layer = *out.layer;
        const nn::Weighted& weighted = *deployment_.network().module(layer.module).weighted();
        const nn::Shape& shape = weighted.weight().shape();
        bool const matrix = op == "Gemm" || op == "MatMul";
        bool const transposed = op == "ConvTranspose";
        if (matrix != (shape.size() == 2) || (weighted.output_axis() != 0) != transposed)
            return fail(layer, "it is a ", op, " in the model, but its weights are ", nn::to_string(shape),
                        "; give the model that was quantized");
        nn::BasicTensor<std::int8_t> rows(
            {static_cast<nn::Index>(layer.rows()), static_cast<nn::Index>(layer.cols())});
        for (std::size_t r = 0; r != layer.rows(); ++r)
            unpack_row(layer.codes, r, rows.span().subspan(r * layer.cols(), layer.cols()));
        nn::BasicTensor<std::int8_t> weight(shape);
        nn::WeightRows(weighted).scatter(rows, weight);
        out.dims.assign(shape.begin(), shape.end());
        out.axis = weighted.output_axis();
        out.groups = transposed ? static_cast<std::size_t>(weighted.weight_groups()) : 1;
        if (op == "MatMul" || (op == "Gemm" && integer_attribute(edit_.node(out.node), "transB", 0) == 0)) {
            std::size_t const in = layer.cols(), channels = layer.rows();
            out.codes.resize(in * channels);
            for (std::size_t c = 0; c != channels; ++c)
                for (std::size_t k = 0; k != in; ++k) out.codes[k * channels + c] = weight[c * in + k];
            std::swap(out.dims[0], out.dims[1]);
            out.axis = 1;
        } else {
            out.codes.assign(weight.begin(), weight.end());
        }
        if (const TensorProto* const t = edit_.initializer(out.weight)) {
            std::int64_t count = 1;
            for (std::int64_t d : t->dims) count *= d;
            if (count != static_cast<std::int64_t>(out.codes.size()))
                return fail(layer, "it has ", out.codes.size(), " weights, but the model's `", out.weight,
                            "` has ", count, "; give the model that was quantized");
        }
        return {};
    }

    /// Takes out what the layer's weights and bias contain: a Mul, an Add, a BatchNorm.
    result<void> fold(QuantizedNode& out, const ImportedName& name, bool has_bias) {
        const DeployedLayer& layer = *out.layer;
        std::vector<GraphEdit::Node> const rest(name.nodes.begin() + 1, name.nodes.end());
        for (GraphEdit::Node n : rest) {
            if (out.is_matmul) {  // its Add
                if (has_bias) keep_bias_add(out, n);
                continue;
            }
            take_out(n, name.nodes);
        }
        if (!layer.batch_norm.empty())
            if (auto ok = take_out_batch_norm(out); !ok) return ok;
        if (out.is_matmul && has_bias && !out.bias_add) add_bias_add(out);
        return {};
    }
    void keep_bias_add(QuantizedNode& out, GraphEdit::Node add) {
        out.bias_add = add;
        std::string_view const product = edit_.node(out.node).output.front();
        out.bias = edit_.input(add, edit_.input(add, 0) == product ? 1 : 0);
    }
    /// A node of the layer, after its first: passes on what another of them makes.
    void take_out(GraphEdit::Node n, const std::vector<GraphEdit::Node>& layer) {
        for (std::size_t i = 0; i != edit_.node(n).input.size(); ++i)
            if (auto const from = edit_.producer(edit_.input(n, i));
                from && std::ranges::find(layer, *from) != layer.end())
                return edit_.bypass(n, i);
    }
    result<void> take_out_batch_norm(QuantizedNode& out) {
        const DeployedLayer& layer = *out.layer;
        const ImportedName* const name = named(layer.batch_norm);
        auto const no_norm = [&] {
            return fail(layer, "the model has no BatchNorm `", layer.batch_norm,
                        "` after it; give the model that was quantized");
        };
        if (name == nullptr || name->nodes.empty()) return no_norm();
        GraphEdit::Node const norm = name->nodes.front(), last = out.bias_add.value_or(out.node);
        if (edit_.op(norm) != "BatchNormalization") return no_norm();
        // Between the two there may be nodes that change nothing.
        for (;;) {
            auto const next = edit_.only_reader(edit_.node(last).output.front());
            if (!next) return no_norm();
            std::string_view const op = edit_.op(*next);
            if (*next != norm && op != "Identity" && op != "Dropout" && op != "Cast") return no_norm();
            edit_.bypass(*next);
            if (*next == norm) return {};
        }
    }
    /// The bias is new: it came of a BatchNorm.
    void add_bias_add(QuantizedNode& out) {
        std::string_view const output = edit_.node(out.node).output.front();
        std::string const name = amct_distill::detail::concat(edit_.node(out.node).name.get().empty()
                                                                  ? std::string_view(out.layer->name)
                                                                  : edit_.node(out.node).name.get(),
                                                              "/bias");
        std::string_view product = output;
        if (edit_.is_output(output)) {
            product = edit_.new_value(amct_distill::detail::concat(output, "/product"));
            edit_.set_output(out.node, 0, product);
            edit_.insert_maker_of(output, out.node, name, "Add", {product, {}});
            out.bias_add = edit_.producer(output);
        } else {
            std::string_view const sum = edit_.insert_after(out.node, name, "Add", {product, {}},
                                                            amct_distill::detail::concat(name, "_output_0"));
            out.bias_add = edit_.producer(sum);
            edit_.redirect(product, sum, out.bias_add);
        }
        out.bias = {};
    }

    GraphEdit& edit_;
    std::span<const ImportedName> names_;
    const Deployment& deployment_;
};

/// What its inputs and weights are told to be, unless that is float32.
inline std::optional<std::string_view> other_float(const GraphEdit& edit) {
    auto const other = [](std::int32_t type) {
        ElementType const t = static_cast<ElementType>(type);
        return is_floating(t) && t != ElementType::float32;
    };
    for (const ValueInfoProto& v : edit.inputs())
        if (v.type.has_value() && v.type->tensor_type.has_value() &&
            other(v.type->tensor_type->elem_type.get()))
            return v.name.get();
    return std::nullopt;
}

}  // namespace detail

/// `names`: of the modules, as the import of `source` found them (Imported::names). `source` and
/// `deployment` must outlive the result. Errors: each layer that the model has not, or has otherwise.
inline result<QuantizedGraph> quantized_graph(const ModelFile& source, std::span<const ImportedName> names,
                                              const Deployment& deployment) {
    QuantizedGraph out{GraphEdit(source)};
    Diagnostics errors;
    auto const fail = [&](Diagnostic d) {
        if (d.source.empty()) d.source = source.source();
        errors.push_back(std::move(d));
    };
    if (auto const name = detail::other_float(out.edit))
        fail(general_error(amct_distill::detail::concat(
            "its input `", *name,
            "` is not float32, and nor are its activations, which cannot be quantized then; write the model "
            "in float32 first (export --format float)")));
    detail::LayerFinder finder(out.edit, names, deployment);
    for (const DeployedLayer& layer : deployment.layers()) {
        result<QuantizedNode> node = finder.find(layer);
        if (node)
            out.layers.push_back(*std::move(node));
        else
            for (const Diagnostic& d : node.diagnostics()) fail(d);
    }
    if (!errors.empty()) return errors;
    // A layer's input may be another's output, which folding has renamed.
    for (QuantizedNode& layer : out.layers) layer.input = out.edit.input(layer.node, 0);
    return out;
}

}  // namespace amct_distill::onnx
