// SPDX-License-Identifier: Apache-2.0
/// A deployment as an ONNX model of QuantizeLinear and DequantizeLinear, which ONNX Runtime and others run in
/// integers.
///
///     auto model = onnx::FloatModel::open("net.onnx").value();           // of which `device` was made
///     onnx::export_qdq(model, device, "net_int8.onnx").value();          // opset 13: every engine reads it
///     onnx::export_qdq(model, device, "net_int4.onnx", {.form = onnx::QdqForm::int4}).value();
///
/// The model is the float one with QuantizeLinear and DequantizeLinear before each quantized layer's input,
/// DequantizeLinear after its weights' codes and after its bias, an int32 in steps of scale_d * scale_w. What
/// it computes are the deployment's integers: see docs/export.md. All else stays as it was; the version of
/// the operators is raised where it has to be.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>

#include "../core/result.hpp"
#include "../deploy/deployment.hpp"
#include "imported.hpp"
#include "model_bytes.hpp"

namespace amct_distill::onnx {

class ModelFile;

/// How codes of 4 bits are written; those of 8 are INT8 always.
enum class QdqForm {
    int8,      ///< as INT8; what is quantized is clipped to 4 bits before. Opset 13
    int4,      ///< as TensorProto's INT4, weights and data. Opset 21
    int4_clip  ///< weights as INT4, data as INT8, clipped before. Opset 21
};

struct QdqOptions {
    QdqForm form = QdqForm::int8;
    bool seven_bit_weights = false;  ///< see narrow_weights.hpp: other numbers than the deployment's
    std::size_t largest_file = BytesOptions{}.largest;  ///< above, the weights go to a file beside it
};

/// The model's bytes; warnings say what some engines compute otherwise. `imported`: what the import of
/// `source` gave. Errors, all at once, name the layers and nodes: see quantized_graph.hpp and
/// opset_conversion.hpp; INT4 is asked for, and no layer has it.
result<ModelBytes> qdq_bytes(const ModelFile& source, const Imported& imported, const Deployment& deployment,
                             const QdqOptions& options = {}, std::string data_file = "model.onnx.data");
/// Writes it to a file; where it is large, its weights to one beside it, called PATH.data. After an error
/// what was there before is as it was.
result<void> export_qdq(const ModelFile& source, const Imported& imported, const Deployment& deployment,
                        const std::filesystem::path& path, const QdqOptions& options = {});

/// `model`: a FloatModel (float_model.hpp).
template <HasFileAndImport M>
result<ModelBytes> qdq_bytes(const M& model, const Deployment& deployment, const QdqOptions& options = {}) {
    return qdq_bytes(model.file(), model.imported(), deployment, options);
}
template <HasFileAndImport M>
result<void> export_qdq(const M& model, const Deployment& deployment, const std::filesystem::path& path,
                        const QdqOptions& options = {}) {
    return export_qdq(model.file(), model.imported(), deployment, path, options);
}

}  // namespace amct_distill::onnx

#ifndef AMCT_DISTILL_COMPILED_ONNX
#include "qdq-inl.hpp"
#endif
