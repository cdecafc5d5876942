// SPDX-License-Identifier: Apache-2.0
/// MatMul with a constant matrix, and Add of a constant with a value for each column: Linear with a bias.
#pragma once
#include <optional>

#include "../operators/linear.hpp"
#include "../pattern.hpp"

namespace amct_distill::onnx::detail {

inline std::optional<Match> match_linear(const PatternContext& c, NodeId first) {
    if (!c.is(first, "MatMul") || c.opset() < 7 || c.is_constant(c.input(first, 0))) return std::nullopt;
    TensorId const weight = c.input(first, 1), product = c.output(first);
    NodeId const add = c.only_reader(product);
    if (!c.is(add, "Add")) return std::nullopt;
    TensorId const bias = c.other_input(add, product);
    std::optional<Extents> const matrix = c.extents(weight), values = c.extents(bias);
    if (!matrix || !values || matrix->size() != 2) return std::nullopt;
    const Extents& shape = *values;
    if (shape.empty() || count_of(shape) != (*matrix)[1] || shape.back() != (*matrix)[1]) return std::nullopt;
    // [1, 1, C] must not give the result more dimensions than the product has.
    if (std::optional<std::size_t> const rank = c.rank(c.input(first, 0));
        shape.size() > 1 && (!rank || *rank < shape.size()))
        return std::nullopt;
    return Match{{first, add}, {c.input(first, 0), weight, bias}, convert_matmul};
}

}  // namespace amct_distill::onnx::detail
