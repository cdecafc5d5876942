// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/arithmetic.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_arithmetic_test {

using namespace amct_distill::nn;
using M = BasicModule<double>;

TEST_CASE("arithmetic: forward") {
    Tensor const a({2, 2}, {1, 2, 3, 4}), b({2, 2}, {10, 20, 30, 40}), row({2}, {2, 4}), one({1}, {2});
    CHECK(run<float>(Add{}, {a, b, a}) == Tensor({2, 2}, {12, 24, 36, 48}));
    CHECK(run<float>(Add{}, {a, row}) == Tensor({2, 2}, {3, 6, 5, 8}));
    CHECK(run<float>(Add{}, {row, a, one}) == Tensor({2, 2}, {5, 8, 7, 10}));
    CHECK(run<float>(Sum{}, {a}) == a);
    CHECK(run<float>(Mean{}, {a, b}) == Tensor({2, 2}, {5.5f, 11, 16.5f, 22}));
    CHECK(run<float>(Sub{}, {a, row}) == Tensor({2, 2}, {-1, -2, 1, 0}));
    CHECK(run<float>(Sub{}, {one, a}) == Tensor({2, 2}, {1, 0, -1, -2}));
    CHECK(run<float>(Mul{}, {a, b}) == Tensor({2, 2}, {10, 40, 90, 160}));
    CHECK(run<float>(Div{}, {b, row}) == Tensor({2, 2}, {5, 5, 15, 10}));
    CHECK(run<float>(Div{}, {Tensor({1}, {1}), Tensor({2}, {0, 4})})[0] ==
          std::numeric_limits<float>::infinity());
    CHECK(run<float>(Pow{}, {a, one}) == Tensor({2, 2}, {1, 4, 9, 16}));
    CHECK(run<float>(Pow{}, {one, a}) == Tensor({2, 2}, {2, 4, 8, 16}));
    // Both are broadcast.
    CHECK(run<float>(Mul{}, {Tensor({2, 1}, {1, 10}), Tensor({1, 3}, {1, 2, 3})}) ==
          Tensor({2, 3}, {1, 2, 3, 10, 20, 30}));
}

TEST_CASE("arithmetic: gradients are those of central differences, summed over what was broadcast") {
    Shape const full{2, 3, 4, 5};
    for (const Shape& other : {full, Shape{3, 1, 1}, Shape{1}, Shape{4, 5}, Shape{2, 1, 4, 1}}) {
        INFO(to_string(other));
        for (M m : {M(BasicAdd<double>{}), M(BasicSum<double>{}), M(BasicMean<double>{}),
                    M(BasicSub<double>{}), M(BasicMul<double>{})}) {
            INFO(m.type());
            CHECK(gradient_error(m, {full, other}) < gradient_tolerance);
            CHECK(gradient_error(m, {other, full}) < gradient_tolerance);
        }
    }
    M add = BasicAdd<double>{}, mean = BasicMean<double>{}, sum = BasicSum<double>{},
      mul = BasicMul<double>{};
    CHECK(gradient_error(add, {{2, 1, 3}, {4, 1}, {3}}) < gradient_tolerance);
    CHECK(gradient_error(mean, {{2, 1, 3}, {4, 1}, {3}, {1}}) < gradient_tolerance);
    CHECK(gradient_error(sum, {{2, 3}}) < gradient_tolerance);
    CHECK(gradient_error(mul, {{2, 1, 3}, {4, 1}}) < gradient_tolerance);
}

TEST_CASE("arithmetic: gradients of quotients and powers") {
    auto const positive = [](const Shape& shape, double least) {
        BasicTensor<double> x(shape);
        fill_distinct(x.span(), 5);
        for (double& v : x) v += 1 + least;
        return x;
    };
    M div = BasicDiv<double>{}, pow = BasicPow<double>{};
    for (const Shape& other : {Shape{3, 4}, Shape{4}, Shape{3, 1}, Shape{1}}) {
        CHECK(gradient_error_at(div, {positive({3, 4}, 0.5), positive(other, 0.5)}) < gradient_tolerance);
        CHECK(gradient_error_at(div, {positive(other, 0.5), positive({3, 4}, 0.5)}) < gradient_tolerance);
        CHECK(gradient_error_at(pow, {positive({3, 4}, 0.5), positive(other, -1)}) < gradient_tolerance);
        CHECK(gradient_error_at(pow, {positive(other, 0.5), positive({3, 4}, -1)}) < gradient_tolerance);
    }
}

