// SPDX-License-Identifier: Apache-2.0
/// A deployed Conv2d or Linear, run in integers as a device does: a module like any other.
///
///     IntegerLayer layer(deploy(student).value()[0]);
///     layer.accumulate(x, sums);                          // INT32: codes of x times codes of the weights, + bias
///     nn::Network device = integer_network(student).value();   // every quantized layer in integers
///     nn::Tensor logits = device.predict(images);
///
/// Requantization is AMCT's: a sum times the float32 scale_d * scale_w of its channel is the layer's output,
/// float32, and the quantizer of the layer that reads it makes codes of it again. What lies between quantized
/// layers (activations, pooling, skipped layers) runs in float.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "../nn/layers/structure.hpp"
#include "../nn/window.hpp"
#include "deployment.hpp"

namespace amct_distill {

using IntegerTensor = nn::BasicTensor<std::int32_t>;

class IntegerLayer {
public:
    static constexpr std::string_view type_name = "IntegerLayer";

    explicit IntegerLayer(DeployedLayer layer) : layer_(std::move(layer)) {
        auto const codes = layer_.codes();
        weights_.assign(codes.begin(), codes.end());
    }

    const DeployedLayer& layer() const { return layer_; }

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        return std::visit([&](const auto& l) { return l.output_shape(inputs); }, layer_.layer);
    }

    /// The codes of an input. Throws std::invalid_argument when it has a value that is not finite.
    void quantize_data(const nn::Tensor& x, std::vector<std::int8_t>& codes) const {
        if (auto const ok = check_finite(x.span(), layer_.name); !ok)
            throw std::invalid_argument(ok.diagnostics()[0].message);
        codes.resize(x.size());
        detail::run_on(best_instructions(),
                       detail::quantize_loop{x.data(), codes.data(), codes.size(),
                                             detail::affine_constants(layer_.data, layer_.data_bits)});
    }

    /// The INT32 accumulators, of the shape of the output: sum of w * (x - offset) over what the window sees,
    /// padding being 0, plus bias. They cannot overflow: `deploy` has checked it. Throws
    /// std::invalid_argument when x does not have the shape of an input or is not finite.
    void accumulate(const nn::Tensor& x, IntegerTensor& sums) const {
        auto const shape = output_shape(std::array{x.shape()});
        if (!shape)
            throw std::invalid_argument(detail::concat(layer_.name, ": ", shape.diagnostics()[0].message));
        sums.resize(*shape);
        std::vector<std::int8_t> codes;
        quantize_data(x, codes);
        std::vector<std::int32_t> values(codes.begin(), codes.end());
        for (std::int32_t& v : values) v -= layer_.data.offset;
        for_each_sum(sums, [&](std::size_t i, std::size_t channel) {
            sums[i] = layer_.bias.empty() ? 0 : layer_.bias[channel];
        });
        if (const auto* conv = std::get_if<nn::Conv2d>(&layer_.layer))
            add_convolution(conv->options(), x.shape(), values.data(), sums);
        else
            add_product(values.data(), sums);
    }

    /// float32(sum) * (scale_d * scale_w).
    void dequantize(const IntegerTensor& sums, nn::Tensor& output) const {
        output.resize(sums.shape());
        for_each_sum(sums, [&](std::size_t i, std::size_t channel) {
            output[i] = static_cast<float>(sums[i]) * layer_.dequantization_scale(channel);
        });
    }
    /// f(index, output channel) for each of the sums.
    template <class F>
    void for_each_sum(const IntegerTensor& sums, F f) const {
        nn::Index const positions = nn::product(sums.shape(), 2, sums.rank());
        std::size_t i = 0;
        while (i != sums.size())
            for (std::size_t channel = 0; channel != layer_.rows(); ++channel)
                for (nn::Index p = 0; p != positions; ++p) f(i++, channel);
    }

    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch&, nn::Mode) const {
        IntegerTensor sums;
        accumulate(*inputs[0], sums);
        dequantize(sums, output);
    }
    [[noreturn]] void backward(nn::Inputs, const nn::Tensor&, const nn::Tensor&, std::span<nn::Tensor* const>,
                               std::span<nn::Tensor>, nn::Scratch&, nn::Mode) const {
        throw std::invalid_argument(
            detail::concat("layer `", layer_.name, "` runs in integers: train the student"));
    }

