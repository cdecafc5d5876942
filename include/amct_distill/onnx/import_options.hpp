// SPDX-License-Identifier: Apache-2.0
/// What a model does not tell of itself: shapes of its inputs, the batch, weights that are given beside it.
///
///     onnx::import_network("detector.onnx", {.shapes = {{"image", {-1, 3, 320, 320}}}});    // -1: the batch
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "../io/mapped_file.hpp"
#include "../nn/tensor.hpp"

namespace amct_distill::onnx {

/// By the input's name; -1 is the batch.
using UserShapes = std::map<std::string, std::vector<std::int64_t>, std::less<>>;

enum class Batch { free, as_exported };

struct ImportOptions {
    UserShapes shapes{};        ///< for inputs whose sizes the model leaves open; -1 is the batch
    Batch batch = Batch::free;  ///< as_exported: the number in the file stays
    MappedFile::Links links = MappedFile::Links::refused;
    /// Inputs of the model that become constants of the network: weights that are given beside the model.
    std::map<std::string, nn::Tensor, std::less<>> constants{};
};

}  // namespace amct_distill::onnx
