// SPDX-License-Identifier: Apache-2.0
/// A model that is being changed: nodes put between others, values renamed, weights replaced.
///
///     onnx::GraphEdit edit(model);                             // a ModelFile, which must outlive it
///     onnx::GraphEdit::Node const conv = *edit.producer("/conv1/Conv_output_0");
///     std::string_view const q = edit.insert_before(conv, "conv1.quantize", "QuantizeLinear",
///                                                   {edit.node(conv).input[0], scale, zero}, "conv1.x_q");
///     edit.set_input(conv, 0, q);
///     result<onnx::ModelBytes> bytes = edit.finish({.data_file = "net.onnx.data"});
///
/// What is not touched stays as it was: names, attributes, order. Nodes keep their numbers while others come
/// and go. What no output needs any more is left out by finish(), which also sorts.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "make_attribute.hpp"
#include "model_bytes.hpp"
#include "model_file.hpp"
#include "raw_tensor.hpp"
#include "to_bytes.hpp"

namespace amct_distill::onnx {

class GraphEdit {
public:
    using Node = std::size_t;
    struct Reader {
        Node node;
        std::size_t input;
        friend bool operator==(const Reader&, const Reader&) = default;
    };

    explicit GraphEdit(const ModelFile& source) : source_(&source), model_(source.proto()) {
        GraphProto& graph = *model_.graph;
        for (const ValueInfoProto& v : graph.input) values_.insert(v.name.get());
        for (const ValueInfoProto& v : graph.output) outputs_.insert(v.name.get());
        for (std::size_t k = 0; k != graph.initializer.size(); ++k) {
            values_.insert(graph.initializer[k].name.get());
            initializers_.emplace(graph.initializer[k].name.get(), k);
        }
        for (OperatorSetIdProto& set : model_.opset_import)  // another word for ONNX's own operators
            if (set.domain.get() == "ai.onnx") set.domain = {};
        for (NodeProto& n : graph.node) {
            if (n.domain.get() == "ai.onnx") n.domain = {};
            node_names_.insert(n.name.get());
            std::size_t const place = nodes_.size();
            nodes_.push_back({std::move(n), place, true, 0, false});
            index(place);
        }
        graph.node.clear();
    }

    // ---- what there is

    const ModelFile& source() const { return *source_; }
    /// Removed ones count too: has() tells.
    std::size_t nodes() const { return nodes_.size(); }
    bool has(Node n) const { return n < nodes_.size() && !nodes_[n].removed; }
    const NodeProto& node(Node n) const { return nodes_.at(n).proto; }
    std::string_view op(Node n) const { return node(n).op_type.get(); }
    /// Input `i`; empty where it is left out.
    std::string_view input(Node n, std::size_t i) const {
        return i < node(n).input.size() ? node(n).input[i] : std::string_view();
    }
    std::optional<Node> producer(std::string_view value) const {
        auto const at = producers_.find(value);
        if (at == producers_.end() || nodes_[at->second].removed) return std::nullopt;
        return at->second;
    }
    /// Nodes in the order of their numbers.
    std::vector<Reader> readers(std::string_view value) const {
        std::vector<Reader> out;
        auto const at = readers_.find(value);
        if (at == readers_.end()) return out;
        std::vector<Node> some = at->second;
        std::ranges::sort(some);
        some.erase(std::unique(some.begin(), some.end()), some.end());
        for (Node n : some)
            for (std::size_t i = 0; !nodes_[n].removed && i != node(n).input.size(); ++i)
                if (node(n).input[i] == value) out.push_back({n, i});
        return out;
    }
    bool is_output(std::string_view value) const { return outputs_.contains(value); }
    /// The only node that reads a value, which is no output; nothing when there are several, or none.
    std::optional<Node> only_reader(std::string_view value) const {
        std::vector<Reader> const all = readers(value);
        if (all.empty() || is_output(value)) return std::nullopt;
        for (const Reader& r : all)
            if (r.node != all.front().node) return std::nullopt;
        return all.front().node;
    }
    /// Null: it is none.
    const TensorProto* initializer(std::string_view name) const {
        auto const at = initializers_.find(name);
        return at == initializers_.end() ? nullptr : &model_.graph->initializer[at->second];
    }
    const std::vector<ValueInfoProto>& inputs() const { return model_.graph->input; }
    const std::vector<ValueInfoProto>& outputs() const { return model_.graph->output; }
    std::int64_t opset() const { return opset_.value_or(source_->opset()); }

    // ---- names

    /// Keeps a text as long as the model.
    std::string_view keep(std::string text) { return texts_->emplace_back(std::move(text)); }
    /// `name`, or with _1, _2 ... after it where it is taken; taken from now on.
    std::string_view new_value(std::string_view name) { return unique(name, values_); }
    std::string_view new_node_name(std::string_view name) { return unique(name, node_names_); }

    // ---- constants: each gives the name that its initializer has

