// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/upsample.hpp>
#include <limits>
#include <numeric>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_upsample_test {

using namespace amct_distill::nn;

namespace {
using Coordinates = ResizeCoordinates;
using Nearest = ResizeNearest;

std::vector<float> resized(const UpsampleOptions& options, const std::vector<float>& row) {
    Tensor const x({1, static_cast<Index>(row.size())}, row);
    Tensor const y = run<float>(Upsample(options), {x});
    return {y.begin(), y.end()};
}
using V = std::vector<float>;
}  // namespace

TEST_CASE("Upsample: nearest, with all ways to round and to count") {
    V const row{1, 2, 3, 4};
    CHECK(resized({.scales = {1, 2}}, {1, 2}) == V{1, 1, 2, 2});
    CHECK(resized({.sizes = {0, 2}}, row) == V{1, 3});  // at 0.5 and 2.5
    CHECK(resized({.sizes = {0, 2}, .nearest = Nearest::round_prefer_ceil}, row) == V{2, 4});
    CHECK(resized({.sizes = {0, 2}, .nearest = Nearest::floor}, row) == V{1, 3});
    CHECK(resized({.sizes = {0, 2}, .nearest = Nearest::ceil}, row) == V{2, 4});
    auto const floor = [&](Coordinates c, Index size) {
        return resized({.sizes = {0, size}, .coordinates = c, .nearest = Nearest::floor}, row);
    };
    CHECK(floor(Coordinates::asymmetric, 3) == V{1, 2, 3});     // 0, 1.33, 2.67
    CHECK(floor(Coordinates::align_corners, 3) == V{1, 2, 4});  // 0, 1.5, 3
    CHECK(floor(Coordinates::align_corners, 1) == V{1});
    CHECK(floor(Coordinates::pytorch_half_pixel, 1) == V{1});
    CHECK(floor(Coordinates::half_pixel, 1) == V{2});               // 1.5
    CHECK(floor(Coordinates::tf_half_pixel_for_nn, 2) == V{2, 4});  // 1, 3
    // 4 * 0.8 = 3.2 pixels, of which 3 are there: 0.1 pixels more on the left. 0.22, 1.47, 2.72
    UpsampleOptions const symmetric{
        .scales = {1, 0.8f}, .mode = ResizeMode::linear, .coordinates = Coordinates::half_pixel_symmetric};
    V const found = resized(symmetric, row), expected{1.25f, 2.5f, 3.75f};
    for (std::size_t i = 0; i != 3; ++i) CHECK(found.at(i) == Approx(expected[i]));
}

// The pixels are ONNX Runtime's (1.30). By this rule all are, of 1 to 30 pixels resized to 1 to 40, by sizes
// and by scales, with four kinds of coordinates and all four ways to round.
TEST_CASE("Upsample: what float puts a little beside the middle of two pixels lies in the middle") {
    struct Case {
        Index from, to, pixel;
        Coordinates coordinates;
        Nearest nearest;
        float taken;
    };
    for (Case const& c :
         {Case{7, 2, 1, Coordinates::asymmetric, Nearest::round_prefer_ceil, 4},      // 3.4999998
          Case{14, 19, 9, Coordinates::half_pixel, Nearest::round_prefer_floor, 6},   // 6.5000005
          Case{14, 1, 0, Coordinates::half_pixel, Nearest::round_prefer_ceil, 7},     // 6.4999995
          Case{11, 26, 13, Coordinates::asymmetric, Nearest::round_prefer_floor, 5},  // 5.5000005
          Case{30, 9, 7, Coordinates::half_pixel, Nearest::round_prefer_ceil, 24},    // 24.499998
          Case{7, 1, 0, Coordinates::half_pixel, Nearest::floor, 2},                  // 2.9999998
          Case{7, 19, 9, Coordinates::half_pixel, Nearest::ceil, 4}}) {               // 3.0000002
        V row(static_cast<std::size_t>(c.from));
        std::iota(row.begin(), row.end(), 0.0f);
        INFO(c.from << " to " << c.to);
        V const out = resized({.sizes = {0, c.to}, .coordinates = c.coordinates, .nearest = c.nearest}, row);
        CHECK(out[static_cast<std::size_t>(c.pixel)] == c.taken);
    }
}

