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
/// Shapes are checked where a node is added, and again where it runs. What is wrong is misuse, and throws
/// std::invalid_argument: which layer, what was expected, what was found.
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

#include "../graph/topology.hpp"
#include "module.hpp"
#include "tape.hpp"

namespace amct_distill::nn {

template <class T>
struct BasicNamedModule {
    std::string name{};
    BasicModule<T> module;
};

/// One use of a named module, a functional operation, or (neither) an input of the network.
template <class T>
struct BasicNode {
    std::string name{};
    Shape shape{};                        ///< of the output; dimension 0 is `any_batch`
    std::vector<NodeId> inputs{};         ///< what it reads, in order
    std::optional<std::size_t> module{};  ///< index into `BasicNetwork::modules()`
    std::optional<BasicModule<T>> function{};
    bool is_input() const { return !module && !function; }
};

/// A parameter of the network by its full name, "conv1.weight", and the tape's gradient of it.
template <class T>
struct BasicNamedParameter {
    std::string name{};
    std::size_t module = 0;  ///< index into `BasicNetwork::modules()`
    Role role = Role::weight;
    BasicTensor<T>* value = nullptr;
    BasicTensor<T>* gradient = nullptr;
};

template <class T>
class BasicNetwork {
public:
    using Node = BasicNode<T>;

    // ---- building

    /// An input; the shape is that of one sample, without the batch.
    NodeId input(std::string name, Shape sample) {
        if (sample.empty() || std::ranges::any_of(sample, [](Index d) { return d < 1; }))
            fail("input ", quoted(name),
                 ": expected the shape of a sample, each dimension at least 1, found ", to_string(sample));
        sample.insert(sample.begin(), any_batch);
        NodeId const id = append({.name = std::move(name), .shape = std::move(sample)});
        inputs_.push_back(id);
        return id;
    }

    /// A layer: a module and its first use, both of that name.
    NodeId add(std::string name, BasicModule<T> module, const std::vector<NodeId>& inputs) {
        Shape shape = infer(name, module, inputs);
        NodeId const id =
            append({.name = name, .shape = std::move(shape), .inputs = inputs, .module = modules_.size()});
        modules_.push_back({std::move(name), std::move(module)});
        return id;
    }

    /// A further use of a module that has been added.
    NodeId apply(std::string name, std::string_view module, const std::vector<NodeId>& inputs) {
        std::size_t const index = module_index(module);
        Shape shape = infer(name, modules_[index].module, inputs);
        return append(
            {.name = std::move(name), .shape = std::move(shape), .inputs = inputs, .module = index});
    }

    /// An operation without a named module; it has no parameters.
    NodeId add_function(std::string name, BasicModule<T> function, const std::vector<NodeId>& inputs) {
        if (!function.parameters().empty())
            fail("function ", quoted(name), " (", function.type(), "): it has parameters; use add()");
        Shape shape = infer(name, function, inputs);
        return append({.name = std::move(name),
                       .shape = std::move(shape),
                       .inputs = inputs,
                       .function = std::move(function)});
    }

    /// Marks a node whose output leaves the network.
    void output(NodeId id) {
        if (node(id).is_input() || std::ranges::find(outputs_, id) != outputs_.end())
            fail("output ", quoted(node(id).name), ": it is an input or an output already");
        outputs_.push_back(id);
    }

    /// Puts another module in the place of one, for all its uses; the shapes must stay.
    void replace(std::string_view name, BasicModule<T> module) {
        std::size_t const index = module_index(name);
        for (const Node& n : nodes_)
            if (n.module == index)
                if (Shape const shape = infer(n.name, module, n.inputs); shape != n.shape)
                    fail("layer ", quoted(n.name), ": its replacement (", module.type(), ") must put out ",
                         to_string(n.shape), ", found ", to_string(shape));
        modules_[index].module = std::move(module);
    }

    // ---- looking at it

