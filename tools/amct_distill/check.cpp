// SPDX-License-Identifier: Apache-2.0
// check FILE...: configurations, records and plans, alone or against a model.
#include <amct_distill/adapters/json_reader.hpp>
#include <amct_distill/definitions.hpp>
#include <cstdio>
#include <optional>

#include "configuration.hpp"
#include "console.hpp"
#include "model.hpp"
#include "program.hpp"

namespace tool {
namespace {

namespace ad = amct_distill;
using ad::detail::concat;

/// A chain of layers that has all names of a plan, in the order of its groups, so that a plan can be read
/// without its network.
ad::Graph graph_of_names(const boost::json::object& plan) {
    ad::Graph g;
    std::optional<ad::NodeId> last;
    auto const add = [&](std::string name, bool is_layer) {
        if (g.module_named(name)) return;
        ad::ModuleId const m = g.add_module({name, is_layer ? "Conv2d" : "ReLU"});
        ad::TopologyNode node{name, is_layer ? "Conv2d" : "ReLU", m.index, {}};
        if (last) node.inputs.push_back(last->index);
        last = g.add_node(std::move(node));
    };
    auto const is_layer = [&](std::string_view name) {
        auto const* const found = plan.if_contains(name);
        return found != nullptr && found->is_object();
    };
    if (const auto* groups = plan.if_contains("distill_group"); groups != nullptr && groups->is_array())
        for (const auto& group : groups->get_array())
            if (group.is_array())
                for (const auto& name : group.get_array())
                    if (name.is_string())
                        add(std::string(name.get_string()), is_layer(std::string_view(name.get_string())));
    for (const auto& [name, value] : plan)
        if (value.is_object()) add(std::string(name), true);
    if (last) g.add_output(*last);
    return g;
}

/// Whether a text has a field of a record at its beginning or at the beginning of a line.
bool looks_like_record(std::string_view text) {
    for (std::string_view field : {"record", "prune_record"})
        for (std::size_t at = text.find(field); at != text.npos; at = text.find(field, at + 1)) {
            std::string_view rest = text.substr(at + field.size());
            rest.remove_prefix((std::min)(rest.find_first_not_of(" \t\r\n:"), rest.size()));
            if ((at == 0 || text[at - 1] == '\n') && rest.starts_with('{')) return true;
        }
    return false;
}

struct Checked {
    std::string kind{};
    ad::Diagnostics found{};
    bool good = true;
};
template <class T>
void take(Checked& to, const ad::result<T>& from) {
    to.good = to.good && from.has_value();
    to.found.insert(to.found.end(), from.diagnostics().begin(), from.diagnostics().end());
}

Checked check_file(const ad::SourceText& source, const Options& options, const Model* model) {
    Checked out;
    if (looks_like_json(source.text)) {
        out.kind = "a plan (JSON)";
        boost::json::error_code error;
        boost::json::value const value = boost::json::parse(source.text, error);
        ad::Graph graph;
        if (model != nullptr)
            graph = model->network.graph();
        else if (!error && value.is_object())
            graph = graph_of_names(value.get_object());
        take(out, plan_of(source, options, graph));
    } else if (looks_like_record(source.text)) {
        out.kind = "a record (ScaleOffsetRecord)";
        auto const record = ad::read<ad::ScaleOffsetRecord>(source);
        take(out, record);
        if (record && model != nullptr)
            for (const auto& entry : record->record)
                if (!model->network.graph().module_named(entry.key.get())) {
                    out.good = false;
                    ad::Diagnostic d = ad::general_error(
                        concat("the model has no layer `", std::string_view(entry.key.get()), "`"));
                    d.source = source.name;
                    out.found.push_back(std::move(d));
                }
    } else {
        out.kind = "a distillation configuration (AMCTDistillConfig)";
        if (model != nullptr)
            take(out, plan_of(source, options, model->network.graph()));
        else
            take(out, ad::read<ad::ExtendedConfig>(source));
    }
    return out;
}

}  // namespace

int run_check(const Options& options) {
    Console console(options);
    std::optional<Model> model;
    if (!options.model.path.empty()) model = load_model(options.model);
    bool good = true;
    for (const std::string& file : options.files) {
        auto const source = ad::SourceText::file(file);
        if (!source) {
            console.warn(source.diagnostics());
            good = false;
            continue;
        }
        Checked const c = check_file(*source, options, model ? &*model : nullptr);
        console.warn(c.found);
        std::size_t errors = 0;
        for (const ad::Diagnostic& d : c.found) errors += d.severity == ad::Severity::error;
        std::string const what = c.good        ? std::string("no errors")
                                 : errors == 1 ? std::string("1 error")
                                               : concat(errors, " errors");
        console.say(
            concat(file, ": ", c.kind, ", ", what, model ? concat(" for ", model->path) : std::string()));
        good = good && c.good;
    }
    return good ? exit_done : exit_input;
}

}  // namespace tool
