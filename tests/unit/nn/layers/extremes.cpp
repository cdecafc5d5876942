// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/extremes.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_extremes_test {

using namespace amct_distill::nn;

TEST_CASE("Max, Min: forward") {
    Tensor const a({2, 2}, {1, 5, 3, 4}), b({2}, {2, 4}), c({1}, {3});
    CHECK(run<float>(Max{}, {a, b}) == Tensor({2, 2}, {2, 5, 3, 4}));
    CHECK(run<float>(Min{}, {b, a}) == Tensor({2, 2}, {1, 4, 2, 4}));
    CHECK(run<float>(Max{}, {b, a, c}) == Tensor({2, 2}, {3, 5, 3, 4}));
    CHECK(run<float>(Min{}, {a}) == a);
}

TEST_CASE("Max, Min: NaN is passed on from either side") {
    float const nan = std::numeric_limits<float>::quiet_NaN();
    Tensor const bad({1, 2}, {nan, 1}), good({1, 2}, {2, nan});
    for (const Module& m : {Module(Max{}), Module(Min{})}) {
        Tensor const y = run<float>(m, {bad, good});
        CHECK(std::isnan(y[0]));
        CHECK(std::isnan(y[1]));
    }
}

TEST_CASE("Max, Min: gradients are those of central differences") {
    for (BasicModule<double> m :
         {BasicModule<double>(BasicMax<double>{}), BasicModule<double>(BasicMin<double>{})}) {
        CHECK(gradient_error(m, {{3, 4}, {3, 4}}) < gradient_tolerance);
        CHECK(gradient_error(m, {{2, 3, 4}, {3, 1}, {4}}) < gradient_tolerance);
        CHECK(gradient_error(m, {{2, 3, 4}}) < gradient_tolerance);
    }
}

TEST_CASE("Max, Min: inputs that are equal share the gradient") {
    Tensor const a({1, 2}, {1, 5}), b({1, 2}, {1, 2}), c({1}, {1}), y({1, 2}, {1, 5}), g({1, 2}, {6, 7});
    Tensor ga({1, 2}), gb({1, 2}), gc({1});
    Scratch scratch;
    const Tensor* const inputs[] = {&a, &b, &c};
    Tensor* const gradients[] = {&ga, &gb, &gc};
    Module(Max{}).backward(inputs, y, g, gradients, {}, scratch, Mode::evaluate);
    CHECK(ga == Tensor({1, 2}, {2, 7}));
    CHECK(gb == Tensor({1, 2}, {2, 0}));
    CHECK(gc == Tensor({1}, {2}));
}

TEST_CASE("Max, Min: errors of shapes") {
    CHECK(shape_error(Module(Max{}), {}) == "expected one or more inputs, found none");
    CHECK(shape_error(Module(Min{}), {{2}, {3}}) == "expected inputs that broadcast, found [2] and [3]");
}

}  // namespace nn_extremes_test
