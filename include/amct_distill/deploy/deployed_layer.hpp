// SPDX-License-Identifier: Apache-2.0
/// A quantized layer as a device runs it: integer weights and biases, and the scales between.
///
///     const DeployedLayer& layer = deployment.layers()[0];
///     std::visit([]<class B>(const Codes<B>& codes) { use(codes.bytes()); }, layer.codes);
///     layer.bias;                                   // INT32, in units of dequantization_scale(channel)
///
/// It computes y = (sum of w * (x - offset) + bias) * (scale_d * scale_w), w and x being codes. Its
/// arithmetic besides is that of the network's module: `Deployment::network`.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "../graph/ids.hpp"
#include "../nn/tensor.hpp"
#include "../quant/any_codes.hpp"

namespace amct_distill {

struct DeployedLayer {
    std::string name{};
    ModuleId module{};  ///< in `Deployment::network`
    NodeId node{};      ///< its only use
    Width data_width{Int8{}};
    ScaleOffset data{};                      ///< of the input
    AnyCodes codes{};                        ///< of the weights, a row per output channel
    Scales weight_scales{};                  ///< one, or one per output channel; offset 0
    std::vector<std::int32_t> bias{};        ///< one per output channel; empty: none
    std::size_t channel_axis = 1;            ///< the dimension of the output that counts output channels
    std::string batch_norm{};                ///< the BatchNorm that is folded in; empty: none
    std::vector<std::size_t> requantized{};  ///< channels whose codes are not the student's, see deploy()
    /// The student's own quantizer of the input, x ~ (code - offset) * scale: what codes of the input are
    /// compared with. Where there is none, the affine one is taken.
    std::function<void(const nn::Tensor& x, nn::Tensor& quantized, const Execution& on)> quantize_data{};

    std::size_t rows() const { return amct_distill::rows(codes); }
    std::size_t cols() const { return amct_distill::cols(codes); }
    /// What one unit of the channel's accumulator stands for: scale_d * scale_w, in float32.
    float dequantization_scale(std::size_t channel) const {
        return data.scale * weight_scales.of_row(channel).scale;
    }
    /// f(index, output channel) for every value of an output of this shape.
    template <class F>
    void for_each_output(const nn::Shape& shape, F f) const {
        nn::Index const positions = nn::product(shape, channel_axis + 1, shape.size());
        std::size_t const size =
            shape.empty() ? 0 : static_cast<std::size_t>(nn::product(shape, 0, shape.size()));
        std::size_t i = 0;
        while (i != size)
            for (std::size_t channel = 0; channel != rows(); ++channel)
                for (nn::Index p = 0; p != positions; ++p) f(i++, channel);
    }
};

namespace detail {

/// The farthest that a code of the input is from the offset.
inline std::int64_t largest_data(const Width& width, ScaleOffset data) {
    return std::visit(
        [&]<class B>(B) { return std::int64_t{(std::max)(B::qmax - data.offset, data.offset - B::qmin)}; },
        width);
}
inline std::int64_t sum_of_magnitudes(std::span<const std::int8_t> codes) {
    std::int64_t sum = 0;
    for (std::int8_t c : codes) sum += std::abs(static_cast<int>(c));
    return sum;
}

}  // namespace detail
}  // namespace amct_distill
