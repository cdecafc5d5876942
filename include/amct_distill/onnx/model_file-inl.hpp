// SPDX-License-Identifier: Apache-2.0
/// The definitions of model_file.hpp.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "../core/inline.hpp"
#include "../core/result.hpp"
#include "../io/mapped_file.hpp"
#include "../wire/reader.hpp"
#include "messages.hpp"
#include "model_file.hpp"

namespace amct_distill::onnx {

AMCT_DISTILL_ONNX_INLINE result<ModelFile> ModelFile::open(const std::filesystem::path& path,
                                                           ExternalData::Links links) {
    result<MappedFile> file = MappedFile::open(path);
    if (!file) return file.diagnostics();
    ModelFile out(path.string(), path.parent_path(), links);
    out.file_ = *std::move(file);
    std::string_view const bytes = out.file_.bytes();
    return read(std::move(out), bytes);
}
AMCT_DISTILL_ONNX_INLINE result<ModelFile> ModelFile::of_bytes(std::string_view bytes, std::string source,
                                                               const std::filesystem::path& folder,
                                                               ExternalData::Links links) {
    return read(ModelFile(std::move(source), folder, links), bytes);
}
AMCT_DISTILL_ONNX_INLINE result<ModelFile> ModelFile::read(ModelFile out, std::string_view bytes) {
    auto const error = [&](std::string message) {
        Diagnostic d = general_error(std::move(message));
        d.source = out.source_;
        return d;
    };
    if (bytes.empty()) return error("the file is empty; expected an ONNX model");
    result<ModelProto> proto = read_binary<ModelProto>(
        bytes, {.source = out.source_, .max_depth = max_depth, .max_expansion = max_expansion});
    if (!proto) return proto.diagnostics();
    if (!proto->graph.has_value()) return error("there is no graph in it; is it an ONNX model?");
    out.proto_ = *std::move(proto);
    out.size_ = bytes.size();
    for (const OperatorSetIdProto& set : out.proto_.opset_import)
        if (set.domain.get().empty() || set.domain.get() == "ai.onnx") {
            out.opset_ = set.version.get();
            break;
        }
    return out;
}

}  // namespace amct_distill::onnx
