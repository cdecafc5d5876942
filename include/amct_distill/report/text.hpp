// SPDX-License-Identifier: Apache-2.0
/// A distillation report as tables.
///
///     std::cout << to_table(report, terminal_width());      // without a width: at most 100 columns
///
/// Four tables: the weights, the inputs and the blocks of the network, and each block's loss per epoch. Long
/// names keep their end; what a narrow terminal has no room for is left out (core/table.hpp).
#pragma once
#include <cstddef>
#include <string>

#include "../core/table.hpp"
#include "../distill/report.hpp"

namespace amct_distill {

std::string to_table(const DistillReport& report, std::size_t width = default_text_width);

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "text-inl.hpp"
#endif
