// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/deploy/fold.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace deploy_fold_test {

using namespace amct_distill;

TEST_CASE("the factor is gamma times the inverse deviation, also where gamma is negative or 0") {
    nn::Network net = support::small_network();
    net.module("bn1").get_if<nn::BatchNorm2d>()->weight()[2] = 0;
    auto const factors = fold_factors(*net.module("bn1").get_if<nn::BatchNorm2d>());
    REQUIRE(factors.size() == 4);
    CHECK(factors[0] == 1.0f / std::sqrt(0.5f + 1e-5f));
    CHECK(factors[1] == -1.5f * (1.0f / std::sqrt(1.0f + 1e-5f)));
    CHECK(factors[2] == 0.0f);
}

TEST_CASE("the folded convolution computes what the two did, with a bias or without") {
    nn::Network const net = support::small_network();
    const auto& bn = *net.module("bn1").get_if<nn::BatchNorm2d>();
    nn::Tensor const x = support::small_batches(1, 2)[0];
    for (bool bias : {true, false}) {
        nn::Conv2d conv(
            {.in_channels = 2, .out_channels = 4, .kernel = {3, 3}, .padding = {1, 1}, .bias = bias});
        conv.weight() = net.module("conv1").get_if<nn::Conv2d>()->weight();
        if (bias) conv.bias() = nn::Tensor({4}, {0.5f, -0.25f, 1.0f, 0.125f});
        FoldedLayer const folded = fold(conv.weight(), conv.bias(), bn);
        CHECK(folded.weight.shape() == conv.weight().shape());
        nn::Conv2d one({.in_channels = 2, .out_channels = 4, .kernel = {3, 3}, .padding = {1, 1}});
        one.weight() = folded.weight;
        one.bias() = folded.bias;

        nn::Network two_layers, one_layer;
        two_layers.output(
            two_layers.add("bn", bn, {two_layers.add("conv", conv, {two_layers.input("x", {2, 6, 6})})}));
        one_layer.output(one_layer.add("conv", one, {one_layer.input("x", {2, 6, 6})}));
        nn::Tensor const expected = two_layers.predict(x), found = one_layer.predict(x);
        // Some ten roundings of values of order 1.
        for (std::size_t i = 0; i != found.size(); ++i)
            REQUIRE(found[i] == Approx(expected[i]).margin(10 * 0x1p-23));
    }
}

}  // namespace deploy_fold_test
