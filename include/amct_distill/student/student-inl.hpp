// SPDX-License-Identifier: Apache-2.0
/// The definitions of student.hpp.
#pragma once
#include <stdexcept>
#include <utility>

#include "../nn/weight_rows.hpp"
#include "check_parameters.hpp"
#include "same_network.hpp"
#include "student.hpp"

namespace amct_distill {

template <class Algorithms>
result<BasicStudent<Algorithms>> make_student(const nn::Network& teacher,
                                              const BasicDistillPlan<Algorithms>& plan) {
    if (auto const what = detail::difference(plan, teacher); !what.empty())
        throw std::invalid_argument(detail::concat("make_student: the plan is of another network: ", what,
                                                   "; resolve the configuration for this one"));
    Diagnostics warnings, errors = detail::check_parameters(teacher);
    if (!errors.empty()) return errors;
    nn::Network network = teacher;
    for (const auto& layer : plan.layers) {
        if (!layer.quant_enable) continue;
        const nn::Module& module = teacher.module(layer.module);
        const nn::Weighted* const weighted = module.weighted();
        if (weighted == nullptr)
            throw std::invalid_argument(detail::concat("make_student: layer \"", layer.name, "\" is a ",
                                                       module.type(),
                                                       ", which has no weights that can be quantized"));
        nn::Tensor buffer;
        auto made = LayerQuantizers<Algorithms>::make(
            layer, nn::WeightRows(*weighted).gather(weighted->weight(), buffer));
        Diagnostics& found = made ? warnings : errors;
        found.insert(found.end(), made.diagnostics().begin(), made.diagnostics().end());
        if (made) network.replace(layer.module, QuantizedLayer<Algorithms>(module, *std::move(made)));
    }
    if (!errors.empty()) return errors;
    return {BasicStudent<Algorithms>(std::move(network), plan), std::move(warnings)};
}

}  // namespace amct_distill
