// SPDX-License-Identifier: Apache-2.0
/// ONNX's operators that change a tensor's shape or nothing: Reshape, Flatten, Squeeze, Unsqueeze, Identity,
/// Dropout, Cast.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "../../nn/layers/reshape.hpp"
#include "../../nn/layers/rounding.hpp"
#include "../moved_batch.hpp"
#include "../operation.hpp"

namespace amct_distill::onnx::detail {

/// The first input in another shape of as many values.
inline void reshape_to(Operation& o, const Shape& to) {
    if (reshape_moved(o, to)) return;
    std::optional<nn::Shape> shape = network_shape(to);
    if (!shape)
        return o.fail(amct_distill::detail::concat("the result would be ", onnx::to_string(to),
                                                   "; expected the batch in dimension 0 alone, and sizes of "
                                                   "at least 1: give the inputs fixed shapes "
                                                   "(--shape NAME=..., or Batch::as_exported)"));
    o.result_is_scalar(to.empty());
    if (*shape == o.shape(0)) return o.result_is(o.value(0));  // [] as [1], or nothing changes
    if (shape->front() == nn::any_batch)
        o.function(nn::Reshape(nn::Shape(shape->begin() + 1, shape->end())), {0});
    else
        o.function(nn::Reshape::whole(*std::move(shape)), {0});
}

inline void convert_reshape(Operation& o) {
    bool const as_attribute = o.opset() < 5;
    o.at_most(as_attribute ? 1 : 2);
    Shape target;
    if (as_attribute) {
        std::optional<std::vector<std::int64_t>> const given = o.attributes().integers("shape");
        if (!given) return o.fail("its shape is missing");
        target.assign(given->begin(), given->end());
    } else {
        target = o.sizes(1);
    }
    bool const allow_zero = o.attributes().integer("allowzero", 0) != 0;
    o.attributes().ignore("consumed_inputs");
    Shape const from = o.model_shape(0);
    if (o.failed()) return;
    result<Shape> const to = onnx::reshape(from, target, allow_zero, o.exported_batch());
    if (!to) return o.fail(to.diagnostics().front().message);
    reshape_to(o, *to);
}

inline void convert_flatten(Operation& o) {
    o.at_most(1);
    Shape const from = o.model_shape(0);
    std::int64_t const given = o.attributes().integer("axis", 1);
    auto const rank = static_cast<std::int64_t>(from.size());
    if (o.failed()) return;
    if (given < -rank || given > rank)  // the end is one more place to cut
        return o.fail(amct_distill::detail::concat("axis ", given, " is no place in ", rank, " dimensions"));
    std::int64_t const axis = given < 0 ? given + rank : given;
    std::optional<Size> const rows = product(std::span(from).first(static_cast<std::size_t>(axis))),
                              columns = product(std::span(from).subspan(static_cast<std::size_t>(axis)));
    if (!rows || !columns) return o.fail("the tensor is too large");
    Shape const to{*rows, *columns};
    if (axis != 1 || rank < 2) return reshape_to(o, to);
    if (!reshape_moved(o, to)) o.function(nn::Flatten{}, {0});
}

/// The axes of Squeeze and Unsqueeze, an attribute until opset 12 and an input since 13, in order; `rank`:
/// how many dimensions they count, given how many axes there are.
template <class Rank>
std::optional<nn::Shape> given_axes(Operation& o, const Rank& rank) {
    bool const as_attribute = o.opset() < 13;
    o.at_most(as_attribute ? 1 : 2);
    std::optional<std::vector<std::int64_t>> axes;
    if (as_attribute)
        axes = o.attributes().integers("axes");
    else if (o.attributes().has("axes"))
        o.fail("its axes are an input since opset 13");
    else if (o.has(1))
        axes = o.integers(1);
    if (!axes) return std::nullopt;
    nn::Shape dims;
    for (std::int64_t axis : *axes)
        dims.push_back(static_cast<nn::Index>(o.axis_of(axis, rank(axes->size()))));
    std::ranges::sort(dims);
    if (std::ranges::adjacent_find(dims) != dims.end()) o.fail("it has the same axis twice");
    return dims;
}

inline void convert_squeeze(Operation& o) {
    Shape const from = o.model_shape(0);
    std::optional<nn::Shape> dims = given_axes(o, [&](std::size_t) { return from.size(); });
    if (o.failed()) return;
    if (!dims) {
        if (o.exported_batch() == 1)
            return o.fail(
                "without axes it would take the batch of 1 away; give the inputs fixed shapes "
                "(--shape NAME=..., or Batch::as_exported)");
        dims.emplace();
        for (std::size_t d = 0; d != from.size(); ++d)
            if (from[d] == Size(1)) dims->push_back(static_cast<nn::Index>(d));
    }
    if (dims->empty()) return o.pass(0);
    Shape to;
    for (std::size_t d = 0; d != from.size(); ++d) {
        if (!std::ranges::binary_search(*dims, static_cast<nn::Index>(d)))
            to.push_back(from[d]);
        else if (!(from[d] == Size(1)))
            return o.fail(amct_distill::detail::concat("it takes away dimension ", d, " of ",
                                                       onnx::to_string(from), ", a dimension that is not 1"));
    }
    if (reshape_moved(o, to)) return;
    o.result_is_scalar(to.empty());
    o.function(nn::Squeeze(*std::move(dims)), {0});
}

inline void convert_unsqueeze(Operation& o) {
    Shape to = o.model_shape(0);
    std::optional<nn::Shape> dims = given_axes(o, [&](std::size_t more) { return to.size() + more; });
    if (o.failed()) return;
    if (!dims) return o.fail("its axes are missing");
    for (nn::Index d : *dims) to.insert(to.begin() + static_cast<std::ptrdiff_t>(d), Size(1));
    if (o.is_scalar(0)) return reshape_to(o, to);
    if (!reshape_moved(o, to)) o.function(nn::Unsqueeze(*std::move(dims)), {0});
}

inline void convert_identity(Operation& o) {
    o.at_most(1);
    o.pass(0);
}

inline void convert_dropout(Operation& o) {
    // In training mode it would drop at random. The attribute is_test of opset 1 is left out by exporters of
    // then, so it decides nothing.
    for (std::string_view name : {"ratio", "seed", "is_test", "consumed_inputs"}) o.attributes().ignore(name);
    o.at_most(o.opset() < 12 ? 1 : 3);
    if (o.has(2) && (!o.is_constant(2) || o.integers(2) != std::vector<std::int64_t>{0}))
        return o.fail("it is in training mode; export the model in evaluation mode");
    o.pass(0);
}

constexpr bool is_signed_integer(ElementType t) {
    return t == ElementType::int8 || t == ElementType::int16 || t == ElementType::int32 ||
           t == ElementType::int64 || t == ElementType::int4;
}
/// What changes no value, or rounds it to another float.
inline void cast_to(Operation& o, ElementType to) {
    using amct_distill::detail::concat;
    ElementType const from = o.type(0);
    if (bits_of(to) == 0)
        return o.fail(concat("to ", name_of(to), "; the network has numbers of type float"));
    bool const wider = !is_floating(from) && !is_floating(to) && bits_of(to) >= bits_of(from) &&
                       to != ElementType::boolean &&
                       (from == to || from == ElementType::boolean || bits_of(to) > bits_of(from)) &&
                       !(is_signed_integer(from) && !is_signed_integer(to));
    if (!is_floating(to) && !wider)
        return o.fail(concat("from ", name_of(from), " to ", name_of(to),
                             " it changes values, and has no gradient; cut the model there"));
    o.result_type(to);
    if (to == ElementType::bfloat16 && from != to)
        return o.fail("to bfloat16, which ONNX's own tests cut and its runtimes round; export it in float32");
    if (to == ElementType::float16 && from != to) {
        o.result_is_scalar(o.is_scalar(0));
        return o.function(nn::RoundTo({nn::FloatFormat::float16}), {0});
    }
    o.pass(0);
}
inline void convert_cast(Operation& o) {
    o.at_most(1);
    o.attributes().ignore("saturate");  // of 8-bit floats
    cast_to(o, static_cast<ElementType>(o.attributes().integer("to", 0)));
}
inline void convert_cast_like(Operation& o) {
    o.at_most(2);
    o.attributes().ignore("saturate");
    if (!o.has(1)) return o.fail("input 1 is missing");
    cast_to(o, o.type(1));
}

inline constexpr std::array structure_rules{
    OperatorRule{"Cast", convert_cast, Accepts::everything, BatchAt::anywhere},
    OperatorRule{"CastLike", convert_cast_like, Accepts::everything},
    OperatorRule{"Dropout", convert_dropout, Accepts::everything, BatchAt::anywhere},
    OperatorRule{"Flatten", convert_flatten, Accepts::everything, BatchAt::anywhere},
    OperatorRule{"Identity", convert_identity, Accepts::everything, BatchAt::anywhere},
    OperatorRule{"Reshape", convert_reshape, Accepts::everything, BatchAt::anywhere},
    OperatorRule{"Squeeze", convert_squeeze, Accepts::everything, BatchAt::anywhere},
    OperatorRule{"Unsqueeze", convert_unsqueeze, Accepts::everything, BatchAt::anywhere},
};

}  // namespace amct_distill::onnx::detail
