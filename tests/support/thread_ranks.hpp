// SPDX-License-Identifier: Apache-2.0
/// Ranks that are threads of this process: what several processes would do, without any.
///
///     support::run_ranks(3, [&](amct_distill::Ranks* ranks) { ... });     // on 3 threads; null for one
#pragma once
#include <amct_distill/run/ranks.hpp>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace support {

/// Where the ranks of a run meet.
class MeetingPlace {
public:
    explicit MeetingPlace(std::size_t ranks) : to_(ranks) {}

    std::size_t size() const { return to_.size(); }
    std::size_t bytes() const { return bytes_; }

    void exchange(std::size_t rank, std::span<const std::span<const std::byte>> to,
                  std::span<const std::span<std::byte>> from) {
        to_[rank] = to;
        wait();
        for (std::size_t r = 0; r != size(); ++r) {
            if (r == rank) continue;
            std::span<const std::byte> const sent = to_[r][rank];
            if (sent.size() != from[r].size()) throw std::logic_error("the ranks do not agree on a size");
            std::ranges::copy(sent, from[r].begin());
            std::lock_guard const lock(mutex_);
            bytes_ += sent.size();
        }
        wait();
    }
    void fail(std::size_t rank, std::string_view why) {
        std::lock_guard const lock(mutex_);
        if (!failure_) failure_.emplace(rank, std::string(why));
        changed_.notify_all();
    }

private:
    void wait() {
        std::unique_lock lock(mutex_);
        std::size_t const round = round_;
        if (failure_) throw amct_distill::RankFailure(failure_->first, failure_->second);
        if (++waiting_ == size()) {
            waiting_ = 0;
            ++round_;
            changed_.notify_all();
            return;
        }
        changed_.wait(lock, [&] { return round_ != round || failure_; });
        if (round_ == round) throw amct_distill::RankFailure(failure_->first, failure_->second);
    }

    std::vector<std::span<const std::span<const std::byte>>> to_;
    std::mutex mutex_{};
    std::condition_variable changed_{};
    std::size_t waiting_ = 0, round_ = 0, bytes_ = 0;
    std::optional<std::pair<std::size_t, std::string>> failure_{};
};

class ThreadRanks : public amct_distill::Ranks {
public:
    ThreadRanks(MeetingPlace& place, std::size_t rank) : place_(place), rank_(rank) {}
    std::size_t rank() const override { return rank_; }
    std::size_t size() const override { return place_.size(); }
    void exchange(std::span<const std::span<const std::byte>> to,
                  std::span<const std::span<std::byte>> from) override {
        place_.exchange(rank_, to, from);
    }
    void fail(std::string_view why) noexcept override { place_.fail(rank_, why); }

private:
    MeetingPlace& place_;
    std::size_t rank_;
};

/// f(ranks) on each of so many threads; what the first of them throws is thrown here. Returns how many bytes
/// were exchanged.
template <class F>
std::size_t run_ranks(std::size_t count, F f) {
    if (count == 1) {
        f(static_cast<amct_distill::Ranks*>(nullptr));
        return 0;
    }
    MeetingPlace place(count);
    std::vector<std::exception_ptr> errors(count);
    std::vector<std::thread> threads;
    for (std::size_t r = 0; r != count; ++r)
        threads.emplace_back([&, r] {
            try {
                ThreadRanks ranks(place, r);
                f(static_cast<amct_distill::Ranks*>(&ranks));
            } catch (const std::exception& e) {
                place.fail(r, e.what());
                errors[r] = std::current_exception();
            }
        });
    for (std::thread& t : threads) t.join();
    for (const std::exception_ptr& e : errors)
        if (e) std::rethrow_exception(e);
    return place.bytes();
}

}  // namespace support
