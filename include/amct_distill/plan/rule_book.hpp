// SPDX-License-Identifier: Apache-2.0
/// The rules of a configuration, looked up: which skip and which override each quantizable layer falls under.
///
///     detail::RuleBook<StandardAlgorithms> rules(config, graph, names, found);
///     for (const auto& layer : rules.layers()) layer.skipped, layer.strongest().weights ...
///
/// Skip (by layer or by type) > override of the layer > override of the type > global.
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../config/messages.hpp"
#include "../core/diagnostic_list.hpp"
#include "../graph/graph.hpp"
#include "check_clips.hpp"
#include "common_settings.hpp"
#include "layer_lookup.hpp"
#include "precedence.hpp"
#include "settings.hpp"

namespace amct_distill::detail {

/// The global settings, or an override.
template <class Algorithms>
struct Rule {
    std::string name{};  // "distill_override_layers[1]"; empty for the global ones
    Position where{};
    RuleSection<typename Algorithms::data> data{};
    RuleSection<typename Algorithms::weights> weights{};
};

/// What one layer falls under. The pointers are into the rule book.
template <class Algorithms>
struct LayerRules {
    ModuleId module{};
    std::optional<Provenance> skipped{};
    const Rule<Algorithms>* of_layer = nullptr;
    const Rule<Algorithms>* of_type = nullptr;
    const Rule<Algorithms>* global = nullptr;

    RulesPresent present() const { return {skipped.has_value(), of_layer != nullptr, of_type != nullptr}; }
    /// The rule that gives the settings, also those of a layer that is skipped.
    const Rule<Algorithms>& strongest() const {
        RulesPresent rules = present();
        rules.skipped = false;
        return at(detail::strongest(rules));
    }
    /// What would hold without the strongest.
    const Rule<Algorithms>& weaker() const { return at(next_strongest(present())); }
    const Rule<Algorithms>& at(RuleLevel level) const {
        return level == RuleLevel::layer ? *of_layer : level == RuleLevel::type ? *of_type : *global;
    }
    bool falls_under(const Rule<Algorithms>& r) const {
        return detail::strongest(present()) != RuleLevel::skip && &strongest() == &r;
    }
};

template <class Algorithms>
class RuleBook {
public:
    /// Reports names that fit nothing, repeated overrides, and clips out of range. The arguments must outlive
    /// the book.
    template <class Storage>
    RuleBook(const BasicConfig<Algorithms, Storage>& config, const Graph& g, const LayerLookup& names,
             DiagnosticList& found)
        : graph_(g), found_(found), index_(g.module_count()) {
        for (ModuleId module : names.quantizable()) {
            index_[module] = layers_.size();
            layers_.push_back({.module = module, .global = &global_});
        }
        global_ = make_rule(config, "", {});
        read_skips(config, names);
        read_overrides(config, names);
        check_clips(global_.data, found);
        for (const auto& r : of_layers_) check_clips(r.data, found);
        for (const auto& r : of_types_) check_clips(r.data, found);
    }
    RuleBook(const RuleBook&) = delete;
    RuleBook& operator=(const RuleBook&) = delete;

    /// The quantizable layers, in definition order.
    const std::vector<LayerRules<Algorithms>>& layers() const { return layers_; }

    /// Warns of rules that never apply, because stronger ones cover all that they match.
    void warn_of_idle_rules() const {
        for (const auto& layer : layers_)
            if (layer.of_layer && layer.skipped)
                found_.warning(layer.of_layer->where, layer.of_layer->name,
                               concat("never applies: `", name(layer.module), "` is skipped by ",
                                      layer.skipped->text, "; remove one of the two"));
        for (const auto& r : of_types_)
            if (!in_force(r))
                found_.warning(r.where, r.name,
                               "never applies: every layer of that type is skipped or has an override of "
                               "its own; remove it");
        if (in_force(global_)) return;
        auto const idle = [&](const auto& source) {
            if (source.choice != nullptr)
                found_.warning(source.where, source.name,
                               "never applies: every layer is skipped or has an override; remove it");
        };
        idle(global_.data);
        idle(global_.weights);
    }

    /// Warns of overrides that name activations or weights alone, where that changes the others:
    /// what an override does not say takes the default, not the weaker setting. `facts(layer)` gives the
    /// LayerFacts of a LayerRules.
    template <class Facts>
    void warn_of_resets(const Facts& facts) const {
        auto const warn_of = [&](const Rule<Algorithms>& r) {
            reset(r, &Rule<Algorithms>::data, "distill_data_quant_config", facts);
            reset(r, &Rule<Algorithms>::weights, "distill_weight_quant_config", facts);
        };
        for (const auto& r : of_layers_) warn_of(r);
        for (const auto& r : of_types_) warn_of(r);
    }

private:
    using RuleType = Rule<Algorithms>;

    const std::string& name(std::size_t module) const { return graph_.topology().modules[module].name; }
    LayerRules<Algorithms>& rules_of(std::size_t module) { return layers_[index_[module]]; }
    bool in_force(const RuleType& r) const {
        return std::any_of(layers_.begin(), layers_.end(), [&](const auto& l) { return l.falls_under(r); });
    }

