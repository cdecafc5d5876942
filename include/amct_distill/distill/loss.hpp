// SPDX-License-Identifier: Apache-2.0
/// What a block is trained to make small; mean squared error unless another is given.
///
///     struct MeanAbsoluteError {
///         double operator()(const nn::Tensor& output, const nn::Tensor& target) const;
///         void gradient(const nn::Tensor& output, const nn::Tensor& target, nn::Tensor& gradient) const;
///     };
///     distill<MeanAbsoluteError>(teacher, student, batches, {.epochs = 5});
#pragma once
#include <algorithm>
#include <concepts>
#include <cstddef>

#include "../nn/tensor.hpp"

namespace amct_distill {

/// A mean over the elements of two tensors of one shape, and its gradient with respect to the output, of that
/// shape too and overwritten. A batch is given in slices of its samples; what counts is the mean over them and over
/// the block's outputs, each weighted by its number of elements. Both are functions of their arguments and of the object alone: what a run
/// resumes must not have changed.
template <class L>
concept BlockLoss = std::copyable<L> && std::default_initializable<L> &&
    requires(const L& loss, const nn::Tensor& t, nn::Tensor& gradient) {
    { loss(t, t) } -> std::convertible_to<double>;
    loss.gradient(t, t, gradient);
};

/// mean((output - target)^2), summed in double, in order; 2 (output - target) / n in float32.
struct MeanSquaredError {
    double operator()(const nn::Tensor& output, const nn::Tensor& target) const {
        double sum = 0;
        for (std::size_t i = 0; i != output.size(); ++i) {
            double const d = static_cast<double>(output[i]) - static_cast<double>(target[i]);
            sum += d * d;
        }
        return sum / static_cast<double>(output.size());
    }
    void gradient(const nn::Tensor& output, const nn::Tensor& target, nn::Tensor& gradient) const {
        nn::array(gradient) =
            (nn::array(output) - nn::array(target)) * (2.0f / static_cast<float>(output.size()));
    }
};

namespace detail {

/// How far the student's values are from the teacher's, in sums over any number of tensors; in double, in order.
struct Distance {
    double error = 0, teacher = 0, student = 0;
    void add(const nn::Tensor& t, const nn::Tensor& s) {
        for (std::size_t i = 0; i != t.size(); ++i) {
            double const a = static_cast<double>(t[i]), b = static_cast<double>(s[i]);
            error += (a - b) * (a - b);
            teacher += a * a;
            student += b * b;
        }
    }
    /// By more than half of the smaller power; what is not finite is too far as well.
    bool is_far() const { return !(error <= 0.5 * (std::min)(teacher, student)); }
};
inline double mean_squared_error(const nn::Tensor& a, const nn::Tensor& b) {
    return MeanSquaredError{}(a, b);
}

}  // namespace detail
}  // namespace amct_distill
