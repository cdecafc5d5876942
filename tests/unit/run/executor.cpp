// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/run/executor.hpp>
//
#include <amct_distill/nn/initialize.hpp>
#include <amct_distill/nn/layers/activation.hpp>
#include <amct_distill/nn/layers/arithmetic.hpp>
#include <amct_distill/nn/layers/batch_norm.hpp>
#include <amct_distill/nn/layers/conv2d.hpp>
#include <amct_distill/nn/layers/linear.hpp>
#include <amct_distill/nn/layers/pool.hpp>
#include <amct_distill/nn/layers/structure.hpp>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace nn_executor_test {

using namespace amct_distill::nn;

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

TEST_CASE("a network's outputs and gradients are the same bits on 1, 2 and 5 threads") {
    // Every module that shares out its work, at sizes where it does, and in parts that do not come out even.
    Network net;
    NodeId x = net.input("image", {5, 37, 41});
    x = net.add("conv1", Conv2d({.in_channels = 5, .out_channels = 18, .kernel = {3, 3}, .padding = {1, 1}}),
                {x});
    x = net.add("bn", BatchNorm2d({.num_features = 18}), {x});
    x = net.add("leaky", LeakyReLU{}, {x});
    NodeId const shortcut = x;
    x = net.add(
        "conv2",
        Conv2d({.in_channels = 18, .out_channels = 18, .kernel = {5, 5}, .padding = {2, 2}, .groups = 2}),
        {x});
    x = net.add("tanh", Tanh{}, {x});
    x = net.add_function("/Add", Add{}, {x, shortcut});
    x = net.add("max", MaxPool2d({.kernel = {3, 3}, .stride = {2, 2}}), {x});
    x = net.add("average", AvgPool2d({.kernel = {2, 2}, .stride = {1, 1}}), {x});
    x = net.add_function("/Flatten", Flatten{}, {x});
    x = net.add("fc1", Linear({.in_features = 18 * 17 * 19, .out_features = 70}), {x});
    x = net.add("relu", ReLU{}, {x});
    x = net.add("fc2", Linear({.in_features = 70, .out_features = 300}), {x});
    net.output(x);
    initialize(net, 3);
    Tensor images({11, 5, 37, 41}), weights({11, 300});
    std::mt19937_64 bits(4);
    for (float& v : images) v = static_cast<float>(next_uniform(bits)) - 0.5f;
    for (float& v : weights) v = static_cast<float>(next_uniform(bits)) - 0.5f;

    auto const results = [&](const Executor* executor) {
        Tape tape(executor);
        tape.input_gradients = true;
        for (int twice = 0; twice != 2; ++twice) {
            net.forward(images, tape, Mode::train);
            net.zero_gradients(tape);
            net.backward(weights, tape, Mode::train);
        }
        std::vector<Tensor> all{tape.output(x), tape.gradient(net.inputs()[0])};
        for (const auto& p : net.parameters(tape)) all.push_back(*p.gradient);
        return all;
    };
    auto const alone = results(nullptr);
    CHECK(std::ranges::all_of(alone[1], [](float v) { return std::isfinite(v) && v != 0; }));
    for (int threads : {1, 2, 5}) {
        INFO(threads << " threads");
        Executor const executor(threads);
        CHECK(results(&executor) == alone);
    }
}

}  // namespace nn_executor_test
