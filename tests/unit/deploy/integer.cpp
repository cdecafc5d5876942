// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/deploy/integer.hpp>

#include <algorithm>
#include <amct_distill/deploy/simulation.hpp>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>

#include "support/catch.hpp"
#include "support/deploy_networks.hpp"

namespace deploy_integer_test {

using namespace amct_distill;

namespace {

/// The sum of one output, term by term as the formula says, in 64 bits.
std::int64_t sum_at(const DeployedLayer& d, const nn::Module& layer, const std::vector<std::int8_t>& weights,
                    const nn::Tensor& x, nn::Index image, nn::Index channel, nn::Index row, nn::Index col) {
    nn::Conv2dOptions o;
    nn::Index height = 1, width = 1;
    if (const auto* conv = layer.get_if<nn::Conv2d>()) {
        o = conv->options();
        height = x.dim(2);
        width = x.dim(3);
    } else {
        o.in_channels = x.dim(1);
        o.out_channels = static_cast<nn::Index>(d.rows());
    }
    nn::Index const ins = o.in_channels / o.groups, outs = o.out_channels / o.groups;
    std::int64_t sum = d.bias.empty() ? 0 : d.bias[static_cast<std::size_t>(channel)];
    std::size_t k = static_cast<std::size_t>(channel) * d.cols();
    for (nn::Index c = 0; c != ins; ++c)
        for (nn::Index ky = 0; ky != o.kernel[0]; ++ky)
            for (nn::Index kx = 0; kx != o.kernel[1]; ++kx, ++k) {
                nn::Index const y = row * o.stride[0] + ky * o.dilation[0] - o.padding[0];
                nn::Index const z = col * o.stride[1] + kx * o.dilation[1] - o.padding[1];
                if (y < 0 || y >= height || z < 0 || z >= width) continue;
                nn::Index const from = channel / outs * ins + c;
                float const v =
                    x[static_cast<std::size_t>(((image * o.in_channels + from) * height + y) * width + z)];
                int const code =
                    std::visit([&]<class B>(B) { return int{quantize<B>(v, d.data)}; }, d.data_width);
                sum += std::int64_t{weights[k]} * (code - d.data.offset);
            }
    return sum;
}

}  // namespace

TEST_CASE("the sums are those of the formula: stride, padding, dilation, groups, offsets, INT8 and INT4") {
    std::set<int> offsets;
    for (const std::string& config : support::deployed_configs()) {
        INFO(config);
        Student const student = support::calibrated_student(support::every_convolution(), config);
        Deployment const deployment = deploy(student).value();
        nn::Network const device = integer_network(deployment);
        nn::Tape tape;
        device.forward(support::small_batches(1, 3, 5)[0], tape, nn::Mode::evaluate);
        for (const DeployedLayer& d : deployment.layers()) {
            INFO(d.name);
            const nn::Tensor& x = tape.output(device.node(*device.find(d.name)).inputs[0]);
            const nn::Tensor& y = tape.output(*device.find(d.name));
            IntegerTensor sums;
            IntegerLayer(deployment, d.name).accumulate(x, sums);
            REQUIRE(sums.shape() == y.shape());
            auto const weights = unpack(d.codes);
            const nn::Module& layer = deployment.network().module(d.name);
            bool const is_image = sums.rank() == 4;
            std::size_t i = 0;
            bool equal = true;
            for (nn::Index n = 0; n != sums.dim(0); ++n)
                for (nn::Index c = 0; c != sums.dim(1); ++c)
                    for (nn::Index row = 0; row != (is_image ? sums.dim(2) : 1); ++row)
                        for (nn::Index col = 0; col != (is_image ? sums.dim(3) : 1); ++col, ++i) {
                            equal = equal && sums[i] == sum_at(d, layer, weights, x, n, c, row, col);
                            equal = equal && y[i] == static_cast<float>(sums[i]) *
                                                         d.dequantization_scale(static_cast<std::size_t>(c));
                        }
            CHECK(i == sums.size());
            CHECK(equal);
            offsets.insert(d.data.offset);
        }
    }
    CHECK(offsets.contains(-128));  // after a ReLU
    CHECK(offsets.size() >= 4);
}

TEST_CASE("the simulation is the student where codes are the student's, up to rounding") {
    nn::Network teacher = support::every_convolution();
    for (const char* name : {"bn_dilated", "bn_strided"})
        for (float& gamma : teacher.module(name).get_if<nn::BatchNorm2d>()->weight())
            gamma = std::fabs(gamma) + 0.5f;
    Student const student = support::calibrated_student(teacher, "");
    Deployment const deployment = deploy(student).value();
    for (const DeployedLayer& d : deployment.layers()) CHECK(d.requantized.empty());
    nn::Network const simulation = simulation_network(deployment);
    nn::Tape folded, plain;
    nn::Tensor const x = support::small_batches(1, 3, 5)[0];
    simulation.forward(x, folded, nn::Mode::evaluate);
    student.network().forward(x, plain, nn::Mode::evaluate);
    // The first block has one input in both, so that nothing but some ten roundings of values of order 1
    // differs.
    nn::NodeId const relu = *simulation.find("relu_dilated");
    for (std::size_t i = 0; i != plain.output(relu).size(); ++i)
        REQUIRE(folded.output(relu)[i] == Approx(plain.output(relu)[i]).margin(20 * 0x1p-23));
}

TEST_CASE("sums beyond 2^24, which float32 cannot hold, are exact: the codes go in parts") {
    // 3000 weights of code 127 or -127 times data up to 255 from their offset: sums up to 46 million.
    nn::Index const features = 3000;
    nn::Network teacher;
    nn::NodeId const x = teacher.input("x", {features});
    nn::Linear linear({.in_features = features, .out_features = 2, .bias = false});
    for (std::size_t i = 0; i != linear.weight().size(); ++i)
        linear.weight()[i] = i < 3000 ? 0.5f : (i % 3 == 0 ? -0.5f : 0.25f);
    teacher.output(teacher.add("fc", linear, {x}));
    Student student = make_student(teacher, support::plan_for(teacher, "")).value();
    nn::Tensor batch({2, features});
    for (std::size_t i = 0; i != batch.size(); ++i)
        batch[i] =
            i < 3000 ? 1.0f - 0.001f * static_cast<float>(i % 2) : static_cast<float>(i % 255) / 254.0f;
    std::vector<nn::Tensor> const batches{batch};
    calibrate(student, batches).value();
    Deployment const deployment = deploy(student).value();
    const DeployedLayer& d = deployment.layers()[0];
    IntegerTensor sums;
    IntegerLayer(deployment, "fc").accumulate(batch, sums);
    auto const codes = unpack(d.codes);
    std::int64_t largest = 0;
    for (nn::Index n = 0; n != 2; ++n)
        for (nn::Index c = 0; c != 2; ++c) {
            auto const sum = sum_at(d, deployment.network().module("fc"), codes, batch, n, c, 0, 0);
            CHECK(sums[static_cast<std::size_t>(2 * n + c)] == sum);
            largest = (std::max)(largest, std::abs(sum));
        }
    CHECK(largest > (1 << 25));
}

TEST_CASE("an odd sum beyond 2^24, which a part of twice its size would round, is exact") {
    nn::Index const features = 1100;
    nn::Network teacher;
    nn::NodeId const x = teacher.input("x", {features});
    nn::Linear linear({.in_features = features, .out_features = 1, .bias = false});
    linear.weight().fill(0.5f);
    teacher.output(teacher.add("fc", linear, {x}));
    Student student = make_student(teacher, support::plan_for(teacher, "")).value();
    nn::Tensor batch({1, features});
    batch.fill(1);
    calibrate(student, std::vector{batch}).value();
    Deployment const deployment = deploy(student).value();
    const DeployedLayer& d = deployment.layers()[0];
    std::size_t odd = 0;
    for (int k = 0; k != 20; ++k) {
        batch[0] = 0.05f * static_cast<float>(k);
        IntegerTensor sums;
        IntegerLayer(deployment, "fc").accumulate(batch, sums);
        auto const sum = sum_at(d, deployment.network().module("fc"), unpack(d.codes), batch, 0, 0, 0, 0);
        CHECK(sums[0] == sum);
        CHECK(std::abs(sum) > (1 << 24));
        odd += static_cast<std::size_t>(std::abs(sum) % 2);
    }
    CHECK(odd > 5);
}

TEST_CASE("what is not an input of the layer is refused") {
    Deployment const deployment = deploy(support::calibrated_student(support::small_network(), "")).value();
    IntegerLayer const fc(deployment, "fc");
    CHECK_THROWS_WITH(IntegerLayer(deployment, "relu1"),
                      "IntegerLayer: the deployment has no quantized layer `relu1`");
    IntegerTensor sums;
    CHECK_THROWS_WITH(fc.accumulate(nn::Tensor({2, 21}), sums),
                      Catch::Contains("fc: expected one input [N, ..., 20], found [2, 21]"));
    nn::Tensor x({1, 20});
    x[7] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_WITH(fc.accumulate(x, sums), Catch::Contains("fc: value at [7] is nan"));

    nn::Network device = integer_network(deployment);
    nn::Tape tape;
    nn::Tensor const y = device.forward(support::small_batches(1, 1)[0], tape, nn::Mode::evaluate);
    CHECK_THROWS_WITH(device.backward(y, tape, nn::Mode::evaluate),
                      Catch::Contains("layer `fc` runs in integers: train the student"));
}

}  // namespace deploy_integer_test
