// SPDX-License-Identifier: Apache-2.0
/// A student's quantized layers as a device runs them: integer weights and biases, and the scales between.
///
///     std::vector<DeployedLayer> layers = deploy(student).value();
///     layers[0].weights;   // one code a byte; INT4: two, the low nibble first, rows padded
///     layers[0].bias;      // INT32, in units of dequantization_scale(channel)
///
/// A layer computes  y = (sum of w * (x - offset) + bias) * (scale_d * scale_w), w and x being codes. What is
/// folded in, and which codes and scales come of it, says `deploy`.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "../quant/int4.hpp"
#include "../student/student.hpp"
#include "fold.hpp"

namespace amct_distill {

struct DeployedLayer {
    std::string name{};
    /// The layer in float: its weights are what the codes stand for, its bias is the folded one.
    std::variant<nn::Conv2d, nn::Linear> layer;
    int data_bits = 8;
    int weight_bits = 8;
    ScaleOffset data{};                      ///< of the input
    std::vector<float> weight_scales{};      ///< one, or one per output channel; offset 0
    std::vector<std::uint8_t> weights{};     ///< the codes, a row per output channel; see codes()
    std::vector<std::int32_t> bias{};        ///< [out]; empty: none
    std::string batch_norm{};                ///< the BatchNorm that is folded in; empty: none
    std::vector<std::size_t> requantized{};  ///< channels whose codes are not the student's, see deploy()

    const nn::Tensor& float_weight() const {
        return std::visit([](const auto& l) -> const nn::Tensor& { return l.weight(); }, layer);
    }
    const nn::Tensor& float_bias() const {
        return std::visit([](const auto& l) -> const nn::Tensor& { return l.bias(); }, layer);
    }
    std::size_t rows() const { return static_cast<std::size_t>(float_weight().dim(0)); }
    std::size_t cols() const { return float_weight().size() / rows(); }

    /// A row per output channel.
    std::vector<std::int8_t> codes() const {
        if (weight_bits == 4) return unpack_int4(weights, rows(), cols()).value();
        return {weights.begin(), weights.end()};
    }
    float weight_scale(std::size_t channel) const {
        return weight_scales[weight_scales.size() == 1 ? 0 : channel];
    }
    /// What one unit of the channel's accumulator stands for: scale_d * scale_w, in float32.
    float dequantization_scale(std::size_t channel) const { return data.scale * weight_scale(channel); }
};

namespace detail {

/// Codes of `bits` bits.
inline AffineConstants affine_constants(ScaleOffset p, int bits) {
    auto const limit = static_cast<float>(1 << (bits - 1));
    return {p.scale, static_cast<float>(p.offset), -limit, limit - 1};
}

/// The most that an accumulator of this channel reaches, without the bias: what the data's codes can do to
/// these weights.
inline std::int64_t largest_accumulator(std::span<const std::int8_t> row, ScaleOffset data, int data_bits) {
    std::int64_t const qmin = -(1 << (data_bits - 1)), qmax = -qmin - 1;
    std::int64_t sum = 0;
    for (std::int8_t c : row) sum += std::abs(static_cast<int>(c));
    return sum * (std::max)(qmax - data.offset, data.offset - qmin);
}

/// Scales and codes of the folded layer, from the student's, whose codes begin as `codes`.
class LayerDeployment {
public:
    LayerDeployment(DeployedLayer& out, QuantizedMatrix student, const nn::BatchNorm2d* bn)
        : out_(out), codes_(std::move(student)), has_factors_(bn != nullptr) {
        const nn::Tensor& weight = out.float_weight();
        folded_ = bn ? fold(weight, out.float_bias(), *bn) : FoldedLayer{weight, out.float_bias()};
        factors_ = bn ? fold_factors(*bn) : std::vector<float>(codes_.rows, 1.0f);
    }

    result<void> run() {
        for (ScaleOffset p : codes_.scales)
            if (p.offset != 0)
                return general_error(concat("weights with an offset (", p.offset,
                                            ") are not deployed; use a symmetric weight quantizer"));
        if (auto ok = check_finite(folded_.weight.span(), "folded weights"); !ok) return ok;
        if (!folded_.bias.empty())
            if (auto ok = check_finite(folded_.bias.span(), "folded bias"); !ok) return ok;
        take_scales();
        return take_bias();
    }

private:
    float bias_of(std::size_t r) const { return folded_.bias.empty() ? 0.0f : folded_.bias[r]; }
    std::span<std::int8_t> row(std::size_t r) {
        return std::span(codes_.codes).subspan(r * codes_.cols, codes_.cols);
    }

    void take_scales() {
        int const qmin = -(1 << (out_.weight_bits - 1)), qmax = -qmin - 1;
        std::vector<float> scales(codes_.rows);
        for (std::size_t r = 0; r != codes_.rows; ++r) {
            float const factor = factors_[r];
            auto const own = row(r);
            bool const flipped = factor < 0;
            float scale = codes_.scales.of_row(r).scale * std::fabs(factor);
            bool requantize = false;
            if (flipped && std::find(own.begin(), own.end(), qmin) != own.end()) {
                scale = scale * static_cast<float>(-qmin) / static_cast<float>(qmax);
                requantize = true;
            }
            float const bias = std::fabs(bias_of(r)) / out_.data.scale;
            if (scale < scale_epsilon || scale < bias / 0x1p30f) {
                scale = (std::max)(scale_epsilon, bias / 0x1p22f);
                requantize = true;
            }
            if (requantize) {
                run_on(best_instructions(),
                       quantize_loop{folded_.weight.data() + r * codes_.cols, own.data(), own.size(),
                                     affine_constants({scale, 0}, out_.weight_bits)});
                out_.requantized.push_back(r);
            } else if (flipped) {
                for (std::int8_t& c : own) c = static_cast<std::int8_t>(-c);
            }
            scales[r] = scale;
        }
        if (codes_.scales.size() == 1 && !has_factors_ && out_.requantized.empty()) scales.resize(1);
        out_.weight_scales = std::move(scales);
        if (out_.weight_bits == 4)
            out_.weights = pack_int4(codes_.codes, codes_.rows, codes_.cols).value();
        else
            out_.weights.assign(codes_.codes.begin(), codes_.codes.end());

        nn::Tensor meant(folded_.weight.shape());
        for (std::size_t r = 0; r != codes_.rows; ++r)
            dequantize(row(r), meant.span().subspan(r * codes_.cols, codes_.cols), {out_.weight_scale(r), 0});
        set_float(std::move(meant));
    }

