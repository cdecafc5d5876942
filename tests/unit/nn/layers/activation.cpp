// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/activation.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_activation_test {

using namespace amct_distill::nn;

namespace {
inline constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
}

TEST_CASE("activations: forward") {
    Tensor const x({1, 4}, {-2, 0, 0.5f, 100});
    CHECK(run<float>(ReLU{}, {x}) == Tensor({1, 4}, {0, 0, 0.5f, 100}));
    CHECK(run<float>(LeakyReLU(0.25f), {x}) == Tensor({1, 4}, {-0.5f, 0, 0.5f, 100}));
    CHECK(LeakyReLU{}.negative_slope() == 0.01f);
    Tensor const s = run<float>(Sigmoid{}, {Tensor({1, 3}, {-200, 0, 200})});
    CHECK(s == Tensor({1, 3}, {0, 0.5f, 1}));
    CHECK(run<float>(Tanh{}, {x})[2] == Approx(0.46211716));
}

TEST_CASE("activations: NaN passes through, wherever it is") {
    for (const Module& m : {Module(ReLU{}), Module(LeakyReLU{}), Module(Sigmoid{}), Module(Tanh{})}) {
        INFO(m.type());
        for (std::size_t i = 0; i != 37; ++i) {  // in vectors and in what is left of them
            Tensor x({1, 37});
            x[i] = not_a_number;
            CHECK(std::isnan(run<float>(m, {x})[i]));
        }
    }
}

TEST_CASE("ReLU, LeakyReLU: of -0 it is 0, wherever it is") {
    for (const Module& m : {Module(ReLU{}), Module(LeakyReLU{})}) {
        Tensor x({1, 37});
        x.fill(-0.0f);
        for (float y : run<float>(m, {x})) CHECK_FALSE(std::signbit(y));
    }
}

TEST_CASE("ReLU: a gradient that is not finite stops at a closed gate") {
    Tensor const x({1, 2}, {-1, 1}), y({1, 2}, {0, 1}), g({1, 2}, {not_a_number, 3});
    Tensor gx({1, 2});
    Tensor* const grad_inputs[] = {&gx};
    const Tensor* const inputs[] = {&x};
    Scratch scratch;
    Module(ReLU{}).backward(inputs, y, g, grad_inputs, {}, scratch, Mode::evaluate);
    CHECK(gx == Tensor({1, 2}, {0, 3}));
}

TEST_CASE("activations: gradients are those of central differences") {
    for (const Shape& shape : {Shape{3, 7}, Shape{2, 3, 2, 3}}) {
        INFO(to_string(shape));
        for (BasicModule<double> m :
             {BasicModule<double>(BasicReLU<double>{}), BasicModule<double>(BasicLeakyReLU<double>{}),
              BasicModule<double>(BasicLeakyReLU<double>(-0.5)), BasicModule<double>(BasicSigmoid<double>{}),
              BasicModule<double>(BasicTanh<double>{})}) {
            INFO(m.type());
            CHECK(gradient_error(m, {shape}) < gradient_tolerance);
        }
    }
}

TEST_CASE("activations: types, operations and errors of shapes") {
    CHECK(Module(ReLU{}).type() == "ReLU");
    CHECK(Module(ReLU{}).operation() == "Relu");
    CHECK(Module(LeakyReLU{}).operation() == "LeakyRelu");
    CHECK(Module(Tanh{}).operation() == "Tanh");
    CHECK(shape_error(Module(ReLU{}), {{1}, {2}}) == "expected one input, found [1] and [2]");
}

}  // namespace nn_activation_test
