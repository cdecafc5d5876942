// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/broadcast.hpp>

#include "support/catch.hpp"

namespace nn_broadcast_test {

using namespace amct_distill::nn;

namespace {

std::string shape_of(const std::vector<Shape>& inputs) {
    auto const shape = broadcast_shape(inputs);
    return shape ? to_string(*shape) : shape.diagnostics().front().message;
}

/// For every output, which of a and of b it is made of, in strides counted here.
void check_walk(const Shape& y, const Shape& a, const Shape& b) {
    INFO(to_string(y) << " of " << to_string(a) << " and " << to_string(b));
    auto const index_in = [&](const Shape& s, Index flat) {
        Index index = 0, stride = 1;
        for (std::size_t back = 1; back <= y.size(); ++back) {
            Index const at = flat % y[y.size() - back];
            flat /= y[y.size() - back];
            if (back > s.size()) continue;
            if (s[s.size() - back] != 1) index += at * stride;
            stride *= s[s.size() - back];
        }
        return index;
    };
    Broadcast const pair(y, a, b);
    std::vector<int> seen(static_cast<std::size_t>(product(y, 0, y.size())));
    bool right = true;
    pair.for_each_run(BasicScratch<float>{}, [&](Index o, Index i, Index j, Index n) {
        for (Index k = 0; k != n; ++k) {
            ++seen[static_cast<std::size_t>(o + k)];
            right = right && i + k * pair.step_a() == index_in(a, o + k) &&
                    j + k * pair.step_b() == index_in(b, o + k);
        }
    });
    CHECK(right);
    CHECK(std::count(seen.begin(), seen.end(), 1) == std::ssize(seen));
}

}  // namespace

TEST_CASE("broadcast: the shape that comes of several") {
    CHECK(shape_of({{2, 3}, {2, 3}}) == "[2, 3]");
    CHECK(shape_of({{3, 1, 5}, {4, 1}, {1}}) == "[3, 4, 5]");
    CHECK(shape_of({{any_batch, 8, 4, 4}, {8, 1, 1}}) == "[N, 8, 4, 4]");
    CHECK(shape_of({{1, 8}, {any_batch, 1}}) == "[N, 8]");
    CHECK(shape_of({{any_batch, 8}, {any_batch, 1}}) == "[N, 8]");
    CHECK(shape_of({{2, 3}, {2, 4}}) == "expected inputs that broadcast, found [2, 3] and [2, 4]");
    CHECK(
        shape_of({{any_batch, 3}, {2, 3}}) ==
        "expected inputs that broadcast for a batch of any size: 1 in dimension 0 of what has no batch, or a "
        "fixed batch, found [N, 3] and [2, 3]");
    CHECK(shape_of({{2, 3}, {any_batch, 3}}).starts_with("expected inputs that broadcast for a batch"));
    CHECK(
        shape_of({{any_batch, 3}, {any_batch, 4, 3}}) ==
        "expected inputs whose batches lie in the same dimension; reshape the one of fewer dimensions, found "
        "[N, 3] and [N, 4, 3]");
    CHECK(shape_of({Shape(17, 1)}).starts_with("expected inputs of at most 16 dimensions"));
    CHECK(shape_of({}) == "expected inputs that broadcast, found none");
}

TEST_CASE("broadcast: the walk over two operands") {
    check_walk({6}, {6}, {6});
    check_walk({6}, {1}, {6});
    check_walk({1, 1}, {1}, {1, 1});
    check_walk({2, 3, 4, 5}, {2, 3, 4, 5}, {3, 1, 1});
    check_walk({2, 3, 4, 5}, {2, 1, 4, 1}, {3, 1, 5});
    check_walk({2, 3, 4, 5}, {5}, {2, 3, 1, 1});
    check_walk({2, 1, 4, 5}, {2, 1, 1, 5}, {4, 5});
    check_walk({70, 300, 3}, {300, 1}, {70, 1, 3});  // longer than what a thread takes at a time
    check_walk({40000, 1, 3}, {40000, 1, 3}, {40000, 1, 1});
}

}  // namespace nn_broadcast_test
