// SPDX-License-Identifier: Apache-2.0
// From a configuration to a record: trains a network on the digits, quantizes and distills it as the
// configuration says, and writes what a device needs.
#include <algorithm>
#include <amct_distill/adapters/report_json.hpp>
#include <amct_distill/amct_distill.hpp>
#include <amct_distill/core/wrap.hpp>
#include <amct_distill/deploy/integer.hpp>
#include <amct_distill/io/terminal.hpp>
#include <amct_distill/report/html.hpp>
#include <amct_distill/report/make_page.hpp>
#include <amct_distill/report/progress.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>

#include "command_line.hpp"
#include "digits.hpp"

using namespace amct_distill;

namespace {

constexpr const char* usage =
    "usage: quickstart [--config FILE] [--out DIR] [--epochs N] [--threads N] [--resume]\n"
    "                  [--verify] [--seed N] [--data FILE]\n"
    "\n"
    "Trains a small network on 8x8 digits, quantizes and distills it, and writes to DIR\n"
    "record.txt (quantization factors), the integer weights and biases of each layer (weights/)\n"
    "and what was done: report.html, to be read, and report.json.\n"
    "\n"
    "  --config FILE  the distillation configuration     (default: examples/digits.cfg)\n"
    "  --out DIR      where the files go                 (default: build/digits)\n"
    "  --epochs N     passes over the data per block     (default: 5)\n"
    "  --threads N    the result does not depend on it   (default: all of the machine's)\n"
    "  --resume       go on where a run that was interrupted left DIR\n"
    "  --verify       run the integers, too, and compare them with the simulation\n"
    "  --seed N       of the network and its training    (default: 1)\n"
    "  --data FILE    the digits                         (default: examples/data/digits.csv)\n"
    "  --help         this text\n"
    "\n"
    "Exit codes: 0 done; 1 an input or a file is wrong, or --verify found a difference that\n"
    "rounding does not explain; 2 the command line is wrong.\n";

struct Options {
    std::string config = AMCT_DISTILL_EXAMPLES_DIR "/digits.cfg";
    std::string data = AMCT_DISTILL_EXAMPLES_DIR "/data/digits.csv";
    std::string out = "build/digits";
    int epochs = 5, threads = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 64u));
    int seed = 1;
    bool resume = false, verify = false;
};

Options parse(int argc, char** argv) {
    Options o;
    parse_command_line(argc, argv, usage,
                       {{"--config", &o.config},
                        {"--data", &o.data},
                        {"--out", &o.out},
                        {"--epochs", &o.epochs},
                        {"--threads", &o.threads},
                        {"--seed", &o.seed},
                        {"--resume", &o.resume},
                        {"--verify", &o.verify}});
    return o;
}

/// Sentences and tables, as wide as the terminal.
void say(const std::string& sentence) { std::fputs(wrapped(sentence, terminal_width(), 0).c_str(), stdout); }
void print(const std::string& heading, const std::string& table) {
    say("\n" + heading);
    std::fputs(table.c_str(), stdout);
}

/// A result's value, after its warnings, which are kept; throws what is wrong with it.
template <class T>
T checked(result<T> r, Diagnostics& kept) {
    if (r && !r.diagnostics().empty()) std::printf("%s\n", to_string(r.diagnostics()).c_str());
    if (r) kept.insert(kept.end(), r.diagnostics().begin(), r.diagnostics().end());
    return std::move(r).value();
}

int run(const Options& options) {
    // The configuration, before anything takes time; its names are checked against the network.
    SourceText source = SourceText::file(options.config).value();
    source.name = std::filesystem::path(options.config).filename().string();
    Diagnostics warnings;
    auto const config = checked(read<AMCTDistillConfig>(source), warnings);
    nn::Network teacher = digits::make_network(static_cast<std::uint64_t>(options.seed));
    auto const plan =
        checked(resolve(config, teacher.topology(), target::generic, {.source = source}), warnings);
    auto const data = digits::load(options.data).value();
    std::filesystem::path const out = options.out;
    std::filesystem::create_directories(out);  // rather now than after the training
    std::printf("configuration: %s\n", options.config.c_str());
    std::size_t const width = terminal_width();
    print("The plan: each layer's settings, and where they come from", to_table(plan, width));

    say(detail::concat("\nTraining the FP32 teacher on ", data.train.size(), " digits, testing with ",
                       data.test.size(), " ..."));
    std::fflush(stdout);
    digits::train(teacher, data.train, static_cast<std::uint64_t>(options.seed));

    // The student: calibrated, then distilled.
    auto const batches = digits::batches(data.train, 64);
    Student student = make_student(teacher, plan).value();
    RunOptions run{.threads = options.threads};
    calibrate(student, batches, run).value();
    nn::Tensor const calibrated = student.predict(data.test.images);
    say(detail::concat("Distilling ", plan.blocks.size(), " blocks, ", options.epochs, " epochs of ",
                       batches.size(), " steps each ..."));
    ProgressLine progress;
    run.directory = out / "run";
    run.resume = options.resume;
    run.on_progress = show_progress(progress);
    auto const report = distill(teacher, student, batches, {.epochs = options.epochs}, run);
    progress.finish();
    if (!report) {
        std::fprintf(stderr, "%s\n", to_string(report.diagnostics()).c_str());
        if (!options.resume && std::filesystem::exists(run.directory))
            std::fprintf(stderr, "quickstart: --resume continues an interrupted run\n");
        return 1;
    }
    print("The quantized layers, distilled (SQNR: signal to quantization noise), and the blocks",
          to_table(*report, width));

    // What a device needs, and how near it is to the teacher.
    Deployment const device = deploy(student).value();
    digits::Comparison whole(data.test, teacher.predict(data.test.images));
    whole.add("calibrated", calibrated);
    whole.add("distilled", student.predict(data.test.images));
    if (options.verify) whole.add("in integers", integer_network(device).predict(data.test.images));
    print("The whole network, on the test digits", whole.text(width));
    write(device, out).value();
    boost::json::object json = to_json(*report).as_object();
    ReportPage page = make_page("digits", teacher, student, batches, *report, run).value();
    page.test = whole.results;
    page.warnings = warnings;
    page.run = {.config_name = source.name, .config_text = source.text};
    json["test"] = fields_to_json(page.test);
    json["observed"] = fields_to_json(*page.observed);
    VerifyReport verified;
    if (options.verify) {
        verified = verify(device, student, batches).value();
        print("The integers, layer by layer, against the simulation", to_table(verified, width));
        json["verify"] = to_json(verified);
        page.verified = verified;
    }
    write_file(out / "report.json", print_json(json)).value();
    write_file(out / "report.html", to_html(page)).value();
    say(detail::concat("\nwritten: ", (out / "record.txt").string(), ", ", (out / "report.html").string(),
                       ", report.json, and the weights and biases of ", device.layers().size(), " layers in ",
                       (out / "weights").string()));
    std::filesystem::remove_all(out / "run");  // nothing is left to resume
    return verified.agrees() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try { return run(parse(argc, argv)); } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
