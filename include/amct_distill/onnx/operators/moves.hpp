// SPDX-License-Identifier: Apache-2.0
/// ONNX's operators that move values: Concat, Split, Transpose, Slice, Gather, Pad, Expand, Tile,
/// DepthToSpace, SpaceToDepth.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "../../nn/layers/concat.hpp"
#include "../../nn/layers/embedding.hpp"
#include "../../nn/layers/expand.hpp"
#include "../../nn/layers/pad.hpp"
#include "../../nn/layers/slice.hpp"
#include "../../nn/layers/transpose.hpp"
#include "../moved_batch.hpp"
#include "../operation.hpp"

namespace amct_distill::onnx::detail {

inline void convert_concat(Operation& o) {
    std::optional<std::int64_t> axis = o.attributes().integer("axis");
    if (!axis && o.opset() >= 4) return o.fail("its axis is missing");
    std::size_t const dim = o.axis(axis.value_or(1), 0);
    std::vector<amct_distill::NodeId> parts;
    for (std::size_t i = 0; i != o.inputs(); ++i) parts.push_back(o.value(i));
    if (!o.failed()) o.function(nn::Concat(dim), parts);
}

inline void convert_split(Operation& o) {
    std::size_t const dim = o.axis(o.attributes().integer("axis", 0), 0);
    bool const as_attribute = o.opset() < 13;
    o.at_most(as_attribute ? 1 : 2);
    std::optional<std::vector<std::int64_t>> sizes;
    if (as_attribute)
        sizes = o.attributes().integers("split");
    else if (o.has(1))
        sizes = o.integers(1);
    auto const parts = static_cast<std::int64_t>(o.node().outputs.size());
    std::int64_t const asked = o.attributes().integer("num_outputs", parts);
    nn::Shape const shape = o.shape(0);
    if (o.failed()) return;
    if (!sizes) {
        // Equal parts; since opset 18 the last one may be smaller.
        std::int64_t const all = shape[dim], each = (all + parts - 1) / parts;
        if (asked != parts || (all % parts != 0 && o.opset() < 18) || each * (parts - 1) >= all)
            return o.fail(
                amct_distill::detail::concat("a dimension of ", all, " has no ", parts, " equal parts"));
        sizes.emplace(static_cast<std::size_t>(parts), each);
        sizes->back() = all - each * (parts - 1);
    }
    if (static_cast<std::int64_t>(sizes->size()) != parts)
        return o.fail(amct_distill::detail::concat(sizes->size(), " sizes for ", parts, " outputs"));
    o.function(nn::Split({static_cast<nn::Index>(dim), nn::Shape(sizes->begin(), sizes->end())}), {0});
}

inline void convert_transpose(Operation& o) {
    o.at_most(1);
    std::size_t const rank = o.model_shape(0).size();
    std::vector<std::size_t> order(rank);
    std::iota(order.rbegin(), order.rend(), std::size_t{0});
    if (auto const given = o.attributes().integers("perm")) {
        if (given->size() != rank)
            return o.fail(
                amct_distill::detail::concat("perm has ", given->size(), " axes for ", rank, " dimensions"));
        std::ranges::transform(*given, order.begin(), [&](std::int64_t d) { return o.axis_of(d, rank); });
    }
    std::vector<std::size_t> sorted = order;
    std::ranges::sort(sorted);
    if (std::ranges::adjacent_find(sorted) != sorted.end()) o.fail("expected every dimension once in perm");
    if (o.failed()) return;
    if (std::ranges::is_sorted(order)) return o.pass(0);
    if (!transpose_moved(o, order)) o.function(nn::Transpose(nn::Shape(order.begin(), order.end())), {0});
}

inline void convert_slice(Operation& o) {
    nn::Shape const shape = o.shape(0);
    std::vector<Size> starts, ends;
    std::optional<std::vector<std::int64_t>> axes, steps;
    o.at_most(o.opset() < 10 ? 1 : 5);
    if (o.opset() < 10) {
        Attributes& a = o.attributes();
        for (auto [name, to] : {std::pair{"starts", &starts}, std::pair{"ends", &ends}}) {
            std::vector<std::int64_t> const given = a.integers(name).value_or(std::vector<std::int64_t>{});
            to->assign(given.begin(), given.end());
        }
        axes = a.integers("axes");
    } else {
        starts = o.sizes(1);
        ends = o.sizes(2);
        if (o.has(3)) axes = o.integers(3);
        if (o.has(4)) steps = o.integers(4);
    }
    if (o.failed()) return;
    std::size_t const n = starts.size();
    if (ends.size() != n || (axes && axes->size() != n) || (steps && steps->size() != n))
        return o.fail("its starts, ends, axes and steps differ in number");
    nn::SliceOptions options;
    for (std::size_t i = 0; i != n; ++i) {
        std::size_t const d = o.axis(axes ? (*axes)[i] : static_cast<std::int64_t>(i), 0);
        std::int64_t const step = steps ? (*steps)[i] : 1;
        if (o.failed()) return;
        // All of the batch, [0:N] or [0:the largest number]: nothing is cut off.
        if (shape[d] == nn::any_batch && step == 1 && starts[i] == Size(0) &&
            (ends[i] == Size::of_batch() ||
             (ends[i].is_fixed() && ends[i].fixed >= (std::numeric_limits<std::int32_t>::max)())))
            continue;
        if (!starts[i].is_fixed() || !ends[i].is_fixed())
            return o.fail(
                "what it cuts depends on the batch; give the inputs fixed shapes (--shape NAME=..., "
                "or Batch::as_exported)");
        options.dims.push_back(static_cast<nn::Index>(d));
        options.starts.push_back(starts[i].fixed);
        options.ends.push_back(ends[i].fixed);
        options.steps.push_back(step);
    }
    if (options.dims.empty()) return o.pass(0);
    o.function(nn::Slice(std::move(options)), {0});
}

/// A table that an activation looks up: torch.nn.Embedding.
inline void convert_embedding(Operation& o, std::size_t dim) {
    if (dim != 0 || o.rank(0) != 2 || o.is_scalar(1))
        return o.fail(
            "indices that depend on the network's inputs are taken into the rows of a table "
            "[number, size] alone");
    nn::Tensor table = o.constant(0);
    if (o.failed()) return;
    nn::Embedding embedding({table.dim(0), table.dim(1)});
    embedding.weight() = std::move(table);
    o.add(std::move(embedding), {1}, 0);
}
inline void convert_gather(Operation& o) {
    o.at_most(2);
    std::size_t const dim = o.axis(o.attributes().integer("axis", 0), 0);
    if (o.failed()) return;
    if (!o.is_constant(1)) {
        if (o.is_constant(0)) return convert_embedding(o, dim);
        return o.fail("its indices depend on the network's inputs; expected a constant");
    }
    std::vector<std::int64_t> const indices = o.integers(1);
    nn::Shape const shape = o.is_scalar(1) ? nn::Shape{} : o.shape(1);
    if (o.failed()) return;
    o.result_is_scalar(shape.empty() && o.rank(0) == 1);
    o.function(nn::Gather({static_cast<nn::Index>(dim), nn::Shape(indices.begin(), indices.end()), shape}),
               {0});
}

inline void convert_pad(Operation& o) {
    Attributes& a = o.attributes();
    std::size_t const rank = o.model_shape(0).size();
    std::string_view const mode = a.text("mode", "constant");
    nn::PadOptions options{nn::Shape(rank, 0), nn::Shape(rank, 0)};
    std::optional<std::vector<std::int64_t>> pads, axes;
    bool const as_attribute = o.opset() < 11;
    o.at_most(as_attribute ? 1 : o.opset() < 18 ? 3 : 4);
    if (as_attribute) {
        pads = a.integers(o.opset() < 2 ? "paddings" : "pads");
        options.value = a.real("value", 0);
        if (!pads) return o.fail("its pads are missing");
    } else {
        pads = o.integers(1);
    }
    if (o.has(2))
        if (nn::Tensor const value = o.constant(2); value.size() == 1) options.value = value[0];
    if (o.has(3)) axes = o.integers(3);
    if (o.failed()) return;
    if (mode == "reflect")
        options.mode = nn::PadMode::reflect;
    else if (mode == "edge")
        options.mode = nn::PadMode::edge;
    else if (mode != "constant")
        return o.fail(amct_distill::detail::concat("mode `", mode, "`; expected constant, reflect or edge"));
    std::size_t const n = axes ? axes->size() : rank;
    if (pads->size() != 2 * n)
        return o.fail(amct_distill::detail::concat("expected ", 2 * n, " pads, found ", pads->size()));
    for (std::size_t i = 0; i != n; ++i) {
        std::size_t const d = axes ? o.axis((*axes)[i], 0) : i;
        if (o.failed()) return;
        options.begin[d] = (*pads)[i];
        options.end[d] = (*pads)[n + i];
    }
    if (std::ranges::all_of(*pads, [](std::int64_t p) { return p == 0; })) return o.pass(0);
    o.function(nn::Pad(std::move(options)), {0});
}

inline void convert_expand(Operation& o) {
    o.at_most(2);
    Shape const from = o.model_shape(0), target = o.sizes(1);
    if (o.failed()) return;
    bool const free = !from.empty() && from[0] == Size::of_batch();
    nn::Shape shape;
    for (std::size_t d = 0; d != target.size(); ++d) {
        Size size = target[d];
        // The batch, or the number that it had when the model was exported.
        if (d == 0 && free && target.size() == from.size() &&
            (size == Size::of_batch() || size == o.exported_batch().value_or(1)))
            size = 1;
        if (!size.is_fixed())
            return o.fail(
                "it repeats over the batch; give the inputs fixed shapes (--shape NAME=..., or "
                "Batch::as_exported)");
        shape.push_back(size.fixed);
    }
    if (shape.empty()) return o.pass(0);
    o.result_is_scalar(false);
    o.function(nn::Expand(std::move(shape)), {0});
}

inline void convert_tile(Operation& o) {
    if (o.opset() < 6) return o.fail("of an opset before 6; export the model with a newer one");
    o.at_most(2);
    std::vector<std::int64_t> const repeats = o.integers(1);
    if (o.failed()) return;
    if (o.is_scalar(0)) return o.pass(0);
    o.function(nn::Tile(nn::Shape(repeats.begin(), repeats.end())), {0});
}

inline void convert_depth_to_space(Operation& o) {
    o.at_most(1);
    nn::BlockOptions const options{o.attributes().integer("blocksize", 0)};
    std::string_view const mode = o.attributes().text("mode", "DCR");
    if (mode == "CRD") return o.function(nn::PixelShuffle(options), {0});
    if (mode != "DCR") return o.fail(amct_distill::detail::concat("mode `", mode, "`; expected DCR or CRD"));
    o.function(nn::DepthToSpace(options), {0});
}
inline void convert_space_to_depth(Operation& o) {
    o.at_most(1);
    o.function(nn::SpaceToDepth({o.attributes().integer("blocksize", 0)}), {0});
}

inline constexpr std::array move_rules{
    OperatorRule{"Concat", convert_concat, Accepts::everything, BatchAt::anywhere},
    OperatorRule{"DepthToSpace", convert_depth_to_space, Accepts::everything},
    OperatorRule{"Expand", convert_expand, Accepts::everything},
    OperatorRule{"Gather", convert_gather, Accepts::everything, BatchAt::anywhere},
    OperatorRule{"Pad", convert_pad, Accepts::everything},
    OperatorRule{"Slice", convert_slice, Accepts::everything, BatchAt::anywhere},
    OperatorRule{"SpaceToDepth", convert_space_to_depth, Accepts::everything},
    OperatorRule{"Split", convert_split, Accepts::everything, BatchAt::anywhere},
    OperatorRule{"Tile", convert_tile, Accepts::everything},
    OperatorRule{"Transpose", convert_transpose, Accepts::everything, BatchAt::anywhere},
};

}  // namespace amct_distill::onnx::detail
