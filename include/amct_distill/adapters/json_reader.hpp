// SPDX-License-Identifier: Apache-2.0
/// A plan from the JSON that AMCT's `create_distill_config` writes, for the network it was written for.
///
///     result<DistillPlan> plan = plan_from_json(SourceText{"distill.json", text}, network.graph());
///     if (!plan) std::cerr << to_string(plan.diagnostics());
///  // distill.json:9:13: error: conv1.distill_data_config.dst_type: expected "INT4" or "INT8", found "INT16"
///
/// What a text leaves out takes the default; a quantizable layer that is not there is not quantized. Needs
/// Boost.JSON, as json.hpp. Not part of amct_distill.hpp.
#pragma once
#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/parser.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../config/foreign_fields.hpp"
#include "../plan/check_clips.hpp"
#include "../plan/resolve-inl.hpp"
#include "json.hpp"
#include "json_messages.hpp"
#include "json_places.hpp"
#include "json_values.hpp"

namespace amct_distill {
namespace detail {

template <class Algorithms>
class JsonPlanReader : JsonMessages {
public:
    JsonPlanReader(const Graph& graph, const Target& target, DiagnosticList& found)
        : JsonMessages(found),
          graph_(graph),
          names_(graph_, found),
          target_(target),
          sources_(names_.quantizable().size()) {}

    BasicDistillPlan<Algorithms> read(const JsonItem& root) {
        BasicDistillPlan<Algorithms> plan;
        plan.graph = graph_;
        std::optional<JsonItem> groups;
        bool version = false, batch_num = false, group_size = false, data_dump = false;
        auto const set = [](auto& planned, const auto& value, const JsonItem& at) {
            if (value) planned = {*value, provenance_of(at.path, at.places.where)};
            return true;
        };
        bool const is_object = members(root, [&](std::string_view key, const JsonItem& at) {
            if (key == "version") {
                version = true;
                if (at.value != boost::json::value(1)) unexpected(at, "1, the version of this format");
            } else if (key == "batch_num") {
                batch_num = set(plan.batch_num, at_least_one(at), at);
            } else if (key == "group_size") {
                group_size = set(plan.group_size, at_least_one(at), at);
            } else if (key == "data_dump") {
                data_dump = set(plan.data_dump, boolean(at), at);
            } else if (key == "distill_group") {
                groups.emplace(at);
            } else if (graph_.module_named(key) || !foreign_key(key, at)) {
                read_layer(key, at);
            }
        });
        if (!is_object) return plan;
        auto const require = [&](bool there, std::string_view key) {
            if (!there) error(root, concat("missing key `", key, '`'));
        };
        require(version, "version");
        require(batch_num, "batch_num");
        require(group_size, "group_size");
        require(data_dump, "data_dump");
        require(groups.has_value(), "distill_group");

        if (first_foreign_)
            found_.error(
                *first_foreign_, {},
                concat("this looks like a configuration for ", amct::foreign_json.family, ' ',
                       names_of(origins_, amct::foreign_json).view(), ": ", amct::foreign_json.here));
        plan_layers(plan);
        if (groups) read_groups(*groups, plan);
        return plan;
    }

private:
    /// What the text says of one quantizable layer.
    struct LayerSource {
        bool there = false;
        bool quant_enable = true;
        Provenance quant_enable_from{};
        oneof<typename Algorithms::data> data{};
        oneof<typename Algorithms::weights> weights{};
        Rule<Algorithms> settings{};
    };

    /// A key of AMCT's other configurations, answered by what there is for it here.
    bool foreign_key(std::string_view key, const JsonItem& at) {
        const ForeignField* field = amct::foreign_json.find(key);
        if (field == nullptr) field = amct::foreign.find(key);
        if (field == nullptr) return false;
        if (!first_foreign_) first_foreign_ = at.places.where;
        origins_.add(field->origins);
        error(at, concat("unknown key; ", field->advice));
        return true;
    }

    void read_layer(std::string_view name, const JsonItem& at) {
        auto const module = names_.layer(name, at.places.where, at.path);
        if (!module) return;
        const auto& all = names_.quantizable();
        auto& source =
            sources_[static_cast<std::size_t>(std::find(all.begin(), all.end(), *module) - all.begin())];
        source.there = true;
        members(at, [&](std::string_view key, const JsonItem& item) {
            if (key == "quant_enable") {
                source.quant_enable = boolean(item).value_or(true);
                source.quant_enable_from = provenance_of(item.path, item.places.where);
            } else if (key == "distill_data_config") {
                read_algorithm(item, source.data, source.settings.data);
            } else if (key == "distill_weight_config") {
                read_algorithm(item, source.weights, source.settings.weights);
            } else if (!foreign_key(key, item)) {
                constexpr std::array<std::string_view, 3> known{"quant_enable", "distill_data_config",
                                                                "distill_weight_config"};
                unknown_key(item, key, known);
            }
        });
    }

