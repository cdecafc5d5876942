// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/global_pool.hpp>
#include <limits>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_global_pool_test {

using namespace amct_distill::nn;

TEST_CASE("global pools: forward") {
    Tensor const x({1, 2, 1, 3}, {1, 2, 3, -3, 0, -4});
    CHECK(run<float>(GlobalAveragePool{}, {x}) == Tensor({1, 2, 1, 1}, {2, -7.0f / 3}));
    CHECK(run<float>(GlobalMaxPool{}, {x}) == Tensor({1, 2, 1, 1}, {3, 0}));
    CHECK(run<float>(GlobalLpPool2d({.norm = 1}), {x}) == Tensor({1, 2, 1, 1}, {6, 7}));
    CHECK(run<float>(GlobalLpPool2d({.norm = 2}), {x})[1] == 5);
    CHECK(run<float>(GlobalLpPool2d({.norm = 3}), {x})[0] == Approx(std::cbrt(36.0)));
    CHECK(run<float>(GlobalAveragePool1d{}, {Tensor({1, 1, 2}, {1, 2})}) == Tensor({1, 1, 1}, {1.5f}));
    CHECK(run<float>(GlobalMaxPool3d{}, {Tensor({1, 1, 1, 2, 2}, {1, 4, 2, 3})}) ==
          Tensor({1, 1, 1, 1, 1}, {4}));
    float const nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(std::isnan(run<float>(GlobalMaxPool1d{}, {Tensor({1, 1, 3}, {1, nan, 2})})[0]));
}

TEST_CASE("global pools: gradients are those of central differences") {
    using M = BasicModule<double>;
    for (M m : {M(BasicGlobalAveragePool<double>{}), M(BasicGlobalMaxPool<double>{}),
                M(BasicGlobalLpPool<double>({.norm = 1})), M(BasicGlobalLpPool<double>({.norm = 2})),
                M(BasicGlobalLpPool<double>({.norm = 3}))})
        CHECK(gradient_error(m, {{2, 2, 2, 3}}) < gradient_tolerance);
    for (M m : {M(BasicGlobalAveragePool<double, 3>{}), M(BasicGlobalMaxPool<double, 3>{})})
        CHECK(gradient_error(m, {{1, 2, 2, 2, 3}}) < gradient_tolerance);
    M line = BasicGlobalLpPool<double, 1>({.norm = 2});
    CHECK(gradient_error(line, {{2, 2, 3}}) < gradient_tolerance);

    // A plane of zeros has no direction in which its norm grows.
    BasicTensor<double> const x({1, 1, 2}), y({1, 1, 1}), g({1, 1, 1}, {1});
    BasicTensor<double> gx({1, 1, 2});
    const BasicTensor<double>* const inputs[] = {&x};
    BasicTensor<double>* const grads[] = {&gx};
    BasicScratch<double> scratch;
    line.backward(inputs, y, g, grads, {}, scratch, Mode::train);
    CHECK(gx == BasicTensor<double>({1, 1, 2}));
}

TEST_CASE("global pools: types, options and errors of shapes") {
    CHECK(Module(GlobalAveragePool{}).type() == "AdaptiveAvgPool2d");
    CHECK(Module(GlobalMaxPool1d{}).type() == "AdaptiveMaxPool1d");
    CHECK(Module(GlobalMaxPool3d{}).operation() == "GlobalMaxPool");
    CHECK(Module(GlobalLpPool3d({.norm = 3})).options() == "norm: 3");
    CHECK(Module(GlobalAveragePool{}).output_shape(std::vector<Shape>{{any_batch, 4, 9, 9}}).value() ==
          Shape{any_batch, 4, 1, 1});
    CHECK(shape_error(Module(GlobalAveragePool{}), {{4, 10}}) ==
          "expected one input [N, C, H, W], found [4, 10]");
    CHECK(shape_error(Module(GlobalLpPool1d({})), {{4, 10}}) ==
          "expected one input [N, C, L], found [4, 10]");
    CHECK_THROWS_WITH(GlobalLpPool2d({.norm = 0}), "pooling: norm must be at least 1");
}

}  // namespace nn_global_pool_test
