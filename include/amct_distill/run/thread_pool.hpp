// SPDX-License-Identifier: Apache-2.0
/// Threads that wait for work, beside the one that has it (executor.hpp is for callers).
///
///     ThreadPool pool(3);
///     bool const ran = pool.run(2, [&] { ... });      // called here and on two of the three; returns when all have
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
    void add(std::uint32_t n) {
        value_.fetch_add(n);
        if (!sleeping_.load()) return;
        std::lock_guard const lock(mutex_);
        changed_.notify_one();
    }
    /// Until it is no longer `old`.
    void wait(std::uint32_t old) {
        // Without the processor's instruction for it, for which a virtual machine is left: 15 us.
        for (int k = 0; k != 5000; ++k)
            if (value() != old) return;
        std::unique_lock lock(mutex_);
        sleeping_.store(true);
        changed_.wait(lock, [&] { return value() != old; });
        sleeping_.store(false);
    }

private:
    std::atomic<std::uint32_t> value_{0};
    std::atomic<bool> sleeping_{false};
    std::mutex mutex_{};
    std::condition_variable changed_{};
};

class ThreadPool {
public:
    explicit ThreadPool(std::size_t threads) : helpers_(std::make_unique<Helper[]>(threads)) {
        try {
            for (; size_ != threads; ++size_)
                helpers_[size_].thread = std::thread([this, own = &helpers_[size_]] { serve(*own); });
        } catch (...) {  // the system has no more
            stop();
            throw;
        }
    }
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    ~ThreadPool() { stop(); }

    std::size_t size() const { return size_; }

    /// work(), which throws nothing, on the calling thread and on so many others, size() at most. False, and
    /// nothing is called, where the threads have work: in a call from within, or from another thread.
    bool run(std::size_t helpers, function_ref<void()> work) {
        if (busy_.exchange(true)) return false;
        work_ = &work;
        left_.set(static_cast<std::uint32_t>(helpers));
        for (std::size_t k = 0; k != helpers; ++k) helpers_[k].calls.add(1);
        work();
        for (std::uint32_t left; (left = left_.value()) != 0;) left_.wait(left);
        busy_.store(false);
        return true;
    }

private:
    struct alignas(64) Helper {  // a line of the cache for each
        Signal calls{};
        std::thread thread{};
    };

    void serve(Helper& own) {
        for (std::uint32_t calls = 0;; ++calls) {
            own.calls.wait(calls);
            if (stopping_.load()) return;
            (*work_)();
            left_.add(static_cast<std::uint32_t>(-1));
        }
    }

    void stop() {
        stopping_.store(true);
        for (std::size_t k = 0; k != size_; ++k) {
            helpers_[k].calls.add(1);
            helpers_[k].thread.join();
        }
    }

    std::unique_ptr<Helper[]> helpers_;
    std::size_t size_ = 0;
    std::atomic<bool> busy_{false}, stopping_{false};
    function_ref<void()>* work_ = nullptr;
    Signal left_{};
};

}  // namespace amct_distill::detail
