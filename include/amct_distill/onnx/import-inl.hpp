// SPDX-License-Identifier: Apache-2.0
/// The definitions of import.hpp.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/inline.hpp"
#include "../core/result.hpp"
#include "import.hpp"
#include "input_shapes.hpp"
#include "model_file.hpp"
#include "operators.hpp"

namespace amct_distill::onnx {
namespace detail {

class Importer {
public:
    Importer(const GraphView& graph, const ImportOptions& options, Batch batch)
        : graph_(graph), options_(options), so_far_(graph) {
        read_inputs(batch);
        if (so_far_.errors.empty()) read_nodes();
        if (so_far_.errors.empty()) read_outputs();
    }
    bool has_exported_batch() const { return had_exported_batch_; }
    result<Imported> finish() && {
        if (!so_far_.errors.empty()) return std::move(so_far_.errors);
        Imported out{
            std::move(so_far_.network), std::move(so_far_.notes), std::move(so_far_.imported), {}, {}};
        for (TensorId t : graph_.inputs())
            if (!is_constant(t)) out.inputs.emplace_back(graph_.tensor(t).name);
        for (TensorId t : graph_.outputs()) out.outputs.emplace_back(graph_.tensor(t).name);
        return out;
    }

private:
    template <class... Pieces>
    static std::string concat(const Pieces&... pieces) {
        return amct_distill::detail::concat(pieces...);
    }
    static constexpr std::size_t max_errors = 100;
    void fail(Diagnostic d) {
        if (so_far_.errors.size() < max_errors) so_far_.errors.push_back(std::move(d));
    }
    bool is_constant(TensorId t) const {
        return options_.constants.find(graph_.tensor(t).name) != options_.constants.end();
    }
    /// Of an input of the model; each has a declaration.
    static ElementType declared_type(const GraphTensor& input) {
        const ValueInfoProto& info = *input.info;
        if (!info.type.has_value() || !info.type->tensor_type.has_value()) return ElementType::float32;
        return static_cast<ElementType>(info.type->tensor_type->elem_type.get());
    }

    void read_inputs(Batch batch) {
        std::vector<TensorId> constants;
        for (auto const& [name, value] : options_.constants) {
            TensorId const t = graph_.find(name);
            if (t == none || !graph_.tensor(t).is_input) {
                fail(graph_.error(
                    concat("a value is given for `", name, "`, which is no input of the model")));
                continue;
            }
            constants.push_back(t);
            set_constant(t, value);
        }
        result<InputShapes> shapes = input_shapes(graph_, options_.shapes, batch, constants);
        if (!shapes) {
            for (const Diagnostic& d : shapes.diagnostics()) fail(d);
            return;
        }
        so_far_.exported_batch = shapes->exported_batch;
        had_exported_batch_ = shapes->exported_batch.has_value();
        so_far_.check_shapes = options_.shapes.empty();
        for (std::size_t i = 0; i != shapes->shapes.size(); ++i)
            if (TensorId const t = graph_.inputs()[i]; !is_constant(t)) add_input(t, shapes->shapes[i]);
    }
    void set_constant(TensorId t, const nn::Tensor& value) {
        Extents extents(value.shape().begin(), value.shape().end());
        // Rank 0 is given as [1], the network's form of it.
        if (auto const declared = declared_shape(*graph_.tensor(t).info);
            declared && declared->empty() && value.size() == 1)
            extents.clear();
        ElementType const type = declared_type(graph_.tensor(t));
        if (is_floating(type)) {
            so_far_.known.set_value(
                t, Value(type, Dense<float>{extents, std::vector<float>(value.begin(), value.end())}));
            return;
        }
        Dense<Size> integers{extents, {}};
        for (float v : value) integers.data.emplace_back(static_cast<std::int64_t>(v));
        so_far_.known.set_value(t, Value(type, std::move(integers)));
    }
    void add_input(TensorId t, const Shape& shape) {
        const GraphTensor& tensor = graph_.tensor(t);
        ElementType const type = declared_type(tensor);
        auto const refuse = [&](std::string_view why) {
            fail(graph_.error(concat("the input `", tensor.name, "`, ", onnx::to_string(shape), " of ",
                                     name_of(type), ": ", why)));
        };
        if (bits_of(type) == 0) return refuse("a type that is not supported");
        auto const in_network = network_shape(shape);
        if (!in_network)
            return refuse(concat("expected sizes of at least 1, at most ", max_rank,
                                 " of them, and the batch in dimension 0 alone; give its shape"));
        bool const free = in_network->front() == nn::any_batch;
        if (free && in_network->size() == 1)
            return refuse(
                "a batch of numbers has no dimension besides the batch; give its shape with a number there");
        if (type != ElementType::float32)
            so_far_.note(concat("the input `", tensor.name, "` is of type ", name_of(type),
                                "; the network reads it as float32",
                                is_floating(type) ? "" : ", exact up to 2^24"));
        std::string name = so_far_.names.unique(std::string(tensor.name));
        Importing::Tensor& made = so_far_.tensors[t];
        made.node = free
                        ? so_far_.network.input(std::move(name), {in_network->begin() + 1, in_network->end()})
                        : so_far_.network.fixed_input(std::move(name), *in_network);
        if (free) so_far_.of_batch = made.node;
        made.type = type;
        made.is_scalar = shape.empty();
        so_far_.known.set_shape(t, shape);
    }

