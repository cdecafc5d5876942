/// A BatchNorm2d behind a convolution, as factors of the convolution's output channels.
///
///     if (const auto* bn = batch_norm_behind(network, "conv1")) factors = fold_factors(*bn);
///
/// bn(conv(x)) = conv'(x) with weight' = weight * factor, bias' = (bias - mean) * factor + beta, per channel.
#pragma once
#include <cmath>
#include <cstddef>
#include <string_view>
#include <vector>

#include "../nn/batch_norm.hpp"
#include "../nn/network.hpp"

namespace amct_distill {

/// The BatchNorm2d that alone reads what the layer puts out; null when there is none, or when the layer or the
/// BatchNorm is used more than once.
inline const nn::BatchNorm2d* batch_norm_behind(const nn::Network& network, std::string_view layer) {
    auto const uses = [&](std::size_t module) {
        std::size_t n = 0;
        for (nn::NodeId id : network.operations())
            if (network.node(id).module == module) ++n;
        return n;
    };
    const nn::Network::Node* reader = nullptr;
    std::size_t readers = 0;
    auto const node = network.find(layer);
    if (!node || !network.node(*node).module || uses(*network.node(*node).module) != 1) return nullptr;
    for (nn::NodeId id : network.operations())
        for (nn::NodeId input : network.node(id).inputs)
            if (input == *node) {
                reader = &network.node(id);
                ++readers;
            }
    for (nn::NodeId output : network.outputs())
        if (output == *node) return nullptr;
    if (readers != 1 || !reader->module || uses(*reader->module) != 1) return nullptr;
    return network.modules()[*reader->module].module.get_if<nn::BatchNorm2d>();
}

/// gamma / sqrt(running variance + eps), one per channel, in float32.
inline std::vector<float> fold_factors(const nn::BatchNorm2d& bn) {
    std::vector<float> factors(bn.weight().size());
    for (std::size_t c = 0; c != factors.size(); ++c)
        factors[c] = bn.weight()[c] / std::sqrt(bn.running_var()[c] + static_cast<float>(bn.options().eps));
    return factors;
}

}  // namespace amct_distill
