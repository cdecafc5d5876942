// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/matmul.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_matmul_test {

using namespace amct_distill::nn;

namespace {

struct Case {
    Shape a, b, output;
};

const std::vector<Case>& cases() {
    static const std::vector<Case> all{
        {{3, 4}, {4, 5}, {3, 5}},
        {{2, 3, 4}, {2, 4, 5}, {2, 3, 5}},
        {{2, 3, 4}, {4, 5}, {2, 3, 5}},
        {{3, 4}, {2, 4, 5}, {2, 3, 5}},
        {{2, 1, 3, 4}, {1, 3, 4, 2}, {2, 3, 3, 2}},
        {{2, 1, 2, 4}, {3, 4, 2}, {2, 3, 2, 2}},
        {{4}, {4, 5}, {5}},
        {{3, 4}, {4}, {3}},
        {{2, 3, 4}, {4}, {2, 3}},
        {{4}, {2, 4, 3}, {2, 3}},
        {{6}, {6}, {1}},
        {{2, 1, 1}, {2, 1, 300}, {2, 1, 300}},
    };
    return all;
}

/// The definition; the leading dimensions are aligned at their ends.
BasicTensor<double> direct(const BasicTensor<double>& a, const BasicTensor<double>& b, const Shape& shape) {
    auto const whole = [](Shape s, bool left) {
        if (s.size() == 1) s.insert(left ? s.begin() : s.end(), 1);
        s.insert(s.begin(), 4 - s.size(), 1);
        return s;
    };
    Shape const sa = whole(a.shape(), true), sb = whole(b.shape(), false);
    auto const at = [](const BasicTensor<double>& t, const Shape& s, Index i, Index j, Index k, Index l) {
        return t.data()[(((s[0] == 1 ? 0 : i) * s[1] + (s[1] == 1 ? 0 : j)) * s[2] + k) * s[3] + l];
    };
    BasicTensor<double> y(shape);
    std::size_t n = 0;
    for (Index i = 0; i != (std::max)(sa[0], sb[0]); ++i)
        for (Index j = 0; j != (std::max)(sa[1], sb[1]); ++j)
            for (Index row = 0; row != sa[2]; ++row)
                for (Index col = 0; col != sb[3]; ++col, ++n)
                    for (Index k = 0; k != sa[3]; ++k)
                        y[n] += at(a, sa, i, j, row, k) * at(b, sb, i, j, k, col);
    return y;
}

}  // namespace

TEST_CASE("MatMul: forward is the definition, with broadcast and vectors") {
    for (const Case& c : cases()) {
        INFO(to_string(c.a) << " and " << to_string(c.b));
        BasicTensor<double> a(c.a), b(c.b);
        fill_distinct(a, 1);
        fill_distinct(b, 2);
        auto const y = run<double>(BasicModule<double>(BasicMatMul<double>{}), {a, b});
        REQUIRE(y.shape() == c.output);
        auto const expected = direct(a, b, c.output);
        double worst = 0;
        for (std::size_t i = 0; i != y.size(); ++i) worst = (std::max)(worst, std::abs(y[i] - expected[i]));
        CHECK(worst < 1e-14);
    }
}

TEST_CASE("MatMul: gradients are those of central differences") {
    for (const Case& c : cases()) {
        INFO(to_string(c.a) << " and " << to_string(c.b));
        BasicModule<double> module = BasicMatMul<double>{};
        CHECK(gradient_error(module, {c.a, c.b}) < gradient_tolerance);
    }
}

TEST_CASE("MatMul: the batch is dimension 0 of the output") {
    Module const m = MatMul{};
    auto const shape = [&](const Shape& a, const Shape& b) {
        return m.output_shape(std::vector<Shape>{a, b}).value();
    };
    constexpr Index n = any_batch;
    CHECK(shape({n, 3, 4}, {n, 4, 5}) == Shape{n, 3, 5});
    CHECK(shape({n, 4}, {4, 5}) == Shape{n, 5});
    CHECK(shape({n, 2, 3, 4}, {2, 4, 5}) == Shape{n, 2, 3, 5});
    CHECK(shape({n, 3, 4}, {1, 4, 5}) == Shape{n, 3, 5});
    CHECK(shape({3, 4}, {n, 4, 5}) == Shape{n, 3, 5});

    CHECK(shape_error(m, {{n, 4}, {2, 4, 5}}) ==
          "expected the batch, N, as dimension 0 of the output: give both inputs as many dimensions, found "
          "[N, 4] and [2, 4, 5]");
    CHECK(shape_error(m, {{n, 4}, {1, 4, 5}}).starts_with("expected the batch, N, as dimension 0"));
    CHECK(
        shape_error(m, {{3, 4}, {n, 5}}) ==
        "expected two inputs [..., M, K] and [..., K, N] of one K, which is not the batch, found [3, 4] and "
        "[N, 5]");
    CHECK(!shape_error(m, {{n}, {n, 5}}).empty());
    CHECK(shape_error(m, {{n, 3, 4}, {2, 4, 5}}) ==
          "expected two inputs [..., M, K] and [..., K, N] whose other dimensions are the same or 1, found "
          "[N, 3, 4] and [2, 4, 5]");
    CHECK(shape_error(m, {{2, 3}}) == "expected two inputs [..., M, K] and [..., K, N], found [2, 3]");
}

}  // namespace nn_matmul_test
