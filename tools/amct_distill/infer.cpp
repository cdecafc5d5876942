// SPDX-License-Identifier: Apache-2.0
// infer MODEL_OR_DIR --data D --out FILE.npz: runs a network, and writes its outputs.
#include <amct_distill/definitions.hpp>
#include <filesystem>

#include "console.hpp"
#include "data.hpp"
#include "deployed.hpp"
#include "interrupt.hpp"
#include "model.hpp"
#include "model_json.hpp"
#include "program.hpp"
#include "session.hpp"

namespace tool {
namespace {

namespace ad = amct_distill;
namespace fs = std::filesystem;
using ad::detail::concat;

/// The outputs of all batches, one after the other.
struct Collected {
    ad::nn::Shape shape{};
    std::vector<float> values{};
    void add(const ad::nn::Tensor& t) {
        if (shape.empty())
            shape = t.shape();
        else
            shape[0] += t.dim(0);
        values.insert(values.end(), t.begin(), t.end());
    }
};

}  // namespace

int run_infer(const Options& options) {
    if (options.out.empty()) bad_command_line("--out is missing: the .npz to write");
    if (!options.out.ends_with(".npz") && !options.out.ends_with(".npy"))
        bad_command_line("--out: expected a file .npz, or .npy for one output, found `", options.out, "`");
    Console console(options);
    InterruptGuard const guard;
    Model model;
    std::error_code none;
    bool const deployed = fs::is_directory(options.model.path, none);
    if (deployed) {
        ad::Deployment const device = load_deployment(options.model.path);
        model = deployed_model(options.model.path, options.simulate ? ad::simulation_network(device)
                                                                    : ad::integer_network(device));
    } else {
        if (options.simulate)
            bad_command_line("--simulate: ", options.model.path, " is a model in float, no folder");
        model = load_model(options.model);
    }
    if (options.out.ends_with(".npy") && model.outputs.size() != 1)
        bad_command_line("--out: the model has ", model.outputs.size(), " outputs; write an .npz");
    Dataset const data = open_data(options.data, model);
    ad::nn::Executor const executor(thread_count(options));
    ad::SliceRunner runner(model.network, &executor);
    std::vector<ad::nn::Tensor> values(model.outputs.size());
    std::vector<Collected> all(model.outputs.size());
    for (std::size_t i = 0; i != data.size(); ++i) {
        auto const batch = data.load(i);
        if (!batch && interrupted()) throw Stop(exit_interrupted, "interrupted; nothing was written");
        const ad::Batch& tensors = batch.value();
        runner.run_batch(tensors, model.network.outputs(), values);
        for (std::size_t k = 0; k != values.size(); ++k) all[k].add(values[k]);
        if (data.size() > 1)
            console.progress("running", concat("batch ", i + 1, " of ", data.size()),
                             static_cast<double>(i + 1) / static_cast<double>(data.size()));
    }
    console.finish();
    auto const content = [&](std::size_t k) {
        return ad::detail::npy_content<float>(ad::NpyShape(all[k].shape.begin(), all[k].shape.end()),
                                              std::span<const float>(all[k].values));
    };
    if (options.out.ends_with(".npy")) {
        ad::write_file(options.out, content(0)).value();
    } else {
        ad::ZipWriter zip;
        for (std::size_t k = 0; k != all.size(); ++k) zip.add(model.outputs[k] + ".npy", content(k));
        auto bytes = std::move(zip).finish();
        ad::write_file(options.out, bytes.value()).value();
    }
    ad::Table table({{.heading = "output", .least = 12}, {"shape"}});
    for (std::size_t k = 0; k != all.size(); ++k)
        table.add({model.outputs[k], ad::nn::to_string(all[k].shape)});
    console.table(concat("written: ", options.out,
                         deployed ? options.simulate ? ", of the simulation" : ", of the integers" : ""),
                  table.text(console.width()));
    return exit_done;
}

}  // namespace tool
