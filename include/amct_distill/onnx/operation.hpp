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

#include "attributes.hpp"
#include "importing.hpp"
#include "input_shapes.hpp"

namespace amct_distill::onnx::detail {

/// Which activations an operator takes besides floats. The network has float tensors, which hold integers
/// exactly up to 2^24.
enum class Accepts {
    floats,
    int32_and_64,  ///< arithmetic that gives the same in floats, but would wrap around in narrower integers
    everything     ///< values move, or are compared
};

class Operation {
public:
    /// `nodes`: of the model, the first being the one whose attributes count. `inputs`: what is read.
    Operation(Importing& so_far, std::vector<NodeId> nodes, std::vector<TensorId> inputs,
              std::vector<TensorId> outputs)
        : so_far_(so_far),
          nodes_(std::move(nodes)),
          inputs_(std::move(inputs)),
          outputs_(std::move(outputs)),
          attributes_(*so_far.graph.node(nodes_.front()).proto) {}

    // ---- the operator

    const GraphNode& node() const { return so_far_.graph.node(nodes_.front()); }
    std::string_view op() const { return node().op(); }
    std::int64_t opset() const { return so_far_.graph.model().opset(); }
    Attributes& attributes() { return attributes_; }
    const GraphView& graph() const { return so_far_.graph; }
    std::optional<std::int64_t> exported_batch() const { return so_far_.exported_batch; }

    // ---- its inputs

    std::size_t inputs() const { return inputs_.size(); }
    bool has(std::size_t i) const { return i < inputs_.size() && inputs_[i] != none; }
    /// Fails where there are more inputs than the conversion reads.
    void at_most(std::size_t n) {
        for (std::size_t i = n; i < inputs_.size(); ++i)
            if (has(i)) return fail(concat("expected at most ", n, " inputs, found ", inputs_.size()));
    }
    TensorId tensor(std::size_t i) const { return i < inputs_.size() ? inputs_[i] : none; }
    ElementType type(std::size_t i) {
        is_constant(i);  // a weight that nobody has read tells its type now
        return so_far_.type_of(inputs_[i]);
    }
    bool is_scalar(std::size_t i) const {
        const Value* const v = so_far_.known.find(inputs_[i]);
        return v != nullptr ? v->shape().empty() : so_far_.tensors[inputs_[i]].is_scalar;
    }
    /// Where the batch is in the inputs that have it elsewhere than in dimension 0; plain: nowhere so.
    const Layout& layout() const { return layout_; }
    /// As the network has it: [N, 3, 8, 8]; [1] for rank 0, also of constants. Empty after a failure.
    nn::Shape shape(std::size_t i) {
        if (!has(i)) return missing(i), nn::Shape{};
        if (aligns_ && made(i) == nullptr) return constant(i).shape();
        if (const amct_distill::NodeId* const id = made(i)) return so_far_.network.node(*id).shape;
        result<const Value*> const v = so_far_.known.read(inputs_[i]);
        if (!v) return fail(v.diagnostics().front().message), nn::Shape{};
        std::optional<nn::Shape> out = network_shape((*v)->shape());
        if (!out)
            fail(concat("input ", i, " is a constant ", onnx::to_string((*v)->shape()),
                        ", a shape that the network does not have"));
        return out.value_or(nn::Shape{});
    }
    /// As the model has it: of rank 0 too.
    Shape model_shape(std::size_t i) {
        if (has(i) && is_scalar(i)) return {};
        if (has(i) && made(i) != nullptr && !so_far_.tensors[inputs_[i]].layout.is_plain())
            return so_far_.tensors[inputs_[i]].layout.model_shape(shape(i));
        if (const Value* const v = has(i) ? so_far_.known.find(inputs_[i]) : nullptr) return v->shape();
        return detail::model_shape(shape(i));
    }
    std::size_t rank(std::size_t i) { return shape(i).size(); }
    bool is_constant(std::size_t i) {
        if (!has(i) || made(i) != nullptr) return false;
        result<const Value*> const v = so_far_.known.read(inputs_[i]);
        return v && *v != nullptr;
    }
    /// The values of a constant input; an empty tensor after a failure.
    nn::Tensor constant(std::size_t i) {
        if (!has(i)) return missing(i), nn::Tensor{};
        if (!is_constant(i)) return fail(not_constant(i)), nn::Tensor{};
        result<nn::Tensor> value = so_far_.constant(inputs_[i]);
        if (!value) return fail(concat("input ", i, ": ", value.diagnostics().front().message)), nn::Tensor{};
        if (aligns_ && value->size() != 1) {
            std::optional<nn::Shape> const aligned = layout_.aligned(value->shape(), rank_);
            if (!aligned)
                return fail(batch_elsewhere("it reads a constant that differs along it")), nn::Tensor{};
            value->resize(*aligned);
        }
        return *std::move(value);
    }
    /// The integers of a constant input, in one row; nothing after a failure.
    std::vector<std::int64_t> integers(std::size_t i) {
        if (!has(i)) return missing(i), std::vector<std::int64_t>{};
        if (!is_constant(i)) return fail(not_constant(i)), std::vector<std::int64_t>{};
        std::optional<std::vector<std::int64_t>> values = so_far_.known.find(inputs_[i])->integers();
        if (!values) fail(concat("input ", i, ": expected integers that do not depend on the batch"));
        return std::move(values).value_or(std::vector<std::int64_t>{});
    }
    /// The same, where they may depend on the batch.
    std::vector<Size> sizes(std::size_t i) {
        if (!has(i)) return missing(i), std::vector<Size>{};
        if (!is_constant(i)) return fail(not_constant(i)), std::vector<Size>{};
        std::optional<std::vector<Size>> values = so_far_.known.find(inputs_[i])->sizes();
        if (!values) fail(concat("input ", i, ": expected integers"));
        return std::move(values).value_or(std::vector<Size>{});
    }
    /// An axis as the model counts them, also from the end, as a dimension of input `i` in the network; 0
    /// after a failure.
    std::size_t axis(std::int64_t given, std::size_t i) {
        std::size_t const axis = axis_of(given, model_shape(i).size());
        if (layout_.is_plain() || failed()) return axis;
        std::optional<std::size_t> const d = layout_.dimension(axis);
        if (!d) return fail(batch_elsewhere(concat("it computes along dimension ", axis))), std::size_t{0};
        axes_.push_back(*d);
        return *d;
    }
    std::size_t axis_of(std::int64_t given, std::size_t rank) {
        auto const n = static_cast<std::int64_t>(rank);
        if (given < -n || given >= n)
            return fail(concat("axis ", given, " is not one of the ", n, " dimensions")), std::size_t{0};
        return static_cast<std::size_t>(given < 0 ? given + n : given);
    }

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
            so_far_.imported.push_back({so_far_.graph.label(nodes_.front()), unique, name.source});
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
        bool const scalar = is_scalar(i);
        result_is(value(i));
        if (scalar) result_is_scalar();
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

