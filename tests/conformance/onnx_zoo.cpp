// SPDX-License-Identifier: Apache-2.0
// The models of tests/golden/zoo, which other programs wrote, through the import: the right numbers, modules
// by their names, and refusals that name the operator. See the README there.
//
//     conformance_onnx_zoo [TEXT] [--tasks DIRECTORY] [-v]                 those whose name has TEXT in it
//
// Every model that runs is imported with a free batch, and as its file has it; run as whole batches, and
// sample by sample; and written and read back, when it has the same modules and computes the same bits. With
// --tasks what was written is left in a folder, with inputs and outputs for ONNX Runtime: see
// tests/models.sh.
#include <amct_distill/nn/print.hpp>
#include <amct_distill/onnx/export.hpp>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/model_file.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/golden.hpp"
#include "support/onnx_data.hpp"
#include "support/onnx_tasks.hpp"

namespace {

using namespace amct_distill;
namespace fs = std::filesystem;
namespace json = boost::json;

using Tensors = std::map<std::string, onnx_data::Values, std::less<>>;

struct Case {
    Tensors inputs{}, outputs{};
};

std::string text(const json::value& v) { return std::string(v.as_string()); }
const json::value* find(const json::value& model, std::string_view key) {
    return model.as_object().if_contains(key);
}

Tensors tensors(const json::value& list) {
    Tensors out;
    for (auto const& [name, tensor] : list.as_object()) {
        onnx_data::Values v{.name = std::string(name), .shape = golden::shape(tensor)};
        for (const auto& x : tensor.at("data").as_array()) v.data.push_back(golden::to_double(x));
        out.emplace(std::string(name), std::move(v));
    }
    return out;
}

/// Samples [first, first + count) along dimension 0.
nn::Tensor samples(const onnx_data::Values& v, std::size_t first, std::size_t count) {
    std::size_t const each = v.data.size() / v.shape.at(0);
    nn::Shape shape = v.network_shape();
    shape[0] = static_cast<nn::Index>(count);
    nn::Tensor out(shape);
    for (std::size_t i = 0; i != out.size(); ++i) out[i] = static_cast<float>(v.data[first * each + i]);
    return out;
}

class Model {
public:
    explicit Model(const std::string& name)
        : json_(golden::load("zoo/" + name + ".json")),
          path_(fs::path(AMCT_DISTILL_GOLDEN_DIR) / "zoo" / text(json_.at("file"))) {}

    bool must_run() const { return text(json_.at("expect")) == "run"; }
    const std::vector<std::string>& errors() const { return errors_; }
    double worst() const { return worst_; }
    std::size_t runs() const { return runs_; }
    std::size_t names() const { return names_; }
    bool refused_as_allowed() const { return refused_; }

    void check_refusal() {
        result<onnx::Imported> const imported = onnx::import_network(path_, {});
        if (imported) return fail("imported, though it must be refused");
        std::string const message = to_string(imported.diagnostics());
        if (message.empty()) return fail("refused without a reason");
        const json::value* const op = find(json_, "refuse_op");
        if (op == nullptr) return;
        if (message.find(text(*op)) != message.npos) return;
        const json::value* const note = find(json_, "note");
        for (const auto& other : json_.at("ops").as_array())
            if (note && text(*note).find(text(other)) != std::string::npos &&
                message.find(text(other)) != message.npos)
                return;
        fail("refused, but " + text(*op) + " is not named: " + message);
    }

    void check_run(onnx_tasks::Tasks* tasks) {
        std::vector<Case> cases;
        for (const auto& c : json_.at("cases").as_array())
            cases.push_back({tensors(c.at("inputs")), tensors(c.at("outputs"))});
        bool named = false;
        for (onnx::Batch batch : {onnx::Batch::free, onnx::Batch::as_exported}) {
            result<onnx::Imported> imported = general_error("no case");
            onnx::UserShapes last;
            for (const Case& c : cases) {
                onnx::ImportOptions options{.shapes = shapes_for(c), .batch = batch};
                if (!imported || options.shapes != last) {
                    last = options.shapes;
                    imported = onnx::import_network(path_, options);
                }
                if (!imported) {
                    std::string const why = to_string(imported.diagnostics());
                    if (const json::value* const allow = find(json_, "allow");
                        allow && text(*allow) == "refuse") {
                        refused_ = true;
                        return;
                    }
                    return fail("refused: " + why);
                }
                if (!std::exchange(named, true)) check_names(*imported);
                run(*imported, c, batch);
                if (&c == &cases.front()) write_and_read(*imported, c, batch, tasks);
                if (!errors_.empty()) return;
            }
        }
    }

private:
    void fail(const std::string& what) { errors_.push_back(what); }

    /// What the file leaves open besides the batch.
    onnx::UserShapes shapes_for(const Case& c) const {
        onnx::UserShapes out;
        for (auto const& [name, dims] : json_.at("inputs").as_object()) {
            const auto& list = dims.as_array();
            bool open = false;
            for (std::size_t i = 1; i < list.size(); ++i) open = open || list[i].is_string();
            auto const given = c.inputs.find(std::string_view(name));
            if (!open || given == c.inputs.end()) continue;
            const auto& shape = given->second.shape;
            std::vector<std::int64_t>& out_shape = out[std::string(name)];
            out_shape.assign(shape.begin(), shape.end());
            if (list[0].is_string()) out_shape[0] = -1;
        }
        return out;
    }

