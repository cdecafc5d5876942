// SPDX-License-Identifier: Apache-2.0
/// The definitions of thread_pool.hpp.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include "../core/inline.hpp"
#include "thread_pool.hpp"

namespace amct_distill::detail {

AMCT_DISTILL_INLINE void Signal::add(std::uint32_t n) {
    value_.fetch_add(n);
    if (!sleeping_.load()) return;
    std::lock_guard const lock(mutex_);
    changed_.notify_one();
}

AMCT_DISTILL_INLINE void Signal::wait(std::uint32_t old) {
    // Without the processor's instruction for it, for which a virtual machine is left: 15 us.
    for (int k = 0; k != 5000; ++k)
        if (value() != old) return;
    std::unique_lock lock(mutex_);
    sleeping_.store(true);
    changed_.wait(lock, [&] { return value() != old; });
    sleeping_.store(false);
}

AMCT_DISTILL_INLINE ThreadPool::ThreadPool(std::size_t threads)
    : helpers_(std::make_unique<Helper[]>(threads)) {
    try {
        for (; size_ != threads; ++size_)
            helpers_[size_].thread = std::thread([this, own = &helpers_[size_]] { serve(*own); });
    } catch (...) {  // the system has no more
        stop();
        throw;
    }
}

AMCT_DISTILL_INLINE bool ThreadPool::run(std::size_t helpers, function_ref<void()> work) {
    if (busy_.exchange(true)) return false;
    work_ = &work;
    left_.set(static_cast<std::uint32_t>(helpers));
    for (std::size_t k = 0; k != helpers; ++k) helpers_[k].calls.add(1);
    work();
    for (std::uint32_t left; (left = left_.value()) != 0;) left_.wait(left);
    busy_.store(false);
    return true;
}

AMCT_DISTILL_INLINE void ThreadPool::serve(Helper& own) {
    for (std::uint32_t calls = 0;; ++calls) {
        own.calls.wait(calls);
        if (stopping_.load()) return;
        (*work_)();
        left_.add(static_cast<std::uint32_t>(-1));
    }
}

AMCT_DISTILL_INLINE void ThreadPool::stop() {
    stopping_.store(true);
    for (std::size_t k = 0; k != size_; ++k) {
        helpers_[k].calls.add(1);
        helpers_[k].thread.join();
    }
}

}  // namespace amct_distill::detail
