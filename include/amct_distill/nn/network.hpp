// SPDX-License-Identifier: Apache-2.0
/// A named graph of modules, run forward and backward on a tape.
///
///     Network net;
///     NodeId x = net.input("image", {1, 8, 8});                                  // without the batch
///     x = net.add("conv1", Conv2d({.in_channels = 1, .out_channels = 4, .kernel = {3, 3}}), {x});
///     x = net.add("relu", ReLU{}, {x});
///     x = net.add_function("/Flatten", Flatten{}, {x});                          // no named module
///     x = net.add("fc", Linear({.in_features = 144, .out_features = 10}), {x});
///     net.output(net.apply("relu_again", "relu", {x}));                          // a shared module
///
///     initialize(net, 1);
///     Tensor logits = net.predict(images);
///
/// Shapes are checked where a node is added, and again where it runs; the shapes of a module's parameters
/// too. What is wrong is misuse, and throws std::invalid_argument: which layer, what was expected, what was
/// found.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "module_graph.hpp"
#include "tape.hpp"

namespace amct_distill::nn {

template <class T>
class BasicNetwork : public BasicModuleGraph<T> {
    using Base = BasicModuleGraph<T>;

public:
    using Base::name, Base::node, Base::operation;
    using typename Base::Node;

    // ---- running it

    /// Runs the network; one tensor per input, of one batch size. The result is the first output and lives
    /// in the tape.
    const BasicTensor<T>& forward(BasicInputs<T> inputs, BasicTape<T>& tape, Mode mode) const {
        set_inputs(inputs, tape);
        forward_nodes(operations_, tape, mode);
        return value(outputs_[0], tape);
    }
    const BasicTensor<T>& forward(const BasicTensor<T>& input, BasicTape<T>& tape, Mode mode) const {
        return forward(std::array{&input}, tape, mode);
    }
    /// The inputs alone: copied into the tape, where `forward_nodes` finds them.
    void set_inputs(BasicInputs<T> inputs, BasicTape<T>& tape) const {
        if (outputs_.empty()) fail("the network has no output");
        if (inputs.size() != inputs_.size())
            fail("expected ", inputs_.size(), " inputs, found ", inputs.size());
        for (std::size_t i = 0; i != inputs.size(); ++i)
            if (!fits(nodes_[inputs_[i]].shape, inputs[i]->shape()))
                fail("input ", quoted(name(inputs_[i])), ": expected ", to_string(nodes_[inputs_[i]].shape),
                     ", found ", to_string(inputs[i]->shape()));
        for (std::size_t i = 0; i != inputs.size(); ++i) tape.output(inputs_[i]) = *inputs[i];
    }
    /// A node's value after a run: of a constant its tensor.
    const BasicTensor<T>& value(NodeId id, BasicTape<T>& tape) const {
        const Node& n = nodes_[id];
        return n.kind == NodeKind::constant ? n.constant : tape.output(id);
    }

    /// After `forward`: from the gradients of the outputs, the gradients of all nodes, and adds those of
    /// the parameters to the tape's.
    void backward(BasicInputs<T> grad_outputs, BasicTape<T>& tape, Mode mode) const {
        backward_nodes(operations_, outputs_, grad_outputs, tape, mode);
    }
    void backward(const BasicTensor<T>& grad_output, BasicTape<T>& tape, Mode mode) const {
        backward(std::array{&grad_output}, tape, mode);
    }

    /// The first output in Mode::evaluate, on a tape of its own.
    BasicTensor<T> predict(const BasicTensor<T>& input) const {
        BasicTape<T> tape;
        return forward(input, tape, Mode::evaluate);
    }
    /// All outputs of a network with any number of inputs.
    std::vector<BasicTensor<T>> predict(std::span<const BasicTensor<T>> inputs) const {
        BasicTape<T> tape;
        std::vector<const BasicTensor<T>*> views;
        for (const BasicTensor<T>& x : inputs) views.push_back(&x);
        forward(views, tape, Mode::evaluate);
        std::vector<BasicTensor<T>> all;
        for (NodeId id : outputs_) all.push_back(value(id, tape));
        return all;
    }

    // ---- running a part of it

    /// Runs some nodes, in graph order. What they read from elsewhere is in the tape: an earlier run left it
    /// there, or the caller has set `tape.output(node)`.
    void forward_nodes(std::span<const NodeId> nodes, BasicTape<T>& tape, Mode mode) const {
        for (NodeId id : nodes) forward_node(id, tape, mode);
    }

