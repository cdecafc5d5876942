// SPDX-License-Identifier: Apache-2.0
/// An equalization and a bias correction as tables.
///
///     std::cout << to_table(equalize(teacher, batches).value(), terminal_width());
///     std::cout << to_table(correct_biases(teacher, student, batches).value(), terminal_width());
#pragma once
#include <cstddef>
#include <string>

#include "../core/table.hpp"
#include "../student/bias_report.hpp"
#include "../student/equalize_report.hpp"

namespace amct_distill {

std::string to_table(const EqualizeReport& report, std::size_t width = default_text_width);
std::string to_table(const BiasReport& report, std::size_t width = default_text_width);

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "preparation_text-inl.hpp"
#endif
