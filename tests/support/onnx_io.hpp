// SPDX-License-Identifier: Apache-2.0
/// onnx/import.hpp, onnx/export.hpp and the writers of quantized models, compiled once for the programs that
/// read and write models.
///
///     result<onnx::Imported> const model = onnx_io::import_network(file, options);
#pragma once
#include <amct_distill/onnx/amct_models.hpp>
#include <amct_distill/onnx/export.hpp>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <amct_distill/onnx/qdq.hpp>
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

result<onnx::ModelBytes> qdq_bytes(const onnx::ModelFile& model, const onnx::Imported& imported,
                                   const Deployment& deployment, const onnx::QdqOptions& options = {});
/// The models that AMCT writes.
result<onnx::ModelBytes> deploy_bytes(const onnx::ModelFile& model, const onnx::Imported& imported,
                                      const Deployment& deployment, const onnx::AmctOptions& options = {});
result<onnx::ModelBytes> fake_quant_bytes(const onnx::ModelFile& model, const onnx::Imported& imported,
                                          const Deployment& deployment,
                                          const onnx::AmctOptions& options = {});

}  // namespace onnx_io
