// SPDX-License-Identifier: Apache-2.0
/// A copy of a network whose planned layers quantize.
///
///     Student student = make_student(teacher, plan).value();
///     calibrate(student, batches).value();
///     Tensor logits = student.predict(images);
///     student.quantizers("conv1")->data_clip();
#pragma once
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "../nn/network.hpp"
#include "check_parameters.hpp"
#include "quantized_layer.hpp"
#include "same_network.hpp"

namespace amct_distill {

template <class Algorithms = StandardAlgorithms>
class BasicStudent {
public:
    using algorithms = Algorithms;

    /// Use make_student().
    BasicStudent(nn::Network network, BasicDistillPlan<Algorithms> plan)
        : network_(std::move(network)), plan_(std::move(plan)) {}

    const nn::Network& network() const { return network_; }
    nn::Network& network() { return network_; }
    const BasicDistillPlan<Algorithms>& plan() const { return plan_; }

    nn::Tensor predict(const nn::Tensor& input) const { return network_.predict(input); }

    /// The quantizers of a layer; null when it is not quantized.
    const LayerQuantizers<Algorithms>* quantizers(std::string_view layer) const {
        return visit(network_.module(layer), [](const auto& q) { return &q.quantizers(); });
    }
    LayerQuantizers<Algorithms>* quantizers(std::string_view layer) {
        return visit(network_.module(layer), [](auto& q) { return &q.quantizers(); });
    }
    /// The float weight behind a quantized layer; null when it is not quantized.
    const nn::Tensor* weight(std::string_view layer) const {
        return visit(network_.module(layer), [](const auto& q) { return &q.layer().weight(); });
    }

private:
    template <class Module, class F>
    static auto visit(Module& module, F f)
        -> decltype(f(*module.template get_if<QuantizedLayer<nn::Conv2d, Algorithms>>())) {
        if (auto* conv = module.template get_if<QuantizedLayer<nn::Conv2d, Algorithms>>()) return f(*conv);
        if (auto* linear = module.template get_if<QuantizedLayer<nn::Linear, Algorithms>>())
            return f(*linear);
        return nullptr;
    }

    nn::Network network_;
    BasicDistillPlan<Algorithms> plan_;
};

using Student = BasicStudent<>;

/// Copies the teacher and puts quantizing layers where the plan enables them. Errors, all of them: parameters
/// of a wrong shape, or that are not finite, or a variance below 0, with the layer's name and the
/// parameter's. Throws std::invalid_argument when the plan is of another network, with the first difference.
template <class Algorithms>
result<BasicStudent<Algorithms>> make_student(const nn::Network& teacher,
                                              const BasicDistillPlan<Algorithms>& plan) {
    if (auto const what = detail::difference(plan, teacher); !what.empty())
        throw std::invalid_argument(detail::concat("make_student: the plan is of another network: ", what,
                                                   "; resolve the configuration for this one"));
    Diagnostics errors = detail::check_parameters(teacher);
    if (!errors.empty()) return errors;
    nn::Network network = teacher;
    for (const auto& layer : plan.layers) {
        const nn::Module& module = teacher.module(layer.name);
        auto const quantize = [&]<class Layer>(const Layer* found) {
            if (found == nullptr) return false;
            if (auto made = LayerQuantizers<Algorithms>::make(layer, found->weight()))
                network.replace(layer.name, QuantizedLayer<Layer, Algorithms>(*found, *std::move(made)));
            else
                errors.insert(errors.end(), made.diagnostics().begin(), made.diagnostics().end());
            return true;
        };
        if (layer.quant_enable && !quantize(module.get_if<nn::Conv2d>()) &&
            !quantize(module.get_if<nn::Linear>()))
            throw std::invalid_argument(
                detail::concat("make_student: layer \"", layer.name, "\" is a ", module.type(),
                               ", not a Conv2d or Linear; resolve the plan for this network"));
    }
    if (!errors.empty()) return errors;
    return BasicStudent<Algorithms>(std::move(network), plan);
}

}  // namespace amct_distill
