// SPDX-License-Identifier: Apache-2.0
/// What will be done to a network: every quantizable layer's settings, none left open, and the blocks that
/// are distilled one after the other.
///
///     for (const auto& layer : plan.layers)
///         std::cout << layer.name << ": " << describe(layer.weights);   // "arq_distill, INT8, channel_wise"
///     plan.layers[0].weights_from["dst_type"].text;   // "distill_override_layers[1] at 41:9"
///
/// Made by resolve(), which is in resolve.hpp.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "../config/messages.hpp"
#include "../graph/graph.hpp"
#include "provenance.hpp"

namespace amct_distill {

/// A layer that can be quantized. Of its algorithms' settings `dst_type`, `channel_wise` and `fixed_min` are
/// always set; `clip_max_min` is set only when the user did, and without it IFMR computes the clips.
template <class Algorithms>
struct BasicPlannedLayer {
    std::string name{};
    std::string type{};  ///< "Conv2d" or "Linear"
    ModuleId module{};
    NodeId node{};  ///< the one use of the module
    bool quant_enable = true;
    Provenance quant_enable_from{};
    oneof<typename Algorithms::data> data{};
    AlgorithmProvenance data_from{};
    oneof<typename Algorithms::weights> weights{};
    AlgorithmProvenance weights_from{};
    std::optional<std::size_t> block{};  ///< index into BasicDistillPlan::blocks; none: it is not distilled
};

/// Nodes in a row that are distilled together.
struct PlannedBlock {
    std::vector<NodeId> nodes{};       ///< in graph order, each reading the one before
    std::vector<std::string> names{};  ///< of their modules
    Provenance from{};                 ///< "distill_group[0] at 3:1", or "default"
    friend bool operator==(const PlannedBlock&, const PlannedBlock&) = default;
};

template <class Algorithms = StandardAlgorithms>
struct BasicDistillPlan {
    using algorithms = Algorithms;

    Graph graph{};  ///< of the network that it was made for
    PlannedValue<std::uint32_t> batch_num{1, {}};
    PlannedValue<std::uint32_t> group_size{1, {}};
    PlannedValue<bool> data_dump{};
    std::vector<BasicPlannedLayer<Algorithms>> layers{};  ///< every quantizable layer, in definition order
    std::vector<PlannedBlock> blocks{};                   ///< in graph order
};

using PlannedLayer = BasicPlannedLayer<StandardAlgorithms>;
using DistillPlan = BasicDistillPlan<>;

}  // namespace amct_distill
