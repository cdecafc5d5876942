// SPDX-License-Identifier: Apache-2.0
/// What quantizing each layer costs at the network's outputs: its weights and its inputs apart, with only
/// this layer quantized, and with all but this one.
///
///     Costs costs = layer_costs(net, students, data, run, console);
///     costs.layers[0].weights_int4.sqnr();    // dB
///
/// Only what comes after a layer is computed again. Layers are shared among ranks, and there taken in
/// parallel; each is computed by one thread, so that the bits depend on the number of neither.
#pragma once
#include <amct_distill/student/extended.hpp>
#include <amct_distill/student/run_options.hpp>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "console.hpp"
#include "data.hpp"

namespace tool {

/// Noise at the outputs, in squares, over all values of all batches.
struct OutputNoise {
    double noise = 0, signal = 0;
    double sqnr() const {
        return noise == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(signal / noise);
    }
    double share() const { return signal == 0 ? 0 : noise / signal; }
};

struct LayerCost {
    std::string name{}, type{};
    std::size_t weights = 0;
    bool quantized = true;  ///< in the plan that was given
    OutputNoise weights_int8{}, weights_int4{}, data_int8{}, data_int4{};
    OutputNoise all_but_this{};
    /// What goes away of the noise when all but this layer are quantized, 0 to 1.
    double noise_share = 0;
};

/// Calibrated students of the same network.
struct Students {
    const amct_distill::ExtendedStudent* int8 = nullptr;
    const amct_distill::ExtendedStudent* int4 = nullptr;
    const amct_distill::ExtendedStudent* planned = nullptr;  ///< as the configuration has it
};

struct Costs {
    OutputNoise planned{};  ///< everything quantized as planned
    std::vector<LayerCost> layers{};
};
/// Throws ConfigError when a batch cannot be loaded. All ranks have the same.
Costs layer_costs(const amct_distill::nn::Network& net, const Students& students, const Dataset& data,
                  const amct_distill::RunOptions& run, Console& console);

/// Of a whole network against the float one.
OutputNoise output_noise(const amct_distill::nn::Network& net, const amct_distill::nn::Network& other,
                         const Dataset& data, int threads);

}  // namespace tool
