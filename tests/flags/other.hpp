// SPDX-License-Identifier: Apache-2.0
// Two files of one program, compiled with different instruction sets: what one makes, the other frees.
#pragma once
#include <amct_distill/run/aligned_allocator.hpp>
#include <cstddef>
#include <vector>

namespace flags_test {

struct Held {
    explicit Held(std::size_t n) : values(n, 1.0f) {}
    std::vector<float, amct_distill::detail::AlignedAllocator<float>> values;
};

Held make(std::size_t n);
void drop(Held held);

}  // namespace flags_test
