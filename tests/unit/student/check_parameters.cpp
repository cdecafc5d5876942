// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/student/check_parameters.hpp>

#include <amct_distill/nn/layers/batch_norm.hpp>
#include <limits>
#include <string>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace student_check_parameters_test {

using namespace amct_distill;

TEST_CASE("of each parameter the first value that cannot be used is named, with its place") {
    nn::Network net = support::small_network();
    CHECK(detail::check_parameters(net).empty());
    auto& weight = net.module("conv1").get_if<nn::Conv2d>()->weight();  // [4, 2, 3, 3]
    weight[18 + 9 + 3 + 2] = std::numeric_limits<float>::infinity();
    weight[60] = std::numeric_limits<float>::quiet_NaN();
    for (const nn::Parameter& p : net.module("bn1").parameters())
        if (p.name == "running_var") p.values[1] = -1, p.values[2] = -2;
    for (const nn::Parameter& p : net.module("fc").parameters())
        if (p.name == "bias") p.values[2] = std::numeric_limits<float>::quiet_NaN();
    std::string const finite = "; only finite values can be used: check where they come from";
    CHECK(
        to_string(detail::check_parameters(net)) ==
        "error: layer `conv1`: weight: value at [1, 1, 1, 2] is inf" + finite +
            "\nerror: layer `bn1`: running_var: value at [1] is -1; a variance is above 0, or 0 with an eps "
            "above it: check where it comes from\nerror: layer `fc`: bias: value at [2] is nan" +
            finite);
}

TEST_CASE("a variance of 0 needs an eps above it") {
    for (double eps : {0.0, 1e-5}) {
        nn::Network net;
        net.output(
            net.add("bn", nn::BatchNorm2d({.num_features = 2, .eps = eps}), {net.input("x", {2, 3, 3})}));
        net.module("bn").get_if<nn::BatchNorm2d>()->running_var()[1] = 0;
        auto const errors = detail::check_parameters(net);
        REQUIRE(errors.size() == (eps == 0 ? 1 : 0));
        if (eps == 0)
            CHECK(errors[0].message ==
                  "layer `bn`: running_var: value at [1] is 0; a variance is above 0, or 0 with an eps above "
                  "it: "
                  "check where it comes from");
    }
}

}  // namespace student_check_parameters_test