    /// `holder` is the configuration, or one of its overrides: both have the two settings by the same names.
    template <class Holder>
    static RuleType make_rule(const Holder& holder, std::string name, Position where) {
        RuleType r{std::move(name), where, {}, {}};
        auto const read = [&](const auto& field, auto oneof_member, std::string_view field_name,
                              auto& source) {
            source.path = r.name.empty() ? std::string(field_name) : concat(r.name, '.', field_name);
            source.name = r.name.empty() ? source.path : r.name;
            source.where = either(field.position(), where);
            if (!field.has_value()) return;
            source.choice = &((*field).*oneof_member);
            source.path = concat(source.path, '.', source.choice->name());
        };
        read(holder.distill_data_quant_config, &BasicDataQuantConfig<Algorithms>::data_quant_algo,
             "distill_data_quant_config", r.data);
        read(holder.distill_weight_quant_config, &BasicWeightQuantConfig<Algorithms>::weights_quant_algo,
             "distill_weight_quant_config", r.weights);
        return r;
    }

    template <class Config>
    void read_skips(const Config& config, const LayerLookup& names) {
        auto const skip = [&](std::size_t module, const std::string& path, Position where) {
            auto& skipped = rules_of(module).skipped;
            if (!skipped) skipped = provenance_of(path, where);
        };
        for (std::size_t i = 0; i != config.quant_skip_layers.size(); ++i) {
            auto const path = element("quant_skip_layers", i);
            Position const where = position_in(config.quant_skip_layers, i);
            for (auto const module : names.layers(config.quant_skip_layers[i], where, path))
                skip(module, path, where);
        }
        for (std::size_t i = 0; i != config.quant_skip_layer_types.size(); ++i) {
            auto const path = element("quant_skip_layer_types", i);
            Position const where = position_in(config.quant_skip_layer_types, i);
            for (ModuleId module : names.layers_of_type(config.quant_skip_layer_types[i], where, path))
                skip(module, path, where);
        }
    }

    template <class Config>
    void read_overrides(const Config& config, const LayerLookup& names) {
        const auto& by_layer = config.distill_override_layers;
        of_layers_.reserve(by_layer.size());  // the layers keep pointers
        for (std::size_t i = 0; i != by_layer.size(); ++i) {
            const auto& r = of_layers_.emplace_back(
                make_rule(by_layer[i], element("distill_override_layers", i), position_in(by_layer, i)));
            Position const where = either(by_layer[i].layer_name.position(), r.where);
            auto const path = concat(r.name, ".layer_name");
            if (names.names_many(*by_layer[i].layer_name)) continue;
            if (auto const module = names.layer(*by_layer[i].layer_name, where, path))
                take(rules_of(*module).of_layer, r, *by_layer[i].layer_name, where, path);
        }
        // A layer's name is stronger than a pattern that it fits.
        std::vector<const RuleType*> named;
        for (const auto& l : layers_) named.push_back(l.of_layer);
        for (std::size_t i = 0; i != by_layer.size(); ++i) {
            if (!names.names_many(*by_layer[i].layer_name)) continue;
            const auto& r = of_layers_[i];
            Position const where = either(by_layer[i].layer_name.position(), r.where);
            auto const path = concat(r.name, ".layer_name");
            for (auto const module : names.layers(*by_layer[i].layer_name, where, path)) {
                auto& rules = rules_of(module);
                if (named[static_cast<std::size_t>(&rules - layers_.data())] != nullptr) continue;
                take(rules.of_layer, r, name(module), where, path);
            }
        }
        const auto& by_type = config.distill_override_layer_types;
        of_types_.reserve(by_type.size());
        for (std::size_t i = 0; i != by_type.size(); ++i) {
            const auto& r = of_types_.emplace_back(
                make_rule(by_type[i], element("distill_override_layer_types", i), position_in(by_type, i)));
            Position const where = either(by_type[i].layer_type.position(), r.where);
            auto const path = concat(r.name, ".layer_type");
            for (ModuleId module : names.layers_of_type(*by_type[i].layer_type, where, path))
                if (!take(rules_of(module).of_type, r, *by_type[i].layer_type, where, path)) break;
        }
    }
    /// A layer or type has one override.
    bool take(const RuleType*& place, const RuleType& r, std::string_view subject, Position where,
              const std::string& path) {
        if (place == nullptr) return place = &r, true;
        found_.error(
            where, path,
            concat("`", subject, "` has an override already, ", provenance_of(place->name, place->where).text,
                   ": put the settings of both into one"));
        return false;
    }

    template <class Section, class Facts>
    void reset(const RuleType& r, Section RuleType::*which, std::string_view field,
               const Facts& facts) const {
        if ((r.*which).choice != nullptr) return;
        std::vector<std::string_view> changed;
        const Section* weaker = nullptr;
        std::string fallback;
        for (const auto& layer : layers_) {
            if (!layer.falls_under(r)) continue;
            auto const now = settle(r.*which, facts(layer)).algorithm;
            if (!differ(now, settle(layer.weaker().*which, facts(layer)).algorithm)) continue;
            changed.push_back(name(layer.module));
            weaker = &(layer.weaker().*which);
            fallback = describe(now);
        }
        if (changed.empty()) return;
        found_.warning(r.where, r.name,
                       concat("has no ", field, ", so ", quoted_list(changed),
                              changed.size() == 1 ? " gets" : " get", " the default (", fallback,
                              "), not what ", provenance_of(weaker->name, weaker->where).text,
                              " says: an override replaces all of it; repeat in it what is to stay"));
    }

    const Graph& graph_;
    DiagnosticList& found_;
    std::vector<std::size_t> index_;  // by module: into layers_, when it is quantizable
    std::vector<LayerRules<Algorithms>> layers_{};
    RuleType global_{};
    std::vector<RuleType> of_layers_{};
    std::vector<RuleType> of_types_{};
};

}  // namespace amct_distill::detail
