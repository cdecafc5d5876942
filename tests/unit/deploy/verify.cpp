// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/deploy/verify.hpp>

#include <algorithm>
#include <amct_distill/nn/layers/arithmetic.hpp>
#include <amct_distill/nn/layers/structure.hpp>
#include <cmath>
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
    d.bias = {-1'000'000};  // and 1005 * 2^-24 * 1000001 more, which its sign does not matter to
    CHECK(detail::explained_difference(d) == 76);
    d.bias = {1'000'000};
    CHECK(detail::explained_difference(d) == 76);
    d.bias.clear();
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

TEST_CASE("the outputs' errors are those of the integers, run from end to end, against the student") {
    auto const batches = support::small_batches(3, 11);  // more samples than are compared at a time
    Student const student = support::calibrated_student(support::small_network(), "");
    Deployment const device = deploy(student).value();
    VerifyReport const report = verify(device, student, batches).value();
    nn::Network const integers = integer_network(device);
    double error = 0, square = 0, largest = 0;
    std::size_t values = 0;
    for (const auto& batch : batches) {
        nn::Tensor const ours = integers.predict(batch), theirs = student.network().predict(batch);
        REQUIRE(ours.size() == theirs.size());
        values += ours.size();
        for (std::size_t i = 0; i != ours.size(); ++i) {
            double const y = static_cast<double>(theirs[i]), d = static_cast<double>(ours[i]) - y;
            error += d * d;
            square += y * y;
            largest = std::max(largest, std::abs(d));
        }
    }
    CHECK(report.output_error == Approx(error / static_cast<double>(values)).epsilon(1e-9));
    CHECK(report.output_square == Approx(square / static_cast<double>(values)).epsilon(1e-9));
    CHECK(report.output_largest == largest);
    CHECK(error > 0);
    CHECK(VerifyReport{}.agrees());
    CHECK(VerifyReport{.layers = {VerifiedLayer{}}}.agrees());
    CHECK(VerifiedLayer{}.outputs + VerifiedLayer{}.different + VerifiedLayer{}.inputs == 0);
    CHECK(VerifyReport{}.output_error + VerifyReport{}.output_largest + VerifyReport{}.output_square == 0);
}

TEST_CASE("without batches there is nothing to verify") {
    Student const student = support::calibrated_student(support::small_network(), "");
    Deployment const device = deploy(student).value();
    std::vector<nn::Tensor> const none;
    CHECK((verify)(device, none).diagnostics()[0].message == "verify: no batches; give at least one");
    CHECK((verify)(device, student, none).diagnostics()[0].message ==
          "verify: no batches; give at least one");
}

TEST_CASE("a deployment is verified with its own student only, and the first difference is named") {
    auto const batches = support::small_batches(1, 2);
    Student const student = support::calibrated_student(support::small_network(), "");
    Deployment const device = deploy(student).value();
    CHECK_THROWS_WITH(
        (verify)(device, support::calibrated_student(support::every_convolution(), ""), batches),
        "verify: the deployment is not of this student: node 1 is `conv1` in the deployment, and "
        "`conv_dilated` in the student; deploy it");
    CHECK_THROWS_WITH(
        (verify)(device, support::calibrated_student(support::small_network(), "quant_skip_layers: 'conv2'"),
                 batches),
        Catch::Contains("layer `conv2` is quantized in the deployment only; deploy it"));
    std::vector<nn::Tensor> const wrong{nn::Tensor({2, 2, 6, 5})};
    CHECK_THROWS_WITH(
        (verify)(device, student, wrong),
        Catch::Contains("verify: batch 0: input \"image\": expected [N, 2, 6, 6], found [2, 2, 6, 5]"));
    CHECK_THROWS_WITH((verify)(device, student, batches, {.threads = 0}), Catch::Contains("verify: threads"));
}

