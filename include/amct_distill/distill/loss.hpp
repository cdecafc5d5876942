// SPDX-License-Identifier: Apache-2.0
/// What a block is trained to make small; mean squared error unless another is given.
///
///     struct MeanAbsoluteError {
///         double operator()(const nn::Tensor& output, const nn::Tensor& target) const;
///         void gradient(const nn::Tensor& output, const nn::Tensor& target, nn::Tensor& gradient) const;
///     };
///     distill<MeanAbsoluteError>(teacher, student, batches, {.epochs = 5});
#pragma once
#include <concepts>
#include <cstddef>

#include "../nn/tensor.hpp"

namespace amct_distill {

/// A mean over the elements of two tensors of one shape, and its gradient with respect to the output, of that
/// shape too and overwritten. A batch is given in slices of its samples; what counts is the mean over them
/// and over the block's outputs, each weighted by its number of elements. Both are functions of their
/// arguments and of the object alone: what a run resumes must not have changed. One that is never below 0 may
/// say so, and saves time: `static constexpr bool is_never_negative = true;`.
template <class L>
concept BlockLoss = std::copyable<L> && std::default_initializable<L> &&
    requires(const L& loss, const nn::Tensor& t, nn::Tensor& gradient) {
    { loss(t, t) } -> std::convertible_to<double>;
    loss.gradient(t, t, gradient);
};

/// A loss that says so: where its sum over some batches is above the best, the others need not be run.
template <class L>
concept NeverNegative = requires {
    requires L::is_never_negative;
};

/// One whose elements can be weighted (see fisher.hpp): the mean of weight times what an element adds.
template <class L>
concept WeightedBlockLoss = BlockLoss<L> &&
    requires(const L& loss, const nn::Tensor& t, nn::Tensor& gradient) {
    { loss(t, t, t) } -> std::convertible_to<double>;
    loss.gradient(t, t, t, gradient);
};

/// mean((output - target)^2), summed in double; 2 (output - target) / n in float32. With weights
/// mean(weight (output - target)^2).
struct MeanSquaredError {
    static constexpr bool is_never_negative = true;
    double operator()(const nn::Tensor& output, const nn::Tensor& target) const;
    void gradient(const nn::Tensor& output, const nn::Tensor& target, nn::Tensor& gradient) const;
    double operator()(const nn::Tensor& output, const nn::Tensor& target, const nn::Tensor& weights) const;
    void gradient(const nn::Tensor& output, const nn::Tensor& target, const nn::Tensor& weights,
                  nn::Tensor& gradient) const;
};

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "loss-inl.hpp"
#endif
