// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/affine.hpp>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/executions.hpp"
#include "support/sanitized.hpp"

namespace quant_exhaustive_test {

using namespace amct_distill;

namespace {

/// The definition in double, rounded to float after each operation: of two floats, a double's quotient, sum
/// or product rounded again is the float operation's, since 53 >= 2 * 24 + 2 bits.
float code_reference(float x, ScaleOffset p, int qmin, int qmax) {
    auto const quotient = static_cast<float>(static_cast<double>(x) / static_cast<double>(p.scale));
    auto const sum = static_cast<float>(static_cast<double>(quotient) + p.offset);
    double const rounded = std::nearbyint(static_cast<double>(sum));
    return static_cast<float>(rounded < qmin ? qmin : rounded > qmax ? qmax : rounded);
}

struct Counts {
    std::atomic<std::size_t> floats{0}, compared{0}, wrong{0};
};

/// Of floats with the bits first, first + stride, ...
template <class B>
void compare(std::uint64_t first, std::size_t n, std::uint64_t stride, ScaleOffset p,
             const std::vector<InstructionSet>& sets, Counts& counts) {
    std::vector<float> x(n), expected(n), y(n), numbers, codes_expected;
    for (std::size_t i = 0; i != n; ++i) {
        x[i] = std::bit_cast<float>(static_cast<std::uint32_t>(first + i * stride));
        float const code = code_reference(x[i], p, B::qmin, B::qmax);
        float const difference = code - static_cast<float>(p.offset);
        expected[i] = static_cast<float>(static_cast<double>(difference) * static_cast<double>(p.scale));
        if (std::isnan(x[i])) continue;  // has no code
        numbers.push_back(x[i]);
        codes_expected.push_back(code);
    }
    std::vector<std::int8_t> codes(numbers.size());
    std::size_t wrong = 0;
    for (InstructionSet set : sets) {
        Execution on;
        on.instructions = set;
        fake_quantize<B>(x, y, p, on);
        for (std::size_t i = 0; i != n; ++i) {
            bool const same = std::isnan(x[i]) ? std::isnan(y[i])
                                               : std::bit_cast<std::uint32_t>(y[i]) ==
                                                     std::bit_cast<std::uint32_t>(expected[i]);
            if (!same) ++wrong;
        }
        quantize<B>(numbers, codes, p, on);
        for (std::size_t i = 0; i != numbers.size(); ++i)
            if (static_cast<float>(codes[i]) != codes_expected[i]) ++wrong;
    }
    counts.floats += n;
    counts.compared += n * sets.size();
    counts.wrong += wrong;
}

/// All floats, or every `stride`-th.
void compare_all(std::uint64_t stride, std::size_t threads, const std::string& what) {
    std::vector<InstructionSet> sets;
    for (InstructionSet set : all_instruction_sets)
        if (available(set)) sets.push_back(set);
    Counts counts;
    constexpr std::size_t chunk = std::size_t{1} << 16;
    std::size_t const floats = static_cast<std::size_t>((std::uint64_t{1} << 32) / stride);
    support::on_threads(threads)((floats + chunk - 1) / chunk, [&](std::size_t k) {
        std::size_t const n = std::min(chunk, floats - k * chunk);
        std::uint64_t const first = k * chunk * stride;
        compare<Int8>(first, n, stride, {4.0f / 127, 0}, sets, counts);
        compare<Int8>(first, n, stride, {0.01735f, -37}, sets, counts);
        compare<Int4>(first, n, stride, {0.3f, 0}, sets, counts);
        compare<Int4>(first, n, stride, {1e-5f, 5}, sets, counts);
        compare<Int8>(first, n, stride, {3e30f, 127}, sets, counts);
    });
    support::print_instruction_sets(what + ": " + std::to_string(floats) + " floats, " +
                                    std::to_string(counts.floats) + " with their scales, " +
                                    std::to_string(counts.compared) + " comparisons, " +
                                    std::to_string(counts.wrong) + " differences");
    CHECK(counts.wrong == 0);
}

}  // namespace

TEST_CASE("fake_quantize and quantize are the double reference's, on a sample of all floats") {
    // More than 2^24, or 2^20; primes, so all low bits occur.
    compare_all(support::sanitized ? 4093 : 251, 2, "sample of all floats");
}

// Minutes: runs with AMCT_DISTILL_EXHAUSTIVE_TESTS, under the label `exhaustive`.
TEST_CASE("fake_quantize and quantize are the double reference's, on all floats", "[.exhaustive]") {
    compare_all(1, 2, "all floats");
}

}  // namespace quant_exhaustive_test
