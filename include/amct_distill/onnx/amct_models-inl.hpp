// SPDX-License-Identifier: Apache-2.0
/// The definitions of amct_models.hpp.
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
#include "../deploy/record.hpp"
#include "amct_graph.hpp"
#include "amct_models.hpp"
#include "ascend.hpp"
#include "model_bytes.hpp"
#include "model_file.hpp"
#include "opset_conversion.hpp"

namespace amct_distill::onnx {

namespace detail {

/// What both models have in common: who shares the codes of one activation.
class AmctWriter {
public:
    explicit AmctWriter(QuantizedGraph& graph) : graph_(graph), edit_(graph.edit) {}

protected:
    template <class... Pieces>
    std::string_view text(const Pieces&... pieces) {
        return edit_.keep(amct_distill::detail::concat(pieces...));
    }
    /// Layers that quantize one value in one way read the same codes; make() makes those of the first.
    template <class Make>
    void quantize_input(const QuantizedNode& layer, Make make) {
        std::string_view const input = edit_.input(layer.node, 0);
        const DeployedLayer& of = *layer.layer;
        auto const [at, is_new] = quantized_.try_emplace(
            {input, std::bit_cast<std::uint32_t>(of.data.scale), of.data.offset, name_of(of.data_width)});
        if (is_new) at->second = make(input);
        edit_.set_input(layer.node, 0, at->second);
    }
    void set_weight(const QuantizedNode& layer, TensorProto weight, const AmctWeight& values) {
        weight.name = text(layer.layer->name, ".sub_module.weight");
        weight.dims = values.dims;
        edit_.set_input(layer.node, 1, edit_.add_initializer(std::move(weight)));
        if (edit_.op(layer.node) == "Gemm") edit_.set_attribute(layer.node, attribute("transB", 0));
    }
    /// Of a MatMul in the Add after it, else input 2.
    void set_bias(const QuantizedNode& layer, std::string_view bias) {
        if (layer.bias_add)
            edit_.set_inputs(*layer.bias_add, {edit_.node(layer.node).output.front(), bias});
        else
            edit_.set_input(layer.node, 2, bias);
    }

    QuantizedGraph& graph_;
    GraphEdit& edit_;

private:
    std::map<std::tuple<std::string_view, std::uint32_t, std::int32_t, std::string_view>, std::string_view>
        quantized_{};
};

class DeployWriter : AmctWriter {
public:
    using AmctWriter::AmctWriter;

