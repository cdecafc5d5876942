// SPDX-License-Identifier: Apache-2.0
/// A deployment whose INT8 weights need 7 bits: for processors that add products of 8 bits in 16.
///
///     Deployment const narrow = with_narrow_weights(deployment);        // codes -63 .. 63
///     verify(narrow, batches).value();                                  // it is a deployment as any other
///
/// AVX2 without VNNI multiplies unsigned 8-bit data by signed 8-bit weights and adds two such products in 16
/// bits, which saturate; ONNX Runtime, among others, computes so there. Of two weights within 63 no sum
/// leaves 16 bits. A channel with larger codes (with one scale for all: the layer) gets a larger scale and
/// new codes; INT4 stays as it is.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "../nn/weight_rows.hpp"
#include "deployment.hpp"

namespace amct_distill {

inline constexpr int largest_narrow_code = 63;

/// Whether no code of a layer needs more than 7 bits.
inline bool has_narrow_weights(const DeployedLayer& layer) {
    std::vector<std::int8_t> codes(layer.cols());
    for (std::size_t r = 0; r != layer.rows(); ++r) {
        unpack_row(layer.codes, r, codes);
        for (std::int8_t c : codes)
            if (std::abs(int{c}) > largest_narrow_code) return false;
    }
    return true;
}

namespace detail {

/// Other codes of a layer's weights, of the width that it has, and their scales. Its bias follows in steps of
/// them, and its module has the weights that they stand for.
inline void set_codes(DeployedLayer& layer, nn::Network& network, std::span<const std::int8_t> codes,
                      std::vector<ScaleOffset> scales) {
    std::size_t const rows = layer.rows(), cols = layer.cols();
    layer.codes = std::visit(
        [&]<class B>(const Codes<B>&) { return AnyCodes(Codes<B>::pack(codes, rows, cols).value()); },
        layer.codes);
    layer.weight_scales = Scales(std::move(scales));
    const nn::Weighted& old = *network.module(layer.module).weighted();
    for (std::size_t r = 0; r != layer.bias.size(); ++r)
        layer.bias[r] =
            static_cast<std::int32_t>(std::nearbyint(old.bias()[r] / layer.dequantization_scale(r)));
    nn::Tensor meant({static_cast<nn::Index>(rows), static_cast<nn::Index>(cols)});
    for (std::size_t r = 0; r != rows; ++r)
        dequantize(codes.subspan(r * cols, cols), meant.span().subspan(r * cols, cols),
                   layer.weight_scales.of_row(r));
    nn::Tensor weight(old.weight().shape());
    nn::WeightRows(old).scatter(meant, weight);
    network.replace(layer.module, old.with_parameters(weight, nn::Tensor(old.bias())));
}

/// The layer with codes of 7 bits.
inline void narrow_weights(DeployedLayer& layer, nn::Network& network) {
    std::size_t const rows = layer.rows(), cols = layer.cols();
    std::vector<std::int8_t> codes(rows * cols);
    std::vector<int> largest(rows, 0);
    for (std::size_t r = 0; r != rows; ++r) {
        auto const row = std::span(codes).subspan(r * cols, cols);
        unpack_row(layer.codes, r, row);
        for (std::int8_t c : row) largest[r] = (std::max)(largest[r], std::abs(int{c}));
    }
    if (layer.weight_scales.size() == 1)
        std::ranges::fill(largest, *std::max_element(largest.begin(), largest.end()));
    std::vector<ScaleOffset> scales(layer.weight_scales.begin(), layer.weight_scales.end());
    layer.requantized.clear();
    for (std::size_t r = 0; r != rows; ++r) {
        if (largest[r] <= largest_narrow_code) continue;
        double const factor = double{largest_narrow_code} / largest[r];
        for (std::size_t c = r * cols; c != (r + 1) * cols; ++c)
            codes[c] = static_cast<std::int8_t>(std::nearbyint(codes[c] * factor));
        if (scales.size() != 1 || r == 0) {
            ScaleOffset& s = scales[scales.size() == 1 ? 0 : r];
            s.scale = static_cast<float>(static_cast<double>(s.scale) / factor);
        }
        layer.requantized.push_back(r);
    }
    set_codes(layer, network, codes, std::move(scales));
}

}  // namespace detail

/// `requantized` of its layers are the channels with new codes.
inline Deployment with_narrow_weights(const Deployment& deployment) {
    nn::Network network = deployment.network();
    std::vector<DeployedLayer> layers = deployment.layers();
    for (DeployedLayer& layer : layers)
        if (std::holds_alternative<Codes<Int8>>(layer.codes) && !has_narrow_weights(layer))
            detail::narrow_weights(layer, network);
    return Deployment(std::move(network), std::move(layers));
}

}  // namespace amct_distill
