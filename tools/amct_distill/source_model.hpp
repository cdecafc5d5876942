// SPDX-License-Identifier: Apache-2.0
/// The float model that a folder's network was, as ONNX: what models with integers are made of.
///
///     SourceModel const source = load_source_model("result", options.source, options.model);
///     source.file, source.imported
#pragma once
#include <amct_distill/onnx/imported.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <memory>
#include <string>

#include "options.hpp"

namespace tool {

struct SourceModel {
    std::unique_ptr<std::string> bytes{};  ///< of a model that is no file of ONNX
    amct_distill::onnx::ModelFile file;
    amct_distill::onnx::Imported imported;
};

/// `path`: the model, an .npz too; empty: the one that the folder's model.json names, if it is the same
/// still. Throws ConfigError or Stop with what is wrong.
SourceModel load_source_model(const std::string& folder, const std::string& path,
                              const ModelOptions& options);

}  // namespace tool
