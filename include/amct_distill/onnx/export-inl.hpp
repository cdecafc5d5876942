// SPDX-License-Identifier: Apache-2.0
/// The definitions of export.hpp: for networks with modules of one's own.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../core/version.hpp"
#include "../io/file.hpp"
#include "../nn/save.hpp"
#include "../wire/writer.hpp"
#include "export.hpp"
#include "export_layers.hpp"
#include "node_writer.hpp"
#include "to_bytes.hpp"

namespace amct_distill::onnx {
namespace detail {

/// The newest version of operators that is written.
inline constexpr std::int64_t newest_written_opset = 21;

template <class... M>
class NetworkExporter {
public:
    NetworkExporter(const nn::Network& network, const ExportOptions& options, std::int64_t opset)
        : network_(network), options_(options), model_(network, opset) {
        if (!name_inputs_and_outputs()) return;
        for (std::size_t i = 0; i != network.graph().size(); ++i) write({i});
        std::vector<nn::NodeId> const outputs(network.outputs().begin(), network.outputs().end());
        for (nn::NodeId id : outputs)
            model_.graph.output.push_back(info(model_.values[id.index], network.node(id).shape));
    }
    std::int64_t needed() const { return model_.needed; }
    result<std::string> finish() && {
        if (!model_.errors.empty()) return std::move(model_.errors);
        model_.graph.name = "network";
        ModelProto proto{.ir_version = ir_version_of(model_.opset), .producer_name = "amct_distill"};
        std::string const version = amct_distill::detail::concat(
            AMCT_DISTILL_VERSION_MAJOR, '.', AMCT_DISTILL_VERSION_MINOR, '.', AMCT_DISTILL_VERSION_PATCH);
        proto.producer_version = std::string_view(version);
        proto.opset_import.push_back({.domain = std::string_view(), .version = model_.opset});
        proto.graph.emplace(std::move(model_.graph));
        std::size_t const size = binary_size(proto);
        if (size > static_cast<std::size_t>((std::numeric_limits<std::int32_t>::max)()))
            return general_error(amct_distill::detail::concat(
                "the model takes ", size, " bytes; protobuf's files have less than 2 GiB"));
        return write_binary(proto);
    }

private:
    void fail(std::string message) { model_.errors.push_back(general_error(std::move(message))); }

    ValueInfoProto info(std::string_view name, const nn::Shape& shape,
                        ElementType type = ElementType::float32) {
        TypeProto::Tensor tensor{.elem_type = static_cast<std::int32_t>(type)};
        tensor.shape.emplace();
        for (nn::Index d : shape) {
            TensorShapeProto::Dimension dimension;
            if (d == nn::any_batch)
                dimension.value.template emplace<1>(std::string_view(options_.batch));
            else
                dimension.value.template emplace<0>(d);
            tensor.shape->dim.push_back(dimension);
        }
        return {.name = name, .type = TypeProto{.tensor_type = std::move(tensor)}};
    }
    bool name_inputs_and_outputs() {
        auto const name = [&](std::span<const nn::NodeId> nodes, const std::vector<std::string>& given,
                              std::string_view what) {
            if (!given.empty() && given.size() != nodes.size()) {
                fail(amct_distill::detail::concat("the network has ", nodes.size(), ' ', what, "s, but ",
                                                  given.size(), " names are given for them"));
                return;
            }
            for (std::size_t i = 0; i != nodes.size(); ++i) {
                const std::string& wanted = given.empty() ? network_.name(nodes[i]) : given[i];
                std::string_view const found = model_.new_tensor(wanted);
                if (found != wanted || wanted.empty())
                    fail(amct_distill::detail::concat("two inputs or outputs are called \"", wanted, '"'));
                model_.values[nodes[i].index] = found;
            }
        };
        if (network_.outputs().empty()) fail("the network has no output");
        name(network_.inputs(), options_.inputs, "input");
        name(network_.outputs(), options_.outputs, "output");
        return model_.errors.empty();
    }

