// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/conv1d.hpp>

#include <amct_distill/nn/layers/conv2d.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_conv1d_test {

using namespace amct_distill::nn;

namespace {

struct Case {
    std::string what;
    Conv1dOptions options;
    Shape input;
};

const std::vector<Case>& cases() {
    static const std::vector<Case> all{
        {"plain", {.in_channels = 2, .out_channels = 3, .kernel = 3}, {2, 2, 6}},
        {"padding and stride",
         {.in_channels = 2, .out_channels = 5, .kernel = 3, .stride = 2, .padding = 2},
         {2, 2, 7}},
        {"dilation",
         {.in_channels = 1, .out_channels = 2, .kernel = 2, .padding = 1, .dilation = 3},
         {3, 1, 6}},
        {"groups", {.in_channels = 4, .out_channels = 6, .kernel = 3, .groups = 2}, {2, 4, 5}},
        {"depthwise, no bias",
         {.in_channels = 3, .out_channels = 3, .kernel = 2, .groups = 3, .bias = false},
         {1, 3, 4}},
    };
    return all;
}

BasicConv1d<double> filled(const Conv1dOptions& options) {
    BasicModule<double> module = BasicConv1d<double>(options);
    fill_parameters(module);
    return *module.get_if<BasicConv1d<double>>();
}

}  // namespace

TEST_CASE("Conv1d: the numbers of an example") {
    BasicConv1d<double> conv({.in_channels = 1, .out_channels = 1, .kernel = 2, .stride = 2, .padding = 1});
    conv.weight() = {{1, 1, 2}, {10, 1}};
    conv.bias() = {{1}, {0.5}};
    CHECK(run<double>(conv, {{{1, 1, 3}, {1, 2, 3}}}) == BasicTensor<double>({1, 1, 2}, {1.5, 23.5}));
}

TEST_CASE("Conv1d: the convolution of an image of one row") {
    for (const Case& c : cases()) {
        INFO(c.what);
        const Conv1dOptions& o = c.options;
        BasicConv1d<double> const conv = filled(o);
        BasicConv2d<double> row({.in_channels = o.in_channels,
                                 .out_channels = o.out_channels,
                                 .kernel = {1, o.kernel},
                                 .stride = {1, o.stride},
                                 .padding = {0, o.padding},
                                 .dilation = {1, o.dilation},
                                 .groups = o.groups,
                                 .bias = o.bias});
        std::ranges::copy(conv.weight(), row.weight().begin());
        row.bias() = conv.bias();
        BasicTensor<double> x(c.input);
        fill_distinct(x, 3);
        auto const y = run<double>(conv, {x});
        x.resize({c.input[0], c.input[1], 1, c.input[2]});
        auto expected = run<double>(row, {x});
        REQUIRE(expected.shape() == Shape{y.dim(0), y.dim(1), 1, y.dim(2)});
        expected.resize(y.shape());
        CHECK(y == expected);
    }
}

TEST_CASE("Conv1d: gradients are those of central differences") {
    for (const Case& c : cases()) {
        INFO(c.what);
        BasicModule<double> module = filled(c.options);
        CHECK(gradient_error(module, {c.input}) < gradient_tolerance);
    }
}

TEST_CASE("Conv1d: parameters, options and errors") {
    BasicModule<double> conv =
        BasicConv1d<double>({.in_channels = 4, .out_channels = 6, .kernel = 3, .groups = 2});
    CHECK(conv.type() == "Conv1d");
    CHECK(conv.operation() == "Conv");
    CHECK(std::ranges::equal(conv.parameters()[0].shape(), Shape{6, 2, 3}));
    CHECK(conv.weighted()->output_channels() == 6);
    CHECK(conv.options() ==
          "in_channels: 4 out_channels: 6 kernel: 3 stride: 1 padding: 0 dilation: 1 groups: 2 bias: true");
    CHECK(shape_error(conv, {{any_batch, 4, 3}}).empty());
    CHECK(shape_error(conv, {{2, 4, 3, 3}}) == "expected one input [N, 4, L], found [2, 4, 3, 3]");
    CHECK(shape_error(conv, {{2, 3, 3}}) == "expected one input [N, 4, L], found [2, 3, 3]");
    CHECK(shape_error(conv, {{2, 4, 2}}) ==
          "expected an image that holds the kernel 3 (padding 0, dilation 1), found [2, 4, 2]");
    CHECK_THROWS_WITH(BasicConv1d<double>({.in_channels = 4, .out_channels = 6, .groups = 3}),
                      "Conv1d: 3 groups must divide the 4 input and the 6 output channels");
    CHECK_THROWS_WITH(
        BasicConv1d<double>({.in_channels = 1, .out_channels = 1, .padding = -1}),
        "Conv1d: channels, groups, kernel, stride, dilation must be at least 1, padding at least 0");
}

}  // namespace nn_conv1d_test
