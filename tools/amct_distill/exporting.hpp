// SPDX-License-Identifier: Apache-2.0
/// What `export` writes: the formats, and what each reads and makes.
///
///     void write_my_format(Exporting& e) {                   // a row of the table in export.cpp
///         e.add(e.file_name("_mine.onnx"), bytes);           // all files are written, or none
///         e.take(some_result);                               // its warnings; false and its errors
///     }
#pragma once
#include <amct_distill/core/result.hpp>
#include <amct_distill/deploy/deployment.hpp>
#include <amct_distill/onnx/imported.hpp>
#include <amct_distill/onnx/model_bytes.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model.hpp"
#include "options.hpp"

namespace tool {

/// The float model that quantized ones are made of: exported_model.cpp.
struct ExportedModel;

class Exporting {
public:
    explicit Exporting(const Options& options);
    Exporting(const Exporting&) = delete;
    Exporting& operator=(const Exporting&) = delete;
    ~Exporting();

    const Options& options() const { return options_; }
    /// Whether MODEL_OR_DIR is the folder of a deployment.
    bool is_deployed() const { return is_deployed_; }
    const amct_distill::Deployment& deployment();
    /// The float model that the folder was made of, or MODEL: its file, and what the import gave.
    const amct_distill::onnx::ModelFile& source();
    const amct_distill::onnx::Imported& imported();

    /// How a file of the format is called; `--out` itself where that names one. Names end with `ending`.
    std::string file_name(std::string_view ending) const;
    void add(std::string name, std::string bytes) { files_.emplace_back(std::move(name), std::move(bytes)); }
    /// A model, and the file with its weights where it is large; `name` was given to what made the bytes.
    void add(const std::string& name, amct_distill::onnx::ModelBytes bytes) {
        add(name, std::move(bytes.model));
        if (!bytes.data_file.empty()) add(std::move(bytes.data_file), std::move(bytes.data));
    }
    template <class T>
    bool take(const amct_distill::result<T>& r) {
        auto& all = r ? warnings_ : errors_;
        all.insert(all.end(), r.diagnostics().begin(), r.diagnostics().end());
        return r.has_value();
    }

    const std::vector<std::pair<std::string, std::string>>& files() const { return files_; }
    const amct_distill::Diagnostics& warnings() const { return warnings_; }
    const amct_distill::Diagnostics& errors() const { return errors_; }
    /// Where the files go.
    const std::string& folder() const { return folder_; }
    /// --out is one file's name.
    void write_to(std::string folder, std::string file) {
        folder_ = std::move(folder);
        file_ = std::move(file);
    }

private:
    ExportedModel& model();

    const Options& options_;
    bool is_deployed_;
    std::string folder_{}, file_{};
    std::optional<amct_distill::Deployment> deployment_{};
    std::unique_ptr<ExportedModel> model_{};
    std::vector<std::pair<std::string, std::string>> files_{};
    amct_distill::Diagnostics warnings_{}, errors_{};
};

// The formats.
void write_float_model(Exporting& e);  // exported_model.cpp
void write_qdq_int8(Exporting& e);     // export_qdq.cpp
void write_qdq_int4(Exporting& e);
void write_qdq_int4_clip(Exporting& e);
void write_cpp(Exporting& e);  // export_cpp.cpp

}  // namespace tool
