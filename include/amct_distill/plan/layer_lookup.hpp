// SPDX-License-Identifier: Apache-2.0
/// The layers and types of layer that a configuration names, looked up; a name that fits nothing is a
/// finding.
///
///     detail::LayerLookup names(graph, found);
///     names.layer("conv11", {3, 20}, "quant_skip_layers[0]");   // none, and
///     // quant_skip_layers[0]: no layer is named `conv11`; did you mean `conv1`?
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/characters.hpp"
#include "../core/diagnostic_list.hpp"
#include "../core/glob.hpp"
#include "../core/suggest.hpp"
#include "../graph/graph.hpp"

namespace amct_distill::detail {

/// "; did you mean `conv1`?", or else what there is.
inline std::string instead_of(std::string_view name, const std::vector<std::string_view>& names,
                              std::string_view what_they_are) {
    if (std::string_view const closest = nearest(as_meant(name), names); !closest.empty())
        return concat("; did you mean `", closest, "`?");
    if (names.empty()) return {};
    return concat("; ", what_they_are, ": ", quoted_list(names));
}

/// Holds references to both of its arguments.
class LayerLookup {
public:
    LayerLookup(const Graph& g, DiagnosticList& found, bool patterns = false)
        : graph_(g), found_(found), patterns_(patterns) {
        const auto& modules = g.topology().modules;
        for (std::size_t m = 0; m != modules.size(); ++m) {
            if (!g.uses({m}).empty()) used_names_.push_back(modules[m].name);
            if (!g.why_not_quantized({m}).empty()) continue;
            quantizable_.push_back({m});
            quantizable_names_.push_back(modules[m].name);
            if (std::find(types_.begin(), types_.end(), modules[m].type) == types_.end())
                types_.push_back(modules[m].type);
        }
    }

    /// The modules that can be quantized, in definition order.
    const std::vector<ModuleId>& quantizable() const { return quantizable_; }

    /// The quantizable layer of that name.
    std::optional<ModuleId> layer(std::string_view name, Position where, std::string path) const {
        auto const module = graph_.module_named(name);
        if (!module) {
            found_.error(
                where, std::move(path),
                concat("no layer is named `", visible(name), "`",
                       is_pattern(name) && !patterns_
                           ? std::string("; patterns are taken with ResolveOptions::patterns")
                           : instead_of(name, quantizable_names_, "the layers that can be quantized")));
            return std::nullopt;
        }
        if (auto const reason = graph_.why_not_quantized(*module); !reason.empty()) {
            found_.error(where, std::move(path), concat("`", name, "` ", reason, ": remove it here"));
            return std::nullopt;
        }
        return module;
    }

    /// Whether a name is one of many by intention.
    bool names_many(std::string_view name) const {
        return patterns_ && is_pattern(name) && !graph_.module_named(name);
    }
    /// The quantizable layers that a name, or a pattern where those are taken, stands for.
    auto layers(std::string_view name, Position where, std::string path) const {
        auto fitting = quantizable_;
        fitting.clear();
        if (!names_many(name)) {
            if (auto const one = layer(name, where, std::move(path))) fitting.push_back(*one);
            return fitting;
        }
        for (std::size_t i = 0; i != quantizable_.size(); ++i)
            if (matches(name, quantizable_names_[i])) fitting.push_back(quantizable_[i]);
        if (fitting.empty())
            found_.error(where, std::move(path),
                         concat("no layer that can be quantized matches `", visible(name), "`",
                                instead_of({}, quantizable_names_, "these can be")));
        return fitting;
    }

    /// The quantizable layers of that type.
    std::vector<ModuleId> layers_of_type(std::string_view type, Position where, std::string path) const {
        const auto& modules = graph_.topology().modules;
        std::vector<ModuleId> fitting;
        for (ModuleId m : quantizable_)
            if (modules[m].type == type) fitting.push_back(m);
        if (!fitting.empty()) return fitting;

        bool const exists =
            std::any_of(modules.begin(), modules.end(), [&](const auto& m) { return m.type == type; });
        if (is_quantizable_type(type))
            found_.error(where, std::move(path),
                         concat("the network has no ", type, exists ? " that can be quantized" : "",
                                ": remove it here"));
        else if (exists)
            found_.error(
                where, std::move(path),
                concat("a ", type, " is not quantized; only Conv2d and Linear layers are: remove it here"));
        else
            found_.error(where, std::move(path),
                         concat("no layer is of type `", visible(type), "`",
                                instead_of(type, types_, "the types that can be quantized")));
        return fitting;
    }

    /// Any module that is used, quantizable or not, as an index into Topology::modules.
    std::optional<ModuleId> used_module(std::string_view name, Position where, std::string path) const {
        auto const module = graph_.module_named(name);
        if (!module)
            found_.error(where, std::move(path),
                         concat("no layer is named `", visible(name), "`",
                                instead_of(name, used_names_, "the layers of the network")));
        else if (graph_.uses(*module).empty())
            found_.error(where, std::move(path),
                         concat("`", name, "` is not in the network's graph; name a layer that is"));
        else
            return module;
        return std::nullopt;
    }

private:
    const Graph& graph_;
    DiagnosticList& found_;
    bool patterns_ = false;
    std::vector<ModuleId> quantizable_{};
    std::vector<std::string_view> quantizable_names_{};
    std::vector<std::string_view> used_names_{};
    std::vector<std::string_view> types_{};  // of the quantizable layers
};

}  // namespace amct_distill::detail
