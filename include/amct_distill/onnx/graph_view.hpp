// SPDX-License-Identifier: Apache-2.0
/// A model's graph, checked and connected: who makes each tensor, and who reads it.
///
///     result<onnx::GraphView> graph = onnx::GraphView::of(model);      // a ModelFile, which must outlive it
///     for (onnx::NodeId n : graph->order())                            // each after those that it reads
///         for (onnx::TensorId t : graph->node(n).inputs)
///             if (t != onnx::none) std::cout << graph->tensor(t).name << " is read by " << graph->label(n);
///
/// Initializers that are listed as inputs are initializers. All that is wrong is told at once: tensors that
/// nothing makes or that two make, circles, a model without outputs.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "messages.hpp"
#include "model_file.hpp"

namespace amct_distill::onnx {

using NodeId = std::size_t;    ///< place in GraphProto::node
using TensorId = std::size_t;  ///< place in GraphView's tensors
inline constexpr std::size_t none = static_cast<std::size_t>(-1);

struct GraphTensor {
    struct Reader {
        NodeId node;
        std::size_t input;  ///< place among the node's inputs
    };
    std::string_view name{};
    NodeId producer = none;                    ///< none: an input or an initializer
    std::size_t output = 0;                    ///< place among the producer's outputs
    std::vector<Reader> readers{};             ///< in order of the file
    const TensorProto* initializer = nullptr;  ///< its values, when they are in the model
    const ValueInfoProto* info = nullptr;      ///< what the model says of its type and shape, when it does
    bool is_input = false;
    bool is_output = false;
};

struct GraphNode {
    const NodeProto* proto = nullptr;
    std::vector<TensorId> inputs{};   ///< `none`: left out
    std::vector<TensorId> outputs{};  ///< likewise

    std::string_view op() const { return proto->op_type.get(); }
    /// Of ONNX's own operators.
    bool is_standard() const {
        std::string_view const d = proto->domain.get();
        return d.empty() || d == "ai.onnx";
    }
    /// Input `i`, or `none` where there are fewer.
    TensorId input(std::size_t i) const { return i < inputs.size() ? inputs[i] : none; }
    TensorId output(std::size_t i) const { return i < outputs.size() ? outputs[i] : none; }
};

class GraphView {
public:
    static result<GraphView> of(const ModelFile& model) {
        GraphView view(model);
        view.connect();
        if (view.errors_.empty()) view.sort();
        if (!view.errors_.empty()) return std::move(view.errors_);
        return view;
    }

    const ModelFile& model() const noexcept { return *model_; }
    const std::vector<GraphNode>& nodes() const noexcept { return nodes_; }
    const GraphNode& node(NodeId n) const { return nodes_[n]; }
    const std::vector<GraphTensor>& tensors() const noexcept { return tensors_; }
    const GraphTensor& tensor(TensorId t) const { return tensors_[t]; }
    /// What the model is fed with, in its order, without initializers.
    const std::vector<TensorId>& inputs() const noexcept { return inputs_; }
    const std::vector<TensorId>& outputs() const noexcept { return outputs_; }
    /// The nodes that an output depends on, each after those that it reads; in the file's order where that
    /// does.
    const std::vector<NodeId>& order() const noexcept { return order_; }
    /// `none` when there is no such tensor.
    TensorId find(std::string_view name) const {
        auto const at = by_name_.find(name);
        return at == by_name_.end() ? none : at->second;
    }
    /// How a diagnostic names a node: "node `/conv1/Conv` (Conv)", "node 3 (Conv), which makes `x`".
    std::string label(NodeId n) const {
        using amct_distill::detail::concat;
        constexpr std::size_t longest = 512;
        const GraphNode& node = nodes_[n];
        std::string op(node.op().substr(0, longest));
        if (!node.is_standard()) op = concat(node.proto->domain.get().substr(0, longest), ".", op);
        std::string_view const name = node.proto->name.get();
        if (!name.empty()) return concat("node `", name.substr(0, longest), "` (", op, ")");
        for (TensorId t : node.outputs)
            if (t != none)
                return concat("node ", n, " (", op, "), which makes `", tensors_[t].name.substr(0, longest),
                              "`");
        return concat("node ", n, " (", op, ")");
    }
    /// An error about a node: file, label, message.
    Diagnostic error(NodeId n, std::string_view message) const {
        return error(amct_distill::detail::concat(label(n), ": ", message));
    }
    Diagnostic error(std::string message) const {
        Diagnostic d = general_error(std::move(message));
        d.source = model_->source();
        return d;
    }

private:
    static constexpr std::size_t max_errors = 100;

    explicit GraphView(const ModelFile& model) : model_(&model) {}

    void fail(std::string message) {
        if (errors_.size() < max_errors) errors_.push_back(error(std::move(message)));
    }
    TensorId tensor_named(std::string_view name) {
        auto const [at, is_new] = by_name_.try_emplace(name, tensors_.size());
        if (is_new) tensors_.push_back({.name = name});
        return at->second;
    }
    bool has_origin(TensorId t) const {
        return tensors_[t].producer != none || tensors_[t].initializer != nullptr || tensors_[t].is_input;
    }

