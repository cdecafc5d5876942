// SPDX-License-Identifier: Apache-2.0
/// A model's operators as a later version of ONNX spells them.
///
///     onnx::GraphEdit edit(model);                          // of opset 9
///     onnx::convert_opset(edit, 13).value();                // Squeeze's axes are an input now, ...
///
/// Only nodes whose spelling changed are touched; the numbers stay the same. An earlier version cannot be
/// asked for: a model of a later one stays as it is. Errors name the node.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "graph_edit.hpp"
#include "tensor_values.hpp"
#include "to_bytes.hpp"

namespace amct_distill::onnx {
namespace detail {

class OpsetConverter {
public:
    using Node = GraphEdit::Node;
    using Problem = std::optional<std::string>;

    explicit OpsetConverter(GraphEdit& edit) : edit_(edit) {}

    /// Nodes become those of `version`, those of the version before it.
    result<void> to(std::int64_t version) {
        Diagnostics errors;
        std::size_t const count = edit_.nodes();  // what is made here is of the new version
        for (Node n = 0; n != count; ++n) {
            // A node without outputs computes nothing, and is not written.
            if (!edit_.has(n) || edit_.node(n).output.empty() || !edit_.node(n).domain.get().empty())
                continue;
            for (const Rule& rule : rules())
                if (rule.version == version && rule.op == edit_.op(n)) {
                    if (Problem const problem = (this->*rule.convert)(n))
                        errors.push_back(error(n, version, *problem));
                    break;
                }
        }
        if (!errors.empty()) return errors;
        return {};
    }

private:
    struct Rule {
        std::string_view op;
        std::int64_t version;
        Problem (OpsetConverter::*convert)(Node);
    };
    static std::span<const Rule> rules();

    Diagnostic error(Node n, std::int64_t version, std::string_view problem) const {
        const NodeProto& node = edit_.node(n);
        std::string_view const name = node.name.get().empty() ? node.output.front() : node.name.get();
        Diagnostic d = general_error(amct_distill::detail::concat(
            "node `", name, "` (", edit_.op(n), ") is not converted to opset ", version, ": ", problem));
        d.source = edit_.source().source();
        return d;
    }
    /// What a constant of the node is called.
    std::string own(Node n, std::string_view what) const {
        const NodeProto& node = edit_.node(n);
        return amct_distill::detail::concat(node.name.get().empty() ? node.output.front() : node.name.get(),
                                            '/', what);
    }
    std::optional<std::vector<std::int64_t>> integers(Node n, std::string_view name) const {
        const AttributeProto* const a = find_attribute(edit_.node(n), name);
        return a == nullptr ? std::nullopt : std::optional(a->ints);
    }
    void integers_to_input(Node n, std::string_view name, std::size_t input) {
        if (auto const values = integers(n, name)) {
            edit_.set_input(n, input, edit_.int64s(own(n, name), *values));
            edit_.remove_attribute(n, name);
        }
    }
    void float_to_input(Node n, std::string_view name, std::size_t input) {
        if (const AttributeProto* const a = find_attribute(edit_.node(n), name)) {
            float const value = a->f.get();
            edit_.set_input(n, input, edit_.floats(own(n, name), {}, {value}));
            edit_.remove_attribute(n, name);
        }
    }

