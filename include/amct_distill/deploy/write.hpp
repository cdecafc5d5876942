// SPDX-License-Identifier: Apache-2.0
/// A deployment as files: the record, the integers of each layer as NumPy's `.npy`, and which are whose.
///
///     write(deploy(student).value(), "out").value();
///
///     out/record.txt                 scales, offsets and types: ScaleOffsetRecord, text format
///     out/files.txt                  the files of each layer: DeploymentFiles, text format
///     out/weights/conv1.weight.npy   int8, of the weight's shape; INT4: uint8 [out, bytes], a row per output
///                                    channel, two codes a byte, the low nibble first, rows padded
///     out/weights/conv1.bias.npy     int32 [out], in units of scale_d * scale_w; absent when there is none
///     out/network.npz                when asked for: what lies between, for read_deployment() (read.hpp)
///
/// Where a layer's name cannot be a file's name (file_names.hpp), the record and files.txt have it as it is.
#pragma once
#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../io/file.hpp"
#include "../io/npy.hpp"
#include "../io/staged_files.hpp"
#include "../nn/save.hpp"
#include "../reflect/labels.hpp"
#include "../text/printer.hpp"
#include "../text/reader.hpp"
#include "file_names.hpp"
#include "record.hpp"

namespace amct_distill {

/// Where a layer's integers are, relative to the deployment's directory.
struct LayerFiles {
    optional<std::string> layer{};
    optional<std::string> weight{};
    optional<std::string> bias{};           ///< absent: the layer has none
    optional<std::string> batch_norm{};     ///< that is folded into it
    repeated<std::uint32_t> requantized{};  ///< channels whose codes are not the student's
    friend bool operator==(const LayerFiles&, const LayerFiles&) = default;
};
struct DeploymentFiles {
    repeated<LayerFiles> files{};
    friend bool operator==(const DeploymentFiles&, const DeploymentFiles&) = default;
};

struct WriteOptions {
    bool network = false;  ///< also network.npz: the deployment's network in float
};

namespace detail {

inline constexpr std::string_view network_file = "network.npz";

/// The files of an earlier deployment; none where it cannot be read.
inline std::set<std::string> files_of_deployment(const std::filesystem::path& directory) {
    std::set<std::string> files;
    auto const text = read_file(directory / "files.txt");
    if (!text) return files;
    auto const old = read<DeploymentFiles>(*text);
    if (!old) return files;
    for (const LayerFiles& layer : old->files)
        for (const auto& name : {layer.weight, layer.bias})
            // Written by us, or not to be touched.
            if (std::filesystem::path const path = name.get();
                name.has_value() && path == std::filesystem::path("weights") / path.filename())
                files.insert(*name);
    std::error_code none;
    if (std::filesystem::exists(directory / network_file, none)) files.insert(std::string(network_file));
    return files;
}

/// Bytes of two codes as rows of bytes; codes of a byte each in the shape of the weight.
inline std::string npy_of_codes(const AnyCodes& codes, const nn::Weighted& layer) {
    return std::visit(
        [&]<class B>(const Codes<B>& c) {
            using Byte = typename Codes<B>::byte_type;
            auto const rows = static_cast<nn::Index>(c.rows()), bytes = static_cast<nn::Index>(c.row_bytes());
            if constexpr (two_codes_a_byte<B>) {
                return npy_content<Byte>({rows, bytes}, c.bytes());
            } else {
                nn::BasicTensor<Byte> const matrix({rows, bytes}, c.bytes());
                nn::BasicTensor<Byte> weight(layer.weight().shape());
                nn::WeightRows(layer).scatter(matrix, weight);
                return npy_content<Byte>(weight.shape(), std::as_const(weight).span());
            }
        },
        codes);
}

}  // namespace detail

/// Makes the directory. What an earlier deployment has left there stays until the new one is complete, and
/// then goes. Error: a file cannot be written (a full disk, ...), by name; all is then as it was.
inline result<void> write(const Deployment& deployment, const std::filesystem::path& directory,
                          const WriteOptions& options = {}) {
    std::vector<std::string> names;
    for (const DeployedLayer& layer : deployment.layers()) names.push_back(layer.name);
    auto const stems = file_names(names);

    StagedFiles out(directory);
    std::set<std::string> old = detail::files_of_deployment(directory);
    DeploymentFiles index;
    auto const add = [&](const std::string& file, std::string_view content) {
        old.erase(file);
        return out.add(file, content);
    };
    for (const DeployedLayer& layer : deployment.layers()) {
        std::string const& stem = stems[index.files.size()];
        LayerFiles& files = index.files.emplace_back();
        files.layer = layer.name;
        files.weight = detail::concat("weights/", stem, ".weight.npy");
        const nn::Weighted& weighted = *deployment.network().module(layer.module).weighted();
        if (auto ok = add(*files.weight, detail::npy_of_codes(layer.codes, weighted)); !ok) return ok;
        if (!layer.batch_norm.empty()) files.batch_norm = layer.batch_norm;
        for (std::size_t channel : layer.requantized)
            files.requantized.push_back(static_cast<std::uint32_t>(channel));
        if (layer.bias.empty()) continue;
        files.bias = detail::concat("weights/", stem, ".bias.npy");
        auto const rows = static_cast<nn::Index>(layer.rows());
        if (auto ok = add(*files.bias, detail::npy_content<std::int32_t>({rows}, layer.bias)); !ok) return ok;
    }
    if (options.network) {
        auto const bytes = nn::to_bytes(deployment.network());
        if (!bytes) return bytes.diagnostics();
        if (auto ok = add(std::string(detail::network_file), *bytes); !ok) return ok;
    }
    if (auto ok = out.add("files.txt", print(index)); !ok) return ok;
    if (auto ok = out.add("record.txt", print(make_record(deployment))); !ok) return ok;
    for (const std::string& file : old) out.remove(file);
    return out.commit();
}

}  // namespace amct_distill
