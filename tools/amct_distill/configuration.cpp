// SPDX-License-Identifier: Apache-2.0
#include "configuration.hpp"

#include <amct_distill/adapters/json_reader.hpp>
#include <amct_distill/definitions.hpp>

namespace tool {

namespace ad = amct_distill;

bool looks_like_json(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    std::size_t const at = text.find_first_not_of(" \t\r\n");
    return at != text.npos && (text[at] == '{' || text[at] == '[');
}

ad::result<ad::ExtendedPlan> plan_of(const ad::SourceText& source, const Options& options,
                                     const ad::Graph& graph) {
    ad::Target const target = options.target == "ascend" ? ad::target::ascend : ad::target::generic;
    if (looks_like_json(source.text))
        return ad::plan_from_json<ad::ExtendedAlgorithms>(source, graph, target);
    auto config = ad::read<ad::ExtendedConfig>(source);
    if (!config) return config.diagnostics();
    auto plan =
        ad::resolve(*config, graph, target,
                    {.source = source, .patterns = options.patterns, .group_parts = options.group_parts});
    if (!plan) return plan;
    ad::Diagnostics warnings = config.diagnostics();
    warnings.insert(warnings.end(), plan.diagnostics().begin(), plan.diagnostics().end());
    return {*std::move(plan), std::move(warnings)};
}

Configuration load_configuration(const Options& options, const ad::nn::Network& network, Console& console) {
    Configuration out;
    if (!options.config.empty()) out.source = ad::SourceText::file(options.config).value();
    out.plan = checked(plan_of(out.source, options, network.graph()), console);
    if (options.batch_num) {
        out.plan.batch_num.value = *options.batch_num;
        out.plan.batch_num.from.text = "--batch-num";
    }
    return out;
}

}  // namespace tool
