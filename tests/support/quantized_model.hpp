// SPDX-License-Identifier: Apache-2.0
/// A model as a file, what the import makes of it, and a deployment of that.
///
///     support::QuantizedModel m(network, "");              // exported, imported, calibrated, deployed
///     onnx::quantized_graph(m.file, m.imported, m.deployment)
#pragma once
#include <amct_distill/deploy/deployment.hpp>
#include <amct_distill/onnx/export.hpp>
#include <amct_distill/onnx/import.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "support/deploy_networks.hpp"

namespace support {

struct QuantizedModel {
    /// `config`: of the quantization; empty: INT8.
    QuantizedModel(const amct_distill::nn::Network& network, std::string_view config)
        : QuantizedModel(amct_distill::onnx::export_bytes(network).value(), config) {}
    /// Of a file's bytes.
    QuantizedModel(std::string model, std::string_view config)
        : bytes(std::move(model)),
          file(amct_distill::onnx::ModelFile::of_bytes(bytes, "model.onnx").value()),
          imported(amct_distill::onnx::import_network(file).value()),
          deployment(amct_distill::deploy(calibrated_student(imported.network, config)).value()) {}
    QuantizedModel(const QuantizedModel&) = delete;
    QuantizedModel& operator=(const QuantizedModel&) = delete;
    ~QuantizedModel() = default;

    std::string bytes;
    amct_distill::onnx::ModelFile file;
    amct_distill::onnx::Imported imported;
    amct_distill::Deployment deployment;
};

}  // namespace support
