// SPDX-License-Identifier: Apache-2.0
// verify DIR --data D: integers against simulation, layer by layer; with labels, how many both recognize.
#include <amct_distill/definitions.hpp>

#include "compare.hpp"
#include "console.hpp"
#include "data.hpp"
#include "deployed.hpp"
#include "interrupt.hpp"
#include "model_json.hpp"
#include "program.hpp"
#include "session.hpp"

namespace tool {

namespace ad = amct_distill;

int run_verify(const Options& options) {
    Console console(options);
    InterruptGuard const guard;
    ad::Deployment const device = load_deployment(options.model.path);
    Model const model = deployed_model(options.model.path, device.network());
    Dataset const data = open_data(options.data, model);
    check_labels(data, model.network);
    ad::RunOptions const run{.threads = thread_count(options), .ranks = options.ranks};
    auto const report = ad::verify(device, data, run);
    if (!report && interrupted()) throw Stop(exit_interrupted, "interrupted");
    ad::VerifyReport const& found = report.value();
    console.table("The integers, layer by layer, against the simulation",
                  ad::to_table(found, console.width()));
    if (!data.labels().empty()) {
        ad::nn::Network const simulation = ad::simulation_network(device),
                              integers = ad::integer_network(device);
        auto const results = compare(data, simulation, {{"integers", &integers}}, run, console, "simulation");
        console.table("The whole network, on the data", to_table(results, console.width()));
    }
    return found.agrees() ? exit_done : exit_difference;
}

}  // namespace tool
