// SPDX-License-Identifier: Apache-2.0
/// The instruction sets that the loops are compiled for, and the choice of one at run time.
///
///     struct Twice {                                    // a kernel: its loop, for vectors of any width
///         float* x; std::size_t n;
///         template <int Bytes> [[gnu::always_inline]] void run() const { ... }
///     };
///     run_on(best_instructions(), Twice{x, n});         // compiled once for each, chosen by the processor
///
/// So a program compiled with plain -O2 runs at the speed of its machine. Results do not depend on the
/// choice, bit for bit.
#pragma once
#include <cstddef>
#include <string_view>

#if defined(__linux__)
#include <unistd.h>
#endif

namespace amct_distill {

/// In order of speed. `vectors` are of 16 bytes and need nothing beyond what the compiler may use anyway
/// (SSE2 on x86-64, NEON on AArch64). `scalar` is for compilers without vector extensions; where there are
/// vectors it runs those, unless all of a program is compiled with AMCT_DISTILL_SCALAR_LOOPS, as the tests
/// are.
///
/// All of a program compiled with AMCT_DISTILL_NO_DISPATCH has each loop once, for `vectors`: it is smaller
/// and compiles sooner, is slower where the machine has more, and gives the same bits.
enum class InstructionSet { scalar, vectors, avx2, avx512 };

inline constexpr InstructionSet all_instruction_sets[] = {InstructionSet::scalar, InstructionSet::vectors,
                                                          InstructionSet::avx2, InstructionSet::avx512};

constexpr std::string_view name(InstructionSet set) {
    constexpr std::string_view names[] = {"scalar", "16-byte vectors", "AVX2", "AVX-512"};
    return names[static_cast<std::size_t>(set)];
}

/// Whether this compiler and this machine have it.
inline bool available(InstructionSet set) {
    switch (set) {
        case InstructionSet::scalar:
            return true;
#if defined(__GNUC__)
        case InstructionSet::vectors:
            return true;
#if (defined(__x86_64__) || defined(__i386__)) && !defined(AMCT_DISTILL_NO_DISPATCH)
        case InstructionSet::avx2:
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        case InstructionSet::avx512:
            return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("fma");
#endif
#endif
        default:
            return false;
    }
}

/// The fastest available; asked of the processor once.
inline InstructionSet best_instructions() {
    static InstructionSet const best = [] {
        InstructionSet found = InstructionSet::scalar;
        for (InstructionSet set : all_instruction_sets)
            if (available(set)) found = set;
        return found;
    }();
    return best;
}

/// Of outputs that are larger, in bytes, nothing would be left in the caches for the next reader, and a store
/// into the cache reads the line first: they are written past the caches. Half of the last-level cache, but
/// no more than 8 MB, or four times the second-level cache: the last level is often shared with strangers (of
/// the 300 MB that a virtual machine is shown, ARQ of 64 MB keeps so little that it takes a third longer than
/// past the caches).
inline std::size_t streaming_size() {
    static std::size_t const size = [] {
        constexpr std::size_t usual = std::size_t{8} << 20;
#if defined(_SC_LEVEL3_CACHE_SIZE)
        long const second = sysconf(_SC_LEVEL2_CACHE_SIZE), third = sysconf(_SC_LEVEL3_CACHE_SIZE);
        std::size_t const own = second > 0 ? 4 * static_cast<std::size_t>(second) : usual;
        std::size_t const most = own > usual ? own : usual;
        long const last = third > 0 ? third : second;
        std::size_t const half = last > 0 ? static_cast<std::size_t>(last) / 2 : usual;
        return half < most ? half : most;
#else
        return usual;
#endif
    }();
    return size;
}

namespace detail {

/// Whether `scalar` has loops of its own. Nobody but a test needs them where there are 16-byte vectors, which
/// give the same bits: without AMCT_DISTILL_SCALAR_LOOPS it runs those, and a third of the loops need not be
/// compiled.
#if defined(AMCT_DISTILL_SCALAR_LOOPS) || !defined(__GNUC__)
inline constexpr bool has_scalar_loops = true;
#else
inline constexpr bool has_scalar_loops = false;
#endif

// The kernel goes by value: through a reference, its members would be loaded again after every store.
template <class Kernel>
[[gnu::noinline]] auto run_scalar(Kernel kernel) -> decltype(kernel.template run<4>()) {
    return kernel.template run<4>();
}
#if defined(__GNUC__)
template <class Kernel>
[[gnu::noinline]] auto run_vectors(Kernel kernel) -> decltype(kernel.template run<16>()) {
    return kernel.template run<16>();
}
#if (defined(__x86_64__) || defined(__i386__)) && !defined(AMCT_DISTILL_NO_DISPATCH)
template <class Kernel>
[[gnu::noinline, gnu::target("avx2,fma")]] auto run_avx2(Kernel kernel)
    -> decltype(kernel.template run<32>()) {
    return kernel.template run<32>();
}
template <class Kernel>
[[gnu::noinline, gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] auto run_avx512(Kernel kernel)
    -> decltype(kernel.template run<64>()) {
    return kernel.template run<64>();
}
#endif
#endif

/// kernel.run<Bytes>() with vectors of `Bytes` bytes, compiled for `set`. Precondition: available(set).
template <class Kernel>
auto run_on(InstructionSet set, const Kernel& kernel) {
    switch (set) {
#if defined(__GNUC__)
#if (defined(__x86_64__) || defined(__i386__)) && !defined(AMCT_DISTILL_NO_DISPATCH)
        case InstructionSet::avx512:
            return run_avx512(kernel);
        case InstructionSet::avx2:
            return run_avx2(kernel);
#endif
        case InstructionSet::vectors:
            return run_vectors(kernel);
#endif
        default:
            if constexpr (has_scalar_loops)
                return run_scalar(kernel);
            else
                return run_vectors(kernel);
    }
}

}  // namespace detail
}  // namespace amct_distill
