// SPDX-License-Identifier: Apache-2.0
// export --format qdq-int8, qdq-int4, qdq-int4-clip: QuantizeLinear and DequantizeLinear.
#include <amct_distill/onnx/qdq.hpp>
#include <utility>

#include "export_formats.hpp"

namespace tool {
namespace {

namespace ad = amct_distill;

ad::result<ExportFiles> write_qdq(ExportJob& job, ad::onnx::QdqForm form) {
    const SourceModel& source = job.source();
    auto bytes = ad::onnx::qdq_bytes(source.file, source.imported, job.deployment(),
                                     {.form = form, .seven_bit_weights = job.options().weights == "7bit"},
                                     job.file() + ".data");
    if (!bytes) return bytes.diagnostics();
    ExportFiles files;
    if (!bytes->data_file.empty()) files.push_back({bytes->data_file, std::move(bytes->data)});
    files.push_back({job.file(), std::move(bytes->model)});
    return {std::move(files), bytes.diagnostics()};
}

}  // namespace

ad::result<ExportFiles> write_qdq_int8(ExportJob& job) { return write_qdq(job, ad::onnx::QdqForm::int8); }
ad::result<ExportFiles> write_qdq_int4(ExportJob& job) { return write_qdq(job, ad::onnx::QdqForm::int4); }
ad::result<ExportFiles> write_qdq_int4_clip(ExportJob& job) {
    return write_qdq(job, ad::onnx::QdqForm::int4_clip);
}

}  // namespace tool
