// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/conv2d.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_conv2d_test {

using namespace amct_distill::nn;

namespace {

struct Case {
    std::string what;
    Conv2dOptions options;
    Shape input;
};

const std::vector<Case>& cases() {
    static const std::vector<Case> all{
        {"plain", {.in_channels = 2, .out_channels = 3, .kernel = {3, 3}}, {2, 2, 5, 6}},
        {"padding", {.in_channels = 2, .out_channels = 3, .kernel = {3, 3}, .padding = {1, 1}}, {2, 2, 4, 5}},
        {"stride", {.in_channels = 1, .out_channels = 2, .kernel = {3, 2}, .stride = {2, 3}}, {3, 1, 7, 8}},
        {"stride and padding",
         {.in_channels = 2, .out_channels = 2, .kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}},
         {1, 2, 7, 7}},
        {"dilation",
         {.in_channels = 2, .out_channels = 2, .kernel = {3, 3}, .padding = {2, 1}, .dilation = {2, 2}},
         {2, 2, 5, 7}},
        {"stride, padding and dilation",
         {.in_channels = 1,
          .out_channels = 2,
          .kernel = {2, 3},
          .stride = {3, 2},
          .padding = {3, 4},
          .dilation = {3, 2}},
         {2, 1, 6, 5}},
        {"groups",
         {.in_channels = 4, .out_channels = 6, .kernel = {3, 3}, .padding = {1, 1}, .groups = 2},
         {2, 4, 4, 3}},
        {"depthwise",
         {.in_channels = 3, .out_channels = 3, .kernel = {3, 3}, .padding = {1, 1}, .groups = 3},
         {2, 3, 4, 4}},
        {"depthwise, two outputs each",
         {.in_channels = 3, .out_channels = 6, .kernel = {2, 2}, .groups = 3, .bias = false},
         {2, 3, 3, 4}},
        {"pointwise", {.in_channels = 5, .out_channels = 4}, {2, 5, 3, 3}},
        {"pointwise in groups",
         {.in_channels = 4, .out_channels = 4, .groups = 2, .bias = false},
         {2, 4, 3, 2}},
        {"pointwise with a stride", {.in_channels = 3, .out_channels = 2, .stride = {2, 2}}, {2, 3, 5, 4}},
        {"pointwise with padding", {.in_channels = 2, .out_channels = 2, .padding = {1, 1}}, {1, 2, 2, 3}},
        {"no bias", {.in_channels = 2, .out_channels = 3, .kernel = {3, 3}, .bias = false}, {2, 2, 4, 4}},
        {"one position", {.in_channels = 2, .out_channels = 3, .kernel = {4, 4}}, {3, 2, 4, 4}},
        {"one column of positions", {.in_channels = 2, .out_channels = 3, .kernel = {1, 4}}, {2, 2, 5, 4}},
        {"several parts of positions and of depth",
         {.in_channels = 15, .out_channels = 2, .kernel = {3, 3}, .padding = {1, 1}},
         {1, 15, 19, 18}},
        {"more padding than image",
         {.in_channels = 1, .out_channels = 1, .kernel = {3, 3}, .padding = {4, 4}},
         {1, 1, 1, 2}},
    };
    return all;
}

BasicConv2d<double> filled(const Conv2dOptions& options) {
    BasicModule<double> module = BasicConv2d<double>(options);
    fill_parameters(module);
    return *module.get_if<BasicConv2d<double>>();
}

