// SPDX-License-Identifier: Apache-2.0
/// A quantized layer of the engine: integer codes of weights and input, multiplied and added as integers.
///
///     Layer<conv1, Arq<Int4, ChannelWise>, ActUlq<Int8>> layer(weight, bias, ActUlq<Int8>({1, 0}, true));
///     layer.run(x, y);
///
/// Bits and granularity come from the quantizers' types: they choose the kernel, and how codes are stored.
#pragma once
#include <algorithm>
#include <amct_distill/quant/act_ulq.hpp>
#include <amct_distill/quant/affine.hpp>
#include <amct_distill/quant/arq.hpp>
#include <amct_distill/quant/fixed_codes.hpp>
#include <amct_distill/quant/scale.hpp>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>

namespace engine {

/// A convolution with square images and kernels. A Linear is one whose kernel is as large as the image.
struct Shape {
    int in_channels, in_size, out_channels, kernel, stride, padding;

    constexpr int out_size() const { return (in_size + 2 * padding - kernel) / stride + 1; }
    constexpr int row() const { return in_channels * kernel * kernel; }  // weights of an output channel
    constexpr int inputs() const { return in_channels * in_size * in_size; }
    constexpr int outputs() const { return out_channels * out_size() * out_size(); }
};

template <Shape S, class Weights, class Data>
class Layer {
public:
    using bits = typename Weights::bits;
    static constexpr bool channel_wise =
        std::same_as<typename Weights::granularity, amct_distill::ChannelWise>;

    using Stored = amct_distill::FixedCodes<bits, static_cast<std::size_t>(S.out_channels),
                                            static_cast<std::size_t>(S.row())>;

    Layer() = default;

    /// Quantizes the weights as ARQ does: the largest of a channel, or of all, sets the scale. `data` has
    /// clips.
    Layer(const float* weight, const float* bias, Data data) : bias_(bias), input_(data.scale_offset()) {
        for (int channel = 0; channel != S.out_channels; ++channel) {
            int const first = channel_wise ? channel * S.row() : 0;
            int const last = channel_wise ? first + S.row() : S.out_channels * S.row();
            auto const [low, high] = std::minmax_element(weight + first, weight + last);
            auto const scale = amct_distill::symmetric_scale<bits>({*high, *low});
            auto const c = static_cast<std::size_t>(channel);
            scales_[c] = scale.scale;
            for (int i = 0; i != S.row(); ++i)
                codes_.set(c, static_cast<std::size_t>(i),
                           amct_distill::quantize<bits>(weight[channel * S.row() + i], scale));
        }
    }

    /// `x` [in_channels, in_size, in_size], `y` [out_channels, out_size, out_size].
    void run(const float* x, float* y) const {
        std::array<std::int32_t, static_cast<std::size_t>(S.inputs())> codes{};  // minus the offset: 0 is 0
        for (std::size_t i = 0; i != codes.size(); ++i)
            codes[i] = amct_distill::quantize<typename Data::bits>(x[i], input_) - input_.offset;
        for (int channel = 0; channel != S.out_channels; ++channel) {
            auto const c = static_cast<std::size_t>(channel);
            for (int row = 0; row != S.out_size(); ++row)
                for (int column = 0; column != S.out_size(); ++column)
                    *y++ = static_cast<float>(sum(codes.data(), channel, row, column)) *
                               (scales_[c] * input_.scale) +
                           bias_[c];
        }
    }

    static constexpr std::size_t bytes() { return sizeof(Stored); }

private:
    std::int32_t sum(const std::int32_t* x, int channel, int row, int column) const {
        std::int32_t total = 0;
        std::size_t weight = 0;
        for (int in = 0; in != S.in_channels; ++in)
            for (int i = 0; i != S.kernel; ++i)
                for (int j = 0; j != S.kernel; ++j, ++weight) {
                    int const r = row * S.stride + i - S.padding, c = column * S.stride + j - S.padding;
                    if (r < 0 || r >= S.in_size || c < 0 || c >= S.in_size) continue;
                    total += x[(in * S.in_size + r) * S.in_size + c] *
                             codes_.at(static_cast<std::size_t>(channel), weight);
                }
        return total;
    }

    Stored codes_{};
    std::array<float, static_cast<std::size_t>(S.out_channels)> scales_{};
    const float* bias_ = nullptr;
    amct_distill::ScaleOffset input_{};
};

}  // namespace engine
