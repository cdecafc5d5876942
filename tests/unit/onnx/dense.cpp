// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/dense.hpp>

#include <limits>
#include <numeric>
#include <vector>

#include "support/catch.hpp"

namespace onnx_dense_test {

using namespace amct_distill::onnx;

Dense<float> counting(Extents shape) {
    Dense<float> d{std::move(shape), {}};
    d.data.resize(count_of(d.shape));
    std::iota(d.data.begin(), d.data.end(), 0.0f);
    return d;
}

TEST_CASE("transposed values") {
    auto const t = transpose(counting({2, 3}), Extents{1, 0});
    CHECK(t.shape == Extents{3, 2});
    CHECK(t.data == std::vector<float>{0, 3, 1, 4, 2, 5});
    auto const u = transpose(counting({2, 3, 4}), Extents{2, 0, 1});
    CHECK(u.shape == Extents{4, 2, 3});
    for (std::size_t i = 0; i != 2; ++i)
        for (std::size_t j = 0; j != 3; ++j)
            for (std::size_t k = 0; k != 4; ++k)
                CHECK(u.data[(k * 2 + i) * 3 + j] == static_cast<float>((i * 3 + j) * 4 + k));
    CHECK(transpose(counting({0, 3}), Extents{1, 0}).data.empty());
}

TEST_CASE("shapes that broadcast, and values that do") {
    CHECK(broadcast(Extents{2, 1, 4}, Extents{3, 1}) == Extents{2, 3, 4});
    CHECK(broadcast(Extents{}, Extents{3}) == Extents{3});
    CHECK_FALSE(broadcast(Extents{2}, Extents{3}));
    auto const b = broadcast_to(counting({2, 1}), Extents{2, 2, 3});
    CHECK(b.data == std::vector<float>{0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1});
}

TEST_CASE("ranges of a Slice are those of Python") {
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max(), least = -most - 1;
    for (std::int64_t n : {0, 1, 5})
        for (std::int64_t start : {least, std::int64_t{-7}, std::int64_t{-5}, std::int64_t{-1},
                                   std::int64_t{0}, std::int64_t{2}, std::int64_t{5}, std::int64_t{9}, most})
            for (std::int64_t end :
                 {least, std::int64_t{-7}, std::int64_t{-5}, std::int64_t{-1}, std::int64_t{0},
                  std::int64_t{3}, std::int64_t{5}, std::int64_t{9}, most})
                for (std::int64_t step :
                     {least, std::int64_t{-3}, std::int64_t{-1}, std::int64_t{1}, std::int64_t{2}, most}) {
                    Range const r = slice_range(start, end, step, static_cast<std::size_t>(n));
                    // Python's rules, spelled out.
                    auto const clip = [n](std::int64_t v, std::int64_t low, std::int64_t high) {
                        if (v < 0 && v >= -n) return v + n;
                        return v < 0 ? low : v > high ? high : v;
                    };
                    std::int64_t const from = step > 0 ? clip(start, 0, n) : clip(start, -1, n - 1);
                    std::int64_t const to = step > 0 ? clip(end, 0, n) : clip(end, -1, n - 1);
                    std::vector<std::size_t> expected, seen;
                    for (std::int64_t i = from; step > 0 ? i < to : i > to;) {
                        expected.push_back(static_cast<std::size_t>(i));
                        if (step > n || step < -n) break;
                        i += step;
                    }
                    if (step < 0 && start < -n) continue;  // ONNX clamps such a start to 0, Python to -1
                    for (std::size_t i = 0; i != r.count; ++i)
                        seen.push_back(static_cast<std::size_t>(static_cast<std::int64_t>(r.start) +
                                                                static_cast<std::int64_t>(i) * r.step));
                    INFO(n << ": " << start << " " << end << " " << step);
                    CHECK(seen == expected);
                }
}

TEST_CASE("sliced, joined and gathered values") {
    auto const s = slice(counting({3, 4}), std::vector<Range>{{2, -1, 2}, {1, 2, 2}});
    CHECK(s.shape == Extents{2, 2});
    CHECK(s.data == std::vector<float>{9, 11, 5, 7});
    CHECK(slice(counting({3}), std::vector<Range>{{0, 1, 0}}).data.empty());
    std::vector<Dense<float>> const parts{counting({2, 1}), counting({2, 2})};
    auto const c = concatenate<float>(parts, 1);
    CHECK(c.shape == Extents{2, 3});
    CHECK(c.data == std::vector<float>{0, 0, 1, 1, 2, 3});
    auto const g = gather(counting({2, 3}), Dense<std::size_t>{{2}, {2, 0}}, 1);
    CHECK(g.shape == Extents{2, 2});
    CHECK(g.data == std::vector<float>{2, 0, 5, 3});
    auto const scalar = gather(counting({2, 3}), Dense<std::size_t>{{}, {1}}, 0);
    CHECK(scalar.shape == Extents{3});
    CHECK(scalar.data == std::vector<float>{3, 4, 5});
}

TEST_CASE("nothing, in any number of rows, is joined and gathered at once") {
    std::size_t const rows = std::size_t{1} << 40;
    std::vector<Dense<float>> const parts(2, Dense<float>{{rows, 0}, {}});
    auto const c = concatenate<float>(parts, 1);
    CHECK(c.shape == Extents{rows, 0});
    CHECK(c.data.empty());
    auto const g = gather(Dense<float>{{rows, 3, 0}, {}}, Dense<std::size_t>{{2}, {2, 0}}, 1);
    CHECK(g.shape == Extents{rows, 2, 0});
    CHECK(g.data.empty());
}

}  // namespace onnx_dense_test
