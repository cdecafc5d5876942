// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/student/bias_correction.hpp>

#include <amct_distill/nn/layers/arithmetic.hpp>
#include <amct_distill/student/calibrate.hpp>
#include <cmath>
#include <limits>

#include "support/catch.hpp"
#include "support/small_network.hpp"
#include "support/thread_ranks.hpp"

namespace student_bias_correction_test {

using namespace amct_distill;

namespace {

constexpr std::string_view int4 =
    "batch_num: 3 distill_data_quant_config { ulq_quantize { dst_type: INT4 } }\n"
    "distill_weight_quant_config { arq_distill { dst_type: INT4 } }";

/// conv1 has a bias, conv2 none but a BatchNorm, conv3 neither; fc reads [N, 4, 5] and its channels lie last.
nn::Network network() {
    nn::Network net;
    nn::NodeId x = net.input("image", {2, 6, 6});
    x = net.add("conv1", nn::Conv2d({.in_channels = 2, .out_channels = 4, .kernel = {3, 3}}), {x});
    x = net.add("relu1", nn::ReLU{}, {x});
    x = net.add("conv2", nn::Conv2d({.in_channels = 4, .out_channels = 4, .groups = 4, .bias = false}), {x});
    x = net.add("bn2", nn::BatchNorm2d({.num_features = 4}), {x});
    nn::NodeId const shortcut = x;
    x = net.add("conv3", nn::Conv2d({.in_channels = 4, .out_channels = 4, .bias = false}), {x});
    x = net.add_function("sum", nn::Add{}, {x, shortcut});
    x = net.add_function("rows", nn::Reshape(nn::Shape{-1, 8, 8}), {x});
    x = net.add("fc", nn::Linear({.in_features = 8, .out_features = 3}), {x});
    net.output(x);
    nn::initialize(net, 5);
    auto* bn = net.module("bn2").get_if<nn::BatchNorm2d>();
    for (std::size_t c = 0; c != 4; ++c) {
        bn->weight()[c] = c == 1 ? -1.5f : 1.25f;
        bn->running_var()[c] = 0.25f;
    }
    return net;
}

Student student_of(const nn::Network& teacher, std::span<const nn::Tensor> batches) {
    Student student = make_student(teacher, support::plan_for(teacher, int4)).value();
    calibrate(student, batches).value();
    return student;
}

const nn::Tensor& value_of(const nn::Network& net, const nn::Tensor& x, const char* name, nn::Tape& tape) {
    net.forward(x, tape, nn::Mode::evaluate);
    return tape.output(*net.find(name));
}
/// The mean of a channel of a node's value, from the definition.
double mean_of(const nn::Network& net, std::span<const nn::Tensor> batches, const char* name, std::size_t c,
               bool last) {
    double sum = 0, count = 0;
    for (const nn::Tensor& x : batches) {
        nn::Tape tape;
        const nn::Tensor& y = value_of(net, x, name, tape);
        auto const channels = static_cast<std::size_t>(y.dim(last ? y.rank() - 1 : 1));
        std::size_t const after = last ? 1 : y.size() / channels / static_cast<std::size_t>(y.dim(0));
        for (std::size_t i = 0; i != y.size(); ++i)
            if (i / after % channels == c) sum += static_cast<double>(y[i]), ++count;
    }
    return sum / count;
}

}  // namespace

TEST_CASE("the means of a corrected layer's channels are the teacher's") {
    nn::Network const teacher = network();
    auto const batches = support::small_batches(3, 5);
    Student const before = student_of(teacher, batches);
    Student student = before;
    auto const report = correct_biases(teacher, student, batches);
    REQUIRE(report);
    CHECK(report->batches == 3);
    REQUIRE(report->layers.size() == 3);
    CHECK(report->layers[0].layer == "conv1");
    CHECK(report->layers[0].into == "conv1");
    CHECK(report->layers[1].layer == "conv2");
    CHECK(report->layers[1].into == "bn2");
    CHECK(report->layers[2].layer == "fc");
    REQUIRE(report->others.size() == 1);
    CHECK(report->others[0].layer == "conv3");
    CHECK(report->others[0].why == "it has no bias, and no BatchNorm after it that has one");

    struct Place {
        const char *node, *module;
        std::size_t channels;
        bool last;
    };
    double moved = 0;
    for (Place const p :
         {Place{"conv1", "conv1", 4, false}, {"bn2", "bn2", 4, false}, {"fc", "fc", 3, true}}) {
        INFO(p.node);
        for (std::size_t c = 0; c != p.channels; ++c) {
            double const target = mean_of(teacher, batches, p.node, c, p.last);
            CHECK(mean_of(student.network(), batches, p.node, c, p.last) == Approx(target).margin(2e-6));
            moved += std::abs(mean_of(before.network(), batches, p.node, c, p.last) - target);
        }
    }
    CHECK(moved > 0.04);  // there was something to correct
    // The shift that is told is that of the first layer, whose inputs nothing has changed.
    double squares = 0;
    for (std::size_t c = 0; c != 4; ++c) {
        double const d = mean_of(before.network(), batches, "conv1", c, false) -
                         mean_of(teacher, batches, "conv1", c, false);
        squares += d * d / 4;
    }
    CHECK(report->layers[0].shift == Approx(std::sqrt(squares)).epsilon(1e-4));
    CHECK(report->layers[0].deviation > 0.1);
    // Nothing but biases has changed.
    for (const auto& m : student.network().modules())
        for (const auto& p : m.module.parameters())
            if (p.name != "bias")
                for (const auto& q : before.network().module(m.name).parameters())
                    if (q.name == p.name) CHECK(std::ranges::equal(p.values, q.values));
}

TEST_CASE("corrected biases have the same bits with any threads and ranks, and without memory") {
    nn::Network const teacher = network();
    auto const batches = support::small_batches(3, 5);
    Student const before = student_of(teacher, batches);
    Student one = before;
    BiasReport const told = correct_biases(teacher, one, batches).value();
    for (RunOptions const& run : {RunOptions{.threads = 3}, RunOptions{.threads = 2, .memory_bytes = 0},
                                  RunOptions{.threads = 16, .memory_bytes = 4000}}) {
        Student other = before;
        correct_biases(teacher, other, batches, run).value();
        for (const auto& m : one.network().modules()) {
            auto const a = m.module.parameters();
            auto const b = std::as_const(other).network().module(m.name).parameters();
            for (std::size_t k = 0; k != a.size(); ++k) CHECK(std::ranges::equal(a[k].values, b[k].values));
        }
    }
    // On ranks too, where some batches have fewer samples than there are ranks.
    for (std::size_t count : {2u, 3u, 8u})
        support::run_ranks(count, [&](Ranks* ranks) {
            Student other = before;
            BiasReport const report =
                correct_biases(teacher, other, batches, {.memory_bytes = 4000, .ranks = ranks}).value();
            if (report.layers[2].shift != told.layers[2].shift) throw std::logic_error("another shift");
            for (const auto& m : one.network().modules()) {
                auto const a = m.module.parameters();
                auto const b = std::as_const(other).network().module(m.name).parameters();
                for (std::size_t k = 0; k != a.size(); ++k)
                    if (!std::ranges::equal(a[k].values, b[k].values)) throw std::logic_error("other bits");
            }
        });
    Student fewer = before, same = before;
    CHECK(correct_biases(teacher, fewer, batches, {}, {.batch_num = 1})->batches == 1);
    correct_biases(teacher, same, std::span(batches).first(1)).value();
    CHECK(std::ranges::equal(fewer.quantized(*teacher.graph().module_named("fc"))->layer().bias(),
                             same.quantized(*teacher.graph().module_named("fc"))->layer().bias()));
}

TEST_CASE("a failed correction leaves the student as it was") {
    nn::Network const teacher = network();
    auto batches = support::small_batches(3, 5);
    Student student = student_of(teacher, batches);
    auto const bias_of = [&] {
        return student.quantized(*teacher.graph().module_named("conv1"))->layer().bias();
    };
    nn::Tensor const before = bias_of();
    CHECK(correct_biases(teacher, student, {}).diagnostics().at(0).message ==
          "correct_biases: no batches; give at least one");
    batches[2][3] = std::numeric_limits<float>::infinity();
    auto const bad = correct_biases(teacher, student, batches);
    REQUIRE_FALSE(bad);
    CHECK_THAT(bad.diagnostics()[0].message,
               Catch::Contains("correct_biases: layer `conv1`: the mean of channel 0"));
    CHECK(bias_of() == before);
    CHECK_THROWS_WITH(correct_biases(teacher, student, batches, {.threads = 0}),
                      "correct_biases: threads must be 1 to 1024, found 0");
    nn::Network const other = support::small_network();
    CHECK_THROWS_WITH(correct_biases(other, student, batches), Catch::Contains("the teacher"));
    CHECK(bias_of() == before);
}

TEST_CASE("a network without biases, and one whose layers are shared, has none to correct") {
    nn::Network net;
    nn::NodeId x = net.input("x", {4});
    x = net.add("plain", nn::Linear({.in_features = 4, .out_features = 4, .bias = false}), {x});
    x = net.add("twice", nn::Linear({.in_features = 4, .out_features = 4}), {x});
    net.output(net.apply("again", "twice", {x}));
    nn::initialize(net, 3);
    std::vector<nn::Tensor> const batches{nn::Tensor({2, 4}, {1, 2, 3, 4, -1, -2, 3, 4})};
    Student student = make_student(net, support::plan_for(net, "batch_num: 1")).value();
    calibrate(student, batches).value();
    auto const report = correct_biases(net, student, batches).value();
    CHECK(report.layers.empty());
    REQUIRE(report.others.size() == 1);
    CHECK(report.others[0].layer == "plain");
    CHECK(report.batches == 1);
}

TEST_CASE("biases are corrected where an input of the network and a constant are read after their layers") {
    nn::Network net;
    nn::NodeId const x = net.input("x", {4}), z = net.input("z", {4});
    nn::NodeId const table = net.constant("table", nn::Tensor({4}, {1, 2, 3, 4}));
    nn::NodeId a = net.add("a", nn::Linear({.in_features = 4, .out_features = 4}), {x});
    a = net.add("b", nn::Linear({.in_features = 4, .out_features = 4}), {a});
    a = net.add_function("shift", nn::Add{}, {a, table});
    net.output(net.add_function("sum", nn::Add{}, {a, z}));
    nn::initialize(net, 3);
    std::vector<Batch> batches;
    for (float s : {1.0f, -0.5f})
        batches.push_back({nn::Tensor({2, 4}, {s, 2, 0.3f, -s, 1, -0.7f, s, 0.1f}),
                           nn::Tensor({2, 4}, {0.2f, s, 1, -s, s, 0.9f, -0.4f, 1})});
    Student student = make_student(net, support::plan_for(net, int4)).value();
    calibrate(student, batches).value();
    Student again = student;
    auto const report = correct_biases(net, student, batches).value();
    REQUIRE(report.layers.size() == 2);
    CHECK(report.layers[1].shift > 0);
    correct_biases(net, again, batches, {.memory_bytes = 0}).value();
    CHECK(again.quantized(*net.graph().module_named("b"))->layer().bias() ==
          student.quantized(*net.graph().module_named("b"))->layer().bias());
    CHECK(report.batches == 2);
}

}  // namespace student_bias_correction_test
