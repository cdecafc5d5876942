// SPDX-License-Identifier: Apache-2.0
/// The definitions of write.hpp.
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

#include "../core/inline.hpp"
#include "../io/file.hpp"
#include "../io/npy.hpp"
#include "../io/staged_files.hpp"
#include "../nn/save.hpp"
#include "../text/printer.hpp"
#include "../text/reader.hpp"
#include "file_names.hpp"
#include "record.hpp"
#include "write.hpp"

namespace amct_distill {
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

AMCT_DISTILL_INLINE result<void> write(const Deployment& deployment, const std::filesystem::path& directory,
                                       const WriteOptions& options) {
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