    Problem drop_spatial(Node n) {
        if (integer_attribute(edit_.node(n), "spatial", 1) == 0)
            return "its statistics are not per channel (spatial 0)";
        edit_.remove_attribute(n, "spatial");
        return {};
    }
    Problem scales_to_input(Node n) {
        const AttributeProto* const scales = find_attribute(edit_.node(n), "scales");
        if (scales == nullptr) return "it has no scales";
        std::vector<float> const values = scales->floats;
        edit_.set_input(n, 1,
                        edit_.floats(own(n, "scales"), {static_cast<std::int64_t>(values.size())}, values));
        edit_.remove_attribute(n, "scales");
        return {};
    }
    Problem upsample_to_resize(Node n) {
        edit_.set_op(n, "Resize");
        return {};
    }
    Problem resize_of_10(Node n) {
        std::string_view const scales = edit_.input(n, 1);
        edit_.set_inputs(n, {edit_.input(n, 0), edit_.floats(own(n, "roi"), {0}, {}), scales});
        edit_.set_attribute(n, attribute("coordinate_transformation_mode", "asymmetric"));
        if (const AttributeProto* const mode = find_attribute(edit_.node(n), "mode");
            mode == nullptr || mode->s.get() == "nearest")
            edit_.set_attribute(n, attribute("nearest_mode", "floor"));
        return {};
    }
    Problem slice_to_inputs(Node n) {
        if (!integers(n, "starts") || !integers(n, "ends")) return "it has no starts or ends";
        integers_to_input(n, "starts", 1);
        integers_to_input(n, "ends", 2);
        integers_to_input(n, "axes", 3);
        return {};
    }
    Problem clip_to_inputs(Node n) {
        float_to_input(n, "min", 1);
        float_to_input(n, "max", 2);
        return {};
    }
    Problem pad_to_inputs(Node n) {
        if (!integers(n, "pads")) return "it has no pads";
        integers_to_input(n, "pads", 1);
        float_to_input(n, "value", 2);
        return {};
    }
    Problem drop_ratio(Node n) {
        edit_.remove_attribute(n, "ratio");
        return {};
    }
    Problem axes_to_input(Node n) {
        integers_to_input(n, "axes", 1);
        return {};
    }
    Problem split_to_input(Node n) {
        integers_to_input(n, "split", 1);
        return {};
    }
    Problem split_in_equal_parts(Node n) {
        if (edit_.input(n, 1).empty())
            edit_.set_attribute(n, attribute("num_outputs", edit_.node(n).output.size()));
        return {};
    }
    Problem grid_sample_mode(Node n) {
        const AttributeProto* const mode = find_attribute(edit_.node(n), "mode");
        std::string_view const old = mode == nullptr ? "bilinear" : mode->s.get();
        if (old == "bilinear") edit_.set_attribute(n, attribute("mode", "linear"));
        if (old == "bicubic") edit_.set_attribute(n, attribute("mode", "cubic"));
        return {};
    }
    /// Up to 12 it took its input as a matrix, the dimensions from `axis` on being one; then a single one.
    Problem softmax_of_matrix(Node n) {
        std::int64_t const axis = integer_attribute(edit_.node(n), "axis", 1);
        std::optional<std::size_t> const rank = rank_of(edit_.input(n, 0));
        bool const last = axis == -1 || (rank && axis == static_cast<std::int64_t>(*rank) - 1);
        if (last) {
            edit_.set_attribute(n, attribute("axis", axis));
            return {};
        }
        std::string_view const x = edit_.input(n, 0), y = edit_.node(n).output.front();
        std::string_view const shape = edit_.insert_before(n, own(n, "Shape"), "Shape", {x}, own(n, "shape"));
        std::string_view const matrix = edit_.insert_before(n, own(n, "Flatten"), "Flatten", {x},
                                                            own(n, "matrix"), {attribute("axis", axis)});
        std::string_view const rows = edit_.new_value(own(n, "rows"));
        edit_.set_inputs(n, {matrix});
        edit_.set_attribute(n, attribute("axis", 1));
        edit_.set_output(n, 0, rows);
        edit_.insert_maker_of(y, n, own(n, "Reshape"), "Reshape", {rows, shape});
        return {};
    }
    /// Of a value, as far as the model tells, or what makes it does.
    std::optional<std::size_t> rank_of(std::string_view value) const {
        for (const auto* list : {&edit_.inputs(), &edit_.outputs(), &edit_.source().graph().value_info})
            for (const ValueInfoProto& v : *list)
                if (v.name.get() == value && v.type.has_value() && v.type->tensor_type.has_value() &&
                    v.type->tensor_type->shape.has_value())
                    return v.type->tensor_type->shape->dim.size();
        if (auto const maker = edit_.producer(value);
            maker && (edit_.op(*maker) == "Gemm" || edit_.op(*maker) == "Flatten"))
            return 2;
        return std::nullopt;
    }
    /// Scale and bias were one for each group, and are one for each channel.
    Problem group_norm_per_channel(Node) {
        return std::string(
            "its scale and bias are one for each group there, and one for each channel from 21 on; export it "
            "as InstanceNormalization, or by another exporter");
    }

    GraphEdit& edit_;
};

inline std::span<const OpsetConverter::Rule> OpsetConverter::rules() {
    using C = OpsetConverter;
    static constexpr std::array all{
        Rule{"BatchNormalization", 9, &C::drop_spatial},
        Rule{"Upsample", 9, &C::scales_to_input},
        Rule{"Upsample", 10, &C::upsample_to_resize},
        Rule{"Slice", 10, &C::slice_to_inputs},
        Rule{"Resize", 11, &C::resize_of_10},
        Rule{"Clip", 11, &C::clip_to_inputs},
        Rule{"Pad", 11, &C::pad_to_inputs},
        Rule{"Dropout", 12, &C::drop_ratio},
        Rule{"Squeeze", 13, &C::axes_to_input},
        Rule{"Unsqueeze", 13, &C::axes_to_input},
        Rule{"ReduceSum", 13, &C::axes_to_input},
        Rule{"Split", 13, &C::split_to_input},
        Rule{"Softmax", 13, &C::softmax_of_matrix},
        Rule{"LogSoftmax", 13, &C::softmax_of_matrix},
        Rule{"Hardmax", 13, &C::softmax_of_matrix},
        Rule{"ReduceL1", 18, &C::axes_to_input},
        Rule{"ReduceL2", 18, &C::axes_to_input},
        Rule{"ReduceLogSum", 18, &C::axes_to_input},
        Rule{"ReduceLogSumExp", 18, &C::axes_to_input},
        Rule{"ReduceMax", 18, &C::axes_to_input},
        Rule{"ReduceMean", 18, &C::axes_to_input},
        Rule{"ReduceMin", 18, &C::axes_to_input},
        Rule{"ReduceProd", 18, &C::axes_to_input},
        Rule{"ReduceSumSquare", 18, &C::axes_to_input},
        Rule{"Split", 18, &C::split_in_equal_parts},
        Rule{"GridSample", 20, &C::grid_sample_mode},
        Rule{"GroupNormalization", 21, &C::group_norm_per_channel},
    };
    return all;
}

}  // namespace detail

/// The oldest that is converted.
inline constexpr std::int64_t oldest_converted_opset = 7;

/// The least version of the operators is `least` then, and that of the file's format goes with it.
inline result<void> convert_opset(GraphEdit& edit, std::int64_t least) {
    std::int64_t const from = edit.opset();
    if (from < least) {
        if (from < oldest_converted_opset) {
            Diagnostic d = general_error(amct_distill::detail::concat(
                "the model is of opset ", from, "; those from ", oldest_converted_opset, " on become ", least,
                "; convert it with onnx.version_converter first"));
            d.source = edit.source().source();
            return d;
        }
        detail::OpsetConverter converter(edit);
        for (std::int64_t version = from + 1; version <= least; ++version)
            if (auto ok = converter.to(version); !ok) return ok;
    }
    std::int64_t const opset = (std::max)(from, least);
    edit.set_opset(opset, ir_version_of(opset));
    return {};
}

}  // namespace amct_distill::onnx
