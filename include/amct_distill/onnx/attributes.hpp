// SPDX-License-Identifier: Apache-2.0
/// A node's attributes, asked for by name and type; what nobody asked for is told.
///
///     onnx::Attributes a(*node.proto);
///     std::int64_t const axis = a.integer("axis", -1);
///     std::vector<std::int64_t> const pads = a.integers("pads").value_or(...);
///     if (auto wrong = a.error()) return graph.error(n, *wrong);        // wrong types, unknown attributes
///
/// An operator that overlooked an attribute would compute something else without a word: so error() names
/// those that were set and not asked for.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../core/concat.hpp"
#include "messages.hpp"

namespace amct_distill::onnx {

/// Of a dimension, a stride, a pad: more are refused.
inline constexpr std::int64_t largest_size = std::int64_t{1} << 30;
/// Of a list that has a number, or two, for each dimension of a tensor.
inline constexpr std::size_t longest_list = 64;

class Attributes {
public:
    explicit Attributes(const NodeProto& node) : node_(&node), asked_(node.attribute.size(), false) {}

    bool has(std::string_view name) { return find(name) != nullptr; }
    std::int64_t integer(std::string_view name, std::int64_t otherwise) {
        return integer(name).value_or(otherwise);
    }
    std::optional<std::int64_t> integer(std::string_view name) {
        const AttributeProto* const a = find(name, AttributeType::integer, "an integer");
        if (a == nullptr) return std::nullopt;
        return checked(name, a->i.get());
    }
    float real(std::string_view name, float otherwise) {
        const AttributeProto* const a = find(name, AttributeType::real, "a float");
        return a != nullptr ? a->f.get() : otherwise;
    }
    std::string_view text(std::string_view name, std::string_view otherwise = {}) {
        const AttributeProto* const a = find(name, AttributeType::string, "a text");
        return a != nullptr ? a->s.get() : otherwise;
    }
    std::optional<std::vector<std::int64_t>> integers(std::string_view name) {
        const AttributeProto* const a = find(name, AttributeType::integers, "a list of integers");
        if (a == nullptr) return std::nullopt;
        bool const any_length = name == "split" || name.starts_with("value");
        std::size_t const n = any_length ? a->ints.size() : (std::min)(a->ints.size(), longest_list);
        if (n != a->ints.size() && wrong_.empty())
            wrong_ = amct_distill::detail::concat("attribute `", name, "` has ", a->ints.size(),
                                                  " numbers, more than any tensor has dimensions");
        std::vector<std::int64_t> out;
        out.reserve(n);
        for (std::size_t i = 0; i != n; ++i) out.push_back(checked(name, a->ints[i]));
        return out;
    }
    std::optional<std::vector<float>> reals(std::string_view name) {
        const AttributeProto* const a = find(name, AttributeType::reals, "a list of floats");
        return a != nullptr ? std::optional(a->floats) : std::nullopt;
    }
    /// Null when it is not set.
    const TensorProto* tensor(std::string_view name) {
        const AttributeProto* const a = find(name, AttributeType::tensor, "a tensor");
        return a != nullptr && a->t ? &*a->t : nullptr;
    }
    /// Attributes that mean nothing here, whatever they are.
    void ignore(std::string_view name) { find(name); }

    /// The first attribute of a wrong type, or all that were set and not asked for.
    std::optional<std::string> error() const {
        using amct_distill::detail::concat;
        if (!wrong_.empty()) return wrong_;
        std::string unknown;
        for (std::size_t i = 0; i != asked_.size(); ++i)
            if (!asked_[i])
                unknown += concat(unknown.empty() ? "`" : ", `", node_->attribute[i].name.get(), "`");
        if (unknown.empty()) return std::nullopt;
        return concat("unknown attribute ", unknown, "; the result would be another one without it");
    }

private:
    /// Sizes, strides, pads ... beyond largest_size are no real model's, and their products would overflow:
    /// an error, and cut to the first that is too large. Ends of slices may be any number, as may constants.
    std::int64_t checked(std::string_view name, std::int64_t i) {
        bool const any = name == "starts" || name == "ends" || name.starts_with("value");
        if (any || (i <= largest_size && i >= -largest_size)) return i;
        if (wrong_.empty())
            wrong_ = amct_distill::detail::concat("attribute `", name, "`: ", i, " is too large");
        return i > 0 ? largest_size + 1 : -largest_size - 1;
    }
    const AttributeProto* find(std::string_view name) {
        for (std::size_t i = 0; i != asked_.size(); ++i)
            if (node_->attribute[i].name.get() == name) {
                asked_[i] = true;
                return &node_->attribute[i];
            }
        return nullptr;
    }
    /// Writers of old leave the type out.
    const AttributeProto* find(std::string_view name, AttributeType type, std::string_view what) {
        const AttributeProto* const a = find(name);
        if (a == nullptr || !a->type.has_value() || *a->type == 0 ||
            *a->type == static_cast<std::int32_t>(type))
            return a;
        if (wrong_.empty())
            wrong_ = amct_distill::detail::concat("attribute `", name, "` is not ", what, ", but of type ",
                                                  *a->type);
        return nullptr;
    }

    const NodeProto* node_;
    std::vector<bool> asked_;
    std::string wrong_{};
};

}  // namespace amct_distill::onnx
