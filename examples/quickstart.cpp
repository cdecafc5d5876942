// SPDX-License-Identifier: Apache-2.0
// From a configuration to a record: trains a network on the digits, quantizes and distills it as the
// configuration says, and writes what a device needs.
#include <algorithm>
#include <amct_distill/adapters/report_json.hpp>
#include <amct_distill/amct_distill.hpp>
#include <charconv>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "digits.hpp"
#include "terminal.hpp"

using namespace amct_distill;
using terminal::number;
using terminal::percent;

namespace {

constexpr const char* usage =
    "usage: quickstart [--config FILE] [--out DIR] [--epochs N] [--threads N] [--resume]\n"
    "                  [--verify] [--seed N] [--data FILE]\n"
    "\n"
    "Trains a small network on 8x8 digits, quantizes and distills it, and writes to DIR\n"
    "record.txt (quantization factors), the integer weights and biases of each layer (weights/)\n"
    "and report.json (what was done).\n"
    "\n"
    "  --config FILE  the distillation configuration     (default: examples/digits.cfg)\n"
    "  --out DIR      where the files go                 (default: build/quickstart)\n"
    "  --epochs N     passes over the data per block     (default: 5)\n"
    "  --threads N    the result does not depend on it   (default: all of the machine's)\n"
    "  --resume       go on where a run that was interrupted left DIR\n"
    "  --verify       run the integers, too, and compare them with the simulation\n"
    "  --seed N       of the network and its training    (default: 1)\n"
    "  --data FILE    the digits                         (default: examples/data/digits.csv)\n"
    "  --help         this text\n"
    "\n"
    "Exit codes: 0 done; 1 the configuration, the data or a file is wrong, or --verify found a\n"
    "difference that rounding does not explain; 2 the command line is wrong.\n";

struct Options {
    std::string config = AMCT_DISTILL_EXAMPLES_DIR "/digits.cfg";
    std::string data = AMCT_DISTILL_EXAMPLES_DIR "/data/digits.csv";
    std::filesystem::path out = "build/quickstart";
    int epochs = 5;
    int threads = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 64u));
    bool resume = false;
    bool verify = false;
    int seed = 1;
};

/// Exits with 2 on anything that is not understood, with 0 after --help.
Options parse(int argc, char** argv) {
    Options options;
    auto const fail = [](const std::string& why) {
        std::fprintf(stderr, "quickstart: %s\n\n%s", why.c_str(), usage);
        std::exit(2);
    };
    for (int i = 1; i < argc; ++i) {
        std::string_view const name = argv[i];
        if (name == "--help" || name == "-h") {
            std::fputs(usage, stdout);
            std::exit(0);
        }
        if (name == "--resume" || name == "--verify") {
            (name == "--resume" ? options.resume : options.verify) = true;
            continue;
        }
        std::set<std::string_view> const known{"--config",  "--out",  "--epochs",
                                               "--threads", "--seed", "--data"};
        if (!known.contains(name)) fail(detail::concat("unknown option `", name, "`"));
        if (++i == argc) fail(detail::concat(name, " needs a value"));
        std::string_view const value = argv[i];
        auto const to_int = [&](int& target, int least, int most) {
            auto const [end, error] = std::from_chars(value.data(), value.data() + value.size(), target);
            if (error != std::errc{} || end != value.data() + value.size() || target < least || target > most)
                fail(detail::concat(name, " needs a whole number from ", least, " to ", most, "; found `",
                                    value, "`"));
        };
        if (name == "--config") options.config = value;
        if (name == "--data") options.data = value;
        if (name == "--out") options.out = value;
        if (name == "--epochs") to_int(options.epochs, 0, 1'000'000);
        if (name == "--threads") to_int(options.threads, 1, 1024);
        if (name == "--seed") to_int(options.seed, 0, 2'000'000'000);
    }
    return options;
}

std::string short_number(float x) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", static_cast<double>(x));
    return text;
}

void print_warnings(const Diagnostics& warnings) {
    if (!warnings.empty()) std::printf("%s\n", to_string(warnings).c_str());
}