    void run(const onnx::Imported& imported, const Case& c, onnx::Batch way) {
        const nn::Network& network = imported.network;
        std::size_t const whole = c.inputs.begin()->second.shape.at(0);
        bool const free = network.node(network.inputs()[0]).shape[0] == nn::any_batch;
        auto const fixed = static_cast<std::size_t>(free ? 0 : network.node(network.inputs()[0]).shape[0]);
        bool const dynamic = json_.at("batch").is_string();
        if (!free && way == onnx::Batch::free && dynamic) return fail("its batch is not free");
        if (!free && (fixed == 0 || whole % fixed != 0))
            return fail("its batch is " + std::to_string(fixed) + ", which does not divide the case's " +
                        std::to_string(whole));
        std::vector<std::size_t> steps;
        if (free) steps = {whole, 1};
        if (!free) steps = {fixed};
        for (std::size_t step : steps) {
            std::vector<std::vector<float>> found(imported.outputs.size());
            for (std::size_t first = 0; first < whole; first += step) {
                std::vector<nn::Tensor> inputs;
                for (const std::string& name : imported.inputs) {
                    auto const at = c.inputs.find(name);
                    if (at == c.inputs.end()) return fail("it has an input " + name + ", the case has not");
                    inputs.push_back(samples(at->second, first, step));
                }
                std::vector<nn::Tensor> const out = network.predict(inputs);
                if (out.size() != found.size()) return fail("another number of outputs than names of them");
                for (std::size_t k = 0; k != out.size(); ++k) {
                    auto const at = c.outputs.find(imported.outputs[k]);
                    if (at == c.outputs.end()) return fail("the case has no output " + imported.outputs[k]);
                    nn::Shape expected = at->second.network_shape();
                    expected[0] = expected[0] / static_cast<nn::Index>(whole) * static_cast<nn::Index>(step);
                    if (out[k].shape() != expected)
                        return fail("output " + imported.outputs[k] + " is " + nn::to_string(out[k].shape()) +
                                    ", expected " + nn::to_string(expected));
                    found[k].insert(found[k].end(), out[k].begin(), out[k].end());
                }
            }
            compare(imported.outputs, found, c, step);
        }
    }
    void compare(const std::vector<std::string>& names, const std::vector<std::vector<float>>& found,
                 const Case& c, std::size_t step) {
        if (names.size() != json_.at("outputs").as_array().size())
            fail("it has " + std::to_string(names.size()) + " outputs");
        for (std::size_t k = 0; k != found.size(); ++k) {
            onnx_data::Difference const d =
                onnx_data::compare(found[k], c.outputs.find(names[k])->second.data);
            worst_ = (std::max)(worst_, d.relative);
            if (!d.same_size || !(d.relative <= golden::to_double(json_.at("tolerance"))))
                fail("output " + names[k] + " at " + std::to_string(step) + " of " +
                     std::to_string(c.inputs.begin()->second.shape[0]) + " samples differs by " +
                     std::to_string(d.largest) + " of " + std::to_string(d.largest_expected));
        }
        ++runs_;
    }

    void write_and_read(const onnx::Imported& imported, const Case& c, onnx::Batch way,
                        onnx_tasks::Tasks* tasks) {
        const nn::Network& network = imported.network;
        nn::Index const fixed = network.node(network.inputs()[0]).shape[0];
        std::vector<nn::Tensor> inputs;
        for (const std::string& name : imported.inputs) {
            const onnx_data::Values& v = c.inputs.find(name)->second;
            inputs.push_back(
                samples(v, 0, fixed == nn::any_batch ? v.shape[0] : static_cast<std::size_t>(fixed)));
        }
        std::vector<nn::Tensor> const found = network.predict(inputs);
        onnx::ExportOptions const names{.inputs = imported.inputs, .outputs = imported.outputs};
        result<std::string> const bytes = onnx::export_bytes(network, names);
        if (!bytes) return fail("export: " + to_string(bytes.diagnostics()));
        result<onnx::ModelFile> const file = onnx::ModelFile::of_bytes(*bytes, "exported.onnx");
        if (!file) return fail("what was exported: " + to_string(file.diagnostics()));
        result<onnx::Imported> const back = onnx::import_network(*file, {.batch = way});
        if (!back) return fail("import of what was exported: " + to_string(back.diagnostics()));
        if (back->network.predict(inputs) != found) fail("what was exported computes other bits");
        // A product with the transposed weight of another module is a layer of its own when it is read back.
        std::set<std::string> const before = weighted_modules(network),
                                    after = weighted_modules(back->network);
        if (!std::ranges::includes(after, before))
            fail("what was exported has the modules " + joined(after) + "; they were " + joined(before));
        if (tasks == nullptr || way != onnx::Batch::free) return;
        fs::path const path = tasks->directory() / path_.filename();
        write_file(path, *bytes).value();
        auto const named = [](const std::vector<std::string>& of, const std::vector<nn::Tensor>& tensors) {
            std::vector<onnx_tasks::NamedTensor> out;
            for (std::size_t i = 0; i != of.size(); ++i) out.push_back({of[i], tensors[i], false});
            return out;
        };
        tasks->add(path, named(imported.inputs, inputs), named(imported.outputs, found),
                   golden::to_double(json_.at("tolerance")));
    }
    static std::set<std::string> weighted_modules(const nn::Network& network) {
        std::set<std::string> out;
        for (const auto& m : network.modules())
            if (m.module.weighted() != nullptr) out.insert(m.name);
        return out;
    }
    static std::string joined(const std::set<std::string>& names) {
        std::string out;
        for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
        return out;
    }

