// SPDX-License-Identifier: Apache-2.0
/// The verbs that came last (the others are in program.hpp), and what is done before any of them.
#pragma once
#include <string>

#include "program.hpp"

namespace tool {

int run_analyze(const Options& options);
int run_export(const Options& options);
/// The formats of export, with what each is.
std::string export_formats_text();
int run_report(const Options& options);

/// Large pieces of memory go back to the system when they are freed, whatever was freed before: memory.cpp.
void keep_no_freed_memory();

}  // namespace tool
