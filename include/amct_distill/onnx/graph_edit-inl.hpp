// SPDX-License-Identifier: Apache-2.0
/// The definitions of graph_edit.hpp: what is left of a model when it is finished, in order.
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <variant>
#include <vector>

#include "../core/inline.hpp"
#include "../core/result.hpp"
#include "graph_edit.hpp"
#include "messages.hpp"
#include "tensor_values.hpp"

namespace amct_distill::onnx {

AMCT_DISTILL_ONNX_INLINE result<ModelProto> GraphEdit::finish_proto() const {
    ModelProto out = model_;
    GraphProto& graph = *out.graph;
    std::vector<Node> order;
    if (auto ok = sort(order); !ok) return ok.diagnostics();
    std::unordered_set<std::string_view> used(outputs_);
    for (Node n : order) {
        graph.node.push_back(nodes_[n].proto);
        for (std::string_view v : nodes_[n].proto.input) used.insert(v);
        for (std::string_view v : nodes_[n].proto.output) used.insert(v);
    }
    auto const unused = [&](const auto& named) { return !used.contains(named.name.get()); };
    std::erase_if(graph.initializer, unused);
    // Values of initializers that are inputs too might be replaced from outside; an engine then folds
    // nothing.
    std::erase_if(graph.input, [&](const ValueInfoProto& v) { return initializer(v.name.get()) != nullptr; });
    std::erase_if(graph.value_info, unused);
    for (TensorProto& t : graph.initializer)
        if (auto ok = take_in(t); !ok) return ok.diagnostics();
    for (NodeProto& n : graph.node)
        for (AttributeProto& a : n.attribute)
            if (a.t)
                if (auto ok = take_in(*a.t); !ok) return ok.diagnostics();
    return out;
}

AMCT_DISTILL_ONNX_INLINE result<void> GraphEdit::sort(std::vector<Node>& order) const {
    std::vector<char> needed(nodes_.size(), 0);
    std::vector<Node> stack;
    auto const need = [&](std::string_view value) {
        std::optional<Node> const n = producer(value);
        if (!n || needed[*n] != 0) return;
        needed[*n] = 1;
        stack.push_back(*n);
    };
    for (const ValueInfoProto& v : model_.graph->output) need(v.name.get());
    while (!stack.empty()) {
        Node const n = stack.back();
        stack.pop_back();
        for (std::string_view v : node(n).input) need(v);
    }
    std::vector<std::size_t> waits(nodes_.size(), 0);
    std::vector<Node> ready;
    std::size_t count = 0;
    auto const later = [&](Node a, Node b) {
        auto const key = [&](Node n) { return std::tuple(nodes_[n].anchor, nodes_[n].offset, n); };
        return key(a) > key(b);
    };
    for (Node n = 0; n != nodes_.size(); ++n) {
        if (needed[n] == 0) continue;
        ++count;
        for (std::string_view v : node(n).input) waits[n] += producer(v).has_value();
        if (waits[n] == 0) ready.push_back(n);
    }
    std::make_heap(ready.begin(), ready.end(), later);
    while (!ready.empty()) {
        std::pop_heap(ready.begin(), ready.end(), later);
        Node const n = ready.back();
        ready.pop_back();
        order.push_back(n);
        for (std::string_view v : node(n).output) {
            if (v.empty() || producer(v) != n) continue;
            for (const Reader& r : readers(v))
                if (needed[r.node] != 0 && --waits[r.node] == 0) {
                    ready.push_back(r.node);
                    std::push_heap(ready.begin(), ready.end(), later);
                }
        }
    }
    if (order.size() == count) return {};
    return general_error("the model's nodes depend on each other in a circle");
}

AMCT_DISTILL_ONNX_INLINE result<void> GraphEdit::take_in(TensorProto& t) const {
    if (t.data_location.get() != 1) return {};
    result<TensorValues> const values = source_->values(t);
    if (!values) return values.diagnostics();
    t.raw_data = std::get<std::string_view>(values->source());
    t.external_data.clear();
    t.data_location = {};
    return {};
}

}  // namespace amct_distill::onnx
