// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/prelu.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_prelu_test {

using namespace amct_distill::nn;

TEST_CASE("PReLU: one slope, or one of each channel") {
    Tensor const x({2, 2, 2}, {-4, 4, -8, 8, 1, -1, 2, -2});
    CHECK(run<float>(PReLU{}, {x}) == Tensor({2, 2, 2}, {-1, 4, -2, 8, 1, -0.25f, 2, -0.5f}));
    PReLU two({.num_parameters = 2});
    two.weight() = Tensor({2}, {0.5f, -1});
    CHECK(run<float>(two, {x}) == Tensor({2, 2, 2}, {-2, 4, 8, 8, 1, -0.5f, 2, 2}));
}

TEST_CASE("PReLU: gradients are those of central differences") {
    for (Index n : {1, 3}) {
        BasicModule<double> m = BasicPReLU<double>({.num_parameters = n});
        fill_parameters(m);
        CHECK(gradient_error(m, {{4, 3}}) < gradient_tolerance);
        CHECK(gradient_error(m, {{2, 3, 2, 5}}) < gradient_tolerance);
    }
    BasicModule<double> one = BasicPReLU<double>{};
    CHECK(gradient_error(one, {{7}}) < gradient_tolerance);
}

TEST_CASE("PReLU: parameters and errors") {
    Module const m = PReLU({.num_parameters = 3});
    REQUIRE(m.parameters().size() == 1);
    CHECK(m.parameters()[0].name == "weight");
    CHECK(m.parameters()[0].role == Role::affine);
    CHECK(m.weighted() == nullptr);
    CHECK(m.operation() == "PRelu");
    CHECK(shape_error(m, {{any_batch, 2, 4}}) == "expected one input with 3 channels, found [N, 2, 4]");
    CHECK(shape_error(Module(PReLU{}), {}) == "expected one input, found none");
    CHECK_THROWS_WITH(PReLU({.num_parameters = 0}), "PReLU: expected a num_parameters of 1 or more");
    PReLU wrong({.num_parameters = 3});
    wrong.weight() = Tensor({2});
    CHECK(Module(wrong).check_parameters().diagnostics()[0].message == "weight: expected [3], found [2]");
}

}  // namespace nn_prelu_test
