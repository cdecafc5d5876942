// SPDX-License-Identifier: Apache-2.0
// export MODEL_OR_DIR --format FORMAT,... --out FILE_OR_FOLDER: a network for other programs.
#include <algorithm>
#include <amct_distill/io/staged_files.hpp>
#include <filesystem>
#include <span>

#include "console.hpp"
#include "exporting.hpp"
#include "verbs.hpp"

namespace tool {
namespace {

namespace ad = amct_distill;
namespace fs = std::filesystem;
using ad::detail::concat;

struct Format {
    std::string_view name;
    std::string_view what;
    void (*write)(Exporting&);
    bool of_folder = true;  ///< of a deployment; else of any model
};

constexpr Format formats[]{
    {"float", "ONNX in float", write_float_model, false},
    {"qdq-int8", "ONNX with QuantizeLinear and DequantizeLinear, opset 13", write_qdq_int8},
    {"qdq-int4", "the same with ONNX's INT4, opset 21", write_qdq_int4},
    {"qdq-int4-clip", "INT4 weights, data clipped in INT8, opset 21", write_qdq_int4_clip},
    {"cpp", "a C++ header for an engine", write_cpp},
};

/// The formats of "qdq-int8,float", each once.
std::vector<const Format*> chosen(std::string_view list) {
    std::vector<const Format*> out;
    while (true) {
        std::size_t const comma = list.find(',');
        std::string_view const name = list.substr(0, comma);
        auto const* const found = std::ranges::find(formats, name, &Format::name);
        if (found == std::end(formats)) {
            std::string all;
            for (const Format& f : formats) all += concat(all.empty() ? "" : ", ", f.name);
            bad_command_line("--format: expected some of ", all, ", found `", name, "`");
        }
        if (std::ranges::find(out, found) == out.end()) out.push_back(found);
        if (comma == list.npos) return out;
        list.remove_prefix(comma + 1);
    }
}

/// --out is one file where one format is asked for, and it names no folder.
void place(Exporting& e, const std::vector<const Format*>& list) {
    const std::string& out = e.options().out;
    std::error_code none;
    if (out.empty()) {
        if (!e.is_deployed()) bad_command_line("--out is missing: the .onnx to write");
        return e.write_to(e.options().model.path, {});
    }
    if (list.size() != 1 || out.ends_with('/') || fs::is_directory(out, none)) return e.write_to(out, {});
    fs::path const path = out, folder = path.parent_path();
    e.write_to(folder.empty() ? "." : folder.string(), path.filename().string());
}

}  // namespace

std::string export_formats() {
    std::string out;
    for (const Format& f : formats) out += concat(out.empty() ? "" : "; ", f.name, ": ", f.what);
    return out;
}

int run_export(const Options& options) {
    std::vector<const Format*> const list = chosen(options.formats);
    Console console(options);
    Exporting e(options);
    place(e, list);
    if (!e.is_deployed())
        for (const Format* f : list)
            if (f->of_folder && fs::exists(options.model.path))
                bad_command_line("--format ", f->name, ": ", options.model.path,
                                 " is no folder; what is exported is what `amct-distill distill` has "
                                 "written");
    for (const Format* f : list) f->write(e);
    if (!e.errors().empty()) throw Stop(exit_input, ad::to_string(e.errors()));
    ad::StagedFiles files(e.folder());
    std::string names;
    for (auto const& [name, bytes] : e.files()) {
        files.add(name, bytes).value();
        names += concat(names.empty() ? "" : ", ", (fs::path(e.folder()) / name).lexically_normal().string());
    }
    files.commit().value();
    for (const ad::Diagnostic& d : e.warnings()) console.warn(ad::to_string(d));
    bool const as_float = list.size() == 1 && list.front()->name == "float" && e.is_deployed();
    console.say(concat("written: ", names,
                       as_float ? ", in float, with the weights that the integers stand for" : ""));
    return exit_done;
}

}  // namespace tool
