// SPDX-License-Identifier: Apache-2.0
/// What ATC, the compiler of Ascend devices, would refuse of a deployed network, before it is written.
///
///     Diagnostics const found = onnx::check_ascend(graph, target::ascend);          // a QuantizedGraph
///
/// An error for each layer, or node, and what to do; what only newer releases read is a warning. AMCT's
/// deploy model is not written where there is an error.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../core/concat.hpp"
#include "../core/number.hpp"
#include "../plan/target.hpp"
#include "amct_graph.hpp"

namespace amct_distill::onnx {

namespace detail {

/// The versions of ONNX's operators that ATC's plugins know; all releases know those of `every`.
inline constexpr std::int64_t ascend_oldest_opset = 8, ascend_newest_opset = 22;
inline constexpr std::int64_t ascend_every_first = 9, ascend_every_last = 12;

class AscendChecker {
public:
    AscendChecker(const QuantizedGraph& graph, const Target& target) : graph_(graph), target_(target) {}

    Diagnostics run() {
        check_opset();
        const GraphEdit& edit = graph_.edit;
        for (GraphEdit::Node n = 0; n != edit.nodes(); ++n)
            if (edit.has(n)) check_operator(n);
        for (const QuantizedNode& layer : graph_.layers) check_layer(layer);
        return std::move(found_);
    }

private:
    template <class... Pieces>
    void fail(const Pieces&... what) {
        found_.push_back(general_error(amct_distill::detail::concat(what...)));
    }
    template <class... Pieces>
    void refuse(const QuantizedNode& layer, const Pieces&... why) {
        fail("layer `", layer.layer->name, "`: ", why...);
    }

    void check_opset() {
        std::int64_t const opset = graph_.edit.opset();
        if (opset < ascend_oldest_opset || opset > ascend_newest_opset)
            fail("the model is of opset ", opset, ", and ATC reads ", ascend_oldest_opset, " to ",
                 ascend_newest_opset, "; export it with opset 11 or 13");
        else if (opset < ascend_every_first || opset > ascend_every_last)
            found_.push_back(general_warning(amct_distill::detail::concat(
                "the model is of opset ", opset, ": ATC's plugins of today read ", ascend_oldest_opset,
                " to ", ascend_newest_opset, ", older ones up to 13, the oldest 9 to 12")));
    }
    void check_operator(GraphEdit::Node n) {
        const NodeProto& node = graph_.edit.node(n);
        std::string_view const domain = node.domain.get();
        if (!domain.empty() && domain != "ai.onnx")
            fail("node `", node.name.get(), "`: ", node.op_type.get(), " is of the domain `", domain,
                 "`, and ATC knows the operators of ONNX; export the model without it");
    }
    void check_layer(const QuantizedNode& node) {
        const DeployedLayer& layer = *node.layer;
        std::string_view const op = graph_.edit.op(node.node);
        std::string_view const data = name_of(layer.data_width), weights = name_of(layer.codes);
        if (!target_.mixed_widths && data != weights)
            refuse(node, "activations are ", data, ", weights ", weights, ", and target ", target_.name,
                   " wants both of one width; set both dst_type to the same");
        bool const is_matrix = op == "Gemm" || op == "MatMul";
        if (!target_.channel_wise_linear && is_matrix && layer.weight_scales.size() != 1) {
            if (layer.batch_norm.empty())
                refuse(node, "a Linear has one weight scale on target ", target_.name,
                       "; set channel_wise to false for it");
            else
                refuse(node, "a Linear has one weight scale on target ", target_.name,
                       ", and that of each channel is another with `", layer.batch_norm,
                       "` folded in; skip the layer");
        }
        if (weights == Int4::name) check_int4(node, op);
        if (node.adds_float)
            refuse(node, "its Gemm adds an activation to integers; write it as MatMul and Add");
        if (op == "Gemm" && integer_attribute(graph_.edit.node(node.node), "transA", 0) != 0)
            refuse(node, "its Gemm turns the activation (transA); put a Transpose before it");
        if (!std::isnormal(1 / layer.data.scale))
            refuse(node, "AscendQuant multiplies by 1 / scale_d, and scale_d is ", number(layer.data.scale),
                   "; calibrate with other data, or skip the layer");
    }
    /// Two codes share a byte along the input channels.
    void check_int4(const QuantizedNode& node, std::string_view op) {
        if (op == "ConvTranspose")
            return refuse(node,
                          "a ConvTranspose of INT4 is not known to be read; quantize it in INT8 "
                          "(an override), or skip it");
        AmctWeight const weight = amct_weight(node, op);
        std::int64_t const channels = weight.dims[weight.input_axis];
        if (channels % 2 != 0)
            refuse(node, "INT4 weights are stored in pairs of input channels, and it has ", channels,
                   op == "Conv" && integer_attribute(graph_.edit.node(node.node), "group", 1) != 1
                       ? " in each group"
                       : "",
                   "; quantize it in INT8 (an override), or skip it");
    }

    const QuantizedGraph& graph_;
    const Target& target_;
    Diagnostics found_{};
};

}  // namespace detail

/// All that is wrong, in the order of the model.
inline Diagnostics check_ascend(const QuantizedGraph& graph, const Target& target = target::ascend) {
    return detail::AscendChecker(graph, target).run();
}

}  // namespace amct_distill::onnx