    void read_nodes() {
        // First what is constant whatever the shapes are: patterns look at it.
        for (NodeId n : graph_.order()) {
            if (!graph_.node(n).is_standard() || graph_.node(n).op() == "Shape" ||
                graph_.node(n).op() == "Size")
                continue;
            if (result<bool> folded = so_far_.known.fold(n); !folded)
                for (const Diagnostic& d : folded.diagnostics()) fail(d);
        }
        if (!so_far_.errors.empty()) return;
        find_patterns();
        for (NodeId n : graph_.order()) read_node(n);
    }
    /// Whether the outputs of a node are values; a node without outputs computes nothing.
    bool is_known(NodeId n) const {
        for (TensorId t : graph_.node(n).outputs)
            if (t != none && so_far_.known.find(t) == nullptr) return false;
        return true;
    }
    void find_patterns() {
        in_pattern_.assign(graph_.nodes().size(), none);
        PatternContext const context(graph_, so_far_.known);
        for (NodeId n : graph_.order()) {
            if (in_pattern_[n] != none || is_known(n)) continue;
            std::optional<Match> found = match_at(context, n);
            if (!found || !stands_alone(*found)) continue;
            for (NodeId part : found->nodes) in_pattern_[part] = matches_.size();
            matches_.push_back(*std::move(found));
        }
    }
    /// Nobody reads what lies between, and no node is in two patterns.
    bool stands_alone(const Match& match) const {
        for (NodeId part : match.nodes) {
            if (in_pattern_[part] != none || is_known(part)) return false;
            if (part == match.nodes.back()) continue;
            for (TensorId t : graph_.node(part).outputs) {
                if (t == none) continue;
                if (graph_.tensor(t).is_output) return false;
                for (const GraphTensor::Reader& r : graph_.tensor(t).readers)
                    if (std::ranges::find(match.nodes, r.node) == match.nodes.end()) return false;
            }
        }
        return true;
    }

    void read_node(NodeId n) {
        const GraphNode& node = graph_.node(n);
        if (is_known(n)) return;
        if (in_pattern_[n] != none) {
            const Match& match = matches_[in_pattern_[n]];
            if (n != match.nodes.back()) return;
            const OperatorRule* const first = rule_of(graph_.node(match.nodes.front()).op());
            bool const anywhere = first != nullptr && first->batch != BatchAt::front;
            return convert(match.nodes, match.inputs, match.convert, Accepts::floats,
                           anywhere ? BatchAt::anywhere : BatchAt::front);
        }
        const OperatorRule* const rule = node.is_standard() ? rule_of(node.op()) : nullptr;
        if (!reads_failed(node.inputs)) {
            result<bool> folded = so_far_.known.fold(n);
            if (folded && *folded) return;
            if (!folded) {
                for (const Diagnostic& d : folded.diagnostics()) fail(d);
                return mark_failed(node);
            }
        }
        if (rule == nullptr) {
            // What is computed of shapes alone is unknown only because what it reads could not be imported.
            if (!reads_failed(node.inputs) || refusal_is_certain(node)) fail(graph_.error(n, refusal(node)));
            return mark_failed(node);
        }
        convert({n}, node.inputs, rule->convert, rule->accepts, rule->batch);
    }
    static bool refusal_is_certain(const GraphNode& node) {
        static constexpr std::string_view folded[]{
            "Shape", "Size", "ConstantOfShape", "Range", "Equal", "Where", "Floor", "Ceil", "Not",
            "Mod",   "Less", "Greater"};
        return !node.is_standard() || std::ranges::find(folded, node.op()) == std::end(folded);
    }
    bool reads_failed(const std::vector<TensorId>& inputs) const {
        return std::ranges::any_of(inputs,
                                   [&](TensorId t) { return t != none && so_far_.tensors[t].failed; });
    }
    void mark_failed(const GraphNode& node) {
        for (TensorId t : node.outputs)
            if (t != none) so_far_.tensors[t].failed = true;
    }
    template <class Convert>
    void convert(const std::vector<NodeId>& nodes, const std::vector<TensorId>& inputs,
                 const Convert& convert, Accepts accepts, BatchAt batch) {
        const GraphNode& last = graph_.node(nodes.back());
        if (reads_failed(inputs)) return mark_failed(last);
        std::vector<TensorId> outputs = last.outputs;
        while (!outputs.empty() && outputs.back() == none) outputs.pop_back();
        Operation o(so_far_, nodes, inputs, std::move(outputs));
        o.check_types(accepts);
        o.check_layouts(batch);
        try {
            if (!o.failed()) convert(o);
        } catch (const std::invalid_argument& e) {  // options that make no module
            o.fail(e.what());
        }
        if (!o.failed())
            if (std::optional<std::string> wrong = o.attributes().error()) o.fail(*std::move(wrong));
        auto const is_made = [&](TensorId t) { return t != none && so_far_.tensors[t].node.has_value(); };
        if (!o.failed() && std::ranges::none_of(last.outputs, is_made)) o.fail("it has made nothing");
        if (!o.failed()) return;
        fail(graph_.error(nodes.front(), o.error()));
        mark_failed(last);
    }

