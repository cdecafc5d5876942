// SPDX-License-Identifier: Apache-2.0
/// A verification as a table, and what it comes to.
///
///     std::cout << to_table(verify(deployment, student, batches).value(), terminal_width());
#pragma once
#include <cstddef>
#include <string>

#include "../core/table.hpp"
#include "../deploy/verify_report.hpp"

namespace amct_distill {

std::string to_table(const VerifyReport& report, std::size_t width = default_text_width);

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "verify_text-inl.hpp"
#endif
