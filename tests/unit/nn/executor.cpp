#include <amct_distill/nn/executor.hpp>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace nn_executor_test {

using amct_distill::nn::Executor;

TEST_CASE("an executor runs every task once, whatever the number of threads") {
    for (int threads : {1, 2, 5}) {
        Executor const executor(threads);
        CHECK(executor.threads() == threads);
        for (std::size_t count : {0u, 1u, 2u, 3u, 1000u}) {
            std::vector<int> runs(count);
            executor.parallel_for(count, [&](std::size_t i) { ++runs[i]; });
            CHECK(runs == std::vector<int>(count, 1));
        }
    }
}

TEST_CASE("an executor numbers its workers: two of one number never run at the same time") {
    Executor const executor(5);
    std::vector<std::atomic<int>> inside(5);
    std::atomic<int> collisions = 0;
    executor.parallel_for(2000, [&](std::size_t, std::size_t worker) {
        if (inside.at(worker)++ != 0) ++collisions;
        --inside[worker];
    });
    CHECK(collisions == 0);
}

TEST_CASE("an executor takes calls from within, and from two threads at once") {
    Executor const executor(3);
    std::atomic<int> sum = 0;
    auto const nested = [&] {
        executor.parallel_for(20, [&](std::size_t) {
            executor.parallel_for(
                20, [&](std::size_t) { executor.parallel_for(3, [&](std::size_t) { ++sum; }); });
        });
    };
    std::thread other(nested);
    nested();
    other.join();
    CHECK(sum == 2 * 20 * 20 * 3);
}

TEST_CASE("an executor throws what a task throws, and goes on working") {
    for (int threads : {1, 2, 5}) {
        Executor const executor(threads);
        auto const failing = [](std::size_t i) {
            if (i % 2 == 1) throw std::runtime_error("task " + std::to_string(i));
        };
        CHECK_THROWS_WITH(executor.parallel_for(2, failing), "task 1");
        CHECK_THROWS_AS(executor.parallel_for(100, failing), std::runtime_error);
        std::atomic<int> runs = 0;
        executor.parallel_for(10, [&](std::size_t) { ++runs; });
        CHECK(runs == 10);
    }
}

TEST_CASE("an executor lends its threads to the quantizers") {
    CHECK(!Executor(1).execution().parallel_for);
    Executor const executor(2);
    std::atomic<int> runs = 0;
    executor.execution().parallel_for(10, [&](std::size_t) { ++runs; });
    CHECK(runs == 10);
    CHECK_THROWS_WITH(Executor(0), "Executor: expected 1 to 1024 threads, found 0");
}

}  // namespace nn_executor_test
