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
#include <span>

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

/// One that takes values where they are, so that the targets of a slice need not be copied: the same bits as
/// with tensors. `gradient_of` multiplies the gradient by a factor besides. `in_place` is the loss itself:
/// one that is derived from it may compute something else.
template <class L>
concept InPlaceBlockLoss = BlockLoss<L> && std::same_as<typename L::in_place, L> &&
    requires(const L& loss, std::span<const float> values, std::span<float> gradient) {
    { loss.of(values, values) } -> std::convertible_to<double>;
    loss.gradient_of(values, values, 1.0f, gradient);
};

/// mean((output - target)^2), summed in double; 2 (output - target) / n in float32. With weights
/// mean(weight (output - target)^2).
struct MeanSquaredError {
    static constexpr bool is_never_negative = true;
    using in_place = MeanSquaredError;
    double operator()(const nn::Tensor& output, const nn::Tensor& target) const;
    void gradient(const nn::Tensor& output, const nn::Tensor& target, nn::Tensor& gradient) const;
    double of(std::span<const float> output, std::span<const float> target) const;
    void gradient_of(std::span<const float> output, std::span<const float> target, float factor,
                     std::span<float> gradient) const;
    double operator()(const nn::Tensor& output, const nn::Tensor& target, const nn::Tensor& weights) const;
    void gradient(const nn::Tensor& output, const nn::Tensor& target, const nn::Tensor& weights,
                  nn::Tensor& gradient) const;
};

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "loss-inl.hpp"
#endif
