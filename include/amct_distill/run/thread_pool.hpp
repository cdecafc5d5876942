// SPDX-License-Identifier: Apache-2.0
/// Threads that wait for work, beside the one that has it (executor.hpp is for callers).
///
///     ThreadPool pool(3);
///     bool const ran = pool.run(2, [&] { ... });      // here and on two of the three; returns when all have
///
/// Handing out work allocates nothing. A thread that waits looks for work some 5 us before it sleeps: the
/// parts of a network's loops follow each other closely.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include "function_ref.hpp"

namespace amct_distill::detail {

/// A number that one thread changes and another waits for; the system is asked only where that one sleeps.
class Signal {
public:
    std::uint32_t value() const { return value_.load(); }
    /// While nobody waits.
    void set(std::uint32_t value) { value_.store(value); }
    void add(std::uint32_t n);
    /// Until it is no longer `old`.
    void wait(std::uint32_t old);

private:
    std::atomic<std::uint32_t> value_{0};
    std::atomic<bool> sleeping_{false};
    std::mutex mutex_{};
    std::condition_variable changed_{};
};

class ThreadPool {
public:
    explicit ThreadPool(std::size_t threads);
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    ~ThreadPool() { stop(); }

    std::size_t size() const { return size_; }

    /// work(), which throws nothing, on the calling thread and on so many others, size() at most. False, and
    /// nothing is called, where the threads have work: in a call from within, or from another thread.
    bool run(std::size_t helpers, function_ref<void()> work);

private:
    struct alignas(64) Helper {  // a line of the cache for each
        Signal calls{};
        std::thread thread{};
    };

    void serve(Helper& own);

    void stop();

    std::unique_ptr<Helper[]> helpers_;
    std::size_t size_ = 0;
    std::atomic<bool> busy_{false}, stopping_{false};
    function_ref<void()>* work_ = nullptr;
    Signal left_{};
};

}  // namespace amct_distill::detail

#ifndef AMCT_DISTILL_COMPILED
#include "thread_pool-inl.hpp"
#endif
