// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/run/ordered_sum.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/executions.hpp"

namespace quant_ordered_sum_test {

using namespace amct_distill;

namespace {

struct Dot {
    static constexpr std::size_t sums = 2;
    const float *x, *y;

    template <int Bytes>
    [[gnu::always_inline]] void add(std::size_t i, std::size_t accumulator,
                                    detail::Accumulators<Bytes>* to) const {
        typename detail::Vectors<Bytes>::floats a, b;
        detail::load(x + i, a);
        detail::load(y + i, b);
        to[0].add_product(a, b, accumulator);
        to[1].add_product(b, b, accumulator);
    }
};

}  // namespace

TEST_CASE("every element is added once") {
    for (const auto& on : support::executions()) {
        INFO(on.name);
        for (std::size_t n : {0u, 1u, 7u, 8u, 9u, 15u, 16u, 17u, 4095u, 4096u, 4097u, 10000u, 70000u}) {
            std::vector<float> x(n), ones(n, 1.0f);
            for (std::size_t i = 0; i != n; ++i) x[i] = static_cast<float>(i);
            auto const [sum, count] = detail::ordered_sums(on.how, n, Dot{x.data(), ones.data()});
            CHECK(count == static_cast<double>(n));
            CHECK(sum == static_cast<double>(n) * (static_cast<double>(n) - 1) / 2);
        }
    }
}

TEST_CASE(
    "the order is accumulators within blocks, then blocks, with every instruction set and number of "
    "threads") {
    // Terms of very different sizes: any other order of additions gives other bits.
    std::size_t const n = 20 * detail::sum_block + 13;
    std::vector<float> x(n), y(n);
    for (std::size_t i = 0; i != n; ++i) {
        x[i] = (i % 3 == 0 ? 1e16f : 0.1f) / static_cast<float>(i + 1);
        y[i] = i % 2 == 0 ? 0.3f : 0.7f;
    }
    auto const term = [&](std::size_t i) { return static_cast<double>(x[i]) * static_cast<double>(y[i]); };

    double expected = 0;
    for (std::size_t block = 0; block < n; block += detail::sum_block) {
        double of_block = 0;
        for (std::size_t accumulator = 0; accumulator != detail::accumulator_count; ++accumulator) {
            double each = 0;
            for (std::size_t i = block + accumulator; i < std::min(n, block + detail::sum_block);
                 i += detail::accumulator_count)
                each += term(i);
            of_block += each;
        }
        expected += of_block;
    }
    for (const auto& on : support::executions()) {
        INFO(on.name);
        CHECK(detail::ordered_sums(on.how, n, Dot{x.data(), y.data()})[0] == expected);
    }

    double plain = 0;
    for (std::size_t i = 0; i != n; ++i) plain += term(i);
    CHECK(plain != expected);
}

}  // namespace quant_ordered_sum_test
