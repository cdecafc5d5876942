// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/ifmr.hpp>

#include <algorithm>
#include <random>

#include "support/catch.hpp"
#include "support/executions.hpp"
#include "support/failing_files.hpp"
#include "support/golden.hpp"
#include "support/temporary_directory.hpp"

namespace quant_ifmr_test {

using namespace amct_distill;

namespace {

/// What the golden files promise. Some of the original's ratios differ from ours in the last bit.
constexpr double scale_tolerance = 3e-7;
/// The original sums float32 in float32. Errors of a value are differences that cancel: where all values are
/// alike and well hit, a last bit of the scale is 1e-4 of the error.
constexpr double loss_tolerance = 2e-4;

double relative(double a, double b) {
    return a == b ? 0 : std::abs(a - b) / std::max(std::abs(a), std::abs(b));
}

struct Loss {
    std::size_t best;
    std::vector<double> losses;
};

/// The promise, word for word and slowly: float32 errors by the standard library's rounding, summed in
/// double.
Loss reference(const std::vector<float>& x, ClipRange range, int bits, bool with_offset,
               const std::vector<float>& ratios) {
    auto const qmax = static_cast<float>((1 << (bits - 1)) - 1);
    Loss found{0, {}};
    for (float ratio : ratios) {
        float scale, lower, upper;
        if (with_offset) {
            lower = range.min;
            upper = ratio * range.max;
            scale = (upper - lower) / (2 * qmax + 1);
        } else {
            upper = ratio * std::max(std::abs(range.max), std::abs(range.min));
            lower = -upper;
            scale = upper / (std::abs(range.max) < std::abs(range.min) ? qmax + 1 : qmax);
        }
        if (scale < 0x1p-126f) scale = 1;
        double sum = 0;
        for (float v : x) {
            volatile float const y = std::nearbyint(std::clamp(v, lower, upper) / scale) * scale;
            float const error = y - v;
            sum += static_cast<double>(error) * static_cast<double>(error);
        }
        found.losses.push_back(sum / static_cast<double>(x.size()));
        if (found.losses.back() < found.losses[found.best]) found.best = found.losses.size() - 1;
    }
    return found;
}

IfmrOptions options_of(const golden::json::value& attrs) {
    auto const value = [&](const char* name) { return attrs.at(name).to_number<double>(); };
    IfmrOptions options;
    options.max_percentile = value("max_percentile");
    options.min_percentile = value("min_percentile");
    options.search_start = value("search_start");
    options.search_end = value("search_end");
    options.search_step = value("search_step");
    return options;
}

/// Where the original computes something else.
enum class Divergence { none, overflow, guard };

template <class Q>
Divergence run_golden(const golden::json::value& c) {
    auto options = options_of(c.at("attrs"));
    options.every_loss = true;
    bool const with_offset = c.at("attrs").at("with_offset").as_bool();
    Q ifmr(options);
    std::vector<float> all;
    for (const auto& batch : c.at("inputs").at("batches").as_array()) {
        auto const x = golden::floats(batch);
        REQUIRE(ifmr.observe(x));
        all.insert(all.end(), x.begin(), x.end());
    }
    auto const found = ifmr.finish().value();
    options.every_loss = false;
    for (const auto& on : support::executions()) {
        INFO(on.name);
        CHECK(ifmr.finish(on.how)->losses == found.losses);
        Q quick(options);
        REQUIRE(quick.observe(all, on.how));
        auto const same = quick.finish(on.how).value();
        CHECK(same.best == found.best);
        CHECK(same.losses[same.best] == found.losses[found.best]);
    }

    auto const& inner = c.at("intermediate");
    CHECK(golden::same_bits(found.range.max, golden::to_float(inner.at("max_value"))));
    CHECK(golden::same_bits(found.range.min, golden::to_float(inner.at("min_value"))));
    REQUIRE(found.losses.size() == inner.at("ratios_len").to_number<std::size_t>());
    std::vector<float> ratios;
    for (std::size_t i = 0; i != found.losses.size(); ++i)
        ratios.push_back(
            static_cast<float>(options.search_start + static_cast<double>(i) * options.search_step));
    auto const promised = reference(all, found.range, Q::bits::width, with_offset, ratios);
    CHECK(found.best == promised.best);
    // Another order of additions: each rounds, of all those positive terms, by at most 2^-53.
    double const rounding = 2 * static_cast<double>(all.size()) * 0x1p-53;
    for (std::size_t i = 0; i != ratios.size(); ++i)
        CHECK(relative(found.losses[i], promised.losses[i]) <= rounding);

    auto const losses = golden::floats(inner.at("losses"));
    if (std::any_of(losses.begin(), losses.end(), [](float v) { return !std::isfinite(v); })) {
        CHECK(inner.at("argmin").to_number<std::size_t>() == 0);
        return Divergence::overflow;
    }
    if (golden::is_guarded(golden::to_float(c.at("outputs").at("scale")), found.scale_offset.scale)) {
        CHECK(found.losses[found.best] <= static_cast<double>(losses[0]));  // which loses every value
        return Divergence::guard;
    }
    // A loss of 1e-14 in float32 is an error of 0 and the last bit of a value.
    for (std::size_t i = 0; i != losses.size(); ++i)
        CHECK(std::abs(found.losses[i] - static_cast<double>(losses[i])) <=
              loss_tolerance * found.losses[i] + 1e-13);
    CHECK(found.best == inner.at("argmin").to_number<std::size_t>());
    auto const& out = c.at("outputs");
    auto const near = [&](float ours, const char* name) {
        return relative(static_cast<double>(ours), golden::to_double(out.at(name))) <= scale_tolerance;
    };
    CHECK(near(found.scale_offset.scale, "scale"));
    CHECK(found.scale_offset.offset == static_cast<int>(golden::to_double(out.at("offset"))));
    CHECK(near(found.clip.max, "clip_max"));
    CHECK(near(found.clip.min, "clip_min"));
    return Divergence::none;
}

template <class B>
Divergence run_golden(const golden::json::value& c, bool with_offset) {
    return with_offset ? run_golden<Ifmr<B, Asymmetric>>(c) : run_golden<Ifmr<B>>(c);
}

std::vector<float> normal(std::size_t n, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> value;
    std::vector<float> x(n);
    for (float& v : x) v = value(random);
    return x;
}

template <class R>
std::string error(const R& r) {
    return to_string(r.diagnostics());
}

template <class Q, class Batch>
concept Observes = requires(Q q, const Batch& batch) {
    q.observe(batch);
};

}  // namespace

TEST_CASE("IFMR finds the original's candidate") {
    auto const file = golden::load("ifmr.json");
    std::size_t ran = 0, overflowed = 0, guarded = 0;
    for (const auto& c : file.at("cases").as_array()) {
        std::string const name(c.at("name").as_string());
        INFO(name);
        bool const with_offset = c.at("attrs").at("with_offset").as_bool();
        Divergence const differs = c.at("attrs").at("num_bits").to_number<int>() == 4
                                       ? run_golden<Int4>(c, with_offset)
                                       : run_golden<Int8>(c, with_offset);
        CHECK((differs == Divergence::overflow) == (name.find("1e30") != name.npos));
        CHECK((differs == Divergence::guard) == (name.find("tiny") != name.npos));
        if (differs == Divergence::overflow) ++overflowed;
        if (differs == Divergence::guard) ++guarded;
        ++ran;
    }
    for (const auto& c : file.at("error_cases").as_array()) {
        std::string const name(c.at("name").as_string());
        auto const& batch = c.at("inputs").at("batch");
        Ifmr<Int8> ifmr;
        if (name == "f64") {  // float64 does not compile
            CHECK(batch.at("dtype").as_string() == "float64");
            STATIC_REQUIRE(Observes<Ifmr<Int8>, std::vector<float>>);
            STATIC_REQUIRE_FALSE(Observes<Ifmr<Int8>, std::vector<double>>);
        } else {
            CHECK(error(ifmr.observe(golden::floats(batch))) ==
                  (name == "nan"
                       ? "error: activations: value at [1] is nan; only finite values can be quantized: "
                         "check where they come from"
                       : "error: activations: no values; an empty tensor cannot be quantized"));
        }
        ++ran;
    }
    std::size_t const total = file.at("cases").as_array().size() + file.at("error_cases").as_array().size();
    golden::print_count("ifmr.json", ran, total,
                        std::to_string(overflowed + guarded) + " divergences: " + std::to_string(overflowed) +
                            " overflow the original's float32 losses, it takes candidate 0 and ours is the "
                            "true minimum (1e30); " +
                            std::to_string(guarded) +
                            " keep a scale below 2^-23, where the original takes 1 (tiny_*)");
    CHECK(overflowed == 4);
    CHECK(guarded == 4);
    CHECK(ran == total);
}

TEST_CASE("the default ratios are the original's 61, but for the last bit of some") {
    auto const expected = golden::floats(golden::load("ifmr.json").at("default_ratios"));
    REQUIRE(expected.size() == 61);
    IfmrOptions const options;
    for (std::size_t i = 0; i != 61; ++i) {
        auto const ratio =
            static_cast<float>(options.search_start + static_cast<double>(i) * options.search_step);
        CHECK(std::abs(ratio - expected[i]) <= 0x1p-23f);
    }
    Ifmr<Int8> ifmr;
    REQUIRE(ifmr.observe(std::vector{1.0f}));
    CHECK(ifmr.finish()->losses.size() == 61);
}

TEST_CASE("batches are one sample, whatever their sizes") {
    auto const x = normal(10000, 1);
    Ifmr<Int4> whole, parts;
    REQUIRE(whole.observe(x));
    for (std::size_t i = 0; i < x.size(); i += 999)
        REQUIRE(parts.observe(std::span(x).subspan(i, std::min<std::size_t>(999, x.size() - i))));
    auto const a = whole.finish().value(), b = parts.finish().value();
    CHECK(a.losses == b.losses);
    CHECK(a.clip == b.clip);
    CHECK(a.best == b.best);
    CHECK(a.scale_offset == whole.finish()->scale_offset);  // finish() changes nothing

    std::vector<float> ratios;
    for (int i = 0; i != 61; ++i) ratios.push_back(static_cast<float>(0.7 + i * 0.01));
    CHECK(a.best == reference(x, a.range, 4, false, ratios).best);
}

TEST_CASE("the result does not depend on the memory that values may take") {
    auto const x = normal(300000, 4);
    Ifmr<Int8> unlimited, limited;
    limited.limit_memory(1);
    for (std::size_t i = 0; i < x.size(); i += 60000) {
        REQUIRE(unlimited.observe(std::span(x).subspan(i, 60000)));
        REQUIRE(limited.observe(std::span(x).subspan(i, 60000)));
    }
    CHECK(limited.finish()->losses == unlimited.finish()->losses);
    CHECK(limited.finish()->clip == unlimited.finish()->clip);
}

TEST_CASE("percentiles leave out the outermost values, and the range holds zero") {
    std::vector<float> x(100);
    for (std::size_t i = 0; i != x.size(); ++i) x[i] = static_cast<float>(i) - 20;
    auto const range = [&](IfmrOptions options) {
        Ifmr<Int8> ifmr(options);
        REQUIRE(ifmr.observe(x));
        return ifmr.finish()->range;
    };
    CHECK(range({}) == ClipRange{79, -20});
    CHECK(range({.max_percentile = 1, .min_percentile = 1}) == ClipRange{79, -20});
    CHECK(range({.max_percentile = 0.9, .min_percentile = 0.95}) == ClipRange{70, -16});
    CHECK(range({.max_percentile = 1e-9, .min_percentile = 1}) == ClipRange{0, -20});
    CHECK(range({.max_percentile = 1, .min_percentile = 0.5}) == ClipRange{79, 0});
}

TEST_CASE("the clips are the values of the outermost codes") {
    Ifmr<Int8> ifmr;
    REQUIRE(ifmr.observe(normal(1000, 2)));
    auto const found = ifmr.finish().value();
    CHECK(found.clip == ClipRange{127 * found.scale_offset.scale, -128 * found.scale_offset.scale});
    CHECK(found.scale_offset.offset == 0);

    Ifmr<Int4, Asymmetric> skewed;
    REQUIRE(skewed.observe(std::vector{-1.0f, 14.0f, 3.0f, 0.0f}));
    auto const p = skewed.finish()->scale_offset;
    CHECK(p == ScaleOffset{1.0f, -7});
    CHECK(skewed.finish()->clip == ClipRange{14.0f, -1.0f});
}

TEST_CASE("of equal losses the first wins") {
    Ifmr<Int8> ifmr;
    REQUIRE(ifmr.observe(std::vector<float>(10, 0.0f)));
    auto const found = ifmr.finish().value();
    CHECK(found.best == 0);
    CHECK(found.scale_offset == ScaleOffset{1.0f, 0});
    CHECK(found.losses == std::vector<double>(61, 0.0));
}

TEST_CASE("candidates that overflow lose to those that do not") {
    Ifmr<Int8> ifmr;
    REQUIRE(ifmr.observe(std::vector{1.6e38f, -1e38f}));
    auto const found = ifmr.finish().value();
    CHECK(std::isfinite(found.losses[found.best]));
    CHECK(std::isinf(found.losses[60]));
    CHECK(std::isfinite(found.clip.max - found.clip.min));
}

TEST_CASE("values of any size have clips of their own, down to where a float ends") {
    auto const x = normal(20000, 9);
    Ifmr<Int8> ifmr;
    REQUIRE(ifmr.observe(x));
    auto const found = ifmr.finish().value();
    for (int power : {-20, -70, -90, -116, 60, 110}) {
        float const factor = std::ldexp(1.0f, power);
        auto scaled = x;
        for (float& v : scaled) v *= factor;
        Ifmr<Int8> other;
        REQUIRE(other.observe(scaled));
        for (const auto& on : support::executions()) {
            auto const same = other.finish(on.how);
            REQUIRE(same);
            CHECK(same.diagnostics().empty());
            CHECK(same->best == found.best);
            CHECK(same->clip == ClipRange{found.clip.max * factor, found.clip.min * factor});
        }
    }
}

TEST_CASE("values too narrow for a scale are taken for zeros, with a warning") {
    std::string const text =
        "warning: activations: the range -1e-39 to 3e-39 is too narrow for a scale of INT8, which would be "
        "below "
        "1.1754944e-38; its values become 0";
    std::vector<float> const x{3e-39f, -1e-39f, 0.0f};
    Ifmr<Int8> ifmr;
    REQUIRE(ifmr.observe(x));
    auto const found = ifmr.finish();
    REQUIRE(found);
    CHECK(error(found) == text);
    CHECK(found->scale_offset == ScaleOffset{1.0f, 0});
    CHECK(found->clip == ClipRange{127.0f, -128.0f});
    Ifmr<Int8, Asymmetric> skewed;
    REQUIRE(skewed.observe(x));
    CHECK(error(skewed.finish()) == text);
    CHECK(skewed.finish()->scale_offset == ScaleOffset{1.0f, -128});
}

TEST_CASE("the smallest normal float is a scale, and the float below it is none") {
    IfmrOptions options;
    options.search_start = 1, options.search_end = 1.01, options.search_step = 0.02;  // one candidate
    auto const scale_of = [&](float largest) {
        Ifmr<Int8> ifmr(options);
        REQUIRE(ifmr.observe(std::vector{largest, 0.0f}));
        return ifmr.finish().value().scale_offset.scale;
    };
    CHECK(scale_of(127 * 0x1p-126f) == 0x1p-126f);
    CHECK(scale_of(126 * 0x1p-126f) == 1);
}

TEST_CASE("what is found can be used, or is an error, for values of every size") {
    std::size_t errors = 0, warnings = 0, found = 0;
    for (int power = -149; power <= 127; ++power) {
        for (float other : {0.0f, -0.3f, -1.9f}) {
            auto const one = std::ldexp(1.0f, power);
            std::vector<float> const x{1.9f * one, one * other, one * 0.5f};
            auto const check = [&](auto ifmr) {
                REQUIRE(ifmr.observe(x));
                auto const at = ifmr.finish();
                if (!at) return ++errors, void();
                if (!at.diagnostics().empty()) ++warnings;
                CHECK(is_usable<typename decltype(ifmr)::bits>(at->scale_offset));
                CHECK(std::isfinite(at->clip.max - at->clip.min));
                ++found;
            };
            check(Ifmr<Int8>{});
            check(Ifmr<Int4>{});
            check(Ifmr<Int8, Asymmetric>{});
        }
    }
    CHECK(errors > 0);
    CHECK(errors < 20);
    CHECK(warnings > 100);
    CHECK(found > 2400);
}

TEST_CASE("what cannot be calibrated is an error") {
    Ifmr<Int8> ifmr;
    CHECK(error(ifmr.finish()) == "error: IFMR: no batch was observed; call observe() before finish()");
    REQUIRE_FALSE(ifmr.observe(std::vector{1.0f, std::numeric_limits<float>::infinity()}));
    CHECK_FALSE(ifmr.finish());  // the batch was not added
    REQUIRE(ifmr.observe(std::vector{1.0f, -0.5f}));
    auto const losses = ifmr.finish()->losses;
    auto large = normal(100000, 3);
    for (std::size_t i : {std::size_t{0}, std::size_t{70000}, large.size() - 1})
        for (const auto& on : support::executions()) {
            float const good = std::exchange(large[i], std::numeric_limits<float>::quiet_NaN());
            CHECK_FALSE(ifmr.observe(large, on.how));
            CHECK(ifmr.finish(on.how)->losses == losses);
            large[i] = good;
        }

    auto const with = [](IfmrOptions options) {
        Ifmr<Int8> bad(options);
        REQUIRE(bad.observe(std::vector{1.0f}));
        return error(bad.finish());
    };
    CHECK(with({.max_percentile = 1.5}) ==
          "error: IFMR: the percentile 1.5 is not in (0, 1]; the default is 0.999999");
    CHECK(with({.min_percentile = 0}) ==
          "error: IFMR: the percentile 0 is not in (0, 1]; the default is 0.999999");
    std::string const rule =
        " is not one of 1 to 10000 positive ratios; the default is from 0.7 to 1.3 by 0.01";
    CHECK(with({.search_step = -0.01}) == "error: IFMR: the search from 0.7 to 1.3 by -0.01" + rule);
    CHECK(with({.search_end = 0.5, .search_step = -0.01}) ==
          "error: IFMR: the search from 0.7 to 0.5 by -0.01" + rule);
    CHECK(IfmrOptions{}.max_bytes == static_cast<std::size_t>(-1));  // no file
    CHECK(with({.search_step = 0}) == "error: IFMR: the search from 0.7 to 1.3 by 0" + rule);
    CHECK(with({.search_start = 2}) == "error: IFMR: the search from 2 to 1.3 by 0.01" + rule);
    CHECK(with({.search_start = 0}) == "error: IFMR: the search from 0 to 1.3 by 0.01" + rule);
    CHECK(with({.search_step = 1e-9}) == "error: IFMR: the search from 0.7 to 1.3 by 1e-09" + rule);
    CHECK(with({.search_end = NAN}) == "error: IFMR: the search from 0.7 to nan by 0.01" + rule);

    Ifmr<Int8, Asymmetric> wide;
    std::string const too_wide =
        "error: activations: the range -3.4e+38 to 3.4e+38 is too wide: what its INT8 codes stand for would "
        "leave "
        "the range of a float; scale it down";
    REQUIRE(wide.observe(std::vector{3.4e38f, -3.4e38f}));
    CHECK(error(wide.finish()) == too_wide);
    Ifmr<Int8> symmetric;
    REQUIRE(symmetric.observe(std::vector{3.4e38f, -3.4e38f}));
    CHECK(error(symmetric.finish()) == too_wide);
}

TEST_CASE("the percentiles are those of all batches, whatever each one holds") {
    // Small, smaller, then the largest: what one batch can add is known from its own ends.
    // The first has enough values for the rest to be passed over where their ends say so.
    std::vector<float> first(3000, 1.0f);
    for (std::size_t i = 0; i < first.size(); i += 2) first[i] = -1;
    std::vector<float> const batches[] = {first,
                                          std::vector<float>(50, 0.125f),
                                          std::vector<float>(200, 8.0f),
                                          std::vector<float>(30, -0.5f),
                                          std::vector<float>(60, -4.0f),
                                          std::vector<float>(10, 2.0f)};
    std::vector<float> all;
    Ifmr<Int8> parts, whole;
    for (const auto& batch : batches) {
        REQUIRE(parts.observe(batch));
        all.insert(all.end(), batch.begin(), batch.end());
    }
    REQUIRE(whole.observe(all));
    auto const found = parts.finish().value();
    CHECK(found.range == ClipRange{8, -4});
    CHECK(found.range == whole.finish()->range);
    CHECK(found.losses == whole.finish()->losses);
}

TEST_CASE("a file of values that cannot be read is an error, whichever time it is read") {
    std::vector<float> x(19 * detail::task_size);
    for (std::size_t i = 0; i != x.size(); ++i) x[i] = static_cast<float>(i % 1001) - 400;
    for (bool every : {false, true})
        // The loop in which the file is cut; one follows each of two parts, and the values in memory.
        for (int loop = 0; loop != (every ? 2 : 3); ++loop) {
            IfmrOptions options;
            options.every_loss = every;
            options.search_step = 0.1;
            support::temporary_directory const dir;
            Ifmr<Int8> ifmr(options);
            ifmr.limit_memory(2 * 9 * detail::task_size * sizeof(float), dir.path().string());
            ifmr.observe(x).value();
            int left = loop;
            Execution on;
            on.parallel_for = [&](std::size_t tasks, const std::function<void(std::size_t)>& task) {
                if (--left == 0) support::empty_files_below(dir.path());
                for (std::size_t k = 0; k != tasks; ++k) task(k);
            };
            if (loop == 0) CHECK(support::empty_files_below(dir.path()) == 1);
            auto const found = ifmr.finish(on);
            REQUIRE_FALSE(found);
            CHECK(found.diagnostics()[0].message.starts_with(
                "cannot read the temporary file of observed values: "));
        }
}

TEST_CASE("options that are none are an error at the end, and a candidate that is too narrow is no match") {
    IfmrOptions options;
    options.search_step = 0;
    Ifmr<Int8> none(options);
    none.observe(std::vector<float>{1, 2}).value();
    CHECK(
        none.finish().diagnostics().at(0).message ==
        "IFMR: the search from 0.7 to 1.3 by 0 is not one of 1 to 10000 positive ratios; the default is from "
        "0.7 to 1.3 by 0.01");
    // Of the ratios from 0.7 to 1.3 the small ones have no scale.
    std::vector<float> narrow(10000);
    for (std::size_t i = 0; i != narrow.size(); ++i) narrow[i] = smallest_scale * static_cast<float>(i % 128);
    Ifmr<Int8> ifmr;
    ifmr.observe(narrow).value();
    auto const found = ifmr.finish();
    REQUIRE(found);
    CHECK(found.diagnostics().empty());
    CHECK(std::isinf(found->losses.front()));
    CHECK(std::isfinite(found->losses[found->best]));
    CHECK(found->scale_offset.scale >= smallest_scale);
}

}  // namespace quant_ifmr_test