    /// Every convolution and linear layer is there by its name, its type, its shape, as often as it is used.
    void check_names(const onnx::Imported& imported) {
        const nn::Network& network = imported.network;
        std::set<std::string> const there = weighted_modules(network);
        std::string const all = joined(there);
        const json::value* const modules = find(json_, "modules");
        if (modules == nullptr) return;
        for (const auto& m : modules->as_array()) {
            if (text(m.at("recover")) == "none") continue;
            std::string const name = text(m.at("name"));
            auto const id = network.graph().module_named(name);
            if (!id || !there.contains(name)) {
                fail("no weighted module is called " + name + "; there are " + all);
                continue;
            }
            std::string type = text(m.at("type"));
            if (type.ends_with("Linear")) type = "Linear";
            const nn::Module& module = network.module(*id);
            if (module.type() != type)
                fail(name + " is a " + std::string(module.type()) + ", expected " + type);
            auto const parameters = module.parameters();
            std::vector<nn::Index> shape;
            for (const auto& d : m.at("weight_shape").as_array()) shape.push_back(d.to_number<nn::Index>());
            if (parameters.empty() || !std::ranges::equal(parameters[0].shape(), shape))
                fail(name + ": its weight has another shape than " + nn::to_string(shape));
            const json::value* const uses = find(m, "uses");
            if (uses != nullptr && network.graph().uses(*id).size() != uses->to_number<std::size_t>())
                fail(name + ": it has " + std::to_string(network.graph().uses(*id).size()) + " uses");
            ++names_;
        }
        // There are more where the model multiplies by a parameter that is no module's in PyTorch.
        if (there.size() < modules->as_array().size())
            fail("it has " + std::to_string(there.size()) + " weighted modules, expected at least " +
                 std::to_string(modules->as_array().size()) + "; there are " + all);
    }

    json::value json_;
    fs::path path_;
    std::vector<std::string> errors_{};
    double worst_ = 0;
    std::size_t runs_ = 0, names_ = 0;
    bool refused_ = false;
};

}  // namespace

int main(int argc, char** argv) {
    std::string only;
    bool verbose = false;
    std::optional<onnx_tasks::Tasks> tasks;
    for (int i = 1; i < argc; ++i)
        if (std::string_view(argv[i]) == "--tasks" && i + 1 < argc)
            tasks.emplace(argv[++i]);
        else if (std::string_view(argv[i]) == "-v")
            verbose = true;
        else
            only = argv[i];
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(fs::path(AMCT_DISTILL_GOLDEN_DIR) / "zoo"))
        if (entry.path().extension() == ".json" && entry.path().stem() != "real" &&
            entry.path().stem().string().find(only) != std::string::npos)
            names.insert(entry.path().stem().string());

    std::size_t ran = 0, refused = 0, allowed = 0, runs = 0, modules = 0, failed = 0;
    double worst = 0;
    for (const std::string& name : names) {
        Model model(name);
        std::vector<std::string> errors;
        try {
            model.must_run() ? model.check_run(tasks ? &*tasks : nullptr) : model.check_refusal();
        } catch (const std::exception& e) {
            errors.push_back(std::string("threw: ") + e.what());
        }
        errors.insert(errors.end(), model.errors().begin(), model.errors().end());
        for (const std::string& e : errors)
            std::printf("%s: %s\n", name.c_str(), (verbose ? e : e.substr(0, e.find('\n'))).c_str());
        failed += !errors.empty();
        if (!errors.empty()) continue;
        (model.refused_as_allowed() ? allowed : model.must_run() ? ran : refused) += 1;
        runs += model.runs();
        modules += model.names();
        worst = (std::max)(worst, model.worst());
        if (verbose) std::printf("%s: as expected, differs by %.2g\n", name.c_str(), model.worst());
    }
    if (tasks) tasks->write();
    std::printf(
        "conformance: zoo: of %zu models %zu ran (%zu runs, at most %.2g of the largest output), %zu refused "
        "(%zu more where that is as good), %zu modules by their names, %zu failed\n",
        names.size(), ran, runs, worst, refused, allowed, modules, failed);
    return failed == 0 && !names.empty() ? 0 : 1;
}
