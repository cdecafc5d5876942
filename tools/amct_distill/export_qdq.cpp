// SPDX-License-Identifier: Apache-2.0
// export --format qdq-int8,qdq-int4,qdq-int4-clip: QuantizeLinear and DequantizeLinear.
#include <amct_distill/onnx/qdq.hpp>
#include <string>

#include "exporting.hpp"

namespace tool {
namespace {

void write_qdq(Exporting& e, amct_distill::onnx::QdqForm form, std::string_view ending) {
    std::string const name = e.file_name(ending);
    auto bytes = amct_distill::onnx::qdq_bytes(
        e.source(), e.imported(), e.deployment(),
        {.form = form, .seven_bit_weights = e.options().weights == "7bit"}, name + ".data");
    if (e.take(bytes)) e.add(name, *std::move(bytes));
}

}  // namespace

void write_qdq_int8(Exporting& e) { write_qdq(e, amct_distill::onnx::QdqForm::int8, "_qdq_int8.onnx"); }
void write_qdq_int4(Exporting& e) { write_qdq(e, amct_distill::onnx::QdqForm::int4, "_qdq_int4.onnx"); }
void write_qdq_int4_clip(Exporting& e) {
    write_qdq(e, amct_distill::onnx::QdqForm::int4_clip, "_qdq_int4_clip.onnx");
}

}  // namespace tool
