// SPDX-License-Identifier: Apache-2.0
/// An ONNX model as a network, or every reason why not.
///
///     result<onnx::Imported> model = onnx::import_network("resnet18.onnx");
///     if (!model) std::cerr << to_string(model.diagnostics());      // all at once: node, operator, remedy
///     nn::Network& net = model->network;                            // modules are named as in PyTorch
///     onnx::import_network("detector.onnx", {.shapes = {{"image", {-1, 3, 320, 320}}}});    // -1: the batch
///
/// Weights are float32 (float16, bfloat16 and double are converted, which a note says); dimension 0 of the
/// inputs is the batch, and free where the model allows it. Tensors of rank 0 become [1].
///
/// An import takes at most 512 MiB and 1024 times the bytes of the file and its data, whatever they ask for.
#pragma once
#include <cstdint>
#include <filesystem>

#include "../core/result.hpp"
#include "import_options.hpp"
#include "imported.hpp"

namespace amct_distill::onnx {

class ModelFile;

/// The newest version of ONNX's operators whose meanings are known.
inline constexpr std::int64_t newest_opset = 22;

/// `model` is read only while this runs. Errors: all that cannot be imported, each with its node.
result<Imported> import_network(const ModelFile& model, const ImportOptions& options = {});
/// Errors name the file, and the place in it where it is damaged.
result<Imported> import_network(const std::filesystem::path& path, const ImportOptions& options = {});

}  // namespace amct_distill::onnx

#ifndef AMCT_DISTILL_COMPILED_ONNX
#include "import-inl.hpp"
#endif
