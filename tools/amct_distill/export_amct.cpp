// SPDX-License-Identifier: Apache-2.0
// export --format fake-quant, ascend: the models that AMCT writes, and its record.
#include <amct_distill/onnx/amct_models.hpp>
#include <amct_distill/text/printer.hpp>
#include <utility>

#include "export_formats.hpp"

namespace tool {
namespace {

namespace ad = amct_distill;

ad::result<ExportFiles> with_record(ExportJob& job, ad::result<ad::onnx::ModelBytes> bytes) {
    if (!bytes) return bytes.diagnostics();
    ExportFiles files;
    if (!bytes->data.empty()) files.push_back({bytes->data_file, std::move(bytes->data)});
    files.push_back({job.file(), std::move(bytes->model)});
    files.push_back({job.beside("_scale_offset_record.txt"), print(ad::onnx::amct_record(job.deployment()))});
    return {std::move(files), bytes.diagnostics()};
}

}  // namespace

ad::result<ExportFiles> write_fake_quant(ExportJob& job) {
    const SourceModel& source = job.source();
    return with_record(job, ad::onnx::fake_quant_bytes(source.file, source.imported, job.deployment(), {},
                                                       job.file() + ".data"));
}
ad::result<ExportFiles> write_ascend(ExportJob& job) {
    const SourceModel& source = job.source();
    return with_record(job, ad::onnx::deploy_bytes(source.file, source.imported, job.deployment(), {},
                                                   job.file() + ".data"));
}

}  // namespace tool
