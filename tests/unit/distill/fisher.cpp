// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/fisher.hpp>

#include <amct_distill/distill/block_data.hpp>
#include <amct_distill/distill/distill.hpp>
#include <amct_distill/student/calibrate.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/small_network.hpp"
#include "support/temporary_directory.hpp"
#include "support/thread_ranks.hpp"

namespace distill_fisher_test {

using namespace amct_distill;

namespace {

/// Two paths meet behind the first layer, which is one block; `outputs` of the network.
nn::Network network(nn::Index outputs) {
    nn::Network net;
    nn::NodeId const x = net.input("x", {5});
    nn::NodeId const a = net.add("first", nn::Linear({.in_features = 5, .out_features = 4}), {x});
    nn::NodeId const b = net.add("bend", nn::Sigmoid{}, {a});
    nn::NodeId const c = net.add("second", nn::Linear({.in_features = 4, .out_features = 4}), {b});
    nn::NodeId const d = net.add("sum", nn::Add{}, {a, c});
    net.output(net.add("last", nn::Linear({.in_features = 4, .out_features = outputs}), {d}));
    nn::initialize(net, 3);
    return net;
}
nn::Tensor samples(nn::Index count) {
    nn::Tensor x({count, 5});
    for (std::size_t i = 0; i != x.size(); ++i) x[i] = std::sin(static_cast<float>(i * i));
    return x;
}
TrainedBlock first_block(const nn::Network& net) {
    return detail::block_of_nodes(net, {*net.find("first")}, true);
}

/// Of the first layer's value, for these samples; d(outputs)/d(value) by differences, the rest in double.
std::vector<std::vector<double>> derivatives(const nn::Network& net, const nn::Tensor& value,
                                             std::size_t row) {
    std::vector<nn::NodeId> rest;
    for (nn::NodeId id : net.operations())
        if (id > *net.find("first")) rest.push_back(id);
    std::vector<std::vector<double>> found;
    for (std::size_t i = 0; i != 4; ++i) {
        constexpr float h = 1.0f / 256;
        std::vector<double> of;
        for (float step : {h, -h}) {
            nn::Tensor moved = value;
            moved[row * 4 + i] += step;
            nn::Tape tape;
            tape.output(*net.find("first")) = moved;
            net.forward_nodes(rest, tape, nn::Mode::evaluate);
            const nn::Tensor& y = tape.output(net.outputs()[0]);
            auto const outputs = y.size() / static_cast<std::size_t>(y.dim(0));
            of.resize(outputs);
            for (std::size_t k = 0; k != outputs; ++k)
                of[k] += (step > 0 ? 1 : -1) * static_cast<double>(y[row * outputs + k]) /
                         (2 * static_cast<double>(h));
        }
        found.push_back(of);
    }
    return found;
}

struct Found {
    nn::Tensor value{}, weights{};
};
/// With so many slices and threads.
Found weights(const nn::Network& net, const nn::Tensor& x, std::uint64_t seed, std::size_t slices = 1,
              int threads = 1) {
    nn::Executor const executor(threads);
    SliceRunner runner(net, &executor, slices);
    TrainedBlock const block = first_block(net);
    FisherWeights fisher(runner, block, {.seed = seed});
    CHECK(fisher.given().empty());
    nn::Tape tape;
    net.forward(x, tape, nn::Mode::evaluate);
    std::vector<nn::Tensor> out;
    fisher.compute(
        2, x.dim(0), [&](nn::NodeId id) -> const nn::Tensor& { return tape.output(id); }, out);
    REQUIRE(out.size() == 1);
    return {tape.output(*net.find("first")), out[0]};
}

}  // namespace

TEST_CASE("the weights of a network with one output are its squared derivatives, with a mean of 1") {
    nn::Network const net = network(1);
    Found const found = weights(net, samples(6), 1);
    for (std::size_t row = 0; row != 6; ++row) {
        auto const d = derivatives(net, found.value, row);
        double sum = 0;
        for (const auto& of : d) sum += of[0] * of[0];
        for (std::size_t i = 0; i != 4; ++i)
            CHECK(static_cast<double>(found.weights[row * 4 + i]) ==
                  Approx(4 * d[i][0] * d[i][0] / sum).epsilon(2e-2).margin(1e-3));
    }
}

TEST_CASE("of several outputs the signs are drawn anew in each: on average the squares add up") {
    nn::Network const net = network(3);
    nn::Tensor const x = samples(1);
    // Every one of the eight signs gives one set of weights, up to its mean; all come.
    std::map<float, nn::Tensor> seen;
    for (std::uint64_t seed = 0; seed != 40; ++seed) {
        Found const found = weights(net, x, seed);
        seen.emplace(found.weights[0], found.weights);
    }
    CHECK(seen.size() == 4);  // of eight signs two give the same squares
    auto const d = derivatives(net, weights(net, x, 0).value, 0);
    for (int signs = 0; signs != 4; ++signs) {
        std::vector<double> squares;
        double sum = 0;
        for (std::size_t i = 0; i != 4; ++i) {
            double const g =
                d[i][0] + ((signs & 1) != 0 ? d[i][1] : -d[i][1]) + ((signs & 2) != 0 ? d[i][2] : -d[i][2]);
            squares.push_back(g * g);
            sum += g * g;
        }
        bool const is_there = std::ranges::any_of(seen, [&](const auto& one) {
            bool same = true;
            for (std::size_t i = 0; i != 4; ++i)
                same = same && static_cast<double>(one.second[i]) ==
                                   Approx(4 * squares[i] / sum).epsilon(2e-2).margin(2e-3);
            return same;
        });
        CHECK(is_there);
    }
}

TEST_CASE("weights do not depend on slices and threads") {
    nn::Network const net = network(3);
    nn::Tensor const x = samples(7), expected = weights(net, x, 5).weights;
    for (std::size_t slices : {std::size_t{3}, std::size_t{8}})
        for (int threads : {1, 2}) CHECK(weights(net, x, 5, slices, threads).weights == expected);
    CHECK(weights(net, x, 6).weights != expected);
}

TEST_CASE("a block of the network's outputs is weighted by one, and so is one that leads nowhere") {
    nn::Network net;
    nn::NodeId const x = net.input("x", {5});
    net.output(net.add("last", nn::Linear({.in_features = 5, .out_features = 4}), {x}));
    net.add("nowhere", nn::Linear({.in_features = 5, .out_features = 4}), {x});
    nn::initialize(net, 3);
    nn::Tape tape;
    nn::Tensor const batch = samples(3);
    net.forward(batch, tape, nn::Mode::evaluate);
    SliceRunner runner(net);
    for (const char* name : {"last", "nowhere"}) {
        TrainedBlock const block = detail::block_of_nodes(net, {*net.find(name)}, true);
        FisherWeights fisher(runner, block, {});
        std::vector<nn::Tensor> out;
        fisher.compute(
            0, 3, [&](nn::NodeId id) -> const nn::Tensor& { return tape.output(id); }, out);
        CHECK(out.at(0) == nn::Tensor({3, 4}, std::vector<float>(12, 1.0f)));
    }
}

TEST_CASE("blocks weighted by fisher are the same bits whatever memory, threads and dump, or resumed") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(4, 6);
    auto const run = [&](const char* config, const DistillOptions& options, const RunOptions& how) {
        Student student = make_student(teacher, support::plan_for(teacher, config)).value();
        calibrate(student, batches).value();
        distill(teacher, student, batches, options, how).value();
        return student.predict(batches[0]);
    };
    DistillOptions const plain{.epochs = 2}, fisher{.epochs = 2, .loss_weights = LossWeights::fisher};
    std::string const int4(support::int4_config), dumped = int4 + "data_dump: true\n";
    nn::Tensor const expected = run(int4.c_str(), fisher, {});
    CHECK(run(int4.c_str(), plain, {}) != expected);
    CHECK(run(int4.c_str(), {.epochs = 2, .loss_weights = LossWeights::fisher, .seed = 9}, {}) != expected);
    CHECK(run(int4.c_str(), fisher, {.threads = 3}) == expected);
    CHECK(run(int4.c_str(), fisher, {.memory_bytes = 0}) == expected);
    CHECK(run(dumped.c_str(), fisher, {.memory_bytes = 0}) == expected);
    std::atomic<int> same{0};
    support::run_ranks(3, [&](Ranks* ranks) {
        if (run(int4.c_str(), fisher, {.ranks = ranks}) == expected) ++same;
    });
    CHECK(same == 3);
    support::temporary_directory const dir;
    run(int4.c_str(), fisher,
        {.memory_bytes = 0, .directory = dir.path(), .on_progress = [](const Progress& p) {
             return p.block < 1;
         }});
    CHECK(run(int4.c_str(), fisher, {.directory = dir.path(), .resume = true}) == expected);
    Student student = make_student(teacher, support::plan_for(teacher, int4)).value();
    calibrate(student, batches).value();
    auto const refused =
        distill(teacher, student, batches, plain, RunOptions{.directory = dir.path(), .resume = true});
    REQUIRE_FALSE(refused);
    CHECK(refused.diagnostics()[0].message.find("the training options") != std::string::npos);
}

