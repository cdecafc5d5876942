// SPDX-License-Identifier: Apache-2.0
/// A layer with weights without its type.
///
///     detail::WeightedLayerView const layer(module);     // a Conv2d or Linear
///     layer.forward_with(weight, x, y, scratch);
#pragma once
#include <cstddef>
#include <utility>

#include "../nn/layers/conv2d.hpp"
#include "../nn/layers/linear.hpp"
#include "../nn/module.hpp"

namespace amct_distill::detail {

class WeightedLayerView {
public:
    explicit WeightedLayerView(const nn::Module& module) : module_(module) {}

    const nn::Tensor& weight() const {
        return visit([](const auto& l) -> const nn::Tensor& { return l.weight(); });
    }
    const nn::Tensor& bias() const {
        return visit([](const auto& l) -> const nn::Tensor& { return l.bias(); });
    }
    std::size_t scratch_tensors() const {
        return visit([]<class Layer>(const Layer&) { return Layer::scratch_tensors; });
    }
    void forward_with(const nn::Tensor& weight, const nn::Tensor& x, nn::Tensor& y,
                      nn::Scratch& scratch) const {
        visit([&](const auto& l) { l.forward_with(weight, x, y, scratch); });
    }
    nn::Module with_parameters(const nn::Tensor& weight, const nn::Tensor& bias) const {
        return visit([&]<class Layer>(const Layer& layer) -> nn::Module {
            auto options = layer.options();
            options.bias = !bias.empty();
            Layer made(options);
            made.weight() = weight;
            made.bias() = bias;
            return made;
        });
    }

private:
    template <class F>
    auto visit(F f) const -> decltype(f(std::declval<const nn::Linear&>())) {
        if (const auto* conv = module_.get_if<nn::Conv2d>()) return f(*conv);
        return f(*module_.get_if<nn::Linear>());
    }
    const nn::Module& module_;
};

}  // namespace amct_distill::detail
