// SPDX-License-Identifier: Apache-2.0
/// What an ONNX tensor's elements are: names, widths, and the small floats' values.
///
///     onnx::name_of(onnx::ElementType::bfloat16) == "bfloat16"
///     onnx::bits_of(onnx::ElementType::int4) == 4
///     onnx::from_float16(0x3C00) == 1.0f
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "messages.hpp"

namespace amct_distill::onnx {

/// As onnx.proto and ONNX Runtime spell it, in lower case.
constexpr std::string_view name_of(ElementType type) {
    constexpr std::array<std::string_view, 24> names{
        "undefined",      "float",      "uint8",          "int8",       "uint16",   "int16",
        "int32",          "int64",      "string",         "bool",       "float16",  "double",
        "uint32",         "uint64",     "complex64",      "complex128", "bfloat16", "float8e4m3fn",
        "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4",      "int4",     "float4e2m1"};
    auto const i = static_cast<std::size_t>(type);
    return i < names.size() ? names[i] : "unknown";
}

/// Width of an element; 0 for types whose values are not read here (texts, complex numbers, 8-bit floats).
constexpr unsigned bits_of(ElementType type) {
    switch (type) {
        case ElementType::float64:
        case ElementType::int64:
        case ElementType::uint64:
            return 64;
        case ElementType::float32:
        case ElementType::int32:
        case ElementType::uint32:
            return 32;
        case ElementType::float16:
        case ElementType::bfloat16:
        case ElementType::int16:
        case ElementType::uint16:
            return 16;
        case ElementType::int8:
        case ElementType::uint8:
        case ElementType::boolean:
            return 8;
        case ElementType::int4:
        case ElementType::uint4:
            return 4;
        default:
            return 0;
    }
}

constexpr bool is_floating(ElementType type) {
    return type == ElementType::float32 || type == ElementType::float64 || type == ElementType::float16 ||
           type == ElementType::bfloat16;
}

/// IEEE 754's binary16, all of whose values a float holds exactly.
constexpr float from_float16(std::uint16_t half) {
    std::uint32_t const sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
    std::uint32_t const exponent = half >> 10 & 0x1Fu, fraction = half & 0x3FFu;
    if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13);
    if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
    float const subnormal = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -subnormal : subnormal;
}
/// The nearest binary16, ties to even.
constexpr std::uint16_t to_float16(float value) {
    std::uint32_t const bits = std::bit_cast<std::uint32_t>(value), magnitude = bits & 0x7FFFFFFFu;
    std::uint32_t const sign = bits >> 16 & 0x8000u;
    if (magnitude > 0x7F800000u) return static_cast<std::uint16_t>(sign | 0x7E00u);   // NaN
    if (magnitude >= 0x477FF000u) return static_cast<std::uint16_t>(sign | 0x7C00u);  // rounds to infinity
    std::uint32_t const exponent = magnitude >> 23;
    if (exponent < 102) return static_cast<std::uint16_t>(sign);  // below half of the least subnormal
    // The fraction with its leading bit, cut by `shift` bits; a normal number then adds its exponent.
    std::uint32_t const shift = exponent < 113 ? 126 - exponent : 13;
    std::uint32_t const whole = (magnitude & 0x7FFFFFu) | 0x800000u;
    std::uint32_t out = whole >> shift;
    std::uint32_t const rest = whole & ((1u << shift) - 1), half = 1u << (shift - 1);
    if (rest > half || (rest == half && (out & 1u) != 0)) ++out;
    if (exponent >= 113) out += (exponent - 113) << 10;
    return static_cast<std::uint16_t>(sign | out);
}
/// The nearest bfloat16, ties to even.
constexpr std::uint16_t to_bfloat16(float value) {
    std::uint32_t const bits = std::bit_cast<std::uint32_t>(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);  // NaN
    return static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}
/// The upper half of a float.
constexpr float from_bfloat16(std::uint16_t bits) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}
/// The nearest value that a type of floats has (a double's, where a float has it).
constexpr float rounded_to(ElementType type, float value) {
    return type == ElementType::float16    ? from_float16(to_float16(value))
           : type == ElementType::bfloat16 ? from_bfloat16(to_bfloat16(value))
                                           : value;
}

}  // namespace amct_distill::onnx
