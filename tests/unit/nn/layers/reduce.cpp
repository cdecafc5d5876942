// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/reduce.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_reduce_test {

using namespace amct_distill::nn;
namespace reductions = amct_distill::detail::reductions;
using M = BasicModule<double>;

namespace {

M module_of(int which, const ReduceOptions& o) {
    switch (which) {
        case 0:
            return Reduce<double, reductions::Sum>(o);
        case 1:
            return Reduce<double, reductions::Mean>(o);
        case 2:
            return Reduce<double, reductions::Max>(o);
        case 3:
            return Reduce<double, reductions::Min>(o);
        case 4:
            return Reduce<double, reductions::Prod>(o);
        case 5:
            return Reduce<double, reductions::L1>(o);
        case 6:
            return Reduce<double, reductions::L2>(o);
        case 7:
            return Reduce<double, reductions::LogSum>(o);
        case 8:
            return Reduce<double, reductions::LogSumExp>(o);
        default:
            return Reduce<double, reductions::SumSquare>(o);
    }
}

Tensor back(const Module& m, const Tensor& x, const Tensor& g) {
    Tensor const y = run<float>(m, {x});
    Tensor gx(x.shape());
    Scratch scratch;
    const Tensor* const inputs[] = {&x};
    Tensor* const gradients[] = {&gx};
    m.backward(inputs, y, g, gradients, {}, scratch, Mode::evaluate);
    return gx;
}

}  // namespace

TEST_CASE("reductions: values") {
    Tensor const x({2, 2, 2}, {1, -2, 3, 4, -5, 6, 7, 8});
    ReduceOptions const middle{.axes = {1}, .keepdims = false};
    CHECK(run<float>(ReduceSum(middle), {x}) == Tensor({2, 2}, {4, 2, 2, 14}));
    CHECK(run<float>(ReduceMean(middle), {x}) == Tensor({2, 2}, {2, 1, 1, 7}));
    CHECK(run<float>(ReduceMax(middle), {x}) == Tensor({2, 2}, {3, 4, 7, 8}));
    CHECK(run<float>(ReduceMin(middle), {x}) == Tensor({2, 2}, {1, -2, -5, 6}));
    CHECK(run<float>(ReduceProd(middle), {x}) == Tensor({2, 2}, {3, -8, -35, 48}));
    CHECK(run<float>(ReduceL1(middle), {x}) == Tensor({2, 2}, {4, 6, 12, 14}));
    CHECK(run<float>(ReduceSumSquare(middle), {x}) == Tensor({2, 2}, {10, 20, 74, 100}));
    CHECK(run<float>(ReduceL2(middle), {x})[3] == 10);
    CHECK(run<float>(ReduceLogSum(middle), {x})[0] == Approx(std::log(4.0)));
    CHECK(run<float>(ReduceLogSumExp(middle), {x})[0] == Approx(3 + std::log1p(std::exp(-2.0))));
    CHECK(run<float>(ReduceSum({.axes = {2, 0}}), {x}) == Tensor({1, 2, 1}, {0, 22}));
    CHECK(run<float>(ReduceSum({.axes = {0, 1, 2}, .keepdims = false}), {x}) == Tensor({1}, {22}));
    CHECK(run<float>(ReduceSumSquare(ReduceOptions{}), {x})[3] == 16);
}

TEST_CASE("reductions: long sums are exact, large exponents do not overflow, NaN is passed on") {
    Tensor ones({3000, 1000});
    ones.fill(0.1f);
    CHECK(run<float>(ReduceMean({.axes = {0, 1}}), {ones})[0] == 0.1f);
    Tensor const big({1, 3}, {1000, 1001, -1000});
    CHECK(run<float>(ReduceLogSumExp({.axes = {1}}), {big})[0] == Approx(1001 + std::log1p(std::exp(-1.0))));
    float const infinity = std::numeric_limits<float>::infinity();
    CHECK(run<float>(ReduceLogSumExp({.axes = {1}}), {Tensor({1, 2}, {-infinity, -infinity})})[0] ==
          -infinity);
    for (int i = 0; i != 10; ++i) {
        BasicTensor<double> x({1, 3}, {1, std::nan(""), 2});
        CHECK(std::isnan(run<double>(module_of(i, {.axes = {1}}), {x})[0]));
    }
}

TEST_CASE("reductions: gradients are those of central differences") {
    BasicTensor<double> x({3, 4, 2, 5});
    fill_distinct(x.span(), 3);
    for (double& v : x) v += 1.5;
    for (int i = 0; i != 10; ++i)
        for (const Shape& axes : {Shape{}, Shape{1}, Shape{3}, Shape{0, 2}, Shape{2, 3}, Shape{0, 1, 2, 3}})
            for (bool keep : {true, false}) {
                if (i == 4 && axes.size() == 4) continue;  // a product of 120 numbers is no test
                M m = module_of(i, {.axes = axes, .keepdims = keep});
                INFO(m.type() << ' ' << m.options());
                CHECK(gradient_error_at(m, {x}) < 10 * gradient_tolerance);
            }
}

TEST_CASE("reductions: gradients where there is a choice") {
    Tensor const g({1, 1}, {6});
    CHECK(back(ReduceMax({.axes = {1}}), Tensor({1, 3}, {2, 1, 2}), g) == Tensor({1, 3}, {3, 0, 3}));
    CHECK(back(ReduceMin({.axes = {1}}), Tensor({1, 3}, {2, 1, 2}), g) == Tensor({1, 3}, {0, 6, 0}));
    CHECK(back(ReduceProd({.axes = {1}}), Tensor({1, 3}, {2, 0, 5}), g) == Tensor({1, 3}, {0, 60, 0}));
    CHECK(back(ReduceProd({.axes = {1}}), Tensor({1, 3}, {0, 0, 5}), g) == Tensor({1, 3}, {0, 0, 0}));
    CHECK(back(ReduceL2({.axes = {1}}), Tensor({1, 2}, {0, 0}), g) == Tensor({1, 2}, {0, 0}));
    CHECK(back(ReduceL1({.axes = {1}}), Tensor({1, 2}, {0, -1}), g) == Tensor({1, 2}, {0, -6}));
}

TEST_CASE("reductions: shapes, options and errors") {
    Module const m = ReduceMean({.axes = {3, 2}});
    CHECK(m.options() == "axes: [2, 3] keepdims: true");
    CHECK(m.output_shape(std::vector<Shape>{{any_batch, 3, 4, 5}}).value() == Shape{any_batch, 3, 1, 1});
    CHECK(shape_error(m, {{4, 3}}) == "expected one input with a dimension 3, found [4, 3]");
    CHECK(shape_error(Module(ReduceSum({.axes = {0}})), {{any_batch, 3}}) ==
          "expected an input of a fixed size, because dimension 0, which is reduced, is the batch, found [N, "
          "3]");
    CHECK_THROWS_WITH(ReduceSum({.axes = {1, 1}}),
                      "ReduceSum: expected axes of 0 or more, each once, found [1, 1]");
    CHECK_THROWS_WITH(ReduceMax({.axes = {-1}}),
                      "ReduceMax: expected axes of 0 or more, each once, found [N]");
}

}  // namespace nn_reduce_test
