// SPDX-License-Identifier: Apache-2.0
// The float model that `export` makes others of; and --format float. (A unit of its own, because it compiles
// for long.)
#include <amct_distill/io/hash.hpp>
#include <amct_distill/onnx/float_model.hpp>
#include <filesystem>

#include "deployed.hpp"
#include "exporting.hpp"
#include "layer_facts.hpp"
#include "model_json.hpp"
#include "program.hpp"

namespace tool {

namespace ad = amct_distill;
namespace fs = std::filesystem;
using ad::detail::concat;

struct ExportedModel {
    ad::onnx::FloatModel model;
};

Exporting::Exporting(const Options& options) : options_(options) {
    std::error_code none;
    is_deployed_ = fs::is_directory(options.model.path, none);
}
Exporting::~Exporting() = default;

const ad::Deployment& Exporting::deployment() {
    if (!deployment_) deployment_ = load_deployment(options_.model.path);
    return *deployment_;
}
const ad::onnx::ModelFile& Exporting::source() { return model().model.file(); }
const ad::onnx::Imported& Exporting::imported() { return model().model.imported(); }

std::string Exporting::file_name(std::string_view ending) const {
    if (!file_.empty()) return file_;
    fs::path const path =
        is_deployed_ ? fs::path(source_of_folder(options_.model.path).path) : fs::path(options_.model.path);
    std::string stem = path.stem().string();
    return concat(stem.empty() ? "model" : stem, ending);
}

ExportedModel& Exporting::model() {
    if (model_) return *model_;
    ModelOptions source{.path = options_.source, .shapes = options_.model.shapes};
    source.follow_links = options_.model.follow_links;
    if (is_deployed_) {
        SourceOfFolder const known = source_of_folder(options_.model.path);
        if (source.shapes.empty()) source.shapes = known.shapes;
        bool const given = !source.path.empty();
        if (!given) source.path = known.path;
        if (source.path.empty())
            bad_input(options_.model.path,
                      ": its model.json does not tell the model that it was made of; name it with --source");
        std::error_code none;
        if (!fs::exists(source.path, none) && !given)
            bad_input("the model that ", options_.model.path, " was made of, ", source.path,
                      ", is not there; say with --source where it is");
        auto const bytes = ad::MappedFile::open(source.path);
        if (std::string const hash = hash_text(ad::detail::hash_of(bytes.value().bytes()));
            !known.hash.empty() && hash != known.hash)
            bad_input(source.path, " is not the model that ", options_.model.path,
                      " was made of: its hash is ", hash, ", expected ", known.hash,
                      "; name the right one with --source");
    } else if (source.path.empty()) {
        source.path = options_.model.path;
    }
    auto made = [&]() -> ad::result<ad::onnx::FloatModel> {
        if (source.path.ends_with(".npz")) {
            auto const network = ad::nn::load(source.path);
            if (!network) return network.diagnostics();
            return ad::onnx::FloatModel::of(*network);
        }
        ad::onnx::ImportOptions import{.shapes = user_shapes(source.shapes)};
        if (source.follow_links) import.links = ad::onnx::ExternalData::Links::followed;
        return ad::onnx::FloatModel::open(source.path, import);
    }();
    model_ = std::make_unique<ExportedModel>(ExportedModel{std::move(made).value()});
    return *model_;
}

void write_float_model(Exporting& e) {
    Model const model = e.is_deployed() ? deployed_model(e.options().model.path, e.deployment().network())
                                        : load_model(e.options().model);
    auto bytes = ad::onnx::export_bytes(model.network, {.inputs = model.inputs, .outputs = model.outputs});
    if (e.take(bytes)) e.add(e.file_name("_float.onnx"), *std::move(bytes));
}

}  // namespace tool