    /// All nodes but the inputs, in graph order; the k-th is node k of `topology()`.
    std::span<const NodeId> operations() const { return operations_; }
    std::span<const NodeId> inputs() const { return inputs_; }
    std::span<const NodeId> outputs() const { return outputs_; }
    const Node& node(NodeId id) const {
        if (id.index >= nodes_.size()) fail("node ", id.index, ": the network has ", nodes_.size(), " nodes");
        return nodes_[id.index];
    }
    std::optional<NodeId> find(std::string_view name) const {
        auto const found = std::ranges::find(nodes_, name, &Node::name);
        if (found == nodes_.end()) return std::nullopt;
        return NodeId{static_cast<std::size_t>(found - nodes_.begin())};
    }

    std::span<const BasicNamedModule<T>> modules() const { return modules_; }
    const BasicModule<T>& module(std::string_view name) const { return modules_[module_index(name)].module; }
    BasicModule<T>& module(std::string_view name) { return modules_[module_index(name)].module; }

    Topology topology() const {
        Topology t;
        for (const auto& m : modules_)
            t.modules.push_back({.name = m.name, .type = std::string(m.module.type())});
        for (NodeId id : operations_) {
            const Node& n = nodes_[id.index];
            TopologyNode& out = t.nodes.emplace_back();
            out.name = n.name;
            out.type = n.module ? modules_[*n.module].module.type() : n.function->operation();
            out.module = n.module;
            for (NodeId input : n.inputs)
                if (!nodes_[input.index].is_input()) out.inputs.push_back(operation_index(input));
        }
        for (NodeId id : outputs_) t.outputs.push_back(operation_index(id));
        return t;
    }

    // ---- running it

    /// Runs the network; one tensor per input, of one batch size. The result is the first output and lives
    /// in the tape.
    const BasicTensor<T>& forward(BasicInputs<T> inputs, BasicTape<T>& tape, Mode mode) const {
        if (outputs_.empty()) fail("the network has no output");
        if (inputs.size() != inputs_.size())
            fail("expected ", inputs_.size(), " inputs, found ", inputs.size());
        for (std::size_t i = 0; i != inputs.size(); ++i) {
            const Node& n = nodes_[inputs_[i].index];
            if (!fits(n.shape, inputs[i]->shape()))
                fail("input ", quoted(n.name), ": expected ", to_string(n.shape), ", found ",
                     to_string(inputs[i]->shape()));
            tape.output(inputs_[i]) = *inputs[i];
        }
        forward_nodes(operations_, tape, mode);
        return tape.output(outputs_[0]);
    }
    const BasicTensor<T>& forward(const BasicTensor<T>& input, BasicTape<T>& tape, Mode mode) const {
        return forward(std::array{&input}, tape, mode);
    }

    /// After `forward`: from the gradients of the outputs, the gradients of all nodes, and adds those of
    /// the parameters to the tape's.
    void backward(BasicInputs<T> grad_outputs, BasicTape<T>& tape, Mode mode) const {
        if (grad_outputs.size() != outputs_.size())
            fail("expected the gradients of ", outputs_.size(), " outputs, found ", grad_outputs.size());
        begin_backward(operations_, tape);
        for (std::size_t i = 0; i != outputs_.size(); ++i) add_gradient(outputs_[i], *grad_outputs[i], tape);
        for (std::size_t i = operations_.size(); i-- != 0;) backward_node(operations_[i], tape, mode);
    }
    void backward(const BasicTensor<T>& grad_output, BasicTape<T>& tape, Mode mode) const {
        backward(std::array{&grad_output}, tape, mode);
    }

    /// The first output in Mode::evaluate, on a tape of its own.
    BasicTensor<T> predict(const BasicTensor<T>& input) const {
        BasicTape<T> tape;
        return forward(input, tape, Mode::evaluate);
    }

    // ---- running a part of it

    /// Runs some nodes, in graph order. What they read from elsewhere is in the tape: an earlier run left it
    /// there, or the caller has set `tape.output(node)`.
    void forward_nodes(std::span<const NodeId> nodes, BasicTape<T>& tape, Mode mode) const {
        for (NodeId id : nodes) forward_node(id, tape, mode);
    }

