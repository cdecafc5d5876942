// SPDX-License-Identifier: Apache-2.0
/// A hash of 64 bits for fingerprints and checkpoints: against mistakes, not against an enemy.
///
///     detail::Hash hash;
///     hash.add("conv1");
///     hash.add_bytes(weights);        // a span of numbers: their bytes
///     hash.value();
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace amct_distill::detail {

/// FNV-1a (Fowler, Noll, Vo) over 8 bytes at a time, each step mixed once more because its high bits would
/// not reach the low ones.
class Hash {
public:
    void add(std::uint64_t v) {
        value_ = (value_ ^ v) * 0x100000001B3u;
        value_ ^= value_ >> 29;
    }
    void add(double v) { add(std::bit_cast<std::uint64_t>(v)); }
    void add(std::string_view bytes) {
        add(std::uint64_t{bytes.size()});
        for (std::size_t i = 0; i < bytes.size(); i += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, bytes.data() + i, (std::min)(bytes.size() - i, std::size_t{8}));
            add(word);
        }
    }
    template <class T>
    requires std::is_arithmetic_v<T>
    void add_bytes(std::span<const T> values) {
        add(std::string_view(reinterpret_cast<const char*>(values.data()), values.size_bytes()));
    }
    std::uint64_t value() const { return value_; }

private:
    std::uint64_t value_ = 0xCBF29CE484222325u;
};

inline std::uint64_t hash_of(std::string_view bytes) {
    Hash hash;
    hash.add(bytes);
    return hash.value();
}

}  // namespace amct_distill::detail
