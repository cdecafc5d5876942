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
#include <string>

#include "../core/result.hpp"
#include "../reflect/labels.hpp"
#include "deployment.hpp"

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

/// Makes the directory. What an earlier deployment has left there stays until the new one is complete, and
/// then goes. Error: a file cannot be written (a full disk, ...), by name; all is then as it was.
result<void> write(const Deployment& deployment, const std::filesystem::path& directory,
                   const WriteOptions& options = {});

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "write-inl.hpp"
#endif
