// SPDX-License-Identifier: Apache-2.0
/// The codes, scales and bias of one layer with its BatchNorm folded in, from those of the student.
///
///     DeployedLayer layer{.name = "conv1", .data_width = Int8{}, .data = q.data_scale()};
///     nn::Tensor meant, bias;                 // in float: what the codes stand for, and the folded bias
///     detail::FoldCodes<Int4>(layer, rows, conv_bias, norm).run(codes, meant, bias);
///
/// With `factor` = gamma / sqrt(var + eps) of an output channel:
///
/// - The codes are the student's, with the sign of the factor, and the scale is the student's times |factor|:
///   per channel, also where one scale served the tensor. So the folded layer computes what was simulated.
/// - A negative factor would turn code qmin into qmax + 1, which does not exist. A channel that has this code
///   gets the scale times -qmin / qmax, as ARQ would find it for the folded weights, and new codes: those of
///   the folded float weights.
/// - A channel without weights, its factor being 0 or all of its codes, has codes 0, and its output is the
///   bias. The scale is then no higher than the one with which the bias takes 22 bits, as many as a float32
///   has anyway.
/// - A scale so low that the bias would take more than 30 bits becomes that with which it takes 22.
/// - A scale that is no normal float, or with which scale_d * scale_w is none, becomes the least power of two
///   with which both are. A weight changes by less than 2^-126, or what it adds to the output by less than
///   2^-118.
/// - In the last two cases the codes are new ones as above.
/// - bias = round((folded bias) / (scale_d * scale_w)), in float32, half to even.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "../core/number.hpp"
#include "../quant/finite.hpp"
#include "deployed_layer.hpp"
#include "fold.hpp"

namespace amct_distill::detail {

template <BitWidth B>
class FoldCodes {
public:
    /// `weight` has a row per output channel; `bn` may be null. What is found goes to `out`, whose name,
    /// input scale and width are set.
    FoldCodes(DeployedLayer& out, const nn::Tensor& weight, const nn::Tensor& bias, const nn::BatchNorm* bn)
        : out_(out),
          folded_(bn ? fold(weight, bias, *bn) : FoldedLayer{weight, bias}),
          factors_(bn ? fold_factors(*bn) : std::vector<float>{}) {}

    /// `codes` are the student's. Errors: see deploy().
    result<void> run(QuantizedMatrix codes, nn::Tensor& meant, nn::Tensor& bias) {
        codes_ = std::move(codes);
        for (ScaleOffset p : codes_.scales)
            if (p.offset != 0)
                return general_error(concat("weights with an offset (", p.offset,
                                            ") are not deployed; use a symmetric weight quantizer"));
        if (auto ok = check_finite(folded_.weight.span(), "folded weights"); !ok) return ok;
        if (!folded_.bias.empty())
            if (auto ok = check_finite(folded_.bias.span(), "folded bias"); !ok) return ok;
        if (auto ok = find_scales(); !ok) return ok;
        if (auto ok = find_bias(); !ok) return ok;
        auto packed = Codes<B>::pack(codes_.codes, codes_.rows, codes_.cols);
        if (!packed) return packed.diagnostics();
        out_.codes = *std::move(packed);

        meant = std::move(folded_.weight);
        for (std::size_t r = 0; r != codes_.rows; ++r)
            dequantize(row(r), meant.span().subspan(r * codes_.cols, codes_.cols),
                       out_.weight_scales.of_row(r));
        bias = std::move(folded_.bias);
        return {};
    }

private:
    float factor_of(std::size_t r) const { return factors_.empty() ? 1.0f : factors_[r]; }
    float bias_of(std::size_t r) const { return folded_.bias.empty() ? 0.0f : folded_.bias[r]; }
    std::span<std::int8_t> row(std::size_t r) {
        return std::span(codes_.codes).subspan(r * codes_.cols, codes_.cols);
    }

    result<void> find_scales() {
        std::vector<ScaleOffset> scales(codes_.rows);
        for (std::size_t r = 0; r != codes_.rows; ++r) {
            auto const own = row(r);
            bool const flipped = factor_of(r) < 0;
            bool const zeros = std::ranges::all_of(own, [](std::int8_t c) { return c == 0; });
            float const folded = codes_.scales.of_row(r).scale * std::fabs(factor_of(r));
            float scale = folded;
            if (flipped && std::ranges::find(own, B::qmin) != own.end())
                scale = scale * static_cast<float>(-B::qmin) / static_cast<float>(B::qmax);
            scale = (std::max)(scale_for_bias(scale, std::fabs(bias_of(r)), zeros), least_scale());
            scales[r] = {scale, 0};
            if (auto ok = check_unit(r, scale); !ok) return ok;
            if (scale != folded && !zeros) {
                quantize<B>(folded_.weight.span().subspan(r * codes_.cols, codes_.cols), own, scales[r]);
                out_.requantized.push_back(r);
            } else if (flipped) {
                for (std::int8_t& c : own) c = static_cast<std::int8_t>(-c);
            }
        }
        bool const one = codes_.scales.size() == 1 && std::ranges::count(scales, scales.front()) ==
                                                          static_cast<std::ptrdiff_t>(scales.size());
        if (one && factors_.empty()) scales.resize(1);
        out_.weight_scales = Scales(std::move(scales));
        return {};
    }

    /// `zeros`: the bias is all there is.
    float scale_for_bias(float scale, float bias, bool zeros) const {
        if (bias == 0) return scale == 0 ? 1.0f : scale;
        double const one_bit = static_cast<double>(bias) / static_cast<double>(out_.data.scale);
        auto const good = static_cast<float>(one_bit / 0x1p22);
        if (scale == 0 || static_cast<double>(scale) < one_bit / 0x1p30) return good;
        return zeros ? (std::min)(scale, good) : scale;
    }
    /// The least power of two that is a normal float, and times scale_d too: below, the output would lose
    /// digits.
    float least_scale() const {
        int constexpr lowest = std::numeric_limits<float>::min_exponent - 1;
        return std::ldexp(1.0f, (std::max)(lowest, lowest - std::ilogb(out_.data.scale)));
    }
    result<void> check_unit(std::size_t r, float scale) const {
        float const unit = out_.data.scale * scale;
        if (std::isfinite(unit)) return {};
        return general_error(concat("channel ", r, ": scale_d * scale_w is ", number(unit),
                                    "; calibrate with other data, or skip the layer"));
    }

    result<void> find_bias() {
        for (std::size_t r = 0; r != codes_.rows; ++r) {
            float const bias = std::nearbyint(bias_of(r) / out_.dequantization_scale(r));
            std::int64_t const most = sum_of_magnitudes(row(r)) * largest_data(out_.data_width, out_.data) +
                                      static_cast<std::int64_t>(std::fabs(bias));
            if (most > (std::numeric_limits<std::int32_t>::max)())
                return general_error(concat("channel ", r, ": its accumulator can reach ", most,
                                            ", more than INT32 holds (", codes_.cols,
                                            " weights a channel); use INT4, or split the layer"));
            if (!folded_.bias.empty()) out_.bias.push_back(static_cast<std::int32_t>(bias));
        }
        return {};
    }

    DeployedLayer& out_;
    FoldedLayer folded_;
    std::vector<float> factors_;
    QuantizedMatrix codes_{};
};

}  // namespace amct_distill::detail
