// SPDX-License-Identifier: Apache-2.0
/// The names of modules as PyTorch has them, found again in an ONNX graph: configurations speak of those.
///
///     onnx::Names names(graph);
///     onnx::ModuleName m = names.of({{conv}}, weight, bias);     // "layer1.0.conv1", NameSource::weight
///     onnx::dotted_scope("/layer1/layer1.0/conv1/Conv") == "layer1.0.conv1"
///
/// In this order: the weight's initializer (layer1.0.conv1.weight; before .w_0 where Paddle wrote it), also
/// through Identity, Cast, Transpose ...; the bias's; the newer exporter's metadata; the scope in the node's
/// name, and in its output's; the node's name; its output's name; the operator and a number.
#pragma once
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "graph_view.hpp"
#include "module_name.hpp"

namespace amct_distill::onnx {

namespace detail {

/// Of a module's name, and of a node's. Longer ones are no program's: a few of them, which many nodes share
/// and whose every part names a module, would take any memory.
inline constexpr std::size_t longest_name = 256;

/// "a_12" without "_12".
constexpr std::string_view without_count(std::string_view part) {
    std::size_t end = part.size();
    while (end != 0 && part[end - 1] >= '0' && part[end - 1] <= '9') --end;
    return end != part.size() && end > 1 && part[end - 1] == '_' ? part.substr(0, end - 1) : part;
}
/// The module of a parameter's name; empty when it tells none.
constexpr std::string_view owner_of(std::string_view parameter,
                                    std::initializer_list<std::string_view> endings) {
    if (parameter.size() > longest_name || parameter.find("::") != parameter.npos)  // onnx::Conv_12
        return {};
    for (std::string_view ending : endings)
        if (parameter.size() > ending.size() && parameter.ends_with(ending))
            return parameter.substr(0, parameter.size() - ending.size());
    return {};
}

}  // namespace detail

/// The module's path in a node's name that begins with `/`, the operator at its end dropped; "" when there is
/// none.
inline std::string dotted_scope(std::string_view node_name) {
    if (!node_name.starts_with('/') || node_name.size() > detail::longest_name) return {};
    node_name.remove_prefix(1);
    std::vector<std::string_view> parts;
    for (std::size_t slash; (slash = node_name.find('/')) != node_name.npos;
         node_name.remove_prefix(slash + 1)) {
        std::string_view const part = node_name.substr(0, slash);
        if (!parts.empty()) {  // /layer1/layer1.0: the part repeats its parent's path
            std::string_view const parent = detail::without_count(parts.back());
            bool const repeats =
                part.size() > parent.size() && part.starts_with(parent) && part[parent.size()] == '.';
            if (repeats) parts.pop_back();
        }
        if (!part.empty()) parts.push_back(part);
    }
    std::string out;
    for (std::string_view part : parts) out += amct_distill::detail::concat(out.empty() ? "" : ".", part);
    return out;
}

class Names {
public:
    explicit Names(const GraphView& graph) : graph_(&graph) {
        for (NodeId n = 0; n != graph.nodes().size(); ++n) {
            std::string scope = scope_of(n).name;
            ++nodes_in_[scope];
            add_containers_of(scope);
        }
        // A module may call a function with the parameters of another one in it, as attention does.
        for (const GraphTensor& t : graph.tensors())
            if (t.initializer != nullptr) add_containers_of(detail::owner_of(t.name, {".weight", ".bias"}));
    }

