// SPDX-License-Identifier: Apache-2.0
/// An array of numbers in a file's bytes, of any of NumPy's simple types: nothing is copied until it is read.
///
///     NumberView view = npy_view(bytes, "images.npy").value();     // view.shape, view.type
///     view.read(first, std::span<float>(out));                     // values first .. first + out.size()
#pragma once
#include <amct_distill/core/concat.hpp>
#include <amct_distill/core/result.hpp>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

enum class NumberType { f16, f32, f64, i8, u8, i16, u16, i32, u32, i64, u64, boolean };

inline std::size_t size_of(NumberType type) {
    switch (type) {
        case NumberType::i8:
        case NumberType::u8:
        case NumberType::boolean:
            return 1;
        case NumberType::f16:
        case NumberType::i16:
        case NumberType::u16:
            return 2;
        case NumberType::f32:
        case NumberType::i32:
        case NumberType::u32:
            return 4;
        case NumberType::f64:
        case NumberType::i64:
        case NumberType::u64:
            break;
    }
    return 8;
}

/// NumPy's spelling without the byte order, "f4", or the long one, "float32".
inline std::optional<NumberType> number_type(std::string_view name) {
    struct Named {
        std::string_view code, name;
        NumberType type;
    };
    static constexpr Named all[] = {{"f2", "float16", NumberType::f16}, {"f4", "float32", NumberType::f32},
                                    {"f8", "float64", NumberType::f64}, {"i1", "int8", NumberType::i8},
                                    {"u1", "uint8", NumberType::u8},    {"i2", "int16", NumberType::i16},
                                    {"u2", "uint16", NumberType::u16},  {"i4", "int32", NumberType::i32},
                                    {"u4", "uint32", NumberType::u32},  {"i8", "int64", NumberType::i64},
                                    {"u8", "uint64", NumberType::u64},  {"b1", "bool", NumberType::boolean}};
    for (const Named& n : all)
        if (n.code == name || n.name == name) return n.type;
    return std::nullopt;
}

inline float float_of_half(std::uint16_t h) {
    int const exponent = (h >> 10) & 31, fraction = h & 1023;
    float const magnitude = exponent == 31  ? (fraction == 0 ? std::numeric_limits<float>::infinity()
                                                             : std::numeric_limits<float>::quiet_NaN())
                            : exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                            : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
    return (h & 0x8000) != 0 ? -magnitude : magnitude;
}

struct NumberView {
    NumberType type = NumberType::f32;
    std::vector<std::int64_t> shape{};
    std::string_view bytes{};

    std::size_t count() const { return bytes.size() / size_of(type); }
    /// Precondition: first + out.size() <= count().
    void read(std::size_t first, std::span<float> out) const {
        if (out.empty()) return;
        const char* const at = bytes.data() + first * size_of(type);
        switch (type) {
            case NumberType::f32:
                std::memcpy(out.data(), at, out.size_bytes());
                break;
            case NumberType::f16:
                for (std::size_t i = 0; i != out.size(); ++i) {
                    std::uint16_t h = 0;
                    std::memcpy(&h, at + 2 * i, 2);
                    out[i] = float_of_half(h);
                }
                break;
            case NumberType::f64:
                copy<double>(at, out);
                break;
            case NumberType::i8:
                copy<std::int8_t>(at, out);
                break;
            case NumberType::u8:
            case NumberType::boolean:
                copy<std::uint8_t>(at, out);
                break;
            case NumberType::i16:
                copy<std::int16_t>(at, out);
                break;
            case NumberType::u16:
                copy<std::uint16_t>(at, out);
                break;
            case NumberType::i32:
                copy<std::int32_t>(at, out);
                break;
            case NumberType::u32:
                copy<std::uint32_t>(at, out);
                break;
            case NumberType::i64:
                copy<std::int64_t>(at, out);
                break;
            case NumberType::u64:
                copy<std::uint64_t>(at, out);
                break;
        }
    }

private:
    template <class T>
    static void copy(const char* at, std::span<float> out) {
        for (std::size_t i = 0; i != out.size(); ++i) {
            T value{};
            std::memcpy(&value, at + sizeof(T) * i, sizeof(T));
            out[i] = static_cast<float>(value);
        }
    }
};

