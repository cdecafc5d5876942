// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/student/drop.hpp>

#include "support/catch.hpp"

namespace student_drop_test {

using namespace amct_distill;

TEST_CASE("which elements are dropped depends on their place in the whole batch") {
    nn::Tensor const whole({4, 50}), half({2, 50});
    detail::Drop const all(7, 0.5, 0, whole), second(7, 0.5, 2, half), never(7, 0, 0, whole);
    std::size_t dropped = 0;
    for (std::size_t i = 0; i != 200; ++i) {
        dropped += all.is_dropped(i) ? 1u : 0u;
        CHECK_FALSE(never.is_dropped(i));
    }
    CHECK(dropped > 70);
    CHECK(dropped < 130);
    for (std::size_t i = 0; i != 100; ++i) CHECK(second.is_dropped(i) == all.is_dropped(100 + i));
}

TEST_CASE("elements that are dropped are the float ones, and their gradients go elsewhere") {
    nn::Tensor x({1, 64}), quantized({1, 64}), gradient({1, 64}), kept({1, 64});
    x.fill(1);
    quantized.fill(2);
    gradient.fill(3);
    detail::Drop const drop(1, 0.5, 0, x);
    nn::Scratch const scratch;
    drop.restore(x, quantized, scratch);
    drop.clear(gradient, kept, scratch);
    for (std::size_t i = 0; i != 64; ++i) {
        CHECK(quantized[i] == (drop.is_dropped(i) ? 1.0f : 2.0f));
        CHECK(kept[i] == (drop.is_dropped(i) ? 0.0f : 3.0f));
    }
}

TEST_CASE("where a rank has no samples nothing is dropped") {
    nn::Tensor none({0, 3}), empty;
    nn::Scratch const scratch;
    for (nn::Tensor* t : {&none, &empty}) {
        detail::Drop(7, 0.5, 4, *t).restore(*t, *t, scratch);
        CHECK(t->size() == 0);
    }
}

}  // namespace student_drop_test
