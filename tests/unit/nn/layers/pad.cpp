// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/pad.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_pad_test {

using namespace amct_distill::nn;

TEST_CASE("Pad: values of all modes, cropping too") {
    Tensor const row({1, 3}, {1, 2, 3});
    auto const padded = [&](Index begin, Index end, PadMode mode) {
        return run<float>(Pad({.begin = {0, begin}, .end = {0, end}, .mode = mode, .value = 9}), {row});
    };
    CHECK(padded(1, 2, PadMode::constant) == Tensor({1, 6}, {9, 1, 2, 3, 9, 9}));
    CHECK(padded(2, 1, PadMode::reflect) == Tensor({1, 6}, {3, 2, 1, 2, 3, 2}));
    CHECK(padded(2, 4, PadMode::edge) == Tensor({1, 9}, {1, 1, 1, 2, 3, 3, 3, 3, 3}));
    CHECK(padded(-1, 2, PadMode::constant) == Tensor({1, 4}, {2, 3, 9, 9}));
    CHECK(padded(-1, 1, PadMode::reflect) == Tensor({1, 3}, {2, 3, 2}));
    CHECK(padded(1, -2, PadMode::edge) == Tensor({1, 2}, {1, 1}));
    CHECK(padded(-1, -1, PadMode::constant) == Tensor({1, 1}, {2}));
    CHECK(padded(0, 0, PadMode::constant) == row);

    Tensor const image({1, 1, 2, 2}, {1, 2, 3, 4});
    CHECK(run<float>(Pad({.begin = {0, 1, 0, 1}, .end = {0, 0, 1, 0}}), {image}) ==
          Tensor({1, 2, 3, 3}, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 3, 4, 0, 0, 0}));
    Tensor const fixed({2, 1}, {1, 2});
    CHECK(run<float>(Pad({.begin = {1, 0}, .end = {0, 1}, .mode = PadMode::edge}), {fixed}) ==
          Tensor({3, 2}, {1, 1, 1, 1, 2, 2}));
}

TEST_CASE("Pad: gradients are those of central differences") {
    for (PadMode mode : {PadMode::constant, PadMode::reflect, PadMode::edge})
        for (const auto& [begin, end] : {std::pair{Shape{0, 0, 2, 1}, Shape{0, 0, 1, 2}},
                                         std::pair{Shape{0, 1, -1, 0}, Shape{0, -1, 2, 0}},
                                         std::pair{Shape{1, 0, 0, 0}, Shape{0, 0, 0, 2}}}) {
            BasicModule<double> m = BasicPad<double>({.begin = begin, .end = end, .mode = mode});
            CHECK(gradient_error(m, {{2, 2, 3, 4}}) < gradient_tolerance);
        }
}

TEST_CASE("Pad: options, shapes and their errors") {
    Module const m = Pad({.begin = {0, 0, 2}, .end = {0, 0, 1}, .mode = PadMode::reflect});
    CHECK(m.type() == "Pad");
    CHECK(m.options() == "begin: [0, 0, 2] end: [0, 0, 1] mode: 1 value: 0");
    CHECK(m.output_shape(std::vector<Shape>{{any_batch, 4, 3}}).value() == Shape{any_batch, 4, 6});
    CHECK(shape_error(m, {{2, 4}}) == "expected one input with 3 dimensions, found [2, 4]");
    CHECK(shape_error(m, {{2, 4, 2}}) ==
          "expected a dimension 2 that is larger than its reflected padding, found [2, 4, 2]");
    CHECK(shape_error(Module(Pad({.begin = {0, -1}, .end = {0, -1}})), {{2, 2}}) ==
          "expected a dimension 1 that is larger than what is cropped, found [2, 2]");
    CHECK(shape_error(Module(Pad({.begin = {1, 0}, .end = {0, 0}})), {{any_batch, 2}}) ==
          "expected a fixed batch for padding of dimension 0 (fixed_input(); of an import --shape NAME=..., "
          "or Batch::as_exported), found [N, 2]");
    CHECK_THROWS_WITH(Pad({.begin = {0, 1}, .end = {0}}),
                      "Pad: expected a beginning and an end for each dimension, and a mode");
}

}  // namespace nn_pad_test
