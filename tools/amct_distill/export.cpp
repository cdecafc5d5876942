// SPDX-License-Identifier: Apache-2.0
// export MODEL_OR_DIR --format float --out FILE.onnx: a network as an ONNX model.
// export DIR --format cpp --out FILE.hpp: a deployment as a C++ header.
#include <amct_distill/onnx/export.hpp>
#include <filesystem>

#include "console.hpp"
#include "deployed.hpp"
#include "export_cpp.hpp"
#include "model.hpp"
#include "model_json.hpp"
#include "verbs.hpp"

namespace tool {

namespace ad = amct_distill;

int run_export(const Options& options) {
    bool const cpp = options.formats == "cpp";
    if (!cpp && options.formats != "float")
        bad_command_line("--format: expected float or cpp, found `", options.formats, "`");
    if (options.out.empty()) bad_command_line("--out is missing: the ", cpp ? ".hpp" : ".onnx", " to write");
    Console console(options);
    std::error_code none;
    bool const deployed = std::filesystem::is_directory(options.model.path, none);
    if (cpp) {
        if (!deployed)
            bad_command_line("--format cpp: ", options.model.path,
                             " is no folder; what is exported is what `amct-distill distill` has written");
        export_cpp(load_deployment(options.model.path), options.out);
        console.say(ad::detail::concat("written: ", options.out, ", the integers and what lies between"));
        return exit_done;
    }
    Model const model =
        deployed ? deployed_model(options.model.path, load_deployment(options.model.path).network())
                 : load_model(options.model);
    ad::onnx::export_network(model.network, options.out, {.inputs = model.inputs, .outputs = model.outputs})
        .value();
    console.say(
        ad::detail::concat("written: ", options.out,
                           deployed ? ", in float, with the weights that the integers stand for" : ""));
    return exit_done;
}

}  // namespace tool
