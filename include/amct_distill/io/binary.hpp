// SPDX-License-Identifier: Apache-2.0
/// Numbers, texts and arrays of numbers as bytes, as in memory and in order: little-endian.
///
///     detail::BinaryWriter out;
///     out.put(std::uint64_t{3}); out.put("conv1"); out.put_values(std::span<const float>(weights));
///     detail::BinaryReader in(out.text);
///     in.get(n) && in.get(name) && in.get_values(std::span<float>(weights)) && in.at_end();
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace amct_distill::detail {

static_assert(std::endian::native == std::endian::little,
              "amct_distill: checkpoints are written little-endian");

class BinaryWriter {
public:
    template <class T>
    requires std::is_arithmetic_v<T>
    void put(T v) { text.append(reinterpret_cast<const char*>(&v), sizeof v); }
    void put(std::string_view s) {
        put(std::uint64_t{s.size()});
        text.append(s);
    }
    /// Their number, and the values.
    void put_values(std::span<const float> values) {
        put(std::uint64_t{values.size()});
        text.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    }
    std::string text{};
};

/// Reads what BinaryWriter wrote; false after the end, and where the values do not make sense.
class BinaryReader {
public:
    explicit BinaryReader(std::string_view rest) : rest_(rest) {}
    template <class T>
    requires std::is_arithmetic_v<T>
    bool get(T& v) { return bytes(&v, sizeof v); }
    bool get(std::string& s) {
        std::uint64_t size = 0;
        if (!get(size) || size > rest_.size()) return false;
        s = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return true;
    }
    /// As many values as were written, no others.
    bool get_values(std::span<float> values) {
        std::uint64_t size = 0;
        return get(size) && size == values.size() && bytes(values.data(), values.size_bytes());
    }
    bool at_end() const { return rest_.empty(); }

private:
    bool bytes(void* to, std::size_t n) {
        if (n > rest_.size()) return false;
        if (n != 0) std::memcpy(to, rest_.data(), n);
        rest_.remove_prefix(n);
        return true;
    }
    std::string_view rest_;
};

}  // namespace amct_distill::detail