TEST_CASE("Upsample: linear and cubic along one dimension") {
    auto const linear = [](Coordinates c, const V& row, Index size) {
        return resized({.sizes = {0, size}, .mode = ResizeMode::linear, .coordinates = c}, row);
    };
    CHECK(linear(Coordinates::half_pixel, {1, 3}, 4) == V{1, 1.5f, 2.5f, 3});
    CHECK(linear(Coordinates::asymmetric, {1, 3}, 4) == V{1, 2, 3, 3});
    CHECK(linear(Coordinates::align_corners, {1, 3}, 3) == V{1, 2, 3});
    CHECK(linear(Coordinates::half_pixel, {1, 2, 3, 4}, 2) == V{1.5f, 3.5f});

    // Halfway between pixels the cubic weights are (a, 4 - a, 4 - a, a) / 8.
    UpsampleOptions cubic{.sizes = {0, 2}, .mode = ResizeMode::cubic};
    cubic.cubic_coefficient = -0.5f;
    CHECK(resized(cubic, {0, 16, 0, 0}) == V{9, -1});
    cubic.exclude_outside = true;
    CHECK(resized(cubic, {0, 17, 0, 0}) == V{9, -1});  // 9 / (16 + 1), -1 / (16 + 1)
}

TEST_CASE("Upsample: several dimensions one after another, and those that stay") {
    Tensor const x({1, 1, 2, 2}, {1, 2, 3, 4});
    CHECK(run<float>(Upsample({.scales = {1, 1, 2, 1}}), {x}) ==
          Tensor({1, 1, 4, 2}, {1, 2, 1, 2, 3, 4, 3, 4}));
    CHECK(run<float>(Upsample({.sizes = {0, 0, 3, 3},
                               .mode = ResizeMode::linear,
                               .coordinates = Coordinates::align_corners}),
                     {x}) == Tensor({1, 1, 3, 3}, {1, 1.5f, 2, 2, 2.5f, 3, 3, 3.5f, 4}));
    CHECK(run<float>(Upsample({.sizes = {0, 2, 2, 2}}), {x}) ==
          Tensor({1, 2, 2, 2}, {1, 2, 3, 4, 1, 2, 3, 4}));
    CHECK(run<float>(Upsample({.scales = {1, 1, 1, 1}}), {x}) == x);
    // A scale that leaves the size as it is moves pixels all the same.
    CHECK(resized({.scales = {1, 1.25f}, .coordinates = Coordinates::asymmetric, .nearest = Nearest::ceil},
                  {1, 2, 3}) == V{1, 2, 3});
    CHECK(resized({.scales = {1, 1.25f}, .mode = ResizeMode::linear, .coordinates = Coordinates::asymmetric},
                  {0, 5, 10}) == V{0, 4, 8});
}

TEST_CASE("Upsample: gradients are those of central differences") {
    for (ResizeMode mode : {ResizeMode::nearest, ResizeMode::linear, ResizeMode::cubic})
        for (const UpsampleOptions& sizes :
             {UpsampleOptions{.scales = {1, 1, 2, 1.5f}}, UpsampleOptions{.sizes = {0, 0, 2, 3}},
              UpsampleOptions{.sizes = {3, 3, 5, 5}}, UpsampleOptions{.scales = {1, 1, 1, 1}}})
            for (bool exclude : {false, true}) {
                UpsampleOptions options = sizes;
                options.mode = mode;
                options.exclude_outside = exclude;
                BasicModule<double> m = BasicUpsample<double>(options);
                CHECK(gradient_error(m, {{2, 2, 3, 4}}) < gradient_tolerance);
            }
}

TEST_CASE("Upsample: options and errors") {
    Module const m = Upsample({.scales = {1, 1, 1.5f}});
    CHECK(m.type() == "Upsample");
    CHECK(m.operation() == "Resize");
    CHECK(m.options() ==
          "scales: [1, 1, 1.5] sizes: [] mode: 0 coordinates: 0 nearest: 0 cubic_coefficient: -0.75 "
          "exclude_outside: false");
    CHECK(m.output_shape(std::vector<Shape>{{any_batch, 4, 3}}).value() == Shape{any_batch, 4, 4});
    CHECK(shape_error(m, {{2, 3}}) == "expected one input with 3 dimensions, found [2, 3]");
    CHECK(shape_error(Module(Upsample({.scales = {1, 0.4f}})), {{2, 2}}) ==
          "expected one input of whose dimension 1 something is left, found [2, 2]");
    CHECK(shape_error(Module(Upsample({.scales = {2, 1}})), {{any_batch, 2}})
              .starts_with("expected a fixed batch for another size of dimension 0"));
    char const* const either = "Upsample: expected scales above 0, or sizes, of all dimensions";
    CHECK_THROWS_WITH(Upsample({}), either);
    CHECK_THROWS_WITH(Upsample({.scales = {1, 0}}), either);
    CHECK_THROWS_WITH(Upsample({.scales = {1}, .sizes = {1}}), either);
}

TEST_CASE("Upsample: a scale is above 0 and below a million") {
    for (float scale : {0.0f, -1.0f, 1e6f, std::numeric_limits<float>::quiet_NaN()})
        CHECK_THROWS_WITH(Upsample({.scales = {1, scale}}),
                          "Upsample: expected scales above 0, or sizes, of all dimensions");
}

}  // namespace nn_upsample_test