private:
    void add_product(const std::int32_t* values, IntegerTensor& sums) const {
        std::size_t const rows = layer_.rows(), cols = layer_.cols();
        for (std::size_t i = 0; i != sums.size(); ++i)
            sums[i] = std::inner_product(values + i / rows * cols, values + (i / rows + 1) * cols,
                                         weights_.data() + i % rows * cols, sums[i]);
    }

    void add_convolution(const nn::Conv2dOptions& o, const nn::Shape& input, const std::int32_t* values,
                         IntegerTensor& sums) const {
        detail::Window const w{{input[2], input[3]}, o.kernel, o.stride, o.padding, o.dilation};
        nn::Index const ins = o.in_channels / o.groups, outs = o.out_channels / o.groups;
        nn::Index const pixels = input[2] * input[3], cols = w.output(1), stride = w.stride[1];
        std::int32_t* y = sums.data();
        for (nn::Index i = 0; i != input[0] * o.out_channels; ++i, y += w.positions()) {
            nn::Index const image = i / o.out_channels, channel = i % o.out_channels;
            const std::int32_t* plane = values + (image * o.in_channels + channel / outs * ins) * pixels;
            const std::int32_t* weight = weights_.data() + channel * ins * w.taps();
            for (nn::Index c = 0; c != ins; ++c, plane += pixels)
                for (nn::Index tap = 0; tap != w.taps(); ++tap, ++weight) {
                    nn::Index const dy = w.offset(0, tap / o.kernel[1]), dx = w.offset(1, tap % o.kernel[1]);
                    auto const y_inside = w.inside(0, dy), x_inside = w.inside(1, dx);
                    for (nn::Index row = y_inside.first; row < y_inside.last; ++row) {
                        nn::Index const line = (row * w.stride[0] + dy) * input[3] + dx;
                        for (nn::Index col = x_inside.first; col < x_inside.last; ++col)
                            y[row * cols + col] += *weight * plane[line + col * stride];
                    }
                }
        }
    }

    DeployedLayer layer_;
    std::vector<std::int32_t> weights_{};  // the codes, widened
};

/// A deployed layer in float: its input quantized by the student's own quantizer, times what the codes of the
/// weights stand for. What the integers are compared with.
template <class Layer, class Algorithms = StandardAlgorithms>
class SimulatedLayer {
public:
    static constexpr std::string_view type_name = "SimulatedLayer";

    SimulatedLayer(Layer layer, LayerQuantizers<Algorithms> quantizers)
        : layer_(std::move(layer)), quantizers_(std::move(quantizers)) {}

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        return layer_.output_shape(inputs);
    }
    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch& scratch, nn::Mode) const {
        nn::Tensor& x = scratch.tensor(Layer::scratch_tensors);
        quantizers_.quantize_data(*inputs[0], x);
        layer_.forward_with(layer_.weight(), x, output, scratch);
    }
    [[noreturn]] void backward(nn::Inputs, const nn::Tensor&, const nn::Tensor&, std::span<nn::Tensor* const>,
                               std::span<nn::Tensor>, nn::Scratch&, nn::Mode) const {
        throw std::invalid_argument("a deployed layer is not trained: train the student");
    }

private:
    Layer layer_;
    LayerQuantizers<Algorithms> quantizers_;
};

namespace detail {

/// The network with `made(layer)` for each deployed layer, and nothing where a BatchNorm is folded.
template <class Made>
nn::Network with_deployed(const nn::Network& network, std::span<const DeployedLayer> layers,
                          const Made& made) {
    nn::Network out = network;
    for (const DeployedLayer& layer : layers) {
        out.replace(layer.name, made(layer));
        if (!layer.batch_norm.empty()) out.replace(layer.batch_norm, nn::Identity{});
    }
    return out;
}

}  // namespace detail

/// The student's network with its quantized layers in integers; `layers` are what `deploy` made of it.
inline nn::Network integer_network(const nn::Network& student, std::span<const DeployedLayer> layers) {
    return detail::with_deployed(student, layers, [](const DeployedLayer& l) { return IntegerLayer(l); });
}
/// Errors: those of `deploy`.
template <class Algorithms>
result<nn::Network> integer_network(const BasicStudent<Algorithms>& student) {
    auto const layers = deploy(student);
    if (!layers) return layers.diagnostics();
    return integer_network(student.network(), *layers);
}

/// The same in float, with SimulatedLayers.
template <class Algorithms>
nn::Network simulation_network(const BasicStudent<Algorithms>& student,
                               std::span<const DeployedLayer> layers) {
    return detail::with_deployed(student.network(), layers, [&](const DeployedLayer& l) {
        return std::visit(
            [&]<class Layer>(const Layer& layer) -> nn::Module {
                return SimulatedLayer<Layer, Algorithms>(layer, *student.quantizers(l.name));
            },
            l.layer);
    });
}

}  // namespace amct_distill