    void run() {
        for (const QuantizedNode& layer : graph_.layers) {
            quantize_input(layer, [&](std::string_view input) { return ascend_quant(layer, input); });
            write_weight(layer);
            QuantizedNode summed = layer;
            // An Add of INT4's sums and a bias has no type in common: it comes after them, in float.
            bool const apart = layer.bias_add && is_int4(layer);
            if (apart) summed.bias_add = {};
            if (!apart) write_bias(layer);
            std::string_view const sum = put_after(edit_, summed, text(layer.layer->name, ".dequant"),
                                                   "AscendDequant", factors(layer), {attribute("dtype", 0)});
            if (apart) write_float_bias(layer, sum);
        }
    }

private:
    static bool is_int4(const QuantizedNode& layer) { return name_of(layer.layer->data_width) == Int4::name; }
    std::string_view ascend_quant(const QuantizedNode& layer, std::string_view input) {
        const DeployedLayer& of = *layer.layer;
        return edit_.insert_before(
            layer.node, text(of.name, ".quant"), "AscendQuant", {input}, text(of.name, ".quant.output0"),
            {attribute("scale", 1 / of.data.scale), attribute("offset", static_cast<float>(of.data.offset)),
             attribute("dst_type", is_int4(layer) ? "INT4" : "INT8")});
    }
    void write_weight(const QuantizedNode& layer) {
        AmctWeight weight = amct_weight(layer, edit_.op(layer.node));
        if (name_of(layer.layer->codes) == Int4::name) weight = pack_pairs(weight, weight.input_axis);
        set_weight(layer,
                   {.data_type = static_cast<std::int32_t>(ElementType::int8),
                    .raw_data = edit_.keep(raw_bytes<std::int8_t>(weight.codes))},
                   weight);
    }
    void write_bias(const QuantizedNode& layer) {
        const DeployedLayer& of = *layer.layer;
        if (of.bias.empty()) return;
        std::string_view bias =
            edit_.add_initializer({.dims = {static_cast<std::int64_t>(of.bias.size())},
                                   .data_type = static_cast<std::int32_t>(ElementType::int32),
                                   .int32_data = of.bias,
                                   .name = text(of.name, ".sub_module.bias")});
        if (is_int4(layer))
            bias = edit_.insert_before(layer.node, text(of.name, ".bias_quant"), "Cast", {bias},
                                       text(of.name, ".bias_quant.output0"), {attribute("to", 1)});
        set_bias(layer, bias);
    }
    void write_float_bias(const QuantizedNode& layer, std::string_view sum) {
        const DeployedLayer& of = *layer.layer;
        std::vector<float> bias;
        for (std::size_t c = 0; c != of.bias.size(); ++c)
            bias.push_back(static_cast<float>(of.bias[c]) * of.dequantization_scale(c));
        edit_.set_inputs(*layer.bias_add,
                         {sum, edit_.floats(text(of.name, ".sub_module.bias"),
                                            {static_cast<std::int64_t>(bias.size())}, bias)});
    }
    /// scale_d * scale_w as the lower half of 64 bits; shift and offset in the upper are 0.
    std::string_view factors(const QuantizedNode& layer) {
        const DeployedLayer& of = *layer.layer;
        std::vector<std::uint64_t> bits;
        for (std::size_t c = 0; c != of.weight_scales.size(); ++c)
            bits.push_back(std::bit_cast<std::uint32_t>(of.dequantization_scale(c)));
        auto const size = static_cast<std::int64_t>(bits.size());
        return edit_.add_initializer({.dims = {size},
                                      .data_type = static_cast<std::int32_t>(ElementType::uint64),
                                      .name = text(of.name, ".dequant.param"),
                                      .uint64_data = std::move(bits)});
    }
};

class FakeQuantWriter : AmctWriter {
public:
    using AmctWriter::AmctWriter;

