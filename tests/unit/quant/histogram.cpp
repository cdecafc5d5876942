// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/histogram.hpp>
#include <amct_distill/quant/ifmr.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "support/catch.hpp"
#include "support/executions.hpp"
#include "support/sanitized.hpp"

namespace quant_histogram_test {

using namespace amct_distill;

namespace {

/// The promise, word for word and slowly: float32 errors by the standard library's rounding, summed in
/// double.
template <class B, class S>
std::vector<double> brute_force(const std::vector<float>& x, ClipRange range) {
    std::vector<double> losses;
    for (int i = 0; i != 61; ++i) {
        auto const ratio = static_cast<float>(0.7 + i * 0.01);
        bool const symmetric = std::same_as<S, Symmetric>;
        float const largest = std::max(std::abs(range.max), std::abs(range.min));
        float const upper = ratio * (symmetric ? largest : range.max), lower = symmetric ? -upper : range.min;
        float const scale =
            symmetric ? symmetric_scale<B>(range, ratio).scale : asymmetric_scale<B>({upper, lower}).scale;
        double sum = 0;
        for (float v : x) {
            volatile float const y = std::nearbyint(std::min(std::max(v, lower), upper) / scale) * scale;
            float const error = y - v;
            sum += static_cast<double>(error) * static_cast<double>(error);
        }
        losses.push_back(sum / static_cast<double>(x.size()));
    }
    return losses;
}

struct Counts {
    std::size_t sets = 0, wrong = 0, out_of_bounds = 0, near_ties = 0, evaluated = 0, most_evaluated = 0;
};

template <class B, class S>
void compare(const std::vector<float>& x, Counts& counts, IfmrOptions options = {}) {
    Ifmr<B, S> ifmr(options);
    REQUIRE(ifmr.observe(x));
    auto const found = ifmr.finish().value();
    auto const losses = brute_force<B, S>(x, found.range);
    auto const best = std::min_element(losses.begin(), losses.end());
    double const least = *best;

    // Another order of additions: each rounds, of all those positive terms, by at most 2^-53.
    double const rounding = 2 * static_cast<double>(x.size()) * 0x1p-53;
    double const next = std::accumulate(losses.begin(), losses.end(), HUGE_VAL,
                                        [&](double a, double b) { return b > least ? std::min(a, b) : a; });
    bool const near_tie = next - least < 1e-9 * least;
    if (near_tie) ++counts.near_ties;
    if (near_tie ? losses[found.best] - least > 1e-9 * least
                 : found.best != static_cast<std::size_t>(best - losses.begin()))
        ++counts.wrong;
    std::size_t evaluated = 0;
    for (std::size_t i = 0; i != losses.size(); ++i) {
        if (found.loss_errors[i] == 0) ++evaluated;
        if (std::abs(found.losses[i] - losses[i]) > found.loss_errors[i] + rounding * losses[i])
            ++counts.out_of_bounds;
    }
    counts.evaluated += evaluated;
    counts.most_evaluated = std::max(counts.most_evaluated, evaluated);
    ++counts.sets;
}

std::vector<float> generate(std::size_t n, const std::function<float()>& value) {
    std::vector<float> x(n);
    for (float& v : x) v = value();
    return x;
}

/// Data of mixed shapes, of sizes from 8192.
std::vector<float> sample(unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::student_t_distribution<float> heavy(2);
    std::exponential_distribution<float> exponential;
    std::size_t const n = 8192 + random() % 3000;
    float const scale = std::pow(10.0f, static_cast<float>(seed % 7) - 3);
    float const step = 0.01f + 0.2f * std::abs(uniform(random));
    switch (seed % 10) {
        case 0:
            return generate(n, [&] { return scale * normal(random); });
        case 1:
            return generate(n, [&] { return std::max(0.0f, scale * normal(random)); });
        case 2:
            return generate(n, [&] { return scale * heavy(random); });
        case 3:  // discrete
            return generate(n, [&] { return scale * std::nearbyint(3 * normal(random)); });
        case 4:  // multiples of a step: many candidates are alike
            return generate(n, [&] { return step * std::nearbyint(normal(random) * 20) / 7; });
        case 5:
            return generate(n, [&] { return scale * uniform(random); });
        case 6:
            return generate(n, [&] { return -scale * exponential(random); });
        case 7:  // two values: losses are functions of two errors
            return generate(n, [&] { return uniform(random) > 0 ? scale : scale * step; });
        case 8:  // far apart
            return generate(n, [&] { return normal(random) * (uniform(random) > 0.99f ? 1e4f : 1e-4f); });
        default:
            return generate(n, [&] { return scale * (normal(random) + 5); });
    }
}

}  // namespace

TEST_CASE("IFMR by the histogram finds the candidate of the float64 brute force, and its bounds hold") {
    Counts counts;
    unsigned const sets = support::sanitized ? 80 : 600;  // of ten shapes, for four kinds
    for (unsigned seed = 0; seed != sets; ++seed) {
        INFO(seed);
        auto const x = sample(seed);  // its shape is seed % 10
        switch (seed / 10 % 4) {
            case 0:
                compare<Int8, Symmetric>(x, counts);
                break;
            case 1:
                compare<Int4, Symmetric>(x, counts);
                break;
            case 2:
                compare<Int8, Asymmetric>(x, counts);
                break;
            default:
                compare<Int4, Asymmetric>(x, counts);
        }
    }
    std::printf(
        "IFMR against float64 brute force: %zu data sets, %zu other argmins, %zu losses out of their bounds, "
        "%zu near ties; %.1f candidates evaluated on average, %zu at most\n",
        counts.sets, counts.wrong, counts.out_of_bounds, counts.near_ties,
        static_cast<double>(counts.evaluated) / static_cast<double>(counts.sets), counts.most_evaluated);
    CHECK(counts.sets == sets);
    CHECK(counts.wrong == 0);
    CHECK(counts.out_of_bounds == 0);
}

namespace {

/// Adds values to x until the losses of its two best candidates hardly differ.
template <class B>
void make_tie(std::vector<float>& x, unsigned seed) {
    Ifmr<B> ifmr;
    REQUIRE(ifmr.observe(x));
    auto const range = ifmr.finish()->range;
    auto losses = brute_force<B, Symmetric>(x, range);
    auto const first = std::min_element(losses.begin(), losses.end()) - losses.begin();
    losses[static_cast<std::size_t>(first)] = HUGE_VAL;
    auto const second = std::min_element(losses.begin(), losses.end()) - losses.begin();
    auto const ratio = [](std::ptrdiff_t i) {
        return static_cast<float>(0.7 + static_cast<double>(i) * 0.01);
    };
    float const largest = std::max(range.max, -range.min);
    float const s1 = symmetric_scale<B>(range, ratio(first)).scale;
    float const s2 = symmetric_scale<B>(range, ratio(second)).scale;
    auto const difference = [&](float v) {
        auto const square = [&](float upper, float scale) {
            volatile float const y = std::nearbyint(std::clamp(v, -upper, upper) / scale) * scale;
            float const e = y - v;
            return static_cast<double>(e) * static_cast<double>(e);
        };
        return square(ratio(second) * largest, s2) - square(ratio(first) * largest, s1);
    };
    double gap = 0;
    for (float v : x) gap += difference(v);
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> value(0, 0.6f * range.max);
    for (int i = 0; i != 20000 && std::abs(gap) > static_cast<double>(s1 * s1) / 1000; ++i) {
        float const v = value(random);
        if (std::abs(gap + difference(v)) >= std::abs(gap)) continue;
        gap += difference(v);
        x.push_back(v);
    }
    // Where both codes are k, the difference is linear in v: it can be made what is missing.
    for (int i = 0; i != 4; ++i) {
        float found = 0;
        for (int k = 1; k <= B::qmax / 2; ++k) {
            double const q1 = k * static_cast<double>(s1), q2 = k * static_cast<double>(s2);
            auto const v = static_cast<float>((q1 + q2 + gap / (q2 - q1)) / 2);
            if (v > 0 && v < range.max && std::abs(gap + difference(v)) < std::abs(gap + difference(found)))
                found = v;
        }
        gap += difference(found);
        x.push_back(found);
    }
}

}  // namespace

TEST_CASE("near ties: the loss of the winner is within the gap of two candidates that hardly differ") {
    Counts counts;
    for (unsigned seed = 0; seed != 30; ++seed) {
        INFO(seed);
        auto x = sample(10 * (seed % 10));  // normal
        if (seed % 2 == 0) {
            make_tie<Int8>(x, seed);
            compare<Int8, Symmetric>(x, counts);
        } else {
            make_tie<Int4>(x, seed);
            compare<Int4, Symmetric>(x, counts);
        }
    }
    std::printf("IFMR in near ties: %zu data sets, %zu with a relative gap below 1e-9, %zu wrong\n",
                counts.sets, counts.near_ties, counts.wrong);
    CHECK(counts.near_ties >= 20);
    CHECK(counts.wrong == 0);
    CHECK(counts.out_of_bounds == 0);
}

TEST_CASE("values beyond the percentiles are beyond the histogram too, few or many") {
    Counts counts;
    std::mt19937 random(1);
    std::student_t_distribution<float> heavy(1);
    for (double percentile : {0.999, 0.99, 0.9, 0.5}) {
        IfmrOptions options;
        options.max_percentile = options.min_percentile = percentile;
        auto const x = generate(9000, [&] { return heavy(random); });
        compare<Int8, Symmetric>(x, counts, options);
        compare<Int4, Symmetric>(x, counts, options);
        compare<Int8, Asymmetric>(x, counts, options);
        compare<Int4, Asymmetric>(x, counts, options);
    }
    CHECK(counts.wrong == 0);
    CHECK(counts.out_of_bounds == 0);
}

TEST_CASE("constant, zero, huge and tiny data") {
    Counts counts;
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (float scale : {0.0f, 1.0f, -3.7f, 1e30f, -1e30f, 1e-7f, 1e-30f, 1e-40f, 1e38f}) {
        auto const constant = generate(9000, [&] { return scale; });
        auto const varied =
            generate(9000, [&] { return scale * std::clamp(normal(random) / 5, -1.0f, 1.0f); });
        for (const auto& x : {constant, varied}) {
            compare<Int8, Symmetric>(x, counts);
            compare<Int4, Symmetric>(x, counts);
            compare<Int8, Asymmetric>(x, counts);
            compare<Int4, Asymmetric>(x, counts);
        }
    }
    CHECK(counts.wrong == 0);
    CHECK(counts.out_of_bounds == 0);
}

TEST_CASE("the counters of a cell do not overflow") {
    // All in one cell, and with the largest low bits that there are.
    std::vector<float> const x((std::size_t{1} << 22) + 5, std::nextafter(1.0f, 0.0f));
    detail::CertifiedHistogram<false, 10> histogram(1.0f);
    histogram.add(x, {});
    histogram.finish();
    detail::CertifiedHistogram<false, 10> few(1.0f);
    few.add(std::span(x).first(1024), {});
    few.finish();
    detail::CodeRange const codes{1.0f / 7, 0, 7};
    double const ratio = static_cast<double>(x.size()) / 1024;
    CHECK(histogram.bound(codes).estimate == Approx(few.bound(codes).estimate * ratio).epsilon(1e-12));
    CHECK(histogram.bound(codes).slack == Approx(few.bound(codes).slack * ratio).epsilon(1e-9));
}

TEST_CASE("fixed point is the same with every instruction set") {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::size_t wrong = 0, ran = 0;
    for (std::size_t n : {1u, 5u, 16u, 100u, 1001u}) {
        auto const x = generate(n, [&] { return normal(random); });
        for (float factor : {1e6f, 1e7f, 3e38f}) {
            std::vector<std::int32_t> plain(n), with_sign(n), u(n);
            bool all = true;
            for (std::size_t i = 0; i != n; ++i) {
                float const w = std::abs(x[i]) * factor;
                all = all && w < 0x1p24f;
                plain[i] = w < 0x1p24f ? static_cast<std::int32_t>(w) : 1 << 24;
                with_sign[i] = (w < 0x1p23f ? static_cast<std::int32_t>(w) : 1 << 24) |
                               (std::signbit(x[i]) ? 1 << 23 : 0);
            }
            for (InstructionSet set : all_instruction_sets) {
                if (!available(set)) continue;
                if (detail::run_on(set, detail::FixedPointLoop<false>{x.data(), n, factor, u.data()}) != all)
                    ++wrong;
                if (u != plain) ++wrong;
                detail::run_on(set, detail::FixedPointLoop<true>{x.data(), n, factor, u.data()});
                if (u != with_sign) ++wrong;
                ++ran;
            }
        }
    }
    CHECK(wrong == 0);
    CHECK(ran >= 15);
}

TEST_CASE("results do not depend on batches, threads, instructions or the memory allowed") {
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    auto const x = generate(300000, [&] { return normal(random); });
    Ifmr<Int8> whole;
    REQUIRE(whole.observe(x));
    auto const expected = whole.finish().value();
    CHECK(std::count(expected.loss_errors.begin(), expected.loss_errors.end(), 0.0) < 61);
    for (const auto& on : support::executions()) {
        INFO(on.name);
        IfmrOptions options;
        options.max_bytes = 1;  // 512 KB are used, and a file for the rest
        Ifmr<Int8> parts(options);
        for (std::size_t i = 0; i < x.size(); i += 7777)
            REQUIRE(
                parts.observe(std::span(x).subspan(i, std::min<std::size_t>(7777, x.size() - i)), on.how));
        auto const found = parts.finish(on.how).value();
        CHECK(found.best == expected.best);
        CHECK(found.losses == expected.losses);
        CHECK(found.loss_errors == expected.loss_errors);
        CHECK(found.range == expected.range);
        CHECK(parts.finish(on.how)->losses == expected.losses);  // finish() changes nothing
    }
}

}  // namespace quant_histogram_test
