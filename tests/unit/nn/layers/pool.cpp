// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/pool.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_pool_test {

using namespace amct_distill::nn;

namespace {
const Tensor& image() {
    static const Tensor x({1, 1, 3, 3}, {1, 2, 3, 4, 9, 6, 7, 8, 5});
    return x;
}
}  // namespace

TEST_CASE("pools: forward") {
    CHECK(run<float>(MaxPool2d({.kernel = {2, 2}, .stride = {1, 1}}), {image()}) ==
          Tensor({1, 1, 2, 2}, {9, 9, 9, 9}));
    CHECK(run<float>(MaxPool2d({.kernel = {2, 2}}), {image()}) == Tensor({1, 1, 1, 1}, {9}));
    CHECK(run<float>(AvgPool2d({.kernel = {2, 2}, .stride = {1, 1}}), {image()}) ==
          Tensor({1, 1, 2, 2}, {4, 5, 7, 7}));
    CHECK(run<float>(GlobalAveragePool{}, {image()}) == Tensor({1, 1, 1, 1}, {5}));
}

TEST_CASE("pools: padding is no maximum, and counts as zeros in an average") {
    Tensor const negative({1, 1, 2, 2}, {-1, -2, -3, -4});
    PoolOptions const options{.kernel = {2, 2}, .padding = {1, 1}};
    CHECK(run<float>(MaxPool2d(options), {negative}) == negative);
    CHECK(run<float>(AvgPool2d(options), {negative}) == Tensor({1, 1, 2, 2}, {-0.25f, -0.5f, -0.75f, -1}));
}

TEST_CASE("MaxPool2d: the first of equals takes the gradient, and NaN is the maximum") {
    Tensor const x({1, 1, 2, 2}, {3, 5, 5, 1}), g({1, 1, 1, 1}, {2});
    Tensor gx(x.shape());
    Tensor* const grad_inputs[] = {&gx};
    const Tensor* const inputs[] = {&x};
    Scratch scratch;
    MaxPool2d({.kernel = {2, 2}}).backward(inputs, g, g, grad_inputs, {}, scratch, Mode::evaluate);
    CHECK(gx == Tensor({1, 1, 2, 2}, {0, 2, 0, 0}));

    Tensor const with_nan({1, 1, 1, 3}, {1, std::numeric_limits<float>::quiet_NaN(), 2});
    CHECK(std::isnan(run<float>(MaxPool2d({.kernel = {1, 3}}), {with_nan})[0]));
}

TEST_CASE("pools: gradients are those of central differences") {
    struct Case {
        PoolOptions options;
        Shape shape;
    };
    for (const Case& c : {Case{{.kernel = {2, 2}}, {2, 2, 4, 4}}, Case{{.kernel = {2, 2}}, {2, 1, 5, 7}},
                          Case{{.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}, {1, 2, 5, 6}},
                          Case{{.kernel = {3, 2}, .stride = {1, 3}, .padding = {1, 0}}, {2, 3, 4, 5}},
                          Case{{.kernel = {1, 1}, .stride = {2, 2}}, {1, 1, 3, 3}}}) {
        INFO(to_string(c.shape));
        BasicModule<double> max = BasicMaxPool2d<double>(c.options);
        BasicModule<double> average = BasicAvgPool2d<double>(c.options);
        BasicModule<double> global = BasicGlobalAveragePool<double>{};
        CHECK(gradient_error(max, {c.shape}) < gradient_tolerance);
        CHECK(gradient_error(average, {c.shape}) < gradient_tolerance);
        CHECK(gradient_error(global, {c.shape}) < gradient_tolerance);
    }
}

TEST_CASE("pools: types, options and errors of shapes") {
    Module const max = MaxPool2d({.kernel = {3, 2}});
    CHECK(max.get_if<MaxPool2d>()->options().stride == Size2{3, 2});
    CHECK(max.type() == "MaxPool2d");
    CHECK(max.operation() == "MaxPool");
    CHECK(Module(GlobalAveragePool{}).type() == "AdaptiveAvgPool2d");
    CHECK(max.output_shape(std::vector<Shape>{{any_batch, 4, 9, 9}}).value() == Shape{any_batch, 4, 3, 4});
    CHECK(shape_error(max, {{4, 10}}) == "expected one input [N, C, H, W], found [4, 10]");
    CHECK(shape_error(max, {{4, 1, 2, 5}}) ==
          "expected an image that holds the kernel 3x2 (padding 0x0), found [4, 1, 2, 5]");
    CHECK(shape_error(Module(GlobalAveragePool{}), {{4, 10}}) ==
          "expected one input [N, C, H, W], found [4, 10]");
    CHECK_THROWS_WITH(AvgPool2d({.kernel = {3, 3}, .padding = {2, 2}}),
                      "pooling: padding 2x2 must be at most half the kernel 3x3");
    CHECK_THROWS_WITH(MaxPool2d({.kernel = {0, 1}}),
                      "pooling: kernel and stride must be at least 1, padding at least 0");
}

}  // namespace nn_pool_test
