// SPDX-License-Identifier: Apache-2.0
/// onnx/import.hpp and onnx/export.hpp, compiled once for the programs that read and write models.
///
///     result<onnx::Imported> const model = onnx_io::import_network(file, options);
#pragma once
#include <amct_distill/onnx/amct_models.hpp>
#include <amct_distill/onnx/export.hpp>
#include <amct_distill/onnx/import.hpp>
#include <filesystem>
#include <string>

namespace onnx_io {

using namespace amct_distill;

result<onnx::Imported> import_network(const onnx::ModelFile& model, const onnx::ImportOptions& options = {});
result<onnx::Imported> import_network(const std::filesystem::path& path,
                                      const onnx::ImportOptions& options = {});
result<std::string> export_bytes(const nn::Network& network, const onnx::ExportOptions& options = {});
result<void> export_network(const nn::Network& network, const std::filesystem::path& path,
                            const onnx::ExportOptions& options = {});

/// The models that AMCT writes, of a deployment of the model's network.
result<std::string> deploy_model(const onnx::ModelFile& model, const Deployment& deployment);
result<std::string> fake_quant_model(const onnx::ModelFile& model, const Deployment& deployment);

}  // namespace onnx_io
