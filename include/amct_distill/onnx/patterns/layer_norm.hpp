// SPDX-License-Identifier: Apache-2.0
/// LayerNorm as exporters spell it out until opset 16: (x - mean) / sqrt(mean((x - mean)^2) + eps) * weight +
/// bias, over the last dimensions; without the weight and the bias, or the bias, too.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "../operators/normalization.hpp"
#include "../pattern.hpp"

namespace amct_distill::onnx::detail {

/// The number of last dimensions that a ReduceMean averages over, keeping them as 1; nothing when they are
/// others. `like`: a tensor with as many dimensions as what it reads.
inline std::optional<std::size_t> last_dimensions(const PatternContext& c, NodeId mean, TensorId like) {
    Attributes a(*c.graph().node(mean).proto);
    std::optional<std::vector<std::int64_t>> axes = a.integers("axes");
    bool const keeps = a.integer("keepdims", 1) == 1;
    a.ignore("noop_with_empty_axes");
    if (!axes)
        if (std::optional<Value> const given = c.constant(c.input(mean, 1))) axes = given->integers();
    if (!axes || axes->empty() || !keeps || a.error()) return std::nullopt;
    std::optional<std::size_t> const rank = c.rank(like);
    for (std::int64_t& axis : *axes) {
        if (axis >= 0 && !rank) return std::nullopt;
        if (axis >= 0) axis -= static_cast<std::int64_t>(*rank);
    }
    std::ranges::sort(*axes);
    for (std::size_t i = 0; i != axes->size(); ++i)
        if ((*axes)[i] != static_cast<std::int64_t>(i) - static_cast<std::int64_t>(axes->size()))
            return std::nullopt;
    return axes->size();
}

inline std::optional<Match> match_layer_norm(const PatternContext& c, NodeId first) {
    if (!c.is(first, "ReduceMean") || c.opset() < 7) return std::nullopt;
    TensorId const x = c.input(first, 0);
    std::optional<std::size_t> const dims = last_dimensions(c, first, x);
    NodeId const sub = c.only_reader(c.output(first));
    if (!dims || !c.is(sub, "Sub") || c.input(sub, 0) != x || c.input(sub, 1) != c.output(first))
        return std::nullopt;
    TensorId const centered = c.output(sub);
    // Its readers: the square and the division.
    NodeId square = none, div = none;
    for (const GraphTensor::Reader& r : c.graph().tensor(centered).readers) {
        if (c.is(r.node, "Div"))
            div = r.node;
        else if (c.is(r.node, "Pow") || c.is(r.node, "Mul"))
            square = r.node;
        else
            return std::nullopt;
    }
    if (square == none || div == none || c.input(div, 0) != centered || c.input(square, 0) != centered)
        return std::nullopt;
    bool const is_square =
        c.is(square, "Pow") ? c.number(c.input(square, 1)) == 2.0f : c.input(square, 1) == centered;
    NodeId const mean = c.only_reader(c.output(square));
    if (!is_square || !c.is(mean, "ReduceMean") || last_dimensions(c, mean, x) != dims) return std::nullopt;
    NodeId const add = c.only_reader(c.output(mean));
    if (!c.is(add, "Add")) return std::nullopt;
    std::optional<float> const eps = c.number_beside(add, c.output(mean));
    NodeId const root = c.only_reader(c.output(add));
    if (!eps || !c.is(root, "Sqrt") || c.only_reader(c.output(root)) != div ||
        c.input(div, 1) != c.output(root))
        return std::nullopt;

    Match match{{first, sub, square, mean, add, root, div}, {x}, {}};
    // A weight or a bias has the last dimensions, all of them.
    auto const parameter = [&](NodeId n, TensorId made) -> TensorId {
        TensorId const t = c.other_input(n, made);
        std::optional<Extents> const v = c.extents(t);
        return v && v->size() == *dims ? t : none;
    };
    std::optional<std::size_t> weight, bias;
    TensorId made = c.output(div);
    NodeId next = c.only_reader(made);
    if (c.is(next, "Mul") && parameter(next, made) != none) {
        weight = match.inputs.size();
        match.inputs.push_back(parameter(next, made));
        match.nodes.push_back(next);
        made = c.output(next);
        next = c.only_reader(made);
        if (c.is(next, "Add") && parameter(next, made) != none) {
            bias = match.inputs.size();
            match.inputs.push_back(parameter(next, made));
            match.nodes.push_back(next);
        }
    }
    match.convert = [n = static_cast<std::int64_t>(*dims), e = as_written(*eps), weight, bias](Operation& o) {
        for (const char* name : {"axes", "keepdims", "noop_with_empty_axes"}) o.attributes().ignore(name);
        add_layer_norm(o, -n, e, weight, bias);
    };
    return match;
}

}  // namespace amct_distill::onnx::detail
