#include <amct_distill/quant/ordered_sum.hpp>

#include <vector>

#include "support/catch.hpp"

namespace quant_ordered_sum_test {

using namespace amct_distill;

TEST_CASE("every element is added once, in increasing order") {
    for (std::size_t n : {0u, 1u, 7u, 8u, 9u, 4095u, 4096u, 4097u, 10000u}) {
        std::size_t next = 0;
        bool ordered = true;
        auto const [count, sum] = detail::ordered_sums<2>(n, [&](std::size_t i) {
            ordered = ordered && i == next++;
            return std::array{1.0, static_cast<double>(i)};
        });
        CHECK(ordered);
        CHECK(count == static_cast<double>(n));
        CHECK(sum == static_cast<double>(n) * (static_cast<double>(n) - 1) / 2);
    }
}

TEST_CASE("the order is lanes within blocks, then blocks") {
    // Terms of very different sizes: any other order of additions gives other bits.
    std::size_t const n = 2 * detail::sum_block + 13;
    std::vector<double> x(n);
    for (std::size_t i = 0; i != n; ++i) x[i] = (i % 3 == 0 ? 1e16 : 0.1) / static_cast<double>(i + 1);

    double expected = 0;
    for (std::size_t block = 0; block < n; block += detail::sum_block) {
        double of_block = 0;
        for (std::size_t lane = 0; lane != detail::sum_lanes; ++lane) {
            double of_lane = 0;
            for (std::size_t i = block + lane; i < std::min(n, block + detail::sum_block);
                 i += detail::sum_lanes)
                of_lane += x[i];
            of_block += of_lane;
        }
        expected += of_block;
    }
    CHECK(detail::ordered_sums<1>(n, [&](std::size_t i) { return std::array{x[i]}; })[0] == expected);

    double plain = 0;
    for (double v : x) plain += v;
    CHECK(plain != expected);
}

}  // namespace quant_ordered_sum_test