void print_plan(const DistillPlan& plan) {
    terminal::print_heading("The plan: each layer's settings, and where they come from");
    std::vector<terminal::Row> rows{{"layer", "setting", "value", "from"}};
    for (const PlannedLayer& l : plan.layers) {
        std::string name = l.name;
        auto const add = [&](std::string setting, std::string value, const Provenance& from) {
            rows.push_back({std::exchange(name, ""), std::move(setting), std::move(value), from.text});
        };
        if (!l.quant_enable) {
            add("skipped", "not quantized, trained in float", l.quant_enable_from);
            continue;
        }
        // One row per algorithm, and one for each setting that the rule behind it leaves to a default.
        add("weights", describe(l.weights), l.weights_from.algo);
        for (std::string_view setting : {"dst_type", "channel_wise"})
            if (const Provenance& from = l.weights_from[setting]; !from.by_user)
                add(std::string(setting), "", from);
        const auto& data = *l.data.get_if<ActULQquantize>();
        add("data", describe(l.data), l.data_from.algo);
        if (const Provenance& from = l.data_from["dst_type"]; !from.by_user) add("dst_type", "", from);
        add("fixed_min", data.fixed_min.get() ? "true" : "false", l.data_from["fixed_min"]);
        if (data.clip_max_min.has_value())
            add("clips",
                detail::concat(short_number(*data.clip_max_min->clip_min), " .. ",
                               short_number(*data.clip_max_min->clip_max)),
                l.data_from["clip_max_min"]);
        else
            add("clips", "by IFMR", l.data_from["clip_max_min"]);
    }
    terminal::print_table(rows);

    std::printf("\n");
    rows = {{"block", "layers", "from"}};
    for (std::size_t b = 0; b != plan.blocks.size(); ++b) {
        std::string names;
        for (const std::string& name : plan.blocks[b].names) names += (names.empty() ? "" : " ") + name;
        rows.push_back({std::to_string(b + 1), std::move(names), plan.blocks[b].from.text});
    }
    terminal::print_table(rows);
    std::printf("\n");
    terminal::print_table({{"setting", "value", "from"},
                           {"batch_num", std::to_string(plan.batch_num.value), plan.batch_num.from.text},
                           {"group_size", std::to_string(plan.group_size.value), plan.group_size.from.text},
                           {"data_dump", plan.data_dump.value ? "true" : "false", plan.data_dump.from.text}});
}

double squared_error(const nn::Tensor& a, const nn::Tensor& b) {
    double sum = 0;
    for (std::size_t i = 0; i != a.size(); ++i) {
        double const d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
        sum += d * d;
    }
    return sum / static_cast<double>(a.size());
}

