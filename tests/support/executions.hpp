// SPDX-License-Identifier: Apache-2.0
/// Every way this machine can run a loop: each instruction set, on one thread and on three, with stores
/// into the caches and past them.
///
///     for (const auto& on : support::executions()) { INFO(on.name); ... on.how ... }
#pragma once
#include <amct_distill/run/execution.hpp>
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

namespace support {

/// parallel_for on `threads` threads that take tasks as they become free.
inline auto on_threads(std::size_t threads) {
    return [threads](std::size_t tasks, const std::function<void(std::size_t)>& task) {
        std::atomic<std::size_t> next{0};
        auto const work = [&] {
            for (std::size_t i; (i = next++) < tasks;) task(i);
        };
        std::vector<std::thread> others;
        for (std::size_t t = 1; t < threads; ++t) others.emplace_back(work);
        work();
        for (std::thread& t : others) t.join();
    };
}

struct NamedExecution {
    std::string name;
    amct_distill::Execution how;
};

inline std::vector<NamedExecution> executions() {
    using namespace amct_distill;
    std::vector<NamedExecution> all;
    for (InstructionSet set : all_instruction_sets) {
        if (!available(set)) continue;
        std::string const what(name(set));
        all.push_back({what, {set, {}, static_cast<std::size_t>(-1)}});
        all.push_back({what + ", streaming", {set, {}, 0}});
        all.push_back({what + ", 3 threads", {set, on_threads(3), 0}});
    }
    return all;
}

/// Prints which instruction sets ran: part of what a test run shows, since a machine may not have all.
inline void print_instruction_sets(const std::string& test) {
    using namespace amct_distill;
    std::string ran, missing;
    for (InstructionSet set : all_instruction_sets)
        (available(set) ? ran : missing) +=
            (available(set) ? ran : missing).empty() ? std::string(name(set)) : ", " + std::string(name(set));
    std::printf("%s: ran on %s%s%s\n", test.c_str(), ran.c_str(),
                missing.empty() ? "" : "; not on this machine: ", missing.c_str());
    std::fflush(stdout);
}

}  // namespace support
