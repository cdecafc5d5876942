// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/clamp.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_clamp_test {

using namespace amct_distill::nn;

namespace {
inline constexpr double infinity = std::numeric_limits<double>::infinity();
}

TEST_CASE("activations that cut: forward") {
    Tensor const x({1, 6}, {-7, -1.5f, 0, 1, 4, 9});
    CHECK(run<float>(Hardtanh{}, {x}) == Tensor({1, 6}, {-1, -1, 0, 1, 1, 1}));
    CHECK(run<float>(Hardtanh({.min_val = -2, .max_val = 3}), {x}) ==
          Tensor({1, 6}, {-2, -1.5f, 0, 1, 3, 3}));
    CHECK(run<float>(Hardtanh({.min_val = -infinity, .max_val = 3}), {x}) ==
          Tensor({1, 6}, {-7, -1.5f, 0, 1, 3, 3}));
    CHECK(run<float>(Hardtanh({.min_val = 2, .max_val = 1}), {x}) == Tensor({1, 6}, {1, 1, 1, 1, 1, 1}));
    CHECK(run<float>(ReLU6{}, {x}) == Tensor({1, 6}, {0, 0, 0, 1, 4, 6}));
    CHECK(run<float>(Hardsigmoid({.alpha = 0.25, .beta = 0.5}), {x}) ==
          Tensor({1, 6}, {0, 0.125f, 0.5f, 0.75f, 1, 1}));
    CHECK(run<float>(Hardsigmoid{}, {Tensor({1}, {1.5f})})[0] == Approx(0.75));
    CHECK(run<float>(Hardswish{}, {x}) == Tensor({1, 6}, {0, -0.375f, 0, 4.0f / 6, 4, 9}));
    CHECK(run<float>(Threshold{}, {x}) == Tensor({1, 6}, {0, 0, 0, 0, 4, 9}));
    CHECK(run<float>(Threshold({.threshold = -2, .value = 20}), {x}) ==
          Tensor({1, 6}, {20, -1.5f, 0, 1, 4, 9}));
    CHECK(run<float>(Shrink({.lambd = 1, .bias = 0.5}), {x}) ==
          Tensor({1, 6}, {-6.5f, -1, 0, 0, 3.5f, 8.5f}));
}

TEST_CASE("activations that cut: NaN passes through, wherever it is") {
    for (const Module& m : {Module(Hardtanh{}), Module(ReLU6{}), Module(Hardsigmoid{}), Module(Hardswish{}),
                            Module(Threshold{}), Module(Shrink{})}) {
        INFO(m.type());
        for (std::size_t i = 0; i != 19; ++i) {
            Tensor x({1, 19});
            x[i] = std::numeric_limits<float>::quiet_NaN();
            CHECK(std::isnan(run<float>(m, {x})[i]));
        }
    }
}

TEST_CASE("activations that cut: gradients are those of central differences") {
    BasicTensor<double> x({4, 6});
    fill_distinct(x.span(), 3);
    for (double& v : x) v *= 7.9;
    using M = BasicModule<double>;
    for (M m : {M(BasicHardtanh<double>{}), M(BasicHardtanh<double>({.min_val = -infinity, .max_val = 2.2})),
                M(BasicHardtanh<double>({.min_val = 1, .max_val = infinity})),
                M(BasicHardtanh<double>({.min_val = 2, .max_val = 1})), M(BasicReLU6<double>{}),
                M(BasicHardsigmoid<double>{}), M(BasicHardsigmoid<double>({.alpha = 0.2, .beta = 0.6})),
                M(BasicHardswish<double>{}), M(BasicThreshold<double>({.threshold = 0.7, .value = 2})),
                M(BasicShrink<double>({.lambd = 1.3, .bias = 0.4}))}) {
        INFO(m.type() << ' ' << m.options());
        CHECK(gradient_error_at(m, {x}) < gradient_tolerance);
    }
}

TEST_CASE("activations that cut: types, operations, options") {
    CHECK(Module(Hardtanh{}).operation() == "Clip");
    CHECK(Module(ReLU6{}).operation() == "Clip");
    CHECK(Module(Hardsigmoid{}).operation() == "HardSigmoid");
    CHECK(Module(Hardswish{}).operation() == "HardSwish");
    CHECK(Module(Threshold{}).operation() == "ThresholdedRelu");
    CHECK(Module(Hardtanh({.min_val = -infinity, .max_val = 3})).options() == "min_val: -inf max_val: 3");
    CHECK_THROWS_WITH(Hardtanh({.min_val = std::nan("")}), "Hardtanh: expected bounds that are numbers");
    CHECK_THROWS_WITH(Hardtanh({.max_val = std::nan("")}), "Hardtanh: expected bounds that are numbers");
}

}  // namespace nn_clamp_test