    void write(nn::NodeId id) {
        const auto& node = network_.node(id);
        std::string_view& value = model_.values[id.index];
        switch (node.kind) {
            case NodeKind::input:
                model_.integer_inputs[id.index] = only_embeddings_read(id);
                model_.graph.input.push_back(info(
                    value, node.shape, only_embeddings_read(id) ? ElementType::int64 : ElementType::float32));
                return;
            case NodeKind::port:
                return;  // written with the node before it
            case NodeKind::constant: {
                std::string_view const data =
                    model_.initializer(network_.name(id), node.shape, node.constant.span());
                if (value.empty())
                    value = data;
                else  // an output is made by a node
                    model_.node(model_.new_node(network_.name(id) + "/Identity"), "Identity", {data}, {value},
                                {});
                return;
            }
            case NodeKind::operation:
                break;
        }
        NodeWriter writer(model_, id);
        const nn::Module& module = network_.operation(id);
        bool const known = (write_if<M>(module, writer) || ...);
        if (!known)
            writer.fail(
                "it is no module of the library; write `void write_onnx(const YourModule&, "
                "onnx::NodeWriter&)` in the module's namespace, and name the type: "
                "onnx::export_network<YourModule>(...)");
        if (!model_.errors.empty()) return;
        for (std::size_t k = 0; k <= node.ports; ++k)
            if (nn::NodeId const made{id.index + k}; !is_network_output(made))
                model_.graph.value_info.push_back(info(model_.values[made.index], network_.node(made).shape));
    }
    bool only_embeddings_read(nn::NodeId id) const {
        bool any = false;
        for (nn::NodeId reader : network_.operations())
            if (const auto& inputs = network_.node(reader).inputs;
                std::ranges::find(inputs, id) != inputs.end()) {
                if (network_.operation(reader).get_if<nn::Embedding>() == nullptr) return false;
                any = true;
            }
        return any;
    }
    bool is_network_output(nn::NodeId id) const {
        return std::ranges::find(network_.outputs(), id) != network_.outputs().end();
    }
    template <class Type>
    static bool write_if(const nn::Module& module, NodeWriter& writer) {
        const Type* const found = module.get_if<Type>();
        if (found == nullptr) return false;
        if constexpr (requires { write_onnx(*found, writer); })
            write_onnx(*found, writer);
        else
            writer.fail("modules of its type are not written");
        return true;
    }

    const nn::Network& network_;
    const ExportOptions& options_;
    ModelWriting model_;
};

template <class... M>
result<std::string> export_bytes(amct_distill::detail::ModuleList<M...>, const nn::Network& network,
                                 const ExportOptions& options) {
    std::int64_t opset = (std::max)(options.opset, std::int64_t{13});
    for (;;) {
        if (opset > newest_written_opset)
            return general_error(amct_distill::detail::concat(
                "opset ", opset, " is not written; the newest is ", newest_written_opset));
        NetworkExporter<M...> exporter(network, options, opset);
        if (exporter.needed() <= opset) return std::move(exporter).finish();
        opset = exporter.needed();  // the same operators may be spelled otherwise in it
    }
}

}  // namespace detail

template <class... Own>
result<std::string> export_bytes(const nn::Network& network, const ExportOptions& options) {
    auto const with_own = []<class... M>(amct_distill::detail::ModuleList<M...>)
        -> amct_distill::detail::ModuleList<Own..., M...> { return {}; };
    return detail::export_bytes(decltype(with_own(amct_distill::detail::standard_modules{})){}, network,
                                options);
}

template <class... Own>
result<void> export_network(const nn::Network& network, const std::filesystem::path& path,
                            const ExportOptions& options) {
    result<std::string> const bytes = export_bytes<Own...>(network, options);
    if (!bytes) return bytes.diagnostics();
    return write_file(path, *bytes);
}

}  // namespace amct_distill::onnx
