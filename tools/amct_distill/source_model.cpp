// SPDX-License-Identifier: Apache-2.0
#include "source_model.hpp"

#include <amct_distill/io/file.hpp>
#include <filesystem>
#include <system_error>
#include <utility>

#include "export_float.hpp"
#include "layer_facts.hpp"
#include "model.hpp"
#include "model_json.hpp"
#include "program.hpp"

namespace tool {

namespace ad = amct_distill;

SourceModel load_source_model(const std::string& folder, const std::string& path,
                              const ModelOptions& options) {
    ModelOptions of = options;
    of.path = path;
    if (path.empty()) {
        SourceOfFolder const told = source_of_folder(folder);
        std::error_code none;
        if (told.path.empty() || !std::filesystem::exists(told.path, none))
            bad_input("the model that ", folder, " was made of", told.path.empty() ? "" : ", ", told.path,
                      told.path.empty() ? " is not known" : ", is not there", "; name it with --source");
        of.path = told.path;
        if (of.shapes.empty()) of.shapes = told.shapes;
        if (std::string const hash = hash_text(hash_of_file(told.path)); hash != told.hash)
            bad_input(told.path, " is not the model that ", folder,
                      " was made of any more: it has changed; name that with --source");
    }
    if (!of.path.ends_with(".npz")) return read_source_model(nullptr, of);
    Model const saved = load_model(of);
    return read_source_model(std::make_unique<std::string>(float_bytes(saved)), of);
}

}  // namespace tool
