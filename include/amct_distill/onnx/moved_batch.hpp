// SPDX-License-Identifier: Apache-2.0
/// Operators that take the batch elsewhere than to dimension 0, and those that take it as it comes: attention
/// as PyTorch and others write it, [N, T, C] -> [T, N * heads, d] and back.
///
///     if (move_batch(o)) return;                   // Transpose, Reshape ... of such tensors, or into such
///     takes_moved_batch("Softmax")                 // what is computed along other dimensions
///
/// layout.hpp says how the network holds them.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "../nn/layers/reshape.hpp"
#include "../nn/layers/transpose.hpp"
#include "operation.hpp"

namespace amct_distill::onnx::detail {

/// Operators of two or more tensors that broadcast.
inline bool broadcasts(std::string_view op) {
    static constexpr std::array<std::string_view, 9> names{"Add", "Sub", "Mul", "Div", "Pow",
                                                           "Max", "Min", "Sum", "Mean"};
    return std::ranges::find(names, op) != names.end();
}
inline bool takes_moved_batch(std::string_view op) {
    static constexpr std::array<std::string_view, 45> names{"Abs",
                                                            "Cast",
                                                            "Celu",
                                                            "Clip",
                                                            "Concat",
                                                            "Dropout",
                                                            "Elu",
                                                            "Erf",
                                                            "Exp",
                                                            "Gather",
                                                            "Gelu",
                                                            "Gemm",
                                                            "HardSigmoid",
                                                            "HardSwish",
                                                            "Identity",
                                                            "LayerNormalization",
                                                            "LeakyRelu",
                                                            "Log",
                                                            "LogSoftmax",
                                                            "MatMul",
                                                            "Mish",
                                                            "Neg",
                                                            "Reciprocal",
                                                            "ReduceL1",
                                                            "ReduceL2",
                                                            "ReduceLogSum",
                                                            "ReduceLogSumExp",
                                                            "ReduceMax",
                                                            "ReduceMean",
                                                            "ReduceMin",
                                                            "ReduceProd",
                                                            "ReduceSum",
                                                            "ReduceSumSquare",
                                                            "Relu",
                                                            "Selu",
                                                            "Sigmoid",
                                                            "Slice",
                                                            "Softmax",
                                                            "Softplus",
                                                            "Softsign",
                                                            "Split",
                                                            "Sqrt",
                                                            "Tanh",
                                                            "ThresholdedRelu",
                                                            "Sign"};
    return broadcasts(op) || std::ranges::find(names, op) != names.end();
}

/// The shape that Reshape and its kin give; nothing when the operator is not one, or after a failure.
inline std::optional<Shape> target_shape(Operation& o) {
    Shape const from = o.model_shape(0);
    auto const axes = [&]() -> std::vector<std::int64_t> {
        if (o.has(1)) return o.few_integers(1);
        return o.attributes().integers("axes").value_or(std::vector<std::int64_t>{});
    };
    if (o.op() == "Reshape") {
        std::vector<Size> target;
        if (o.has(1)) {
            target = o.sizes(1);
        } else {
            for (std::int64_t d : o.attributes().integers("shape").value_or(std::vector<std::int64_t>{}))
                target.emplace_back(d);
        }
        if (o.failed()) return std::nullopt;
        result<Shape> out =
            reshape(from, target, o.attributes().integer("allowzero", 0) != 0, o.exported_batch());
        if (!out) return o.fail(out.diagnostics().front().message), std::nullopt;
        return *std::move(out);
    }
    if (o.op() == "Flatten") {
        std::int64_t axis = o.attributes().integer("axis", 1);
        auto const rank = static_cast<std::int64_t>(from.size());
        if (axis < 0) axis += rank;
        if (axis < 0 || axis > rank) return o.fail("its axis is not one of the dimensions"), std::nullopt;
        auto const rows = product(std::span(from).first(static_cast<std::size_t>(axis)));
        auto const columns = product(std::span(from).subspan(static_cast<std::size_t>(axis)));
        if (!rows || !columns) return o.fail("the square of the batch"), std::nullopt;
        return Shape{*rows, *columns};
    }
    if (o.op() == "Unsqueeze") {
        std::vector<std::int64_t> const at = axes();
        Shape out(from.size() + at.size(), Size(-1));
        for (std::int64_t a : at)
            if (std::size_t const i = o.axis_of(a, out.size()); !o.failed()) out[i] = 1;
        std::size_t next = 0;
        for (Size& s : out)
            if (s == Size(-1) && next != from.size()) s = from[next++];
        if (next != from.size()) o.fail("an axis is given twice");
        return o.failed() ? std::nullopt : std::optional(out);
    }
    if (o.op() == "Squeeze") {
        std::vector<char> gone(from.size(), 0);
        std::vector<std::int64_t> const at = axes();
        for (std::int64_t a : at)
            if (std::size_t const i = o.axis_of(a, from.size()); !o.failed()) {
                if (!(from[i] == Size(1))) o.fail("it removes a dimension that is not 1");
                gone[i] = 1;
            }
        Shape out;
        for (std::size_t i = 0; i != from.size(); ++i)
            if (gone[i] == 0 && !(at.empty() && from[i] == Size(1))) out.push_back(from[i]);
        return o.failed() ? std::nullopt : std::optional(out);
    }
    return std::nullopt;
}

/// Makes an operator that only moves values, where the batch is not in dimension 0 before or after it.
/// False: it is not one, or the batch stays where it belongs.
inline bool move_batch(Operation& o) {
    if (o.failed() || !o.has(0) || o.is_constant(0)) return false;
    nn::Shape const shape = o.shape(0);
    if (shape.empty() || shape.front() != nn::any_batch) return false;
    bool const moved = !o.layout().is_plain();
    std::optional<Relayout> to;
    if (o.op() == "Transpose") {
        std::size_t const rank = o.model_shape(0).size();
        std::vector<std::size_t> permutation(rank);
        std::iota(permutation.rbegin(), permutation.rend(), std::size_t{0});
        if (auto const given = o.attributes().integers("perm")) {
            std::vector<char> seen(rank, 0);
            for (std::size_t i = 0; i != given->size(); ++i) {
                std::size_t const axis = i < rank ? o.axis_of((*given)[i], rank) : rank;
                if (o.failed() || axis == rank || given->size() != rank || seen[axis]++ != 0)
                    return o.fail("its perm is no permutation of the dimensions"), true;
                permutation[i] = axis;
            }
        }
        if (!moved && permutation.front() == 0) return false;
        to = transposed(o.layout(), shape, permutation);
    } else if (o.op() == "Reshape" || o.op() == "Flatten" || o.op() == "Unsqueeze" || o.op() == "Squeeze") {
        std::optional<Shape> const target = target_shape(o);
        if (!target) return true;
        if (!moved && network_shape(*target) && !target->empty() && target->front() == Size::of_batch())
            return false;
        to = reshaped(o.layout(), shape, *target);
        if (!to)
            return o.fail(o.batch_elsewhere(
                       amct_distill::detail::concat("a tensor ", onnx::to_string(o.model_shape(0)),
                                                    " becomes ", onnx::to_string(*target)))),
                   true;
    } else {
        return false;
    }
    std::vector<amct_distill::NodeId> reads{o.value(0)};
    nn::Shape now = shape;
    o.result_layout(to->layout);
    bool const last = [&] {
        if (to->permutation.empty()) return false;
        nn::Shape order(to->permutation.begin(), to->permutation.end());
        for (std::size_t d = 0; d != now.size(); ++d) now[d] = shape[to->permutation[d]];
        if (now == to->shape) return o.function(nn::Transpose(std::move(order)), reads), true;
        reads = {o.step("Transpose", nn::Transpose(std::move(order)), reads)};
        return false;
    }();
    if (last) return true;
    if (now == to->shape)
        o.result_is(reads.front());
    else
        o.function(nn::Reshape(nn::Shape(to->shape.begin() + 1, to->shape.end())), reads);
    return true;
}

}  // namespace amct_distill::onnx::detail
