// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/run/random_bits.hpp>

#include <amct_distill/run/training_step.hpp>

#include <cstddef>

#include "support/catch.hpp"

namespace run_random_bits_test {

using namespace amct_distill;

TEST_CASE("random bits are a function of key and index, and look like chance") {
    STATIC_REQUIRE(RandomBits(mixed(1, 2, 3))(7) == RandomBits(mixed(1, 2, 3))(7));
    // On every machine the same.
    CHECK(mixed(1, 2, 3) != mixed(1, 3, 2));
    CHECK(mixed(0) != mixed(0, 0));
    constexpr std::size_t n = 1 << 16;
    RandomBits const a(mixed(1, 0)), b(mixed(1, 1));
    std::size_t low = 0, both = 0, changes = 0, bits[32] = {};
    for (std::size_t i = 0; i != n; ++i) {
        bool const x = a(i) < share_of_bits(0.25), y = b(i) < share_of_bits(0.25);
        low += x;
        both += x && y;
        changes += x != (a(i + 1) < share_of_bits(0.25));
        for (int k = 0; k != 32; ++k) bits[k] += (a(i) >> k) & 1;
    }
    auto const near_share = [](std::size_t count, double share) {  // within five standard deviations
        double const all = static_cast<double>(n), deviation = static_cast<double>(count) - all * share;
        return deviation * deviation <= 25 * all * share * (1 - share);
    };
    CHECK(near_share(low, 0.25));
    CHECK(near_share(both, 0.0625));
    CHECK(near_share(changes, 2 * 0.25 * 0.75));
    for (std::size_t count : bits) CHECK(near_share(count, 0.5));
    CHECK(share_of_bits(0) == 0);
    CHECK(share_of_bits(1) == std::uint64_t{1} << 32);
}

TEST_CASE("a training step knows how much is done") {
    CHECK(TrainingStep{}.progress() == 0);
    CHECK(TrainingStep{.step = 30, .steps = 120}.progress() == 0.25);
}

}  // namespace run_random_bits_test
