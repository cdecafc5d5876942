// SPDX-License-Identifier: Apache-2.0
/// The definitions of qdq.hpp.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "../core/concat.hpp"
#include "../core/inline.hpp"
#include "../core/result.hpp"
#include "../core/version.hpp"
#include "../deploy/narrow_weights.hpp"
#include "model_bytes.hpp"
#include "model_file.hpp"
#include "opset_conversion.hpp"
#include "qdq.hpp"
#include "quantized_graph.hpp"

namespace amct_distill::onnx {

namespace detail {

class QdqWriter {
public:
    QdqWriter(GraphEdit& edit, const QdqOptions& options) : edit_(edit), options_(options) {}

    void write(const QuantizedNode& layer) {
        LayerFinder finder(edit_, {});
        edit_.set_input(layer.node, 0, activation(layer));
        std::string_view const bias = layer.layer->bias.empty() ? std::string_view() : this->bias(layer);
        finder.set_parameters(layer, weight(layer), bias);
    }

private:
    static bool is_int4(const Width& width) { return std::holds_alternative<Int4>(width); }
    std::string own(const QuantizedNode& layer, std::string_view what) const {
        return amct_distill::detail::concat(layer.layer->name, '.', what);
    }

    /// The input with its codes' values: one pair of nodes for each (value, scale, offset, width).
    std::string_view activation(const QuantizedNode& layer) {
        const DeployedLayer& l = *layer.layer;
        bool const four = is_int4(l.data_width);
        auto const key =
            std::tuple(layer.input, std::bit_cast<std::uint32_t>(l.data.scale), l.data.offset, four);
        if (auto const made = activations_.find(key); made != activations_.end()) return made->second;
        std::string_view x = layer.input;
        bool const as_int4 = four && options_.form == QdqForm::int4;
        if (four && !as_int4) {
            auto const limit = [&](int code) {
                return static_cast<float>(code - l.data.offset) * l.data.scale;
            };
            std::string_view const low = edit_.floats(own(layer, "lo"), {}, {limit(Int4::qmin)});
            std::string_view const high = edit_.floats(own(layer, "hi"), {}, {limit(Int4::qmax)});
            x = edit_.insert_before(layer.node, own(layer, "x.clip"), "Clip", {x, low, high},
                                    own(layer, "x_clip"));
        }
        std::string_view const scale = edit_.floats(own(layer, "x_scale"), {}, {l.data.scale});
        std::vector<std::int8_t> const offset{static_cast<std::int8_t>(l.data.offset)};
        std::string_view const zero = as_int4 ? edit_.int4s(own(layer, "x_zero"), {}, offset)
                                              : edit_.int8s(own(layer, "x_zero"), {}, offset);
        std::string_view const codes = edit_.insert_before(
            layer.node, own(layer, "x.quantize"), "QuantizeLinear", {x, scale, zero}, own(layer, "x_q"));
        return activations_[key] =
                   edit_.insert_before(layer.node, own(layer, "x.dequantize"), "DequantizeLinear",
                                       {codes, scale, zero}, own(layer, "x_dq"));
    }

