// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/calibrator.hpp>

#include <amct_distill/quant/ifmr.hpp>

#include "support/catch.hpp"

namespace quant_calibrator_test {

using namespace amct_distill;

namespace {

/// The least that a calibrator has.
struct Largest {
    float max = 0;
    result<void> observe(std::span<const float> x) {
        for (float v : x) max = (std::max)(max, v);
        return {};
    }
    struct Found {
        ClipRange clip;
    };
    result<Found> finish() const { return Found{{max, -max}}; }
};

/// All that it may have.
struct Counting : Largest {
    std::size_t bytes = 0;
    int with_execution = 0;
    using Largest::finish;
    using Largest::observe;
    result<void> observe(std::span<const float> x, const Execution&) {
        ++with_execution;
        return observe(x);
    }
    result<Found> finish(const Execution&) const { return Found{{100, 0}}; }
    void limit_memory(std::size_t n) { bytes = n; }
};

}  // namespace

TEST_CASE("a calibrator needs observe and finish, and may have more") {
    STATIC_REQUIRE(Calibrator<Largest>);
    STATIC_REQUIRE(Calibrator<Counting>);
    STATIC_REQUIRE(Calibrator<Ifmr<Int8>>);
    STATIC_REQUIRE_FALSE(Calibrator<int>);
    std::vector<float> const x{1, 3};

    Largest least;
    detail::limit_memory_of(least, 10);
    REQUIRE(detail::observe_on({}, least, x));
    CHECK(detail::finish_on({}, least)->clip == ClipRange{3, -3});

    Counting most;
    detail::limit_memory_of(most, 10);
    REQUIRE(detail::observe_on({}, most, x));
    CHECK(most.bytes == 10);
    CHECK(most.with_execution == 1);
    CHECK(detail::finish_on({}, most)->clip == ClipRange{100, 0});
}

}  // namespace quant_calibrator_test
