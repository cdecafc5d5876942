// SPDX-License-Identifier: Apache-2.0
/// The names that AMCT gives to nodes and tensors when it writes a model.
///
///     onnx::detail::give_amct_names(graph);
///         // node /conv1/Conv             conv1
///         // its output                   /conv1/sub_module/Conv_output_0
///         // its weight                   conv1.sub_module.weight
///
/// AMCT wraps a module before PyTorch's exporter sees it, in one that calls it `sub_module`; and a node of a
/// wrapped module is called by the module's name, which is the record's key. All other names stay.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "names.hpp"
#include "quantized_graph.hpp"

namespace amct_distill::onnx::detail {

/// What a module must be in ONNX for AMCT to wrap it.
inline bool amct_wraps(std::string_view op) {
    constexpr std::array<std::string_view, 12> wrapped{
        "Conv", "ConvTranspose", "Gemm",      "MatMul",  "AveragePool", "BatchNormalization",
        "Relu", "Clip",          "LeakyRelu", "Sigmoid", "Tanh",        "Softmax"};
    return std::ranges::find(wrapped, op) != wrapped.end();
}
/// "/features/act0/Clip": "/features/act0/"; empty without one.
inline std::string_view scope_in(std::string_view name) {
    std::size_t const slash = name.rfind('/');
    return name.starts_with('/') && slash != 0 && slash != name.npos ? name.substr(0, slash + 1)
                                                                     : std::string_view();
}

class AmctNames {
public:
    explicit AmctNames(QuantizedGraph& graph) : graph_(graph), edit_(graph.edit) {
        for (GraphEdit::Node n = 0; n != edit_.nodes(); ++n)
            if (edit_.has(n)) look_at(n);
        for (const QuantizedNode& layer : graph.layers) {
            std::string_view const scope = scope_in(edit_.node(layer.node).name.get());
            modules_[layer.node] = layer.layer->name;
            if (scope.empty()) continue;
            wrapped_[scope] = layer.layer->name;
            quantized_.insert(scope);
        }
        for (auto const& [scope, about] : scopes_) {
            if (about.module == nobody || !about.is_module || containers_.contains(scope)) continue;
            std::string_view const name = edit_.keep(dotted_scope(edit_.node(about.module).name.get()));
            if (wrapped_.emplace(scope, name).second) modules_.emplace(about.module, name);
        }
    }
    /// All nodes and tensors; what the layers of the graph say of themselves follows.
    void give() {
        for (GraphEdit::Node n = 0; n != edit_.nodes(); ++n)
            if (edit_.has(n)) give(n);
        for (QuantizedNode& layer : graph_.layers) {
            layer.input = edit_.input(layer.node, 0);
            layer.weight = edit_.input(layer.node, 1);
            GraphEdit::Node const last = layer.bias_add.value_or(layer.node);
            layer.output = edit_.node(last).output.front();
        }
    }

private:
    static constexpr GraphEdit::Node nobody = static_cast<GraphEdit::Node>(-1);
    struct Scope {
        GraphEdit::Node module = nobody;
        bool is_module = true;  ///< one node, and what the exporter puts beside it
    };

    void look_at(GraphEdit::Node n) {
        std::string_view const scope = scope_in(edit_.node(n).name.get()), op = edit_.op(n);
        if (scope.empty()) return;
        for (std::size_t end = scope.size() - 1; (end = scope.rfind('/', end - 1)) != 0;)
            if (!containers_.insert(scope.substr(0, end + 1)).second) break;
        Scope& about = scopes_[scope];
        if (amct_wraps(op)) {
            if (about.module != nobody) about.is_module = false;
            about.module = n;
        } else if (op != "Constant" && op != "Pad" && op != "Identity" && op != "Transpose" && op != "Add") {
            about.is_module = false;
        }
    }
    static std::string inside(std::string_view name) {
        std::string_view const scope = scope_in(name);
        return amct_distill::detail::concat(scope, "sub_module/", name.substr(scope.size()));
    }
    void give(GraphEdit::Node n) {
        std::string_view const name = edit_.node(n).name.get();
        auto const own = modules_.find(n);
        auto const scope = wrapped_.find(scope_in(name));
        bool const wrapped = scope != wrapped_.end();
        for (std::size_t k = 0; wrapped && k != edit_.node(n).output.size(); ++k) {
            std::string_view const value = edit_.node(n).output[k];
            if (edit_.is_output(value) || scope_in(value) != scope_in(name)) continue;
            std::string_view const renamed = edit_.new_value(inside(value));
            edit_.redirect(value, renamed);
            edit_.set_output(n, k, renamed);
        }
        if (wrapped && !quantized_.contains(scope->first)) rename_constants(n, scope->second);
        if (own != modules_.end()) {
            if (name != own->second) edit_.rename_node(n, own->second);
        } else if (wrapped && edit_.op(n) == "Pad") {  // what PyTorch puts before an average pool
            edit_.rename_node(n, amct_distill::detail::concat(scope->second, "_pad"));
        } else if (wrapped) {
            edit_.rename_node(n, inside(name));
        }
    }
    /// conv.weight: conv.sub_module.weight.
    void rename_constants(GraphEdit::Node n, std::string_view module) {
        for (std::size_t i = 0; i != edit_.node(n).input.size(); ++i) {
            std::string_view const value = edit_.input(n, i);
            const TensorProto* const tensor = edit_.initializer(value);
            if (tensor == nullptr || !value.starts_with(module) || value.substr(module.size(), 1) != "." ||
                value.substr(module.size()).starts_with(".sub_module."))
                continue;
            auto const [at, is_new] = constants_.try_emplace(value);
            if (is_new) {
                TensorProto copy = *tensor;
                // What distillation changed is beside the source's as conv.weight_1, and replaces it.
                std::string_view const what = without_count(value.substr(module.size() + 1));
                std::string_view const renamed =
                    edit_.keep(amct_distill::detail::concat(module, ".sub_module.", what));
                copy.name = renamed;
                at->second = edit_.add_initializer(std::move(copy));
            }
            edit_.set_input(n, i, at->second);
        }
    }

    QuantizedGraph& graph_;
    GraphEdit& edit_;
    std::unordered_map<std::string_view, Scope> scopes_{};
    std::unordered_set<std::string_view> containers_{};  // scopes with others in them
    std::unordered_map<GraphEdit::Node, std::string_view> modules_{};
    std::unordered_map<std::string_view, std::string_view> wrapped_{};  // scopes, and their modules' names
    std::unordered_set<std::string_view> quantized_{};  // scopes whose weight and bias are written anew
    std::unordered_map<std::string_view, std::string_view> constants_{};  // by their old names
};

inline void give_amct_names(QuantizedGraph& graph) { AmctNames(graph).give(); }

}  // namespace amct_distill::onnx::detail
