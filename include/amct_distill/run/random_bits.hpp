// SPDX-License-Identifier: Apache-2.0
/// Random numbers without a state: the n-th of a key is a function of both, so whoever computes it, in
/// whatever order, finds the same.
///
///     RandomBits const bits(mixed(seed, block, step));
///     if (bits(element) < share_of_bits(0.5)) ...
#pragma once
#include <cstdint>

namespace amct_distill {

/// One number of several (SplitMix64's finalizer after each).
template <class... Numbers>
constexpr std::uint64_t mixed(Numbers... numbers) {
    std::uint64_t hash = 0x243F6A8885A308D3;  // of pi
    auto const add = [&](std::uint64_t n) {
        hash = (hash ^ n) + 0x9E3779B97F4A7C15;
        hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9;
        hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EB;
        hash ^= hash >> 31;
    };
    (add(static_cast<std::uint64_t>(numbers)), ...);
    return hash;
}

/// 32 bits for each of 2^32 indices; of larger ones the lower half counts. In 32-bit arithmetic, which
/// vectors have.
class RandomBits {
public:
    constexpr explicit RandomBits(std::uint64_t key)
        : first_(static_cast<std::uint32_t>(key)), second_(static_cast<std::uint32_t>(key >> 32)) {}

    constexpr std::uint32_t operator()(std::uint64_t index) const {
        return finished(finished(static_cast<std::uint32_t>(index) * 0x9E3779B9u + first_) ^ second_);
    }

private:
    /// A permutation of 32 bits in which each depends on all (Wellons' lowbias32).
    static constexpr std::uint32_t finished(std::uint32_t x) {
        x = (x ^ (x >> 16)) * 0x7FEB352Du;
        x = (x ^ (x >> 15)) * 0x846CA68Bu;
        return x ^ (x >> 16);
    }
    std::uint32_t first_, second_;
};

/// What 32 random bits are below with a probability of 0 to 1, as far as 64 bits need be compared: bits <
/// share_of_bits(p).
constexpr std::uint64_t share_of_bits(double probability) {
    return static_cast<std::uint64_t>(probability * 4294967296.0);
}

}  // namespace amct_distill
