// SPDX-License-Identifier: Apache-2.0
/// Whether what is used together belongs together: a plan, a teacher, a student, batches.
///
///     detail::difference(plan, network);        // "module 1 is `conv` (Conv2d) in the plan, and ...", or ""
///     detail::difference(teacher, student, "the teacher", "the student");
///     detail::require_batch(network, tensors, "calibrate", 3);       // throws std::invalid_argument
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "../core/concat.hpp"
#include "../nn/network.hpp"
#include "../plan/plan.hpp"

namespace amct_distill::detail {

/// The first difference of two networks in their graphs and shapes, which parameters are not part of; empty
/// when there is none. `a_name` and `b_name` say whose they are: "the teacher", "the student".
inline std::string difference(const nn::Network& a, const nn::Network& b, std::string_view a_name,
                              std::string_view b_name) {
    if (auto what = amct_distill::difference(a.graph(), b.graph(), a_name, b_name); !what.empty())
        return what;
    for (nn::NodeId id; id != a.graph().size(); ++id.index)
        if (a.node(id).shape != b.node(id).shape)
            return concat("node `", a.name(id), "` has the shape ", nn::to_string(a.node(id).shape), " in ",
                          a_name, ", and ", nn::to_string(b.node(id).shape), " in ", b_name);
    return {};
}

/// What a plan says that is not so in a network, the first of it; empty when it fits.
template <class Algorithms>
std::string difference(const BasicDistillPlan<Algorithms>& plan, const nn::Network& network) {
    if (auto what = amct_distill::difference(plan.graph, network.graph(), "the plan", "the network");
        !what.empty())
        return what;
    // A plan is an aggregate that a caller may have changed.
    const Graph& g = network.graph();
    for (const auto& layer : plan.layers)
        if (layer.module >= g.module_count() || g.module(layer.module).name != layer.name ||
            g.uses(layer.module) != std::vector{layer.node})
            return concat("the plan's layer `", layer.name, "` is not that module of its graph");
    for (std::size_t b = 0; b != plan.blocks.size(); ++b) {
        const PlannedBlock& block = plan.blocks[b];
        if (block.nodes.empty()) return concat("block ", b, " of the plan has no nodes");
        for (std::size_t k = 0; k != block.nodes.size(); ++k) {
            nn::NodeId const id = block.nodes[k];
            if (id >= g.size())
                return concat("block ", b, " of the plan has node ", id.index, ", which does not exist");
            if (k != 0 && id <= block.nodes[k - 1])
                return concat("in block ", b, " of the plan `", g.name(id), "` is not in graph order");
        }
    }
    return {};
}

/// Throws std::invalid_argument unless the network can run batch number `i`.
inline void require_batch(const nn::Network& network, std::span<const nn::Tensor> batch, std::string_view who,
                          std::size_t i) {
    auto const fail = [&](auto&&... what) {
        throw std::invalid_argument(concat(who, ": batch ", i, ": ", what...));
    };
    auto const inputs = network.inputs();
    if (batch.size() != inputs.size())
        fail("expected ", inputs.size(), inputs.size() == 1 ? " tensor" : " tensors",
             ", one for each input, found ", batch.size());
    for (std::size_t k = 0; k != inputs.size(); ++k) {
        const auto& input = network.node(inputs[k]);
        const nn::Shape& found = batch[k].shape();
        bool fits = found.size() == input.shape.size() && found[0] >= 1;  // no input has no dimensions
        for (std::size_t d = 0; fits && d != found.size(); ++d)
            fits = input.shape[d] == nn::any_batch || input.shape[d] == found[d];
        if (!fits)
            fail("input \"", network.name(inputs[k]), "\": expected ", nn::to_string(input.shape), ", found ",
                 nn::to_string(found));
        if (found[0] != batch[0].dim(0))
            fail("input \"", network.name(inputs[k]), "\": expected ", batch[0].dim(0),
                 " samples as in the first, found ", found[0]);
    }
}

}  // namespace amct_distill::detail
