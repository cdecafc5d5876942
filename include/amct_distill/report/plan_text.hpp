// SPDX-License-Identifier: Apache-2.0
/// A plan as tables: each layer's settings with where they come from, the blocks, and what holds for all.
///
///     std::cout << to_table(plan, terminal_width());
///     //   layer  setting    value                            from
///     //   conv1  weights    arq_distill, INT8, channel_wise  distill_override_layers[0] at 28:33
///     //          data       ulq_quantize, INT8               distill_override_layers[0] at 26:5
///     //          clips      by IFMR                          default
#pragma once
#include <cstddef>
#include <string>

#include "../core/table.hpp"
#include "../plan/plan.hpp"

namespace amct_distill {

template <class Algorithms>
std::string to_table(const BasicDistillPlan<Algorithms>& plan, std::size_t width = default_text_width);

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "plan_text-inl.hpp"
#endif