TEST_CASE("threads change no bit of a verification") {
    auto const batches = support::small_batches(2, 40);
    Student const student = support::calibrated_student(support::every_convolution(), "");
    Deployment const device = deploy(student).value();
    VerifyReport const one = (verify)(device, student, batches).value();
    VerifyReport const three = (verify)(device, student, batches, {.threads = 3}).value();
    CHECK(one.output_error == three.output_error);
    CHECK(one.output_largest == three.output_largest);
    for (std::size_t k = 0; k != one.layers.size(); ++k) {
        CHECK(one.layers[k].different == three.layers[k].different);
        CHECK(one.layers[k].inputs_different == three.layers[k].inputs_different);
    }
}

TEST_CASE("a network of two inputs and two outputs is verified over all of them") {
    nn::Network net;
    nn::NodeId const a = net.input("a", {4}), b = net.input("b", {3});
    nn::NodeId const x = net.add("left", nn::Linear({.in_features = 4, .out_features = 5}), {a});
    nn::NodeId const y = net.add("right", nn::Linear({.in_features = 3, .out_features = 5}), {b});
    nn::NodeId const sum = net.add_function("sum", nn::Add{}, {x, y});
    net.output(net.add("out", nn::Linear({.in_features = 5, .out_features = 2}), {sum}));
    net.output(net.add_function("relu", nn::ReLU{}, {sum}));
    nn::initialize(net, 3);
    std::vector<Batch> batches(2, Batch{nn::Tensor({6, 4}), nn::Tensor({6, 3})});
    float v = 0;
    for (Batch& batch : batches)
        for (nn::Tensor& t : batch)
            for (float& value : t) value = std::sin(v += 1.0f);
    Student student = make_student(net, support::plan_for(net, "")).value();
    calibrate(student, batches).value();
    Deployment const device = deploy(student).value();
    VerifyReport const report = (verify)(device, student, batches).value();
    CHECK(report.agrees());
    REQUIRE(report.layers.size() == 3);
    CHECK(report.layers[1].inputs == 2 * 6 * 3);
    CHECK(report.output_square > 0);
    CHECK(report.output_error < 0.01 * report.output_square);
}

TEST_CASE("each kind of difference of a deployment and a student is named, the first one") {
    struct Changes {
        nn::Index features = 4;
        bool other_input = false, other_kind = false, more = false, other_output = false;
    };
    auto const network = [](const Changes& how) {
        nn::Network net;
        nn::NodeId const x = net.input("x", {4}), y = net.input("y", {how.features});
        nn::NodeId const z =
            how.other_kind ? net.constant("z", nn::Tensor({2, 2})) : net.fixed_input("z", {2, 2});
        nn::NodeId const a = net.add("fc", nn::Linear({.in_features = 4, .out_features = 4}), {x});
        nn::NodeId const b = net.add("relu", nn::ReLU{}, {how.other_input ? x : a});
        nn::NodeId const c = net.add_function("of_y", nn::ReLU{}, {y});
        net.output(net.add_function("of_z", nn::ReLU{}, {z}));
        net.output(how.other_output ? a : b);
        net.output(c);
        if (how.more) net.add_function("more", nn::ReLU{}, {c});
        nn::initialize(net, 1);
        return net;
    };
    nn::Network const net = network({});
    Student const student = make_student(net, support::plan_for(net, "")).value();
    auto const said = [&](const Changes& how) {
        return detail::difference(Deployment(network(how), {}), student);
    };
    CHECK(said({.features = 5}) ==
          "node `y` of shape [N, 5] in the deployment is another one in the student, of shape [N, 4]");
    CHECK(said({.other_input = true}) ==
          "node `relu` of shape [N, 4] in the deployment is another one in the student, of shape [N, 4]");
    CHECK(said({.other_kind = true}) ==
          "node `z` of shape [2, 2] in the deployment is another one in the student, of shape [2, 2]");
    CHECK(said({.more = true}) == "the deployment has 8 nodes, the student 7");
    CHECK(said({.other_output = true}) == "their outputs are other nodes");
    CHECK(said({}) == "layer `fc` is quantized in the student only");
    nn::Network const longer = network({.more = true});
    CHECK(detail::difference(Deployment(net, {}),
                             make_student(longer, support::plan_for(longer, "")).value()) ==
          "the deployment has 7 nodes, the student 8");
}

}  // namespace deploy_verify_test
