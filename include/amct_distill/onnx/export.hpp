// SPDX-License-Identifier: Apache-2.0
/// A float network as an ONNX model, which onnx/import.hpp, ONNX Runtime and others read.
///
///     onnx::export_network(network, "net.onnx").value();               // the whole file, or none
///     onnx::export_network(network, "net.onnx", {.outputs = {"logits"}}).value();
///     onnx::export_network<Square>(network, "net.onnx").value();       // with modules of one's own
///
/// Opset 13, or the least that has every operator (ImportOptions and docs/limitations.md say which). What is
/// read back computes the same bits and has the same names of modules; Dropout and Identity, which compute
/// nothing, are gone then, a module without weights that is used twice is two, and a shape [] is [1].
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "../core/result.hpp"
#include "../nn/network.hpp"

namespace amct_distill::onnx {

struct ExportOptions {
    /// Names of the model's inputs and outputs, in order; where there are none, the nodes' names.
    std::vector<std::string> inputs{}, outputs{};
    std::string batch = "N";  ///< what the model calls a free batch
    std::int64_t opset = 13;  ///< at least; 13 or later
};

/// The model's bytes. `Own`: modules besides the library's that the network has. Errors, all at once: each
/// layer that cannot be written.
template <class... Own>
result<std::string> export_bytes(const nn::Network& network, const ExportOptions& options = {});

/// Writes them to a file; after an error a file that was there before is as it was.
template <class... Own>
result<void> export_network(const nn::Network& network, const std::filesystem::path& path,
                            const ExportOptions& options = {});

}  // namespace amct_distill::onnx

#ifdef AMCT_DISTILL_COMPILED_ONNX  // of the library's own modules
namespace amct_distill::onnx {
extern template result<std::string> export_bytes<>(const nn::Network&, const ExportOptions&);
extern template result<void> export_network<>(const nn::Network&, const std::filesystem::path&,
                                              const ExportOptions&);
}  // namespace amct_distill::onnx
#endif

#ifndef AMCT_DISTILL_COMPILED_ONNX
#include "export-inl.hpp"
#endif
