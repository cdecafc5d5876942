// SPDX-License-Identifier: Apache-2.0
/// The nodes of a model that are one layer with weights, made one: what a Mul, an Add or a BatchNorm after it
/// do is in the layer's weights already.
///
///     onnx::detail::LayerFinder finder(edit, imported.names);
///     result<onnx::LayerNodes> conv = finder.find("conv1", {.has_bias = true, .batch_norm = "bn1"});
///     edit.set_input(conv->node, 1, weights);
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../nn/tensor.hpp"
#include "graph_edit.hpp"
#include "names.hpp"

namespace amct_distill::onnx {

struct LayerNodes {
    GraphEdit::Node node = 0;                   ///< Conv, ConvTranspose, Gemm or MatMul
    std::optional<GraphEdit::Node> bias_add{};  ///< of a MatMul with a bias: the Add after it
    std::string_view input{};                   ///< the activation, input 0 of `node`
    std::string_view output{};                  ///< what the last of the two makes
    std::string_view weight{}, bias{};  ///< what they are called in the file; a bias that is new: empty
    bool is_matmul = false;
    /// Whether the file has the matrix [in, out]: of a MatMul, and of a Gemm that does not transpose it.
    bool is_transposed = false;
    /// A Gemm adds something else than a bias of the layer: its input 2, in float, times beta.
    bool adds_float = false;
};

namespace detail {

struct LayerFacts {
    bool has_bias = false;
    std::string_view batch_norm{};  ///< that its weights contain; empty: none
};

/// A weight of the network in the order of the file.
template <class T>
std::vector<T> in_file_order(const nn::BasicTensor<T>& weight, bool is_transposed) {
    std::vector<T> out(weight.begin(), weight.end());
    if (!is_transposed) return out;
    auto const rows = static_cast<std::size_t>(weight.dim(0)), cols = static_cast<std::size_t>(weight.dim(1));
    for (std::size_t r = 0; r != rows; ++r)
        for (std::size_t c = 0; c != cols; ++c) out[c * rows + r] = weight[r * cols + c];
    return out;
}
inline std::vector<std::int64_t> file_dims(const nn::Shape& weight, bool is_transposed) {
    std::vector<std::int64_t> out(weight.begin(), weight.end());
    if (is_transposed) std::swap(out.at(0), out.at(1));
    return out;
}

class LayerFinder {
public:
    LayerFinder(GraphEdit& edit, std::span<const ImportedName> names) : edit_(edit), names_(names) {}

    static bool has_weights(std::string_view op) {
        return op == "Conv" || op == "ConvTranspose" || op == "Gemm" || op == "MatMul";
    }
    /// `module`: its name. Errors name it.
    result<LayerNodes> find(std::string_view module, const LayerFacts& facts) {
        auto const fail = [&](const auto&... why) {
            return general_error(amct_distill::detail::concat("layer `", module, "`: ", why...));
        };
        const ImportedName* const name = named(module);
        if (name == nullptr || name->nodes.empty())
            return fail("the model has no such layer; give the model that was quantized");
        LayerNodes out{.node = name->nodes.front()};
        std::string_view const op = edit_.op(out.node);
        if (!has_weights(op)) return fail("it is a ", op, " there, which has no weights that are quantized");
        out.is_matmul = op == "MatMul";
        out.is_transposed =
            out.is_matmul || (op == "Gemm" && integer_attribute(edit_.node(out.node), "transB", 0) == 0);
        out.weight = edit_.input(out.node, 1);
        out.bias = edit_.input(out.node, 2);
        if (op == "Gemm") {
            out.adds_float = !facts.has_bias && !out.bias.empty();
            edit_.set_attribute(out.node, attribute("alpha", 1.0f));
            if (!out.adds_float) edit_.set_attribute(out.node, attribute("beta", 1.0f));
        }
        for (std::size_t k = 1; k != name->nodes.size(); ++k)
            if (!out.is_matmul)
                take_out(name->nodes[k], name->nodes);
            else if (facts.has_bias)
                keep_bias_add(out, name->nodes[k]);
        if (!facts.batch_norm.empty() && !take_out_batch_norm(out, facts.batch_norm))
            return fail("the model has no BatchNorm `", facts.batch_norm,
                        "` after it; give the model that was quantized");
        if (out.is_matmul && facts.has_bias && !out.bias_add) add_bias_add(out, module);
        out.input = edit_.input(out.node, 0);
        out.output = edit_.node(out.bias_add.value_or(out.node)).output.front();
        return out;
    }
    /// Weights and bias of the node, or of the two.
    void set_parameters(const LayerNodes& layer, std::string_view weight, std::string_view bias) {
        edit_.set_input(layer.node, 1, weight);
        if (bias.empty()) return;
        if (!layer.bias_add) return edit_.set_input(layer.node, 2, bias);
        std::string_view const product = edit_.node(layer.node).output.front();
        edit_.set_input(*layer.bias_add, edit_.input(*layer.bias_add, 0) == product ? 1 : 0, bias);
    }

private:
    const ImportedName* named(std::string_view module) const {
        auto const at = std::ranges::find(names_, module, &ImportedName::module);
        return at == names_.end() ? nullptr : &*at;
    }
    void keep_bias_add(LayerNodes& out, GraphEdit::Node add) {
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
    bool take_out_batch_norm(const LayerNodes& out, std::string_view batch_norm) {
        const ImportedName* const name = named(batch_norm);
        if (name == nullptr || name->nodes.empty()) return false;
        GraphEdit::Node const norm = name->nodes.front(), last = out.bias_add.value_or(out.node);
        if (edit_.op(norm) != "BatchNormalization") return false;
        // Between the two there may be nodes that change nothing.
        for (;;) {
            auto const next = edit_.only_reader(edit_.node(last).output.front());
            if (!next) return false;
            std::string_view const op = edit_.op(*next);
            if (*next != norm && op != "Identity" && op != "Dropout" && op != "Cast") return false;
            edit_.bypass(*next);
            if (*next == norm) return true;
        }
    }
    /// The bias is new: it came of a BatchNorm.
    void add_bias_add(LayerNodes& out, std::string_view module) {
        std::string_view const output = edit_.node(out.node).output.front();
        std::string_view const own = edit_.node(out.node).name.get();
        std::string const name = amct_distill::detail::concat(own.empty() ? module : own, "/bias");
        out.bias = {};
        if (edit_.is_output(output)) {
            std::string_view const product =
                edit_.new_value(amct_distill::detail::concat(output, "/product"));
            edit_.set_output(out.node, 0, product);
            edit_.insert_maker_of(output, out.node, name, "Add", {product, {}});
            out.bias_add = edit_.producer(output);
            return;
        }
        std::string_view const sum = edit_.insert_after(out.node, name, "Add", {output, {}},
                                                        amct_distill::detail::concat(name, "_output_0"));
        out.bias_add = edit_.producer(sum);
        edit_.redirect(output, sum, out.bias_add);
    }

    GraphEdit& edit_;
    std::span<const ImportedName> names_;
};

}  // namespace detail
}  // namespace amct_distill::onnx
