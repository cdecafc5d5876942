// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/tape.hpp>

#include "support/catch.hpp"

namespace nn_tape_test {

using namespace amct_distill::nn;

TEST_CASE("a tape has a place for every node that it is asked for, and the places stay") {
    Tape tape;
    Tensor& first = tape.output({0});
    first = Tensor({1, 2}, {1, 2});
    tape.output({100}).resize({3});
    tape.gradient({200}).resize({3});
    CHECK(&tape.output({0}) == &first);
    CHECK(std::as_const(tape).output({0}) == Tensor({1, 2}, {1, 2}));
    CHECK(std::as_const(tape).gradient({0}).empty());
    CHECK(tape.parameter_gradients({3}).empty());
    CHECK_THROWS_AS(std::as_const(tape).output({500}), std::out_of_range);
}

}  // namespace nn_tape_test