int run(const Options& options) {
    // 1. The configuration, before anything takes time; its names are checked against the network.
    auto const text = read_file(options.config);
    if (!text) return std::fprintf(stderr, "%s\n", to_string(text.diagnostics()).c_str()), 1;
    std::string const source = std::filesystem::path(options.config).filename().string();
    auto const config = read<AMCTDistillConfig>(*text, {.source = source});
    if (!config) return std::fprintf(stderr, "%s\n", to_string(config.diagnostics()).c_str()), 1;
    print_warnings(config.diagnostics());
    nn::Network teacher = digits::make_network(static_cast<std::uint64_t>(options.seed));
    auto const plan =
        resolve(*config, teacher.topology(), target::generic, {.source = source, .text = *text});
    if (!plan) return std::fprintf(stderr, "%s\n", to_string(plan.diagnostics()).c_str()), 1;
    auto const data = digits::load(options.data);
    if (!data) return std::fprintf(stderr, "%s\n", to_string(data.diagnostics()).c_str()), 1;

    std::error_code error;
    std::filesystem::create_directories(options.out, error);  // rather now than after the training
    if (error)
        return std::fprintf(stderr, "error: cannot create %s: %s\n", options.out.c_str(),
                            error.message().c_str()),
               1;

    std::printf("configuration: %s\n", options.config.c_str());
    print_warnings(plan.diagnostics());
    print_plan(*plan);

    // 2. The float teacher.
    std::printf("\nTraining the FP32 teacher on %zu digits, testing with %zu ...\n", data->train.size(),
                data->test.size());
    std::fflush(stdout);
    digits::train(teacher, data->train, static_cast<std::uint64_t>(options.seed));
    nn::Tensor const reference = teacher.predict(data->test.images);

    // 3. The student: calibrated, then distilled.
    auto const batches = digits::batches(data->train, 64);
    Student student = make_student(teacher, *plan).value();
    RunOptions run{.threads = options.threads};
    calibrate(student, batches, run).value();
    nn::Tensor const calibrated = student.predict(data->test.images);

    std::printf("Distilling %zu blocks, %d epochs of %zu steps each ...\n", plan->blocks.size(),
                options.epochs, batches.size());
    terminal::Progress progress;
    run.directory = options.out / "run";
    run.resume = options.resume;
    run.on_progress = [&](const Progress& p) {
        double const done = p.epoch + static_cast<double>(p.step + 1) / static_cast<double>(p.steps);
        progress.show(detail::concat("block ", p.block + 1, " of ", p.blocks),
                      detail::concat("epoch ", p.epoch + 1, " of ", p.epochs, ", loss ", number(p.loss)),
                      done / p.epochs);
        return true;
    };
    auto const distillation = distill(teacher, student, batches, {.epochs = options.epochs}, run);
    progress.finish();
    if (!distillation) {
        std::fprintf(stderr, "%s\n", to_string(distillation.diagnostics()).c_str());
        if (!options.resume && std::filesystem::exists(options.out / "run"))
            std::fprintf(stderr, "quickstart: --resume continues an interrupted run\n");
        return 1;
    }
    const DistillReport& report = *distillation;
    nn::Tensor const distilled = student.predict(data->test.images);

    terminal::print_heading(
        "The quantized layers, distilled (SQNR: signal to quantization noise), and the blocks");
    std::fputs(to_table(report).c_str(), stdout);
    // 4. What a device needs, checked by reading it back and, when asked for, by running it.
    auto const device = deploy(student);
    if (!device) return std::fprintf(stderr, "%s\n", to_string(device.diagnostics()).c_str()), 1;
    ScaleOffsetRecord const record = make_record(*device);
    std::vector<terminal::Row> rows{{"", "accuracy", "mean squared error of the logits"}};
    auto const add = [&](const char* name, const nn::Tensor& logits) {
        rows.push_back({name, percent(digits::accuracy(logits, data->test)),
                        &logits == &reference ? "0" : number(squared_error(logits, reference))});
    };
    add("FP32 teacher", reference);
    add("calibrated", calibrated);
    add("distilled", distilled);
    if (options.verify) add("in integers", integer_network(*device).predict(data->test.images));
    terminal::print_heading("The whole network, on the test digits");
    terminal::print_table(rows);

    std::filesystem::path const record_path = options.out / "record.txt",
                                report_path = options.out / "report.json";
    write(*device, options.out).value();
    boost::json::object json = to_json(report).as_object();
    json["accuracy"] = {{"fp32", digits::accuracy(reference, data->test)},
                        {"calibrated", digits::accuracy(calibrated, data->test)},
                        {"distilled", digits::accuracy(distilled, data->test)}};
    json["logits_error"] = {{"calibrated", squared_error(calibrated, reference)},
                            {"distilled", squared_error(distilled, reference)}};
    bool agrees = true;
    if (options.verify) {
        terminal::print_heading("The integers, layer by layer, against the simulation");
        VerifyReport const verified = verify(*device, student, batches).value();
        std::fputs(to_table(verified).c_str(), stdout);
        json["verify"] = to_json(verified);
        agrees = verified.agrees();
    }
    write_file(report_path, print_json(json)).value();
    if (read<ScaleOffsetRecord>(read_file(record_path).value()).value() != record) {
        std::fprintf(stderr, "error: %s does not read back as it was written\n", record_path.c_str());
        return 1;
    }
    std::printf(
        "\nwritten: %s (%zu layers, read back and equal), their weights and biases below weights/\n"
        "written: %s\n",
        record_path.c_str(), record.record.size(), report_path.c_str());
    std::filesystem::remove_all(options.out / "run", error);  // nothing is left to resume
    return agrees ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    Options const options = parse(argc, argv);
    try {
        return run(options);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
