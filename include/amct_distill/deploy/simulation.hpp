// SPDX-License-Identifier: Apache-2.0
/// A deployment in float: what the integers are compared with.
///
///     nn::Network simulation = simulation_network(deployment);
///     nn::Tensor logits = simulation.predict(images);
///
/// The input of a layer is quantized by the student's own quantizer, and multiplied in float32 by what the
/// codes of the weights stand for.
#pragma once
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <variant>

#include "deployment.hpp"

namespace amct_distill {

class SimulatedLayer {
public:
    static constexpr std::string_view type_name = "SimulatedLayer";

    /// `module` is the deployment's layer in float.
    SimulatedLayer(nn::Module module, const DeployedLayer& layer)
        : module_(std::move(module)),
          width_(layer.data_width),
          data_(layer.data),
          quantize_(layer.quantize_data) {}

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        return module_.output_shape(inputs);
    }
    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch& scratch, nn::Mode) const {
        const nn::Weighted& weighted = *module_.weighted();
        nn::Tensor& x = scratch.tensor(weighted.scratch_tensors());
        x.resize(inputs[0]->shape());
        if (quantize_)
            quantize_(*inputs[0], x, scratch.execution());
        else
            std::visit([&]<class B>(
                           B) { fake_quantize<B>(inputs[0]->span(), x.span(), data_, scratch.execution()); },
                       width_);
        weighted.forward_with(weighted.weight(), x, output, scratch);
    }
    [[noreturn]] void backward(nn::Inputs, const nn::Tensor&, const nn::Tensor&, std::span<nn::Tensor* const>,
                               std::span<nn::Tensor>, nn::Scratch&, nn::Mode) const {
        throw std::invalid_argument("a deployed layer is not trained: train the student");
    }

private:
    nn::Module module_;
    Width width_;
    ScaleOffset data_;
    decltype(DeployedLayer::quantize_data) quantize_;
};

/// The network with its quantized layers simulated.
inline nn::Network simulation_network(const Deployment& deployment) {
    nn::Network out = deployment.network();
    for (const DeployedLayer& layer : deployment.layers())
        out.replace(layer.module, SimulatedLayer(deployment.network().module(layer.module), layer));
    return out;
}

}  // namespace amct_distill
