#include <amct_distill/quant/tail.hpp>

#include <algorithm>
#include <random>

#include "support/catch.hpp"
#include "support/executions.hpp"

using namespace amct_distill;

TEST_CASE("the k-th from either end is that of the sorted values, in whatever parts they come") {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    for (std::size_t n : {1u, 2u, 1000u, 5000u, 150000u}) {
        std::vector<float> x(n);
        for (float& v : x) v = n == 5000 ? std::nearbyint(2 * normal(random)) : normal(random);  // ties too
        auto sorted = x;
        std::sort(sorted.begin(), sorted.end());
        for (std::size_t k : {std::size_t{1}, std::size_t{2}, n / 100 + 1, n / 2, n}) {
            if (k == 0 || k > n) continue;
            for (const auto& on : support::executions()) {
                detail::Tails tails(k, n - k + 1);
                for (std::size_t i = 0; i < n; i += 70000)
                    tails.add(std::span(x).subspan(i, std::min<std::size_t>(70000, n - i)), on.how);
                if (tails.kth_largest() != sorted[n - k] || tails.kth_smallest() != sorted[n - k])
                    FAIL(on.name << ": n " << n << ", k " << k);
                CHECK(tails.largest_magnitude() == std::max(std::max(0.0f, sorted.back()), -sorted[0]));
            }
        }
    }
}
