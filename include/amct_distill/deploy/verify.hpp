// SPDX-License-Identifier: Apache-2.0
/// Whether the integers compute what was simulated, layer by layer.
///
///     VerifyReport report = verify(student, batches).value();
///     std::cout << to_table(report);
///     if (!report.agrees()) ...                           // a difference that rounding does not explain
///
/// Every layer is given the input that it has in the simulation, so that each answers for itself.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "../core/table.hpp"
#include "integer.hpp"

namespace amct_distill {

struct VerifiedLayer {
    std::string name{};
    /// The INT32 sums, against the simulation's output in the same unit, rounded.
    std::size_t outputs = 0;
    std::size_t different = 0;
    std::int64_t largest = 0;    ///< difference, in units of the sum
    std::int64_t explained = 0;  ///< what the rounding of float32 and of the bias explain: see verify()
    /// The codes that the layer reads, against those of the simulation: what the layers before it put out,
    /// requantized.
    std::size_t inputs = 0;
    std::size_t inputs_different = 0;
    int inputs_largest = 0;                ///< difference, in codes
    std::size_t requantized_channels = 0;  ///< whose weight codes are not the student's: see deploy()
};

struct VerifyReport {
    std::vector<VerifiedLayer> layers{};
    /// Of the network's first output: mean squared and largest difference between the integers, run from end
    /// to end, and the student, not folded.
    double output_error = 0;
    double output_largest = 0;
    /// Mean square of the student's output, to compare with.
    double output_square = 0;