    /// Says why the operator cannot be imported; the first reason counts.
    void fail(std::string why) {
        if (failed()) return;
        error_ = std::move(why);
        if (error_.empty()) error_ = "it cannot be imported";
    }
    bool failed() const { return !error_.empty(); }
    const std::string& error() const { return error_; }

    /// Fails where an activation has a type that the operator's conversion does not take.
    void check_types(Accepts accepts) {
        if (accepts == Accepts::everything) return;
        for (std::size_t i = 0; i != inputs_.size(); ++i) {
            if (!has(i) || so_far_.known.find(inputs_[i]) != nullptr || is_constant(i)) continue;
            ElementType const t = type(i);
            bool const wide = t == ElementType::int32 || t == ElementType::int64;
            if (!is_floating(t) && !(wide && accepts == Accepts::int32_and_64))
                return fail(concat("input ", i, " is of type ", name_of(t),
                                   "; expected floats, which the network computes with"));
        }
    }

    /// Finds where the inputs have their batch. `aligns`: constants among them are broadcast.
    void check_layouts(bool aligns) {
        bool plain = false;
        for (std::size_t i = 0; i != inputs_.size(); ++i) {
            if (!has(i) || made(i) == nullptr) continue;
            const Layout& of = so_far_.tensors[inputs_[i]].layout;
            if (so_far_.network.node(*made(i)).kind == NodeKind::constant) continue;
            if (of.is_plain()) {
                plain = true;
                continue;
            }
            if (!layout_.is_plain() && !(layout_ == of))
                return fail(batch_elsewhere("it reads tensors that have it in different places"));
            layout_ = of;
            rank_ = shape(i).size();
        }
        if (layout_.is_plain()) return;
        if (plain) return fail(batch_elsewhere("it reads tensors that have it in different places"));
        aligns_ = aligns;
    }
    std::string batch_elsewhere(std::string_view why) const {
        return concat("the batch is not in dimension 0 here, and ", why,
                      "; give the inputs' shapes with a number in the batch's place");
    }

private:
    template <class... Pieces>
    static std::string concat(const Pieces&... pieces) {
        return amct_distill::detail::concat(pieces...);
    }
    void missing(std::size_t i) { fail(concat("input ", i, " is missing")); }
    std::string not_constant(std::size_t i) const {
        return concat("input ", i, " (`", so_far_.graph.tensor(inputs_[i]).name,
                      "`) depends on the network's inputs; expected a constant");
    }
    const amct_distill::NodeId* made(std::size_t i) const {
        const auto& node = so_far_.tensors[inputs_[i]].node;
        return node ? &*node : nullptr;
    }
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

    Importing& so_far_;
    std::vector<NodeId> nodes_;
    std::vector<TensorId> inputs_, outputs_;
    Attributes attributes_;
    Layout layout_{};
    std::size_t rank_ = 0;             ///< in the network, of the inputs whose layout it is
    bool aligns_ = false;              ///< constants are broadcast along such inputs
    std::vector<std::size_t> axes_{};  ///< dimensions that the conversion counted
    std::vector<std::pair<std::size_t, amct_distill::NodeId>> more_outputs_{};
    std::optional<Layout> result_layout_{};
    std::optional<bool> scalar_{};
    std::optional<ElementType> type_{};
    std::string error_{};
};

/// How an operator is imported.
struct OperatorRule {
    std::string_view op;
    void (*convert)(Operation&);
    Accepts accepts = Accepts::floats;
};

}  // namespace amct_distill::onnx::detail
