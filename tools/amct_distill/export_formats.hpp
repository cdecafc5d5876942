// SPDX-License-Identifier: Apache-2.0
/// The formats that `export` writes, each a function from a network to files.
///
///     ad::result<ExportFiles> write_ascend(ExportJob& job);           // one of export_*.cpp
///     {"ascend", "_deploy_model.onnx", "...", write_ascend}           // its row in export.cpp
#pragma once
#include <amct_distill/core/result.hpp>
#include <amct_distill/deploy/deployment.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model.hpp"
#include "options.hpp"
#include "source_model.hpp"

namespace tool {

/// A file beside the others, which are written together.
struct ExportFile {
    std::string name{};
    std::string bytes{};
};
using ExportFiles = std::vector<ExportFile>;

/// What is exported: a model, or a folder's deployment and the float model that it was made of.
class ExportJob {
public:
    explicit ExportJob(const Options& options);

    const Options& options() const { return options_; }
    /// The network in float with its names: a folder's has the weights that its integers stand for.
    const Model& model() const { return model_; }
    bool is_deployed() const { return deployment_.has_value(); }
    /// Precondition: is_deployed().
    const amct_distill::Deployment& deployment() const { return *deployment_; }
    /// The float model of the folder, read when it is first asked for. Throws why it cannot be.
    const SourceModel& source();

    /// Names of the format's files: the first, and those that others share.
    std::string file() const { return file_; }
    std::string beside(std::string_view ending) const { return stem_ + std::string(ending); }
    void name_files(std::string file, std::string stem) {
        file_ = std::move(file);
        stem_ = std::move(stem);
    }

private:
    const Options& options_;
    std::optional<amct_distill::Deployment> deployment_{};
    Model model_{};
    std::optional<SourceModel> source_{};
    std::string file_{}, stem_{};
};

amct_distill::result<ExportFiles> write_qdq_int8(ExportJob& job);
amct_distill::result<ExportFiles> write_qdq_int4(ExportJob& job);
amct_distill::result<ExportFiles> write_qdq_int4_clip(ExportJob& job);
amct_distill::result<ExportFiles> write_cpp(ExportJob& job);
amct_distill::result<ExportFiles> write_fake_quant(ExportJob& job);
amct_distill::result<ExportFiles> write_ascend(ExportJob& job);

}  // namespace tool
