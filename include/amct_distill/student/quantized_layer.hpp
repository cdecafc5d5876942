// SPDX-License-Identifier: Apache-2.0
/// A Conv2d or Linear that quantizes its input and its weights before it computes: a module like any other.
///
///     QuantizedLayer<nn::Conv2d> layer(conv, quantizers);
///     layer.layer();        // the float layer: its weights are the master that training changes
///     layer.quantizers();   // see layer_quantizers.hpp
///
/// forward:  y = layer(Q_data(x), Q_weights(w));  backward: straight through the rounding, as the quantizers
/// say. The float weights are never overwritten, so that updates smaller than half a step add up.
#pragma once
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "../nn/layers/conv2d.hpp"
#include "../nn/layers/linear.hpp"
#include "layer_quantizers.hpp"

namespace amct_distill {

template <class Layer, class Algorithms = StandardAlgorithms>
class QuantizedLayer {
public:
    static constexpr std::string_view type_name = Layer::type_name;

    QuantizedLayer(Layer layer, LayerQuantizers<Algorithms> quantizers)
        : layer_(std::move(layer)), quantizers_(std::move(quantizers)) {}

    const Layer& layer() const { return layer_; }
    Layer& layer() { return layer_; }
    const LayerQuantizers<Algorithms>& quantizers() const { return quantizers_; }
    LayerQuantizers<Algorithms>& quantizers() { return quantizers_; }

    /// Those of the float layer, then "scales" and "clips" where they are trained.
    void parameters(std::vector<nn::BasicParameter<float>>& list) {
        layer_.parameters(list);
        quantizers_.append_parameters(list);
    }
    void constrain() { quantizers_.constrain(); }

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        return layer_.output_shape(inputs);
    }

    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch& scratch, nn::Mode) const {
        quantizers_.quantize_weight(layer_.weight(), scratch.tensor(quantized_weight), scratch.execution());
        layer_.forward_with(scratch.tensor(quantized_weight), input_of(*inputs[0], scratch), output, scratch);
    }

    void backward(nn::Inputs inputs, const nn::Tensor&, const nn::Tensor& grad_output,
                  std::span<nn::Tensor* const> grad_inputs, std::span<nn::Tensor> grad_parameters,
                  nn::Scratch& scratch, nn::Mode) const {
        const nn::Tensor& x = *inputs[0];
        nn::Tensor* const grad_x = grad_inputs[0];
        bool const bias = layer_.options().bias, scales = quantizers_.trains_scales();
        std::size_t const scales_at = bias ? 2 : 1, clips_at = scales_at + (scales ? 1 : 0);
        bool const needs_data = quantizers_.trains_clips() || grad_x != nullptr;

        nn::Tensor& weight = scratch.tensor(quantized_weight);
        quantizers_.quantize_weight(layer_.weight(), weight, scratch.execution());
        const nn::Tensor& input = input_of(x, scratch);
        nn::Tensor& grad_weight = zeros(scratch.tensor(weight_gradient), weight.shape());
        nn::Tensor* grad_data = nullptr;
        if (needs_data) grad_data = &zeros(scratch.tensor(data_gradient), x.shape());
        layer_.backward_with(weight, input, grad_output, grad_data, &grad_weight,
                             bias ? &grad_parameters[1] : nullptr, scratch);

        nn::Tensor& through = scratch.tensor(straight_through);
        nn::Tensor& few = scratch.tensor(few_gradients);
        quantizers_.weight_backward(layer_.weight(), grad_weight, through,
                                    scales ? &grad_parameters[scales_at] : nullptr, few, scratch.execution());
        nn::array(grad_parameters[0]) += nn::array(through);
        if (!needs_data) return;
        if (quantizers_.trains_clips()) {
            quantizers_.data_backward(x, *grad_data, through, grad_parameters[clips_at], few,
                                      scratch.execution());
            grad_data = &through;
        }
        if (grad_x != nullptr) nn::array(*grad_x) += nn::array(*grad_data);
    }

private:
    // Buffers of the node that lie behind the layer's own.
    static constexpr std::size_t quantized_weight = Layer::scratch_tensors,
                                 quantized_data = quantized_weight + 1,
                                 weight_gradient = quantized_weight + 2, data_gradient = quantized_weight + 3,
                                 straight_through = quantized_weight + 4,
                                 few_gradients = quantized_weight + 5;

    static nn::Tensor& zeros(nn::Tensor& t, const nn::Shape& shape) {
        t.resize(shape);
        t.fill(0);
        return t;
    }
    const nn::Tensor& input_of(const nn::Tensor& x, nn::Scratch& scratch) const {
        if (!quantizers_.is_calibrated()) return x;
        quantizers_.quantize_data(x, scratch.tensor(quantized_data), scratch.execution());
        return scratch.tensor(quantized_data);
    }

    Layer layer_;
    LayerQuantizers<Algorithms> quantizers_;
};

}  // namespace amct_distill
