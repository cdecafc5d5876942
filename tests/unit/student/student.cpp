// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/student/student.hpp>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace distill_student_test {

using namespace amct_distill;

TEST_CASE("a student quantizes the layers that the plan enables, and no others") {
    nn::Network const teacher = support::small_network();
    Student student = make_student(teacher, support::plan_for(teacher, "quant_skip_layers: 'conv2'")).value();
    CHECK(student.quantizers("conv1") != nullptr);
    CHECK(student.quantizers("conv2") == nullptr);
    CHECK(student.quantizers("fc")->weight_algorithm() == "arq_distill, INT8, tensor_wise");
    CHECK(student.weight("conv1") != nullptr);
    CHECK(student.weight("bn1") == nullptr);
    CHECK(student.network().topology().nodes.size() == teacher.topology().nodes.size());

    // Weights are quantized from the start, so it computes something else than the teacher, but not by much.
    nn::Tensor const x = support::small_batches(1, 4)[0];
    nn::Tensor const a = teacher.predict(x), b = student.predict(x);
    CHECK(a != b);
    for (std::size_t i = 0; i != a.size(); ++i) CHECK(a[i] == Approx(b[i]).margin(0.02));
}

TEST_CASE("all layers with bad weights are named") {
    nn::Network teacher = support::small_network();
    auto const plan = support::plan_for(teacher, "");
    teacher.module("conv1").get_if<nn::Conv2d>()->weight()[5] = std::numeric_limits<float>::infinity();
    teacher.module("fc").get_if<nn::Linear>()->weight()[21] = std::numeric_limits<float>::quiet_NaN();
    auto const student = make_student(teacher, plan);
    REQUIRE_FALSE(student);
    REQUIRE(student.diagnostics().size() == 2);
    CHECK(
        student.diagnostics()[0].message.starts_with("layer `conv1`: weight: value at [0, 0, 1, 2] is inf;"));
    CHECK(student.diagnostics()[1].message.starts_with("layer `fc`: weight: value at [1, 1] is nan;"));
}

TEST_CASE("weights too small for a scale are warnings, too large errors, both with the layer's name") {
    nn::Network teacher = support::small_network();
    auto const plan = support::plan_for(teacher, "");
    CHECK(make_student(teacher, plan).diagnostics().empty());
    for (float& w : teacher.module("conv1").get_if<nn::Conv2d>()->weight()) w *= 1e-20f;  // a scale as any
    auto& fc = teacher.module("fc").get_if<nn::Linear>()->weight();
    nn::Tensor const usual = fc;
    for (float& w : fc) w *= 1e-38f;
    auto const student = make_student(teacher, plan);
    REQUIRE(student);
    REQUIRE(student.diagnostics().size() == 1);
    CHECK(to_string(student.diagnostics()[0]).starts_with("warning: layer `fc`: weights: the range -"));
    fc = usual;
    fc[0] = 3e38f;
    CHECK(to_string(make_student(teacher, plan).diagnostics())
              .starts_with("error: layer `fc`: weights: the range -"));
}

