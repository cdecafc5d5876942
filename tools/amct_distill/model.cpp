// SPDX-License-Identifier: Apache-2.0
#include "model.hpp"

#include <amct_distill/definitions.hpp>
#include <amct_distill/io/hash.hpp>
#include <amct_distill/nn/save.hpp>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <charconv>
#include <string_view>
#include <system_error>

#include "program.hpp"
#include "split.hpp"

namespace tool {
namespace {

namespace ad = amct_distill;
using ad::detail::concat;

/// "image:Nx3x224x224", or AMCT's "image:1,3,224,224;mask:1,1,224,224".
ad::onnx::UserShapes user_shapes(const std::vector<std::string>& given) {
    ad::onnx::UserShapes out;
    for (std::string_view all : given)
        for (std::string_view one : split(all, ';')) {
            if (one.empty()) continue;
            std::size_t const colon = one.rfind(':');
            auto const bad = [&] {
                bad_command_line("--shape: expected NAME:Nx3x224x224, found `", one, "`");
            };
            if (colon == one.npos || colon == 0) bad();
            std::string_view const sizes = one.substr(colon + 1);
            std::vector<std::int64_t>& shape = out[std::string(one.substr(0, colon))];
            if (!shape.empty()) bad_command_line("--shape: `", one.substr(0, colon), "` is given twice");
            for (std::string_view size : split(sizes, sizes.find(',') == sizes.npos ? 'x' : ',')) {
                while (size.starts_with(' ')) size.remove_prefix(1);
                std::int64_t n = -1;
                auto const [end, error] = std::from_chars(size.data(), size.data() + size.size(), n);
                if (size == "N" || size == "n" || size == "-1")
                    n = -1;
                else if (error != std::errc{} || end != size.data() + size.size() || n < 1)
                    bad();
                shape.push_back(n);
            }
        }
    return out;
}

std::string_view text_of(ad::onnx::NameSource source) {
    using ad::onnx::NameSource;
    switch (source) {
        case NameSource::weight:
            return "weight";
        case NameSource::bias:
            return "bias";
        case NameSource::metadata:
            return "metadata";
        case NameSource::scope:
            return "scope";
        case NameSource::node:
            return "node";
        case NameSource::output:
            return "output";
        case NameSource::made_up:
            break;
    }
    return "made up";
}

ad::onnx::ImportOptions import_options(const ModelOptions& options) {
    ad::onnx::ImportOptions out{.shapes = user_shapes(options.shapes)};
    if (options.follow_links) out.links = ad::onnx::ExternalData::Links::followed;
    return out;
}

Model load_saved(const ModelOptions& options) {
    Model out;
    if (!options.shapes.empty())
        bad_command_line("--shape: the shapes of ", options.path, " are fixed; they are an ONNX model's");
    std::string const bytes = ad::read_file(options.path).value();
    out.network = ad::nn::load(options.path).value();
    out.hash = ad::detail::hash_of(bytes);
    out.bytes = bytes.size();
    out.producer = "nn::save";
    for (ad::NodeId id : out.network.inputs()) out.inputs.push_back(out.network.name(id));
    for (ad::NodeId id : out.network.outputs()) out.outputs.push_back(out.network.name(id));
    for (const auto& m : out.network.modules()) out.names.push_back({m.name, m.name, "node"});
    return out;
}

}  // namespace

std::uint64_t hash_of_file(const std::string& path) {
    auto const mapped = ad::MappedFile::open(path);
    return ad::detail::hash_of(mapped.value().bytes());
}

SourceModel read_source_model(std::unique_ptr<std::string> bytes, const ModelOptions& options) {
    ad::onnx::ImportOptions const import = import_options(options);
    ad::onnx::ModelFile file = bytes != nullptr
                                   ? ad::onnx::ModelFile::of_bytes(*bytes, options.path).value()
                                   : ad::onnx::ModelFile::open(options.path, import.links).value();
    ad::onnx::Imported imported = ad::onnx::import_network(file, import).value();
    return {std::move(bytes), std::move(file), std::move(imported)};
}

Model load_model(const ModelOptions& options) {
    Model out;
    ad::onnx::ImportOptions const import = import_options(options);
    if (options.path.ends_with(".npz")) {
        out = load_saved(options);
    } else {
        auto const file = ad::onnx::ModelFile::open(options.path, import.links);
        const ad::onnx::ModelFile& model = file.value();
        auto imported = ad::onnx::import_network(model, import);
        ad::onnx::Imported& value = imported.value();
        out.network = std::move(value.network);
        out.notes = std::move(value.notes);
        for (const ad::Diagnostic& d : imported.diagnostics()) out.notes.push_back(d.message);
        out.inputs = std::move(value.inputs);
        out.outputs = std::move(value.outputs);
        for (auto& n : value.names)
            out.names.push_back({std::move(n.module), std::move(n.node), text_of(n.source)});
        out.hash = hash_of_file(options.path);
        out.bytes = model.size();
        out.opset = model.opset();
        out.producer = concat(std::string_view(model.proto().producer_name.get()), " ",
                              std::string_view(model.proto().producer_version.get()));
        while (out.producer.ends_with(' ')) out.producer.pop_back();
    }
    out.path = options.path;
    out.shapes = options.shapes;
    return out;
}

}  // namespace tool