    std::string_view floats(std::string_view name, std::vector<std::int64_t> dims,
                            const std::vector<float>& values) {
        return constant(name, ElementType::float32, std::move(dims), raw_bytes<float>(values));
    }
    std::string_view int8s(std::string_view name, std::vector<std::int64_t> dims,
                           const std::vector<std::int8_t>& values) {
        return constant(name, ElementType::int8, std::move(dims), raw_bytes<std::int8_t>(values));
    }
    /// Of TensorProto's type INT4: two in a byte, the lower half first, an odd number padded.
    std::string_view int4s(std::string_view name, std::vector<std::int64_t> dims,
                           const std::vector<std::int8_t>& values) {
        return constant(name, ElementType::int4, std::move(dims), raw_int4(values));
    }
    std::string_view int32s(std::string_view name, std::vector<std::int64_t> dims,
                            const std::vector<std::int32_t>& values) {
        return constant(name, ElementType::int32, std::move(dims), raw_bytes<std::int32_t>(values));
    }
    std::string_view int64s(std::string_view name, const std::vector<std::int64_t>& values) {
        return constant(name, ElementType::int64, {static_cast<std::int64_t>(values.size())},
                        raw_bytes<std::int64_t>(values));
    }
    /// Any other: its name is made unique; its texts must outlive the model (keep()).
    std::string_view add_initializer(TensorProto tensor) {
        std::string_view const name = new_value(tensor.name.get());
        tensor.name = name;
        initializers_.emplace(name, model_.graph->initializer.size());
        model_.graph->initializer.push_back(std::move(tensor));
        return name;
    }

    // ---- changes

    /// A node before, or after, another one in the file's order. `node_name` and the outputs are made unique.
    /// Gives its first output.
    std::string_view insert_before(Node place, std::string_view node_name, std::string_view op,
                                   std::vector<std::string_view> inputs, std::string_view output,
                                   AttributeList attributes = {}) {
        return insert(nodes_.at(place).anchor, false, node_name, op, std::move(inputs), new_value(output),
                      std::move(attributes));
    }
    std::string_view insert_after(Node place, std::string_view node_name, std::string_view op,
                                  std::vector<std::string_view> inputs, std::string_view output,
                                  AttributeList attributes = {}) {
        return insert(nodes_.at(place).anchor, true, node_name, op, std::move(inputs), new_value(output),
                      std::move(attributes));
    }
    /// The same, where the output is a value that has a name already and that nothing makes any more.
    std::string_view insert_maker_of(std::string_view value, Node place, std::string_view node_name,
                                     std::string_view op, std::vector<std::string_view> inputs,
                                     AttributeList attributes = {}) {
        return insert(nodes_.at(place).anchor, true, node_name, op, std::move(inputs), value,
                      std::move(attributes));
    }
    void remove(Node n) { nodes_.at(n).removed = true; }
    void rename_node(Node n, std::string_view name) { nodes_.at(n).proto.name = new_node_name(name); }
    void set_op(Node n, std::string_view op) { nodes_.at(n).proto.op_type = op; }
    void set_input(Node n, std::size_t i, std::string_view value) {
        std::vector<std::string_view>& inputs = nodes_.at(n).proto.input;
        if (inputs.size() <= i) inputs.resize(i + 1);
        inputs[i] = value;
        readers_[value].push_back(n);
    }
    void set_inputs(Node n, std::vector<std::string_view> values) {
        nodes_.at(n).proto.input = std::move(values);
        for (std::string_view v : node(n).input) readers_[v].push_back(n);
    }
    /// The node makes a value of another name; who read the old one goes on reading that. The name is taken
    /// as it is: see new_value().
    void set_output(Node n, std::size_t k, std::string_view value) {
        std::string_view& output = nodes_.at(n).proto.output.at(k);
        if (auto const at = producers_.find(output); at != producers_.end() && at->second == n)
            producers_.erase(at);
        output = value;
        producers_[value] = n;
    }
    /// Who reads `from`, but for `except`, reads `to`. An output of the model keeps its name: see
    /// set_output().
    void redirect(std::string_view from, std::string_view to, std::optional<Node> except = {}) {
        for (const Reader& r : readers(from))
            if (r.node != except) set_input(r.node, r.input, to);
    }
    /// Takes a node out that passes input `i` on as its only output. Where that is an output of the model,
    /// what makes the input makes it instead, under its name. Precondition then: a node makes the input.
    void bypass(Node n, std::size_t i = 0) {
        std::string_view const before = input(n, i), after = node(n).output.at(0);
        remove(n);
        if (is_output(after)) {
            Node const maker = producer(before).value();
            redirect(before, after);
            set_output(maker, place_of_output(maker, before), after);
        } else {
            redirect(after, before);
        }
    }
    /// In the place of one of this name, or as a new one.
    void set_attribute(Node n, AttributeProto value) {
        for (AttributeProto& a : nodes_.at(n).proto.attribute)
            if (a.name.get() == value.name.get()) {
                a = std::move(value);
                return;
            }
        nodes_[n].proto.attribute.push_back(std::move(value));
    }
    void remove_attribute(Node n, std::string_view name) {
        std::erase_if(nodes_.at(n).proto.attribute,
                      [&](const AttributeProto& a) { return a.name.get() == name; });
    }
    /// What the model said of a value's type and shape is no longer so.
    void forget_info(std::string_view value) {
        std::erase_if(model_.graph->value_info,
                      [&](const ValueInfoProto& v) { return v.name.get() == value; });
    }
    /// Of ONNX's own operators. The nodes must be what this version says: see opset_conversion.hpp.
    void set_opset(std::int64_t version, std::int64_t ir_version) {
        opset_ = version;
        model_.ir_version = ir_version;
        bool found = false;
        for (OperatorSetIdProto& set : model_.opset_import)
            if (set.domain.get().empty()) {
                set.version = version;
                found = true;
            }
        if (!found) model_.opset_import.push_back({.domain = std::string_view(), .version = version});
    }
    /// Which program has written the model.
    void set_producer(std::string_view name, std::string_view version) {
        model_.producer_name = name;
        model_.producer_version = version;
    }

