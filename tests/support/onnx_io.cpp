// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/definitions.hpp>

#include "onnx_io.hpp"

namespace onnx_io {

result<onnx::Imported> import_network(const onnx::ModelFile& model, const onnx::ImportOptions& options) {
    return onnx::import_network(model, options);
}
result<onnx::Imported> import_network(const std::filesystem::path& path, const onnx::ImportOptions& options) {
    return onnx::import_network(path, options);
}
result<std::string> export_bytes(const nn::Network& network, const onnx::ExportOptions& options) {
    return onnx::export_bytes(network, options);
}
result<void> export_network(const nn::Network& network, const std::filesystem::path& path,
                            const onnx::ExportOptions& options) {
    return onnx::export_network(network, path, options);
}

result<onnx::ModelBytes> qdq_bytes(const onnx::ModelFile& model, const onnx::Imported& imported,
                                   const Deployment& deployment, const onnx::QdqOptions& options) {
    return onnx::qdq_bytes(model, imported, deployment, options);
}
result<onnx::ModelBytes> deploy_bytes(const onnx::ModelFile& model, const onnx::Imported& imported,
                                      const Deployment& deployment, const onnx::AmctOptions& options) {
    return onnx::deploy_bytes(model, imported, deployment, options);
}
result<onnx::ModelBytes> fake_quant_bytes(const onnx::ModelFile& model, const onnx::Imported& imported,
                                          const Deployment& deployment, const onnx::AmctOptions& options) {
    return onnx::fake_quant_bytes(model, imported, deployment, options);
}

}  // namespace onnx_io
