// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/run/thread_pool.hpp>

#include <chrono>
#include <mutex>
#include <set>
#include <vector>

#include "support/catch.hpp"

namespace thread_pool_test {

using amct_distill::detail::ThreadPool;

TEST_CASE("a pool calls the work here and on as many threads as it is asked for") {
    ThreadPool pool(3);
    CHECK(pool.size() == 3);
    for (std::size_t helpers : {0u, 1u, 3u}) {
        std::mutex mutex;
        std::multiset<std::thread::id> threads;
        REQUIRE(pool.run(helpers, [&] {
            std::lock_guard const lock(mutex);
            threads.insert(std::this_thread::get_id());
        }));
        CHECK(threads.size() == helpers + 1);
        CHECK(threads.count(std::this_thread::get_id()) == 1);
        CHECK(std::set(threads.begin(), threads.end()).size() == helpers + 1);
    }
}

TEST_CASE("a pool that has work takes no other, from within or from another thread") {
    ThreadPool pool(1);
    std::atomic<int> refused = 0, accepted = 0;
    CHECK(pool.run(1, [&] { pool.run(1, [&] { ++accepted; }) ? ++accepted : ++refused; }));
    CHECK(accepted == 0);
    CHECK(refused == 2);

    std::atomic<bool> inside = false, leave = false;
    std::thread other([&] {
        pool.run(0, [&] {
            inside = true;
            while (!leave) std::this_thread::yield();
        });
    });
    while (!inside) std::this_thread::yield();
    CHECK_FALSE(pool.run(1, [&] { ++accepted; }));
    leave = true;
    other.join();
    CHECK(accepted == 0);
    CHECK(pool.run(1, [&] { ++accepted; }));
    CHECK(accepted == 2);
}

TEST_CASE("a pool wakes its threads whether they look for work or sleep, and what they wrote is seen") {
    ThreadPool pool(4);
    std::vector<int> seen(5);
    for (int round = 0; round != 2000; ++round) {
        if (round % 500 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        std::atomic<std::size_t> next = 0;
        pool.run(4, [&] { ++seen[next++]; });
    }
    CHECK(seen == std::vector<int>(5, 2000));
}

TEST_CASE("a pool without work ends at once") {
    for (int k = 0; k != 50; ++k) {
        ThreadPool const pool(3);
        CHECK(pool.size() == 3);
    }
}

}  // namespace thread_pool_test
