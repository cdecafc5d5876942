// SPDX-License-Identifier: Apache-2.0
#include "export_float.hpp"

#include <amct_distill/onnx/export.hpp>

namespace tool {

std::string float_bytes(const Model& model) {
    return amct_distill::onnx::export_bytes(model.network, {.inputs = model.inputs, .outputs = model.outputs})
        .value();
}

}  // namespace tool