    void read_outputs() {
        for (TensorId t : graph_.outputs()) {
            const GraphTensor& tensor = graph_.tensor(t);
            result<amct_distill::NodeId> id = so_far_.node_of(t);
            if (!id) {
                fail(graph_.error(
                    concat("the output `", tensor.name, "`: ", id.diagnostics().front().message)));
                continue;
            }
            if (!so_far_.tensors[t].layout.is_plain()) {
                fail(graph_.error(concat("the output `", tensor.name, "` is ",
                                         onnx::to_string(*so_far_.known.shape(t)),
                                         ", without the batch in dimension 0; give the inputs' shapes with a "
                                         "number in its place")));
                continue;
            }
            if (so_far_.network.node(*id).kind == NodeKind::input ||
                so_far_.network.node(*id).kind == NodeKind::constant ||
                so_far_.network.graph().is_output(*id))
                *id = so_far_.network.add_function(so_far_.names.unique(concat(tensor.name, "/Identity")),
                                                   nn::Identity{}, {*id});
            so_far_.network.output(*id);
        }
    }

    const GraphView& graph_;
    const ImportOptions& options_;
    Importing so_far_;
    bool had_exported_batch_ = false;
    std::vector<Match> matches_{};
    std::vector<std::size_t> in_pattern_{};  // by node: place in matches_
};

/// What a model is refused for as a whole: it computes with codes.
inline std::optional<std::string> quantized_already(const GraphView& graph) {
    std::size_t count = 0, back = 0;
    NodeId first = none;
    for (NodeId n : graph.order()) {
        std::string_view const op = graph.node(n).op();
        back += op == "DequantizeLinear" || op == "AscendDequant";
        if ((op == "QuantizeLinear" || op == "AscendQuant") && ++count == 1) first = n;
    }
    if (count == 0 || back == 0) return std::nullopt;
    std::string_view const name = graph.node(first).proto->name.get();
    return amct_distill::detail::concat("the model is quantized already (", count, ' ',
                                        graph.node(first).op(), ", the first is node `", name,
                                        "`); give the float model that it was made of");
}

}  // namespace detail

AMCT_DISTILL_ONNX_INLINE result<Imported> import_network(const ModelFile& model,
                                                         const ImportOptions& options) {
    using amct_distill::detail::concat;
    auto const error = [&](std::string message) {
        Diagnostic d = general_error(std::move(message));
        d.source = model.source();
        return d;
    };
    if (model.opset() < 1 || model.opset() > newest_opset)
        return error(concat("the model is of opset ", model.opset(), "; opsets 1 to ", newest_opset,
                            " are known: export it with one of those"));
    result<GraphView> graph = GraphView::of(model);
    if (!graph) return graph.diagnostics();
    if (auto const quantized = detail::quantized_already(*graph)) return graph->error(*quantized);
    detail::Importer first(*graph, options, options.batch);
    bool const may_keep = options.batch == Batch::free && first.has_exported_batch();
    result<Imported> out = std::move(first).finish();
    if (out || !may_keep) return out;
    result<Imported> kept = detail::Importer(*graph, options, Batch::as_exported).finish();
    if (kept)
        kept->notes.push_back(
            concat("the network keeps the batch of the file: ", out.diagnostics().front().message));
    return kept;
}
AMCT_DISTILL_ONNX_INLINE result<Imported> import_network(const std::filesystem::path& path,
                                                         const ImportOptions& options) {
    result<ModelFile> model = ModelFile::open(path, options.links);
    if (!model) return model.diagnostics();
    return import_network(*model, options);
}

}  // namespace amct_distill::onnx
