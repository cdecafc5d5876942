// SPDX-License-Identifier: Apache-2.0
// The library that amct_distill::compiled_onnx links: ONNX's models, read and written, and networks that were
// saved, which are made of the same modules.
#define AMCT_DISTILL_IMPLEMENTATION_ONNX
#include <amct_distill/definitions.hpp>
#include <amct_distill/onnx/amct_models-inl.hpp>
#include <amct_distill/onnx/export-inl.hpp>
#include <amct_distill/onnx/graph_edit-inl.hpp>
#include <amct_distill/onnx/import-inl.hpp>
#include <amct_distill/onnx/model_file-inl.hpp>
#include <amct_distill/onnx/qdq-inl.hpp>

namespace amct_distill::onnx {

template result<std::string> export_bytes<>(const nn::Network&, const ExportOptions&);
template result<void> export_network<>(const nn::Network&, const std::filesystem::path&,
                                       const ExportOptions&);

}  // namespace amct_distill::onnx
namespace amct_distill::detail {

template std::optional<result<nn::Module>> make_standard_module<>(std::string_view, std::string_view);

}  // namespace amct_distill::detail
