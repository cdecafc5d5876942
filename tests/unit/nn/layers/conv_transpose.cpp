// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/conv_transpose.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_conv_transpose_test {

using namespace amct_distill::nn;

namespace {

struct Case {
    std::string what;
    ConvTranspose2dOptions options;
    Shape input, output;
};

const std::vector<Case>& cases() {
    static const std::vector<Case> all{
        {"plain", {.in_channels = 2, .out_channels = 3, .kernel = {3, 2}}, {2, 2, 3, 4}, {2, 3, 5, 5}},
        {"upsampling",
         {.in_channels = 5, .out_channels = 4, .kernel = {2, 2}, .stride = {2, 2}},
         {2, 5, 3, 2},
         {2, 4, 6, 4}},
        {"padding",
         {.in_channels = 2, .out_channels = 2, .kernel = {3, 3}, .stride = {2, 1}, .padding = {1, 2}},
         {1, 2, 3, 5},
         {1, 2, 5, 3}},
        {"output padding",
         {.in_channels = 2,
          .out_channels = 2,
          .kernel = {3, 3},
          .stride = {2, 3},
          .padding = {1, 1},
          .output_padding = {1, 2}},
         {2, 2, 3, 2},
         {2, 2, 6, 6}},
        {"more output padding than a window reaches",
         {.in_channels = 1, .out_channels = 2, .stride = {1, 2}, .output_padding = {2, 3}},
         {1, 1, 2, 2},
         {1, 2, 4, 6}},
        {"less than no output padding",
         {.in_channels = 2,
          .out_channels = 3,
          .kernel = {3, 4},
          .stride = {1, 2},
          .output_padding = {-1, -3}},
         {2, 2, 3, 3},
         {2, 3, 4, 5}},
        {"dilation",
         {.in_channels = 2, .out_channels = 2, .kernel = {2, 3}, .padding = {1, 0}, .dilation = {3, 2}},
         {2, 2, 3, 2},
         {2, 2, 4, 6}},
        {"groups",
         {.in_channels = 4, .out_channels = 6, .kernel = {2, 2}, .stride = {2, 2}, .groups = 2},
         {2, 4, 2, 3},
         {2, 6, 4, 6}},
        {"depthwise, no bias",
         {.in_channels = 3,
          .out_channels = 3,
          .kernel = {3, 3},
          .stride = {2, 2},
          .groups = 3,
          .bias = false},
         {1, 3, 2, 2},
         {1, 3, 5, 5}},
    };
    return all;
}

BasicConvTranspose2d<double> filled(const ConvTranspose2dOptions& options) {
    BasicModule<double> module = BasicConvTranspose2d<double>(options);
    fill_parameters(module);
    return *module.get_if<BasicConvTranspose2d<double>>();
}

/// The definition, loop by loop: every value of the input is spread over the output.
BasicTensor<double> direct(const BasicConvTranspose2d<double>& conv, const BasicTensor<double>& x,
                           const Shape& shape) {
    const auto& o = conv.options();
    BasicTensor<double> y(shape);
    Index const in = o.in_channels / o.groups, out = o.out_channels / o.groups;
    Index const pixels = shape[2] * shape[3];
    if (o.bias)
        for (std::size_t i = 0; i != y.size(); ++i)
            y[i] = conv.bias().data()[static_cast<Index>(i) / pixels % o.out_channels];
    for (Index n = 0; n != x.dim(0); ++n)
        for (Index c = 0; c != o.in_channels; ++c)
            for (Index i = 0; i != x.dim(2); ++i)
                for (Index j = 0; j != x.dim(3); ++j)
                    for (Index k = 0; k != out; ++k)
                        for (Index ky = 0; ky != o.kernel[0]; ++ky)
                            for (Index kx = 0; kx != o.kernel[1]; ++kx) {
                                Index const row = i * o.stride[0] + ky * o.dilation[0] - o.padding[0];
                                Index const col = j * o.stride[1] + kx * o.dilation[1] - o.padding[1];
                                if (row < 0 || row >= shape[2] || col < 0 || col >= shape[3]) continue;
                                Index const channel = n * o.out_channels + c / in * out + k;
                                y.data()[(channel * shape[2] + row) * shape[3] + col] +=
                                    x.data()[((n * o.in_channels + c) * x.dim(2) + i) * x.dim(3) + j] *
                                    conv.weight()
                                        .data()[((c * out + k) * o.kernel[0] + ky) * o.kernel[1] + kx];
                            }
    return y;
}

}  // namespace