    /// `algo` says which message the other keys are the fields of; without it, the first of the list.
    template <class Alternatives>
    void read_algorithm(const JsonItem& at, oneof<Alternatives>& out, RuleSection<Alternatives>& source) {
        const auto& names = reflect::field_names<Alternatives>;
        std::size_t chosen = 0;
        members(at, [&](std::string_view key, const JsonItem& item) {
            if (key != "algo") return;
            auto const algo = string(item, "the name of an algorithm");
            if (!algo) return;
            chosen = static_cast<std::size_t>(std::find(names.begin(), names.end(), *algo) - names.begin());
            if (chosen == names.size()) unexpected(item, concat("an algorithm: ", quoted_list(names)));
        });
        source = {&out, at.path, at.places.where, at.path};
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            ((chosen == I ? read_settings(at, out.template emplace<I>(
                                                  blank_value<reflect::field_type<Alternatives, I>>()))
                          : void()),
             ...);
        }
        (std::make_index_sequence<oneof<Alternatives>::size>{});
    }

    /// AMCT's settings as it spells them, the others by the message's names.
    template <class M>
    void read_settings(const JsonItem& at, M& message) {
        std::optional<float> clip_max, clip_min;
        std::vector<JsonItem> clips;
        std::vector<std::string_view> met;
        members(at, [&](std::string_view key, const JsonItem& item) {
            met.push_back(key);
            std::vector<std::string_view> known{"algo"};
            auto const is = [&](std::string_view name) { return known.push_back(name), key == name; };
            auto const set = [&](auto& field, const auto& value) {
                if (value) field.emplace(*value);
                field.set_position(item.places.where);
            };
            if (key == "algo") return;
            if constexpr (requires { message.clip_max_min.emplace(ClipMaxMin{0.0f, 0.0f}); }) {
                if (is("clip_max") || is("clip_min")) {
                    bool const upper = key == "clip_max";
                    clips.push_back(item);
                    (upper ? clip_max : clip_min) = clip(item, upper);
                    return;
                }
            }
            if constexpr (requires { message.fixed_min.emplace(true); })
                if (is("fixed_min")) return set(message.fixed_min, boolean(item));
            if constexpr (HasChannelWise<M>)
                if (is("channel_wise")) return set(message.channel_wise, boolean(item));
            if constexpr (HasDstType<M>)
                if (is("dst_type"))
                    return set(message.dst_type,
                               enumerator<typename decltype(message.dst_type)::value_type>(item));
            if (is_field<M>(key) && !is_amct_setting<M>(key)) return void(read_field(message, key, item));
            for (std::string_view name : names_of_fields<M>())
                if (!is_amct_setting<M>(name)) known.push_back(name);
            if (!foreign_key(key, item)) unknown_key(item, key, known);
        });
        check_required<M>(at, met);
        if (clips.size() == 1)
            error(clips.front(), "clip_max and clip_min are given both, or neither: then IFMR computes them");
        if constexpr (requires { message.clip_max_min.emplace(ClipMaxMin{0.0f, 0.0f}); })
            if (clip_max && clip_min) {
                message.clip_max_min.emplace(ClipMaxMin{*clip_max, *clip_min});
                message.clip_max_min.set_position(clips.front().places.where);
                std::string const reason = unusable_range(message, *clip_max, *clip_min);
                if (!reason.empty())
                    error(clips.front(), concat(reason, "; leave both clips out, and IFMR computes them"));
            }
    }

    void plan_layers(BasicDistillPlan<Algorithms>& plan) {
        std::vector<LayerRules<Algorithms>> rules;
        bool any = false;
        for (std::size_t i = 0; i != sources_.size(); ++i) {
            const LayerSource& source = sources_[i];
            LayerRules<Algorithms> r{.module = names_.quantizable()[i]};
            r.of_layer = &source.settings;
            rules.push_back(r);
            auto& layer = plan.layers.emplace_back(plan_layer(r, graph_));
            layer.quant_enable = source.there && source.quant_enable;
            layer.quant_enable_from = source.quant_enable_from;
            any = any || layer.quant_enable;
        }
        if (!any)
            found_.error(
                {}, "",
                "no layer is quantized, and nothing is left to distill; give one \"quant_enable\": true");
        check_target(plan.layers, rules, target_, found_);
    }

