// SPDX-License-Identifier: Apache-2.0
/// The definitions of calibrate.hpp.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../io/binary.hpp"
#include "../io/file.hpp"
#include "../run/together.hpp"
#include "calibrate.hpp"
#include "input_calibration.hpp"
#include "layer_owners.hpp"
#include "load_ahead.hpp"
#include "own_batches.hpp"
#include "slices.hpp"

namespace amct_distill {

namespace detail {

/// A layer that is being calibrated.
template <class Algorithms>
struct CalibratedLayer {
    CalibratedLayer(const std::string& layer, nn::NodeId node, LayerQuantizers<Algorithms>& quantizers,
                    const IfmrOptions& ifmr, std::size_t memory, const std::string& directory)
        : name(layer), input(node), calibration(quantizers, ifmr, memory, directory) {}
    const std::string& name;
    nn::NodeId input;
    InputCalibration<Algorithms> calibration;
};

/// What the owners of the layers have found, to all ranks.
template <class Algorithms>
void tell_all(Ranks* ranks, std::deque<CalibratedLayer<Algorithms>>& layers, const LayerOwners& owners) {
    if (!are_several(ranks)) return;
    BinaryWriter out;
    for (std::size_t k = 0; k != layers.size(); ++k) {
        if (!owners.is_own(k)) continue;
        out.put(std::uint64_t{k});
        out.put(layers[k].calibration.clip());
        put(out, layers[k].calibration.warnings());
    }
    for (const std::string& text : gather_texts(ranks, out.text)) {
        std::uint64_t k = 0;
        for (BinaryReader in(text); in.get(k) && k < layers.size();) {
            ClipRange clip;
            Diagnostics warnings;
            if (!in.get(clip) || !get(in, warnings)) break;
            layers[k].calibration.set_found(clip, std::move(warnings));
        }
    }
}

template <class Algorithms>
result<CalibrationReport> calibrate_together(BasicStudent<Algorithms>& student, DataSource batches,
                                             const RunOptions& run, const CalibrateOptions& options) {
    const nn::Network& network = student.network();
    std::size_t const asked = student.plan().batch_num.value;
    CalibrationReport report{(std::min)(asked, batches.size())};
    if (!run.directory.empty()) {
        std::error_code error;
        std::filesystem::create_directories(run.directory, error);
        if (error) return file_error("create", run.directory, error.value());
    }
    nn::Executor const executor(run.threads, best_instructions(), run.ranks);
    SliceRunner runner(network, &executor);
    auto const size_of = [&](nn::NodeId id) {
        std::size_t size = 1;
        for (nn::Index d : network.node(id).shape) size *= d > 0 ? static_cast<std::size_t>(d) : 1;
        return size;
    };
    auto const inputs_of = [&](auto f) {
        for (const auto& layer : student.plan().layers)
            if (auto* const q = student.quantizers(layer.name); q != nullptr && !q->has_user_clips())
                f(layer, *q, network.node(layer.node).inputs[0]);
    };
    std::vector<std::size_t> sizes;  // values of one sample
    inputs_of([&](const auto&, auto&, nn::NodeId input) { sizes.push_back(size_of(input)); });
    LayerOwners owners(runner, sizes);
    double values = 0;  // of one sample, of all of this rank's layers
    for (std::size_t k = 0; k != sizes.size(); ++k)
        if (owners.is_own(k)) values += static_cast<double>(sizes[k]);
    std::size_t room = 0;  // for batches that are loaded ahead
    LoadAhead ahead(batches, run.load_ahead ? report.batches : 0, [&](std::size_t bytes) {
        if (bytes > room) return false;
        room -= bytes;
        return true;
    });
    if (ahead.is_active()) room = run.memory_bytes / 8;
    std::size_t const memory = run.memory_bytes - room;
    std::deque<CalibratedLayer<Algorithms>> layers;
    inputs_of([&](const auto& layer, auto& quantizers, nn::NodeId input) {
        std::size_t const k = layers.size();
        double const share =
            owners.is_own(k) ? static_cast<double>(memory) * (static_cast<double>(sizes[k]) / values) : 0;
        layers.emplace_back(layer.name, input, quantizers, options.ifmr, static_cast<std::size_t>(share),
                            run.directory.string());
    });

    std::vector<nn::NodeId> nodes;  // that layers read, each once
    for (const auto& layer : layers) nodes.push_back(layer.input);
    std::ranges::sort(nodes);
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    std::vector<nn::Tensor> read(nodes.size());
    std::vector<const nn::Tensor*> inputs;  // by layer
    for (const auto& layer : layers)
        inputs.push_back(
            &read[static_cast<std::size_t>(std::ranges::lower_bound(nodes, layer.input) - nodes.begin())]);
    OwnBatches own(ahead.source(), network, &executor, default_slices, "calibrate");
    Batch buffer;
    for (std::size_t i = 0; i != report.batches; ++i) {
        auto const batch = own.load(i, buffer);
        if (!batch) return batch.diagnostics();
        runner.run_batch(batch->tensors, nodes, read, batch->samples);
        auto const observed = owners.collect(
            batch->samples, inputs, [&](std::size_t k, std::span<const float> x) -> result<void> {
                if (auto ok = layers[k].calibration.observe(x, executor.execution()); !ok)
                    return of_layer(layers[k].name, ok.diagnostics());
                return {};
            });
        if (!observed) return observed.diagnostics();
    }
    for (std::size_t k = 0; k != layers.size(); ++k)
        if (owners.is_own(k))
            if (auto ok = layers[k].calibration.finish(executor.execution()); !ok)
                return of_layer(layers[k].name, ok.diagnostics());
    tell_all(runner.ranks(), layers, owners);
    meet(run.ranks);  // before anything changes, all have come so far
    Diagnostics warnings;
    if (report.batches != asked)
        warnings.push_back(general_warning(concat("calibrate: batch_num is ", asked, ", and ", report.batches,
                                                  report.batches == 1 ? " batch was" : " batches were",
                                                  " given; each counts once")));
    for (auto& layer : layers) {
        layer.calibration.take();
        Diagnostics const of_this = of_layer(layer.name, layer.calibration.warnings());
        warnings.insert(warnings.end(), of_this.begin(), of_this.end());
    }
    return {report, std::move(warnings)};
}

}  // namespace detail

template <class Algorithms>
result<CalibrationReport> calibrate(BasicStudent<Algorithms>& student, DataSource batches,
                                    const RunOptions& run, const CalibrateOptions& options) {
    run.check_options("calibrate");
    options.check_options();
    if (batches.empty()) return general_error("calibrate: no batches; give at least one");
    return detail::together(run.ranks,
                            [&] { return detail::calibrate_together(student, batches, run, options); });
}

}  // namespace amct_distill
