// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/definitions.hpp>

#include "onnx_io.hpp"

#include <utility>

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

result<std::string> deploy_model(const onnx::ModelFile& model, const Deployment& deployment) {
    onnx::Imported const net = onnx::import_network(model).value();
    auto made = onnx::deploy_bytes(model, net, deployment);
    if (!made) return made.diagnostics();
    return std::move(made->model);
}
result<std::string> fake_quant_model(const onnx::ModelFile& model, const Deployment& deployment) {
    onnx::Imported const net = onnx::import_network(model).value();
    auto made = onnx::fake_quant_bytes(model, net, deployment);
    if (!made) return made.diagnostics();
    return std::move(made->model);
}

}  // namespace onnx_io
