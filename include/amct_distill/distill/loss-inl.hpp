// SPDX-License-Identifier: Apache-2.0
/// The definitions of loss.hpp.
#pragma once
#include <span>

#include "../core/inline.hpp"
#include "distance.hpp"
#include "loss.hpp"

namespace amct_distill {

AMCT_DISTILL_INLINE double MeanSquaredError::operator()(const nn::Tensor& output,
                                                        const nn::Tensor& target) const {
    return of(output.span(), target.span());
}

AMCT_DISTILL_INLINE double MeanSquaredError::of(std::span<const float> output,
                                                std::span<const float> target) const {
    return detail::squared_error(output, target) / static_cast<double>(output.size());
}

AMCT_DISTILL_INLINE void MeanSquaredError::gradient(const nn::Tensor& output, const nn::Tensor& target,
                                                    nn::Tensor& gradient) const {
    gradient_of(output.span(), target.span(), 1, gradient.span());
}

AMCT_DISTILL_INLINE void MeanSquaredError::gradient_of(std::span<const float> output,
                                                       std::span<const float> target, float factor,
                                                       std::span<float> gradient) const {
    auto const n = static_cast<nn::Index>(output.size());
    nn::ConstArrayMap<float> const y(output.data(), n), t(target.data(), n);
    nn::ArrayMap<float>(gradient.data(), n) = (y - t) * (2.0f / static_cast<float>(n)) * factor;
}

AMCT_DISTILL_INLINE double MeanSquaredError::operator()(const nn::Tensor& output, const nn::Tensor& target,
                                                        const nn::Tensor& weights) const {
    double sum = 0;
    for (std::size_t i = 0; i != output.size(); ++i) {
        double const d = static_cast<double>(output[i]) - static_cast<double>(target[i]);
        sum += static_cast<double>(weights[i]) * d * d;
    }
    return sum / static_cast<double>(output.size());
}

AMCT_DISTILL_INLINE void MeanSquaredError::gradient(const nn::Tensor& output, const nn::Tensor& target,
                                                    const nn::Tensor& weights, nn::Tensor& gradient) const {
    nn::array(gradient) = (nn::array(output) - nn::array(target)) * nn::array(weights) *
                          (2.0f / static_cast<float>(output.size()));
}

}  // namespace amct_distill
