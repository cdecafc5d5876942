// SPDX-License-Identifier: Apache-2.0
/// Attributes of nodes that are written.
///
///     onnx::AttributeList const list{onnx::attribute("axis", 1), onnx::attribute("mode", "linear")};
///     onnx::AttributeProto const* axis = onnx::find_attribute(node, "axis");       // null: there is none
///
/// Names and texts must outlive the model, as literals do.
#pragma once
#include <concepts>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "messages.hpp"

namespace amct_distill::onnx {

using AttributeList = std::vector<AttributeProto>;

template <std::integral V>
AttributeProto attribute(std::string_view name, V value) {
    return {.name = name,
            .i = static_cast<std::int64_t>(value),
            .type = static_cast<std::int32_t>(AttributeType::integer)};
}
template <std::floating_point V>
AttributeProto attribute(std::string_view name, V value) {
    return {
        .name = name, .f = static_cast<float>(value), .type = static_cast<std::int32_t>(AttributeType::real)};
}
inline AttributeProto attribute(std::string_view name, std::vector<std::int64_t> values) {
    return {
        .name = name, .ints = std::move(values), .type = static_cast<std::int32_t>(AttributeType::integers)};
}
inline AttributeProto attribute(std::string_view name, const char* text) {
    return {
        .name = name, .s = std::string_view(text), .type = static_cast<std::int32_t>(AttributeType::string)};
}
inline AttributeProto attribute(std::string_view name, TensorProto tensor) {
    return {.name = name, .t = std::move(tensor), .type = static_cast<std::int32_t>(AttributeType::tensor)};
}

inline const AttributeProto* find_attribute(const NodeProto& node, std::string_view name) {
    for (const AttributeProto& a : node.attribute)
        if (a.name.get() == name) return &a;
    return nullptr;
}
inline std::int64_t integer_attribute(const NodeProto& node, std::string_view name, std::int64_t otherwise) {
    const AttributeProto* const a = find_attribute(node, name);
    return a != nullptr && a->i.has_value() ? *a->i : otherwise;
}

}  // namespace amct_distill::onnx
