// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/concat.hpp>
#include <amct_distill/nn/network.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_concat_test {

using namespace amct_distill::nn;

TEST_CASE("Concat: forward") {
    Tensor const a({1, 1, 2}, {1, 2}), b({1, 1, 2}, {10, 20}), c({1, 2, 2}, {5, 6, 7, 8});
    CHECK(run<float>(Concat{}, {a, c, b}) == Tensor({1, 4, 2}, {1, 2, 5, 6, 7, 8, 10, 20}));
    CHECK(run<float>(Concat(2), {a, b}) == Tensor({1, 1, 4}, {1, 2, 10, 20}));
    CHECK(run<float>(Concat(0), {a, b}) == Tensor({2, 1, 2}, {1, 2, 10, 20}));
    Tensor const batch({2, 2}, {1, 2, 3, 4});
    CHECK(run<float>(Concat{}, {batch, batch}) == Tensor({2, 4}, {1, 2, 1, 2, 3, 4, 3, 4}));
}

TEST_CASE("Concat: a constant stands before every sample, and gets all their gradients") {
    BasicNetwork<double> net;
    NodeId const x = net.input("x", {2, 2});
    NodeId const token = net.constant("token", BasicTensor<double>({1, 1, 2}, {8, 9}));
    NodeId const y = net.add_function("/Concat", BasicConcat<double>(1), {token, x});
    net.output(y);
    CHECK(net.node(y).shape == Shape{any_batch, 3, 2});
    CHECK(net.predict(BasicTensor<double>({2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7})) ==
          BasicTensor<double>({2, 3, 2}, {8, 9, 0, 1, 2, 3, 8, 9, 4, 5, 6, 7}));

    BasicTensor<double> const one({1, 1, 1}), two({2, 1, 1}), g({2, 2, 1}, {1, 2, 3, 4});
    BasicTensor<double> grad_one({1, 1, 1}), grad_two({2, 1, 1});
    const BasicTensor<double>* const inputs[] = {&one, &two};
    BasicTensor<double>* const grads[] = {&grad_one, &grad_two};
    BasicScratch<double> scratch;
    BasicConcat<double>(1).backward(inputs, g, g, grads, {}, scratch, Mode::train);
    CHECK(grad_one == BasicTensor<double>({1, 1, 1}, {4}));
    CHECK(grad_two == BasicTensor<double>({2, 1, 1}, {2, 4}));
}

TEST_CASE("Concat: gradients are those of central differences, and errors") {
    Shape const image{2, 3, 2, 2};
    BasicModule<double> concat = BasicConcat<double>{}, last = BasicConcat<double>(3),
                        first = BasicConcat<double>(0);
    CHECK(gradient_error(concat, {image, {2, 1, 2, 2}, {2, 4, 2, 2}}) < gradient_tolerance);
    CHECK(gradient_error(last, {image, {2, 3, 2, 5}}) < gradient_tolerance);
    CHECK(gradient_error(first, {image, {1, 3, 2, 2}}) < gradient_tolerance);

    CHECK(Module(Concat{}).output_shape(std::vector<Shape>{{any_batch, 4}, {any_batch, 2}}).value() ==
          Shape{any_batch, 6});
    CHECK(shape_error(Module(Concat{}), {{4, 2, 3}, {4, 2, 4}}) ==
          "expected inputs whose shapes differ in dimension 1 at most, found [4, 2, 3] and [4, 2, 4]");
    CHECK(shape_error(Module(Concat{}), {{any_batch, 2}, {2, 2}}) ==
          "expected inputs whose shapes differ in dimension 1 at most, found [N, 2] and [2, 2]");
    CHECK(shape_error(Module(Concat(2)), {{4, 2}}) ==
          "expected inputs whose shapes differ in dimension 2 at most, found [4, 2]");
    CHECK(shape_error(Module(Concat{}), {}) ==
          "expected inputs whose shapes differ in dimension 1 at most, found none");
    CHECK(shape_error(Module(Concat(0)), {{any_batch, 2}})
              .starts_with("expected a fixed batch for joining dimension 0"));
}

TEST_CASE("Split: parts, their gradients, and errors") {
    BasicNetwork<double> net;
    NodeId const x = net.input("x", {4});
    NodeId const first = net.add_function("/Split", BasicSplit<double>({.dim = 1, .sizes = {1, 3}}), {x});
    auto const parts = net.outputs_of(first);
    for (NodeId part : parts) net.output(part);
    BasicTensor<double> const in({2, 4}, {0, 1, 2, 3, 4, 5, 6, 7});
    auto const out = net.predict(std::vector{in});
    CHECK(out.at(0) == BasicTensor<double>({2, 1}, {0, 4}));
    CHECK(out.at(1) == BasicTensor<double>({2, 3}, {1, 2, 3, 5, 6, 7}));

    BasicTape<double> tape;
    tape.input_gradients = true;
    net.forward(in, tape, Mode::train);
    BasicTensor<double> const a({2, 1}, {1, 2}), b({2, 3}, {3, 4, 5, 6, 7, 8});
    net.backward(std::array{&a, &b}, tape, Mode::train);
    CHECK(tape.gradient(x) == BasicTensor<double>({2, 4}, {1, 3, 4, 5, 2, 6, 7, 8}));

    Module const m = Split({.dim = 0, .sizes = {1, 1}});
    CHECK(m.options() == "dim: 0 sizes: [1, 1]");
    CHECK(m.output_shapes(std::vector<Shape>{{2, 3}}).value() == std::vector<Shape>{{1, 3}, {1, 3}});
    CHECK(shape_error(m, {{3}}) == "expected one input whose dimension 0 is 2, found [3]");
    CHECK(shape_error(m, {{any_batch, 3}}).starts_with("expected a fixed batch for splitting dimension 0"));
    CHECK_THROWS_WITH(Split({.dim = 1, .sizes = {0}}),
                      "Split: expected a dimension from 0 on and parts of at least 1");
}

}  // namespace nn_concat_test
