// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/structure.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_structure_test {

using namespace amct_distill::nn;

TEST_CASE("structure: forward") {
    Tensor const a({1, 1, 2}, {1, 2}), b({1, 1, 2}, {10, 20}), c({1, 2, 2}, {5, 6, 7, 8});
    CHECK(run<float>(Concat{}, {a, c, b}) == Tensor({1, 4, 2}, {1, 2, 5, 6, 7, 8, 10, 20}));
    CHECK(run<float>(Concat(2), {a, b}) == Tensor({1, 1, 4}, {1, 2, 10, 20}));
    CHECK(run<float>(Flatten{}, {c}) == Tensor({1, 4}, {5, 6, 7, 8}));
    CHECK(run<float>(Reshape({2, -1, 1}), {c}) == Tensor({1, 2, 2, 1}, {5, 6, 7, 8}));
    CHECK(run<float>(Identity{}, {c}) == c);
    CHECK(run<float>(Dropout{}, {c}, Mode::train) == c);

    Tensor const batch({2, 2}, {1, 2, 3, 4});
    CHECK(run<float>(Concat{}, {batch, batch}) == Tensor({2, 4}, {1, 2, 1, 2, 3, 4, 3, 4}));
}

TEST_CASE("structure: the batch size may be any") {
    auto const shape = [](const Module& m, const std::vector<Shape>& inputs) {
        return m.output_shape(inputs).value();
    };
    Shape const image{any_batch, 4, 3, 3};
    CHECK(shape(Flatten{}, {image}) == Shape{any_batch, 36});
    CHECK(shape(Flatten(2), {image}) == Shape{any_batch, 4, 9});
    CHECK(shape(Reshape({6, -1}), {image}) == Shape{any_batch, 6, 6});
    CHECK(shape(Reshape({9, 4}), {image}) == Shape{any_batch, 9, 4});
    CHECK(shape(Concat{}, {image, image}) == Shape{any_batch, 8, 3, 3});
    CHECK(shape(Dropout{}, {image}) == image);
}

TEST_CASE("structure: gradients are those of central differences") {
    Shape const image{2, 3, 2, 2};
    using M = BasicModule<double>;
    M flatten = BasicFlatten<double>{}, reshape = BasicReshape<double>({4, -1});
    M identity = BasicIdentity<double>{}, dropout = BasicDropout<double>{}, concat = BasicConcat<double>{},
      concat_last = BasicConcat<double>(3);
    CHECK(gradient_error(flatten, {image}) < gradient_tolerance);
    CHECK(gradient_error(reshape, {image}) < gradient_tolerance);
    CHECK(gradient_error(identity, {image}) < gradient_tolerance);
    CHECK(gradient_error(dropout, {image}, Mode::train) < gradient_tolerance);
    CHECK(gradient_error(concat, {image, {2, 1, 2, 2}, {2, 4, 2, 2}}) < gradient_tolerance);
    CHECK(gradient_error(concat_last, {image, {2, 3, 2, 5}}) < gradient_tolerance);
}

TEST_CASE("structure: errors of shapes and options") {
    CHECK(shape_error(Module(Concat{}), {{4, 2, 3}, {4, 2, 4}}) ==
          "expected inputs whose shapes differ in dimension 1 at most, found [4, 2, 3] and [4, 2, 4]");
    CHECK(shape_error(Module(Concat(2)), {{4, 2}}) ==
          "expected inputs whose shapes differ in dimension 2 at most, found [4, 2]");
    CHECK(shape_error(Module(Concat{}), {}) ==
          "expected inputs whose shapes differ in dimension 1 at most, found none");
    CHECK(shape_error(Module(Flatten{}), {{4}}) == "expected one input with a dimension 1, found [4]");
    CHECK(shape_error(Module(Reshape({3, 2})), {{4, 8}}) ==
          "expected one input whose samples have 6 values, found [4, 8]");
    CHECK(shape_error(Module(Reshape({3, -1})), {{4, 8}}) ==
          "expected one input whose samples have a multiple of 3 values, found [4, 8]");
    CHECK(shape_error(Module(Identity{}), {}) == "expected one input, found none");
    CHECK_THROWS_WITH(Concat(0), "Concat: dim 0 is the batch; expected 1 or more");
    CHECK_THROWS_WITH(Flatten(0), "Flatten: start_dim 0 is the batch; expected 1 or more");
    char const* const none =
        "Reshape: expected the dimensions after the batch, each at least 1, one of them perhaps -1";
    CHECK_THROWS_WITH(Reshape({-1, -1}), none);
    CHECK_THROWS_WITH(Reshape({0}), none);
    CHECK_THROWS_WITH(Reshape({}), none);
}

}  // namespace nn_structure_test
