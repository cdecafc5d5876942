/// Tensors as NumPy's `.npy` files (version 1.0, little-endian float32, row-major).
///
///     write_npy("run/block0_step0_input.npy", tensor).value();     // whole or not there
///     Tensor back = read_npy("run/block0_step0_input.npy").value();   // the same bits
#pragma once
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "../core/file.hpp"
#include "../nn/tensor.hpp"

namespace amct_distill {

static_assert(std::endian::native == std::endian::little,
              "amct_distill: .npy files are written little-endian");

namespace detail {
inline constexpr std::string_view npy_magic{"\x93NUMPY\x01\x00", 8};
inline constexpr std::string_view npy_begin = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
}  // namespace detail

inline result<void> write_npy(const std::filesystem::path& path, const nn::Tensor& tensor) {
    std::string header(detail::npy_begin);
    for (nn::Index d : tensor.shape()) header += detail::concat(d, ", ");
    header += "), }";
    // magic, two bytes of length, header, newline: a multiple of 64 bytes.
    std::size_t const before = detail::npy_magic.size() + 2;
    header.append(64 - (before + header.size() + 1) % 64, ' ');
    header += '\n';

    std::string content(detail::npy_magic);
    content += static_cast<char>(header.size() & 0xFF);
    content += static_cast<char>(header.size() >> 8);
    content += header;
    std::size_t const data = content.size();
    content.resize(data + tensor.size() * sizeof(float));
    if (!tensor.empty()) std::memcpy(content.data() + data, tensor.data(), tensor.size() * sizeof(float));
    return write_file(path, content);
}

/// Errors: the file cannot be read, is cut off, or is not one that write_npy writes.
inline result<nn::Tensor> read_npy(const std::filesystem::path& path) {
    auto const content = read_file(path);
    if (!content) return content.diagnostics();
    auto const bad = [&](std::string_view why) {
        return general_error(detail::concat("cannot read ", path.string(), ": ", why));
    };
    std::string_view rest = *content;
    std::size_t const before = detail::npy_magic.size() + 2;
    if (!rest.starts_with(detail::npy_magic) || rest.size() < before)
        return bad("it is no .npy file of version 1.0");
    auto const byte = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(rest[i])}; };
    std::size_t const length = byte(before - 2) + (byte(before - 1) << 8);
    if (rest.size() < before + length) return bad("its header is cut off");
    std::string_view header = rest.substr(before, length);
    rest.remove_prefix(before + length);
    if (!header.starts_with(detail::npy_begin)) return bad("expected float32, row-major values");
    header.remove_prefix(detail::npy_begin.size());

    nn::Shape shape;
    std::size_t count = 1;
    while (!header.empty() && header.front() != ')') {
        nn::Index d = 0;
        auto const [end, error] = std::from_chars(header.data(), header.data() + header.size(), d);
        if (error != std::errc{} || d < 0) return bad("its shape cannot be read");
        header.remove_prefix(static_cast<std::size_t>(end - header.data()));
        while (!header.empty() && (header.front() == ',' || header.front() == ' ')) header.remove_prefix(1);
        shape.push_back(d);
        count *= static_cast<std::size_t>(d);
        if (count > rest.size()) return bad("its values are cut off");
    }
    if (shape.empty() || rest.size() != count * sizeof(float))
        return bad(
            detail::concat("its shape ", nn::to_string(shape), " does not fit its ", rest.size(), " bytes"));
    nn::Tensor tensor(shape);
    if (count != 0) std::memcpy(tensor.data(), rest.data(), rest.size());
    return tensor;
}

}  // namespace amct_distill