inline std::string shape_text(std::span<const std::int64_t> shape) {
    std::string out = "[";
    for (std::size_t i = 0; i != shape.size(); ++i)
        amct_distill::detail::append(out, amct_distill::detail::concat(i == 0 ? "" : ", ", shape[i]));
    return out + ']';
}

/// `what` names the file in errors: it is cut off, or is not what numpy.save writes of numbers.
inline amct_distill::result<NumberView> npy_view(std::string_view bytes, std::string_view what) {
    using amct_distill::detail::concat;
    auto const bad = [&](const auto&... why) {
        return amct_distill::general_error(concat("cannot read ", what, ": ", why...));
    };
    if (!bytes.starts_with("\x93NUMPY") || bytes.size() < 10) return bad("it is no .npy file");
    auto const byte = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(bytes[i])}; };
    std::size_t const digits = byte(6) == 1 ? 2 : 4;
    if (byte(6) < 1 || byte(6) > 3) return bad("its version ", byte(6), " is not known");
    std::size_t length = 0;
    if (bytes.size() < 8 + digits) return bad("it is cut off");
    for (std::size_t i = 0; i != digits; ++i) length |= byte(8 + i) << (8 * i);
    if (length > bytes.size() - 8 - digits) return bad("its header is cut off");
    std::string_view const header = bytes.substr(8 + digits, length);
    NumberView out;
    out.bytes = bytes.substr(8 + digits + length);

    auto const after = [&](std::string_view key) {
        std::size_t const at = header.find(key);
        if (at == header.npos) return std::string_view();
        std::string_view rest = header.substr(at + key.size());
        rest.remove_prefix((std::min)(rest.find_first_not_of(" :"), rest.size()));
        return rest;
    };
    std::string_view descr = after("'descr'");
    if (!descr.starts_with('\'')) return bad("expected an array of numbers, found records");
    descr = descr.substr(1, descr.find('\'', 1) - 1);
    if (descr.starts_with('>')) return bad("it is big-endian; write array.astype('<f4')");
    std::string_view const code =
        descr.starts_with('<') || descr.starts_with('|') || descr.starts_with('=') ? descr.substr(1) : descr;
    auto const type = number_type(code);
    if (!type) return bad("its type `", descr, "` is not one of numbers; write array.astype('float32')");
    out.type = *type;
    if (after("'fortran_order'").starts_with("True"))
        return bad("it is in Fortran's order; write numpy.ascontiguousarray(array)");
    std::string_view shape = after("'shape'");
    if (!shape.starts_with('(')) return bad("its shape cannot be read");
    shape = shape.substr(1, shape.find(')') - 1);
    std::size_t count = 1;
    while (!shape.empty()) {
        std::int64_t d = 0;
        auto const [end, error] = std::from_chars(shape.data(), shape.data() + shape.size(), d);
        if (error != std::errc{} || d < 0) return bad("its shape cannot be read");
        out.shape.push_back(d);
        if (__builtin_mul_overflow(count, static_cast<std::size_t>(d), &count))
            return bad("its shape ", shape_text(out.shape), " is too large");
        shape.remove_prefix(static_cast<std::size_t>(end - shape.data()));
        shape.remove_prefix((std::min)(shape.find_first_not_of(", "), shape.size()));
    }
    std::size_t needed = 0;
    if (__builtin_mul_overflow(count, size_of(out.type), &needed) || needed != out.bytes.size())
        return bad("its shape ", shape_text(out.shape), " does not fit its ", out.bytes.size(),
                   " bytes; is it cut off?");
    return out;
}

}  // namespace tool