    result<void> take_bias() {
        for (std::size_t r = 0; r != codes_.rows; ++r) {
            float const unit = out_.dequantization_scale(r);
            if (!(unit > 0) || !std::isfinite(unit))
                return general_error(concat("channel ", r, ": scale_d * scale_w is ", number(unit),
                                            ", not a positive float; calibrate with other data"));
            float const bias = std::nearbyint(bias_of(r) / unit);
            std::int64_t const most = largest_accumulator(row(r), out_.data, out_.data_bits) +
                                      static_cast<std::int64_t>(std::fabs(bias));
            if (most > (std::numeric_limits<std::int32_t>::max)())
                return general_error(concat("channel ", r, ": its accumulator can reach ", most,
                                            ", more than INT32 holds (", codes_.cols,
                                            " weights a channel); use INT4, or split the layer"));
            if (!folded_.bias.empty()) out_.bias.push_back(static_cast<std::int32_t>(bias));
        }
        return {};
    }

    void set_float(nn::Tensor weight) {
        auto const with_bias = [&]<class Layer>(Layer& layer) {
            auto options = layer.options();
            options.bias = !folded_.bias.empty();
            Layer made(options);
            made.weight() = std::move(weight);
            made.bias() = folded_.bias;
            layer = std::move(made);
        };
        std::visit(with_bias, out_.layer);
    }

    DeployedLayer& out_;
    QuantizedMatrix codes_;
    FoldedLayer folded_{};
    std::vector<float> factors_{};
    bool has_factors_;
};

}  // namespace detail

/// The quantized layers, in definition order. A BatchNorm that alone reads a convolution is folded into it
/// (fold.hpp); with `factor` = gamma / sqrt(var + eps) of an output channel:
///
/// - The codes are the student's, with the sign of the factor, and the scale is the student's times |factor|:
///   per channel, also where one scale served the tensor. So the folded layer computes what was simulated.
/// - A negative factor would turn code qmin into qmax + 1, which there is not. A channel that has this code
///   gets the scale times -qmin / qmax, as ARQ would find it for the folded weights, and new codes: those of
///   the folded float weights.
/// - A factor of 0 leaves codes 0, and the bias is the whole output. The scale stays positive: where it would
///   fall below `scale_epsilon`, or so low that the bias would take more than 30 bits, it is the least with
///   which the bias takes 22, as many as a float32 has anyway; the codes are then new ones as above.
/// - bias = round((folded bias) / (scale_d * scale_w)), in float32, half to even.
///
/// Channels with new codes are named in `requantized`. Errors, all of them, each with its layer: not
/// calibrated; weights, or what BatchNorm makes of them, not finite; weights with an offset; an accumulator
/// that could leave INT32: per channel, sum of |w| * max(qmax - offset, offset - qmin) + |bias| must not.
template <class Algorithms>
result<std::vector<DeployedLayer>> deploy(const BasicStudent<Algorithms>& student) {
    const nn::Network& network = student.network();
    std::vector<DeployedLayer> layers;
    Diagnostics errors;
    auto const add = [&]<class Layer>(const std::string& name,
                                      const QuantizedLayer<Layer, Algorithms>& from) -> result<void> {
        const auto& q = from.quantizers();
        if (!q.is_calibrated()) return general_error("it is not calibrated; call calibrate() first");
        auto codes = q.weight_codes(from.layer().weight());
        if (!codes) return codes.diagnostics();
        DeployedLayer out{.name = name, .layer = from.layer()};
        out.data_bits = q.data_bits();
        out.weight_bits = q.weight_bits();
        out.data = q.data_scale();
        const auto* const bn = batch_norm_behind(network, name);
        for (const auto& m : network.modules())
            if (bn != nullptr && m.module.template get_if<nn::BatchNorm2d>() == bn) out.batch_norm = m.name;
        if (auto ok = detail::LayerDeployment(out, *std::move(codes), bn).run(); !ok) return ok;
        layers.push_back(std::move(out));
        return {};
    };
    for (const auto& planned : student.plan().layers) {
        const nn::Module& module = network.module(planned.name);
        result<void> added;
        if (const auto* conv = module.template get_if<QuantizedLayer<nn::Conv2d, Algorithms>>())
            added = add(planned.name, *conv);
        else if (const auto* linear = module.template get_if<QuantizedLayer<nn::Linear, Algorithms>>())
            added = add(planned.name, *linear);
        for (Diagnostic& d : detail::of_layer(planned.name, added.diagnostics()))
            errors.push_back(std::move(d));
    }
    if (!errors.empty()) return errors;
    return layers;
}

}  // namespace amct_distill
