// SPDX-License-Identifier: Apache-2.0
// Compiled for the machine that the compiler is told of, usually one without AVX. The C library aborts, and
// AddressSanitizer says where, when memory is freed in another way than it was allocated.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "other.hpp"

int main() {
    if (!FLAGS_TEST_SUPPORTED) {
        std::puts("this processor cannot run it");
        return 77;
    }
    for (amct_distill::nn::Index n = 1; n != 100; ++n) {
        flags_test::Held theirs = flags_test::make(n);
        flags_test::Held ours{amct_distill::nn::Tensor({n}), std::make_unique<amct_distill::nn::Executor>(3)};
        std::atomic<int> runs = 0;
        for (const auto* held : {&theirs, &ours}) {
            if (reinterpret_cast<std::uintptr_t>(held->values.data()) % 64 != 0) return 1;
            held->executor->parallel_for(20, [&](std::size_t) { ++runs; });
        }
        if (runs != 40) return 2;
        theirs.values.resize({2 * n});  // allocated there, freed here
        flags_test::drop(std::move(ours));
    }
    std::puts("what either made, the other freed");
}
