// SPDX-License-Identifier: Apache-2.0
/// The same for activations: IFMR finds the clips, and the scale is rounded up to a power of two.
///
///     read<BasicConfig<all_power_of_two>>("distill_data_quant_config { pow2_quantize { } }").value();
#pragma once
#include <algorithm>
#include <amct_distill/config/messages.hpp>
#include <amct_distill/quant/act_ulq.hpp>
#include <cmath>
#include <span>

#include "power_of_two.hpp"

namespace mine {

template <BitWidth B>
class ActPow2 {
public:
    using bits = B;
    using calibrator = Ifmr<B>;

    ActPow2() = default;
    ActPow2(ClipRange clip, bool fixed_min) : own_(symmetric_scale<B>({clip.max, fixed_min ? 0 : clip.min})) {
        own_.scale = std::exp2(std::ceil(std::log2(own_.scale)));
    }
    ClipRange clip() const { return clip_of<B>(own_); }
    ScaleOffset scale_offset() const { return own_; }
    void fake_quantize(std::span<const float> x, std::span<float> y) const {
        amct_distill::fake_quantize<B>(x, y, own_);
    }
    void backward(std::span<const float> x, std::span<const float> grad_y, std::span<float> grad_x,
                  std::span<float>) const {
        auto const [max, min] = clip();
        for (std::size_t i = 0; i != x.size(); ++i) grad_x[i] = x[i] < min || x[i] > max ? 0 : grad_y[i];
    }
    std::span<float> parameters() { return {}; }
    std::span<const float> parameters() const { return {}; }
    void constrain() {}

private:
    ScaleOffset own_{};
};

struct Pow2Quantize {
    template <class B>
    using quantizer = ActPow2<B>;

    optional<ClipMaxMin> clip_max_min{};
    optional<bool> fixed_min{};
    optional<DataType, DataType::INT8> dst_type{};
    friend bool operator==(const Pow2Quantize&, const Pow2Quantize&) = default;
};

struct all_power_of_two : power_of_two {
    struct data {
        ActULQquantize ulq_quantize;
        Pow2Quantize pow2_quantize;
    };
};

}  // namespace mine
