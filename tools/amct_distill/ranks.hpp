// SPDX-License-Identifier: Apache-2.0
/// The processes of `mpirun -n 4 amct-distill ...`: how each begins and ends.
///
///     options.ranks = begin_ranks(argc, argv);       // null: this process is alone
///     if (is_first(options)) ...                     // the one that writes files, and speaks
///     return end_ranks(exit_code, "error: ...");     // what is wrong is said once, and ends all of them
///
/// With -DAMCT_DISTILL_MPI=OFF, or where CMake finds no MPI, there is always one.
#pragma once
#include <amct_distill/run/ranks.hpp>
#include <cstddef>
#include <string>

#include "options.hpp"

namespace tool {

/// What is said of std::bad_alloc. Of one of several ranks it is said which.
inline constexpr const char* no_memory = "error: there is not enough memory";

/// Throws when several processes were started and the program was built without MPI.
amct_distill::Ranks* begin_ranks(int& argc, char**& argv);
/// Prints `why`, unless it is empty, and tells the other ranks. The exit code.
int end_ranks(int code, const std::string& why, bool has_failed);
/// How many of them share this machine.
std::size_t ranks_here();

inline bool is_first(const Options& options) { return amct_distill::detail::is_first(options.ranks); }

}  // namespace tool