    void connect() {
        using amct_distill::detail::concat;
        const GraphProto& graph = model_->graph();
        for (const TensorProto& t : graph.initializer) {
            if (t.name.get().empty()) {
                fail("an initializer has no name");
                continue;
            }
            GraphTensor& tensor = tensors_[tensor_named(t.name.get())];
            if (tensor.initializer != nullptr)
                fail(concat("two initializers are called `", t.name.get(), "`"));
            tensor.initializer = &t;
        }
        for (const SparseTensorProto& t : graph.sparse_initializer)
            fail(concat("the initializer `", t.values ? t.values->name.get() : std::string_view(),
                        "` is sparse, which is not supported; store it dense"));
        for (const ValueInfoProto& v : graph.input) {
            TensorId const t = tensor_named(v.name.get());
            tensors_[t].info = &v;
            if (tensors_[t].initializer != nullptr) continue;
            if (tensors_[t].is_input) fail(concat("two inputs are called `", v.name.get(), "`"));
            tensors_[t].is_input = true;
            inputs_.push_back(t);
        }
        nodes_.resize(graph.node.size());
        for (NodeId n = 0; n != nodes_.size(); ++n) {
            nodes_[n].proto = &graph.node[n];
            for (std::string_view name : graph.node[n].output) {
                TensorId const t = name.empty() ? none : tensor_named(name);
                nodes_[n].outputs.push_back(t);
                if (t == none) continue;
                if (tensors_[t].producer != none)
                    fail(concat(label(n), " makes `", name, "`, which ", label(tensors_[t].producer),
                                " makes too"));
                else if (has_origin(t))
                    fail(concat(
                        label(n), " makes `", name, "`, which is ",
                        tensors_[t].initializer != nullptr ? "an initializer" : "an input of the model"));
                tensors_[t].producer = n;
                tensors_[t].output = nodes_[n].outputs.size() - 1;
            }
        }
        for (NodeId n = 0; n != nodes_.size(); ++n)
            for (std::string_view name : graph.node[n].input) {
                TensorId const t = name.empty() ? none : tensor_named(name);
                nodes_[n].inputs.push_back(t);
                if (t == none) continue;
                tensors_[t].readers.push_back({n, nodes_[n].inputs.size() - 1});
                if (!has_origin(t))
                    fail(concat(label(n), " reads `", name,
                                "`, which no node, input or initializer makes; is the model whole?"));
            }
        for (const ValueInfoProto& v : graph.output) {
            TensorId const t = tensor_named(v.name.get());
            if (!has_origin(t))
                fail(concat("the output `", v.name.get(), "` is made by no node, input or initializer"));
            if (tensors_[t].is_output) fail(concat("two outputs are called `", v.name.get(), "`"));
            tensors_[t].is_output = true;
            if (tensors_[t].info == nullptr) tensors_[t].info = &v;
            outputs_.push_back(t);
        }
        for (const ValueInfoProto& v : graph.value_info)
            if (TensorId const t = find(v.name.get());
                t != none && (tensors_[t].info == nullptr || !tensors_[t].info->type.has_value()))
                tensors_[t].info = &v;
        if (outputs_.empty()) fail("the model has no outputs");
    }

    /// Depth first from the outputs, without recursion: a chain may have as many nodes as the file has bytes.
    void sort() {
        std::vector<char> needed(nodes_.size(), 0);
        std::vector<NodeId> stack;
        auto const need = [&](TensorId t) {
            if (t == none || tensors_[t].producer == none || needed[tensors_[t].producer] != 0) return;
            needed[tensors_[t].producer] = 1;
            stack.push_back(tensors_[t].producer);
        };
        for (TensorId t : outputs_) need(t);
        while (!stack.empty()) {
            NodeId const n = stack.back();
            stack.pop_back();
            for (TensorId t : nodes_[n].inputs) need(t);
        }
        // Kahn's order, the file's first: what can be computed next is taken by its place in the file.
        std::vector<std::size_t> waits(nodes_.size(), 0);
        std::vector<NodeId> ready;
        auto const later = [](NodeId a, NodeId b) { return a > b; };
        for (NodeId n = 0; n != nodes_.size(); ++n) {
            if (needed[n] == 0) continue;
            for (TensorId t : nodes_[n].inputs)
                if (t != none && tensors_[t].producer != none) ++waits[n];
            if (waits[n] == 0) ready.push_back(n);
        }
        std::make_heap(ready.begin(), ready.end(), later);
        while (!ready.empty()) {
            std::pop_heap(ready.begin(), ready.end(), later);
            NodeId const n = ready.back();
            ready.pop_back();
            order_.push_back(n);
            for (TensorId t : nodes_[n].outputs) {
                if (t == none) continue;
                for (const GraphTensor::Reader& r : tensors_[t].readers)
                    if (needed[r.node] != 0 && --waits[r.node] == 0) {
                        ready.push_back(r.node);
                        std::push_heap(ready.begin(), ready.end(), later);
                    }
            }
        }
        for (NodeId n = 0; n != nodes_.size(); ++n)
            if (needed[n] != 0 && waits[n] != 0) {
                fail(amct_distill::detail::concat(label(n),
                                                  " is part of a circle, or depends on one: nothing can "
                                                  "compute it"));
                return;
            }
    }

    const ModelFile* model_;
    std::vector<GraphNode> nodes_{};
    std::vector<GraphTensor> tensors_{};
    std::unordered_map<std::string_view, TensorId> by_name_{};
    std::vector<TensorId> inputs_{};
    std::vector<TensorId> outputs_{};
    std::vector<NodeId> order_{};
    Diagnostics errors_{};
};

}  // namespace amct_distill::onnx
