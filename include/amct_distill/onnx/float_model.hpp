// SPDX-License-Identifier: Apache-2.0
/// A float model that quantized ones are made of: a file, or a network that was built in C++.
///
///     onnx::FloatModel const model = onnx::FloatModel::open("net.onnx").value();     // its file and import
///     onnx::FloatModel const built = onnx::FloatModel::of(network).value();  // before it was quantized
///     onnx::export_qdq(model, deployment, "net_int8.onnx").value();                  // qdq.hpp
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "../core/result.hpp"
#include "../nn/network.hpp"
#include "export.hpp"
#include "import.hpp"
#include "imported.hpp"
#include "model_file.hpp"

namespace amct_distill::onnx {

class FloatModel {
public:
    static result<FloatModel> open(const std::filesystem::path& path, const ImportOptions& options = {}) {
        result<ModelFile> file = ModelFile::open(path, options.links);
        if (!file) return file.diagnostics();
        return of_file(nullptr, *std::move(file), options);
    }
    /// The network as export_network() writes it. `Own`: modules besides the library's; they are read back
    /// only where they are written as operators that are known.
    template <class... Own>
    static result<FloatModel> of(const nn::Network& network, const ExportOptions& options = {}) {
        result<std::string> bytes = export_bytes<Own...>(network, options);
        if (!bytes) return bytes.diagnostics();
        return of_bytes(*std::move(bytes));
    }
    static result<FloatModel> of_bytes(std::string bytes, const ImportOptions& options = {}) {
        auto kept = std::make_unique<std::string>(std::move(bytes));
        result<ModelFile> file = ModelFile::of_bytes(*kept);
        if (!file) return file.diagnostics();
        return of_file(std::move(kept), *std::move(file), options);
    }

    const ModelFile& file() const { return file_; }
    const Imported& imported() const { return imported_; }

private:
    FloatModel(std::unique_ptr<std::string> bytes, ModelFile file, Imported imported)
        : bytes_(std::move(bytes)), file_(std::move(file)), imported_(std::move(imported)) {}
    static result<FloatModel> of_file(std::unique_ptr<std::string> bytes, ModelFile file,
                                      const ImportOptions& options) {
        result<Imported> imported = import_network(file, options);
        if (!imported) return imported.diagnostics();
        return FloatModel(std::move(bytes), std::move(file), *std::move(imported));
    }

    std::unique_ptr<std::string> bytes_;  // of a model without a file, which views them
    ModelFile file_;
    Imported imported_;
};

}  // namespace amct_distill::onnx
