// SPDX-License-Identifier: Apache-2.0
// export MODEL_OR_DIR --format F,G --out PATH: a network in the formats that other programs read, all of them
// or none.
#include <algorithm>
#include <amct_distill/io/staged_files.hpp>
#include <array>
#include <filesystem>
#include <set>

#include "console.hpp"
#include "deployed.hpp"
#include "export_float.hpp"
#include "export_formats.hpp"
#include "model_json.hpp"
#include "verbs.hpp"

namespace tool {
namespace {

namespace ad = amct_distill;
namespace fs = std::filesystem;
using ad::detail::concat;

ad::result<ExportFiles> write_float(ExportJob& job) {
    return ExportFiles{{job.file(), float_bytes(job.model())}};
}

struct Format {
    std::string_view name;
    std::string_view ending;  ///< of its file, after the name that all have in common
    std::string_view what;    ///< for --help and for what is said afterwards
    ad::result<ExportFiles> (*write)(ExportJob&);
    bool needs_deployment = true;
};

constexpr std::array formats{
    Format{"float", ".onnx", "in float, a folder's with the weights that its integers stand for", write_float,
           false},
    Format{"qdq-int8", "_qdq_int8.onnx", "QuantizeLinear and DequantizeLinear, opset 13, for any engine",
           write_qdq_int8},
    Format{"qdq-int4", "_qdq_int4.onnx", "the same with INT4 where layers have it, opset 21", write_qdq_int4},
    Format{"qdq-int4-clip", "_qdq_int4_clip.onnx", "INT4 weights, and data clipped in INT8, opset 21",
           write_qdq_int4_clip},
    Format{"fake-quant", "_fake_quant_model.onnx", "what the integers compute, in float, for any engine",
           write_fake_quant},
    Format{"ascend", "_deploy_model.onnx", "for Ascend's compiler ATC", write_ascend},
    Format{"cpp", ".hpp", "a C++ header, for an engine of your own", write_cpp},
};

std::vector<const Format*> chosen_formats(std::string_view text) {
    std::vector<const Format*> out;
    for (bool more = true; more;) {
        std::size_t const comma = text.find(',');
        more = comma != text.npos;
        std::string_view const name = text.substr(0, comma);
        auto const at = std::ranges::find(formats, name, &Format::name);
        if (at == formats.end()) {
            std::string all;
            for (const Format& f : formats) all += concat(all.empty() ? "" : ", ", f.name);
            bad_command_line("--format: expected ", all, ", found `", name, "`");
        }
        if (std::ranges::find(out, &*at) == out.end()) out.push_back(&*at);
        text.remove_prefix(more ? comma + 1 : text.size());
    }
    return out;
}

/// Where the files go: a folder, what all of their names begin with, and the one name that was given.
struct Place {
    fs::path folder{};
    std::string stem{}, file{};
};
Place place_of(const Options& options, const std::vector<const Format*>& chosen) {
    fs::path const out(options.out);
    std::error_code none;
    fs::path const model = fs::path(options.model.path) / "";  // a folder's own name too
    std::string const own = (fs::is_directory(options.model.path, none) ? model.parent_path().filename()
                                                                        : fs::path(options.model.path).stem())
                                .string();
    std::string const name = own.empty() || own == "." || own == ".." ? "model" : own;
    if (!out.has_filename() || fs::is_directory(out, none)) return {out, name, {}};
    fs::path const folder = out.parent_path().empty() ? fs::path(".") : out.parent_path();
    bool const one = chosen.size() == 1 && (out.has_extension() || chosen.front()->name == "float");
    if (one) return {folder, out.stem().string(), out.filename().string()};
    return {folder, out.filename().string(), {}};
}

}  // namespace

std::string export_formats_text() {
    std::string out;
    for (const Format& f : formats) out += concat(out.empty() ? "" : "; ", f.name, ": ", f.what);
    return out;
}

ExportJob::ExportJob(const Options& options) : options_(options) {
    std::error_code none;
    if (fs::is_directory(options.model.path, none)) {
        deployment_ = load_deployment(options.model.path);
        model_ = deployed_model(options.model.path, deployment_->network());
    } else {
        model_ = load_model(options.model);
    }
}
const SourceModel& ExportJob::source() {
    if (!source_) source_ = load_source_model(options_.model.path, options_.source, options_.model);
    return *source_;
}

int run_export(const Options& options) {
    std::vector<const Format*> const chosen = chosen_formats(options.formats);
    if (options.out.empty())
        bad_command_line("--out is missing: the file to write, or what names begin with");
    Console console(options);
    ExportJob job(options);
    if (!job.is_deployed())
        for (const Format* f : chosen)
            if (f->needs_deployment)
                bad_command_line("--format ", f->name, ": ", options.model.path,
                                 " is no folder; what is exported is what `amct-distill distill` has "
                                 "written");
    Place const place = place_of(options, chosen);

    ad::Diagnostics errors, warnings;
    ExportFiles files;
    std::set<std::string> names;
    for (const Format* f : chosen) {
        job.name_files(place.file.empty() ? concat(place.stem, f->ending) : place.file, place.stem);
        ad::result<ExportFiles> made = f->write(job);
        for (ad::Diagnostic d : made.diagnostics()) {
            if (chosen.size() > 1) d.message = concat(f->name, ": ", d.message);
            (made ? warnings : errors).push_back(std::move(d));
        }
        if (!made) continue;
        for (ExportFile& file : *made)
            if (names.insert(file.name).second) files.push_back(std::move(file));
    }
    if (!errors.empty()) throw ad::ConfigError(std::move(errors));
    console.warn(warnings);

    ad::StagedFiles staged(place.folder);
    for (const ExportFile& file : files) staged.add(file.name, file.bytes).value();
    staged.commit().value();
    std::string all;
    for (const ExportFile& file : files) all += concat(all.empty() ? "" : ", ", file.name);
    if (place.folder != fs::path(".")) all = concat(all, ", in ", place.folder.string());
    console.say(concat("written: ", all,
                       job.is_deployed() && chosen.size() == 1 && chosen.front()->name == "float"
                           ? ", in float, with the weights that the integers stand for"
                           : ""));
    return exit_done;
}

}  // namespace tool
