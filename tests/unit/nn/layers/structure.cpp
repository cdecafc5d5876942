// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/structure.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_structure_test {

using namespace amct_distill::nn;

TEST_CASE("structure: forward") {
    Tensor const c({1, 2, 2}, {5, 6, 7, 8});
    CHECK(run<float>(Identity{}, {c}) == c);
    CHECK(run<float>(Dropout{}, {c}, Mode::train) == c);
}

TEST_CASE("structure: the batch size may be any") {
    auto const shape = [](const Module& m, const std::vector<Shape>& inputs) {
        return m.output_shape(inputs).value();
    };
    Shape const image{any_batch, 4, 3, 3};
    CHECK(shape(Dropout{}, {image}) == image);
}

TEST_CASE("structure: gradients are those of central differences") {
    Shape const image{2, 3, 2, 2};
    using M = BasicModule<double>;
    M identity = BasicIdentity<double>{}, dropout = BasicDropout<double>{};
    CHECK(gradient_error(identity, {image}) < gradient_tolerance);
    CHECK(gradient_error(dropout, {image}, Mode::train) < gradient_tolerance);
}

TEST_CASE("structure: errors of shapes and options") {
    CHECK(shape_error(Module(Identity{}), {}) == "expected one input, found none");
}

}  // namespace nn_structure_test
