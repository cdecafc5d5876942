// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/scale.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/executions.hpp"

namespace quant_range_test {

using namespace amct_distill;

TEST_CASE("a symmetric scale covers the longer side") {
    CHECK(symmetric_scale<Int8>({1.0f, -2.0f}) == ScaleOffset{2.0f / 128, 0});
    CHECK(symmetric_scale<Int8>({2.0f, -1.0f}) == ScaleOffset{2.0f / 127, 0});
    CHECK(symmetric_scale<Int8>({2.0f, -2.0f}) == ScaleOffset{2.0f / 127, 0});  // < is strict
    CHECK(symmetric_scale<Int4>({7.0f, 3.0f}) == ScaleOffset{1.0f, 0});
    CHECK(symmetric_scale<Int4>({-1.0f, -8.0f}) == ScaleOffset{1.0f, 0});
    CHECK(symmetric_scale<Int4>({7.0f, 0.0f}, 0.5f) == ScaleOffset{0.5f, 0});
}

TEST_CASE("an asymmetric scale covers the range and zero, and zero has a code") {
    CHECK(asymmetric_scale<Int8>({1.0f, -2.0f}) == ScaleOffset{3.0f / 255, 42});
    CHECK(asymmetric_scale<Int8>({255.0f, 10.0f}) == ScaleOffset{1.0f, -128});
    CHECK(asymmetric_scale<Int8>({-10.0f, -255.0f}) == ScaleOffset{1.0f, 127});
    CHECK(asymmetric_scale_learned<Int8>({1.0f, -2.0f}) == ScaleOffset{3.0f / 255, 42});
    CHECK(asymmetric_scale_learned<Int8>({-10.0f, -255.0f}) == ScaleOffset{1.0f, 127});
}

TEST_CASE("the two asymmetric offsets differ where the subtraction rounds onto a tie") {
    // -min / scale is 0.5 and a little: it rounds to 1, but -128 + 0.5 and a little is -127.5, a tie to -128.
    float const min = -std::nextafter(0.5f, 1.0f);
    ClipRange const range{255.0f + min, min};
    REQUIRE(asymmetric_scale<Int8>(range).scale == 1.0f);
    CHECK(asymmetric_scale<Int8>(range).offset == -127);
    CHECK(asymmetric_scale_learned<Int8>(range).offset == -128);
}

TEST_CASE("a range that is zero has the scale 1, and so has one whose scale would not be a normal float") {
    float const at = smallest_scale * 127;
    CHECK(symmetric_scale<Int8>({at, 0.0f}) == ScaleOffset{smallest_scale, 0});
    CHECK(symmetric_scale<Int8>({at / 2, 0.0f}) == ScaleOffset{1.0f, 0});
    CHECK(symmetric_scale<Int8>({}) == ScaleOffset{1.0f, 0});
    CHECK(asymmetric_scale<Int8>({smallest_scale * 255, 0.0f}) == ScaleOffset{smallest_scale, -128});
    CHECK(asymmetric_scale<Int8>({smallest_scale * 127, 0.0f}) == ScaleOffset{1.0f, -128});
    CHECK(asymmetric_scale<Int8>({}) == ScaleOffset{1.0f, -128});
    CHECK(asymmetric_scale_learned<Int4>({}) == ScaleOffset{1.0f, -8});
    CHECK(asymmetric_scale_learned<Int4>({NAN, NAN}) == ScaleOffset{1.0f, -8});
    CHECK(asymmetric_scale<Int8>({3e38f, -3e38f}) == ScaleOffset{1.0f, -128});  // its width is no float
    CHECK(symmetric_scale<Int8>({INFINITY, 0.0f}) == ScaleOffset{1.0f, 0});
}

TEST_CASE("every range is usable, too narrow or too wide, and the usable have a scale to compute with") {
    CHECK(use_of<Int8, Symmetric>({}) == RangeUse::usable);
    CHECK(use_of<Int8, Symmetric>({1e-38f, -1e-38f}) == RangeUse::too_narrow);
    CHECK(use_of<Int8, Asymmetric>({1e-38f, -1e-38f}) == RangeUse::too_narrow);
    CHECK(use_of<Int8, Symmetric>({3e38f, -3e38f}) == RangeUse::too_wide);
    CHECK(use_of<Int8, Asymmetric>({3e38f, -3e38f}) == RangeUse::too_wide);
    CHECK(use_of<Int8, Asymmetric>({3e38f, 0}) == RangeUse::usable);
    CHECK_FALSE(is_usable<Int8>({0.0f, 0}));
    CHECK_FALSE(is_usable<Int8>({-1.0f, 0}));
    CHECK_FALSE(is_usable<Int8>({NAN, 0}));
    CHECK_FALSE(is_usable<Int8>({INFINITY, -128}));
    std::size_t wrong = 0, usable = 0;
    for (int a = -149; a <= 127; ++a)
        for (int b = -149; b <= 127; b += 7)
            for (float sign : {1.0f, -1.0f, 0.0f}) {
                ClipRange const range{1.9f * std::ldexp(1.0f, a), sign * std::ldexp(1.7f, b)};
                if (range.min > range.max) continue;
                auto const check = [&](RangeUse use, ScaleOffset p) {
                    if (use == RangeUse::usable) ++usable;
                    if (use == RangeUse::usable && !is_usable<Int8>(p)) ++wrong;
                    if (use == RangeUse::too_narrow && p.scale != 1.0f) ++wrong;
                };
                check(use_of<Int8, Symmetric>(range), symmetric_scale<Int8>(range));
                check(use_of<Int8, Asymmetric>(range), asymmetric_scale<Int8>(range));
                check(use_of<Int8, Asymmetric>(range), asymmetric_scale_learned<Int8>(range));
            }
    CHECK(wrong == 0);
    CHECK(usable > 40000);
}

TEST_CASE("clip_of is what the codes reach") {
    CHECK(clip_of<Int8>({0.5f, 0}) == ClipRange{63.5f, -64.0f});
    CHECK(clip_of<Int4>({2.0f, -8}) == ClipRange{30.0f, 0.0f});
}

TEST_CASE("the range is found wherever its ends are, and so is what is not finite") {
    std::size_t wrong = 0, ran = 0;
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    constexpr float infinity = std::numeric_limits<float>::infinity();
    for (const auto& on : support::executions()) {
        for (std::size_t n : {1u, 2u, 7u, 15u, 16u, 17u, 33u, 70u}) {
            for (std::size_t i = 0; i != n; ++i) {
                std::vector<float> x(n, -1.0f);
                x[i] = 2;
                x[(i + n / 2) % n] = n == 1 ? 2.0f : -3.0f;
                auto const range = detail::range_of(x, on.how);
                if (range.max != 2.0f || range.min != (n == 1 ? 2.0f : -3.0f) || !range.finite) ++wrong;
                for (float bad : {nan, -nan, infinity, -infinity}) {
                    x[i] = bad;
                    if (detail::range_of(x, on.how).finite) ++wrong;
                }
                x[i] = nan;  // passed over
                if (n > 2 && detail::range_of(x, on.how).max != -1.0f) ++wrong;
                ++ran;
            }
        }
        std::vector<float> large(300000, 0.5f);
        large[299999] = 4;
        large[70000] = -5;
        auto const range = detail::range_of(large, on.how);
        if (range.max != 4 || range.min != -5 || !range.finite) ++wrong;
        large[131072] = nan;
        if (detail::range_of(large, on.how).finite) ++wrong;

        RowMajorMatrix const w = RowMajorMatrix::Random(900, 300);
        auto const view = w.block(3, 5, 880, 290);
        if (detail::range_of(view, on.how).max != view.maxCoeff() ||
            detail::range_of(view, on.how).min != view.minCoeff())
            ++wrong;
    }
    CHECK(wrong == 0);
    CHECK(ran > 100);
}

TEST_CASE("a range in parts looks at each value once, and at none beyond the last") {
    for (std::size_t size : {1u, 3u, 10u})
        for (std::size_t n : {1u, 2u, 63u, 64u, 65u, 128u, 200u, 641u}) {
            Execution on;
            on.parallel_for = [](std::size_t tasks, const std::function<void(std::size_t)>& task) {
                for (std::size_t k = 0; k != tasks; ++k) task(k);
            };
            std::vector<int> seen(n);
            auto const found = detail::range_in_parts(on, n, size, [&](std::size_t begin, std::size_t end) {
                REQUIRE(begin < end);
                REQUIRE(end <= n);
                for (std::size_t i = begin; i != end; ++i) ++seen[i];
                return detail::ValueRange{static_cast<float>(end - 1), -static_cast<float>(begin), end != n};
            });
            INFO(n << " in parts of " << size);
            CHECK(found.max == static_cast<float>(n - 1));
            CHECK(found.min == -static_cast<float>((n - 1) / size * size));
            CHECK_FALSE(found.finite);
            if (n > size) --seen[0];  // with which the search begins
            CHECK(std::ranges::all_of(seen, [](int k) { return k == 1; }));
        }
}

TEST_CASE("the zero of a range is +0.0") {
    for (const auto& on : support::executions()) {
        std::vector<float> const x{-0.0f, 0.0f, -0.0f};
        CHECK_FALSE(std::signbit(detail::range_of(x, on.how).max));
        CHECK_FALSE(std::signbit(detail::range_of(x, on.how).min));
    }
}

}  // namespace quant_range_test
