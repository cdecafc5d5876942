// SPDX-License-Identifier: Apache-2.0
/// The definitions of calibrate.hpp.
#pragma once
#include <algorithm>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <limits>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../io/file.hpp"
#include "calibrate.hpp"
#include "input_calibration.hpp"
#include "same_network.hpp"
#include "slices.hpp"

namespace amct_distill {

template <class Algorithms>
result<CalibrationReport> calibrate(BasicStudent<Algorithms>& student, DataSource batches,
                                    const RunOptions& run, const CalibrateOptions& options) {
    run.check_options("calibrate");
    options.check_options();
    if (batches.empty()) return general_error("calibrate: no batches; give at least one");
    const nn::Network& network = student.network();
    std::size_t const asked = student.plan().batch_num.value;
    CalibrationReport report{(std::min)(asked, batches.size())};

    struct Waiting {  // a layer that is being calibrated
        Waiting(const std::string& layer, nn::NodeId node, LayerQuantizers<Algorithms>& quantizers,
                const IfmrOptions& ifmr, std::size_t memory, const std::string& directory)
            : name(layer), input(node), calibration(quantizers, ifmr, memory, directory) {}
        const std::string& name;
        nn::NodeId input;
        InputCalibration<Algorithms> calibration;
    };
    if (!run.directory.empty()) {
        std::error_code error;
        std::filesystem::create_directories(run.directory, error);
        if (error) return detail::file_error("create", run.directory, error.value());
    }
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
        waiting.emplace_back(layer.name, input, quantizers, options.ifmr, static_cast<std::size_t>(share),
                             run.directory.string());
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
