// SPDX-License-Identifier: Apache-2.0
/// Ctrl-C: the first one asks the work to end after its step, the second one ends the process.
///
///     InterruptGuard guard;                  // while the work runs
///     if (interrupted()) ...
#pragma once
#include <unistd.h>

#include <atomic>
#include <csignal>

#include "program.hpp"

namespace tool {
namespace detail {

inline std::atomic<int> interrupts{0};
static_assert(std::atomic<int>::is_always_lock_free);

inline void on_interrupt(int) {
    if (interrupts.fetch_add(1) != 0) ::_exit(exit_interrupted);
}

}  // namespace detail

inline bool interrupted() { return detail::interrupts.load(std::memory_order_relaxed) != 0; }

class InterruptGuard {
public:
    InterruptGuard() {
        for (int signal : {SIGINT, SIGTERM}) {
            struct sigaction action {};
            action.sa_handler = detail::on_interrupt;
            sigemptyset(&action.sa_mask);
            action.sa_flags = SA_RESTART;
            ::sigaction(signal, &action, nullptr);
        }
    }
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;
    ~InterruptGuard() {
        for (int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
    }
};

}  // namespace tool