    /// The name of the module that these nodes are, the first being the one that it is named after. `weight`,
    /// `bias`: its parameters, or `none`. Not yet unique: see unique().
    ModuleName of(std::span<const NodeId> nodes, TensorId weight = none, TensorId bias = none) const {
        if (std::string_view const owner = this->owner(weight, {".weight", ".weight_v", ".w_0"});
            !owner.empty())
            return {std::string(owner), NameSource::weight};
        if (std::string_view const owner = this->owner(bias, {".bias", ".b_0"}); !owner.empty())
            return {std::string(owner), NameSource::bias};
        NodeId const n = nodes.front();
        const GraphNode& node = graph_->node(n);
        if (ModuleName scope = scope_of(n); !scope.name.empty()) {
            // A function called in a module's forward has that module's scope: it is named after its operator
            // too.
            bool const alone = nodes_in_.at(scope.name) <= nodes.size();
            if (weight == none && (!alone || containers_.contains(scope.name)))
                scope.name = amct_distill::detail::concat(scope.name, ".", last_part(n));
            return scope;
        }
        std::string_view const name = node.proto->name.get();
        if (!name.empty()) {
            if (name.front() == '/') return {std::string(last_part(n)), NameSource::scope};
            std::size_t const slash = name.rfind('/');  // TensorFlow's: model/conv1/BiasAdd
            return {std::string(slash == name.npos ? name : name.substr(0, slash)), NameSource::node};
        }
        for (TensorId t : node.outputs)
            if (t != none) return {std::string(graph_->tensor(t).name), NameSource::output};
        return {amct_distill::detail::concat(node.op(), "_", n), NameSource::made_up};
    }
    /// Whether PyTorch calls a function there, with parameters that belong to no module of their own: the
    /// scope is that of the whole network, or, where `in_containers`, of a module with others in it.
    bool is_function(std::span<const NodeId> nodes, TensorId weight, TensorId bias,
                     bool in_containers) const {
        if (!owner(weight, {".weight", ".weight_v", ".w_0"}).empty() ||
            !owner(bias, {".bias", ".b_0"}).empty())
            return false;
        NodeId const n = nodes.front();
        if (ModuleName const scope = scope_of(n); !scope.name.empty())
            return in_containers && containers_.contains(scope.name);
        // A network that is one module has the parameter `weight`.
        return graph_->node(n).proto->name.get().starts_with('/') &&
               (weight == none || graph_->tensor(weight).name != "weight");
    }
    /// The module's path in the metadata of PyTorch's newer exporter, in the node's name, or in its output's.
    ModuleName scope_of(NodeId n) const {
        const NodeProto& node = *graph_->node(n).proto;
        for (const StringStringEntryProto& entry : node.metadata_props)
            if (entry.key.get() == "pkg.torch.onnx.name_scopes")
                if (std::string scope = last_scope(entry.value.get()); !scope.empty())
                    return {std::move(scope), NameSource::metadata};
        if (std::string scope = dotted_scope(node.name.get()); !scope.empty())
            return {std::move(scope), NameSource::scope};
        if (node.name.get().empty() && !node.output.empty())
            return {dotted_scope(node.output.front()), NameSource::scope};
        return {};
    }
    /// `name`, or with _1, _2 ... after it when it was given before; cut where it is too long.
    std::string unique(std::string name) {
        if (name.size() > detail::longest_name) name.resize(detail::longest_name);
        if (name.empty()) name = "module";
        if (given_.insert(name).second) return name;
        for (std::size_t& count = counts_[name];;)
            if (std::string other = amct_distill::detail::concat(name, "_", ++count);
                given_.insert(other).second)
                return other;
    }

private:
    void add_containers_of(std::string_view module) {
        for (std::size_t dot = module.rfind('.'); dot != module.npos && dot != 0;
             dot = module.rfind('.', dot - 1))
            if (!containers_.insert(std::string(module.substr(0, dot))).second) break;
    }
    /// The module that a parameter belongs to, by its name or by the name of what it is made from.
    std::string_view owner(TensorId t, std::initializer_list<std::string_view> endings) const {
        for (std::size_t steps = 0; t != none && steps != 16; ++steps) {
            const GraphTensor& tensor = graph_->tensor(t);
            if (std::string_view const o = detail::owner_of(tensor.name, endings); !o.empty()) return o;
            if (tensor.producer == none) break;
            const GraphNode& from = graph_->node(tensor.producer);
            bool const passes = from.op() == "Identity" || from.op() == "Cast" || from.op() == "Transpose" ||
                                from.op() == "Reshape" || from.op() == "Unsqueeze" ||
                                from.op() == "Squeeze" || from.op() == "Mul";
            t = passes ? from.input(0) : none;
        }
        return {};
    }
    /// The operator's part of a node's name: Relu_1 of /layer1/Relu_1.
    std::string_view last_part(NodeId n) const {
        const GraphNode& node = graph_->node(n);
        std::string_view name = node.proto->name.get();
        if (name.empty() && !node.proto->output.empty()) {
            name = node.proto->output.front();
            if (name.ends_with("_output_0")) name.remove_suffix(9);
        }
        std::size_t const slash = name.rfind('/');
        std::string_view const part = slash == name.npos ? name : name.substr(slash + 1);
        return part.empty() ? node.op() : part;
    }
    /// The last but one of "['', 'layer1', 'layer1.0.conv1', 'conv2d_1']": the last is the node's own.
    static std::string last_scope(std::string_view list) {
        std::string_view last, before;
        for (std::size_t open; (open = list.find_first_of("'\"")) != list.npos;) {
            std::size_t const close = list.find(list[open], open + 1);
            if (close == list.npos) break;
            before = std::exchange(last, list.substr(open + 1, close - open - 1));
            list.remove_prefix(close + 1);
        }
        return before.size() > detail::longest_name ? std::string() : std::string(before);
    }

    const GraphView* graph_;
    std::unordered_map<std::string, std::size_t> nodes_in_{};
    std::unordered_set<std::string> containers_{};
    std::unordered_set<std::string> given_{};
    std::unordered_map<std::string, std::size_t> counts_{};
};

}  // namespace amct_distill::onnx
