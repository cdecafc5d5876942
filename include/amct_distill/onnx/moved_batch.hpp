// SPDX-License-Identifier: Apache-2.0
/// Operators that take the batch elsewhere than to dimension 0, or take it from there: attention as PyTorch
/// and others write it, [N, T, C] -> [T, N * heads, d] and back.
///
///     if (reshape_moved(o, {7, Size::of_batch(4), 8})) return;   // Reshape, Flatten, Squeeze, Unsqueeze
///     if (transpose_moved(o, {1, 0, 2})) return;
///     ...                                                        // the batch stays in dimension 0
///
/// layout.hpp says how the network holds such tensors.
#pragma once
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "../nn/layers/reshape.hpp"
#include "../nn/layers/transpose.hpp"
#include "operation.hpp"

namespace amct_distill::onnx::detail {

/// Whether there is a batch of any size in dimension 0 of what the network has of input 0. Precondition, also
/// of the functions below: the shape of input 0 was asked for, and nothing has failed.
inline bool reads_batch(Operation& o) { return !o.is_constant(0) && o.shape(0).front() == nn::any_batch; }

/// Output 0 is input 0 in another layout.
inline void relayout(Operation& o, const Relayout& to) {
    std::vector<amct_distill::NodeId> reads{o.value(0)};
    nn::Shape const shape = o.shape(0);
    nn::Shape now = shape;
    o.result_layout(to.layout);
    if (!to.permutation.empty()) {
        nn::Shape order(to.permutation.begin(), to.permutation.end());
        for (std::size_t d = 0; d != now.size(); ++d) now[d] = shape[to.permutation[d]];
        if (now == to.shape) return o.function(nn::Transpose(std::move(order)), reads);
        reads = {o.step("Transpose", nn::Transpose(std::move(order)), reads)};
    }
    if (now == to.shape) return o.result_is(reads.front());
    o.function(nn::Reshape(nn::Shape(to.shape.begin() + 1, to.shape.end())), reads);
}

/// Output 0 is input 0 in another shape of the model's, where the batch is not in dimension 0 before or after
/// it. False: the batch stays where it belongs, and nothing has been done.
inline bool reshape_moved(Operation& o, const Shape& target) {
    if (!reads_batch(o)) return false;
    if (o.layout().is_plain() && network_shape(target) && !target.empty() &&
        target.front() == Size::of_batch())
        return false;
    std::optional<Relayout> const to = reshaped(o.layout(), o.shape(0), target);
    if (to)
        relayout(o, *to);
    else
        o.fail(o.batch_elsewhere(amct_distill::detail::concat("a tensor ", onnx::to_string(o.model_shape(0)),
                                                              " becomes ", onnx::to_string(target))));
    return true;
}

/// The same of dimensions in another order. Precondition: a permutation of the model's.
inline bool transpose_moved(Operation& o, const std::vector<std::size_t>& permutation) {
    if (!reads_batch(o) || (o.layout().is_plain() && permutation.front() == 0)) return false;
    relayout(o, transposed(o.layout(), o.shape(0), permutation));
    return true;
}

}  // namespace amct_distill::onnx::detail
