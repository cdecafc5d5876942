// SPDX-License-Identifier: Apache-2.0
/// What distillation has changed in layers that are not quantized, put into their model: a BatchNorm's
/// weights, a skipped layer's.
///
///     onnx::detail::ChangedParameters changed(edit, imported, network);     // the deployment's network
///     for (const onnx::ImportedName& n : imported.names) ok = changed.put(n);
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../nn/network.hpp"
#include "graph_edit.hpp"
#include "imported.hpp"
#include "layer_nodes.hpp"

namespace amct_distill::onnx::detail {

class ChangedParameters {
public:
    ChangedParameters(GraphEdit& edit, const Imported& imported, const nn::Network& network)
        : edit_(edit), imported_(imported), network_(network), finder_(edit, imported.names) {}

    /// Of one module; nothing where it is as it was. Errors name it.
    result<void> put(const ImportedName& name) {
        auto const before = imported_.network.graph().module_named(name.module);
        auto const after = network_.graph().module_named(name.module);
        if (!before || name.nodes.empty()) return {};
        if (!after) return fail(name, "the deployment has no such layer; give the model that was quantized");
        const nn::Module& old = imported_.network.module(*before);
        const nn::Module& now = network_.module(*after);
        auto const was = old.parameters(), is = now.parameters();
        if (old.type() != now.type() || was.size() != is.size())
            return fail(name, "it is a ", old.type(), " in the model, but a ", now.type(),
                        " in the deployment; give the model that was quantized");
        bool same = true;
        for (std::size_t k = 0; k != is.size(); ++k) {
            if (!std::ranges::equal(was[k].shape(), is[k].shape()))
                return fail(name, "its ", is[k].name,
                            " has another shape in the model; give the model that "
                            "was quantized");
            same = same && std::ranges::equal(was[k].values, is[k].values);
        }
        if (same) return {};
        if (const nn::Weighted* const layer = now.weighted();
            layer != nullptr && LayerFinder::has_weights(edit_.op(name.nodes.front())))
            return put_weights(name, *layer);
        for (std::size_t k = 0; k != is.size(); ++k)
            if (auto ok = put_values(name, was[k], is[k]); !ok) return ok;
        return {};
    }

private:
    template <class... Pieces>
    static Diagnostic fail(const ImportedName& name, const Pieces&... why) {
        return general_error(amct_distill::detail::concat("layer `", name.module, "`: ", why...));
    }
    result<void> put_weights(const ImportedName& name, const nn::Weighted& layer) {
        auto const nodes = finder_.find(name.module, {.has_bias = !layer.bias().empty()});
        if (!nodes) return nodes.diagnostics();
        bool const transposed = nodes->is_transposed;
        std::string_view const weight = edit_.floats(amct_distill::detail::concat(name.module, ".weight"),
                                                     file_dims(layer.weight().shape(), transposed),
                                                     in_file_order(layer.weight(), transposed));
        std::string_view bias;
        if (!layer.bias().empty())
            bias = edit_.floats(amct_distill::detail::concat(name.module, ".bias"),
                                {static_cast<std::int64_t>(layer.bias().size())},
                                {layer.bias().begin(), layer.bias().end()});
        finder_.set_parameters(*nodes, weight, bias);
        return {};
    }
    /// Whichever input of the module's nodes has the old values gets the new ones.
    template <class P>
    result<void> put_values(const ImportedName& name, const P& was, const P& is) {
        for (GraphEdit::Node n : name.nodes)
            for (std::size_t i = 0; i != edit_.node(n).input.size(); ++i) {
                if (std::ranges::find(done_, GraphEdit::Reader{n, i}) != done_.end()) continue;
                std::vector<std::int64_t> dims;
                if (!has_values(edit_.input(n, i), was.values, dims)) continue;
                done_.push_back({n, i});
                if (!std::ranges::equal(was.values, is.values))
                    edit_.set_input(n, i,
                                    edit_.floats(amct_distill::detail::concat(name.module, '.', is.name),
                                                 dims, {is.values.begin(), is.values.end()}));
                return {};
            }
        if (std::ranges::equal(was.values, is.values)) return {};
        return fail(name, "distillation has changed its ", is.name,
                    ", which is no constant of its own in the model; write the network with export --format "
                    "float, and quantize that model");
    }
    bool has_values(std::string_view value, std::span<const float> values,
                    std::vector<std::int64_t>& dims) const {
        const TensorProto* tensor = edit_.initializer(value);
        if (auto const from = edit_.producer(value); from && edit_.op(*from) == "Constant")
            if (const AttributeProto* const a = find_attribute(edit_.node(*from), "value"); a && a->t)
                tensor = &*a->t;
        if (tensor == nullptr) return false;
        auto const found = edit_.source().values(*tensor);
        if (!found || found->size() != values.size()) return false;
        std::vector<float> all(values.size());
        found->copy_to(std::span(all));
        dims = tensor->dims;
        return std::ranges::equal(all, values);
    }

    GraphEdit& edit_;
    const Imported& imported_;
    const nn::Network& network_;
    LayerFinder finder_;
    std::vector<GraphEdit::Reader> done_{};
};

}  // namespace amct_distill::onnx::detail