    std::string_view weight(const QuantizedNode& layer) {
        const DeployedLayer& l = *layer.layer;
        bool const as_int4 = options_.form != QdqForm::int8 && std::holds_alternative<Codes<Int4>>(l.codes);
        bool const per_channel = l.weight_scales.size() != 1;
        // Groups of a transposed convolution share the dimension of the channels: its scales belong to the
        // rows of another order, out of which it is made then.
        bool const by_rows = per_channel && layer.groups != 1;
        std::vector<std::int64_t> dims = layer.dims;
        std::vector<std::int8_t> codes = layer.codes;
        if (by_rows) {
            dims = {static_cast<std::int64_t>(l.rows()), static_cast<std::int64_t>(l.cols())};
            for (std::size_t r = 0; r != l.rows(); ++r)
                unpack_row(l.codes, r, std::span(codes).subspan(r * l.cols(), l.cols()));
        }
        auto const constant = [&](std::string_view what, std::vector<std::int64_t> of,
                                  const std::vector<std::int8_t>& values) {
            return as_int4 ? edit_.int4s(own(layer, what), std::move(of), values)
                           : edit_.int8s(own(layer, what), std::move(of), values);
        };
        std::string_view const w = constant("w_q", std::move(dims), codes);
        std::vector<float> scales;
        for (ScaleOffset s : l.weight_scales) scales.push_back(s.scale);
        std::vector<std::int64_t> const shape = shape_of_scales(scales.size());
        std::string_view const scale = edit_.floats(own(layer, "w_scale"), shape, scales);
        std::string_view const zero = constant("w_zero", shape, std::vector<std::int8_t>(scales.size(), 0));
        std::string_view const values =
            edit_.insert_before(layer.node, own(layer, "w.dequantize"), "DequantizeLinear", {w, scale, zero},
                                own(layer, "w_dq"), axis(per_channel, by_rows ? 0 : layer.axis));
        return by_rows ? from_rows(layer, values) : values;
    }
    /// [groups * out, in * taps] becomes [groups * in, out, taps...].
    std::string_view from_rows(const QuantizedNode& layer, std::string_view rows) {
        auto const groups = static_cast<std::int64_t>(layer.groups);
        std::vector<std::int64_t> split{groups, layer.dims[1], layer.dims[0] / groups}, order{0, 2, 1};
        split.insert(split.end(), layer.dims.begin() + 2, layer.dims.end());
        while (order.size() != split.size()) order.push_back(static_cast<std::int64_t>(order.size()));
        auto const step = [&](std::string_view what, std::string_view op, std::vector<std::string_view> reads,
                              AttributeList attributes = {}) {
            return edit_.insert_before(layer.node, own(layer, what), op, std::move(reads),
                                       own(layer, amct_distill::detail::concat(what, "_out")),
                                       std::move(attributes));
        };
        std::string_view const by_group =
            step("w.split", "Reshape", {rows, edit_.int64s(own(layer, "w_split"), split)});
        std::string_view const moved =
            step("w.move", "Transpose", {by_group}, {attribute("perm", std::move(order))});
        return step("w.join", "Reshape", {moved, edit_.int64s(own(layer, "w_shape"), layer.dims)});
    }

    std::string_view bias(const QuantizedNode& layer) {
        const DeployedLayer& l = *layer.layer;
        bool const per_channel = l.weight_scales.size() != 1;
        std::vector<float> scales;
        for (std::size_t c = 0; c != l.weight_scales.size(); ++c) scales.push_back(l.dequantization_scale(c));
        std::vector<std::int64_t> const shape = shape_of_scales(scales.size());
        std::string_view const b =
            edit_.int32s(own(layer, "b_q"), {static_cast<std::int64_t>(l.bias.size())}, l.bias);
        std::string_view const scale = edit_.floats(own(layer, "b_scale"), shape, scales);
        std::string_view const zero =
            edit_.int32s(own(layer, "b_zero"), shape, std::vector<std::int32_t>(scales.size(), 0));
        return edit_.insert_before(layer.node, own(layer, "b.dequantize"), "DequantizeLinear",
                                   {b, scale, zero}, own(layer, "b_dq"), axis(per_channel, 0));
    }

    /// Scale and zero point have one shape: ONNX Runtime fuses nothing else.
    static std::vector<std::int64_t> shape_of_scales(std::size_t count) {
        if (count == 1) return {};
        return {static_cast<std::int64_t>(count)};
    }
    static AttributeList axis(bool per_channel, std::size_t axis) {
        if (!per_channel) return {};
        return {attribute("axis", axis)};
    }