    /// The blocks are as the text says: every group one whole path, in graph order, none sharing a layer.
    void read_groups(const JsonItem& at, BasicDistillPlan<Algorithms>& plan) {
        const auto* groups = at.value.if_array();
        if (groups == nullptr) return unexpected(at, "a list of groups");
        for (std::size_t i = 0; i != groups->size(); ++i) {
            JsonItem const group{(*groups)[i], at.places.children[i], element(at.path, i)};
            auto block = read_group(group);
            if (block.nodes.empty()) continue;
            if (!plan.blocks.empty() && block.nodes.front() <= plan.blocks.back().nodes.back())
                check_order(group, block, plan.blocks);
            plan.blocks.push_back(std::move(block));
        }
        std::vector<std::size_t> block_of(graph_.size(), plan.blocks.size());
        for (std::size_t b = 0; b != plan.blocks.size(); ++b)
            for (NodeId n : plan.blocks[b].nodes) block_of[n] = b;
        for (auto& layer : plan.layers)
            if (block_of[layer.node] != plan.blocks.size()) layer.block = block_of[layer.node];
    }
    void check_order(const JsonItem& group, const PlannedBlock& block,
                     const std::vector<PlannedBlock>& earlier) {
        for (std::size_t b = 0; b != earlier.size(); ++b)
            for (NodeId n : block.nodes)
                if (std::find(earlier[b].nodes.begin(), earlier[b].nodes.end(), n) != earlier[b].nodes.end())
                    return error(group, concat("`", graph_.name(n), "` is already in ", earlier[b].from.text,
                                               ", and a layer is in one group only"));
        if (block.nodes.front() < earlier.back().nodes.front())
            error(group, concat("`", block.names.front(), "` comes before `", earlier.back().names.front(),
                                "` in the network: write the groups in its order"));
    }
    PlannedBlock read_group(const JsonItem& at) {
        const auto* list = at.value.if_array();
        if (list == nullptr) return unexpected(at, "a list of layers"), PlannedBlock{};
        if (list->empty()) return error(at, "an empty group; remove it"), PlannedBlock{};
        PlannedBlock block{{}, {}, provenance_of(at.path, at.places.where)};
        for (std::size_t i = 0; i != list->size(); ++i) {
            JsonItem const item{(*list)[i], at.places.children[i], element(at.path, i)};
            auto const name = string(item, "the name of a layer");
            if (!name) return {};
            auto const module = names_.used_module(*name, item.places.where, item.path);
            auto const node = module ? node_in_group(item, *module, block) : std::nullopt;
            if (!node) return {};
            block.nodes.push_back(*node);
            block.names.emplace_back(*name);
        }
        if (auto const twice = trained_twice(graph_, block.nodes); !twice.empty())
            return error(at, concat(twice, ": end the group before it, or start it after")), PlannedBlock{};
        NodeId const last = block.nodes.back();
        if (paths_between(graph_, block.nodes.front(), [&](NodeId n) { return n == last; }).count == 1)
            return block;
        error(at, concat("several paths lead from `", block.names.front(), "` to `", block.names.back(),
                         "`, and a group is one path: start it after the fork, or end it before"));
        return {};
    }
    /// The use of a module that continues a block, or begins it.
    std::optional<NodeId> node_in_group(const JsonItem& at, ModuleId module, const PlannedBlock& block) {
        const auto& uses = graph_.uses(module);
        if (!may_stand_in_group(graph_, uses.front())) {
            error(at, concat("a ", graph_.type(uses.front()),
                             " cannot stand in a group, which is made of Conv2d, Linear, BatchNorm2d, ReLU, "
                             "LeakyReLU, Sigmoid, Tanh and Softmax modules only"));
        } else if (block.nodes.empty()) {
            if (uses.size() == 1) return uses.front();
            error(at, "a group cannot start at a shared layer: start it at a layer that is used once");
        } else {
            for (NodeId n : graph_.consumers(block.nodes.back()))
                if (graph_.module_of(n) == module) return n;
            error(at, concat("does not read `", block.names.back(),
                             "`: a group is a path of layers, each reading the one before"));
        }
        return std::nullopt;
    }

    Graph graph_;
    LayerLookup names_;
    const Target& target_;
    std::optional<Position> first_foreign_{};  // where a key of another flow stands
    ForeignOrigins origins_{};
    std::vector<LayerSource> sources_;  // by the order of names_.quantizable(); never resized
};

}  // namespace detail

/// Errors, all of them, each with its place and the keys that lead to it: what is not JSON, a repeated,
/// missing or unknown key, a value of the wrong type or out of range, layers that are not there or cannot be
/// quantized, groups that are not one path of layers, overlap or are out of order, rules of the target, no
/// layer left to quantize. Throws std::invalid_argument when the topology contradicts itself.
template <class Algorithms = StandardAlgorithms>
result<BasicDistillPlan<Algorithms>> plan_from_json(const SourceText& source, const Graph& graph,
                                                    const Target& target = target::generic) {
    std::string_view const text = source.text;
    detail::DiagnosticList found(source);
    boost::json::parser parser;
    boost::json::error_code error;
    std::size_t const used = parser.write(text.data(), text.size(), error);
    if (error)
        return diagnostic_at(Severity::error, source.name, text, used, "",
                             detail::concat("this is no JSON: ", error.message()));
    boost::json::value const value = parser.release();
    auto const places =
        detail::find_json_places(text, [&](const std::string& key, Position again, Position first) {
            found.error(again, key,
                        detail::concat("set more than once; first at ", first.line, ':', first.column));
        });
    if (found.failed()) return found.errors();
    auto plan = detail::JsonPlanReader<Algorithms>(graph, target, found).read({value, places});
    if (found.failed()) return found.errors();
    return plan;
}

/// The same, of a text without a name.
template <class Algorithms = StandardAlgorithms>
result<BasicDistillPlan<Algorithms>> plan_from_json(std::string_view text, const Graph& graph,
                                                    const Target& target = target::generic) {
    return plan_from_json<Algorithms>(SourceText{{}, std::string(text)}, graph, target);
}

}  // namespace amct_distill
