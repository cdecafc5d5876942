// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/affine.hpp>

#include <algorithm>
#include <bit>
#include <limits>
#include <random>

#include "support/catch.hpp"

namespace quant_affine_test {

using namespace amct_distill;

namespace {

std::uint32_t bits_of(float v) { return std::bit_cast<std::uint32_t>(v); }

std::vector<float> normal(std::size_t n, float deviation, unsigned seed = 1) {
    std::mt19937 random(seed);
    std::normal_distribution<float> values(0, deviation);
    std::vector<float> x(n);
    for (float& v : x) v = values(random);
    return x;
}

// The rounding of x / s, of the sum with o, and of the product are each at most 2^-24 of at most 2^8 steps.
constexpr float half_step = 0.5f + 3 * 0x1p-16f;

}  // namespace

TEST_CASE("round_half_even is std::nearbyint, to the bit, the sign of zero included") {
    auto const same = [](float v) {
        return bits_of(detail::round_half_even(v)) == bits_of(std::nearbyint(v));
    };
    constexpr float infinity = std::numeric_limits<float>::infinity();
    for (int k = -1024; k <= 1024; ++k) {
        float const tie = static_cast<float>(k) + 0.5f;
        for (float v :
             {tie, std::nextafter(tie, infinity), std::nextafter(tie, -infinity), static_cast<float>(k)})
            if (!same(v)) FAIL(v);
    }
    for (float v : {0.0f, -0.0f, 0.5f, -0.5f, 0x1p-149f, -0x1p-149f, 0x1p22f, -0x1p22f, 0x1p22f - 0.5f})
        CHECK(same(v));
    for (float v : normal(100000, 1000))
        if (!same(v)) FAIL(v);
    CHECK(std::isnan(detail::round_half_even(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("quantize, dequantize and fake_quantize of a value") {
    ScaleOffset const p{0.5f, 0};
    CHECK(quantize<Int4>(1.3f, p) == 3);
    CHECK(dequantize(3, p) == 1.5f);
    CHECK(fake_quantize<Int4>(1.3f, p) == 1.5f);
    CHECK(quantize<Int4>(1.25f, p) == 2);  // 2.5: ties to even
    CHECK(quantize<Int4>(0.75f, p) == 2);  // 1.5
    CHECK(quantize<Int4>(100.0f, p) == 7);
    CHECK(quantize<Int4>(-100.0f, p) == -8);
    CHECK(quantize<Int8>(100.0f, p) == 127);

    // The offset is added before rounding: 0.5 + 1 is a tie that goes up, 0.5 alone one that goes down.
    CHECK(quantize<Int8>(0.5f, {1.0f, 1}) == 2);
    CHECK(fake_quantize<Int8>(0.5f, {1.0f, 1}) == 1.0f);
    CHECK(fake_quantize<Int8>(0.5f, {1.0f, 0}) == 0.0f);
}

TEST_CASE("a negative value that quantizes to zero is -0.0") {
    CHECK(bits_of(fake_quantize<Int8>(-0.2f, {1.0f, 0})) == bits_of(-0.0f));
    CHECK(bits_of(fake_quantize<Int8>(0.2f, {1.0f, 0})) == bits_of(0.0f));
    CHECK(bits_of(dequantize(0, {1.0f, 0})) == bits_of(0.0f));
}

TEST_CASE("NaN goes through, infinities are clipped") {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    CHECK(std::isnan(fake_quantize<Int8>(std::numeric_limits<float>::quiet_NaN(), {0.5f, 3})));
    CHECK(fake_quantize<Int8>(infinity, {0.5f, 0}) == 63.5f);
    CHECK(fake_quantize<Int8>(-infinity, {0.5f, 0}) == -64.0f);
}

TEMPLATE_TEST_CASE("properties of affine quantization", "", Int4, Int8) {
    for (ScaleOffset const p : {ScaleOffset{0.037f, 0}, ScaleOffset{0.25f, 3},
                                ScaleOffset{1e-5f, TestType::qmin}, ScaleOffset{3e20f, TestType::qmax}}) {
        auto x = normal(20000, p.scale * static_cast<float>(TestType::qmax));
        std::sort(x.begin(), x.end());
        std::vector<float> y(x.size()), again(x.size()), back(x.size());
        std::vector<std::int8_t> codes(x.size());
        fake_quantize<TestType>(x, y, p);
        fake_quantize<TestType>(y, again, p);
        quantize<TestType>(x, codes, p);
        dequantize(codes, back, p);

        CHECK(y == again);  // idempotent; == because -0.0 becomes 0.0 + 0
        CHECK(y == back);   // a code and a fake-quantized value say the same
        CHECK(std::is_sorted(y.begin(), y.end()));
        CHECK(*std::min_element(codes.begin(), codes.end()) == TestType::qmin);
        CHECK(*std::max_element(codes.begin(), codes.end()) == TestType::qmax);
        float const lowest = dequantize(TestType::qmin, p), highest = dequantize(TestType::qmax, p);
        std::size_t bad = 0;
        for (std::size_t i = 0; i != x.size(); ++i)
            if (x[i] >= lowest && x[i] <= highest && std::abs(y[i] - x[i]) > half_step * p.scale) ++bad;
        CHECK(bad == 0);
    }
}

TEST_CASE("spans may be the same, and may be empty") {
    std::vector<float> x{1.3f, -1.3f};
    fake_quantize<Int4>(x, x, {0.5f, 0});
    CHECK(x == std::vector{1.5f, -1.5f});
    fake_quantize<Int4>(std::span<const float>{}, std::span<float>{}, {});
}

}  // namespace quant_affine_test
