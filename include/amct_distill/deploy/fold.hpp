// SPDX-License-Identifier: Apache-2.0
/// A BatchNorm after a layer, folded into the layer's weights and bias.
///
///     if (std::optional<ModuleId> bn = batch_norm_after(network, conv1)) {
///         const nn::BatchNorm& norm = *nn::as_batch_norm(network.module(*bn));
///         std::vector<float> factors = fold_factors(norm);               // one per output channel
///         FoldedLayer folded = fold(conv.weight(), conv.bias(), norm);   // norm(conv(x)) = folded(x)
///     }
///
/// weight' = weight * factor, bias' = (bias - mean) * (1 / sqrt(var + eps)) * gamma + beta, per channel, in
/// float32 and in this order: bit for bit what PyTorch folds, and AMCT with it.
#pragma once
#include <cmath>
#include <cstddef>
#include <vector>

#include "../nn/batch_norm_after.hpp"
#include "../nn/layers/batch_norm.hpp"

namespace amct_distill {

namespace detail {
/// 1 / sqrt(running variance + eps) of a channel.
inline float inverse_deviation(const nn::BatchNorm& bn, std::size_t channel) {
    return 1.0f / std::sqrt(bn.running_var()[channel] + static_cast<float>(bn.options().eps));
}
}  // namespace detail

/// gamma * (1 / sqrt(running variance + eps)), one per channel; negative or 0 as gamma is.
inline std::vector<float> fold_factors(const nn::BatchNorm& bn) {
    std::vector<float> factors(bn.weight().size());
    for (std::size_t c = 0; c != factors.size(); ++c)
        factors[c] = bn.weight()[c] * detail::inverse_deviation(bn, c);
    return factors;
}

struct FoldedLayer {
    nn::Tensor weight{};  ///< of the shape it had
    nn::Tensor bias{};    ///< [out]
};

/// `weight` has the BatchNorm's channels as dimension 0; `bias` is [out], or empty for none.
inline FoldedLayer fold(const nn::Tensor& weight, const nn::Tensor& bias, const nn::BatchNorm& bn) {
    auto const factors = fold_factors(bn);
    std::size_t const channels = factors.size(), taps = weight.size() / channels;
    FoldedLayer folded{weight, nn::Tensor({static_cast<nn::Index>(channels)})};
    for (std::size_t c = 0; c != channels; ++c) {
        for (std::size_t k = c * taps; k != (c + 1) * taps; ++k) folded.weight[k] *= factors[c];
        float const centered = (bias.empty() ? 0.0f : bias[c]) - bn.running_mean()[c];
        folded.bias[c] = centered * detail::inverse_deviation(bn, c) * bn.weight()[c] + bn.bias()[c];
    }
    return folded;
}

}  // namespace amct_distill
