// SPDX-License-Identifier: Apache-2.0
/// One node of a network while it becomes nodes of an ONNX model: what it reads, and what is written.
///
///     // A module of one's own: beside the type, found by its argument's namespace.
///     inline void write_onnx(const Square&, amct_distill::onnx::NodeWriter& w) {
///         w.last("Mul", {w.input(0), w.input(0)});
///     }
///     onnx::export_network<Square>(network, "net.onnx").value();
///
/// Names are PyTorch's: the node `/layer1/conv1/Conv` reads `layer1.conv1.weight`; onnx/names.hpp finds them
/// again. Initializers are views of the network's values, which are not copied before the file is made.
#pragma once
#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../nn/network.hpp"
#include "make_attribute.hpp"
#include "messages.hpp"

namespace amct_distill::onnx {

namespace detail {

/// A model under construction, and the texts that its messages view.
struct ModelWriting {
    ModelWriting(const nn::Network& net, std::int64_t version)
        : network(net), opset(version), values(net.graph().size()), integer_inputs(net.graph().size(), 0) {}

    const nn::Network& network;
    std::int64_t opset;       ///< that the nodes are written for
    std::int64_t needed = 0;  ///< the least that has all that is written
    GraphProto graph{};
    std::vector<std::string_view> values;  ///< by the network's nodes: names of tensors
    std::vector<char> integer_inputs;      ///< likewise: the model has integers there
    std::map<std::string, std::string_view, std::less<>> shared{};  ///< what the uses of a module share
    Diagnostics errors{};

    /// Keeps a text as long as the model.
    std::string_view keep(std::string text) { return texts_.emplace_back(std::move(text)); }
    /// `name`, or with _1, _2 ... after it when it is taken.
    std::string_view new_tensor(const std::string& name) { return unique(name, tensors_); }
    std::string_view new_node(const std::string& name) { return unique(name, nodes_); }

    std::string_view initializer(const std::string& name, std::span<const nn::Index> shape,
                                 std::span<const float> data) {
        std::string_view const unique_name = new_tensor(name);
        TensorProto t{.dims = {shape.begin(), shape.end()},
                      .data_type = static_cast<std::int32_t>(ElementType::float32),
                      .name = unique_name};
        if constexpr (std::endian::native == std::endian::little)
            t.raw_data = std::string_view(reinterpret_cast<const char*>(data.data()), data.size_bytes());
        else
            t.float_data.assign(data.begin(), data.end());
        graph.initializer.push_back(std::move(t));
        return unique_name;
    }
    std::string_view floats(const std::string& name, std::vector<std::int64_t> dims,
                            std::vector<float> data) {
        std::string_view const unique_name = new_tensor(name);
        graph.initializer.push_back({.dims = std::move(dims),
                                     .data_type = static_cast<std::int32_t>(ElementType::float32),
                                     .float_data = std::move(data),
                                     .name = unique_name});
        return unique_name;
    }
    std::string_view integers(const std::string& name, std::vector<std::int64_t> dims,
                              std::vector<std::int64_t> data) {
        std::string_view const unique_name = new_tensor(name);
        graph.initializer.push_back({.dims = std::move(dims),
                                     .data_type = static_cast<std::int32_t>(ElementType::int64),
                                     .int64_data = std::move(data),
                                     .name = unique_name});
        return unique_name;
    }
    void node(std::string_view name, std::string_view op, std::vector<std::string_view> inputs,
              std::vector<std::string_view> outputs, AttributeList attributes) {
        graph.node.push_back({.input = std::move(inputs),
                              .output = std::move(outputs),
                              .name = name,
                              .op_type = op,
                              .attribute = std::move(attributes)});
    }

private:
    std::string_view unique(const std::string& name, std::unordered_set<std::string_view>& taken) {
        std::string_view text = keep(name);
        for (std::size_t n = 1; !taken.insert(text).second; ++n)
            text = keep(amct_distill::detail::concat(name, '_', n));
        return text;
    }
    std::deque<std::string> texts_{};  // whose elements stay where they are
    std::unordered_set<std::string_view> tensors_{}, nodes_{};
};

}  // namespace detail

class NodeWriter {
public:
    NodeWriter(detail::ModelWriting& model, nn::NodeId id)
        : model_(model), id_(id), node_(model.network.node(id)) {
        const std::string& name = model.network.name(id);
        if (node_.module) {
            scope_ = name.starts_with('/') ? name : "/" + name;
            for (char& c : scope_)
                if (c == '.') c = '/';
        } else if (std::size_t const slash = name.rfind('/'); slash != name.npos) {
            scope_ = name.substr(0, slash);
        } else {
            scope_ = name;
        }
    }

    // ---- what there is

