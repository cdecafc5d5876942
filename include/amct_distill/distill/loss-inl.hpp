// SPDX-License-Identifier: Apache-2.0
/// The definitions of loss.hpp.
#pragma once
#include "../core/inline.hpp"
#include "distance.hpp"
#include "loss.hpp"

namespace amct_distill {

AMCT_DISTILL_INLINE double MeanSquaredError::operator()(const nn::Tensor& output,
                                                        const nn::Tensor& target) const {
    return detail::squared_error(output.span(), target.span()) / static_cast<double>(output.size());
}

AMCT_DISTILL_INLINE void MeanSquaredError::gradient(const nn::Tensor& output, const nn::Tensor& target,
                                                    nn::Tensor& gradient) const {
    nn::array(gradient) =
        (nn::array(output) - nn::array(target)) * (2.0f / static_cast<float>(output.size()));
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
