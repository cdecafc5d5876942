// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/conv_function.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_conv_function_test {

using namespace amct_distill::nn;

namespace {

/// The function's numbers are the layer's, and its gradients right, those of the weight too.
template <class Layer, class Options>
void check(const Options& options, const Shape& input) {
    BasicModule<double> module = Layer(options);
    INFO(module.type());
    fill_parameters(module);
    auto const weight = module.weighted()->weight();
    BasicModule<double> function = BasicConvFunction<Layer>(options);
    CHECK(function.type() == "Functional" + std::string(module.type()));
    CHECK(function.operation() == module.operation());
    CHECK(function.options() == module.options());
    CHECK(function.parameters().empty());
    BasicTensor<double> x(input);
    fill_distinct(x, 3);
    CHECK(run<double>(function, {x, weight}) == run<double>(module, {x}));
    CHECK(gradient_error(function, {input, weight.shape()}) < gradient_tolerance);
}

}  // namespace

TEST_CASE("functional convolutions: the numbers of the layers, and the gradient of the weight") {
    check<BasicConv1d<double>>(
        Conv1dOptions{
            .in_channels = 2, .out_channels = 4, .kernel = 3, .padding = 1, .groups = 2, .bias = false},
        {2, 2, 5});
    check<BasicConv2d<double>>(Conv2dOptions{.in_channels = 2,
                                             .out_channels = 3,
                                             .kernel = {3, 2},
                                             .stride = {2, 1},
                                             .padding = {1, 0},
                                             .bias = false},
                               {2, 2, 4, 5});
    check<BasicConvTranspose1d<double>>(
        ConvTranspose1dOptions{.in_channels = 2, .out_channels = 3, .kernel = 2, .stride = 2, .bias = false},
        {2, 2, 3});
    check<BasicConvTranspose2d<double>>(ConvTranspose2dOptions{.in_channels = 4,
                                                               .out_channels = 2,
                                                               .kernel = {2, 3},
                                                               .stride = {2, 1},
                                                               .groups = 2,
                                                               .bias = false},
                                        {1, 4, 2, 3});
}

TEST_CASE("functional convolutions: errors of shapes and options") {
    BasicModule<float> const conv =
        FunctionalConv2d({.in_channels = 3, .out_channels = 8, .kernel = {3, 3}, .bias = false});
    CHECK(conv.output_shape(std::vector<Shape>{{any_batch, 3, 4, 5}, {8, 3, 3, 3}}).value() ==
          Shape{any_batch, 8, 2, 3});
    CHECK(shape_error(conv, {{1, 3, 4, 5}, {8, 3, 3, 2}}) ==
          "expected an image and a weight [8, 3, 3, 3], found [1, 3, 4, 5] and [8, 3, 3, 2]");
    CHECK(shape_error(conv, {{1, 3, 4, 5}}) ==
          "expected an image and a weight [8, 3, 3, 3], found [1, 3, 4, 5]");
    CHECK(shape_error(conv, {{1, 2, 4, 5}, {8, 3, 3, 3}}).starts_with("expected one input [N, 3, H, W]"));
    CHECK_THROWS_WITH(FunctionalConv1d({.in_channels = 3, .out_channels = 8}),
                      "FunctionalConv1d: it has no bias; set the option to false, and add one");
}

}  // namespace nn_conv_function_test
