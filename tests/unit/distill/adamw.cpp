// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/adamw.hpp>

#include <amct_distill/distill/optimizer.hpp>
#include <amct_distill/run/executor.hpp>
#include <cmath>

#include <span>
#include <vector>

#include "support/catch.hpp"

namespace distill_adamw_test {

using namespace amct_distill;

static_assert(BlockOptimizer<AdamW>);
static_assert(!BlockOptimizer<int>);

TEST_CASE("the steps are those of AdamW's definition, computed in double") {
    // float32 against double: about one rounding error of the parameter per step.
    constexpr double tolerance = 1e-6;
    std::vector<float> value{1.0f, -0.5f, 0.25f}, gradient(3);
    AdamW optimizer;
    optimizer.add(value, gradient, 1e-2);
    double p[] = {1.0, -0.5, 0.25}, m[3] = {}, v[3] = {};
    for (int t = 1; t <= 50; ++t) {
        for (std::size_t i = 0; i != 3; ++i) {
            gradient[i] = static_cast<float>(std::sin(t + static_cast<double>(i)));
            auto const g = static_cast<double>(gradient[i]);
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            double const first = m[i] / (1 - std::pow(0.9, t)), second = v[i] / (1 - std::pow(0.999, t));
            p[i] = p[i] * (1 - 1e-2 * 0.01) - 1e-2 * first / (std::sqrt(second) + 1e-8);
        }
        optimizer.step();
        for (std::size_t i = 0; i != 3; ++i)
            CHECK(std::fabs(static_cast<double>(value[i]) - p[i]) < tolerance * t);
    }
}

TEST_CASE("each parameter has its learning rate, and a schedule scales all of them") {
    std::vector<float> a{1.0f}, b{1.0f}, gradient{2.0f};
    AdamW optimizer({.weight_decay = 0});
    optimizer.add(a, gradient, 0.1);
    optimizer.add(b, gradient, 0.001);
    optimizer.set_learning_rate_factor(0.5);
    optimizer.step();  // the first step has the size of the learning rate
    CHECK(a[0] == Approx(1 - 0.05));
    CHECK(b[0] == Approx(1 - 0.0005));
    CHECK_THROWS_WITH(optimizer.add(a, std::vector<float>(2), 0.1),
                      "AdamW: a parameter of 1 values has a gradient of 2");
}

TEST_CASE("a step has the same bits on any threads, and for a value alone") {
    nn::Executor const three(3);
    std::size_t const n = 2 * detail::task_size + 7;
    std::vector<float> here(n), gradient(n);
    for (std::size_t i = 0; i != n; ++i) {
        here[i] = std::sin(static_cast<float>(i));
        gradient[i] = std::cos(static_cast<float>(i * i % 1000));
    }
    std::vector<float> there = here, alone(here.end() - 9, here.end());
    AdamW a, b, c;
    a.add(here, gradient, 1e-2);
    b.add(there, gradient, 1e-2);
    for (std::size_t i = 0; i != alone.size(); ++i)
        c.add(std::span(alone).subspan(i, 1), std::span(gradient).subspan(n - 9 + i, 1), 1e-2);
    for (int t = 0; t != 3; ++t) {
        a.step();
        b.step(three.execution());
        c.step();
    }
    CHECK(here == there);
    CHECK(std::vector<float>(here.end() - 9, here.end()) == alone);
}

}  // namespace distill_adamw_test
