// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/slice.hpp>
#include <limits>
#include <numeric>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_slice_test {

using namespace amct_distill::nn;

namespace {
Tensor counted(const Shape& shape) {
    Tensor t(shape);
    std::iota(t.begin(), t.end(), 0.0f);
    return t;
}
}  // namespace

TEST_CASE("Slice: as numpy") {
    Tensor const row({1, 5}, {0, 1, 2, 3, 4});
    auto const cut = [&](Index start, Index end, Index step) {
        auto const y =
            run<float>(Slice({.dims = {1}, .starts = {start}, .ends = {end}, .steps = {step}}), {row});
        return std::vector<float>(y.begin(), y.end());
    };
    constexpr Index most = std::numeric_limits<Index>::max(), least = std::numeric_limits<Index>::min();
    using V = std::vector<float>;
    CHECK(cut(1, 3, 1) == V{1, 2});
    CHECK(cut(0, most, 2) == V{0, 2, 4});
    CHECK(cut(-3, -1, 1) == V{2, 3});
    CHECK(cut(4, least, -1) == V{4, 3, 2, 1, 0});
    CHECK(cut(most, 0, -2) == V{4, 2});
    CHECK(cut(-1, -6, -4) == V{4, 0});
    CHECK(cut(least, most, most) == V{0});
    CHECK(cut(most, least, least) == V{4});

    CHECK(run<float>(Slice({.dims = {2, 0}, .starts = {1, 1}, .ends = {9, 2}}), {counted({2, 2, 2})}) ==
          Tensor({1, 2, 1}, {5, 7}));
    CHECK(run<float>(Slice({}), {row}) == row);
}

TEST_CASE("Gather: indices of any rank, negative ones, one that drops the dimension") {
    Tensor const x = counted({2, 3, 2});
    CHECK(run<float>(Gather({.dim = 1, .indices = {2, 0}, .shape = {2}}), {x}) ==
          Tensor({2, 2, 2}, {4, 5, 0, 1, 10, 11, 6, 7}));
    CHECK(run<float>(Gather({.dim = 1, .indices = {-1}}), {x}) == Tensor({2, 2}, {4, 5, 10, 11}));
    CHECK(run<float>(Gather({.dim = 2, .indices = {1, 1, 0, 1}, .shape = {2, 2}}), {counted({1, 1, 2})}) ==
          Tensor({1, 1, 2, 2}, {1, 1, 0, 1}));
    CHECK(run<float>(Gather({.dim = 0, .indices = {1}}), {x}) == Tensor({3, 2}, {6, 7, 8, 9, 10, 11}));
    CHECK(run<float>(Gather({.dim = 0, .indices = {1}}), {Tensor({2}, {3, 4})}) == Tensor({1}, {4}));
}

TEST_CASE("Slice and Gather: gradients are those of central differences") {
    using M = BasicModule<double>;
    for (M m : {M(BasicSlice<double>({.dims = {1, 3}, .starts = {1, -1}, .ends = {3, -9}, .steps = {1, -2}})),
                M(BasicSlice<double>({.dims = {0}, .starts = {1}, .ends = {2}})),
                M(BasicGather<double>({.dim = 1, .indices = {2, 2, 0}, .shape = {3}})),
                M(BasicGather<double>({.dim = 3, .indices = {1}})),
                M(BasicGather<double>({.dim = 0, .indices = {1, 1, 1, 0}, .shape = {2, 2}}))})
        CHECK(gradient_error(m, {{2, 3, 2, 4}}) < gradient_tolerance);
}

TEST_CASE("Slice and Gather: options and errors") {
    Module const slice = Slice({.dims = {1}, .starts = {3}, .ends = {9}});
    CHECK(slice.options() == "dims: [1] starts: [3] ends: [9] steps: [1]");
    CHECK(slice.output_shape(std::vector<Shape>{{any_batch, 5}}).value() == Shape{any_batch, 2});
    CHECK(shape_error(slice, {{2, 3}}) ==
          "expected one input of whose dimension 1 the slice leaves something, found [2, 3]");
    CHECK(shape_error(slice, {{4}}) == "expected one input with a dimension 1, found [4]");
    CHECK(shape_error(Module(Slice({.dims = {0}, .starts = {0}, .ends = {1}})), {{any_batch, 2}})
              .starts_with("expected a fixed batch for a slice of dimension 0"));
    char const* const lists =
        "Slice: expected different dimensions from 0 on, and for each a start, an end and a step other than "
        "0";
    CHECK_THROWS_WITH(Slice({.dims = {1}, .starts = {0}, .ends = {1}, .steps = {0}}), lists);
    CHECK_THROWS_WITH(Slice({.dims = {1, 1}, .starts = {0, 0}, .ends = {1, 1}}), lists);
    CHECK_THROWS_WITH(Slice({.dims = {1}, .starts = {0, 0}, .ends = {1}}), lists);

    Module const gather = Gather({.dim = 1, .indices = {3, -1}, .shape = {2}});
    CHECK(gather.options() == "dim: 1 indices: [3, -1] shape: [2]");
    CHECK(shape_error(gather, {{2, 3}}) ==
          "expected one input whose dimension 1 has an index 3, found [2, 3]");
    CHECK(shape_error(gather, {{4}}) == "expected one input with a dimension 1, found [4]");
    CHECK(shape_error(Module(Gather({.dim = 0, .indices = {0}})), {{any_batch, 2}})
              .starts_with("expected a fixed batch for chosen values of dimension 0"));
    CHECK_THROWS_WITH(Gather({.dim = 1, .indices = {0, 1}}),
                      "Gather: expected a dimension from 0 on and indices, as many as their shape says");
}

}  // namespace nn_slice_test
