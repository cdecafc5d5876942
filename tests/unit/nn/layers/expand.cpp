// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/expand.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_expand_test {

using namespace amct_distill::nn;

TEST_CASE("Expand: dimensions of 1, and new ones") {
    Tensor const x({2, 1, 2}, {1, 2, 3, 4});
    CHECK(run<float>(Expand({1, 2, 1}), {x}) == Tensor({2, 2, 2}, {1, 2, 1, 2, 3, 4, 3, 4}));
    CHECK(run<float>(Expand({2, 1, 1, 1}), {x}) == Tensor({2, 2, 1, 2}, {1, 2, 3, 4, 1, 2, 3, 4}));
    CHECK(run<float>(Expand({2}), {Tensor({2, 1}, {5, 6})}) == Tensor({2, 2}, {5, 5, 6, 6}));
    CHECK(run<float>(Expand({1}), {x}) == x);
}

TEST_CASE("Tile: along any dimension") {
    Tensor const x({1, 2, 2}, {1, 2, 3, 4});
    CHECK(run<float>(Tile({1, 1, 2}), {x}) == Tensor({1, 2, 4}, {1, 2, 1, 2, 3, 4, 3, 4}));
    CHECK(run<float>(Tile({2, 2, 1}), {x}) ==
          Tensor({2, 4, 2}, {1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4}));
}

TEST_CASE("Expand and Tile: gradients are those of central differences") {
    using M = BasicModule<double>;
    for (M m : {M(BasicExpand<double>({1, 3, 1, 2})), M(BasicExpand<double>({4, 1, 3, 2, 1})),
                M(BasicTile<double>({1, 2, 3, 2})), M(BasicTile<double>({3, 1, 1, 2}))})
        CHECK(gradient_error(m, {{2, 1, 2, 1}}) < gradient_tolerance);
}

TEST_CASE("Expand and Tile: options and errors") {
    Module const expand = Expand({1, 2});
    CHECK(expand.options() == "shape: [1, 2]");
    CHECK(Expand(ExpandOptions{{3}}).options().shape == Shape{3});
    CHECK(expand.output_shape(std::vector<Shape>{{any_batch, 1}}).value() == Shape{any_batch, 2});
    CHECK(shape_error(expand, {{2, 3}}) == "expected an input that can be expanded to [1, 2], found [2, 3]");
    CHECK(shape_error(expand, {}) == "expected one input, found none");
    CHECK(shape_error(Module(Expand({2, 2})), {{any_batch, 2}})
              .starts_with("expected a fixed batch for another dimension 0"));
    CHECK(shape_error(Module(Expand({1, 2, 2})), {{any_batch, 2}})
              .starts_with("expected a fixed batch for another dimension 0"));
    CHECK_THROWS_WITH(Expand({0}), "Expand: expected dimensions from 1 to 1073741824");

    Module const tile = Tile({1, 2});
    CHECK(tile.options() == "repeats: [1, 2]");
    CHECK(tile.output_shape(std::vector<Shape>{{any_batch, 3}}).value() == Shape{any_batch, 6});
    CHECK(shape_error(tile, {{2}}) == "expected one input with 2 dimensions, found [2]");
    CHECK(shape_error(Module(Tile({2, 1})), {{any_batch, 2}})
              .starts_with("expected a fixed batch for repeating dimension 0"));
    CHECK_THROWS_WITH(Tile({1, 0}), "Tile: expected numbers from 1 to 1073741824");
}

}  // namespace nn_expand_test