TEST_CASE(
    "weights where samples cannot be told apart, past constants, and of a block that leads to infinity") {
    for (float factor : {1.0f, 1e30f}) {
        nn::Network net;
        nn::NodeId const x = net.fixed_input("x", {3, 5}), z = net.fixed_input("z", {3, 4});
        nn::NodeId const a = net.add("first", nn::Linear({.in_features = 5, .out_features = 4}), {x});
        nn::NodeId const table = net.constant("table", nn::Tensor({4}, {factor, 2, 3, 0}));
        nn::NodeId const b = net.add_function("times", nn::Mul{}, {a, table});
        nn::NodeId const c = net.add_function("once", nn::Add{}, {b, z});
        net.output(net.add_function("twice", nn::Add{}, {c, z}));
        nn::initialize(net, 3);
        nn::Tensor const batch = samples(3), other({3, 4});
        nn::Tape tape;
        std::vector<const nn::Tensor*> const inputs{&batch, &other};
        net.forward(inputs, tape, nn::Mode::evaluate);
        SliceRunner runner(net);
        CHECK_FALSE(runner.is_cut());
        TrainedBlock const block = first_block(net);
        FisherWeights fisher(runner, block, {.seed = 1});
        REQUIRE(fisher.given().size() == 1);  // `z`, though two read it
        CHECK(fisher.given()[0] == z);
        std::vector<nn::Tensor> out;
        fisher.compute(
            0, 3, [&](nn::NodeId id) -> const nn::Tensor& { return id == z ? other : tape.output(id); }, out);
        nn::Tensor expected({3, 4}, std::vector<float>(12, 1.0f));  // of what is infinite none is more
        if (factor == 1)
            for (std::size_t i = 0; i != 12; ++i)
                expected[i] = i % 4 == 3 ? 0.0f : static_cast<float>((i % 4 + 1) * (i % 4 + 1)) * 4 / 14;
        REQUIRE(out.size() == 1);
        for (std::size_t i = 0; i != 12; ++i) CHECK(out[0][i] == Approx(expected[i]));
    }
}

}  // namespace distill_fisher_test
