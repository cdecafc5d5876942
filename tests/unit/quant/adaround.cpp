// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/adaround.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "support/catch.hpp"
#include "support/executions.hpp"

namespace quant_adaround_test {

using namespace amct_distill;

namespace {

/// The formulas of the published method and of the recipe, in double.
struct Reference {
    static double h(double v) {
        return (std::min)(1.0, (std::max)(0.0, 1 / (1 + std::exp(-v)) * (1.1 - -0.1) + -0.1));
    }
    static double weight(double w, double scale, double part) {
        return scale * (std::min)(7.0, (std::max)(-8.0, std::floor(w / scale) + part));
    }
    /// 1 - |2h - 1|^beta
    static double penalty(double v, double beta) { return 1 - std::pow(std::abs(2 * h(v) - 1), beta); }
};

RowMajorMatrix normal(Eigen::Index rows, Eigen::Index cols, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> value;
    return RowMajorMatrix::NullaryExpr(rows, cols, [&] { return value(random); });
}
double scale_of(const Scales& scales, Eigen::Index r) {
    return static_cast<double>(scales.of_row(static_cast<std::size_t>(r)).scale);
}
/// Undecided values between -2 and 2.
void spread(std::span<float> values) {
    for (std::size_t i = 0; i != values.size(); ++i)
        values[i] = -2 + 4 * static_cast<float>((i * 37) % 101) / 101;
}
double derivative(const std::function<double(double)>& f, double v) {
    constexpr double d = 1e-5;
    return (f(v + d) - f(v - d)) / (2 * d);
}

}  // namespace

TEST_CASE("learned rounding begins at the float weight and stays near it until it is told its steps") {
    RowMajorMatrix const w = normal(3, 40, 1);
    AdaRound<Int4, ChannelWise> q;
    REQUIRE(q.initialize(w));
    CHECK(q.scale_offsets(w) == searched_scales<Int4, ChannelWise>(w));
    RowMajorMatrix out(3, 40);
    q.begin_step({.step = 0, .steps = 10});
    CHECK_FALSE(q.is_settled());
    q.fake_quantize(w, out);
    std::size_t inside = 0;
    for (Eigen::Index r = 0; r != 3; ++r)
        for (Eigen::Index c = 0; c != 40; ++c) {
            double const s = scale_of(q.scale_offsets(w), r), x = static_cast<double>(w(r, c));
            if (x < -8 * s || x > 7 * s) continue;
            ++inside;
            CHECK(std::abs(static_cast<double>(out(r, c)) - x) <= 2e-4 * s);  // parts are kept off 0 and 1
        }
    CHECK(inside > 100);

    // Deployed, each goes to the nearer code.
    q.end_steps();
    CHECK(q.is_settled());
    q.fake_quantize(w, out);
    for (Eigen::Index r = 0; r != 3; ++r)
        for (Eigen::Index c = 0; c != 40; ++c)
            CHECK(out(r, c) ==
                  fake_quantize<Int4>(w(r, c), q.scale_offsets(w).of_row(static_cast<std::size_t>(r))));

    AdaRound<Int4, TensorWise> widest({.initial_range = InitialRange::MAX});
    REQUIRE(widest.initialize(w));
    CHECK(widest.scale_offsets(w) == Arq<Int4, TensorWise>{}.scale_offsets(w));
}

TEST_CASE("learned rounding computes what its formulas say") {
    RowMajorMatrix const w = normal(4, 30, 2);
    AdaRound<Int4, TensorWise> q;
    REQUIRE(q.initialize(w));
    spread(q.parameters());
    q.begin_step({.step = 1, .steps = 10});
    RowMajorMatrix soft(4, 30), hard(4, 30);
    q.fake_quantize(w, soft);
    q.begin_step({.step = 5, .steps = 10});  // the second half
    CHECK(q.is_settled());
    q.fake_quantize(w, hard);
    q.end_steps();
    RowMajorMatrix deployed(4, 30);
    q.fake_quantize(w, deployed);
    CHECK(deployed == hard);
    auto const codes = q.quantize(w).value();
    double const s = scale_of(q.scale_offsets(w), 0);
    for (Eigen::Index i = 0; i != w.size(); ++i) {
        auto const k = static_cast<std::size_t>(i);
        double const x = static_cast<double>(w.data()[i]), v = static_cast<double>(q.parameters()[k]);
        CHECK(std::abs(static_cast<double>(soft.data()[i]) - Reference::weight(x, s, Reference::h(v))) <=
              2e-6);
        double const rounded = Reference::h(v) >= 0.5 ? 1 : 0;
        CHECK(static_cast<double>(hard.data()[i]) == Approx(Reference::weight(x, s, rounded)).margin(1e-9));
        CHECK(hard.data()[i] == dequantize(codes.codes[k], codes.scales.of_row(0)));
    }
}

TEST_CASE("learned rounding that is undecided to the end goes up") {
    RowMajorMatrix const w = normal(2, 20, 4);
    AdaRound<Int4, TensorWise> q;
    REQUIRE(q.initialize(w));
    std::ranges::fill(q.parameters(), 0.0f);  // h is a half
    q.end_steps();
    RowMajorMatrix out(2, 20);
    q.fake_quantize(w, out);
    double const s = scale_of(q.scale_offsets(w), 0);
    for (Eigen::Index i = 0; i != w.size(); ++i)
        CHECK(static_cast<double>(out.data()[i]) ==
              Approx(Reference::weight(static_cast<double>(w.data()[i]), s, 1)).margin(1e-9));
}

TEST_CASE("gradients of learned rounding are those of differences") {
    RowMajorMatrix const w = normal(5, 21, 3), grad_out = normal(5, 21, 4);
    AdaRound<Int4, ChannelWise> q;
    REQUIRE(q.initialize(w));
    spread(q.parameters());
    for (std::size_t step : {std::size_t{3}, std::size_t{8}}) {  // soft, and rounded: the same gradient
        q.begin_step({.step = step, .steps = 10});
        RowMajorMatrix grad_w = normal(5, 21, 5);
        std::vector<float> grad(q.parameters().size(), 7);
        q.backward(w, grad_out, grad_w, grad);
        CHECK(grad_w.isZero(0));
        for (Eigen::Index i = 0; i != w.size(); ++i) {
            auto const k = static_cast<std::size_t>(i);
            double const s = scale_of(q.scale_offsets(w), i / 21), x = static_cast<double>(w.data()[i]);
            if (std::abs(x / s - std::nearbyint(x / s)) < 1e-5) continue;  // floor() of float is another
            auto const loss = [&](double v) {
                return static_cast<double>(grad_out.data()[i]) * Reference::weight(x, s, Reference::h(v));
            };
            CHECK(
                static_cast<double>(grad[k]) ==
                Approx(derivative(loss, static_cast<double>(q.parameters()[k]))).epsilon(1e-4).margin(1e-6));
        }
        for (const auto& on : support::executions()) {
            INFO(on.name);
            std::vector<float> same(grad.size());
            q.backward(w, grad_out, grad_w, same, on.how);
            CHECK(same == grad);
        }
    }
}

TEST_CASE("the penalty of learned rounding, its gradient and its course") {
    RowMajorMatrix const w = normal(300, 3, 6);  // more rows than are summed up at a time
    AdaRound<Int4, ChannelWise> q;
    REQUIRE(q.initialize(w));
    spread(q.parameters());
    q.parameters()[0] = 9;  // decided
    RowMajorMatrix grad_w = RowMajorMatrix::Zero(300, 3);
    std::vector<float> grad(q.parameters().size(), 0.5f);
    CHECK(q.regularize(w, 1, grad_w, grad) == 0);  // not in a step
    q.begin_step({.step = 19, .steps = 100});
    CHECK(q.regularize(w, 1, grad_w, grad) == 0);  // in the warm-up
    CHECK(grad == std::vector<float>(grad.size(), 0.5f));

    for (std::size_t step : {std::size_t{20}, std::size_t{60}, std::size_t{99}}) {
        double const t = (static_cast<double>(step) / 100 - 0.2) / 0.8;
        double const lambda = std::exp(t * std::log(100.0));                   // from 1 to 100
        double const beta = 2 + 18 * (1 + std::cos(t * std::acos(-1.0))) / 2;  // from 20 to 2
        q.begin_step({.step = step, .steps = 100});
        std::ranges::fill(grad, 0.5f);
        double const value = q.regularize(w, 0.25, grad_w, grad);
        double sum = 0;
        for (std::size_t k = 0; k != grad.size(); ++k) {
            auto const v = static_cast<double>(q.parameters()[k]);
            sum += lambda * Reference::penalty(v, beta);
            auto const term = [&](double x) { return 0.25 * lambda * Reference::penalty(x, beta); };
            CHECK(static_cast<double>(grad[k]) - 0.5 ==
                  Approx(derivative(term, v)).epsilon(1e-3).margin(1e-4));
        }
        CHECK(value == Approx(sum).epsilon(1e-5));
        CHECK(grad_w.isZero(0));
        for (const auto& on : support::executions()) {
            INFO(on.name);
            std::vector<float> same(grad.size(), 0.5f);
            CHECK(q.regularize(w, 0.25, grad_w, same, on.how) == value);
            CHECK(same == grad);
        }
    }

    // The rate: constant, then in the last half down to 2 %.
    auto const rate = [&](std::size_t step) {
        q.begin_step({.step = step, .steps = 100});
        return q.learning_rate();
    };
    CHECK(rate(0) == 0.05);
    CHECK(rate(49) == 0.05);
    CHECK(rate(50) == Approx(0.05));
    CHECK(rate(75) == Approx(0.05 * (0.02 + 0.98 * 0.5)));
    CHECK(rate(99) < 0.05 * 0.022);
    CHECK(rate(99) > 0.05 * 0.02);
}

TEST_CASE("weights outside of the codes' range have no choice") {
    RowMajorMatrix w(1, 4), out(1, 4), grad_w(1, 4);
    w << 7.9f, -9.2f, 6.5f, -8.0f;  // of scale 1: above, below, two within
    AdaRound<Int4, TensorWise> q({.initial_range = InitialRange::MAX});
    RowMajorMatrix ones(1, 4);
    ones << 7, -8, 0, 0;  // whose scale is 1
    REQUIRE(q.initialize(ones));
    REQUIRE(q.scale_offsets(ones).of_row(0).scale == 1);
    std::ranges::fill(q.parameters(), 0.0f);  // halfway
    q.begin_step({.step = 0, .steps = 2});
    q.fake_quantize(w, out);
    CHECK(out == (RowMajorMatrix(1, 4) << 7, -8, 6.5f, -7.5f).finished());
    std::vector<float> grad(4);
    q.backward(w, RowMajorMatrix::Ones(1, 4), grad_w, grad);
    CHECK(grad[0] == 0);
    CHECK(grad[1] == 0);
    CHECK(grad[2] == Approx(0.3));  // 1.2 / 4
    CHECK(grad[3] == Approx(0.3));
}

TEST_CASE("learned rounding refuses options that make no sense") {
    RowMajorMatrix const w = normal(2, 2, 7);
    auto const error = [&](const AdaRoundOptions& options) {
        AdaRound<Int4, ChannelWise> q(options);
        auto const done = q.initialize(w);
        return done ? std::string() : done.diagnostics()[0].message;
    };
    constexpr double infinity = std::numeric_limits<double>::infinity();
    CHECK(error({}) == "");
    CHECK(error({.regularization = 0}) == "");
    for (double end : {0.0, 1.0}) CHECK(error({.hard_phase = end}) == "");
    for (double end : {1.0, 1000.0}) CHECK(error({.beta_start = end, .beta_end = end}) == "");
    CHECK(error({.warm_up = 0}) == "");
    CHECK(error({.learning_rate = 0}) == "");
    CHECK(error({.hard_phase = -0.5}) == "adaround_distill: hard_phase must be 0 to 1, found -0.5");
    CHECK(error({.regularization = -1}) == "adaround_distill: regularization must be at least 0, found -1");
    CHECK(error({.regularization_end = 0}) ==
          "adaround_distill: regularization_end must be above 0, found 0");
    CHECK(error({.warm_up = 1}) == "adaround_distill: warm_up must be 0 to below 1, found 1");
    CHECK(error({.beta_start = 0.5}) == "adaround_distill: beta_start must be 1 to 1000, found 0.5");
    CHECK(error({.beta_end = 2000}) == "adaround_distill: beta_end must be 1 to 1000, found 2000");
    CHECK(error({.hard_phase = 1.5}) == "adaround_distill: hard_phase must be 0 to 1, found 1.5");
    CHECK(error({.learning_rate = infinity}) ==
          "adaround_distill: learning_rate must be at least 0, found inf");
    CHECK(error({.regularization_end = infinity}) ==
          "adaround_distill: regularization_end must be above 0, found inf");
    CHECK(error({.warm_up = -0.5}) == "adaround_distill: warm_up must be 0 to below 1, found -0.5");
    CHECK(error({.learning_rate = -1}) == "adaround_distill: learning_rate must be at least 0, found -1");
    AdaRoundOptions none;
    none.regularization = 0;
    CHECK(none.penalty(0.9).weight == 0);
    CHECK(none.penalty(0.9).exponent == none.beta_start);
    AdaRound<Int4, ChannelWise> q;
    RowMajorMatrix bad = w;
    bad(1, 0) = std::numeric_limits<float>::quiet_NaN();
    CHECK_FALSE(q.initialize(bad));
}

}  // namespace quant_adaround_test