    /// After `forward_nodes` of the same nodes: the gradient of the last one's output, carried back through
    /// all of them.
    void backward_nodes(std::span<const NodeId> nodes, const BasicTensor<T>& grad_output, BasicTape<T>& tape,
                        Mode mode) const {
        if (nodes.empty()) fail("backward_nodes: expected at least one node");
        begin_backward(nodes, tape);
        add_gradient(nodes.back(), grad_output, tape);
        for (std::size_t i = nodes.size(); i-- != 0;) backward_node(nodes[i], tape, mode);
    }

    void forward_node(NodeId id, BasicTape<T>& tape, Mode mode) const {
        const Node& n = node(id);
        if (n.is_input()) return;
        read_inputs(n, tape);
        tape.shape_ = n.shape;
        tape.shape_[0] = tape.inputs_[0]->dim(0);
        auto& slot = tape.slot(id);
        slot.output.resize(tape.shape_);
        slot.scratch.use(tape.executor_);
        operation(n).forward(tape.inputs_, slot.output, slot.scratch, mode);
    }

    /// Starts a backward run over these nodes: their gradients become 0, and only they receive any (and,
    /// with `tape.input_gradients`, what they read).
    void begin_backward(std::span<const NodeId> nodes, BasicTape<T>& tape) const {
        for (auto& slot : tape.slots_) slot.wanted = false;
        auto const want = [&](NodeId id) {
            auto& slot = tape.slot(id);
            slot.wanted = true;
            slot.gradient.resize(slot.output.shape());
            slot.gradient.fill(0);
        };
        for (NodeId id : nodes) {
            want(id);
            if (tape.input_gradients) std::ranges::for_each(node(id).inputs, want);
        }
    }

    /// Carries `tape.gradient(id)` back to what the node reads and to its parameters, after
    /// `begin_backward`.
    void backward_node(NodeId id, BasicTape<T>& tape, Mode mode) const {
        const Node& n = node(id);
        if (n.is_input()) return;
        read_inputs(n, tape);
        auto& slot = tape.slot(id);
        if (!fits(n.shape, slot.output.shape()) || slot.gradient.shape() != slot.output.shape())
            fail("layer ", quoted(n.name), ": expected an output ", to_string(n.shape),
                 " and a gradient like it, found ", to_string(slot.output.shape()), " and ",
                 to_string(slot.gradient.shape()));
        slot.scratch.use(tape.executor_);
        tape.grad_inputs_.clear();
        for (NodeId input : n.inputs) {
            auto& from = tape.slot(input);
            tape.grad_inputs_.push_back(from.wanted ? &from.gradient : nullptr);
        }
        operation(n).backward(tape.inputs_, slot.output, slot.gradient, tape.grad_inputs_,
                              n.module ? fit_gradients(*n.module, tape) : std::span<BasicTensor<T>>{},
                              slot.scratch, mode);
    }

    // ---- training it

    void zero_gradients(BasicTape<T>& tape) const {
        for (std::size_t m = 0; m != modules_.size(); ++m)
            for (BasicTensor<T>& gradient : fit_gradients(m, tape)) gradient.fill(0);
    }

    /// All parameters, a shared module's once, with their gradients in this tape.
    std::vector<BasicNamedParameter<T>> parameters(BasicTape<T>& tape) {
        std::vector<BasicNamedParameter<T>> out;
        for (std::size_t m = 0; m != modules_.size(); ++m) {
            auto const gradients = fit_gradients(m, tape);
            auto const parameters = modules_[m].module.parameters();
            for (std::size_t k = 0; k != parameters.size(); ++k)
                out.push_back({detail::concat(modules_[m].name, '.', parameters[k].name), m,
                               parameters[k].role, parameters[k].value, &gradients[k]});
        }
        return out;
    }

    /// After a step of the optimizer.
    void constrain() {
        for (auto& m : modules_) m.module.constrain();
    }

    /// After a forward run in Mode::train: BatchNorm's running statistics.
    void update_statistics(BasicTape<T>& tape) {
        for (NodeId id : operations_)
            if (const Node& n = nodes_[id.index]; n.module) {
                read_inputs(n, tape);
                modules_[*n.module].module.update_statistics(tape.inputs_);
            }
    }

private:
    template <class... Pieces>
    [[noreturn]] static void fail(const Pieces&... pieces) {
        throw std::invalid_argument(detail::concat(pieces...));
    }
    static std::string quoted(std::string_view name) { return detail::concat('"', name, '"'); }

