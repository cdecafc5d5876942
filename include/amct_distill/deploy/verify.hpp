// SPDX-License-Identifier: Apache-2.0
/// Whether the integers compute what was simulated, layer by layer.
///
///     VerifyReport report = verify(deployment, student, batches).value();
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

#include "integer.hpp"
#include "simulation.hpp"

namespace amct_distill {

struct VerifiedLayer {
    std::string name{};
    /// The INT32 sums, against the simulation's output in the same unit, rounded.
    std::size_t outputs = 0;
    std::size_t different = 0;
    std::int64_t largest = 0;    ///< difference, in units of the sum
    std::int64_t explained = 0;  ///< what the rounding of float32 and of the bias explain: see verify()
    /// The codes that the layer reads, against those of the simulation: the outputs of the layers before it,
    /// requantized.
    std::size_t inputs = 0;
    std::size_t inputs_different = 0;
    int inputs_largest = 0;                ///< difference, in codes
    std::size_t requantized_channels = 0;  ///< whose weight codes are not the student's: see deploy()
};

struct VerifyReport {
    std::vector<VerifiedLayer> layers{};
    /// Of the network's outputs: mean squared and largest difference between the integers, run from end to
    /// end, and the student, not folded.
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
    double const n = (static_cast<double>(layer.cols()) + 5) * 0x1p-24, growth = n / (1 - n);
    std::vector<std::int8_t> codes(layer.cols());
    double most = 0;
    for (std::size_t r = 0; r != layer.rows(); ++r) {
        unpack_row(layer.codes, r, codes);
        auto sum = static_cast<double>(sum_of_magnitudes(codes) * largest_data(layer.data_width, layer.data));
        if (!layer.bias.empty()) sum += std::abs(static_cast<double>(layer.bias[r])) + 1;
        most = (std::max)(most, sum);
    }
    return static_cast<std::int64_t>(growth * most + 1);
}

/// Adds one batch to the comparison.
inline void compare_sums(const DeployedLayer& layer, const IntegerTensor& sums, const nn::Tensor& simulated,
                         VerifiedLayer& to) {
    to.outputs += sums.size();
    layer.for_each_output(sums.shape(), [&](std::size_t i, std::size_t channel) {
        auto const unit = static_cast<double>(layer.dequantization_scale(channel));
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

/// Compares a deployment, batch after batch, with its simulation and with another network of the same
/// outputs.
class Verification {
public:
    explicit Verification(const Deployment& deployment)
        : deployment_(deployment),
          simulation_(simulation_network(deployment)),
          device_(integer_network(deployment)) {
        for (const DeployedLayer& l : deployment.layers()) {
            report_.layers.push_back({.name = l.name,
                                      .explained = explained_difference(l),
                                      .requantized_channels = l.requantized.size()});
            integers_.push_back(device_.module(l.module).get_if<IntegerLayer>());
            nodes_.push_back(l.node);
        }
    }

    void add(const nn::Tensor& batch, const nn::Network& reference) {
        simulation_.forward(batch, simulated_, nn::Mode::evaluate);
        compare_layers(batch);
        device_.forward(batch, mixed_, nn::Mode::evaluate);
        reference.forward(batch, other_, nn::Mode::evaluate);
        auto const ours = device_.outputs(), theirs = reference.outputs();
        for (std::size_t k = 0; k != ours.size(); ++k)
            compare_outputs(mixed_.output(ours[k]), other_.output(theirs[k]));
    }
    VerifyReport finish() {
        report_.output_error /= values_;
        report_.output_square /= values_;
        return std::move(report_);
    }

private:
    void compare_layers(const nn::Tensor& batch) {
        mixed_.output(simulation_.inputs()[0]) = batch;
        for (nn::NodeId id : simulation_.operations()) {
            auto const found = std::ranges::find(nodes_, id);
            if (found == nodes_.end()) {
                simulation_.forward_node(id, mixed_, nn::Mode::evaluate);
                continue;
            }
            auto const k = static_cast<std::size_t>(found - nodes_.begin());
            nn::NodeId const input = simulation_.node(id).inputs[0];
            compare_inputs(*integers_[k], simulation_.value(input, simulated_),
                           simulation_.value(input, mixed_), report_.layers[k]);
            integers_[k]->accumulate(simulation_.value(input, simulated_), sums_);
            compare_sums(deployment_.layers()[k], sums_, simulated_.output(id), report_.layers[k]);
            integers_[k]->dequantize_sums(sums_, mixed_.output(id));
        }
    }
    void compare_outputs(const nn::Tensor& ours, const nn::Tensor& theirs) {
        for (std::size_t i = 0; i != ours.size(); ++i) {
            double const y = static_cast<double>(theirs[i]), d = static_cast<double>(ours[i]) - y;
            report_.output_error += d * d;
            report_.output_square += y * y;
            report_.output_largest = (std::max)(report_.output_largest, std::abs(d));
        }
        values_ += static_cast<double>(ours.size());
    }

    const Deployment& deployment_;
    nn::Network simulation_, device_;
    std::vector<const IntegerLayer*> integers_{};
    std::vector<nn::NodeId> nodes_{};
    nn::Tape simulated_{}, mixed_{}, other_{};
    IntegerTensor sums_{};
    double values_ = 0;
    VerifyReport report_{};
};

inline result<VerifyReport> run_verification(const Deployment& deployment, const nn::Network* reference,
                                             std::span<const nn::Tensor> batches) {
    if (batches.empty()) return general_error("verify: no batches; give at least one");
    nn::Network simulation;
    if (reference == nullptr) {
        simulation = simulation_network(deployment);
        reference = &simulation;
    }
    Verification verification(deployment);
    for (const nn::Tensor& batch : batches) verification.add(batch, *reference);
    return verification.finish();
}

}  // namespace detail

/// Runs the batches through the simulation (`simulation_network`: folded, float32) and through the integers.
/// Each integer layer takes the simulation's input; its sums are compared with the simulation's output, and
/// what becomes of them on the way to the next quantized layers with the codes those read in the simulation.
/// The sums can differ only by rounding, `explained` says how far; codes then differ where a value lies that
/// close to the middle between two codes. The network's outputs are compared with the simulation's.
/// Error: no batches. Throws std::invalid_argument when a batch is not an input of the network.
inline result<VerifyReport>(verify)(const Deployment& deployment, std::span<const nn::Tensor> batches) {
    return detail::run_verification(deployment, nullptr, batches);
}
/// The same, with the network's outputs compared with those of the student, which is not folded. Throws
/// std::invalid_argument when the deployment is not of a student of this network, with the first difference.
template <class Algorithms>
result<VerifyReport>(verify)(const Deployment& deployment, const BasicStudent<Algorithms>& student,
                             std::span<const nn::Tensor> batches) {
    return detail::run_verification(deployment, &student.network(), batches);
}

}  // namespace amct_distill
