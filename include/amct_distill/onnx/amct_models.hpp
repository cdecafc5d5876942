// SPDX-License-Identifier: Apache-2.0
/// The two models that AMCT writes of a distilled network, and its record.
///
///     auto model = onnx::FloatModel::open("net.onnx").value();           // of which `device` was made
///     onnx::export_deploy_model(model, device, "net_deploy_model.onnx").value();           // for ATC
///     onnx::export_fake_quant_model(model, device, "net_fake_quant_model.onnx").value();   // for any engine
///     write_file("net_scale_offset_record.txt", print(onnx::amct_record(device))).value();
///
/// The deploy model has AscendQuant and AscendDequant around layers with integer weights: no program but ATC
/// reads it. The fake-quant model computes the same in float32 with ONNX's own operators, and any runtime
/// reads it. Names of nodes and tensors are AMCT's. docs/export.md lists what differs from AMCT's files on
/// purpose.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>

#include "../config/record.hpp"
#include "../core/result.hpp"
#include "../deploy/deployment.hpp"
#include "imported.hpp"
#include "model_bytes.hpp"

namespace amct_distill::onnx {

class ModelFile;

struct AmctOptions {
    std::size_t largest_file = BytesOptions{}.largest;  ///< above, the weights go to a file beside it
};

/// The record as AMCT's passes read it: with act_type and wts_type where they are not INT8.
ScaleOffsetRecord amct_record(const Deployment& deployment);

/// The bytes of the model for ATC. `imported`: what the import of `source` gave, of which the deployment's
/// student was made. Errors, all at once: what ATC would refuse (ascend.hpp); a layer that the model has
/// not.
result<ModelBytes> deploy_bytes(const ModelFile& source, const Imported& imported,
                                const Deployment& deployment, const AmctOptions& options = {},
                                std::string data_file = "model.onnx.data");
/// The bytes of the model for any runtime, which computes what the deploy model does: its sums are integers
/// in float32, exact below 2^24.
result<ModelBytes> fake_quant_bytes(const ModelFile& source, const Imported& imported,
                                    const Deployment& deployment, const AmctOptions& options = {},
                                    std::string data_file = "model.onnx.data");

/// Writes the one or the other to a file; where it is large, its weights to one beside it, called PATH.data.
/// After an error what was there before is as it was.
result<void> export_deploy_model(const ModelFile& source, const Imported& imported,
                                 const Deployment& deployment, const std::filesystem::path& path,
                                 const AmctOptions& options = {});
result<void> export_fake_quant_model(const ModelFile& source, const Imported& imported,
                                     const Deployment& deployment, const std::filesystem::path& path,
                                     const AmctOptions& options = {});

/// `model`: a FloatModel (float_model.hpp).
template <HasFileAndImport M>
result<void> export_deploy_model(const M& model, const Deployment& deployment,
                                 const std::filesystem::path& path, const AmctOptions& options = {}) {
    return export_deploy_model(model.file(), model.imported(), deployment, path, options);
}
template <HasFileAndImport M>
result<void> export_fake_quant_model(const M& model, const Deployment& deployment,
                                     const std::filesystem::path& path, const AmctOptions& options = {}) {
    return export_fake_quant_model(model.file(), model.imported(), deployment, path, options);
}

}  // namespace amct_distill::onnx

#ifndef AMCT_DISTILL_COMPILED_ONNX
#include "amct_models-inl.hpp"
#endif
