// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/run/aligned_allocator.hpp>

#include <cstdint>
#include <memory>
#include <vector>

#include "support/catch.hpp"

namespace aligned_allocator_test {

using amct_distill::detail::AlignedAllocator;

TEST_CASE("aligned allocator: every vector begins at a multiple of 64 bytes", "[run]") {
    std::vector<std::vector<float, AlignedAllocator<float>>> kept;
    for (std::size_t n = 1; n != 200; ++n) {
        kept.emplace_back(n, 1.0f);
        REQUIRE(reinterpret_cast<std::uintptr_t>(kept.back().data()) % 64 == 0);
        kept.back().resize(3 * n);  // allocates again
        REQUIRE(reinterpret_cast<std::uintptr_t>(kept.back().data()) % 64 == 0);
    }
}

TEST_CASE("aligned allocator: all are equal, of any type", "[run]") {
    STATIC_REQUIRE(std::allocator_traits<AlignedAllocator<float>>::is_always_equal::value);
    AlignedAllocator<double> const other{AlignedAllocator<float>{}};
    REQUIRE(other == AlignedAllocator<float>{});
}

}  // namespace aligned_allocator_test
