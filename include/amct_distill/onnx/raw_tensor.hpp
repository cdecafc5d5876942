// SPDX-License-Identifier: Apache-2.0
/// Values as TensorProto::raw_data has them: little endian, row-major.
///
///     std::string const bytes = onnx::raw_bytes<float>(scales);
///     std::string const packed = onnx::raw_int4(codes);        // two in a byte, the lower half first
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

namespace amct_distill::onnx {

template <class T>
requires std::is_arithmetic_v<T> std::string raw_bytes(std::span<const T> values) {
    std::string out(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    if constexpr (std::endian::native == std::endian::big)
        for (std::size_t i = 0; i != out.size(); i += sizeof(T))
            std::reverse(out.data() + i, out.data() + i + sizeof(T));
    return out;
}

/// Codes of 4 bits; an odd number of them is filled up with a 0.
inline std::string raw_int4(std::span<const std::int8_t> codes) {
    std::string out((codes.size() + 1) / 2, '\0');
    for (std::size_t i = 0; i != codes.size(); ++i) {
        unsigned const half = static_cast<unsigned char>(codes[i]) & 0xFu;
        out[i / 2] = static_cast<char>(static_cast<unsigned char>(out[i / 2]) | (half << (i % 2 * 4)));
    }
    return out;
}

}  // namespace amct_distill::onnx
