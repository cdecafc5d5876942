// SPDX-License-Identifier: Apache-2.0
/// A deployment as files: the record, and the integers of each layer as NumPy's `.npy`.
///
///     write_deployment("out", student).value();
///
///     out/record.txt         scales, offsets and types: ScaleOffsetRecord, text format
///     out/conv1.weight.npy   int8, of the weight's shape; INT4: uint8 [out, bytes], two codes a byte, the low
///                            nibble first, rows padded
///     out/conv1.bias.npy     int32 [out], in units of scale_d * scale_w; absent when the layer has none
///
/// In file names, bytes of a layer's name other than letters, digits, `_`, `-` and `.` are written as %2F.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "../io/file.hpp"
#include "../io/npy.hpp"
#include "../text/printer.hpp"
#include "record.hpp"

namespace amct_distill {
namespace detail {

inline std::string file_name(std::string_view layer) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    std::string out;
    for (char c : layer) {
        bool const plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '_' || c == '-' || c == '.';
        auto const byte = static_cast<unsigned char>(c);
        append(out, plain ? std::string(1, c) : concat('%', hex[byte >> 4], hex[byte & 15]));
    }
    return out;
}

}  // namespace detail

/// Makes the directory. Each file is written to a temporary name and renamed; an older record is removed
/// first and the record is written last, so that a directory with a record is complete. Error: a file cannot
/// be written (a full disk, ...); it names the file.
inline result<void> write_deployment(const std::filesystem::path& directory,
                                     std::span<const DeployedLayer> layers) {
    std::filesystem::path const record = directory / "record.txt";
    std::error_code error;
    std::filesystem::remove(record, error);
    if (error) return detail::file_error("remove", record, error.value());
    for (const DeployedLayer& layer : layers) {
        std::string const name = detail::file_name(layer.name);
        auto const rows = static_cast<nn::Index>(layer.rows());
        std::filesystem::path const weight = directory / (name + ".weight.npy");
        auto const ok =
            layer.weight_bits == 4
                ? write_npy<std::uint8_t>(
                      weight, {rows, static_cast<nn::Index>(packed_row_bytes(layer.cols()))}, layer.weights)
                : write_npy<std::int8_t>(weight, layer.float_weight().shape(), layer.codes());
        if (!ok) return ok;
        std::filesystem::path const bias = directory / (name + ".bias.npy");
        if (layer.bias.empty()) {  // nor one of an older deployment
            std::filesystem::remove(bias, error);
            if (error) return detail::file_error("remove", bias, error.value());
            continue;
        }
        if (auto written = write_npy<std::int32_t>(bias, {rows}, layer.bias); !written) return written;
    }
    return write_file(record, print(make_record(layers)));
}

/// Errors: those of `deploy` and of writing.
template <class Algorithms>
result<void> write_deployment(const std::filesystem::path& directory,
                              const BasicStudent<Algorithms>& student) {
    auto const layers = deploy(student);
    if (!layers) return layers.diagnostics();
    return write_deployment(directory, std::span<const DeployedLayer>(*layers));
}

}  // namespace amct_distill
