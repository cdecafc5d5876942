// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/tail.hpp>

#include <algorithm>
#include <cmath>
#include <random>

#include "support/catch.hpp"

namespace quant_tail_test {

using namespace amct_distill;

TEST_CASE("the k-th from either end is that of the sorted values, in whatever parts they come") {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    std::size_t ran = 0, wrong = 0;
    for (std::size_t n : {1u, 2u, 1000u, 5000u, 50000u}) {
        std::vector<float> x(n);
        for (float& v : x) v = n == 5000 ? std::nearbyint(2 * normal(random)) : normal(random);  // ties too
        auto sorted = x;
        std::sort(sorted.begin(), sorted.end());
        for (std::size_t k : {std::size_t{1}, std::size_t{2}, n / 100 + 1, n / 2, n}) {
            if (k == 0 || k > n) continue;
            for (std::size_t size : {1u, 777u, 100000u}) {
                detail::Tails tails(k, n - k + 1);
                for (std::size_t i = 0; i < n; i += size) {
                    auto const part = std::span(x).subspan(i, std::min(size, n - i));
                    auto const [min, max] = std::minmax_element(part.begin(), part.end());
                    tails.add(part, {*max, *min, true});
                }
                if (tails.kth_largest() != sorted[n - k] || tails.kth_smallest() != sorted[n - k]) ++wrong;
                ++ran;
            }
        }
    }
    CHECK(wrong == 0);
    CHECK(ran > 60);
}

}  // namespace quant_tail_test
