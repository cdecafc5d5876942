// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/reshape.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_reshape_test {

using namespace amct_distill::nn;

namespace {
Shape shape(const Module& m, const Shape& input) { return m.output_shape(std::vector<Shape>{input}).value(); }
}  // namespace

TEST_CASE("reshaping: the values pass in their order") {
    Tensor const c({1, 2, 2}, {5, 6, 7, 8});
    CHECK(run<float>(Flatten{}, {c}) == Tensor({1, 4}, {5, 6, 7, 8}));
    CHECK(run<float>(Flatten(0), {c}) == Tensor({4}, {5, 6, 7, 8}));
    CHECK(run<float>(Reshape({2, -1, 1}), {c}) == Tensor({1, 2, 2, 1}, {5, 6, 7, 8}));
    CHECK(run<float>(Reshape::whole({-1, 2}), {c}) == Tensor({2, 2}, {5, 6, 7, 8}));
    CHECK(run<float>(Squeeze({0}), {c}) == Tensor({2, 2}, {5, 6, 7, 8}));
    CHECK(run<float>(Unsqueeze({0, 3}), {c}) == Tensor({1, 1, 2, 1, 2}, {5, 6, 7, 8}));
}

TEST_CASE("reshaping: the batch size may be any") {
    Shape const image{any_batch, 4, 3, 3};
    CHECK(shape(Flatten{}, image) == Shape{any_batch, 36});
    CHECK(shape(Flatten(2), image) == Shape{any_batch, 4, 9});
    CHECK(shape(Reshape({6, -1}), image) == Shape{any_batch, 6, 6});
    CHECK(shape(Reshape({9, 4}), image) == Shape{any_batch, 9, 4});
    CHECK(shape(Reshape(Shape{}), {any_batch, 1, 1}) == Shape{any_batch});
    CHECK(shape(Squeeze({3, 1}), {any_batch, 1, 4, 1}) == Shape{any_batch, 4});
    CHECK(shape(Unsqueeze({1, 3}), {any_batch, 4}) == Shape{any_batch, 1, 4, 1});
    CHECK(shape(Squeeze({0, 1}), {1, 1}) == Shape{1});
}

TEST_CASE("reshaping: gradients are those of central differences") {
    Shape const image{2, 3, 1, 2};
    using M = BasicModule<double>;
    for (M m : {M(BasicFlatten<double>{}), M(BasicFlatten<double>(0)), M(BasicReshape<double>({2, -1})),
                M(BasicReshape<double>::whole({4, 3})), M(BasicSqueeze<double>({2})),
                M(BasicUnsqueeze<double>({0, 5}))})
        CHECK(gradient_error(m, {image}) < gradient_tolerance);
}

TEST_CASE("reshaping: options and errors") {
    CHECK(Module(Reshape({6, -1})).options() == "sample: [6, -1] whole: false");
    CHECK(Module(Squeeze({2})).options() == "dims: [2]");
    CHECK(Unsqueeze(Unsqueeze({2}).options()).options() == DimsOptions{{2}});
    CHECK(Squeeze(DimsOptions{{2}}).options().dims == Shape{2});

    CHECK(shape_error(Module(Flatten{}), {{4}}) == "expected one input with a dimension 1, found [4]");
    CHECK(shape_error(Module(Reshape({3, 2})), {{4, 8}}) ==
          "expected one input whose samples have 6 values, found [4, 8]");
    CHECK(shape_error(Module(Reshape({3, -1})), {{4, 8}}) ==
          "expected one input whose samples have a multiple of 3 values, found [4, 8]");
    CHECK(shape_error(Module(Reshape::whole({3, -1})), {{4, 8}}) ==
          "expected one input with a multiple of 3 values, found [4, 8]");
    CHECK(shape_error(Module(Squeeze({1})), {{4, 8}}) ==
          "expected one input whose dimension 1 is 1, found [4, 8]");
    CHECK(shape_error(Module(Squeeze({2})), {{4, 8}}) ==
          "expected one input whose dimension 2 is 1, found [4, 8]");
    CHECK(shape_error(Module(Unsqueeze({5})), {{4, 8}}) ==
          "expected one input with 3 more dimensions, found [4, 8]");
    for (const Module& m : {Module(Flatten(0)), Module(Reshape::whole({-1, 2})), Module(Unsqueeze({0}))})
        CHECK(shape_error(m, {{any_batch, 2}}).starts_with("expected a fixed batch for "));

    char const* const none =
        "Reshape: expected the dimensions after the batch, each at least 1, one of them perhaps -1";
    CHECK_THROWS_WITH(Reshape({-1, -1}), none);
    CHECK_THROWS_WITH(Reshape(Shape{0}), none);
    CHECK_THROWS_WITH(Reshape::whole({}),
                      "Reshape: expected the dimensions, each at least 1, one of them perhaps -1");
    char const* const dims = "Squeeze, Unsqueeze: expected different dimensions from 0 on";
    CHECK_THROWS_WITH(Squeeze({1, 1}), dims);
    CHECK_THROWS_WITH(Unsqueeze({1, -1}), dims);
}

}  // namespace nn_reshape_test
