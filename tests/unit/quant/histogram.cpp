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

namespace {

/// The bound of the header's comment, from each value instead of from the cells.
template <bool Signed, int CellBits>
detail::LossBound proved(const std::vector<float>& x, float largest, detail::CodeRange c) {
    double const e = 0x1p-24, whole = 1 << (Signed ? 23 : 24), width = 1 << (24 - CellBits);
    double const least_edge = Signed ? -whole : 0;
    auto const factor = static_cast<double>(static_cast<float>(whole - 16) / largest);
    auto const q = [&](int k) { return static_cast<double>(static_cast<float>(k) * c.scale) * factor; };
    auto const cell = [&](double y) { return std::floor(y / width); };
    struct Value {
        double y;
        bool within;
    };
    std::vector<Value> values;
    double n = 0, magnitudes = 0, above = 0, below = 0, beyond_squares = 0;
    for (float v : x) {
        double const exact = (Signed ? static_cast<double>(v) : std::abs(static_cast<double>(v))) * factor;
        double const fixed = std::trunc(static_cast<double>(std::abs(v) * static_cast<float>(factor))) + 0.5;
        bool const within = fixed < whole;
        values.push_back({within ? std::copysign(fixed, exact) : exact, within});
        n += within;
        magnitudes += within ? fixed : 0;
        beyond_squares += within ? 0 : exact * exact;
        above += !within && exact > 0;
        below += !within && exact < 0;
    }
    auto const sum_of = [&](auto&& part) {
        double sum = 0;
        for (const Value& v : values) sum += part(v);
        return sum;
    };
    int const codes = c.max_code - c.min_code;
    double const step =
        codes == 0 ? 0
                   : static_cast<double>(c.scale) * factor * (1 + 4 * e * std::max(-c.min_code, c.max_code));
    double estimate = 0, slack = 0, magnitude = 0;
    for (int k = c.min_code; k <= c.max_code; ++k) {  // a cell belongs to the first code whose end is in it
        auto const end_of = [&](int i) { return cell((q(i) + q(i + 1)) / 2); };
        auto const is_of = [&](const Value& v) {
            return v.within && (k == c.max_code || cell(v.y) <= end_of(k)) &&
                   (k == c.min_code || cell(v.y) > end_of(k - 1));
        };
        double const to = q(k);
        double const count = sum_of([&](const Value& v) { return is_of(v) ? 1.0 : 0.0; });
        double const sum = sum_of([&](const Value& v) { return is_of(v) ? v.y : 0.0; });
        estimate += count * to * to - 2 * to * sum;
        magnitude += count * to * to + 2 * std::abs(to * sum);
        if (k == c.max_code) break;
        double const t = (q(k) + q(k + 1)) / 2, a = cell(t) * width, b = a + width;
        auto const here = [&](const Value& v) { return v.within && cell(v.y) == cell(t); };
        double const in_cell = sum_of([&](const Value& v) { return here(v) ? 1.0 : 0.0; });
        if (in_cell > 0) {
            double const m = sum_of([&](const Value& v) { return here(v) ? v.y : 0.0; }) / in_cell;
            double const least = in_cell * std::max(0.0, m - t), most = in_cell * (m - a) * (b - t) / (b - a);
            estimate -= (q(k + 1) - q(k)) * (least + most);
            slack += (q(k + 1) - q(k)) * (most - least);
        }
        double const place = std::clamp(cell(t), least_edge / width - 1, whole / width - 1);
        double const nearby =
            sum_of([&](const Value& v) { return v.within && std::abs(cell(v.y) - place) <= 1 ? 1.0 : 0.0; });
        slack += nearby * 2 * step * 2.02 * e * (std::abs(k) + 2) * step;
    }
    for (const Value& v : values) {
        if (v.within) continue;
        double const to = q(v.y > 0 ? c.max_code : c.min_code);
        estimate += to * to - 2 * to * v.y;
        magnitude += to * to + 2 * std::abs(to * v.y);
    }
    double const last = std::min(cell(q(c.max_code)) * width, whole - width);
    double const first = (cell(q(c.min_code)) + 1) * width;
    double const beyond = sum_of([&](const Value& v) {
        return !v.within ? 0 : std::max(0.0, v.y - last) + (Signed ? std::max(0.0, first - v.y) : 0.0);
    });
    double const farthest = Signed ? std::max(whole - last, first - least_edge) : whole - last;
    slack += step * (n / 2 + 1.01 * e * (magnitudes + n)) + 9 * n + 3 * beyond;
    slack += 3.1 * e *
             (n * (step / 2 + 3) * (step / 2 + 3) + (farthest + 1.5) * (beyond + 1.5 * n) + beyond_squares);
    slack += 0x1p-52 * (codes + static_cast<double>(1 << CellBits) + above + below) * magnitude;
    return {estimate, slack};
}

template <bool Signed, int CellBits>
void compare_bounds(const std::vector<float>& x, float largest, detail::CodeRange c) {
    detail::CertifiedHistogram<Signed, CellBits> histogram(largest);
    REQUIRE(histogram.usable(std::span(&c, 1)));
    histogram.add(x, {});
    histogram.finish();
    auto const found = histogram.bound(c), expected = proved<Signed, CellBits>(x, largest, c);
    CHECK(found.estimate == Approx(expected.estimate).epsilon(1e-11));
    CHECK(found.slack == Approx(expected.slack).epsilon(1e-9));
    CHECK(found.low() == found.estimate - found.slack);
    CHECK(found.high() == found.estimate + found.slack);
}

}  // namespace

TEST_CASE("a loss's bounds are those that are proved, neither wider nor narrower") {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    auto x = generate(3000, [&] { return normal(random); });
    for (float largest : {6.0f, 1.5f, 0.25f}) {                  // without and with values beyond
        for (float end : {largest, largest / 2, largest / 6}) {  // and beyond the outermost codes
            compare_bounds<false, 10>(x, largest, {end / 7, 0, 7});
            compare_bounds<true, 10>(x, largest, {end / 7, -8, 7});
            compare_bounds<true, 10>(x, largest, {end / 7, -3, 12});
        }
        compare_bounds<false, 10>(x, largest, {largest / 15, 0, 0});
        compare_bounds<true, 12>(x, largest, {largest / 15, -14, 1});
    }
    detail::CertifiedHistogram<false, 10> none(1);
    none.finish();
    CHECK(none.bound({1.0f / 7, 0, 7}).estimate == 0);
    CHECK(none.bound({1.0f / 7, 0, 7}).slack == 0);
    // Where the values are few or the same, other terms are the largest.
    for (float value : {0.0f, 1e-6f, 0.999f, 0.5f, 3.0f}) {
        compare_bounds<false, 10>({value}, 1, {1.0f / 7, 0, 7});
        compare_bounds<true, 10>({value, -value / 2}, 1, {1.0f / 7, -7, 7});
    }
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
