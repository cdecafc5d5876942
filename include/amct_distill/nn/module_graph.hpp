// SPDX-License-Identifier: Apache-2.0
/// Modules at the nodes of a graph: how a network is built, and looked at. See network.hpp, which runs it.
///
///     NodeId x = net.input("image", {1, 8, 8});
///     NodeId table = net.constant("position", Tensor({1, 8, 8}, values));
///     std::vector<NodeId> halves = net.outputs_of(net.add_function("/Split", Split(...), {x}));
///     net.graph().only_consumer(x);
///
/// Shapes are checked where a node is added; the shapes of a module's parameters too. What is wrong is
/// misuse, and throws std::invalid_argument: which layer, what was expected, what was found; the network is
/// then as it was.
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../graph/graph.hpp"
#include "node.hpp"

namespace amct_distill::nn {

template <class T>
class BasicModuleGraph {
public:
    using Node = BasicNode<T>;

    // ---- building

    /// An input; the shape is that of one sample, without the batch.
    NodeId input(std::string name, Shape sample) {
        require_dimensions(name, sample, "the shape of a sample");
        sample.insert(sample.begin(), any_batch);
        return append_input(std::move(name), std::move(sample));
    }
    /// An input of a fixed size, the batch included, or one that has no batch. In a network with one
    /// dimension 0 of what comes of it need not be the batch, and a batch is not cut.
    NodeId fixed_input(std::string name, Shape shape) {
        require_dimensions(name, shape, "a shape");
        return append_input(std::move(name), std::move(shape));
    }

    /// A value that does not depend on the inputs. It has no batch: its shape is what modules see.
    NodeId constant(std::string name, BasicTensor<T> value) {
        require_dimensions(name, value.shape(), "a tensor");
        Node node{.kind = NodeKind::constant, .shape = value.shape()};
        node.constant = std::move(value);
        return append(std::move(name), "Constant", std::move(node));
    }

    /// A layer: a module and its first use, both of that name. The first output, where there are several.
    NodeId add(std::string name, BasicModule<T> module, const std::vector<NodeId>& inputs) {
        auto shapes = infer(name, module, inputs);
        require_free(name);
        if (graph_.module_named(name)) fail("layer ", quoted(name), ": the name is taken by a module");
        ModuleId const id = graph_.add_module(
            {.name = name, .type = std::string(module.type()), .weighted = module.weighted() != nullptr});
        std::string type(module.type());
        modules_.push_back({name, std::move(module)});
        return append_operation(std::move(name), std::move(type), std::move(shapes),
                                {.inputs = inputs, .module = id});
    }

    /// A further use of a module that has been added.
    NodeId apply(std::string name, std::string_view module, const std::vector<NodeId>& inputs) {
        ModuleId const id = module_id(module);
        auto shapes = infer(name, modules_[id].module, inputs);
        return append_operation(std::move(name), std::string(modules_[id].module.type()), std::move(shapes),
                                {.inputs = inputs, .module = id});
    }

    /// An operation without a named module; it has no parameters.
    NodeId add_function(std::string name, BasicModule<T> function, const std::vector<NodeId>& inputs) {
        if (!function.parameters().empty())
            fail("function ", quoted(name), " (", function.type(), "): it has parameters; use add()");
        auto shapes = infer(name, function, inputs);
        std::string type(function.operation());
        return append_operation(std::move(name), std::move(type), std::move(shapes),
                                {.inputs = inputs, .function = std::move(function)});
    }

    /// All outputs of an operation, the first being the node itself.
    std::vector<NodeId> outputs_of(NodeId id) const {
        std::vector<NodeId> all{id};
        for (std::size_t k = 1; k <= node(id).ports; ++k) all.push_back({id.index + k});
        return all;
    }

    /// Marks a node whose value leaves the network.
    void output(NodeId id) {
        if (node(id).is_input() || std::ranges::find(outputs_, id) != outputs_.end())
            fail("output ", quoted(name(id)), ": it is an input or an output already");
        outputs_.push_back(id);
        graph_.add_output(id);
    }

    /// Puts another module in the place of one, for all its uses; the shapes must stay.
    void replace(std::string_view name, BasicModule<T> module) {
        replace(module_id(name), std::move(module));
    }
    void replace(ModuleId id, BasicModule<T> module) {
        for (NodeId use : graph_.uses(id)) {
            auto const found = infer(this->name(use), module, node(use).inputs);
            if (found.size() != node(use).ports + 1)
                fail("layer ", quoted(this->name(use)), ": its replacement (", module.type(), ") has ",
                     found.size(), " outputs, expected ", node(use).ports + 1);
            for (std::size_t k = 0; k != found.size(); ++k)
                if (const Shape& expected = nodes_[use.index + k].shape; found[k] != expected)
                    fail("layer ", quoted(this->name(use)), ": its replacement (", module.type(),
                         ") must have an output ", to_string(expected), ", found ", to_string(found[k]));
        }
        graph_.set_type(id, std::string(module.type()), module.weighted() != nullptr);
        modules_[id].module = std::move(module);
    }

    // ---- looking at it

    const Graph& graph() const { return graph_; }
    const Topology& topology() const { return graph_.topology(); }

    /// All nodes that compute something, in graph order.
    std::span<const NodeId> operations() const { return operations_; }
    std::span<const NodeId> inputs() const { return inputs_; }
    std::span<const NodeId> outputs() const { return outputs_; }
    const Node& node(NodeId id) const {
        if (id.index >= nodes_.size()) fail("node ", id.index, ": the network has ", nodes_.size(), " nodes");
        return nodes_[id.index];
    }
    const std::string& name(NodeId id) const { return graph_.node(id).name; }
    std::optional<NodeId> find(std::string_view name) const { return graph_.node_named(name); }

