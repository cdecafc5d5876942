// SPDX-License-Identifier: Apache-2.0
/// Arrays as NumPy's `.npy` files (version 1.0, little-endian, row-major).
///
///     write_npy<float>("weights.npy", {8, 3}, values).value();          // whole or not there
///     NpyArray back = read_npy_array("weights.npy").value();            // the same bits
///     write_npy<std::int32_t>("conv1.bias.npy", {32}, bias).value();
///
/// Tensors are written and read by nn/npy.hpp.
#pragma once
#include <bit>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "file.hpp"

namespace amct_distill {

static_assert(std::endian::native == std::endian::little,
              "amct_distill: .npy files are written little-endian");

using NpyShape = std::vector<std::ptrdiff_t>;
struct NpyArray {
    NpyShape shape{};
    std::vector<float> values{};  ///< row-major
};

namespace detail {

inline std::string npy_shape(const NpyShape& shape) {
    std::string text = "[";
    for (std::size_t i = 0; i != shape.size(); ++i) append(text, concat(i == 0 ? "" : ", ", shape[i]));
    return text + ']';
}

inline constexpr std::string_view npy_magic{"\x93NUMPY\x01\x00", 8};

/// As NumPy spells the type.
template <class T>
constexpr std::string_view npy_type() {
    static_assert(std::same_as<T, float> || std::same_as<T, std::int32_t> || std::same_as<T, std::int8_t> ||
                      std::same_as<T, std::uint8_t>,
                  "write_npy: values are float, int32, int8 or uint8");
    if constexpr (std::same_as<T, float>) return "<f4";
    if constexpr (std::same_as<T, std::int32_t>) return "<i4";
    if constexpr (std::same_as<T, std::int8_t>) return "|i1";
    return "|u1";
}
template <class T>
std::string npy_begin() {
    return concat("{'descr': '", npy_type<T>(), "', 'fortran_order': False, 'shape': (");
}

/// The bytes of the file.
template <class T>
std::string npy_content(const NpyShape& shape, std::span<const T> values) {
    std::string header = npy_begin<T>();
    for (std::ptrdiff_t d : shape) append(header, concat(d, ", "));
    header.append("), }");
    // magic, two bytes of length, header, newline: a multiple of 64 bytes.
    std::size_t const before = npy_magic.size() + 2;
    header.append(64 - (before + header.size() + 1) % 64, ' ');
    header.push_back('\n');

    std::string content(npy_magic);
    content.push_back(static_cast<char>(header.size() & 0xFF));
    content.push_back(static_cast<char>(header.size() >> 8));
    content.append(header);
    std::size_t const data = content.size();
    content.resize(data + values.size_bytes());
    if (!values.empty()) std::memcpy(content.data() + data, values.data(), values.size_bytes());
    return content;
}

}  // namespace detail

/// Error: the file cannot be written.
template <class T>
result<void> write_npy(const std::filesystem::path& path, const NpyShape& shape, std::span<const T> values) {
    return write_file(path, detail::npy_content(shape, values));
}

/// An array of another type than float.
template <class T>
struct NpyValues {
    NpyShape shape{};
    std::vector<T> values{};  ///< row-major
};

/// The array of a file's bytes. Errors, which name `what` they are: they are cut off, or not what write_npy
/// writes for T.
template <class T>
result<NpyValues<T>> parse_npy_of(std::string_view bytes, std::string_view what) {
    auto const bad = [&](std::string_view why) {
        return general_error(detail::concat("cannot read ", what, ": ", why));
    };
    std::string_view rest = bytes;
    std::size_t const before = detail::npy_magic.size() + 2;
    if (!rest.starts_with(detail::npy_magic) || rest.size() < before)
        return bad("it is no .npy file of version 1.0");
    auto const byte = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(rest[i])}; };
    std::size_t const length = byte(before - 2) + (byte(before - 1) << 8);
    if (rest.size() < before + length) return bad("its header is cut off");
    std::string_view header = rest.substr(before, length);
    rest.remove_prefix(before + length);
    std::string const begin = detail::npy_begin<T>();
    if (!header.starts_with(begin))
        return bad(std::is_same_v<T, float>
                       ? std::string("expected float32, row-major values")
                       : detail::concat("expected row-major values of the type ", detail::npy_type<T>()));
    header.remove_prefix(begin.size());

    NpyShape shape;
    constexpr std::size_t most = (std::numeric_limits<std::ptrdiff_t>::max)() / sizeof(T);
    std::size_t count = 1;
    bool empty = false;
    while (!header.empty() && header.front() != ')') {
        std::ptrdiff_t d = 0;
        auto const [end, error] = std::from_chars(header.data(), header.data() + header.size(), d);
        if (error != std::errc{} || d < 0) return bad("its shape cannot be read");
        header.remove_prefix(static_cast<std::size_t>(end - header.data()));
        while (!header.empty() && (header.front() == ',' || header.front() == ' ')) header.remove_prefix(1);
        shape.push_back(d);
        empty = empty || d == 0;
        if (d == 0) continue;
        // Divided: a product of what any file says may overflow.
        if (static_cast<std::size_t>(d) > most / count) return bad("its values are cut off");
        count *= static_cast<std::size_t>(d);
    }
    if (empty) count = 0;
    if (count > rest.size()) return bad("its values are cut off");
    if (shape.empty() || rest.size() != count * sizeof(T))
        return bad(detail::concat("its shape ", detail::npy_shape(shape), " does not fit its ", rest.size(),
                                  " bytes"));
    NpyValues<T> array{std::move(shape), std::vector<T>(count)};
    if (count != 0) std::memcpy(array.values.data(), rest.data(), rest.size());
    return array;
}
inline result<NpyArray> parse_npy(std::string_view bytes, std::string_view what) {
    auto array = parse_npy_of<float>(bytes, what);
    if (!array) return array.diagnostics();
    return NpyArray{std::move(array->shape), std::move(array->values)};
}

/// Errors: the file cannot be read, is cut off, or is not one that write_npy writes.
inline result<NpyArray> read_npy_array(const std::filesystem::path& path) {
    auto const content = read_file(path);
    if (!content) return content.diagnostics();
    return parse_npy(*content, path.string());
}

}  // namespace amct_distill
