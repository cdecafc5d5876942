// SPDX-License-Identifier: Apache-2.0
/// A deployed layer, run in integers as a device does: a module like any other.
///
///     nn::Network device = integer_network(deployment);   // every quantized layer in integers
///     nn::Tensor logits = device.predict(images);
///     IntegerLayer layer(deployment, "conv1");
///     layer.accumulate(x, sums);                     // INT32: codes of x times codes of the weights, + bias
///
/// Requantization is AMCT's: a sum times the float32 scale_d * scale_w of its channel is the layer's output,
/// float32, and the quantizer of the layer that reads it makes codes of it again. What lies between quantized
/// layers (activations, pooling, skipped layers) runs in float.
///
/// The sums are computed by the layer's own float kernels, so that any layer with weights runs in integers:
/// codes are whole numbers, and a float32 sum of whole numbers is exact as long as none of its parts passes
/// 2^24. Where a channel's codes could pass it, they are split into several weights, whose sums are added as
/// INT32.
#pragma once
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "../nn/layers/structure.hpp"
#include "../quant/finite.hpp"
#include "deployment.hpp"

namespace amct_distill {

using IntegerTensor = nn::BasicTensor<std::int32_t>;

class IntegerLayer {
public:
    static constexpr std::string_view type_name = "IntegerLayer";

    /// Throws std::invalid_argument when the deployment has no quantized layer of this name.
    IntegerLayer(const Deployment& deployment, std::string_view name)
        : layer_(found(deployment, name)), module_(deployment.network().module(layer_.module)) {
        split();
        module_ = module_.weighted()->with_parameters(parts_[0], {});
    }

    const DeployedLayer& layer() const { return layer_; }

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        return module_.output_shape(inputs);
    }

    /// The codes of an input. Throws std::invalid_argument when it has a value that is not finite.
    void quantize_data(const nn::Tensor& x, std::vector<std::int8_t>& codes, const Execution& on = {}) const {
        if (auto const ok = check_finite(x.span(), layer_.name); !ok)
            throw std::invalid_argument(ok.diagnostics()[0].message);
        codes.resize(x.size());
        std::visit([&]<class B>(B) { quantize<B>(x.span(), codes, layer_.data, on); }, layer_.data_width);
    }

    /// The INT32 accumulators, of the shape of the output: sum of w * (x - offset) over what the layer sees,
    /// padding being 0, plus bias. They cannot overflow: `deploy` has checked it. Throws
    /// std::invalid_argument when x does not have the shape of an input or is not finite.
    void accumulate(const nn::Tensor& x, IntegerTensor& sums, nn::Scratch& scratch) const {
        auto const shape = output_shape(std::array{x.shape()});
        if (!shape)
            throw std::invalid_argument(detail::concat(layer_.name, ": ", shape.diagnostics()[0].message));
        const nn::Weighted& weighted = *module_.weighted();
        nn::Tensor& values = scratch.tensor(weighted.scratch_tensors());
        nn::Tensor& partial = scratch.tensor(weighted.scratch_tensors() + 1);
        std::vector<std::int8_t> codes;
        quantize_data(x, codes, scratch.execution());
        values.resize(x.shape());
        dequantize(codes, values.span(), {1.0f, layer_.data.offset}, scratch.execution());
        partial.resize(*shape);
        sums.resize(*shape);
        if (layer_.bias.empty())
            sums.fill(0);
        else
            layer_.for_each_output(
                *shape, [&](std::size_t i, std::size_t channel) { sums[i] = layer_.bias[channel]; });
        for (const nn::Tensor& part : parts_) {
            weighted.forward_with(part, values, partial, scratch);
            for (std::size_t i = 0; i != sums.size(); ++i) sums[i] += static_cast<std::int32_t>(partial[i]);
        }
    }
    void accumulate(const nn::Tensor& x, IntegerTensor& sums) const {
        nn::Scratch scratch;
        accumulate(x, sums, scratch);
    }

    /// float32(sum) * (scale_d * scale_w).
    void dequantize_sums(const IntegerTensor& sums, nn::Tensor& output) const {
        output.resize(sums.shape());
        layer_.for_each_output(sums.shape(), [&](std::size_t i, std::size_t channel) {
            output[i] = static_cast<float>(sums[i]) * layer_.dequantization_scale(channel);
        });
    }

    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch& scratch, nn::Mode) const {
        IntegerTensor sums;
        accumulate(*inputs[0], sums, scratch);
        dequantize_sums(sums, output);
    }
    [[noreturn]] void backward(nn::Inputs, const nn::Tensor&, const nn::Tensor&, std::span<nn::Tensor* const>,
                               std::span<nn::Tensor>, nn::Scratch&, nn::Mode) const {
        throw std::invalid_argument(
            detail::concat("layer `", layer_.name, "` runs in integers: train the student"));
    }

private:
    static const DeployedLayer& found(const Deployment& deployment, std::string_view name) {
        if (const DeployedLayer* layer = deployment.layer(name)) return *layer;
        throw std::invalid_argument(
            detail::concat("IntegerLayer: the deployment has no quantized layer `", name, '`'));
    }

    /// The codes as weights in float, each code in one of the parts. In a part, no channel's sum of |w| times
    /// the farthest code of the input passes 2^24.
    void split() {
        std::int64_t const most =
            (std::int64_t{1} << 24) / detail::largest_data(layer_.data_width, layer_.data);
        nn::Shape const matrix{static_cast<nn::Index>(layer_.rows()), static_cast<nn::Index>(layer_.cols())};
        std::vector<nn::Tensor> parts(1, nn::Tensor(matrix));
        std::vector<std::int8_t> codes(layer_.cols());
        for (std::size_t r = 0; r != layer_.rows(); ++r) {
            unpack_row(layer_.codes, r, codes);
            std::size_t part = 0;
            std::int64_t sum = 0;
            for (std::size_t c = 0; c != codes.size(); ++c) {
                std::int64_t const magnitude = std::abs(static_cast<int>(codes[c]));
                if (sum + magnitude > most) {
                    sum = 0;
                    if (++part == parts.size()) parts.emplace_back(matrix);
                }
                sum += magnitude;
                parts[part][r * codes.size() + c] = static_cast<float>(codes[c]);
            }
        }
        const nn::Weighted& layer = *module_.weighted();
        for (const nn::Tensor& part : parts)
            nn::WeightRows(layer).scatter(part, parts_.emplace_back(layer.weight().shape()));
    }

    DeployedLayer layer_;
    nn::Module module_;                // without a bias
    std::vector<nn::Tensor> parts_{};  // weights that add up to the codes
};

/// The network with its quantized layers in integers.
inline nn::Network integer_network(const Deployment& deployment) {
    nn::Network out = deployment.network();
    for (const DeployedLayer& layer : deployment.layers())
        out.replace(layer.module, IntegerLayer(deployment, layer.name));
    return out;
}

}  // namespace amct_distill
