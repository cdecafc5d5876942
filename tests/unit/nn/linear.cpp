#include <amct_distill/nn/linear.hpp>

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

TEST_CASE("Linear: parameters") {
    BasicModule<double> fc = BasicLinear<double>({.in_features = 3, .out_features = 2});
    auto const p = fc.parameters();
    REQUIRE(p.size() == 2);
    CHECK(p[0].value->shape() == Shape{2, 3});
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
    CHECK(shape_error(fc, {{4, 2}}) == "expected one input [N, 3], found [4, 2]");
    CHECK(shape_error(fc, {{4, 3, 1, 1}}) == "expected one input [N, 3], found [4, 3, 1, 1]");
    CHECK_THROWS_WITH(BasicLinear<double>({.in_features = 3}),
                      "Linear: in_features and out_features must be at least 1");
}

}  // namespace nn_linear_test
