// SPDX-License-Identifier: Apache-2.0
/// A TensorProto in a file (.pb), as ONNX's test data has it.
///
///     TensorFile t = read_tensor_file("input_0.pb").value();      // t.shape, t.values
#pragma once
#include <amct_distill/core/result.hpp>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace tool {

struct TensorFile {
    std::vector<std::int64_t> shape{};
    std::vector<float> values{};
};
amct_distill::result<TensorFile> read_tensor_file(const std::filesystem::path& path);

}  // namespace tool
