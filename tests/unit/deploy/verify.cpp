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
        Deployment const device = deploy(student).value();
        VerifyReport const report = verify(device, student, batches).value();
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

        VerifyReport const simulated = verify(device, batches).value();  // against the folded network
        CHECK(simulated.agrees());
        CHECK(simulated.layers[1].inputs_different == report.layers[1].inputs_different);
        CHECK(simulated.output_error <= report.output_error + 1e-12);
    }
}

TEST_CASE("the bound is derived from the weights: it grows with them, and rounding alone leaves 1") {
    std::vector<std::int8_t> codes(1000, 1);
    DeployedLayer d{.name = "fc", .data = {1.0f, -128}, .weight_scales = Scales{{1.0f, 0}}};
    d.codes = Codes<Int8>::pack(codes, 1, 1000).value();
    // 1005 * 2^-24 * 255000 = 15.3, and the two halves.
    CHECK(detail::explained_difference(d) == 16);
    codes.assign(1000, 0);
    d.codes = Codes<Int8>::pack(codes, 1, 1000).value();
    CHECK(detail::explained_difference(d) == 1);
}

TEST_CASE("a difference is counted, measured and told") {
    auto const batches = support::small_batches(1, 2);
    Student const student = support::calibrated_student(support::small_network(), "");
    Deployment const device = deploy(student).value();
    const auto& layers = device.layers();
    nn::Tensor y({2, 3});
    IntegerTensor sums({2, 3});
    for (std::size_t i = 0; i != 6; ++i) {
        sums[i] = static_cast<std::int32_t>(100 * i);
        y[i] = static_cast<float>(sums[i]) * layers[2].dequantization_scale(0);
    }
    sums[1] += 7;
    sums[4] -= 9;
    VerifiedLayer l{.name = "fc", .explained = 5};
    detail::compare_sums(layers[2], sums, y, l);
    CHECK(l.outputs == 6);
    CHECK(l.different == 2);
    CHECK(l.largest == 9);

    nn::Tensor x({1, 20}), z({1, 20});
    z[3] = 3 * layers[2].data.scale;
    detail::compare_inputs(IntegerLayer(device, "fc"), x, z, l);
    CHECK(l.inputs == 20);
    CHECK(l.inputs_different == 1);
    CHECK(l.inputs_largest == 3);

    CHECK_FALSE(VerifyReport{.layers = {l}}.agrees());
    l.explained = 9;
    CHECK(VerifyReport{.layers = {l}}.agrees());
}

TEST_CASE("without batches there is nothing to verify") {
    Student const student = support::calibrated_student(support::small_network(), "");
    Deployment const device = deploy(student).value();
    CHECK(verify(device, {}).diagnostics()[0].message == "verify: no batches; give at least one");
    CHECK(verify(device, student, {}).diagnostics()[0].message == "verify: no batches; give at least one");
}

}  // namespace deploy_verify_test
