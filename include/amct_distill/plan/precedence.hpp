// SPDX-License-Identifier: Apache-2.0
/// Which of a configuration's rules holds for a layer: skip > override of the layer > override of the type >
/// global.
///
///     strongest({.skipped = false, .of_layer = true, .of_type = true}) == RuleLevel::layer
///
/// The one place that says so, for resolve() and for the compiler.
#pragma once

namespace amct_distill::detail {

enum class RuleLevel { skip, layer, type, global };

/// Which rules there are that name a layer, or its type; the global one always does.
struct RulesPresent {
    bool skipped = false;  // by its name or by its type
    bool of_layer = false;
    bool of_type = false;
};

constexpr RuleLevel strongest(RulesPresent rules) {
    if (rules.skipped) return RuleLevel::skip;
    if (rules.of_layer) return RuleLevel::layer;
    if (rules.of_type) return RuleLevel::type;
    return RuleLevel::global;
}

/// What would hold without the strongest override.
constexpr RuleLevel next_strongest(RulesPresent rules) {
    rules.skipped = false;
    (rules.of_layer ? rules.of_layer : rules.of_type) = false;
    return strongest(rules);
}

}  // namespace amct_distill::detail
