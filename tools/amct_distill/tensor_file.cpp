// SPDX-License-Identifier: Apache-2.0
#include "tensor_file.hpp"

#include <amct_distill/core/concat.hpp>
#include <amct_distill/io/file.hpp>
#include <amct_distill/onnx/messages.hpp>
#include <amct_distill/onnx/tensor_values.hpp>
#include <amct_distill/wire/reader.hpp>

namespace tool {

namespace ad = amct_distill;

ad::result<TensorFile> read_tensor_file(const std::filesystem::path& path) {
    auto const bytes = ad::read_file(path);
    if (!bytes) return bytes.diagnostics();
    std::string const source = path.string();
    auto const tensor = ad::read_binary<ad::onnx::TensorProto>(*bytes, {.source = source});
    if (!tensor) return tensor.diagnostics();
    auto const values = ad::onnx::tensor_values(*tensor);
    if (!values) {
        ad::Diagnostics errors = values.diagnostics();
        for (ad::Diagnostic& d : errors) d.source = source;
        return errors;
    }
    TensorFile out;
    out.shape.assign(values->shape().begin(), values->shape().end());
    out.values = values->to_vector<float>();
    return out;
}

}  // namespace tool
