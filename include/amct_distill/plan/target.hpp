// SPDX-License-Identifier: Apache-2.0
/// Rules of the machine that will run the result; a plan that breaks one is an error.
///
///     resolve(config, topology);                     // target::generic: no rules
///     resolve(config, topology, target::ascend);     // the original's rules
///     resolve(config, topology, Target{.name = "mine", .mixed_widths = false});
#pragma once
#include <string_view>

namespace amct_distill {

/// As it stands: a machine that runs everything.
struct Target {
    std::string_view name = "generic";  ///< for messages
    bool channel_wise_linear = true;    ///< the weights of a Linear may have one scale per output channel
    bool mixed_widths = true;           ///< a layer's activations and weights may differ in bit width
};

namespace target {
inline constexpr Target generic{};
inline constexpr Target ascend{.name = "ascend", .channel_wise_linear = false, .mixed_widths = false};
}  // namespace target

}  // namespace amct_distill