    std::span<const BasicNamedModule<T>> modules() const { return modules_; }
    const BasicModule<T>& module(std::string_view name) const { return modules_[module_id(name)].module; }
    BasicModule<T>& module(std::string_view name) { return modules_[module_id(name)].module; }
    const BasicModule<T>& module(ModuleId id) const { return modules_.at(id).module; }
    BasicModule<T>& module(ModuleId id) { return modules_.at(id).module; }
    /// What an operation runs: its module or its function.
    const BasicModule<T>& operation(NodeId id) const {
        const Node& n = node(id);
        return n.module ? modules_[*n.module].module : n.function.value();
    }

protected:
    template <class... Pieces>
    [[noreturn]] static void fail(const Pieces&... pieces) {
        throw std::invalid_argument(detail::concat(pieces...));
    }
    static std::string quoted(std::string_view name) { return detail::concat('"', name, '"'); }
    static void require_dimensions(const std::string& name, const Shape& shape, std::string_view what) {
        if (shape.empty() || std::ranges::any_of(shape, [](Index d) { return d < 1; }))
            fail("input ", quoted(name), ": expected ", what, ", each dimension at least 1, found ",
                 to_string(shape));
        if (is_too_large(shape))
            fail("input ", quoted(name), ": its shape ", to_string(shape), " has too many values");
    }

    static bool has_batch(const Shape& shape) { return shape[0] == any_batch; }
    /// A batch of at least one, and the other dimensions as expected.
    static bool fits(const Shape& expected, const Shape& found) {
        return found.size() == expected.size() &&
               (has_batch(expected) ? found[0] >= 1 : found[0] == expected[0]) &&
               std::equal(found.begin() + 1, found.end(), expected.begin() + 1);
    }

    ModuleId module_id(std::string_view name) const {
        auto const found = graph_.module_named(name);
        if (!found) fail("the network has no module ", quoted(name));
        return *found;
    }

    /// Throws when the parameters have other shapes than the module's options say: it would read past their
    /// end.
    void require_parameters(std::string_view name, const BasicModule<T>& module) const {
        if (auto const ok = module.check_parameters(); !ok)
            fail("layer ", quoted(name), " (", module.type(), "): ", ok.diagnostics().front().message);
    }

    std::vector<Shape> infer(const std::string& name, const BasicModule<T>& module,
                             const std::vector<NodeId>& inputs) const {
        require_parameters(name, module);
        std::vector<Shape> shapes;
        bool batch = false;
        for (NodeId id : inputs) {
            shapes.push_back(node(id).shape);
            batch = batch || has_batch(shapes.back());
        }
        result<std::vector<Shape>> found = module.output_shapes(shapes);
        if (!found)
            fail("layer ", quoted(name), " (", module.type(), "): ", found.diagnostics().front().message);
        for (const Shape& shape : *found) {
            if (inputs.empty() || shape.empty() || (batch && !has_batch(shape)))
                fail("layer ", quoted(name), " (", module.type(),
                     "): expected inputs, and an output that keeps the batch as dimension 0, found ",
                     inputs.size(), " inputs and an output ", to_string(shape));
            if (is_too_large(shape))
                fail("layer ", quoted(name), " (", module.type(), "): its output would be ", to_string(shape),
                     ", which is too large");
        }
        if (found->empty()) fail("layer ", quoted(name), " (", module.type(), "): it has no output");
        return *std::move(found);
    }
    void require_free(const std::string& name) const {
        if (name.empty() || find(name)) fail("layer ", quoted(name), ": the name is empty or taken");
    }
    NodeId append(std::string name, std::string type, Node n) {
        require_free(name);
        TopologyNode described{.name = std::move(name), .type = std::move(type), .kind = n.kind};
        if (n.module) described.module = n.module->index;
        for (NodeId input : n.inputs) described.inputs.push_back(input);
        NodeId const id = graph_.add_node(std::move(described));
        if (n.kind == NodeKind::operation) operations_.push_back(id);
        nodes_.push_back(std::move(n));
        return id;
    }
    NodeId append_input(std::string name, Shape shape) {
        NodeId const id =
            append(std::move(name), "Input", {.kind = NodeKind::input, .shape = std::move(shape)});
        inputs_.push_back(id);
        return id;
    }
    NodeId append_operation(std::string name, std::string type, std::vector<Shape> shapes, Node n) {
        std::vector<std::string> ports;
        for (std::size_t k = 1; k < shapes.size(); ++k) {
            ports.push_back(detail::concat(name, ':', k));
            require_free(ports.back());
        }
        n.shape = std::move(shapes[0]);
        n.ports = ports.size();
        NodeId const id = append(std::move(name), type, std::move(n));
        for (std::size_t k = 1; k < shapes.size(); ++k)
            append(std::move(ports[k - 1]), type,
                   {.kind = NodeKind::port, .shape = std::move(shapes[k]), .inputs = {id}});
        return id;
    }

    Graph graph_{};
    std::vector<Node> nodes_{};                   // by NodeId
    std::vector<BasicNamedModule<T>> modules_{};  // by ModuleId
    std::vector<NodeId> inputs_{}, operations_{}, outputs_{};
};

using NamedModule = BasicNamedModule<float>;

}  // namespace amct_distill::nn
