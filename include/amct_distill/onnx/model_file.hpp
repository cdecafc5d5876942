// SPDX-License-Identifier: Apache-2.0
/// An ONNX file, opened: its bytes mapped, its messages read, nothing of its weights copied.
///
///     result<onnx::ModelFile> model = onnx::ModelFile::open("models/net.onnx");
///     for (const onnx::TensorProto& t : model->graph().initializer)
///         std::vector<float> const w = model->values(t).value().to_vector<float>();
///
/// Reading takes time that is linear in the messages (not in the weights, which are not touched) and memory
/// of at most 64 times the file's bytes, plus 64 KiB; a file that wants more, or that nests deeper than 16
/// messages, is refused.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../io/mapped_file.hpp"
#include "external_data.hpp"
#include "messages.hpp"
#include "tensor_values.hpp"

namespace amct_distill::onnx {

inline constexpr std::size_t max_depth = 16, max_expansion = 64;

class ModelFile {
public:
    /// Errors name the file and the place in it.
    static result<ModelFile> open(const std::filesystem::path& path,
                                  ExternalData::Links links = ExternalData::Links::refused);
    /// Of bytes in memory, which must outlive the object. `folder`: where external data may be.
    static result<ModelFile> of_bytes(std::string_view bytes, std::string source = {},
                                      const std::filesystem::path& folder = {},
                                      ExternalData::Links links = ExternalData::Links::refused);

    /// The file's bytes, without those beside it.
    std::size_t size() const noexcept { return size_; }
    /// With the files beside it that its tensors are in, as far as those are there.
    std::size_t size_with_data() const {
        auto const open = [&](const TensorProto& t) {
            if (t.data_location.get() == 1) (void)values(t);
        };
        for (const TensorProto& t : proto_.graph->initializer) open(t);
        for (const NodeProto& n : proto_.graph->node)
            for (const AttributeProto& a : n.attribute)
                if (a.t) open(*a.t);
        return size_ + static_cast<std::size_t>(external_->size());
    }
    /// The file's name, for diagnostics.
    const std::string& source() const noexcept { return source_; }
    const ModelProto& proto() const noexcept { return proto_; }
    const GraphProto& graph() const noexcept { return *proto_.graph; }
    /// The version of ONNX's own operators; 0 when the model does not tell it.
    std::int64_t opset() const noexcept { return opset_; }
    /// Errors carry the file's name too.
    result<TensorValues> values(const TensorProto& tensor) const {
        result<TensorValues> out = tensor_values(tensor, external_.get());
        if (out) return out;
        Diagnostics errors = out.diagnostics();
        for (Diagnostic& d : errors) d.source = source_;
        return errors;
    }

private:
    ModelFile(std::string source, const std::filesystem::path& folder, ExternalData::Links links)
        : source_(std::move(source)), external_(std::make_unique<ExternalData>(folder, links)) {}

    static result<ModelFile> read(ModelFile out, std::string_view bytes);

    std::string source_;
    MappedFile file_{};
    std::unique_ptr<ExternalData> external_;  // its files stay where they are when this object moves
    ModelProto proto_{};
    std::size_t size_ = 0;
    std::int64_t opset_ = 0;
};

}  // namespace amct_distill::onnx

#ifndef AMCT_DISTILL_COMPILED_ONNX
#include "model_file-inl.hpp"
#endif
