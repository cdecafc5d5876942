// SPDX-License-Identifier: Apache-2.0
/// How near networks are to the float one, on data: error of the outputs, and accuracy where there are
/// labels.
///
///     auto results = compare(data, model.network, {{"distilled", &student.network()}}, run, console);
///     console.table("The whole network", to_table(results, width));
#pragma once
#include <amct_distill/nn/network.hpp>
#include <amct_distill/student/run_options.hpp>
#include <string>
#include <utility>
#include <vector>

#include "console.hpp"
#include "data.hpp"

namespace tool {

struct NetworkResult {
    std::string network{};
    double error = 0;      ///< mean squared, of all outputs
    double signal = 0;     ///< mean square of the float network's
    bool classes = false;  ///< the first output is [N, classes]
    double agreement = 0;  ///< share of samples of the same class as the float network's
    double accuracy = -1;  ///< share of samples of the label's class; -1: no labels
};

/// Throws when there are labels that are no classes of the network's first output.
void check_labels(const Dataset& data, const amct_distill::nn::Network& teacher);

/// The first is the float network, or whatever the others are compared with. Of several ranks each looks at
/// its own samples. Errors: a batch cannot be
/// loaded; labels that are no classes of the first output.
std::vector<NetworkResult> compare(
    const Dataset& data, const amct_distill::nn::Network& teacher,
    const std::vector<std::pair<std::string, const amct_distill::nn::Network*>>& networks,
    const amct_distill::RunOptions& run, Console& console, std::string name_of_teacher = "FP32");

std::string to_table(const std::vector<NetworkResult>& results, std::size_t width);

}  // namespace tool
