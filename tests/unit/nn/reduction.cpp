// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/reduction.hpp>

#include "support/catch.hpp"

namespace nn_reduction_test {

using namespace amct_distill::nn;

namespace {

/// Every value is folded once, into the output that strides counted here say.
void check_walk(const Shape& x, const std::vector<std::size_t>& axes) {
    INFO(to_string(x) << " over " << axes.size());
    auto const is_reduced = [&](std::size_t dim) {
        return std::find(axes.begin(), axes.end(), dim) != axes.end();
    };
    auto const output_of = [&](Index flat) {
        Index index = 0, stride = 1;
        for (std::size_t d = x.size(); d-- != 0; flat /= x[d])
            if (!is_reduced(d)) index += flat % x[d] * stride, stride *= x[d];
        return index;
    };
    Reduction const over(x, is_reduced);
    std::vector<int> seen(static_cast<std::size_t>(product(x, 0, x.size())));
    bool right = true;
    Index terms = 1;
    for (std::size_t d : axes) terms *= x[d];
    CHECK(over.terms() == terms);
    over.for_each(BasicScratch<float>{}, [&](Index out, Index width, auto each_line) {
        right = right && width >= 1 && width <= Reduction::strip;
        each_line([&](Index at, Index n) {
            right = right && (over.step() == 0 || n == width);
            for (Index j = 0; j != n; ++j) {
                ++seen[static_cast<std::size_t>(at + j)];
                right = right && output_of(at + j) == out + j * over.step();
            }
        });
    });
    CHECK(right);
    CHECK(std::count(seen.begin(), seen.end(), 1) == std::ssize(seen));
}

}  // namespace

TEST_CASE("reduction: every value goes to its output once") {
    check_walk({6}, {});
    check_walk({6}, {0});
    check_walk({1, 1}, {0});
    check_walk({2, 3, 4}, {2});
    check_walk({2, 3, 4}, {1});
    check_walk({2, 3, 4}, {0});
    check_walk({2, 3, 4}, {0, 2});
    check_walk({2, 3, 4, 5}, {1, 3});
    check_walk({2, 3, 4, 5}, {0, 2});
    check_walk({2, 3, 4, 5}, {0, 1, 2, 3});
    check_walk({2, 1, 70, 3, 5}, {1, 3});
    check_walk({3, 4, 200}, {0, 1});
    check_walk({3, 4, 200}, {1});
    check_walk({300, 400, 2}, {1});  // longer than what a thread takes at a time
}

}  // namespace nn_reduction_test