/// The definition, loop by loop.
BasicTensor<double> direct(const BasicConv2d<double>& conv, const BasicTensor<double>& x,
                           const Shape& shape) {
    const auto& o = conv.options();
    BasicTensor<double> y(shape);
    Index const in = o.in_channels / o.groups, out = o.out_channels / o.groups;
    std::size_t at = 0;
    for (Index n = 0; n != shape[0]; ++n)
        for (Index c = 0; c != shape[1]; ++c)
            for (Index i = 0; i != shape[2]; ++i)
                for (Index j = 0; j != shape[3]; ++j, ++at) {
                    if (o.bias) y[at] = conv.bias()[std::size_t(c)];
                    for (Index k = 0; k != in; ++k)
                        for (Index ky = 0; ky != o.kernel[0]; ++ky)
                            for (Index kx = 0; kx != o.kernel[1]; ++kx) {
                                Index const row = i * o.stride[0] + ky * o.dilation[0] - o.padding[0];
                                Index const col = j * o.stride[1] + kx * o.dilation[1] - o.padding[1];
                                if (row < 0 || row >= x.dim(2) || col < 0 || col >= x.dim(3)) continue;
                                Index const pixel =
                                    ((n * x.dim(1) + c / out * in + k) * x.dim(2) + row) * x.dim(3) + col;
                                Index const weight = ((c * in + k) * o.kernel[0] + ky) * o.kernel[1] + kx;
                                y[at] += x[std::size_t(pixel)] * conv.weight()[std::size_t(weight)];
                            }
                }
    return y;
}

}  // namespace

TEST_CASE("Conv2d: forward is the definition") {
    for (const Case& c : cases()) {
        INFO(c.what);
        BasicConv2d<double> const conv = filled(c.options);
        BasicTensor<double> x(c.input);
        fill_distinct(x, 3);
        auto const y = run<double>(conv, {x});
        auto const expected = direct(conv, x, y.shape());
        double worst = 0;
        for (std::size_t i = 0; i != y.size(); ++i) worst = (std::max)(worst, std::abs(y[i] - expected[i]));
        CHECK(worst < 1e-13);  // sums of at most 45 products below 1, in another order
    }
}

TEST_CASE("Conv2d: gradients are those of central differences") {
    for (const Case& c : cases()) {
        if (product(c.input, 0, 4) > 1000) continue;  // see the next test
        INFO(c.what);
        BasicModule<double> module = filled(c.options);
        CHECK(gradient_error(module, {c.input}) < gradient_tolerance);
    }
}

TEST_CASE("Conv2d: gradients of large ones, which go in parts, are the adjoint of forward") {
    // Without bias the output y is linear in x and in w: <g, y(x, w)> = <dx, x> = <dw, w>, for any x and w.
    for (const Case& c :
         {Case{"all parts",
               {.in_channels = 65, .out_channels = 260, .kernel = {3, 3}, .padding = {1, 1}},
               {9, 65, 17, 16}},
          Case{"parts in groups",
               {.in_channels = 8, .out_channels = 6, .kernel = {5, 3}, .stride = {1, 2}, .groups = 2},
               {11, 8, 40, 41}}}) {
        INFO(c.what);
        BasicConv2d<double> conv = filled(c.options);
        conv.bias().fill(0);
        BasicTensor<double> x(c.input), gx(c.input), gw(conv.weight().shape()), gb(conv.bias().shape());
        fill_distinct(x, 3);
        auto const y = run<double>(conv, {x});
        BasicTensor<double> g(y.shape());
        fill_distinct(g, 4);
        BasicScratch<double> scratch;
        conv.backward_with(conv.weight(), x, g, &gx, &gw, &gb, scratch);

        BasicTensor<double> other_x(c.input);
        fill_distinct(other_x, 5);
        BasicConv2d<double> other_w = conv;
        fill_distinct(other_w.weight(), 6);
        auto const dot = [](const auto& a, const auto& b) { return (array(a) * array(b)).sum(); };
        auto const tolerance = 1e-9;  // of sums of up to a million products of order 1, in another order
        CHECK(std::abs(dot(g, run<double>(conv, {other_x})) - dot(gx, other_x)) < tolerance);
        CHECK(std::abs(dot(g, run<double>(other_w, {x})) - dot(gw, other_w.weight())) < tolerance);
        double const before = dot(g, y);
        conv.bias().fill(1);
        CHECK(std::abs(dot(g, run<double>(conv, {x})) - before - array(gb).sum()) < tolerance);
    }
}

