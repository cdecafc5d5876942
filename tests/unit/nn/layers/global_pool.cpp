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

TEST_CASE(
    "GlobalMaxPool, GlobalLpPool: two that are no numbers, and a norm that is 0 of values that are not") {
    float const nan = std::numeric_limits<float>::quiet_NaN();
    Tensor const x({1, 1, 4}, {nan, 1, nan, 2}), g({1, 1, 1}, {5});
    Tensor y({1, 1, 1}), gx({1, 1, 4});
    Module const pool = GlobalMaxPool1d{};
    std::vector<const Tensor*> const inputs{&x};
    std::vector<Tensor*> const gradients{&gx};
    Scratch scratch;
    pool.forward(inputs, y, scratch, Mode::evaluate);
    pool.backward(inputs, y, g, gradients, {}, scratch, Mode::evaluate);
    CHECK(std::isnan(y[0]));
    CHECK(gx == Tensor({1, 1, 4}, {5, 0, 0, 0}));  // the first of them
    using T = BasicTensor<double>;
    T const tiny({1, 1, 2, 1}, {1e-200, -1e-200}), one({1, 1, 1, 1}, {1});
    T norm({1, 1, 1, 1}), slope({1, 1, 2, 1});
    BasicModule<double> const lp = BasicGlobalLpPool<double>({.norm = 2});
    std::vector<const T*> const values{&tiny};
    std::vector<T*> const slopes{&slope};
    BasicScratch<double> other;
    lp.forward(values, norm, other, Mode::evaluate);
    lp.backward(values, norm, one, slopes, {}, other, Mode::evaluate);
    CHECK(norm[0] == 0);
    CHECK(slope == T({1, 1, 2, 1}));
}

}  // namespace nn_global_pool_test