TEST_CASE("every bad parameter is named when the student is made") {
    auto const plan = support::plan_for(support::small_network(), "quant_skip_layers: 'conv2'");
    auto const error = [&](auto change) {
        nn::Network teacher = support::small_network();
        change(teacher);
        auto const student = make_student(teacher, plan);
        return student ? std::string("made") : to_string(student.diagnostics());
    };
    auto const conv = [](nn::Network& n, const char* name) { return n.module(name).get_if<nn::Conv2d>(); };
    auto const norm = [](nn::Network& n) { return n.module("bn1").get_if<nn::BatchNorm2d>(); };
    float const nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(error([](auto&) {}) == "made");
    CHECK(error([&](auto& n) {
              conv(n, "conv1")->bias()[3] = nan;
          }).starts_with("error: layer `conv1`: bias: value at [3] is nan; only finite"));
    CHECK(error([&](auto& n) { conv(n, "conv2")->weight()[0] = nan; })  // skipped, and trained in float
              .starts_with("error: layer `conv2`: weight: value at [0, 0, 0, 0] is nan;"));
    CHECK(error([&](auto& n) {
              norm(n)->weight()[1] = -HUGE_VALF;
          }).starts_with("error: layer `bn1`: weight: value at [1] is -inf;"));
    CHECK(error([&](auto& n) {
              norm(n)->running_mean()[2] = nan;
          }).starts_with("error: layer `bn1`: running_mean: value at [2] is nan;"));
    CHECK(
        error([&](auto& n) { norm(n)->running_var()[3] = -1; }) ==
        "error: layer `bn1`: running_var: value at [3] is -1; a variance is above 0, or 0 with an eps above "
        "it: check where it comes from");
    CHECK(error([&](auto& n) { norm(n)->running_var()[3] = 0; }) == "made");

    CHECK(error([&](auto& n) {
              conv(n, "conv1")->weight() = nn::Tensor({2, 2, 3, 3});
          }) == "error: layer `conv1`: weight: expected [4, 2, 3, 3], found [2, 2, 3, 3]");
    CHECK(error([&](auto& n) { conv(n, "conv1")->bias() = nn::Tensor({2}); }) ==
          "error: layer `conv1`: bias: expected [4], found [2]");
    CHECK(error([&](auto& n) {
              n.module("fc").template get_if<nn::Linear>()->weight() = nn::Tensor({20, 3});
          }) == "error: layer `fc`: weight: expected [3, 20], found [20, 3]");
    CHECK(error([&](auto& n) {
              norm(n)->weight() = nn::Tensor();
          }).starts_with("error: layer `bn1`: weight: expected [4], found"));
}

TEST_CASE("a bias where the options say that there is none is refused") {
    nn::Network net;
    nn::NodeId const x = net.input("x", {3});
    net.output(net.add("fc", nn::Linear({.in_features = 3, .out_features = 2, .bias = false}), {x}));
    nn::initialize(net, 1);
    auto const plan = support::plan_for(net, "");
    REQUIRE(make_student(net, plan));
    net.module("fc").get_if<nn::Linear>()->bias() = nn::Tensor({2});
    auto const student = make_student(net, plan);
    REQUIRE_FALSE(student);
    CHECK(
        student.diagnostics()[0].message ==
        "layer `fc`: bias: the options say that there is none; set their `bias` to true, or leave it empty");
}

TEST_CASE("a plan of another network is misuse, and the first difference is named") {
    auto const chain = [](bool relu_first, bool bn, const char* name) {
        nn::Network net;
        nn::NodeId x = net.input("x", {1, 6, 6});
        if (relu_first) x = net.add("pre", nn::ReLU{}, {x});
        x = net.add(name, nn::Conv2d({.in_channels = 1, .out_channels = 4, .kernel = {3, 3}}), {x});
        if (bn) x = net.add("bn", nn::BatchNorm2d({.num_features = 4}), {x});
        x = net.add("relu", nn::ReLU{}, {x});
        net.output(net.add("conv2", nn::Conv2d({.in_channels = 4, .out_channels = 2}), {x}));
        nn::initialize(net, 1);
        return net;
    };
    auto const refused = [](const nn::Network& teacher, const nn::Network& other) -> std::string {
        try {
            return make_student(teacher, support::plan_for(other, "")) ? "made" : "error";
        } catch (const std::invalid_argument& e) {
            return e.what();
        }
    };
    nn::Network const plain = chain(false, false, "conv");
    CHECK(refused(plain, plain) == "made");
    std::string const begin = "make_student: the plan is of another network: ",
                      end = "; resolve the configuration for this one";
    CHECK(refused(plain, chain(false, true, "conv")) ==
          begin + "module 1 is `bn` (BatchNorm2d) in the plan, and `relu` (ReLU) in the network" + end);
    CHECK(refused(chain(false, true, "conv"), plain) ==
          begin + "module 1 is `relu` (ReLU) in the plan, and `bn` (BatchNorm2d) in the network" + end);
    CHECK(refused(chain(true, false, "conv"), plain) ==
          begin + "module 0 is `conv` (Conv2d) in the plan, and `pre` (ReLU) in the network" + end);
    CHECK(refused(chain(false, false, "first"), plain) ==
          begin + "module 0 is `conv` (Conv2d) in the plan, and `first` (Conv2d) in the network" + end);

    auto plan = support::plan_for(plain, "");
    plan.blocks.at(0).nodes = {{3}, {1}};
    CHECK_THROWS_WITH(make_student(plain, plan),
                      Catch::Contains("in block 0 of the plan `conv` is not in graph order"));
}

}  // namespace distill_student_test