TEST_CASE(
    "Pow: of a square the base may be negative, and nothing is infinite at 0 that PyTorch makes finite") {
    Tensor const x({1, 3}, {-3, 0, 2}), exponent({1}, {2}), y({1, 3}, {9, 0, 4}), g({1, 3}, {1, 1, 1});
    Tensor gx({1, 3}), ge({1});
    Scratch scratch;
    const Tensor* const inputs[] = {&x, &exponent};
    Tensor* const wanted[] = {&gx, nullptr};
    Module(Pow{}).backward(inputs, y, g, wanted, {}, scratch, Mode::evaluate);
    CHECK(gx == Tensor({1, 3}, {-6, 0, 4}));
    Tensor const zero({1}, {0}), base({1}, {0}), one({1}, {1}), two({1}, {2});
    Tensor gb({1});
    Tensor* const both[] = {&gb, &ge};
    const Tensor* const at_zero[] = {&base, &zero};
    Module(Pow{}).backward(at_zero, one, one, both, {}, scratch, Mode::evaluate);
    CHECK(gb[0] == 0);
    CHECK(ge[0] == 0);
    const Tensor* const zero_squared[] = {&base, &two};
    Module(Pow{}).backward(zero_squared, zero, one, both, {}, scratch, Mode::evaluate);
    CHECK(ge[0] == 0);
}

TEST_CASE("arithmetic: the bits do not depend on the threads") {
    Executor const four(4);
    Tensor x({400, 3, 50, 50}), bias({3, 1, 1});
    for (std::size_t i = 0; i != x.size(); ++i) x[i] = float(i % 1013) * 0.37f - 100;
    for (std::size_t i = 0; i != 3; ++i) bias[i] = 0.1f + float(i);
    auto const bits = [&](const Executor* executor) {
        Tensor y(x.shape()), gb(bias.shape()), gx(x.shape());
        Scratch scratch;
        scratch.use(executor);
        const Tensor* const inputs[] = {&x, &bias};
        Tensor* const gradients[] = {&gx, &gb};
        Module const m = Mul{};
        m.forward(inputs, y, scratch, Mode::evaluate);
        m.backward(inputs, y, y, gradients, {}, scratch, Mode::evaluate);
        return std::pair(y, gb);
    };
    CHECK(bits(nullptr) == bits(&four));
}

TEST_CASE("arithmetic: errors of shapes") {
    CHECK(shape_error(Module(Add{}), {{4, 2}}) == "expected two or more inputs, found [4, 2]");
    CHECK(shape_error(Module(Sum{}), {}) == "expected one or more inputs, found none");
    CHECK(shape_error(Module(Add{}), {{4, 2}, {4, 3}}) ==
          "expected inputs that broadcast, found [4, 2] and [4, 3]");
    CHECK(shape_error(Module(Div{}), {{4, 2}, {4, 2}, {4, 2}}).starts_with("expected two inputs, found"));
    CHECK(Module(Mul{}).output_shape(std::vector<Shape>{{any_batch, 4}, {1}}).value() == Shape{any_batch, 4});
}

TEST_CASE("Pow: the exponent of 0 has no gradient where it is 0 or above, and an infinite one below") {
    BasicModule<double> const power = BasicPow<double>{};
    using T = BasicTensor<double>;
    T const a({3}, {0, 0, 0}), b({3}, {2, 0, -1}), g({3}, {1, 1, 1});
    T y({3}), ga({3}), gb({3});
    std::vector<const T*> const inputs{&a, &b};
    std::vector<T*> const gradients{&ga, &gb};
    BasicScratch<double> scratch;
    power.forward(inputs, y, scratch, Mode::evaluate);
    power.backward(inputs, y, g, gradients, {}, scratch, Mode::evaluate);
    CHECK(gb[0] == 0);
    CHECK(gb[1] == 0);
    CHECK(gb[2] == -std::numeric_limits<double>::infinity());
}

}  // namespace nn_arithmetic_test
