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

using namespace amct_distill;

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

void print_warnings(const Diagnostics& warnings) {
    if (!warnings.empty()) std::printf("%s\n", to_string(warnings).c_str());
}

/// Sentences and tables, as wide as the terminal.
void say(const std::string& sentence) { std::fputs(wrapped(sentence, terminal_width(), 0).c_str(), stdout); }
void print_table(const std::string& heading, const std::string& table) {
    std::printf("\n");
    say(heading);
    std::fputs(table.c_str(), stdout);
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
    std::size_t const width = terminal_width();
    print_table("The plan: each layer's settings, and where they come from", to_table(*plan, width));

    // 2. The float teacher.
    std::printf("\n");
    say(detail::concat("Training the FP32 teacher on ", data->train.size(), " digits, testing with ",
                       data->test.size(), " ..."));
    std::fflush(stdout);
    digits::train(teacher, data->train, static_cast<std::uint64_t>(options.seed));
    nn::Tensor const reference = teacher.predict(data->test.images);

    // 3. The student: calibrated, then distilled.
    auto const batches = digits::batches(data->train, 64);
    Student student = make_student(teacher, *plan).value();
    RunOptions run{.threads = options.threads};
    calibrate(student, batches, run).value();
    nn::Tensor const calibrated = student.predict(data->test.images);

    say(detail::concat("Distilling ", plan->blocks.size(), " blocks, ", options.epochs, " epochs of ",
                       batches.size(), " steps each ..."));
    ProgressLine progress;
    run.directory = options.out / "run";
    run.resume = options.resume;
    run.on_progress = [&](const Progress& p) {
        double const done = p.epoch + static_cast<double>(p.step + 1) / static_cast<double>(p.steps);
        progress.show(
            detail::concat("block ", p.block + 1, " of ", p.blocks),
            detail::concat("epoch ", p.epoch + 1, " of ", p.epochs, ", loss ", detail::short_number(p.loss)),
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

    print_table("The quantized layers, distilled (SQNR: signal to quantization noise), and the blocks",
                to_table(report, width));
    // 4. What a device needs, checked by reading it back and, when asked for, by running it.
    auto const device = deploy(student);
    if (!device) return std::fprintf(stderr, "%s\n", to_string(device.diagnostics()).c_str()), 1;
    ScaleOffsetRecord const record = make_record(*device);
    Table whole({{""}, {"accuracy"}, {"mean squared error of the logits"}});
    auto const add = [&](const char* name, const nn::Tensor& logits) {
        whole.add({name, detail::percent(digits::accuracy(logits, data->test)),
                   &logits == &reference ? "0" : detail::short_number(squared_error(logits, reference))});
    };
    add("FP32 teacher", reference);
    add("calibrated", calibrated);
    add("distilled", distilled);
    if (options.verify) add("in integers", integer_network(*device).predict(data->test.images));
    print_table("The whole network, on the test digits", whole.text(width));

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
        VerifyReport const verified = verify(*device, student, batches).value();
        print_table("The integers, layer by layer, against the simulation", to_table(verified, width));
        json["verify"] = to_json(verified);
        agrees = verified.agrees();
    }
    write_file(report_path, print_json(json)).value();
    if (read<ScaleOffsetRecord>(read_file(record_path).value()).value() != record) {
        std::fprintf(stderr, "error: %s does not read back as it was written\n", record_path.c_str());
        return 1;
    }
    std::printf("\n");
    say(detail::concat("written: ", record_path.string(), " (", record.record.size(),
                       " layers, read back and equal), their weights and biases below weights/"));
    say(detail::concat("written: ", report_path.string()));
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