    std::size_t inputs() const { return node_.inputs.size(); }
    /// The name of the tensor that it reads.
    std::string_view input(std::size_t i) const { return model_.values[node_.inputs.at(i).index]; }
    std::vector<std::string_view> all_inputs() const {
        std::vector<std::string_view> out;
        for (std::size_t i = 0; i != inputs(); ++i) out.push_back(input(i));
        return out;
    }
    const nn::Shape& shape(std::size_t i) const { return model_.network.node(node_.inputs.at(i)).shape; }
    /// The value of an input that is a constant; null when it is none.
    const nn::Tensor* constant(std::size_t i) const {
        const auto& n = model_.network.node(node_.inputs.at(i));
        return n.kind == NodeKind::constant ? &n.constant : nullptr;
    }
    /// Whether the model has integers where the network has whole numbers as floats: at its inputs.
    bool reads_integers(std::size_t i) const { return model_.integer_inputs[node_.inputs.at(i).index] != 0; }
    std::size_t outputs() const { return node_.ports + 1; }
    const nn::Shape& output_shape(std::size_t k = 0) const {
        return model_.network.node({id_.index + k}).shape;
    }
    /// The version of ONNX's operators that is written, 13 or later.
    std::int64_t opset() const { return model_.opset; }
    /// Says that an operator needs a later version; then all is written again for that.
    void needs_opset(std::int64_t version) { model_.needed = (std::max)(model_.needed, version); }

    // ---- constants

    /// A parameter of its module, under PyTorch's name for it: layer1.conv1.weight.
    std::string_view parameter(std::string_view name) {
        return shared(name, [&](const std::string& full) -> std::string_view {
            for (const auto& p : module().parameters())
                if (p.name == name) return model_.initializer(full, p.shape(), p.values);
            fail(amct_distill::detail::concat("it has no parameter `", name, "`"));
            return {};
        });
    }
    /// Others: a number without dimensions, integers, floats.
    std::string_view scalar(std::string_view what, double value) {
        return model_.floats(own(what), {}, {static_cast<float>(value)});
    }
    std::string_view integers(std::string_view what, std::vector<std::int64_t> values) {
        auto const count = static_cast<std::int64_t>(values.size());
        return integers(what, std::move(values), {count});
    }
    std::string_view integers(std::string_view what, std::vector<std::int64_t> values,
                              std::vector<std::int64_t> dims) {
        return model_.integers(own(what), std::move(dims), std::move(values));
    }
    std::string_view values(std::string_view what, std::vector<std::int64_t> dims,
                            std::vector<float> values) {
        return model_.floats(own(what), std::move(dims), std::move(values));
    }

    // ---- nodes

    /// A node before the last one; the name of its result.
    std::string_view step(std::string_view op, std::vector<std::string_view> reads,
                          AttributeList attributes = {}) {
        std::string_view const name = model_.new_node(own(op));
        std::string_view const out = model_.new_tensor(amct_distill::detail::concat(name, "_output_0"));
        model_.node(name, op, std::move(reads), {out}, std::move(attributes));
        return out;
    }
    /// A step of constants alone, which all uses of the module share.
    std::string_view shared_step(std::string_view op, std::vector<std::string_view> reads,
                                 AttributeList attributes = {}) {
        return shared(op,
                      [&](const std::string&) { return step(op, std::move(reads), std::move(attributes)); });
    }
    /// The node that makes the outputs.
    void last(std::string_view op, std::vector<std::string_view> reads, AttributeList attributes = {}) {
        std::string_view const name = model_.new_node(node_.module ? own(op) : model_.network.name(id_));
        std::vector<std::string_view> out;
        for (std::size_t k = 0; k != outputs(); ++k) {
            std::string_view& value = model_.values[id_.index + k];
            if (value.empty()) value = model_.new_tensor(amct_distill::detail::concat(name, "_output_", k));
            out.push_back(value);
        }
        model_.node(name, op, std::move(reads), std::move(out), std::move(attributes));
    }
    /// The same, where the result has another rank in ONNX: of rank 0 it becomes [1], the network's form.
    void last_of_rank(std::size_t rank, std::string_view op, std::vector<std::string_view> reads,
                      AttributeList attributes = {}) {
        if (rank != 0) return last(op, std::move(reads), std::move(attributes));
        std::string_view const scalar = step(op, std::move(reads), std::move(attributes));
        last("Reshape", {scalar, integers("shape", {1})});
    }
    /// Says why the node cannot be written.
    void fail(std::string_view why) {
        model_.errors.push_back(
            general_error(amct_distill::detail::concat("cannot write the layer \"", model_.network.name(id_),
                                                       "\" (", module().type(), ") as ONNX: ", why)));
    }

private:
    const nn::Module& module() const { return model_.network.operation(id_); }
    std::string own(std::string_view what) const {
        return amct_distill::detail::concat(scope_, scope_.empty() ? "" : "/", what);
    }
    template <class Make>
    std::string_view shared(std::string_view what, Make make) {
        std::string const full = amct_distill::detail::concat(
            node_.module ? model_.network.modules()[node_.module->index].name : model_.network.name(id_), '.',
            what);
        auto const found = model_.shared.find(full);
        return found != model_.shared.end() ? found->second : model_.shared[full] = make(full);
    }

    detail::ModelWriting& model_;
    nn::NodeId id_;
    const nn::Network::Node& node_;
    std::string scope_{};
};

}  // namespace amct_distill::onnx
