// SPDX-License-Identifier: Apache-2.0
// export MODEL_OR_DIR --format float --out FILE.onnx: a network as an ONNX model.
#include <amct_distill/onnx/export.hpp>
#include <filesystem>

#include "console.hpp"
#include "deployed.hpp"
#include "model.hpp"
#include "model_json.hpp"
#include "verbs.hpp"

namespace tool {

namespace ad = amct_distill;

int run_export(const Options& options) {
    if (options.formats != "float")
        bad_command_line("--format: expected float, found `", options.formats, "`");
    if (options.out.empty()) bad_command_line("--out is missing: the .onnx to write");
    Console console(options);
    std::error_code none;
    bool const deployed = std::filesystem::is_directory(options.model.path, none);
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
