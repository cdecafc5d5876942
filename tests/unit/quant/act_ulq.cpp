// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/act_ulq.hpp>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "support/catch.hpp"
#include "support/executions.hpp"
#include "support/golden.hpp"

namespace quant_act_ulq_test {

using namespace amct_distill;

namespace {

/// The original sums in float32: its gradients differ by this part of the sum of the terms' absolute values.
constexpr double gradient_tolerance = 1e-6;

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

template <class B>
float symmetric_limit(float max, float min) {
    return static_cast<float>(B::qmax + (std::abs(max) < std::abs(min) ? 1 : 0));
}

template <class Q>
Q from_golden(const golden::json::value& c) {
    auto const& in = c.at("inputs");
    auto const value = [&](const char* name) { return golden::to_float(in.at(name)); };
    return Q({value("clip_max"), value("clip_min")}, {value("clip_max_pre"), value("clip_min_pre")},
             c.at("attrs").at("fixed_min").as_bool());
}

/// Returns whether the original's guard made a difference.
template <class Q>
bool run_golden(const golden::json::value& c) {
    using B = typename Q::bits;
    auto const x = golden::floats(c.at("inputs").at("data"));
    auto const& out = c.at("outputs");

    auto q = from_golden<Q>(c);
    CHECK(q.check_clips());
    q.constrain();
    CHECK(golden::same_bits(q.clip().max, golden::to_float(out.at("clip_max"))));
    CHECK(golden::same_bits(q.clip().min, golden::to_float(out.at("clip_min"))));
    auto const p = q.scale_offset();
    if (golden::is_guarded(golden::to_float(out.at("scale")), p.scale)) {
        auto const [max, min] = q.clip();
        constexpr bool symmetric = std::same_as<typename Q::symmetry, Symmetric>;
        CHECK(p.scale == (symmetric ? std::max(std::abs(max), std::abs(min)) / symmetric_limit<B>(max, min)
                                    : (std::max(max, 0.0f) - std::min(min, 0.0f)) / (B::qmax - B::qmin)));
        std::vector<float> y(x.size());
        q.fake_quantize(x, y);
        auto const kept = clip_of<B>(p);
        for (std::size_t i = 0; i != x.size(); ++i)
            CHECK(std::abs(y[i] - std::clamp(x[i], kept.min, kept.max)) <= (0.5f + 0x1p-15f) * p.scale);
        return true;
    }
    CHECK(golden::same_bits(p.scale, golden::to_float(out.at("scale"))));
    CHECK(p.offset == out.at("offset").to_number<int>());
    auto const& back = c.at("backward");
    auto const g = golden::floats(back.at("grad_output"));
    std::vector<float> y(x.size()), grad_x(x.size()), grad_clips(2), first_clips;
    std::vector<std::int8_t> codes(x.size());
    for (const auto& on : support::executions()) {
        INFO(on.name);
        q.fake_quantize(x, y, on.how);
        CHECK(golden::first_difference(y, golden::floats(out.at("output"))) == golden::npos);
        quantize<B>(x, codes, p, on.how);
        CHECK(std::vector<int>(codes.begin(), codes.end()) == golden::integers(out.at("codes")));
        q.backward(x, g, grad_x, grad_clips, on.how);
        CHECK(golden::first_difference(grad_x, golden::floats(back.at("grad_input"))) == golden::npos);
        if (first_clips.empty()) first_clips = grad_clips;
        CHECK(grad_clips == first_clips);
    }

    double of_max = 0, of_min = 0;  // sums of the terms' absolute values
    auto const [max, min] = q.clip();
    for (std::size_t i = 0; i != x.size(); ++i) {
        auto const s = static_cast<double>(p.scale), v = static_cast<double>(x[i]);
        double const up = v > s * (B::qmax - p.offset), dn = v < s * (B::qmin - p.offset);
        double const t = static_cast<double>(up != 0 ? max : dn != 0 ? min : x[i]) / s;
        double const e = (std::nearbyint(t) - t) / (B::qmax - B::qmin);
        of_max += std::abs((e + up) * static_cast<double>(g[i]));
        of_min += std::abs((dn - e) * static_cast<double>(g[i]));
    }
    CHECK(std::abs(static_cast<double>(grad_clips[0]) - golden::to_double(back.at("grad_clip_max"))) <=
          gradient_tolerance * of_max);
    CHECK(std::abs(static_cast<double>(grad_clips[1]) - golden::to_double(back.at("grad_clip_min"))) <=
          gradient_tolerance * of_min);
    return false;
}

std::vector<float> normal(std::size_t n, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> value;
    std::vector<float> x(n);
    for (float& v : x) v = value(random);
    return x;
}

template <class Q, class X>
concept FakeQuantizes = requires(const Q& q, X& x, std::vector<float>& y) {
    q.fake_quantize(x, y);
};

std::string error(const result<void>& r) { return to_string(r.diagnostics()); }

}  // namespace

TEST_CASE("activation ULQ is the original's") {
    auto const file = golden::load("ulq_act.json");
    std::size_t ran = 0, guarded = 0;
    for (const auto& c : file.at("cases").as_array()) {
        INFO(c.at("name").as_string().c_str());
        auto const& attrs = c.at("attrs");
        bool const asymmetric = attrs.at("asymmetric").as_bool();
        bool const differs =
            attrs.at("num_bits").to_number<int>() == 4
                ? (asymmetric ? run_golden<ActUlq<Int4>>(c) : run_golden<ActUlq<Int4, Symmetric>>(c))
                : (asymmetric ? run_golden<ActUlq<Int8>>(c) : run_golden<ActUlq<Int8, Symmetric>>(c));
        if (differs) ++guarded;
        ++ran;
    }
    for (const auto& c : file.at("error_cases").as_array()) {
        std::string const name(c.at("name").as_string());
        INFO(name);
        REQUIRE(c.at("attrs").at("num_bits").to_number<int>() == 8);
        auto q = from_golden<ActUlq<Int8>>(c);
        std::string const remedy = "; its ends and its width must be finite: set other clips";
        if (name == "nan_clip_2x3_int8") {
            CHECK(error(q.check_clips()) == "error: activations: the clip range is -1 to nan" + remedy);
            q.constrain();  // where the original stops
            CHECK(q.clip() == ClipRange{1.0f, -1.0f});
            CHECK(q.check_clips());
        } else if (name == "inf_range_2x3_int8") {
            CHECK(error(q.check_clips()) == "error: activations: the clip range is -3e+38 to 3e+38" + remedy);
            q.constrain();
            CHECK(q.clip() == ClipRange{1.0f, -1.0f});
            CHECK(q.check_clips());
        } else {
            REQUIRE(name == "equal_nan_pre_2x3_int8");
            CHECK(error(q.check_clips()) ==
                  "error: activations: the previous clip range is nan to nan" + remedy);
            q.constrain();
            CHECK_FALSE(q.check_clips());
        }
        ++ran;
    }
    std::size_t const total = file.at("cases").as_array().size() + file.at("error_cases").as_array().size();
    golden::print_count(
        "ulq_act.json", ran, total,
        std::to_string(guarded + 2) + " divergences: " + std::to_string(guarded) +
            " keep a scale below 2^-23, where the original takes 1 (diff_below_eps_*, tiny_scale_*); in 2 "
            "check_clips() reports what the original raises, but constrain() goes on with the previous clips "
            "(nan_clip, inf_range)");
    CHECK(guarded == 14);
    support::print_instruction_sets("golden ulq_act.json");
    CHECK(ran == total);
}

TEST_CASE("float64 activations do not compile") {
    STATIC_REQUIRE(FakeQuantizes<ActUlq<Int8>, std::vector<float>>);
    STATIC_REQUIRE_FALSE(FakeQuantizes<ActUlq<Int8>, std::vector<double>>);
}

TEST_CASE("scale and offset cover the clips and zero") {
    CHECK(ActUlq<Int8>({1.0f, -2.0f}, false).scale_offset() == ScaleOffset{3.0f / 255, 42});
    CHECK(ActUlq<Int8>({255.0f, -7.0f}, true).scale_offset() == ScaleOffset{1.0f, -128});
    CHECK(ActUlq<Int8>({255.0f, -7.0f}, true).clip() == ClipRange{255.0f, 0.0f});
    CHECK(ActUlq<Int8>({255.0f, -7.0f}, true).fixed_min());
    CHECK(ActUlq<Int4, Symmetric>({7.0f, -3.0f}, false).scale_offset() == ScaleOffset{1.0f, 0});
    CHECK(ActUlq<Int8>{}.scale_offset() == ScaleOffset{1.0f, -128});
}

TEST_CASE("constrain repairs the clips after an optimizer step, and remembers them") {
    ActUlq<Int8> q({2.0f, -1.0f}, false);
    auto const step = [&](float max, float min) {
        q.parameters()[0] = max;
        q.parameters()[1] = min;
        q.constrain();
        return q.clip();
    };
    CHECK(step(3, -2) == ClipRange{3, -2});
    CHECK(step(-1, -1) == ClipRange{3, -2});                      // no width
    CHECK(step(-1, -4) == ClipRange{3, -4});                      // clip_max below 0
    CHECK(step(5, 1) == ClipRange{5, -4});                        // clip_min above 0
    CHECK(step(-1, 2) == ClipRange{5, 2});                        // both: the original repairs only clip_max
    CHECK(step(not_a_number, -1) == ClipRange{5, -1});            // not finite
    CHECK(step(6, -infinity) == ClipRange{6, -1});                //
    CHECK(step(not_a_number, not_a_number) == ClipRange{6, -1});  //
    CHECK(step(3e38f, -3e38f) == ClipRange{6, -1});               // wider than the largest float
    CHECK(q.check_clips());

    ActUlq<Int8> fixed({2.0f, 0.0f}, true);
    fixed.parameters()[1] = 0.5f;
    fixed.constrain();
    CHECK(fixed.clip() == ClipRange{2, 0});
    CHECK(std::as_const(fixed).parameters()[0] == 2);
}

TEST_CASE("clips of any size have a scale of their own, down to where a float ends") {
    auto const x = normal(1000, 6), g = normal(1000, 7);
    std::vector<float> y(1000), scaled_y(1000), grad_x(1000), scaled_grad_x(1000), clips(2), scaled_clips(2);
    ActUlq<Int8> const q({1.5f, -1.1f}, false);
    q.fake_quantize(x, y);
    q.backward(x, g, grad_x, clips);
    for (int power : {-10, -30, -100, -117, 60, 120}) {
        float const factor = std::ldexp(1.0f, power);
        ActUlq<Int8> const scaled({1.5f * factor, -1.1f * factor}, false);
        CHECK(scaled.check_clips());
        CHECK(scaled.scale_offset() == ScaleOffset{q.scale_offset().scale * factor, q.scale_offset().offset});
        auto small = x;
        for (float& v : small) v *= factor;
        for (const auto& on : support::executions()) {
            scaled.fake_quantize(small, scaled_y, on.how);
            scaled.backward(small, g, scaled_grad_x, scaled_clips, on.how);
            std::size_t wrong = 0;
            for (std::size_t i = 0; i != 1000; ++i)
                if (scaled_y[i] != y[i] * factor || scaled_grad_x[i] != grad_x[i]) ++wrong;
            CHECK(wrong == 0);
            CHECK(scaled_clips == clips);
        }
    }
}

TEST_CASE("clips too narrow or too wide for a scale are told, and training does not get there") {
    CHECK(error(ActUlq<Int8>({1e-38f, -1e-38f}, false).check_clips()) ==
          "error: activations: the clip range is -1e-38 to 1e-38; its scale would be no normal float: set "
          "wider "
          "clips");
    CHECK(error(ActUlq<Int8>({3.4e38f, 0.0f}, true).check_clips()) == "");
    CHECK(error(ActUlq<Int8, Symmetric>({3.4e38f, 0.0f}, true).check_clips()) ==
          "error: activations: the clip range is 0 to 3.4e+38; its ends and its width must be finite: set "
          "other "
          "clips");
    ActUlq<Int8> q({2.0f, -1.0f}, false);
    for (ClipRange bad : {ClipRange{1e-37f, -1e-37f}, ClipRange{0.0f, -1e-39f}, ClipRange{2e38f, -2e38f}}) {
        q.parameters()[0] = bad.max;
        q.parameters()[1] = bad.min;
        q.constrain();
        CHECK(q.clip() == ClipRange{2.0f, -1.0f});
        CHECK(q.check_clips());
    }
}

TEST_CASE("constraining what is in order changes nothing, and doing it twice is doing it once") {
    std::mt19937 random(3);
    std::uniform_real_distribution<float> value(-2, 2);
    std::size_t changed = 0;
    for (int i = 0; i != 1000; ++i) {
        ActUlq<Int4> q({value(random), value(random)}, {1.0f, -1.0f}, i % 2 == 0);
        q.constrain();
        auto const once = q.clip();
        q.constrain();
        if (!(q.clip() == once)) ++changed;
    }
    CHECK(changed == 0);
}

TEMPLATE_TEST_CASE("the clip gradients are the slopes of the loss with the rounding errors held", "", Int4,
                   Int8) {
    using B = TestType;
    constexpr double levels = B::qmax - B::qmin;
    std::size_t const n = 10000;
    auto const x = normal(n, 1), g = normal(n, 2);
    ActUlq<B> const q({1.1f, -0.7f}, false);
    std::vector<float> grad_x(n), grad_clips(2);
    q.backward(x, g, grad_x, grad_clips);

    // In doubles: y = v + s(max, min) * (round(v / s) - v / s) with the bracket held, v = x inside, max above
    // and min below.
    auto const p = q.scale_offset();
    auto const s0 = static_cast<double>(p.scale);
    auto const loss = [&](double max, double min) {
        double sum = 0;
        for (std::size_t i = 0; i != n; ++i) {
            bool const up = x[i] > p.scale * static_cast<float>(B::qmax - p.offset);
            bool const dn = x[i] < p.scale * static_cast<float>(B::qmin - p.offset);
            double const t = static_cast<double>(up ? q.clip().max : dn ? q.clip().min : x[i]) / s0;
            double const v = up ? max : dn ? min : static_cast<double>(x[i]);
            sum += static_cast<double>(g[i]) * (v + (max - min) / levels * (std::nearbyint(t) - t));
        }
        return sum;
    };
    // The loss is linear in the clips: a difference of any width is its slope, up to the rounding of t to
    // float, 2^-24 * 2^8 of a step for each element.
    double const max = static_cast<double>(q.clip().max), min = static_cast<double>(q.clip().min);
    double const rounding = static_cast<double>(n) * 0x1p-16 / levels;
    CHECK(std::abs(static_cast<double>(grad_clips[0]) - (loss(max + 0.5, min) - loss(max - 0.5, min))) <
          rounding);
    CHECK(std::abs(static_cast<double>(grad_clips[1]) - (loss(max, min + 0.5) - loss(max, min - 0.5))) <
          rounding);

    std::size_t clipped = 0, wrong = 0;
    for (std::size_t i = 0; i != n; ++i) {
        bool const outside = x[i] > p.scale * static_cast<float>(B::qmax - p.offset) ||
                             x[i] < p.scale * static_cast<float>(B::qmin - p.offset);
        if (outside) ++clipped;
        if (grad_x[i] != (outside ? 0.0f : g[i])) ++wrong;
    }
    CHECK(clipped > 1000);
    CHECK(wrong == 0);
}

TEST_CASE("gradients have the same bits in every way to run, and those of exact sums but for 3e-7") {
    std::size_t wrong = 0, ran = 0;
    double worst = 0;
    for (std::size_t n : {1u, 15u, 16u, 63u, 64u, 65u, 127u, 1000u, 4097u, 70000u}) {
        auto x = normal(n, 1), g = normal(n, 2);
        for (std::size_t i = 0; i < n; i += 7) x[i] = i % 2 == 0 ? 0.0f : -0.0f;
        for (std::size_t i = 5; i < n; i += 50) x[i] = i % 4 == 0 ? 3e38f : -3e38f;
        for (ActUlq<Int8> const& q : {ActUlq<Int8>({1.1f, -0.7f}, false), ActUlq<Int8>({1.5f, 0.0f}, true),
                                      ActUlq<Int8>({1e-5f, -2e-5f}, false)}) {
            auto const p = q.scale_offset();
            double max = 0, min = 0, size = 0;
            std::vector<float> expected(n), grad_x(n), grad_clips(2), first;
            for (std::size_t i = 0; i != n; ++i) {
                bool const up = x[i] > p.scale * static_cast<float>(127 - p.offset);
                bool const dn = x[i] < p.scale * static_cast<float>(-128 - p.offset);
                float const t = (up ? q.clip().max : dn ? q.clip().min : x[i]) / p.scale;
                double const e = static_cast<double>(std::nearbyint(t) - t) / 255;
                auto const grad = static_cast<double>(g[i]);
                expected[i] = up || dn ? 0.0f : g[i];
                max += (e + up) * grad;
                min += (dn - e) * grad;
                size += (std::abs(e) + up + dn) * std::abs(grad);
            }
            for (const auto& on : support::executions()) {
                q.backward(x, g, grad_x, grad_clips, on.how);
                if (first.empty()) first = grad_clips;
                if (golden::first_difference(grad_x, expected) != golden::npos || grad_clips != first)
                    ++wrong;
                ++ran;
            }
            // The results are rounded to float, too.
            worst = std::max(
                {worst, (std::abs(static_cast<double>(first[0]) - max) - 0x1p-24 * std::abs(max)) / size,
                 (std::abs(static_cast<double>(first[1]) - min) - 0x1p-24 * std::abs(min)) / size});
        }
    }
    CHECK(wrong == 0);
    CHECK(ran >= 180);
    CHECK(worst <= 5 * 0x1p-24);
}

TEST_CASE("what is clipped moves its clip, one for one, when zero is the other end") {
    ActUlq<Int8> const q({255.0f / 128, 0.0f}, true);  // 255 steps of 1 / 128: no rounding error
    std::vector<float> const x{5.0f, 9.0f}, g{1.0f, 0.5f};
    std::vector<float> grad_x(2), grad_clips(2);
    q.backward(x, g, grad_x, grad_clips);
    CHECK(grad_clips[0] == 1.5f);
    CHECK(grad_clips[1] == 0.0f);
    CHECK(grad_x == std::vector{0.0f, 0.0f});
}

TEST_CASE("gradients may begin at any float, and are written nowhere else") {
    std::vector<float> x(700), g(700);
    for (std::size_t i = 0; i != x.size(); ++i) {
        x[i] = static_cast<float>(i % 37) / 10 - 1.5f;
        g[i] = static_cast<float>(i % 11) - 5;
    }
    ActUlq<Int8> const q({1.0f, -1.0f}, false);
    std::vector<float> expected(x.size()), expected_clips(2);
    q.backward(x, g, expected, expected_clips);
    for (const auto& on : support::executions())
        for (std::size_t offset = 0; offset != 17; ++offset) {
            INFO(on.name << ", " << offset);
            std::vector<float> out(x.size() + 20, 7), clips(2);
            q.backward(x, g, std::span(out).subspan(offset, x.size()), clips, on.how);
            CHECK(clips == expected_clips);
            std::vector<float> whole(x.size() + 20, 7);
            std::ranges::copy(expected, whole.begin() + static_cast<std::ptrdiff_t>(offset));
            CHECK(out == whole);
        }
}

TEST_CASE("outputs may be the inputs") {
    ActUlq<Int8> const q({1.0f, -1.0f}, false);
    auto const x = normal(100, 4), g = normal(100, 5);
    std::vector<float> y(100), grad_x(100), grad_clips(2), same_clips(2);
    q.fake_quantize(x, y);
    q.backward(x, g, grad_x, grad_clips);
    auto same_x = x, same_g = g;
    q.backward(x, same_g, same_g, same_clips);
    q.fake_quantize(same_x, same_x);
    CHECK(same_x == y);
    CHECK(same_g == grad_x);
    CHECK(same_clips == grad_clips);
}

}  // namespace quant_act_ulq_test