TEST_CASE("ConvTranspose2d: forward is the definition") {
    for (const Case& c : cases()) {
        INFO(c.what);
        BasicConvTranspose2d<double> const conv = filled(c.options);
        BasicTensor<double> x(c.input);
        fill_distinct(x, 3);
        auto const y = run<double>(conv, {x});
        REQUIRE(y.shape() == c.output);
        auto const expected = direct(conv, x, y.shape());
        double worst = 0;
        for (std::size_t i = 0; i != y.size(); ++i) worst = (std::max)(worst, std::abs(y[i] - expected[i]));
        CHECK(worst < 1e-13);  // sums of some products below 1, in another order
    }
}

TEST_CASE("ConvTranspose2d: gradients are those of central differences") {
    for (const Case& c : cases()) {
        INFO(c.what);
        BasicModule<double> module = filled(c.options);
        CHECK(gradient_error(module, {c.input}) < gradient_tolerance);
    }
}

TEST_CASE("ConvTranspose1d: that of an image of one row") {
    ConvTranspose1dOptions const o{.in_channels = 2,
                                   .out_channels = 4,
                                   .kernel = 3,
                                   .stride = 2,
                                   .padding = 1,
                                   .output_padding = 1,
                                   .dilation = 2,
                                   .groups = 2};
    BasicModule<double> module = BasicConvTranspose1d<double>(o);
    fill_parameters(module);
    const auto& conv = *module.get_if<BasicConvTranspose1d<double>>();
    BasicConvTranspose2d<double> row({.in_channels = 2,
                                      .out_channels = 4,
                                      .kernel = {1, 3},
                                      .stride = {1, 2},
                                      .padding = {0, 1},
                                      .output_padding = {0, 1},
                                      .dilation = {1, 2},
                                      .groups = 2});
    std::ranges::copy(conv.weight(), row.weight().begin());
    row.bias() = conv.bias();
    BasicTensor<double> x({2, 2, 3});
    fill_distinct(x, 3);
    auto const y = run<double>(conv, {x});
    CHECK(y.shape() == Shape{2, 4, 8});
    x.resize({2, 2, 1, 3});
    auto expected = run<double>(row, {x});
    expected.resize({2, 4, 8});
    CHECK(y == expected);
    CHECK(gradient_error(module, {{2, 2, 3}}) < gradient_tolerance);
}

TEST_CASE("ConvTranspose2d: channels of its weight, options and errors") {
    BasicModule<double> conv = BasicConvTranspose2d<double>(
        {.in_channels = 4, .out_channels = 6, .kernel = {2, 3}, .padding = {1, 0}, .groups = 2});
    CHECK(conv.type() == "ConvTranspose2d");
    CHECK(std::ranges::equal(conv.parameters()[0].shape(), Shape{4, 3, 2, 3}));
    CHECK(std::ranges::equal(conv.parameters()[1].shape(), Shape{6}));
    CHECK(conv.weighted()->output_axis() == 1);
    CHECK(conv.weighted()->weight_groups() == 2);
    CHECK(conv.weighted()->output_channels() == 6);
    CHECK(conv.options() ==
          "in_channels: 4 out_channels: 6 kernel: [2, 3] stride: [1, 1] padding: [1, 0] output_padding: "
          "[0, 0] dilation: [1, 1] groups: 2 bias: true");
    CHECK(conv.output_shape(std::vector<Shape>{{any_batch, 4, 3, 3}}).value() == Shape{any_batch, 6, 2, 5});
    CHECK(shape_error(conv, {{2, 6, 3, 3}}) == "expected one input [N, 4, H, W], found [2, 6, 3, 3]");
    CHECK(shape_error(conv, {{2, 4, 1, 3}}) ==
          "expected an image of whose output the padding 1x0 leaves something, found [2, 4, 1, 3]");
    CHECK_THROWS_WITH(BasicConvTranspose2d<double>({.in_channels = 4, .out_channels = 6, .groups = 4}),
                      "ConvTranspose2d: 4 groups must divide the 4 input and the 6 output channels");
    CHECK_THROWS_WITH(
        BasicConvTranspose2d<double>({.in_channels = 4}),
        "ConvTranspose2d: channels, groups, kernel, stride, dilation must be at least 1, padding at least 0");
}

}  // namespace nn_conv_transpose_test
