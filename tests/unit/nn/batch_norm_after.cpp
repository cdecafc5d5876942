// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/batch_norm_after.hpp>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace nn_batch_norm_after_test {

using namespace amct_distill;

TEST_CASE("the BatchNorm that folds is the only consumer of the layer") {
    nn::Network net = support::small_network();
    auto const module = [&](const char* name) { return *net.graph().module_named(name); };
    CHECK(batch_norm_after(net, module("conv1")) == module("bn1"));
    CHECK_FALSE(batch_norm_after(net, module("conv2")));
    CHECK_FALSE(batch_norm_after(net, module("fc")));
    net.add("also", nn::ReLU{}, {*net.find("conv1")});
    CHECK_FALSE(batch_norm_after(net, module("conv1")));

    nn::Network leaves = support::small_network();
    leaves.output(*leaves.find("conv1"));
    CHECK_FALSE(batch_norm_after(leaves, *leaves.graph().module_named("conv1")));
    nn::Network shared = support::small_network();
    shared.apply("bn1_again", "bn1", {*shared.find("relu1")});
    CHECK_FALSE(batch_norm_after(shared, *shared.graph().module_named("conv1")));
}

TEST_CASE("a layer that is used twice, or never, has no BatchNorm of its own after it") {
    nn::Network net = support::small_network();
    ModuleId const conv1 = *net.graph().module_named("conv1");
    net.apply("conv1_again", "conv1", {*net.find("image")});
    CHECK_FALSE(batch_norm_after(net, conv1));
}

}  // namespace nn_batch_norm_after_test
