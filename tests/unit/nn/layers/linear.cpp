// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/linear.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_linear_test {

using namespace amct_distill::nn;

TEST_CASE("Linear: forward") {
    BasicLinear<double> fc({.in_features = 3, .out_features = 2});
    fc.weight() = BasicTensor<double>({2, 3}, {1, 2, 3, 4, 5, 6});
    fc.bias() = BasicTensor<double>({2}, {0.5, -0.5});
    BasicTensor<double> const x({2, 3}, {1, 0, -1, 2, 1, 0});
    CHECK(run<double>(fc, {x}) == BasicTensor<double>({2, 2}, {-1.5, -2.5, 4.5, 12.5}));
}

TEST_CASE("Linear: gradients are those of central differences") {
    struct Case {
        Index batch, in, out;
        bool bias;
    };
    for (const Case& c :
         {Case{4, 3, 2, true}, Case{1, 5, 3, false}, Case{3, 1, 1, true}, Case{7, 33, 17, true}}) {
        INFO(c.batch << ' ' << c.in << ' ' << c.out);
        BasicModule<double> module =
            BasicLinear<double>({.in_features = c.in, .out_features = c.out, .bias = c.bias});
        fill_parameters(module);
        CHECK(gradient_error(module, {{c.batch, c.in}}) < gradient_tolerance);
    }
}

TEST_CASE("Linear: outputs and gradients of a large one, which goes in parts") {
    Index const n = 270, in = 300, out = 280;
    BasicLinear<double> fc({.in_features = in, .out_features = out, .bias = false});
    BasicTensor<double> x({n, in}), g({n, out}), gx(x.shape()), gw(fc.weight().shape());
    fill_distinct(x, 1), fill_distinct(g, 2), fill_distinct(fc.weight(), 3);
    BasicScratch<double> scratch;
    fc.backward_with(fc.weight(), x, g, &gx, &gw, nullptr, scratch);
    auto const y = run<double>(fc, {x});
    double worst = 0;
    auto const compare = [&](double sum, double found) { worst = (std::max)(worst, std::abs(sum - found)); };
    for (std::size_t i = 0; i < 270; i += 7)  // some of each
        for (std::size_t j = 0; j < 280; j += 9) {
            double sum = 0, sum_x = 0, sum_w = 0;
            for (std::size_t k = 0; k != 300; ++k) sum += x[i * 300 + k] * fc.weight()[j * 300 + k];
            for (std::size_t k = 0; k != 280; ++k) sum_x += g[i * 280 + k] * fc.weight()[k * 300 + j];
            for (std::size_t k = 0; k != 270; ++k) sum_w += g[k * 280 + i] * x[k * 300 + j];
            compare(sum, y[i * 280 + j]);
            compare(sum_x, gx[i * 300 + j]);
            compare(sum_w, gw[i * 300 + j]);
        }
    CHECK(worst < 1e-12);  // sums of 300 products below 1, in another order
}

TEST_CASE("Linear: parameters") {
    BasicModule<double> fc = BasicLinear<double>({.in_features = 3, .out_features = 2});
    auto const p = fc.parameters();
    REQUIRE(p.size() == 2);
    CHECK(std::ranges::equal(p[0].shape(), Shape{2, 3}));
    CHECK(p[1].role == Role::bias);
    CHECK(BasicModule<double>(BasicLinear<double>({.in_features = 3, .out_features = 2, .bias = false}))
              .parameters()
              .size() == 1);
}

TEST_CASE("Linear: with other weights than its own, and only the gradients that are wanted") {
    BasicLinear<double> fc({.in_features = 2, .out_features = 1});
    fc.bias() = BasicTensor<double>({1}, {1});
    BasicTensor<double> const other({1, 2}, {3, 4}), x({1, 2}, {1, 10}), g({1, 1}, {2});
    BasicTensor<double> y({1, 1}), gx({1, 2}), gw({1, 2}), gb({1});
    BasicScratch<double> scratch;
    fc.forward_with(other, x, y, scratch);
    CHECK(y[0] == 44);
    fc.backward_with(other, x, g, &gx, nullptr, nullptr, scratch);
    CHECK(gx == BasicTensor<double>({1, 2}, {6, 8}));
    fc.backward_with(other, x, g, nullptr, &gw, &gb, scratch);
    CHECK(gw == BasicTensor<double>({1, 2}, {2, 20}));
    CHECK(gb[0] == 2);
}

TEST_CASE("Linear: errors of shapes and options") {
    BasicModule<double> const fc = BasicLinear<double>({.in_features = 3, .out_features = 2});
    CHECK(shape_error(fc, {{4, 3}}).empty());
    CHECK(shape_error(fc, {{4, 2}}) == "expected one input [N, ..., 3], found [4, 2]");
    CHECK(shape_error(fc, {{4, 3, 1, 1}}) == "expected one input [N, ..., 3], found [4, 3, 1, 1]");
    CHECK_THROWS_WITH(BasicLinear<double>({.in_features = 3}),
                      "Linear: in_features and out_features must be at least 1");
}

TEST_CASE("Linear: every vector along the last dimension is a sample of its own") {
    BasicModule<double> fc = BasicLinear<double>({.in_features = 3, .out_features = 2});
    fill_parameters(fc);
    CHECK(gradient_error(fc, {{2, 4, 3}}) < gradient_tolerance);
    CHECK(gradient_error(fc, {{2, 2, 2, 3}}) < gradient_tolerance);
    BasicTensor<double> flat({8, 3});
    fill_distinct(flat.span(), 1);
    BasicTensor<double> const deep({2, 4, 3}, std::span<const double>(flat.span()));
    CHECK(std::ranges::equal(run(fc, {deep}).span(), run(fc, {flat}).span()));
    CHECK(fc.output_shape(std::vector<Shape>{{any_batch, 4, 3}}).value() == Shape{any_batch, 4, 2});
}

}  // namespace nn_linear_test