    void run() {
        for (const QuantizedNode& layer : graph_.layers) {
            const DeployedLayer& of = *layer.layer;
            quantize_input(layer, [&](std::string_view input) { return codes_of(layer, input); });
            AmctWeight const weight = amct_weight(layer, edit_.op(layer.node));
            std::vector<float> const values(weight.codes.begin(), weight.codes.end());
            set_weight(layer,
                       {.data_type = static_cast<std::int32_t>(ElementType::float32),
                        .raw_data = edit_.keep(raw_bytes<float>(values))},
                       weight);
            if (!of.bias.empty())
                set_bias(layer, edit_.floats(text(of.name, ".sub_module.bias"),
                                             {static_cast<std::int64_t>(of.bias.size())},
                                             {of.bias.begin(), of.bias.end()}));
            put_after(edit_, layer, text(of.name, ".fakedequant.mul"), "Mul", factors(layer), {});
        }
    }

private:
    std::string_view constant(const QuantizedNode& layer, std::string_view what,
                              std::vector<std::int64_t> dims, std::vector<float> values) {
        std::string_view const name = text(layer.layer->name, what);
        return edit_.insert_before(
            layer.node, name, "Constant", {}, text(name, ".output0"),
            {attribute("value", TensorProto{.dims = std::move(dims),
                                            .data_type = static_cast<std::int32_t>(ElementType::float32),
                                            .float_data = std::move(values)})});
    }
    /// The codes of the input less their offset, in float32.
    std::string_view codes_of(const QuantizedNode& layer, std::string_view input) {
        const DeployedLayer& of = *layer.layer;
        auto const [lowest, highest] = std::visit(
            []<class B>(B) { return std::pair(static_cast<float>(B::qmin), static_cast<float>(B::qmax)); },
            of.data_width);
        auto const number = [&](std::string_view what, float value) {
            return constant(layer, text(".quant.fakequant.", what), {}, {value});
        };
        auto const step = [&](std::string_view what, std::string_view op,
                              std::vector<std::string_view> reads) {
            std::string_view const name = text(of.name, ".quant.fakequant.", what);
            return edit_.insert_before(layer.node, name, op, std::move(reads), text(name, ".output0"));
        };
        std::string_view const scale = number("scale", 1 / of.data.scale);
        std::string_view const offset = number("offset", static_cast<float>(of.data.offset));
        std::string_view const least = number("min_val", lowest), most = number("max_val", highest);
        std::string_view x = step("mul", "Mul", {input, scale});
        x = step("round", "Round", {x});
        x = step("add", "Add", {x, offset});
        x = step("clip", "Clip", {x, least, most});
        return step("sub", "Sub", {x, offset});
    }
    /// [1, C, 1, 1], or [1, C] where channels come last; C is 1 where one scale serves all.
    std::string_view factors(const QuantizedNode& layer) {
        const DeployedLayer& of = *layer.layer;
        std::vector<float> values;
        for (std::size_t c = 0; c != of.weight_scales.size(); ++c)
            values.push_back(of.dequantization_scale(c));
        std::string_view const op = edit_.op(layer.node);
        std::vector<std::int64_t> dims(op == "Gemm" || op == "MatMul" ? 2 : layer.dims.size(), 1);
        dims[1] = static_cast<std::int64_t>(values.size());
        return constant(layer, ".fakedequant.dqscale", std::move(dims), std::move(values));
    }
};

}  // namespace detail

AMCT_DISTILL_ONNX_INLINE ScaleOffsetRecord amct_record(const Deployment& deployment) {
    ScaleOffsetRecord record = make_record(deployment);
    // With dst_type alone the passes would store weights of 4 bits in a type that ATC's opset has not.
    for (MapFiledEntry& entry : record.record) entry.value->dst_type = {};
    return record;
}

AMCT_DISTILL_ONNX_INLINE result<ModelBytes> deploy_bytes(const ModelFile& source, const Imported& imported,
                                                         const Deployment& deployment,
                                                         const AmctOptions& options, std::string data_file) {
    result<QuantizedGraph> graph = detail::amct_graph(source, imported, deployment);
    if (!graph) return graph.diagnostics();
    Diagnostics found = check_ascend(*graph);
    for (Diagnostic& d : found) d.source = source.source();
    bool const refused =
        std::ranges::any_of(found, [](const Diagnostic& d) { return d.severity == Severity::error; });
    if (refused) return found;
    detail::DeployWriter(*graph).run();
    result<ModelBytes> bytes =
        graph->edit.finish({.data_file = std::move(data_file), .largest = options.largest_file});
    if (!bytes) return bytes;
    return {*std::move(bytes), std::move(found)};
}

AMCT_DISTILL_ONNX_INLINE result<ModelBytes> fake_quant_bytes(const ModelFile& source,
                                                             const Imported& imported,
                                                             const Deployment& deployment,
                                                             const AmctOptions& options,
                                                             std::string data_file) {
    result<QuantizedGraph> graph = detail::amct_graph(source, imported, deployment);
    if (!graph) return graph.diagnostics();
    constexpr std::int64_t least = 11;  // that has Round
    if (graph->edit.opset() < least)
        if (auto ok = convert_opset(graph->edit, least); !ok) return ok.diagnostics();
    detail::FakeQuantWriter(*graph).run();
    return graph->edit.finish({.data_file = std::move(data_file), .largest = options.largest_file});
}

namespace detail {
/// Writes what is there, and hands its warnings on.
inline result<void> write_amct(const result<ModelBytes>& bytes, const std::filesystem::path& path) {
    if (!bytes) return bytes.diagnostics();
    if (auto written = write_model(*bytes, path); !written) return written;
    return result<void>::with_warnings(bytes.diagnostics());
}
}  // namespace detail

AMCT_DISTILL_ONNX_INLINE result<void> export_deploy_model(const ModelFile& source, const Imported& imported,
                                                          const Deployment& deployment,
                                                          const std::filesystem::path& path,
                                                          const AmctOptions& options) {
    return detail::write_amct(
        deploy_bytes(source, imported, deployment, options, path.filename().string() + ".data"), path);
}
AMCT_DISTILL_ONNX_INLINE result<void> export_fake_quant_model(const ModelFile& source,
                                                              const Imported& imported,
                                                              const Deployment& deployment,
                                                              const std::filesystem::path& path,
                                                              const AmctOptions& options) {
    return detail::write_amct(
        fake_quant_bytes(source, imported, deployment, options, path.filename().string() + ".data"), path);
}

}  // namespace amct_distill::onnx
