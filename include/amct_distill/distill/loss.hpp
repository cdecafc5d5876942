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
/// shape too and overwritten. Both are functions of their arguments and of the object alone: what a run
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

/// Mean of the squares, summed in double, in order.
inline double mean_square(const nn::Tensor& a) {
    double sum = 0;
    for (float v : a) sum += static_cast<double>(v) * static_cast<double>(v);
    return sum / static_cast<double>(a.size());
}
inline double mean_squared_error(const nn::Tensor& a, const nn::Tensor& b) {
    return MeanSquaredError{}(a, b);
}

}  // namespace detail
}  // namespace amct_distill
