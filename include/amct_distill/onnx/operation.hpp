// SPDX-License-Identifier: Apache-2.0
/// One operator of a model while it becomes modules of the network: what a conversion reads, and what it
/// adds.
///
///     inline void convert_softmax(Operation& o) {
///         std::int64_t const axis = o.attributes().integer("axis", -1);
///         o.add(nn::Softmax(o.axis(axis, 0)), {0});            // a module that reads input 0
///     }
///     inline constexpr std::array activation_rules{OperatorRule{"Softmax", convert_softmax}};
///
/// A conversion refuses by fail(), and never guesses; attributes that it did not ask for are refused for it.
/// What it adds is named as PyTorch names it.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "input_shapes.hpp"
#include "operation_inputs.hpp"

namespace amct_distill::onnx::detail {

class Operation : public OperationInputs {
public:
    /// `nodes`: of the model, the first being the one whose attributes count. `inputs`: what is read.
    Operation(Importing& so_far, std::vector<NodeId> nodes, std::vector<TensorId> inputs,
              std::vector<TensorId> outputs)
        : OperationInputs(so_far, std::move(nodes), std::move(inputs)), outputs_(std::move(outputs)) {}

    // ---- what it becomes

    /// The node of an input; a constant becomes one. Node 0 after a failure.
    amct_distill::NodeId value(std::size_t i) {
        if (!has(i)) return missing(i), amct_distill::NodeId{};
        if (aligns_ && made(i) == nullptr) return constant_node("constant", constant(i));
        result<amct_distill::NodeId> id = so_far_.node_of(inputs_[i]);
        if (!id)
            return fail(concat("input ", i, ": ", id.diagnostics().front().message)), amct_distill::NodeId{};
        return *id;
    }
    /// A module with a name, as PyTorch's. `weight`, `bias`: the inputs that are its parameters, which tell
    /// its name; a weight that has been in an equal module before makes this a further use of that one.
    void add(nn::Module module, std::initializer_list<std::size_t> reads,
             std::optional<std::size_t> weight = {}, std::optional<std::size_t> bias = {}) {
        add_step(std::move(module), nodes_of(reads), weight, bias);
    }
    void add(nn::Module module, std::initializer_list<amct_distill::NodeId> reads,
             std::optional<std::size_t> weight = {}, std::optional<std::size_t> bias = {}) {
        add_step(std::move(module), reads, weight, bias);
    }
    void add(nn::Module module, const std::vector<amct_distill::NodeId>& reads,
             std::optional<std::size_t> weight = {}, std::optional<std::size_t> bias = {}) {
        add_step(std::move(module), reads, weight, bias);
    }
    /// The same, when function() goes on from it; node 0 after a failure.
    amct_distill::NodeId add_step(nn::Module module, const std::vector<amct_distill::NodeId>& reads,
                                  std::optional<std::size_t> weight = {},
                                  std::optional<std::size_t> bias = {}) {
        if (failed()) return {};
        TensorId const w = weight ? tensor(*weight) : none, b = bias ? tensor(*bias) : none;
        ModuleName name = so_far_.names.of(nodes_, w, b);
        return finish([&] {
            if (std::optional<ModuleId> const same = so_far_.shared.find(so_far_.network, module, w, name)) {
                ModuleName scope = so_far_.names.of(nodes_);
                return so_far_.network.apply(so_far_.names.unique(std::move(scope.name)),
                                             so_far_.network.modules()[*same].name, reads);
            }
            std::string const unique = so_far_.names.unique(std::move(name.name));
            amct_distill::NodeId const id = so_far_.network.add(unique, std::move(module), reads);
            so_far_.imported.push_back({so_far_.graph.label(nodes_.front()), unique, name.source, nodes_});
            so_far_.shared.add(w, *so_far_.network.node(id).module);
            return id;
        });
    }
    /// An operation without a named module, called as the node.
    void function(nn::Module module, std::initializer_list<std::size_t> reads) {
        function(std::move(module), nodes_of(reads));
    }
    void function(nn::Module module, std::initializer_list<amct_distill::NodeId> reads) {
        function(std::move(module), std::vector(reads));
    }
    void function(nn::Module module, const std::vector<amct_distill::NodeId>& reads) {
        if (failed()) return;
        finish([&] {
            return so_far_.network.add_function(so_far_.names.unique(function_name()), std::move(module),
                                                reads);
        });
    }
    /// An operation before the last one; node 0 after a failure.
    amct_distill::NodeId step(std::string_view suffix, nn::Module module,
                              const std::vector<amct_distill::NodeId>& reads) {
        if (failed()) return {};
        try {
            return so_far_.network.add_function(so_far_.names.unique(concat(function_name(), "/", suffix)),
                                                std::move(module), reads);
        } catch (const std::invalid_argument& e) {
            return fail(reason(e)), amct_distill::NodeId{};
        }
    }
    /// A constant of the conversion's own.
    amct_distill::NodeId constant_node(std::string_view suffix, nn::Tensor tensor) {
        if (failed()) return {};
        return so_far_.network.constant(so_far_.names.unique(concat(function_name(), "/", suffix)),
                                        std::move(tensor));
    }
    /// Output `k`, which the module that is added has not, is this node. Before add() and function().
    void output_is(std::size_t k, amct_distill::NodeId id) { more_outputs_.emplace_back(k, id); }
    /// Output 0 is this node.
    void result_is(amct_distill::NodeId id) {
        if (!failed()) finish([&] { return id; });
    }
    /// Output 0 is input `i`.
    void pass(std::size_t i) {
        if (!has(i)) return missing(i);
        if (is_scalar(i)) result_is_scalar();
        result_is(value(i));
    }
    /// How many of its outputs somebody reads: at least those up to the last one that is.
    std::size_t outputs() const { return outputs_.size(); }
    bool wants(std::size_t output) const {
        return output < outputs_.size() && outputs_[output] != none &&
               (!so_far_.graph.tensor(outputs_[output]).readers.empty() ||
                so_far_.graph.tensor(outputs_[output]).is_output);
    }
    /// The rank of output 0 is 0 in the model ([1] in the network). It is so by itself where all inputs have
    /// rank 0.
    void result_is_scalar(bool scalar = true) { scalar_ = scalar; }
    /// Where the batch is in output 0, where that is not as in the inputs.
    void result_layout(Layout layout) { result_layout_ = std::move(layout); }
    /// The type of all outputs, where it is not that of the first input.
    void result_type(ElementType type) { type_ = type; }
    /// Whether a module with these parameters is a function called in PyTorch's forward, which is no module.
    bool is_function(std::size_t weight, std::optional<std::size_t> bias, bool in_containers) const {
        return so_far_.names.is_function(nodes_, tensor(weight), bias ? tensor(*bias) : none, in_containers);
    }
    /// Whether a weight is in modules before, and `module` is none of them.
    bool is_in_others(std::size_t weight, const nn::Module& module) const {
        return so_far_.shared.has(tensor(weight)) &&
               !so_far_.shared.find(so_far_.network, module, tensor(weight),
                                    so_far_.names.of(nodes_, tensor(weight)));
    }
    void note(std::string_view text) {
        so_far_.note(concat(so_far_.graph.label(nodes_.front()), ": ", text));
    }

private:
    std::vector<amct_distill::NodeId> nodes_of(std::initializer_list<std::size_t> reads) {
        std::vector<amct_distill::NodeId> out;
        for (std::size_t i : reads) out.push_back(value(i));
        return out;
    }
    std::string function_name() const {
        const GraphNode& last = so_far_.graph.node(nodes_.back());
        if (!last.proto->name.get().empty()) return std::string(last.proto->name.get());
        for (TensorId t : outputs_)
            if (t != none) return std::string(so_far_.graph.tensor(t).name);
        return concat(op(), "_", nodes_.back());
    }
    /// What the network says of a layer, without the layer's name, which the diagnostic has already.
    static std::string reason(const std::exception& e) {
        std::string_view what = e.what();
        if (std::size_t const end = what.find("): "); what.starts_with("layer ") && end != what.npos)
            what.remove_prefix(end + 3);
        return std::string(what);
    }
    template <class Make>
    amct_distill::NodeId finish(Make make) {
        amct_distill::NodeId first;
        try {
            first = make();
        } catch (const std::invalid_argument& e) {
            return fail(reason(e)), amct_distill::NodeId{};
        }
        bool all_scalar = true;
        std::optional<ElementType> type = type_;
        for (std::size_t i = 0; i != inputs_.size(); ++i)
            if (has(i)) {
                if (!is_scalar(i)) all_scalar = false;
                if (!type) type = this->type(i);
            }
        for (std::size_t k = 0; k != outputs_.size(); ++k) {
            if (outputs_[k] == none) continue;
            auto const more =
                std::ranges::find(more_outputs_, k, &std::pair<std::size_t, amct_distill::NodeId>::first);
            if (k > so_far_.network.node(first).ports && more == more_outputs_.end()) {
                if (wants(k))
                    return fail(concat("its output ", k, " is read, which is not supported")), first;
                continue;
            }
            Importing::Tensor& t = so_far_.tensors[outputs_[k]];
            t.node = more != more_outputs_.end() ? more->second : amct_distill::NodeId{first.index + k};
            t.type = type.value_or(ElementType::float32);
            const nn::Shape& shape = so_far_.network.node(*t.node).shape;
            if (is_too_large(shape))
                return fail(concat("its output would be ", nn::to_string(shape), ", which is too large")),
                       first;
            t.is_scalar = shape == nn::Shape{1} && scalar_.value_or(all_scalar);
            std::optional<Layout> layout = layout_of_result(shape.size());
            if (!layout) return fail(batch_elsewhere("what becomes of it is not known")), first;
            t.layout = *std::move(layout);
            so_far_.known.set_shape(outputs_[k], t.is_scalar           ? Shape{}
                                                 : t.layout.is_plain() ? detail::model_shape(shape)
                                                                       : t.layout.model_shape(shape));
            check_shape(outputs_[k]);
        }
        return first;
    }
    /// As that of the inputs, without the dimensions that are gone: those that the conversion counted.
    std::optional<Layout> layout_of_result(std::size_t rank) const {
        if (result_layout_) return result_layout_;
        if (layout_.is_plain() || rank == rank_) return layout_;
        if (rank + axes_.size() != rank_) return std::nullopt;
        return without(layout_, axes_);
    }
    /// Compares with what the model says of the tensor, where it says something.
    void check_shape(TensorId t) {
        const ValueInfoProto* const info = so_far_.graph.tensor(t).info;
        if (!so_far_.check_shapes || info == nullptr) return;
        auto const declared = declared_shape(*info);
        if (!declared) return;
        const Shape& found = *so_far_.known.shape(t);
        bool same = declared->size() == found.size();
        for (std::size_t i = 0; same && i != found.size(); ++i)
            same = !(*declared)[i].value || !found[i].is_fixed() || *(*declared)[i].value == found[i].fixed;
        if (!same)
            fail(concat("its output `", so_far_.graph.tensor(t).name, "` would be ", onnx::to_string(found),
                        ", but the model says ", detail::to_string(*declared)));
    }

    std::vector<TensorId> outputs_;
    std::vector<std::pair<std::size_t, amct_distill::NodeId>> more_outputs_{};
    std::optional<Layout> result_layout_{};
    std::optional<bool> scalar_{};
    std::optional<ElementType> type_{};
};

/// How an operator is imported.
struct OperatorRule {
    std::string_view op;
    void (*convert)(Operation&);
    Accepts accepts = Accepts::floats;
    BatchAt batch = BatchAt::front;
};

}  // namespace amct_distill::onnx::detail
