// SPDX-License-Identifier: Apache-2.0
/// What of an ONNX graph is known before it runs: weights, constants, shapes, and all that is computed from
/// those.
///
///     onnx::Constants known(graph);
///     for (onnx::TensorId t : graph.inputs()) known.set_shape(t, {onnx::Size::of_batch(), 3, 224, 224});
///     for (onnx::NodeId n : graph.order()) {
///         result<bool> folded = known.fold(n);            // errors name the node
///         if (folded && *folded) continue;                // its outputs are values now
///         ... make a layer: *known.read(weight), known.shape(input); then known.set_shape(output, ...)
///     }
///
/// So shape arithmetic (Shape, Gather, Slice, Cast, Concat, Where ...) disappears while the batch stays free.
/// The values that folding makes are bounded by the file: 8 for each of its bytes, and four million.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "fold.hpp"
#include "graph_view.hpp"
#include "value.hpp"

namespace amct_distill::onnx {

class Constants {
public:
    /// `graph` must outlive it. Initializers are read when they are asked for.
    explicit Constants(const GraphView& graph)
        : graph_(&graph), values_(graph.tensors().size()), shapes_(graph.tensors().size()) {
        elements_left_ = 8 * graph.model().size_with_data() + (std::size_t{1} << 22);
    }

    /// The tensor's value; null when it is not known. An initializer's is after read() was asked for it.
    const Value* find(TensorId t) const { return t == none || !values_[t] ? nullptr : &*values_[t]; }
    /// The same, reading an initializer at its first use. Errors: its values are damaged, or of a type not
    /// supported.
    result<const Value*> read(TensorId t) {
        if (t == none || values_[t] || graph_->tensor(t).initializer == nullptr) return find(t);
        result<TensorValues> values = graph_->model().values(*graph_->tensor(t).initializer);
        if (!values) return values.diagnostics();
        values_[t].emplace(*std::move(values));
        return find(t);
    }
    /// A value that is not in the file, for an input of the model.
    void set_value(TensorId t, Value value) { values_[t].emplace(std::move(value)); }
    /// What a layer that was made gives; for inputs of the model, what the user and the model say.
    void set_shape(TensorId t, Shape shape) { shapes_[t] = std::move(shape); }
    /// The shape of a value, or as it was set; null when neither is known.
    const Shape* shape(TensorId t) const {
        if (const Value* const v = find(t)) return &v->shape();
        return t == none || !shapes_[t] ? nullptr : &*shapes_[t];
    }

    /// Whether the node is computed away: all that it reads is known (of what a Shape reads, the shape), and
    /// its operator is one that is folded. Errors name the node.
    result<bool> fold(NodeId n) {
        const GraphNode& node = graph_->node(n);
        if (node.is_standard() && (node.op() == "Shape" || node.op() == "Size")) return fold_shape(n, node);
        std::vector<const Value*> inputs;
        for (TensorId t : node.inputs) {
            result<const Value*> const v = read(t);
            if (!v) return v.diagnostics();
            if (*v == nullptr && t != none) return false;
            inputs.push_back(*v);
        }
        if (inputs.empty() && node.op() != "Constant") return false;  // RandomNormal ...
        Folding folding(*graph_, n, std::move(inputs), graph_->model().opset(), elements_left_);
        if (!folding.run()) return false;
        if (!folding.error().empty()) return graph_->error(n, folding.error());
        std::vector<Value>& values = folding.outputs();
        for (std::size_t i = 0; i != node.outputs.size(); ++i) {
            if (node.outputs[i] == none) continue;
            if (i >= values.size()) return graph_->error(n, "it has more outputs than its operator");
            if (values[i].extents().size() > max_rank)
                return graph_->error(n, "it makes a tensor of too many dimensions");
            values_[node.outputs[i]].emplace(std::move(values[i]));
        }
        return true;
    }

private:
    result<bool> fold_shape(NodeId n, const GraphNode& node) {
        if (node.outputs.size() > 1) return graph_->error(n, "it has more outputs than its operator");
        Attributes attributes(*node.proto);
        std::int64_t start = attributes.integer("start", 0);
        std::optional<std::int64_t> end = attributes.integer("end");
        if (std::optional<std::string> wrong = attributes.error()) return graph_->error(n, *wrong);
        TensorId const t = node.input(0);
        if (result<const Value*> const v = read(t); !v) return v.diagnostics();
        const Shape* const whole = shape(t);
        if (whole == nullptr || node.output(0) == none) return false;
        Dense<Size> out;
        if (node.op() == "Size") {
            std::optional<Size> const count = product(*whole);
            if (!count)
                return graph_->error(n, "the number of elements is too large, or the square of the batch");
            out.data.push_back(*count);
        } else {
            Range const part =
                slice_range(start, end.value_or(static_cast<std::int64_t>(whole->size())), 1, whole->size());
            for (std::size_t i = 0; i != part.count; ++i) out.data.push_back((*whole)[part.start + i]);
            out.shape = {part.count};
        }
        values_[node.output(0)].emplace(ElementType::int64, std::move(out));
        return true;
    }

    const GraphView* graph_;
    std::vector<std::optional<Value>> values_;
    std::vector<std::optional<Shape>> shapes_;
    std::size_t elements_left_ = 0;
};

}  // namespace amct_distill::onnx
