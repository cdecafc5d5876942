// SPDX-License-Identifier: Apache-2.0
/// A model as bytes to write: one file, or, where that would be too large, one beside it with the weights.
///
///     result<onnx::ModelBytes> bytes = onnx::qdq_bytes(model, deployment);
///     onnx::write_model(*bytes, "net.onnx").value();                  // both files, or none
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>

#include "../core/result.hpp"
#include "../io/staged_files.hpp"

namespace amct_distill::onnx {

struct ModelBytes {
    std::string model{};
    std::string data{};       ///< of the file beside it; empty: there is none
    std::string data_file{};  ///< its name, which the model tells
};

struct BytesOptions {
    std::string data_file = "model.onnx.data";  ///< how the file beside the model will be called
    std::size_t largest = 1'900'000'000;        ///< of one file; above, weights go to the file beside it
};

/// Writes the file, and the one beside it. After an error what was there before is as it was.
inline result<void> write_model(const ModelBytes& bytes, const std::filesystem::path& path) {
    std::filesystem::path const folder = path.parent_path();
    StagedFiles files(folder.empty() ? std::filesystem::path(".") : folder);
    if (!bytes.data_file.empty())
        if (auto ok = files.add(bytes.data_file, bytes.data); !ok) return ok;
    if (auto ok = files.add(path.filename(), bytes.model); !ok) return ok;
    return files.commit();
}

}  // namespace amct_distill::onnx
