// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/scale.hpp>

#include <limits>

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

TEST_CASE("a scale below epsilon becomes one") {
    float const at = scale_epsilon * 127, below = std::nextafter(at, 0.0f);
    CHECK(symmetric_scale<Int8>({at, 0.0f}) == ScaleOffset{scale_epsilon, 0});
    CHECK(symmetric_scale<Int8>({below, 0.0f}) == ScaleOffset{1.0f, 0});
    CHECK(symmetric_scale<Int8>({}) == ScaleOffset{1.0f, 0});
    CHECK(asymmetric_scale<Int8>({}) == ScaleOffset{1.0f, -128});
    CHECK(asymmetric_scale_learned<Int4>({}) == ScaleOffset{1.0f, -8});
    CHECK(asymmetric_scale_learned<Int4>({NAN, NAN}) == ScaleOffset{1.0f, -8});
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

TEST_CASE("the zero of a range is +0.0") {
    for (const auto& on : support::executions()) {
        std::vector<float> const x{-0.0f, 0.0f, -0.0f};
        CHECK_FALSE(std::signbit(detail::range_of(x, on.how).max));
        CHECK_FALSE(std::signbit(detail::range_of(x, on.how).min));
    }
}

}  // namespace quant_range_test
