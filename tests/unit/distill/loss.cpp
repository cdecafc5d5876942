// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/loss.hpp>

#include <amct_distill/distill/target_moments.hpp>
#include <cmath>
#include <cstddef>
#include <vector>

#include "support/catch.hpp"

namespace distill_loss_test {

using namespace amct_distill;

static_assert(BlockLoss<MeanSquaredError>);
static_assert(WeightedBlockLoss<MeanSquaredError>);
static_assert(!BlockLoss<int>);

TEST_CASE("the variance of targets that come in parts is that of all") {
    detail::TargetMoments all, part;
    all.add(std::vector<float>{1, 2, 3});
    part.add(std::vector<float>{6, -2});
    all.add(part);
    CHECK(all.variance() == 54.0 / 5 - 2.0 * 2.0);
}

TEST_CASE("sums in lanes are the same with every instruction set, and of any length") {
    for (std::size_t n : {0u, 1u, 7u, 8u, 9u, 16u, 100u, 1001u}) {
        std::vector<float> x(n), y(n);
        for (std::size_t i = 0; i != n; ++i) {
            x[i] = std::sin(static_cast<float>(i * i % 997));
            y[i] = std::cos(static_cast<float>(i));
        }
        double lanes[3][8] = {};
        for (std::size_t i = 0; i != n; ++i) {
            auto const a = static_cast<double>(x[i]), b = static_cast<double>(y[i]);
            volatile double const terms[] = {(a - b) * (a - b), a * a, b * b};  // each is rounded
            for (std::size_t k = 0; k != 3; ++k) lanes[k][i % 8] += terms[k];
        }
        for (InstructionSet set : all_instruction_sets) {
            if (!available(set)) continue;
            auto const found =
                detail::run_on(set, detail::LaneLoop<detail::DistanceTerms>{x.data(), y.data(), n});
            for (std::size_t s = 0; s != 3; ++s)
                for (std::size_t k = 0; k != 8; ++k) CHECK(found[s].lane[k] == lanes[s][k]);
        }
    }
}

TEST_CASE("the mean squared error, and its gradient by differences") {
    nn::Tensor output({2, 2}, {1, 2, 3, 4});
    nn::Tensor const target({2, 2}, {0.5f, 2, 5, 3});
    MeanSquaredError const loss;
    CHECK(loss(output, target) == (0.25 + 0 + 4 + 1) / 4);
    nn::Tensor gradient({2, 2});
    loss.gradient(output, target, gradient);
    for (std::size_t i = 0; i != 4; ++i) {
        // A parabola's central difference is exact, and 2^-10 a power of two.
        constexpr float h = 0.0009765625f;
        nn::Tensor up = output, down = output;
        up[i] += h;
        down[i] -= h;
        CHECK(static_cast<double>(gradient[i]) == (loss(up, target) - loss(down, target)) / (2 * h));
    }
}

TEST_CASE("weights multiply what each element adds to the mean squared error, and its gradient") {
    nn::Tensor output({2, 2}, {1, 2, 3, 4});
    nn::Tensor const target({2, 2}, {0.5f, 2, 5, 3}), weights({2, 2}, {2, 1, 0.5f, 0});
    MeanSquaredError const loss;
    CHECK(loss(output, target, weights) == (0.5 + 0 + 2 + 0) / 4);
    nn::Tensor gradient({2, 2});
    loss.gradient(output, target, weights, gradient);
    for (std::size_t i = 0; i != 4; ++i) {
        constexpr float h = 0.0009765625f;
        nn::Tensor up = output, down = output;
        up[i] += h;
        down[i] -= h;
        CHECK(static_cast<double>(gradient[i]) ==
              (loss(up, target, weights) - loss(down, target, weights)) / (2 * h));
    }
}

}  // namespace distill_loss_test
