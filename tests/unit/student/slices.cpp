// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/student/slices.hpp>

#include <amct_distill/student/own_batches.hpp>
#include <mutex>
#include <set>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace student_slices_test {

using namespace amct_distill;

TEST_CASE("a batch is cut into slices of nearly one size, which depend on the samples alone") {
    nn::Network const net = support::small_network();
    for (int threads : {1, 2, 5, 20}) {
        nn::Executor const executor(threads);
        SliceRunner runner(net, &executor, 8);
        for (nn::Index samples : {1, 3, 8, 9, 64}) {
            std::size_t const count = runner.count(samples);
            CHECK(count == static_cast<std::size_t>((std::min)(samples, nn::Index{8})));
            std::mutex mutex;
            std::set<nn::Index> seen;
            nn::Index smallest = samples, largest = 0;
            runner.for_each(samples, [&](std::size_t k, BatchSlice slice, nn::Tape&, std::size_t worker) {
                std::lock_guard const lock(mutex);
                CHECK(slice.begin == samples * static_cast<nn::Index>(k) / static_cast<nn::Index>(count));
                CHECK(worker < runner.tapes().size());
                smallest = (std::min)(smallest, slice.size());
                largest = (std::max)(largest, slice.size());
                for (nn::Index i = slice.begin; i != slice.end; ++i) CHECK(seen.insert(i).second);
            });
            CHECK(seen.size() == static_cast<std::size_t>(samples));
            CHECK(largest - smallest <= 1);
        }
    }
}

TEST_CASE("values that were added along the tree have the same bits, and it is the tree of neighbours") {
    std::vector<float> const x{1e8f, 1, -1e8f, 3, 5, 7, 11};
    std::vector<float> values = x;
    float const sum = detail::tree_sum(std::span(values));
    float const a = x[0] + x[1], b = x[2] + x[3], c = x[4] + x[5];
    CHECK(sum == (a + b) + (c + x[6]));
    CHECK(detail::tree_sum(std::span<double>()) == 0);
}

TEST_CASE("a network on slices computes what it does on the batch, on any threads") {
    nn::Network const net = support::small_network();
    std::vector<nn::NodeId> const nodes{*net.find("relu1"), *net.find("fc")};
    for (int samples : {1, 5, 17}) {
        auto const batches = support::small_batches(1, samples);
        nn::Tape tape;
        net.forward(batches[0], tape, nn::Mode::evaluate);
        for (int threads : {1, 3, 20}) {
            nn::Executor const executor(threads);
            SliceRunner runner(net, &executor);
            std::vector<nn::Tensor> values(2);
            runner.run_batch(batches, nodes, values);
            for (std::size_t k = 0; k != 2; ++k) {
                REQUIRE(values[k].shape() == tape.output(nodes[k]).shape());
                for (std::size_t i = 0; i != values[k].size(); ++i)
                    CHECK(values[k][i] == Approx(tape.output(nodes[k])[i]).epsilon(1e-5));
            }
        }
    }
}

TEST_CASE("what a slice throws is thrown to the caller") {
    nn::Network const net = support::small_network();
    for (int threads : {1, 3}) {
        nn::Executor const executor(threads);
        SliceRunner runner(net, &executor);
        CHECK_THROWS_WITH(runner.for_each(8,
                                          [](std::size_t k, BatchSlice, nn::Tape&, std::size_t) {
                                              if (k == 5) throw std::runtime_error("five");
                                          }),
                          "five");
    }
}

TEST_CASE("a network whose values have no batch is not cut") {
    nn::Network net;
    nn::NodeId const x = net.fixed_input("x", {4, 6});
    net.output(net.add("fc", nn::Linear({.in_features = 6, .out_features = 3}), {x}));
    nn::initialize(net, 1);
    nn::Executor const executor(2);
    SliceRunner runner(net, &executor);
    CHECK(runner.count(4) == 1);
    std::vector<nn::Tensor> values(1);
    std::vector<nn::Tensor> const batch{nn::Tensor({4, 6}, std::vector<float>(24, 0.5f))};
    runner.run_batch(batch, net.outputs(), values);
    CHECK(values[0] == net.predict(batch[0]));
}

TEST_CASE("samples are told apart where all values have a batch, and all of a rank's are given") {
    nn::Network fixed;
    fixed.output(fixed.add_function("relu", nn::ReLU{}, {fixed.fixed_input("x", {4, 2})}));
    CHECK_FALSE(detail::can_be_cut(fixed));
    nn::Network net;
    nn::NodeId const x = net.input("x", {2});
    net.output(net.add_function("relu", nn::ReLU{}, {x}));
    CHECK(detail::can_be_cut(net));
    nn::Tensor const three({3, 2}, {1, -1, 2, -2, 3, -3});
    nn::Tensor out;
    SliceRunner runner(net);
    runner.run_batch(std::span(&three, 1), net.outputs(), std::span(&out, 1));
    CHECK(out == nn::Tensor({3, 2}, {1, 0, 2, 0, 3, 0}));
    CHECK_THROWS_WITH(runner.run_batch(std::span(&three, 1), net.outputs(), std::span(&out, 1), 5),
                      "SliceRunner: of 5 samples this rank has 5, and 3 were given");
    net.output(net.add_function("table", nn::ReLU{}, {net.constant("c", nn::Tensor({2}, {-1, 4}))}));
    CHECK_FALSE(detail::can_be_cut(net));
    std::vector<nn::Tensor> both(2);
    SliceRunner whole(net);
    whole.run_batch(std::span(&three, 1), net.outputs(), both);
    CHECK(both[0] == out);
    CHECK(both[1] == nn::Tensor({2}, {0, 4}));
}

TEST_CASE("a network of constants alone has batches without tensors, of one sample") {
    nn::Network net;
    net.output(net.add_function("relu", nn::ReLU{}, {net.constant("c", nn::Tensor({2}, {-1, 4}))}));
    std::vector<Batch> const batches(1);
    OwnBatches own(batches, net, nullptr, default_slices, "test");
    Batch buffer;
    auto const loaded = own.load(0, buffer).value();
    CHECK(loaded.samples == 1);
    CHECK(loaded.tensors.empty());
    SliceRunner runner(net);
    nn::Tensor out;
    runner.run_batch(loaded.tensors, net.outputs(), std::span(&out, 1));
    CHECK(out == nn::Tensor({2}, {0, 4}));
}

}  // namespace student_slices_test
