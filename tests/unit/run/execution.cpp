// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/affine.hpp>
#include <amct_distill/run/execution.hpp>

#include <algorithm>
#include <bit>
#include <random>

#include "support/catch.hpp"
#include "support/executions.hpp"

namespace quant_execution_test {

using namespace amct_distill;

namespace {

/// The definition, slowly: the standard library's rounding, one element at a time.
float reference(float x, ScaleOffset p, int qmin, int qmax) {
    auto const offset = static_cast<float>(p.offset);
    float const v = std::nearbyint(x / p.scale + offset);
    return (std::clamp(v, static_cast<float>(qmin), static_cast<float>(qmax)) - offset) * p.scale;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float v, float w) {
        return std::bit_cast<std::uint32_t>(v) == std::bit_cast<std::uint32_t>(w);
    });
}

}  // namespace

TEST_CASE("scalar code is always there, and the best instructions are available") {
    CHECK(available(InstructionSet::scalar));
    CHECK(available(best_instructions()));
    CHECK(Execution{}.instructions == best_instructions());
    CHECK(streaming_size() > 0);
    CHECK(streaming_size() <= std::size_t{64} << 20);  // not half of a cache shared with strangers
    STATIC_REQUIRE(name(InstructionSet::avx512) == "AVX-512");
}

TEMPLATE_TEST_CASE("all ways to run a loop give the bits of the definition, for every length", "", Int4,
                   Int8) {
    std::mt19937 random(11);
    std::normal_distribution<float> value(0, 30);
    std::vector<std::size_t> lengths;
    for (std::size_t n = 0; n != 70; ++n) lengths.push_back(n);
    lengths.insert(lengths.end(), {1000, 65536, 65537, 200001});
    std::size_t ran = 0, wrong = 0;
    for (std::size_t n : lengths) {
        std::vector<float> x(n);
        for (float& v : x) v = value(random);
        for (ScaleOffset const p : {ScaleOffset{0.37f, 0}, ScaleOffset{1.0f, 3}, ScaleOffset{0.01f, -7}}) {
            std::vector<float> expected(n), y(n), back(n);
            std::vector<std::int8_t> codes(n);
            for (std::size_t i = 0; i != n; ++i)
                expected[i] = reference(x[i], p, TestType::qmin, TestType::qmax);
            for (const auto& on : support::executions()) {
                fake_quantize<TestType>(x, y, p, on.how);
                if (!same(y, expected)) ++wrong;
                quantize<TestType>(x, codes, p, on.how);
                dequantize(codes, back, p, on.how);
                if (back != expected) ++wrong;  // == : a code has no -0.0
                y = x;
                fake_quantize<TestType>(y, y, p, on.how);
                if (!same(y, expected)) ++wrong;
                ++ran;
            }
        }
    }
    CHECK(wrong == 0);
    support::print_instruction_sets(std::to_string(ran) + " runs of " + std::string(TestType::name) +
                                    " loops");
}

TEST_CASE("loops write their elements and nothing beside them, wherever these begin") {
    std::size_t wrong = 0;
    for (const auto& on : support::executions()) {
        for (std::size_t begin = 0; begin != 20; ++begin) {
            for (std::size_t n : {0u, 1u, 15u, 40u}) {
                std::vector<float> x(80, 1.3f), y(80, -7.0f);
                std::vector<std::int8_t> codes(80, 99);
                auto const in = std::span<const float>(x).subspan(begin + 1, n);
                fake_quantize<Int4>(in, std::span(y).subspan(begin, n), {0.5f, 0}, on.how);
                quantize<Int4>(in, std::span(codes).subspan(begin, n), {0.5f, 0}, on.how);
                for (std::size_t i = 0; i != 80; ++i) {
                    bool const inside = i >= begin && i < begin + n;
                    if (y[i] != (inside ? 1.5f : -7.0f) || codes[i] != (inside ? 3 : 99)) ++wrong;
                }
            }
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("NaN goes through every loop of fake_quantize, infinities are clipped") {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    for (const auto& on : support::executions()) {
        INFO(on.name);
        std::vector<float> x(40, infinity), y(40);
        for (std::size_t i = 0; i < x.size(); i += 3) x[i] = std::numeric_limits<float>::quiet_NaN();
        for (std::size_t i = 1; i < x.size(); i += 3) x[i] = -infinity;
        fake_quantize<Int8>(x, y, {0.5f, 0}, on.how);
        for (std::size_t i = 0; i != x.size(); ++i)
            CHECK((i % 3 == 0 ? std::isnan(y[i]) : y[i] == (i % 3 == 1 ? -64.0f : 63.5f)));
    }
}

}  // namespace quant_execution_test
