// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/broadcast_operands.hpp>

#include "support/catch.hpp"

namespace nn_broadcast_operands_test {

using namespace amct_distill::nn;

namespace {
struct Difference {
    static float value(float a, float b) { return a - 2 * b; }
};
}  // namespace

TEST_CASE(
    "operands that are broadcast: forward, and gradients summed over what an operand was broadcast to") {
    Tensor const a({2, 3}, {1, 2, 3, 4, 5, 6}), b({3}, {1, 0, -1}), g({2, 3}, {1, 10, 100, 2, 20, 200});
    Tensor y({2, 3}), ga({2, 3}), gb({3});
    Scratch scratch;
    amct_distill::detail::broadcast_forward<Difference>(a, b, y, scratch);
    CHECK(y == Tensor({2, 3}, {-1, 2, 5, 2, 5, 8}));
    gb.fill(1);
    amct_distill::detail::broadcast_backward(b, a, y, g, gb, scratch,
                                             [](float, float other, float, float up) { return up * other; });
    CHECK(gb == Tensor({3}, {1 + 1 + 8, 1 + 20 + 100, 1 + 300 + 1200}));
    amct_distill::detail::broadcast_backward(a, b, y, g, ga, scratch,
                                             [](float x, float other, float, float) { return x + other; });
    CHECK(ga == Tensor({2, 3}, {2, 2, 2, 5, 5, 5}));
    Tensor sums({1});
    amct_distill::detail::add_broadcast_gradient(g, sums, scratch, 0.5);
    CHECK(sums[0] == 166.5f);
}

}  // namespace nn_broadcast_operands_test
