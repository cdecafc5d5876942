// SPDX-License-Identifier: Apache-2.0
/// Whether a plan's layers keep the rules of the machine that will run them.
///
///     detail::check_target(plan.layers, rules.layers(), target::ascend, found);
///     // `fc`: a Linear has one weight scale on target ascend; set channel_wise to false for it
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/diagnostic_list.hpp"
#include "common_settings.hpp"
#include "plan.hpp"
#include "rule_book.hpp"
#include "target.hpp"

namespace amct_distill::detail {

/// Layers that break a rule of the target for one and the same reason, in one error.
class Violations {
public:
    void add(std::string_view layer, Position where, std::string path, std::string reason) {
        for (auto& v : all_)
            if (v.where == where && v.path == path && v.reason == reason) return v.layers.push_back(layer);
        all_.push_back({where, std::move(path), std::move(reason), {layer}});
    }
    void report(DiagnosticList& found) const {
        for (const auto& v : all_)
            found.error(v.where, v.path, concat(quoted_list(v.layers), ": ", v.reason));
    }

private:
    struct Violation {
        Position where;
        std::string path;
        std::string reason;
        std::vector<std::string_view> layers;
    };
    std::vector<Violation> all_{};
};

/// `layers` and `rules` run parallel.
template <class Algorithms>
void check_target(const std::vector<BasicPlannedLayer<Algorithms>>& layers,
                  const std::vector<LayerRules<Algorithms>>& rules, const Target& target,
                  DiagnosticList& found) {
    Violations wrong;
    for (std::size_t i = 0; i != layers.size(); ++i) {
        const auto& layer = layers[i];
        if (!layer.quant_enable) continue;
        const auto& source = rules[i].strongest();
        auto const path = [](const auto& section, std::string_view field) {
            return concat(section.path, '.', field);
        };
        if (!target.channel_wise_linear && layer.type == "Linear" && wants_channels(layer.weights))
            wrong.add(layer.name, layer.weights_from["channel_wise"].where,
                      path(source.weights, "channel_wise"),
                      concat("a Linear has one weight scale on target ", target.name,
                             "; set channel_wise to false for it"));

        auto const data = width_of(layer.data), weights = width_of(layer.weights);
        if (target.mixed_widths || data.empty() || weights.empty() || data == weights) continue;
        const Provenance& of_data = layer.data_from["dst_type"];
        const Provenance& of_weights = layer.weights_from["dst_type"];
        wrong.add(layer.name, of_weights.by_user ? of_weights.where : of_data.where,
                  of_weights.by_user ? path(source.weights, "dst_type")
                  : of_data.by_user  ? path(source.data, "dst_type")
                                     : std::string(),
                  concat("activations are ", data, " (", of_data.text, "), weights ", weights, " (",
                         of_weights.text, "), and target ", target.name,
                         " wants both of one width; set both dst_type to the same"));
    }
    wrong.report(found);
}

}  // namespace amct_distill::detail
