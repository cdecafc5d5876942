// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/initialize.hpp>

#include <amct_distill/nn/layers/batch_norm.hpp>
#include <amct_distill/nn/layers/conv2d.hpp>
#include <amct_distill/nn/layers/linear.hpp>

#include "support/catch.hpp"

namespace nn_initialize_test {

using namespace amct_distill::nn;

namespace {
Network network() {
    Network net;
    NodeId x = net.input("image", {4, 3, 3});
    x = net.add("conv", Conv2d({.in_channels = 4, .out_channels = 2, .kernel = {3, 3}, .groups = 2}), {x});
    x = net.add("bn", BatchNorm2d({.num_features = 2}), {x});
    net.output(x);
    return net;
}
}  // namespace

TEST_CASE("numbers from 0 to below 1 from the bits of the generator") {
    std::mt19937_64 bits(5489);  // the seed the standard pins: the 10000th value is 9981545732273789042
    for (int i = 1; i != 10000; ++i) bits();
    CHECK(next_uniform(bits) == static_cast<double>(9981545732273789042u >> 11) * 0x1p-53);
}

TEST_CASE("initialization: values of a seed are pinned, within the bound of the fan-in") {
    Network a = network(), b = network(), c = network();
    initialize(a, 42);
    initialize(b, 42);
    initialize(c, 43);
    const Tensor& weight = a.module("conv").get_if<Conv2d>()->weight();
    CHECK(weight == b.module("conv").get_if<Conv2d>()->weight());
    CHECK_FALSE(weight == c.module("conv").get_if<Conv2d>()->weight());

    float const bound = 1 / std::sqrt(18.0f);  // a group has 2 channels, 2 * 3 * 3 values each output
    CHECK(array(weight).abs().maxCoeff() <= bound);
    CHECK(array(weight).abs().maxCoeff() > bound / 2);
    // Computed by another implementation of the generator and the formula.
    CHECK(weight[0] == 0.120281473f);
    CHECK(weight[1] == 0.0655400306f);
    CHECK(weight[35] == 0.20086664f);
    const Tensor& bias = a.module("conv").get_if<Conv2d>()->bias();
    CHECK(array(bias).abs().maxCoeff() <= bound);
    CHECK(bias[1] == -0.0395750664f);

    const BatchNorm2d& bn = *a.module("bn").get_if<BatchNorm2d>();
    CHECK(bn.weight() == Tensor({2}, {1, 1}));
    CHECK(bn.bias() == Tensor({2}, {0, 0}));
}

}  // namespace nn_initialize_test
