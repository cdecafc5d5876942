// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/deploy/integer.hpp>

#include <cmath>
#include <limits>
#include <set>

#include "support/catch.hpp"
#include "support/deploy_networks.hpp"

namespace deploy_integer_test {

using namespace amct_distill;

namespace {

/// The sum of one output, term by term as the formula says, in 64 bits.
std::int64_t sum_at(const DeployedLayer& d, const std::vector<std::int8_t>& weights, const nn::Tensor& x,
                    nn::Index image, nn::Index channel, nn::Index row, nn::Index col) {
    nn::Conv2dOptions o;
    nn::Index height = 1, width = 1;
    if (const auto* conv = std::get_if<nn::Conv2d>(&d.layer)) {
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
                auto const code = d.data_bits == 4 ? quantize<Int4>(v, d.data) : quantize<Int8>(v, d.data);
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
        auto const layers = deploy(student).value();
        nn::Network const device = integer_network(student.network(), layers);
        nn::Tape tape;
        device.forward(support::small_batches(1, 3, 5)[0], tape, nn::Mode::evaluate);
        for (const DeployedLayer& d : layers) {
            INFO(d.name);
            const nn::Tensor& x = tape.output(device.node(*device.find(d.name)).inputs[0]);
            const nn::Tensor& y = tape.output(*device.find(d.name));
            IntegerTensor sums;
            IntegerLayer(d).accumulate(x, sums);
            REQUIRE(sums.shape() == y.shape());
            auto const weights = d.codes();
            bool const is_image = sums.rank() == 4;
            std::size_t i = 0;
            bool equal = true;
            for (nn::Index n = 0; n != sums.dim(0); ++n)
                for (nn::Index c = 0; c != sums.dim(1); ++c)
                    for (nn::Index row = 0; row != (is_image ? sums.dim(2) : 1); ++row)
                        for (nn::Index col = 0; col != (is_image ? sums.dim(3) : 1); ++col, ++i) {
                            equal = equal && sums[i] == sum_at(d, weights, x, n, c, row, col);
                            equal = equal && y[i] == static_cast<float>(sums[i]) *
                                                         d.dequantization_scale(static_cast<std::size_t>(c));
                        }
            CHECK(i == sums.size());
            CHECK(equal);
            offsets.insert(d.data.offset);
        }
    }
    CHECK(offsets.contains(-128));  // behind a ReLU
    CHECK(offsets.size() >= 4);
}

TEST_CASE("the simulation is the student where codes are the student's, up to rounding") {
    nn::Network teacher = support::every_convolution();
    for (const char* name : {"bn_dilated", "bn_strided"})
        for (float& gamma : teacher.module(name).get_if<nn::BatchNorm2d>()->weight())
            gamma = std::fabs(gamma) + 0.5f;
    Student const student = support::calibrated_student(teacher, "");
    auto const layers = deploy(student).value();
    for (const DeployedLayer& d : layers) CHECK(d.requantized.empty());
    nn::Network const simulation = simulation_network(student, layers);
    nn::Tape folded, plain;
    nn::Tensor const x = support::small_batches(1, 3, 5)[0];
    simulation.forward(x, folded, nn::Mode::evaluate);
    student.network().forward(x, plain, nn::Mode::evaluate);
    // The first block has one input in both, so that nothing but some ten roundings of values of order 1 differs.
    nn::NodeId const relu = *simulation.find("relu_dilated");
    for (std::size_t i = 0; i != plain.output(relu).size(); ++i)
        REQUIRE(folded.output(relu)[i] == Approx(plain.output(relu)[i]).margin(20 * 0x1p-23));
}

TEST_CASE("what is no input of the layer is refused") {
    IntegerLayer const fc(deploy(support::calibrated_student(support::small_network(), "")).value()[2]);
    IntegerTensor sums;
    CHECK_THROWS_WITH(fc.accumulate(nn::Tensor({2, 21}), sums),
                      Catch::Contains("fc: expected one input [N, 20], found [2, 21]"));
    nn::Tensor x({1, 20});
    x[7] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_WITH(fc.accumulate(x, sums), Catch::Contains("fc: value at [7] is nan"));

    nn::Network device = integer_network(support::calibrated_student(support::small_network(), "")).value();
    nn::Tape tape;
    nn::Tensor const y = device.forward(support::small_batches(1, 1)[0], tape, nn::Mode::evaluate);
    CHECK_THROWS_WITH(device.backward(y, tape, nn::Mode::evaluate),
                      Catch::Contains("layer `fc` runs in integers: train the student"));
}

}  // namespace deploy_integer_test
