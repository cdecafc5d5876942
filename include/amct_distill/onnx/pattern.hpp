// SPDX-License-Identifier: Apache-2.0
/// Several operators of a model that are one module: what a pattern sees, and what it finds.
///
///     inline std::optional<Match> match_silu(const PatternContext& c, NodeId first) {
///         if (!c.is(first, "Sigmoid")) return std::nullopt;
///         TensorId const x = c.input(first, 0), s = c.output(first);
///         NodeId const mul = c.only_reader(s);
///         if (!c.is(mul, "Mul") || c.other_input(mul, s) != x) return std::nullopt;
///         return Match{{first, mul}, {x}, [](Operation& o) { o.add(nn::SiLU{}, {0}); }};
///     }
///
/// A pattern is tried at each node, as the first of it in graph order, after the constants of the file are
/// known. That nobody else reads what lies between is checked for it (import.hpp).
#pragma once
#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "operation.hpp"

namespace amct_distill::onnx::detail {

struct Match {
    std::vector<NodeId> nodes;                  ///< in graph order; the last one makes the result
    std::vector<TensorId> inputs;               ///< what the module reads, as Operation counts them
    std::function<void(Operation&)> convert{};  ///< the operation's attributes are the first node's
};

class PatternContext {
public:
    PatternContext(const GraphView& graph, const Constants& known) : graph_(&graph), known_(&known) {}

    const GraphView& graph() const { return *graph_; }
    std::int64_t opset() const { return graph_->model().opset(); }
    /// Whether there is such a node, of ONNX's own operator `op`.
    bool is(NodeId n, std::string_view op) const {
        return n != none && graph_->node(n).is_standard() && graph_->node(n).op() == op;
    }
    TensorId input(NodeId n, std::size_t i) const { return graph_->node(n).input(i); }
    std::size_t inputs(NodeId n) const { return graph_->node(n).inputs.size(); }
    TensorId output(NodeId n) const { return graph_->node(n).output(0); }
    /// Of a node with two inputs, one being `t`, the other; `none` when neither is, or both are.
    TensorId other_input(NodeId n, TensorId t) const {
        const GraphNode& node = graph_->node(n);
        if (node.inputs.size() != 2 || (node.inputs[0] == t) == (node.inputs[1] == t)) return none;
        return node.inputs[0] == t ? node.inputs[1] : node.inputs[0];
    }
    /// The node that alone reads a tensor, once or more often; `none` when there are several, or none.
    NodeId only_reader(TensorId t) const {
        if (t == none || graph_->tensor(t).is_output || graph_->tensor(t).readers.empty()) return none;
        NodeId const n = graph_->tensor(t).readers.front().node;
        for (const GraphTensor::Reader& r : graph_->tensor(t).readers)
            if (r.node != n) return none;
        return n;
    }
    /// The node that makes a tensor, `none` for inputs and initializers.
    NodeId producer(TensorId t) const { return t == none ? none : graph_->tensor(t).producer; }
    bool is_constant(TensorId t) const {
        return t != none && (known_->find(t) != nullptr || graph_->tensor(t).initializer != nullptr);
    }
    /// The value of a constant of few numbers, as axes are: what Constants::read gives, without keeping it.
    std::optional<Value> constant(TensorId t) const {
        std::optional<Extents> const shape = extents(t);
        if (!shape || count_of(*shape) > longest_list) return std::nullopt;
        if (const Value* const v = known_->find(t)) return *v;
        return Value(*graph_->model().values(*graph_->tensor(t).initializer));
    }
    /// The shape of a constant's values; nothing where they are repeated over the batch.
    std::optional<Extents> extents(TensorId t) const {
        if (t == none) return std::nullopt;
        if (const Value* const v = known_->find(t))
            return v->is_over_batch() ? std::nullopt : std::optional(v->extents());
        if (graph_->tensor(t).initializer == nullptr) return std::nullopt;
        result<TensorValues> const values = graph_->model().values(*graph_->tensor(t).initializer);
        return values ? std::optional(values->shape()) : std::nullopt;
    }
    /// The number that a constant of one element is.
    std::optional<float> number(TensorId t) const {
        std::optional<Value> const v = constant(t);
        if (!v || v->count() != 1) return std::nullopt;
        auto const floats = v->floats();
        return floats ? std::optional(floats->front()) : std::nullopt;
    }
    /// A Mul, Add ... of a tensor and a number, in either order: the number.
    std::optional<float> number_beside(NodeId n, TensorId t) const {
        TensorId const other = other_input(n, t);
        return other == none ? std::nullopt : number(other);
    }
    /// The shape that a constant has, or that the model tells.
    std::optional<std::size_t> rank(TensorId t) const {
        if (t == none) return std::nullopt;
        if (const Value* const v = known_->find(t)) return v->shape().size();
        if (const std::optional<Extents> shape = extents(t)) return shape->size();
        if (const ValueInfoProto* const info = graph_->tensor(t).info)
            if (auto const declared = declared_shape(*info)) return declared->size();
        return std::nullopt;
    }

private:
    const GraphView* graph_;
    const Constants* known_;
};

using Pattern = std::optional<Match> (*)(const PatternContext&, NodeId first);

}  // namespace amct_distill::onnx::detail
