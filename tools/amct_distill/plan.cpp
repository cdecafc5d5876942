// SPDX-License-Identifier: Apache-2.0
// plan MODEL [--config FILE]: what would be done to each layer, and why.
#include <amct_distill/adapters/json.hpp>
#include <amct_distill/definitions.hpp>
#include <amct_distill/report/dot.hpp>

#include "configuration.hpp"
#include "console.hpp"
#include "model.hpp"
#include "program.hpp"

namespace tool {

namespace ad = amct_distill;
using ad::detail::concat;

int run_plan(const Options& options) {
    Console console(options);
    Model const model = load_model(options.model);
    Configuration const configuration = load_configuration(options, model.network, console);
    console.table("The plan: each layer's settings, and where they come from",
                  ad::to_table(configuration.plan, console.width()));
    if (!options.json.empty()) {
        ad::write_file(options.json, ad::print_json(ad::to_json(configuration.plan))).value();
        console.say(concat("written: ", options.json));
    }
    if (!options.dot.empty()) {
        ad::write_file(options.dot, ad::to_dot(model.network, configuration.plan)).value();
        console.say(concat("written: ", options.dot, "; dot -Tsvg draws it"));
    }
    return exit_done;
}

}  // namespace tool