TEST_CASE("Conv2d: parameters") {
    BasicModule<double> conv =
        BasicConv2d<double>({.in_channels = 4, .out_channels = 6, .kernel = {3, 2}, .groups = 2});
    auto const p = conv.parameters();
    REQUIRE(p.size() == 2);
    CHECK(p[0].name == "weight");
    CHECK(p[0].role == Role::weight);
    CHECK(std::ranges::equal(p[0].shape(), Shape{6, 2, 3, 2}));
    CHECK(p[1].name == "bias");
    CHECK(p[1].role == Role::bias);
    CHECK(std::ranges::equal(p[1].shape(), Shape{6}));
    CHECK(conv.type() == "Conv2d");
    CHECK(BasicModule<double>(BasicConv2d<double>({.in_channels = 1, .out_channels = 1, .bias = false}))
              .parameters()
              .size() == 1);
}

TEST_CASE("Conv2d: with other weights than its own, and only the gradients that are wanted") {
    BasicConv2d<double> conv = filled({.in_channels = 2, .out_channels = 2, .kernel = {2, 2}});
    BasicTensor<double> const own = conv.weight();
    BasicTensor<double> other(own.shape());
    fill_distinct(other, 5);
    BasicTensor<double> x({1, 2, 3, 3}), y({1, 2, 2, 2}), gx(x.shape());
    fill_distinct(x, 6);
    BasicScratch<double> scratch;
    conv.forward_with(other, x, y, scratch);
    conv.backward_with(other, x, y, &gx, nullptr, nullptr, scratch);

    conv.weight() = other;
    CHECK(run<double>(conv, {x}) == y);
    BasicTensor<double> expected(x.shape()), gw(own.shape());
    conv.backward_with(conv.weight(), x, y, &expected, &gw, nullptr, scratch);
    CHECK(gx == expected);
}

TEST_CASE("Conv2d: errors of shapes and options") {
    BasicModule<double> const conv =
        BasicConv2d<double>({.in_channels = 3, .out_channels = 8, .kernel = {3, 3}, .dilation = {2, 2}});
    CHECK(shape_error(conv, {{8, 3, 28, 28}}).empty());
    CHECK(shape_error(conv, {{8, 1, 28, 28}}) == "expected one input [N, 3, H, W], found [8, 1, 28, 28]");
    CHECK(shape_error(conv, {{8, 3}}) == "expected one input [N, 3, H, W], found [8, 3]");
    CHECK(shape_error(conv, {}) == "expected one input [N, 3, H, W], found none");
    CHECK(shape_error(conv, {{any_batch, 3, 4, 9}}) ==
          "expected an image that holds the kernel 3x3 (padding 0x0, dilation 2x2), found [N, 3, 4, 9]");

    CHECK_THROWS_WITH(BasicConv2d<double>({.in_channels = 4, .out_channels = 6, .groups = 3}),
                      "Conv2d: 3 groups must divide the 4 input and the 6 output channels");
    char const* const least =
        "Conv2d: channels, groups, kernel, stride, dilation must be at least 1, padding at least 0";
    CHECK_THROWS_WITH(BasicConv2d<double>({.in_channels = 4}), least);
    CHECK_THROWS_WITH(BasicConv2d<double>({.in_channels = 1, .out_channels = 1, .stride = {1, 0}}), least);
    CHECK_THROWS_WITH(BasicConv2d<double>({.in_channels = 1, .out_channels = 1, .padding = {-1, 0}}), least);
}

TEST_CASE("Conv2d: a kernel of one pixel reads padding on any side, and an image that is cut") {
    for (Size2 padding : {Size2{0, 0}, Size2{1, 0}, Size2{0, 2}, Size2{1, 1}}) {
        BasicModule<double> m =
            BasicConv2d<double>({.in_channels = 5, .out_channels = 6, .padding = padding});
        fill_parameters(m);
        CHECK(gradient_error(m, {{2, 5, 3, 4}}) < gradient_tolerance);
    }
}

}  // namespace nn_conv2d_test
