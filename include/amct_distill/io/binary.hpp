// SPDX-License-Identifier: Apache-2.0
/// Numbers, texts, lists and aggregates as bytes, as in memory and in order: little-endian.
///
///     detail::BinaryWriter out;
///     out.put(std::uint64_t{3}); out.put("conv1"); out.put_values(std::span<const float>(weights));
///     out.put(report);                                    // an aggregate: its fields, by reflection
///     detail::BinaryReader in(out.text);
///     in.get(n) && in.get(name) && in.get_values(std::span(weights)) && in.get(report) && in.at_end();
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../reflect/fields.hpp"

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
    template <class T>
    void put(const std::vector<T>& list) {
        put(std::uint64_t{list.size()});
        for (const T& v : list) put(v);
    }
    template <class T>
    requires(std::is_aggregate_v<T>&& std::is_class_v<T>) void put(const T& v) {
        [&]<std::size_t... I>(std::index_sequence<I...>) { (put(reflect::get<I>(v)), ...); }
        (std::make_index_sequence<reflect::field_count<T>>{});
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
    template <class T>
    bool get(std::vector<T>& list) {
        std::uint64_t size = 0;
        if (!get(size) || size > rest_.size()) return false;  // each takes a byte at least
        list.clear();
        for (std::uint64_t i = 0; i != size; ++i)
            if (!get(list.emplace_back())) return false;
        return true;
    }
    template <class T>
    requires(std::is_aggregate_v<T>&& std::is_class_v<T>) bool get(T& v) {
        return [&]<std::size_t... I>(std::index_sequence<I...>) { return (get(reflect::get<I>(v)) && ...); }
        (std::make_index_sequence<reflect::field_count<T>>{});
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