    GraphEdit& edit_;
    const QdqOptions& options_;
    std::map<std::tuple<std::string_view, std::uint32_t, std::int32_t, bool>, std::string_view>
        activations_{};
};

/// "`a`, `b`, `c` and 4 more".
inline std::string some_names(const std::vector<std::string_view>& names) {
    constexpr std::size_t most = 3;
    std::string out;
    for (std::size_t k = 0; k != (std::min)(names.size(), most); ++k)
        out += amct_distill::detail::concat(k == 0 ? "" : ", ", '`', names[k], '`');
    if (names.size() > most) out += amct_distill::detail::concat(" and ", names.size() - most, " more");
    return out;
}

/// What of the model some engines compute otherwise.
inline Diagnostics qdq_warnings(const QuantizedGraph& graph, const QdqOptions& options) {
    using amct_distill::detail::concat;
    Diagnostics out;
    std::vector<std::string_view> wide, pooled;
    for (const QuantizedNode& layer : graph.layers) {
        if (!has_narrow_weights(*layer.layer)) wide.push_back(layer.layer->name);
        auto const before = graph.edit.producer(layer.input);
        if (options.form == QdqForm::int4 && std::holds_alternative<Int4>(layer.layer->data_width) &&
            before && graph.edit.op(*before) == "MaxPool")
            pooled.push_back(layer.layer->name);
    }
    if (!wide.empty())
        out.push_back(general_warning(
            concat("on x86 processors without VNNI (before about 2019) ONNX Runtime adds products of 8-bit "
                   "data and weights in 16 bits, which can saturate: wrong results where weights are beyond ",
                   largest_narrow_code, ", as in ", some_names(wide),
                   "; for such processors write the weights in 7 bits, or set the session option "
                   "session.x64quantprecision to 1")));
    if (!pooled.empty())
        out.push_back(general_warning(concat(
            "ONNX Runtime (up to 1.30) refuses INT4 data after a MaxPool, as in ", some_names(pooled),
            ", unless its optimizations are `basic` or off; the form with Clip loads at every level")));
    return out;
}

}  // namespace detail

AMCT_DISTILL_ONNX_INLINE result<ModelBytes> qdq_bytes(const ModelFile& source, const Imported& imported,
                                                      const Deployment& deployment, const QdqOptions& options,
                                                      std::string data_file) {
    if (options.seven_bit_weights) {
        QdqOptions others = options;
        others.seven_bit_weights = false;
        return qdq_bytes(source, imported, with_narrow_weights(deployment), others, std::move(data_file));
    }
    bool const is_int4 = std::ranges::any_of(deployment.layers(), [](const DeployedLayer& l) {
        return std::holds_alternative<Int4>(l.data_width) || std::holds_alternative<Codes<Int4>>(l.codes);
    });
    if (options.form != QdqForm::int8 && !is_int4)
        return general_error("no layer is quantized to INT4; write the INT8 form (qdq-int8)");
    result<QuantizedGraph> graph = quantized_graph(source, imported, deployment);
    if (!graph) return graph.diagnostics();
    GraphEdit& edit = graph->edit;
    if (auto ok = convert_opset(edit, options.form == QdqForm::int8 ? 13 : 21); !ok) return ok.diagnostics();
    Diagnostics warnings = detail::qdq_warnings(*graph, options);
    detail::QdqWriter writer(edit, options);
    for (const QuantizedNode& layer : graph->layers) writer.write(layer);
    edit.set_producer("amct_distill", edit.keep(amct_distill::detail::concat(AMCT_DISTILL_VERSION_MAJOR, '.',
                                                                             AMCT_DISTILL_VERSION_MINOR, '.',
                                                                             AMCT_DISTILL_VERSION_PATCH)));
    result<ModelBytes> bytes =
        edit.finish({.data_file = std::move(data_file), .largest = options.largest_file});
    if (!bytes) return bytes.diagnostics();
    return {*std::move(bytes), std::move(warnings)};
}

AMCT_DISTILL_ONNX_INLINE result<void> export_qdq(const ModelFile& source, const Imported& imported,
                                                 const Deployment& deployment,
                                                 const std::filesystem::path& path,
                                                 const QdqOptions& options) {
    result<ModelBytes> const bytes =
        qdq_bytes(source, imported, deployment, options, path.filename().string() + ".data");
    if (!bytes) return bytes.diagnostics();
    auto written = write_model(*bytes, path);
    if (!written) return written;
    return result<void>::with_warnings(bytes.diagnostics());
}

}  // namespace amct_distill::onnx