    /// No layer's sums differ by more than rounding explains.
    bool agrees() const {
        return std::ranges::all_of(layers, [](const VerifiedLayer& l) { return l.largest <= l.explained; });
    }
};

namespace detail {

/// The most by which a sum may differ from the rounded simulation. The simulation computes K products of two
/// rounded factors and adds them and the bias in float32: each term passes at most K + 3 roundings, and two
/// more are in scale_d * scale_w and in the bias. With u = 2^-24, whatever the order of the sum, its error is
/// below g * S, g = (K + 5) u / (1 - (K + 5) u), S the sum of the terms' magnitudes; at most, in units of the
/// sum, what the codes can reach plus |bias|. Rounding the bias adds 1/2, rounding the simulation 1/2.
inline std::int64_t explained_difference(const DeployedLayer& layer) {
    auto const codes = layer.codes();
    double const n = (static_cast<double>(layer.cols()) + 5) * 0x1p-24, growth = n / (1 - n);
    double most = 0;
    for (std::size_t r = 0; r != layer.rows(); ++r) {
        auto const row = std::span(codes).subspan(r * layer.cols(), layer.cols());
        double sum = static_cast<double>(largest_accumulator(row, layer.data, layer.data_bits));
        if (!layer.bias.empty()) sum += std::abs(static_cast<double>(layer.bias[r])) + 1;
        most = (std::max)(most, sum);
    }
    return static_cast<std::int64_t>(growth * most + 1);
}

/// Adds one batch to the comparison.
inline void compare_sums(const IntegerLayer& integer, const IntegerTensor& sums, const nn::Tensor& simulated,
                         VerifiedLayer& to) {
    to.outputs += sums.size();
    integer.for_each_sum(sums, [&](std::size_t i, std::size_t channel) {
        double const unit = static_cast<double>(integer.layer().dequantization_scale(channel));
        auto const expected =
            static_cast<std::int64_t>(std::nearbyint(static_cast<double>(simulated[i]) / unit));
        std::int64_t const d = std::abs(expected - sums[i]);
        if (d != 0) ++to.different;
        to.largest = (std::max)(to.largest, d);
    });
}
inline void compare_inputs(const IntegerLayer& integer, const nn::Tensor& simulated, const nn::Tensor& found,
                           VerifiedLayer& to) {
    std::vector<std::int8_t> a, b;
    integer.quantize_data(simulated, a);
    integer.quantize_data(found, b);
    to.inputs += a.size();
    for (std::size_t i = 0; i != a.size(); ++i) {
        int const d = std::abs(a[i] - b[i]);
        if (d != 0) ++to.inputs_different;
        to.inputs_largest = (std::max)(to.inputs_largest, d);
    }
}

}  // namespace detail

/// Runs the batches through the simulation (`simulation_network`: folded, float32) and through the integers.
/// Each integer layer takes the simulation's input; its sums are compared with the simulation's output, and
/// what becomes of them on the way to the next quantized layers with the codes those read in the simulation.
/// The sums can differ only by rounding, `explained` says how far; codes then differ where a value lies that
/// close to the middle between two codes. Errors: no batches, and those of `deploy`. Throws
/// std::invalid_argument when a batch is not an input of the network.
template <class Algorithms>
result<VerifyReport>(verify)(const BasicStudent<Algorithms>& student, std::span<const nn::Tensor> batches) {
    if (batches.empty()) return general_error("verify: no batches; give at least one");
    auto const layers = deploy(student);
    if (!layers) return layers.diagnostics();
    nn::Network const simulation = simulation_network(student, *layers);
    nn::Network const device = integer_network(student.network(), *layers);

    VerifyReport report;
    std::vector<const IntegerLayer*> integer;
    std::vector<nn::NodeId> nodes;
    for (const DeployedLayer& l : *layers) {
        report.layers.push_back({.name = l.name,
                                 .explained = detail::explained_difference(l),
                                 .requantized_channels = l.requantized.size()});
        integer.push_back(device.module(l.name).get_if<IntegerLayer>());
        nodes.push_back(*device.find(l.name));
    }

    nn::Tape simulated, mixed, other;
    IntegerTensor sums;
    double values = 0;
    for (const nn::Tensor& batch : batches) {
        simulation.forward(batch, simulated, nn::Mode::evaluate);
        mixed.output(simulation.inputs()[0]) = batch;
        for (nn::NodeId id : simulation.operations()) {
            auto const found = std::ranges::find(nodes, id);
            if (found == nodes.end()) {
                simulation.forward_node(id, mixed, nn::Mode::evaluate);
                continue;
            }
            auto const k = static_cast<std::size_t>(found - nodes.begin());
            nn::NodeId const input = simulation.node(id).inputs[0];
            detail::compare_inputs(*integer[k], simulated.output(input), mixed.output(input),
                                   report.layers[k]);
            integer[k]->accumulate(simulated.output(input), sums);
            detail::compare_sums(*integer[k], sums, simulated.output(id), report.layers[k]);
            integer[k]->dequantize(sums, mixed.output(id));
        }

        const nn::Tensor& theirs = student.network().forward(batch, other, nn::Mode::evaluate);
        nn::Tensor const ours = device.predict(batch);
        for (std::size_t i = 0; i != ours.size(); ++i) {
            double const y = static_cast<double>(theirs[i]), d = static_cast<double>(ours[i]) - y;
            report.output_error += d * d;
            report.output_square += y * y;
            report.output_largest = (std::max)(report.output_largest, std::abs(d));
        }
        values += static_cast<double>(ours.size());
    }
    report.output_error /= values;
    report.output_square /= values;
    return report;
}

/// A table of at most 100 columns, and what it comes to.
inline std::string to_table(const VerifyReport& report) {
    std::vector<detail::TableRow> rows{
        {"layer", "sums", "differ", "by", "explained", "codes in", "differ", "by", "new codes"}};
    for (const VerifiedLayer& l : report.layers)
        rows.push_back({detail::shortened(l.name, 20), std::to_string(l.outputs), std::to_string(l.different),
                        std::to_string(l.largest), std::to_string(l.explained), std::to_string(l.inputs),
                        std::to_string(l.inputs_different), std::to_string(l.inputs_largest),
                        l.requantized_channels == 0 ? std::string("none")
                                                    : detail::concat(l.requantized_channels, " ch.")});
    return detail::concat(
        detail::text_table(rows),
        report.agrees() ? "  The integers compute what was simulated.\n"
                        : "  The integers do NOT compute what was simulated: rounding explains less.\n",
        "  From the student, whole: mean squared difference ", detail::short_number(report.output_error),
        " (of ", detail::short_number(report.output_square), "), at most ",
        detail::short_number(report.output_largest), ".\n");
}

}  // namespace amct_distill
