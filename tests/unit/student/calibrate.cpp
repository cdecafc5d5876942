// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/student/calibrate.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/small_network.hpp"

namespace distill_calibrate_test {

using namespace amct_distill;

TEST_CASE("each layer's input is observed over batch_num batches, from the start again when they run out") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(2, 4);
    Student student = make_student(teacher, support::plan_for(teacher, "batch_num: 3")).value();
    REQUIRE(calibrate(student, std::span(batches)));

    Ifmr<Int8> ifmr;  // what conv1 sees is the data itself
    for (std::size_t i : {0u, 1u, 0u}) ifmr.observe(batches[i].span()).value();
    CHECK(student.quantizers("conv1")->data_clip() == ifmr.finish()->clip);
    CHECK(student.quantizers("conv2")->fixed_min());  // behind a ReLU
    CHECK(student.quantizers("conv2")->data_clip().min == 0.0f);
}

TEST_CASE(
    "inputs pass unquantized until all clips are found, while clips of the user's hold from the start") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(1, 4);
    std::string_view const clips =
        "distill_override_layers { layer_name: 'conv1' distill_data_quant_config {\n"
        "  ulq_quantize { clip_max_min { clip_max: 0.25 clip_min: -0.25 } } } }";
    Student plain = make_student(teacher, support::plan_for(teacher, "")).value();
    Student user = make_student(teacher, support::plan_for(teacher, clips)).value();
    REQUIRE(calibrate(plain, std::span(batches)));
    REQUIRE(calibrate(user, std::span(batches)));
    CHECK(user.quantizers("conv1")->data_clip() == ClipRange{0.25f, -0.25f});
    CHECK(user.quantizers("conv2")->data_clip() != plain.quantizers("conv2")->data_clip());
}

TEST_CASE("bad data is refused with the layer that meets it") {
    nn::Network const teacher = support::small_network();
    Student student = make_student(teacher, support::plan_for(teacher, "")).value();
    CHECK(calibrate(student, {}).diagnostics().at(0).message == "calibrate: no batches; give at least one");
    auto batches = support::small_batches(1, 4);
    batches[0][7] = std::nanf("");
    auto const bad = calibrate(student, std::span(std::as_const(batches)));
    REQUIRE_FALSE(bad);
    CHECK(bad.diagnostics()[0].message.starts_with("layer `conv1`: activations: value at [7] is nan;"));
    nn::Tensor const wrong({1, 3, 6, 6});
    CHECK_THROWS_WITH(calibrate(student, std::span(&wrong, 1)),
                      "input \"image\": expected [N, 2, 6, 6], found [1, 3, 6, 6]");
}

}  // namespace distill_calibrate_test
