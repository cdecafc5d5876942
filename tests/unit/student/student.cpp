// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/student/student.hpp>

#include <limits>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace distill_student_test {

using namespace amct_distill;

TEST_CASE("a student quantizes the layers that the plan enables, and no others") {
    nn::Network const teacher = support::small_network();
    Student student = make_student(teacher, support::plan_for(teacher, "quant_skip_layers: 'conv2'")).value();
    CHECK(student.quantizers("conv1") != nullptr);
    CHECK(student.quantizers("conv2") == nullptr);
    CHECK(student.quantizers("fc")->weight_policy() == "arq_distill, INT8, tensor_wise");
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
    CHECK(student.diagnostics()[0].message.starts_with("layer `conv1`: weights: value at [0, 5] is inf;"));
    CHECK(student.diagnostics()[1].message.starts_with("layer `fc`: weights: value at [1, 1] is nan;"));
}

TEST_CASE("a plan of another network is misuse") {
    nn::Network const teacher = support::small_network();
    nn::Network other;
    other.output(
        other.add("conv2", nn::Conv2d({.in_channels = 1, .out_channels = 1}), {other.input("x", {1, 1, 1})}));
    CHECK_THROWS_WITH(
        make_student(teacher, support::plan_for(other, "")),
        "make_student: the plan is of another network: module 0 is `conv2` (Conv2d), in the other "
        "`conv1` (Conv2d); resolve it for this network");
}

}  // namespace distill_student_test
