// SPDX-License-Identifier: Apache-2.0
/// The definitions of report_layers.hpp.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "../student/own_batches.hpp"
#include "../student/slice_sums.hpp"
#include "../student/slices.hpp"
#include "noise.hpp"
#include "report_layers.hpp"

namespace amct_distill {
namespace detail {

/// The values outside of the clips, which always hold 0.
inline std::size_t clipped_values(std::span<const float> x, ClipRange clip) {
    float const high = (std::max)(clip.max, 0.0f), low = (std::min)(clip.min, 0.0f);
    std::size_t clipped = 0;
    for (float v : x) clipped += static_cast<std::size_t>(v > high || v < low);
    return clipped;
}

/// The rows of a quantized weight that are all 0.
inline std::vector<std::size_t> zero_rows(const nn::Tensor& weight) {
    std::vector<std::size_t> rows;
    auto const count = static_cast<std::size_t>(weight.dim(0)), cols = weight.size() / count;
    for (std::size_t r = 0; r != count; ++r)
        if (std::ranges::all_of(weight.span().subspan(r * cols, cols), [](float v) { return v == 0; }))
            rows.push_back(r);
    return rows;
}

/// `report_layers`, and f(i, batch, outputs) for each batch: the network's outputs are computed on the way.
/// The runner is of the student's network.
template <class Algorithms, class F>
result<std::vector<LayerReport>> measure_layers(const BasicStudent<Algorithms>& student, DataSource batches,
                                                SliceRunner& runner, F f) {
    const nn::Network& network = student.network();
    std::vector<LayerReport> reports;
    std::vector<nn::NodeId> inputs;
    std::vector<const LayerQuantizers<Algorithms>*> quantizers;
    nn::Tensor quantized;
    for (const auto& layer : student.plan().layers) {
        const auto* const q = student.quantizers(layer.name);
        if (q == nullptr) continue;
        nn::Tensor in_rows;
        const auto& from = *student.quantized(layer.module);
        const nn::Tensor& weight = from.rows().gather(from.layer().weight(), in_rows);
        LayerReport& r = reports.emplace_back();
        r.name = layer.name;
        r.weight_algorithm = q->weight_algorithm();
        r.data_algorithm = q->data_algorithm();
        r.weight_bits = q->weight_bits();
        r.data_bits = q->data_bits();
        r.weight_scales = q->weight_scales(weight).values();
        r.data_scale = q->data_scale();
        r.data_clip = q->data_clip();
        r.user_clips = q->has_user_clips();
        q->quantize_weight(weight, quantized);
        detail::Noise n;
        n.add(weight, quantized);
        r.weight_sqnr = n.sqnr();
        r.channels = static_cast<std::size_t>(weight.dim(0));
        r.dead_channels = zero_rows(quantized);
        inputs.push_back(network.node(layer.node).inputs.at(0));
        quantizers.push_back(q);
    }
    // Of each layer the signal, the noise, the values outside of the clips, and all.
    std::vector<double> totals(4 * reports.size());
    SliceSums sums(runner);
    // The network's outputs, then the layers' inputs.
    std::vector<nn::NodeId> nodes(network.outputs().begin(), network.outputs().end());
    std::size_t const outputs = nodes.size();
    nodes.insert(nodes.end(), inputs.begin(), inputs.end());
    std::vector<nn::Tensor> values(nodes.size());
    OwnBatches own(batches, network, runner.executor(), runner.slices(), "report_layers");
    Batch buffer;
    for (std::size_t i = 0; i != own.size(); ++i) {
        auto const batch = own.load(i, buffer);
        if (!batch) return batch.diagnostics();
        runner.run_batch(batch->tensors, nodes, values, batch->samples);
        sums.begin(batch->samples, totals.size());
        for (std::size_t k = 0; k != reports.size(); ++k) {
            const nn::Tensor& whole = values[outputs + k];
            quantizers[k]->quantize_data(whole, quantized);
            sums.for_each([&](BatchSlice slice, std::span<double> to) {
                auto const x = sums.values(whole, slice);
                Noise noise;
                noise.add(x, sums.values(quantized, slice));
                to[4 * k] = noise.signal, to[4 * k + 1] = noise.error;
                to[4 * k + 2] = static_cast<double>(clipped_values(x, reports[k].data_clip));
                to[4 * k + 3] = static_cast<double>(x.size());
            });
        }
        auto const of_batch = sums.finish();
        for (std::size_t k = 0; k != totals.size(); ++k) totals[k] += of_batch[k];
        f(i, *batch, std::span<const nn::Tensor>(values).first(outputs));
    }
    for (std::size_t k = 0; k != reports.size(); ++k) {
        double const* const of = totals.data() + 4 * k;
        reports[k].data_sqnr = Noise{of[0], of[1]}.sqnr();
        reports[k].saturation = of[3] == 0 ? 0 : of[2] / of[3];
    }
    return reports;
}

}  // namespace detail

template <class Algorithms>
result<std::vector<LayerReport>> report_layers(const BasicStudent<Algorithms>& student, DataSource batches,
                                               const nn::Executor* executor) {
    SliceRunner runner(student.network(), executor);
    return detail::measure_layers(student, batches, runner, [](auto&&...) {});
}

}  // namespace amct_distill