    /// After `forward_nodes` of the same nodes: the gradients of some of their values, carried back through
    /// all of them.
    void backward_nodes(std::span<const NodeId> nodes, std::span<const NodeId> values,
                        BasicInputs<T> grad_values, BasicTape<T>& tape, Mode mode) const {
        if (nodes.empty()) fail("backward_nodes: expected at least one node");
        if (grad_values.size() != values.size())
            fail("expected the gradients of ", values.size(), " outputs, found ", grad_values.size());
        begin_backward(nodes, tape);
        for (std::size_t i = 0; i != values.size(); ++i) add_gradient(values[i], *grad_values[i], tape);
        for (std::size_t i = nodes.size(); i-- != 0;) backward_node(nodes[i], tape, mode);
    }
    /// The gradient of the last one's value alone.
    void backward_nodes(std::span<const NodeId> nodes, const BasicTensor<T>& grad_output, BasicTape<T>& tape,
                        Mode mode) const {
        backward_nodes(nodes, nodes.last((std::min)(nodes.size(), std::size_t{1})), std::array{&grad_output},
                       tape, mode);
    }

    void forward_node(NodeId id, BasicTape<T>& tape, Mode mode) const {
        const Node& n = node(id);
        if (n.kind != NodeKind::operation) return;
        Index const batch = read_inputs(id, tape);
        tape.outputs_.clear();
        for (std::size_t k = 0; k <= n.ports; ++k) {
            const Shape& shape = nodes_[id.index + k].shape;
            BasicTensor<T>& out = tape.slot({id.index + k}).output;
            out.resize_batch(shape, batch);
            tape.outputs_.push_back(&out);
        }
        auto& scratch = tape.slot(id).scratch;
        scratch.use(tape.executor_);
        scratch.use_prepared(prepared(n, tape));
        scratch.use_first_sample(tape.first_sample_);
        operation(id).forward(tape.inputs_, tape.outputs_, scratch, mode);
    }

    /// Starts a backward run over these nodes: their gradients become 0, and only they receive any (and,
    /// with `tape.input_gradients`, what they read).
    void begin_backward(std::span<const NodeId> nodes, BasicTape<T>& tape) const {
        for (auto& slot : tape.slots_) slot.wanted = false;
        auto const want = [&](NodeId id) {
            if (nodes_[id].kind == NodeKind::constant) return;
            auto& slot = tape.slot(id);
            slot.wanted = true;
            slot.gradient.resize(slot.output.shape());
            slot.gradient.fill(0);
        };
        for (NodeId id : nodes) {
            for (std::size_t k = 0; k <= node(id).ports; ++k) want({id.index + k});
            if (tape.input_gradients) std::ranges::for_each(node(id).inputs, want);
        }
    }

    /// Carries the gradients of a node's values back to what the node reads and to its parameters, after
    /// `begin_backward`.
    void backward_node(NodeId id, BasicTape<T>& tape, Mode mode) const {
        const Node& n = node(id);
        if (n.kind != NodeKind::operation) return;
        read_inputs(id, tape);
        tape.done_.clear();
        tape.grad_outputs_.clear();
        for (std::size_t k = 0; k <= n.ports; ++k) {
            auto& slot = tape.slot({id.index + k});
            const Shape& shape = nodes_[id.index + k].shape;
            if (!fits(shape, slot.output.shape()) || slot.gradient.shape() != slot.output.shape())
                fail("layer ", quoted(name(id)), ": expected an output ", to_string(shape),
                     " and a gradient like it, found ", to_string(slot.output.shape()), " and ",
                     to_string(slot.gradient.shape()));
            tape.done_.push_back(&slot.output);
            tape.grad_outputs_.push_back(&slot.gradient);
        }
        tape.grad_inputs_.clear();
        for (NodeId input : n.inputs) {
            auto& from = tape.slot(input);
            tape.grad_inputs_.push_back(from.wanted ? &from.gradient : nullptr);
        }
        auto& scratch = tape.slot(id).scratch;
        scratch.use(tape.executor_);
        scratch.use_prepared(prepared(n, tape));
        scratch.use_first_sample(tape.first_sample_);
        operation(id).backward(tape.inputs_, tape.done_, tape.grad_outputs_, tape.grad_inputs_,
                               n.module ? fit_gradients(*n.module, tape) : std::span<BasicTensor<T>>{},
                               scratch, mode);
    }

