// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/deploy/verify.hpp>

#include <algorithm>
#include <sstream>

#include "support/catch.hpp"
#include "support/deploy_networks.hpp"

namespace deploy_verify_test {

using namespace amct_distill;

TEST_CASE("simulation and integers agree in every layer, up to what rounding explains") {
    auto const batches = support::small_batches(3, 5, 9);
    for (const std::string& config : support::deployed_configs()) {
        INFO(config);
        Student const student = support::calibrated_student(support::every_convolution(), config);
        VerifyReport const report = verify(student, std::span(batches)).value();
        CHECK(report.agrees());
        REQUIRE(report.layers.size() == 5);
        for (const VerifiedLayer& l : report.layers) {
            CHECK(l.outputs > 0);
            CHECK(l.inputs > 0);
            CHECK(l.largest <= 1);  // the explained bound is for the worst case
            CHECK(l.explained <= 16);
            CHECK(l.different <= l.outputs / 5);
            CHECK(l.inputs_largest <= 1);
            CHECK(l.inputs_different <= l.inputs / 20);
        }
        CHECK(report.layers[0].inputs == 3 * 5 * 2 * 6 * 6);
        CHECK(report.layers[4].outputs == 3 * 5 * 3);
        CHECK(report.layers[0].inputs_different == 0);  // the network's own input
        CHECK(report.layers[0].requantized_channels > 0);
        CHECK(report.output_error < 0.02 * report.output_square);
        CHECK(report.output_largest * report.output_largest >= report.output_error);
    }
}

TEST_CASE("the bound is derived from the weights: it grows with them, and rounding alone leaves 1") {
    DeployedLayer d{.name = "fc",
                    .layer = nn::Linear({.in_features = 1000, .out_features = 1, .bias = false})};
    d.weight_scales = {1.0f};
    d.weights.assign(1000, 1);
    d.data = {1.0f, -128};
    // 1005 * 2^-24 * 255000 = 15.3, and the two halves.
    CHECK(detail::explained_difference(d) == 16);
    d.weights.assign(1000, 0);
    CHECK(detail::explained_difference(d) == 1);
}

TEST_CASE("a difference is counted, measured and told") {
    auto const batches = support::small_batches(1, 2);
    Student const student = support::calibrated_student(support::small_network(), "");
    auto const layers = deploy(student).value();
    nn::Tensor y({2, 3});
    IntegerTensor sums({2, 3});
    for (std::size_t i = 0; i != 6; ++i) {
        sums[i] = static_cast<std::int32_t>(100 * i);
        y[i] = static_cast<float>(sums[i]) * layers[2].dequantization_scale(0);
    }
    sums[1] += 7;
    sums[4] -= 9;
    VerifiedLayer l{.name = "fc", .explained = 5};
    detail::compare_sums(IntegerLayer(layers[2]), sums, y, l);
    CHECK(l.outputs == 6);
    CHECK(l.different == 2);
    CHECK(l.largest == 9);

    nn::Tensor x({1, 20}), z({1, 20});
    z[3] = 3 * layers[2].data.scale;
    detail::compare_inputs(IntegerLayer(layers[2]), x, z, l);
    CHECK(l.inputs == 20);
    CHECK(l.inputs_different == 1);
    CHECK(l.inputs_largest == 3);
    CHECK_FALSE(VerifyReport{.layers = {l}}.agrees());
}

TEST_CASE("without batches or calibration there is nothing to verify") {
    auto const batches = support::small_batches(1, 2);
    nn::Network const teacher = support::small_network();
    Student const student = make_student(teacher, support::plan_for(teacher, "")).value();
    CHECK(verify(student, {}).diagnostics()[0].message == "verify: no batches; give at least one");
    CHECK(verify(student, std::span(batches)).diagnostics().size() == 3);
}

}  // namespace deploy_verify_test
