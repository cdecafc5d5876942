// SPDX-License-Identifier: Apache-2.0
/// The verbs that came last; the others are in program.hpp.
#pragma once
#include "program.hpp"

namespace tool {

int run_analyze(const Options& options);
int run_export(const Options& options);
int run_report(const Options& options);

}  // namespace tool
