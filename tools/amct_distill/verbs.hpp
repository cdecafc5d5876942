// SPDX-License-Identifier: Apache-2.0
/// The verbs that came last (the others are in program.hpp), and what is done before any of them.
#pragma once
#include "program.hpp"

namespace tool {

int run_analyze(const Options& options);
int run_export(const Options& options);
/// For its help: the formats, and what they are.
std::string export_formats();
int run_report(const Options& options);

/// Large pieces of memory go back to the system when they are freed, whatever was freed before: memory.cpp.
void keep_no_freed_memory();

}  // namespace tool
