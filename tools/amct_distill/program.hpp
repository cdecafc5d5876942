// SPDX-License-Identifier: Apache-2.0
/// The verbs of the program, each in a file of its own, and how they end.
///
///     throw Stop{exit_input, "..."};        // a sentence on standard error, and the exit code
///     auto config = checked(read<...>(...), console);       // prints warnings; throws errors
#pragma once
#include <amct_distill/core/concat.hpp>
#include <amct_distill/core/result.hpp>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "options.hpp"

namespace tool {

inline constexpr int exit_done = 0, exit_input = 1, exit_command_line = 2, exit_difference = 3,
                     exit_interrupted = 130;

/// Ends the program.
class Stop : public std::exception {
public:
    Stop(int code, std::string text) : code_(code), text_(std::move(text)) {}
    const char* what() const noexcept override { return text_.c_str(); }
    int code() const { return code_; }

private:
    int code_;
    std::string text_;  // empty: everything has been said
};

/// What is typed cannot be meant: exit code 2.
template <class... Pieces>
[[noreturn]] void bad_command_line(const Pieces&... pieces) {
    throw Stop(exit_command_line, amct_distill::detail::concat("amct-distill: ", pieces...));
}
/// What is given cannot be used: exit code 1.
template <class... Pieces>
[[noreturn]] void bad_input(const Pieces&... pieces) {
    throw Stop(exit_input, amct_distill::detail::concat("error: ", pieces...));
}

int run_inspect(const Options& options);
int run_check(const Options& options);
int run_plan(const Options& options);
int run_distill(const Options& options);
int run_infer(const Options& options);
int run_verify(const Options& options);

}  // namespace tool
