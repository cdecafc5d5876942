// SPDX-License-Identifier: Apache-2.0
/// The definitions of executor.hpp.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "../core/concat.hpp"
#include "../core/inline.hpp"
#include "executor.hpp"
#include "thread_pool.hpp"

namespace amct_distill::detail {

/// What a call of `parallel_for` hands to the threads.
struct Job {
    Job(function_ref<void(std::size_t i, std::size_t worker)> function, std::size_t n)
        : f(function), count(n) {}

    void work() {
        std::size_t const worker = workers++;
        for (std::size_t i; (i = next++) < count;) {
            try {
                f(i, worker);
            } catch (...) {
                std::lock_guard const lock(mutex);
                if (i < failed) {
                    failed = i;
                    error = std::current_exception();
                }
                next = count;
            }
        }
    }

    function_ref<void(std::size_t i, std::size_t worker)> f;
    std::size_t const count;
    std::atomic<std::size_t> next{0}, workers{0};
    std::mutex mutex{};  // of the two below
    std::size_t failed = static_cast<std::size_t>(-1);
    std::exception_ptr error{};
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

AMCT_DISTILL_INLINE Executor::Executor(int threads, InstructionSet instructions, Ranks* ranks)
    : threads_(threads), ranks_(ranks) {
    if (threads < 1 || threads > 1024)
        throw std::invalid_argument(detail::concat("Executor: expected 1 to 1024 threads, found ", threads));
    if (!available(instructions))
        throw std::invalid_argument(
            detail::concat("Executor: this machine does not have ", name(instructions)));
    execution_.instructions = instructions;
    if (threads == 1) return;
    pool_ = std::make_unique<detail::ThreadPool>(static_cast<std::size_t>(threads - 1));
    execution_.parallel_for = [this](std::size_t tasks, const std::function<void(std::size_t)>& task) {
        parallel_for(tasks, task);
    };
}

AMCT_DISTILL_INLINE Executor::~Executor() = default;

AMCT_DISTILL_INLINE void Executor::run(std::size_t count, Function f) const {
    if (!pool_ || count < 2) return run_here(count, f);
    detail::Job job(f, count);
    std::size_t const helpers = (std::min)(count - 1, pool_->size());
    if (!pool_->run(helpers, [&job] { job.work(); })) return run_here(count, f);
    if (job.error) std::rethrow_exception(job.error);
}

}  // namespace amct_distill::nn
