// SPDX-License-Identifier: Apache-2.0
/// The configuration that the user names, resolved for a network.
///
///     Configuration c = load_configuration(options, network, console);
///     c.plan, c.source.text
#pragma once
#include <amct_distill/core/source_text.hpp>
#include <amct_distill/nn/network.hpp>
#include <amct_distill/student/extended.hpp>

#include "console.hpp"
#include "options.hpp"

namespace tool {

struct Configuration {
    amct_distill::SourceText source{};  ///< empty: none was given
    amct_distill::ExtendedPlan plan{};
};

/// Warnings are printed; throws ConfigError with all that is wrong. `--batch_num` overrides the file's.
Configuration load_configuration(const Options& options, const amct_distill::nn::Network& network,
                                 Console& console);

/// A text format or JSON, by how it begins.
bool looks_like_json(std::string_view text);

/// The plan of a text that is read already.
amct_distill::result<amct_distill::ExtendedPlan> plan_of(const amct_distill::SourceText& source,
                                                         const Options& options,
                                                         const amct_distill::Graph& graph);

}  // namespace tool
