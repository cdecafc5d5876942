// SPDX-License-Identifier: Apache-2.0
/// The shapes of a model's inputs: what the file says, what the user says, and dimension 0 as the batch.
///
///     auto in = onnx::input_shapes(graph, {{"image", {-1, 3, 224, 224}}});    // -1: the batch
///     known.set_shape(graph.inputs()[0], in->shapes[0]);                      // [N, 3, 224, 224]
///     in->exported_batch;                     // the number that stood for the batch in the file, if one did
///
/// A number in dimension 0 of the file is the batch that the exporter saw; it becomes N unless the user gives
/// a number, or `Batch::as_exported` keeps it.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../core/suggest.hpp"
#include "graph_view.hpp"
#include "import_options.hpp"
#include "size.hpp"

namespace amct_distill::onnx {

struct InputShapes {
    std::vector<Shape> shapes{};                   ///< as GraphView::inputs()
    std::optional<std::int64_t> exported_batch{};  ///< for reshape(): what targets have in place of N
};

/// A size as a file declares it: a number, or a name for any.
struct DeclaredSize {
    std::optional<std::int64_t> value{};
    std::string_view name{};
};
/// Nothing when the file does not tell the rank, or when it is no tensor.
inline std::optional<std::vector<DeclaredSize>> declared_shape(const ValueInfoProto& info) {
    if (!info.type.has_value() || !info.type->tensor_type.has_value() ||
        !info.type->tensor_type->shape.has_value())
        return std::nullopt;
    std::vector<DeclaredSize> out;
    for (const TensorShapeProto::Dimension& d : info.type->tensor_type->shape->dim) {
        DeclaredSize size;
        if (const auto* value = d.value.get_if<std::int64_t>(); value != nullptr && *value >= 0)
            size.value = *value;  // some write -1 for any
        if (const auto* name = d.value.get_if<std::string_view>()) size.name = *name;
        out.push_back(size);
    }
    return out;
}

namespace detail {

/// A declared shape as a message prints it: "[batch, 3, ?, 8]".
inline std::string to_string(const std::vector<DeclaredSize>& shape) {
    std::string out = "[";
    for (const DeclaredSize& d : shape) {
        if (out.size() > 1) out += ", ";
        if (d.value)
            out += amct_distill::detail::concat(*d.value);
        else
            out += d.name.empty() ? "?" : d.name;
    }
    return out + "]";
}

/// The user's shape of one input, compared with the file's.
inline result<Shape> user_shape(const GraphView& graph, std::string_view input,
                                const std::vector<std::int64_t>& given,
                                const std::optional<std::vector<DeclaredSize>>& declared) {
    using amct_distill::detail::concat;
    auto const wrong = [&](const auto&... pieces) {
        return graph.error(concat("the shape given for the input `", input, "` ", pieces...));
    };
    Shape out;
    for (std::int64_t d : given) {
        if (d < -1) return wrong("has the size ", d, "; -1 is the batch");
        out.push_back(d == -1 ? Size::of_batch() : Size(d));
    }
    if (declared && declared->size() != given.size())
        return wrong("has ", given.size(), " sizes; the model has ", to_string(*declared));
    for (std::size_t i = 1; declared && i < given.size(); ++i)
        if (std::optional<std::int64_t> const fixed = (*declared)[i].value; fixed && *fixed != given[i])
            return wrong("has ", given[i], " as size ", i, "; the model has ", to_string(*declared));
    return out;
}

/// The file's shape of one input; sizes that it leaves open, but for the batch's, are errors.
inline result<Shape> file_shape(const GraphView& graph, std::string_view input,
                                const std::optional<std::vector<DeclaredSize>>& declared,
                                std::string_view batch_name, bool free_batch) {
    using amct_distill::detail::concat;
    if (!declared)
        return graph.error(concat("the model does not tell the shape of its input `", input, "`; give it"));
    Shape out;
    std::string open;
    for (std::size_t i = 0; i != declared->size(); ++i) {
        const DeclaredSize& d = (*declared)[i];
        bool const is_batch = i == 0 ? !d.value || free_batch : !d.name.empty() && d.name == batch_name;
        if (is_batch)
            out.push_back(Size::of_batch());
        else if (d.value)
            out.push_back(*d.value);
        else
            open += concat(open.empty() ? "" : ", ", i);
    }
    if (open.empty()) return out;
    return graph.error(concat("the input `", input, "` is ", to_string(*declared),
                              ": give its shape; the model leaves open size ", open));
}

}  // namespace detail

/// Errors, all at once: names that are no inputs, shapes that contradict the file, sizes that nobody tells.
/// `constants`: inputs that somebody gives values for; their shapes are left empty, and tell nothing of the
/// batch.
inline result<InputShapes> input_shapes(const GraphView& graph, const UserShapes& given = {},
                                        Batch batch = Batch::free, std::span<const TensorId> constants = {}) {
    using amct_distill::detail::concat;
    Diagnostics errors;
    std::vector<std::string_view> names;
    for (TensorId t : graph.inputs()) names.push_back(graph.tensor(t).name);
    for (auto const& [name, shape] : given)
        if (TensorId const t = graph.find(name); t == none || !graph.tensor(t).is_input) {
            std::string_view const meant = amct_distill::detail::nearest(name, names);
            errors.push_back(graph.error(
                concat("a shape is given for `", name, "`, which is no input of the model",
                       meant.empty() ? "" : "; did you mean `", meant, meant.empty() ? "" : "`?")));
        }

    // The batch is free when all inputs have the same number, or none, in dimension 0.
    InputShapes out;
    bool free_batch = batch == Batch::free;
    std::string_view batch_name;
    auto const is_constant = [&](TensorId t) { return std::ranges::find(constants, t) != constants.end(); };
    for (TensorId t : graph.inputs()) {
        auto const declared = declared_shape(*graph.tensor(t).info);
        if (!declared || declared->empty() || is_constant(t)) continue;
        const DeclaredSize& first = declared->front();
        if (batch_name.empty()) batch_name = first.name;
        if (!first.value) continue;
        if (out.exported_batch && out.exported_batch != first.value) free_batch = false;
        out.exported_batch = first.value;
    }
    for (TensorId t : graph.inputs()) {
        if (is_constant(t)) {
            out.shapes.emplace_back();
            continue;
        }
        const GraphTensor& tensor = graph.tensor(t);
        if (tensor.info->type.has_value() && !tensor.info->type->tensor_type.has_value()) {
            errors.push_back(graph.error(concat("the input `", tensor.name,
                                                "` is a sequence or an optional value; expected a tensor")));
            continue;
        }
        auto const declared = declared_shape(*tensor.info);
        auto const said = given.find(tensor.name);
        result<Shape> shape = said != given.end()
                                  ? detail::user_shape(graph, tensor.name, said->second, declared)
                                  : detail::file_shape(graph, tensor.name, declared, batch_name, free_batch);
        if (!shape)
            errors.insert(errors.end(), shape.diagnostics().begin(), shape.diagnostics().end());
        else
            out.shapes.push_back(*std::move(shape));
    }
    if (!free_batch) out.exported_batch.reset();
    if (!errors.empty()) return errors;
    return out;
}

}  // namespace amct_distill::onnx