    /// The model with all changes. External data of the source is taken into it; large ones go to a file
    /// beside it again. Errors: a circle, data that is missing, more than protobuf can hold.
    result<ModelBytes> finish(const BytesOptions& options = {}) const {
        result<ModelProto> proto = finish_proto();
        if (!proto) return proto.diagnostics();
        return to_bytes(*std::move(proto), options);
    }
    /// The same as a message, whose texts live as long as this object and its source.
    result<ModelProto> finish_proto() const;

private:
    struct Entry {
        NodeProto proto;
        std::size_t anchor;     // place in the source, of its own or of the node beside which it was put
        bool own;               // it is the source's
        std::ptrdiff_t offset;  // from the anchor: below 0 before it
        bool removed;
    };

    std::string_view unique(std::string_view name, std::unordered_set<std::string_view>& taken) {
        std::string_view text = keep(std::string(name));
        for (std::size_t n = 1; !taken.insert(text).second; ++n)
            text = keep(amct_distill::detail::concat(name, '_', n));
        return text;
    }
    std::string_view constant(std::string_view name, ElementType type, std::vector<std::int64_t> dims,
                              std::string bytes) {
        return add_initializer({.dims = std::move(dims),
                                .data_type = static_cast<std::int32_t>(type),
                                .name = name,
                                .raw_data = keep(std::move(bytes))});
    }
    std::string_view insert(std::size_t anchor, bool after, std::string_view node_name, std::string_view op,
                            std::vector<std::string_view> inputs, std::string_view output,
                            AttributeList attributes) {
        NodeProto proto{.input = std::move(inputs),
                        .output = {output},
                        .name = new_node_name(node_name),
                        .op_type = keep(std::string(op)),
                        .attribute = std::move(attributes)};
        // Those at one anchor stand in the order in which they were made.
        std::ptrdiff_t const number = static_cast<std::ptrdiff_t>(nodes_.size()) + 1;
        nodes_.push_back({std::move(proto), anchor, false,
                          after ? number : number - (std::ptrdiff_t{1} << (8 * sizeof(std::ptrdiff_t) - 2)),
                          false});
        index(nodes_.size() - 1);
        return output;
    }
    void index(Node n) {
        for (std::string_view v : node(n).input) readers_[v].push_back(n);
        for (std::string_view v : node(n).output) {
            values_.insert(v);
            producers_[v] = n;
        }
    }
    std::size_t place_of_output(Node n, std::string_view value) const {
        auto const at = std::ranges::find(node(n).output, value);
        return static_cast<std::size_t>(at - node(n).output.begin());
    }
    /// Those that the outputs need, each after what it reads; else in the source's order.
    result<void> sort(std::vector<Node>& order) const;
    /// Bytes in another file become the tensor's own.
    result<void> take_in(TensorProto& t) const;

    const ModelFile* source_;
    ModelProto model_;
    std::vector<Entry> nodes_{};
    std::optional<std::int64_t> opset_{};
    std::unordered_map<std::string_view, Node> producers_{};
    std::unordered_map<std::string_view, std::vector<Node>> readers_{};  // and some that do not any more
    std::unordered_map<std::string_view, std::size_t> initializers_{};
    std::unordered_set<std::string_view> outputs_{}, values_{}, node_names_{};
    // Shared by copies, whose messages view them; elements stay where they are.
    std::shared_ptr<std::deque<std::string>> texts_ = std::make_shared<std::deque<std::string>>();
};

}  // namespace amct_distill::onnx

#ifndef AMCT_DISTILL_COMPILED_ONNX
#include "graph_edit-inl.hpp"
#endif
