// SPDX-License-Identifier: Apache-2.0
/// A copy of a network whose planned layers quantize.
///
///     Student student = make_student(teacher, plan).value();
///     calibrate(student, batches).value();
///     Tensor logits = student.predict(images);
///     student.quantizers("conv1")->data_clip();
#pragma once
#include <string_view>
#include <utility>

#include "../nn/network.hpp"
#include "quantized_layer.hpp"

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
        const auto* const q = quantized(network_.module(layer));
        return q == nullptr ? nullptr : &q->quantizers();
    }
    LayerQuantizers<Algorithms>* quantizers(std::string_view layer) {
        auto* const q = network_.module(layer).template get_if<QuantizedLayer<Algorithms>>();
        return q == nullptr ? nullptr : &q->quantizers();
    }
    /// The float weight of a quantized layer; null when it is not quantized.
    const nn::Tensor* weight(std::string_view layer) const {
        const auto* const q = quantized(network_.module(layer));
        return q == nullptr ? nullptr : &q->layer().weight();
    }
    /// A quantized layer; null when the module is not one.
    const QuantizedLayer<Algorithms>* quantized(ModuleId module) const {
        return quantized(network_.module(module));
    }

private:
    static const QuantizedLayer<Algorithms>* quantized(const nn::Module& module) {
        return module.template get_if<QuantizedLayer<Algorithms>>();
    }

    nn::Network network_;
    BasicDistillPlan<Algorithms> plan_;
};

using Student = BasicStudent<>;

/// Copies the teacher and puts quantizing layers where the plan enables them. Errors, all of them: parameters
/// of a wrong shape, or that are not finite, or a variance below 0, with the layer's name and the
/// parameter's; weights of a range too wide for a scale. Warnings: weights of a range too narrow for one.
/// Throws std::invalid_argument when the plan is of another network, with the first difference.
template <class Algorithms>
result<BasicStudent<Algorithms>> make_student(const nn::Network& teacher,
                                              const BasicDistillPlan<Algorithms>& plan);

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "student-inl.hpp"
#endif
