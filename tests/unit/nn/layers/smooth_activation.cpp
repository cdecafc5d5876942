// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/smooth_activation.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_smooth_activation_test {

using namespace amct_distill::nn;

namespace {

double value(const BasicModule<double>& m, double x) {
    return run<double>(m, {BasicTensor<double>({1}, {x})})[0];
}
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

TEST_CASE("smooth activations: values") {
    for (double x : {-30.0, -3.0, -0.5, 0.0, 0.7, 4.0, 30.0}) {
        INFO(x);
        CHECK(value(BasicSiLU<double>{}, x) == Approx(x * sigmoid(x)));
        CHECK(value(BasicSoftplus<double>{}, x) == Approx(std::log(1 + std::exp(x))).margin(1e-12));
        CHECK(value(BasicSoftplus<double>({.beta = 2, .threshold = 5}), x) ==
              Approx(2 * x > 5 ? x : std::log(1 + std::exp(2 * x)) / 2).margin(1e-12));
        CHECK(value(BasicMish<double>{}, x) ==
              Approx(x * std::tanh(std::log(1 + std::exp(x)))).margin(1e-12));
        CHECK(value(BasicGELU<double>{}, x) == Approx(x * std::erfc(-x / std::sqrt(2.0)) / 2).margin(1e-12));
        double const pi = std::acos(-1.0);
        CHECK(value(BasicGELU<double>({.approximate = "tanh"}), x) ==
              Approx(x / 2 * (1 + std::tanh(std::sqrt(2 / pi) * (x + 0.044715 * std::pow(x, 3)))))
                  .margin(1e-12));
        CHECK(value(BasicELU<double>({.alpha = 0.5}), x) == Approx(x > 0 ? x : 0.5 * (std::exp(x) - 1)));
        CHECK(value(BasicSELU<double>({.alpha = 2, .gamma = 3}), x) ==
              Approx(3 * (x > 0 ? x : 2 * (std::exp(x) - 1))));
        CHECK(value(BasicCELU<double>({.alpha = 2}), x) == Approx(x > 0 ? x : 2 * (std::exp(x / 2) - 1)));
        CHECK(value(BasicSoftsign<double>{}, x) == Approx(x / (1 + std::abs(x))));
    }
    CHECK(value(BasicSELU<double>{}, 1) == Approx(1.0507009873554805));
    CHECK(run<float>(SiLU{}, {Tensor({1}, {-200})})[0] == 0);
}

TEST_CASE("smooth activations: NaN passes through") {
    for (const Module& m : {Module(SiLU{}), Module(Softplus{}), Module(Mish{}), Module(GELU{}), Module(ELU{}),
                            Module(SELU{}), Module(CELU{}), Module(Softsign{})}) {
        INFO(m.type());
        CHECK(std::isnan(run<float>(m, {Tensor({1}, {std::numeric_limits<float>::quiet_NaN()})})[0]));
    }
}

TEST_CASE("smooth activations: gradients are those of central differences") {
    using M = BasicModule<double>;
    for (M m : {M(BasicSiLU<double>{}), M(BasicSoftplus<double>{}),
                M(BasicSoftplus<double>({.beta = 3, .threshold = 6})), M(BasicMish<double>{}),
                M(BasicGELU<double>{}), M(BasicGELU<double>({.approximate = "tanh"})), M(BasicELU<double>{}),
                M(BasicELU<double>({.alpha = 0.3})), M(BasicSELU<double>{}),
                M(BasicSELU<double>({.alpha = 2, .gamma = 3})), M(BasicCELU<double>{}),
                M(BasicCELU<double>({.alpha = 0.7})), M(BasicSoftsign<double>{})}) {
        INFO(m.type() << ' ' << m.options());
        CHECK(gradient_error(m, {{3, 7}}) < gradient_tolerance);
        BasicTensor<double> far({1, 4}, {-9, -4, 5, 11});
        CHECK(gradient_error_at(m, {far}) < gradient_tolerance);
    }
}

TEST_CASE("smooth activations: types, operations, options") {
    CHECK(Module(GELU{}).type() == "GELU");
    CHECK(Module(GELU{}).operation() == "Gelu");
    CHECK(Module(GELU({.approximate = "tanh"})).options() == "approximate: \"tanh\"");
    CHECK_THROWS_WITH(GELU({.approximate = "erf"}),
                      "GELU: expected approximate `none` or `tanh`, found `erf`");
    CHECK_THROWS_WITH(CELU({.alpha = 0}), "CELU: expected an alpha other than 0");
    CHECK(Module(ELU{}).operation() == "Elu");
    CHECK(Module(SELU{}).operation() == "Selu");
    CHECK(Module(CELU{}).operation() == "Celu");
    CHECK(Module(Mish{}).operation() == "Mish");
}

TEST_CASE("Mish: far above 0 it is what it reads") {
    BasicModule<double> m = BasicMish<double>{};
    BasicTensor<double> const x({1, 3}, {20.5, 25, 300});
    CHECK(run<double>(m, {x}) == x);
    CHECK(gradient_error_at(m, {x}) < gradient_tolerance);
}

}  // namespace nn_smooth_activation_test
