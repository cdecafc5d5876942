// SPDX-License-Identifier: Apache-2.0
/// Finds the first clip range of every quantized layer's input, by IFMR over some batches.
///
///     calibrate(student, batches).value();  // batch_num of the plan, from the start again when they run out
///
/// Source: AMCT's calibration. Weights are quantized throughout; an input passes unquantized until its clips
/// are found, at the end of the last batch, or is quantized from the start by clips of the user's.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "student.hpp"

namespace amct_distill {

/// Errors: no batches; an input of a layer that is empty or not finite (with the layer's name). Throws
/// std::invalid_argument when a batch does not have the shape of the network's input. With an executor the
/// network runs on its threads; the result has the same bits.
template <class Algorithms>
result<void> calibrate(BasicStudent<Algorithms>& student, std::span<const nn::Tensor> batches,
                       const nn::Executor* executor = nullptr) {
    if (batches.empty()) return general_error("calibrate: no batches; give at least one");
    nn::Network& network = student.network();

    struct Waiting {  // a layer that is being calibrated
        nn::NodeId node;
        std::string name;
        LayerQuantizers<Algorithms>* quantizers;
    };
    std::vector<Waiting> waiting;
    for (const auto& layer : student.plan().layers)
        if (auto* const q = student.quantizers(layer.name); q != nullptr && !q->is_calibrated())
            waiting.push_back({network.operations()[layer.node], layer.name, q});

    nn::Tape tape(executor);
    for (std::size_t i = 0; i != student.plan().batch_num.value; ++i) {
        network.forward(batches[i % batches.size()], tape, nn::Mode::evaluate);
        for (Waiting& w : waiting) {
            const nn::Tensor& x = tape.output(network.node(w.node).inputs[0]);
            if (auto ok = w.quantizers->observe(x.span()); !ok)
                return detail::of_layer(w.name, ok.diagnostics());
        }
    }
    for (Waiting& w : waiting)
        if (auto ok = w.quantizers->finish_calibration(); !ok)
            return detail::of_layer(w.name, ok.diagnostics());
    return {};
}

}  // namespace amct_distill