    // ---- training it

    void zero_gradients(BasicTape<T>& tape) const {
        for (std::size_t m = 0; m != modules_.size(); ++m)
            for (BasicTensor<T>& gradient : fit_gradients({m}, tape)) gradient.fill(0);
    }

    /// The parameters of some modules, with their gradients in this tape.
    std::vector<BasicNamedParameter<T>> parameters(BasicTape<T>& tape, std::span<const ModuleId> modules) {
        std::vector<BasicNamedParameter<T>> out;
        for (ModuleId m : modules) {
            auto const gradients = fit_gradients(m, tape);
            auto const parameters = modules_.at(m).module.parameters();
            for (std::size_t k = 0; k != parameters.size(); ++k)
                out.push_back({detail::concat(modules_[m].name, '.', parameters[k].name), m,
                               parameters[k].role, parameters[k].values, &gradients[k]});
        }
        return out;
    }
    /// All parameters, a shared module's once.
    std::vector<BasicNamedParameter<T>> parameters(BasicTape<T>& tape) {
        std::vector<ModuleId> all;
        for (std::size_t m = 0; m != modules_.size(); ++m) all.push_back({m});
        return parameters(tape, all);
    }

    /// After a step of the optimizer.
    void constrain() {
        for (auto& m : modules_) m.module.constrain();
    }

    /// After a forward run in Mode::train: BatchNorm's running statistics.
    void update_statistics(BasicTape<T>& tape) {
        for (NodeId id : operations_)
            if (const Node& n = nodes_[id.index]; n.module) {
                read_inputs(id, tape);
                modules_[*n.module].module.update_statistics(tape.inputs_);
            }
    }

private:
    using Base::fail, Base::fits, Base::has_batch, Base::quoted, Base::require_parameters;
    using Base::inputs_, Base::modules_, Base::nodes_, Base::operations_, Base::outputs_;

    /// Points `tape.inputs_` at what the node reads, which must be there; the batch's size, 0 without one.
    Index read_inputs(NodeId id, BasicTape<T>& tape) const {
        const Node& n = nodes_[id];
        if (n.module) require_parameters(name(id), modules_[*n.module].module);
        tape.inputs_.clear();
        Index batch = 0;
        for (NodeId input : n.inputs) {
            const BasicTensor<T>& x = value(input, tape);
            const Shape& expected = nodes_[input].shape;
            if (x.rank() == 0)
                fail("layer ", quoted(name(id)), ": it reads ", quoted(name(input)),
                     ", which has no output in the tape");
            if (!fits(expected, x.shape()))
                fail("layer ", quoted(name(id)), ": it reads ", quoted(name(input)), ", expected ",
                     to_string(expected), ", found ", to_string(x.shape()));
            if (has_batch(expected)) {
                if (batch != 0 && x.dim(0) != batch)
                    fail("layer ", quoted(name(id)), ": expected inputs of one batch size, found ", batch,
                         " and ", x.dim(0));
                batch = x.dim(0);
            }
            tape.inputs_.push_back(&x);
        }
        return batch;
    }

    static const BasicTensor<T>* prepared(const Node& n, const BasicTape<T>& tape) {
        if (tape.prepared_ == nullptr || !n.module || *n.module >= tape.prepared_->size()) return nullptr;
        const BasicTensor<T>& value = (*tape.prepared_)[*n.module];
        return value.empty() ? nullptr : &value;
    }

    void add_gradient(NodeId id, const BasicTensor<T>& gradient, BasicTape<T>& tape) const {
        BasicTensor<T>& sum = tape.gradient(id);
        if (gradient.shape() != sum.shape())
            fail("gradient of ", quoted(name(id)), ": expected ", to_string(sum.shape()), ", found ",
                 to_string(gradient.shape()));
        nn::array(sum) += nn::array(gradient);
    }

    /// The gradients of a module's parameters; made, as zeros, where they are not there in that shape.
    std::span<BasicTensor<T>> fit_gradients(ModuleId m, BasicTape<T>& tape) const {
        tape.parameter_gradients(m);
        modules_[m].module.fit_gradients(tape.parameters_[m], tape.list_);
        return tape.parameters_[m];
    }
};

using NamedParameter = BasicNamedParameter<float>;
using Network = BasicNetwork<float>;

}  // namespace amct_distill::nn