    /// A batch of at least one, and the other dimensions as expected.
    static bool fits(const Shape& expected, const Shape& found) {
        return found.size() == expected.size() && found[0] >= 1 &&
               std::equal(found.begin() + 1, found.end(), expected.begin() + 1);
    }

    const BasicModule<T>& operation(const Node& n) const {
        return n.module ? modules_[*n.module].module : *n.function;
    }
    std::size_t module_index(std::string_view name) const {
        auto const found = std::ranges::find(modules_, name, &BasicNamedModule<T>::name);
        if (found == modules_.end()) fail("the network has no module ", quoted(name));
        return static_cast<std::size_t>(found - modules_.begin());
    }
    std::size_t operation_index(NodeId id) const {
        return static_cast<std::size_t>(std::ranges::lower_bound(operations_, id) - operations_.begin());
    }

    Shape infer(const std::string& name, const BasicModule<T>& module,
                const std::vector<NodeId>& inputs) const {
        std::vector<Shape> shapes;
        for (NodeId id : inputs) shapes.push_back(node(id).shape);
        result<Shape> shape = module.output_shape(shapes);
        if (!shape)
            fail("layer ", quoted(name), " (", module.type(), "): ", shape.diagnostics().front().message);
        if (inputs.empty() || shape->empty() || shape->front() != any_batch)
            fail("layer ", quoted(name), " (", module.type(),
                 "): expected inputs, and an output that keeps the batch as dimension 0, found ",
                 inputs.size(), " inputs and an output ", to_string(*shape));
        return *std::move(shape);
    }
    NodeId append(Node n) {
        if (n.name.empty() || find(n.name)) fail("layer ", quoted(n.name), ": the name is empty or taken");
        NodeId const id{nodes_.size()};
        if (!n.is_input()) operations_.push_back(id);
        nodes_.push_back(std::move(n));
        return id;
    }

    /// Points `tape.inputs_` at what the node reads, which must be there.
    void read_inputs(const Node& n, BasicTape<T>& tape) const {
        tape.inputs_.clear();
        for (NodeId id : n.inputs) {
            const BasicTensor<T>& x = tape.output(id);
            const Node& from = nodes_[id.index];
            if (x.rank() == 0)
                fail("layer ", quoted(n.name), ": it reads ", quoted(from.name),
                     ", which has no output in the tape");
            if (!fits(from.shape, x.shape()))
                fail("layer ", quoted(n.name), ": it reads ", quoted(from.name), ", expected ",
                     to_string(from.shape), ", found ", to_string(x.shape()));
            if (!tape.inputs_.empty() && x.dim(0) != tape.inputs_[0]->dim(0))
                fail("layer ", quoted(n.name), ": expected inputs of one batch size, found ",
                     tape.inputs_[0]->dim(0), " and ", x.dim(0));
            tape.inputs_.push_back(&x);
        }
    }

    void add_gradient(NodeId id, const BasicTensor<T>& gradient, BasicTape<T>& tape) const {
        BasicTensor<T>& sum = tape.gradient(id);
        if (gradient.shape() != sum.shape())
            fail("gradient of ", quoted(node(id).name), ": expected ", to_string(sum.shape()), ", found ",
                 to_string(gradient.shape()));
        array(sum) += array(gradient);
    }

    /// The gradients of a module's parameters; made, as zeros, where they are not there in that shape.
    std::span<BasicTensor<T>> fit_gradients(std::size_t m, BasicTape<T>& tape) const {
        tape.parameter_gradients(m);
        modules_[m].module.fit_gradients(tape.parameters_[m], tape.list_);
        return tape.parameters_[m];
    }

    std::vector<Node> nodes_{};
    std::vector<BasicNamedModule<T>> modules_{};
    std::vector<NodeId> inputs_{}, operations_{}, outputs_{};
};

using NamedModule = BasicNamedModule<float>;
using NamedParameter = BasicNamedParameter<float>;
using Network = BasicNetwork<float>;

}  // namespace amct_distill::nn
