// SPDX-License-Identifier: Apache-2.0
/// Finds the first clip range of every quantized layer's input, by IFMR over some batches.
///
///     calibrate(student, batches).value();                              // batch_num of the plan
///     calibrate(student, batches, {.threads = 4, .memory_bytes = 1 << 30}).value();
///     calibrate(student, batches, {}, {.ifmr = {.max_percentile = 0.9999}}).value();
///
/// Source: AMCT's calibration. Weights are quantized throughout; an input passes unquantized until the clips
/// of all are found, or is quantized from the start by clips of the user's.
#pragma once
#include <algorithm>
#include <cstddef>
#include <deque>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../quant/ifmr.hpp"
#include "data_source.hpp"
#include "input_calibration.hpp"
#include "run_options.hpp"
#include "same_network.hpp"
#include "slices.hpp"
#include "student.hpp"

namespace amct_distill {

struct CalibrateOptions {
    IfmrOptions ifmr{};  ///< of every layer; what `max_bytes` allows for one is within the run's memory_bytes

    /// Throws std::invalid_argument when they make no sense.
    void check_options() const {
        if (auto const ok = ifmr.check_options(); !ok)
            throw std::invalid_argument(detail::concat("calibrate: ifmr: ", ok.diagnostics()[0].message));
    }
};

struct CalibrationReport {
    std::size_t batches = 0;  ///< that were observed: batch_num, or all where there are fewer
};

/// Takes the first batch_num batches; each counts once, and a warning says when there are fewer. Anew at
/// every call: clips that an earlier calibration found, or that were trained since, do not count.
///
/// Errors, the student then being as before: no batches, or one that cannot be loaded; an input of a layer
/// that is empty or not finite (with the layer's name). Throws std::invalid_argument, the student being as
/// before too, when a batch does not fit the network's inputs, or an option makes no sense. The result has
/// the same bits with any number of threads.
template <class Algorithms>
result<CalibrationReport> calibrate(BasicStudent<Algorithms>& student, DataSource batches,
                                    const RunOptions& run = {}, const CalibrateOptions& options = {}) {
    run.check_options("calibrate");
    options.check_options();
    if (batches.empty()) return general_error("calibrate: no batches; give at least one");
    const nn::Network& network = student.network();
    std::size_t const asked = student.plan().batch_num.value;
    CalibrationReport report{(std::min)(asked, batches.size())};

    struct Waiting {  // a layer that is being calibrated
        Waiting(const std::string& layer, nn::NodeId node, LayerQuantizers<Algorithms>& quantizers,
                const IfmrOptions& ifmr, std::size_t memory)
            : name(layer), input(node), calibration(quantizers, ifmr, memory) {}
        const std::string& name;
        nn::NodeId input;
        InputCalibration<Algorithms> calibration;
    };
    std::deque<Waiting> waiting;
    double values = 0;  // of one sample, of all layers' inputs
    auto const size_of = [&](nn::NodeId id) {
        double size = 1;
        for (nn::Index d : network.node(id).shape) size *= d > 0 ? static_cast<double>(d) : 1;
        return size;
    };
    auto const inputs_of = [&](auto f) {
        for (const auto& layer : student.plan().layers)
            if (auto* const q = student.quantizers(layer.name); q != nullptr && !q->has_user_clips())
                f(layer, *q, network.node(layer.node).inputs[0]);
    };
    inputs_of([&](const auto&, auto&, nn::NodeId input) { values += size_of(input); });
    inputs_of([&](const auto& layer, auto& quantizers, nn::NodeId input) {
        double const share = static_cast<double>(run.memory_bytes) * (size_of(input) / values);
        waiting.emplace_back(layer.name, input, quantizers, options.ifmr, static_cast<std::size_t>(share));
    });

    nn::Executor const executor(run.threads);
    SliceRunner runner(network, &executor);
    std::vector<nn::NodeId> nodes;  // that layers read, each once
    for (const Waiting& w : waiting) nodes.push_back(w.input);
    std::ranges::sort(nodes);
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    std::vector<nn::Tensor> read(nodes.size());
    Batch buffer;
    for (std::size_t i = 0; i != report.batches; ++i) {
        auto const batch = batches.load(i, buffer);
        if (!batch) return batch.diagnostics();
        detail::require_batch(network, *batch, "calibrate", i);
        runner.run_batch(*batch, nodes, read);
        for (Waiting& w : waiting) {
            auto const at = std::ranges::lower_bound(nodes, w.input) - nodes.begin();
            const nn::Tensor& x = read[static_cast<std::size_t>(at)];
            if (auto ok = w.calibration.observe(x.span(), executor.execution()); !ok)
                return detail::of_layer(w.name, ok.diagnostics());
        }
    }
    for (Waiting& w : waiting)
        if (auto ok = w.calibration.finish(executor.execution()); !ok)
            return detail::of_layer(w.name, ok.diagnostics());
    Diagnostics warnings;
    if (report.batches != asked)
        warnings.push_back(general_warning(detail::concat(
            "calibrate: batch_num is ", asked, ", and ", report.batches,
            report.batches == 1 ? " batch was" : " batches were", " given; each counts once")));
    for (Waiting& w : waiting) {
        w.calibration.take();
        Diagnostics const of_layer = detail::of_layer(w.name, w.calibration.warnings());
        warnings.insert(warnings.end(), of_layer.begin(), of_layer.end());
    }
    return {report, std::move(warnings)};
}

}  // namespace amct_distill
