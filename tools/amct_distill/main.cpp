// SPDX-License-Identifier: Apache-2.0
// amct-distill: the command line.
#include <CLI/CLI.hpp>
#include <amct_distill/core/version.hpp>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <new>
#include <string>

#include "ranks.hpp"
#include "verbs.hpp"

using namespace tool;

namespace {

#define TOOL_TEXT_OF(x) #x
#define TOOL_TEXT(x) TOOL_TEXT_OF(x)
constexpr const char* version = "amct-distill " TOOL_TEXT(AMCT_DISTILL_VERSION_MAJOR) "." TOOL_TEXT(
    AMCT_DISTILL_VERSION_MINOR) "." TOOL_TEXT(AMCT_DISTILL_VERSION_PATCH);

/// A verb, its function, and an example that works as written.
class Verb {
public:
    Verb(CLI::App& program, const char* name, const char* does, const char* example, Options& options)
        : app_(*program.add_subcommand(name, does)), o_(options) {
        app_.footer(std::string("Example:\n  ") + example);
        app_.option_defaults()->delimiter('\0');
    }
    CLI::App& app() { return app_; }

    void model() {
        positional("MODEL", "the model: ONNX, or an .npz that nn::save wrote");
        shapes();
    }
    /// MODEL or DIR, which may also stand after --model.
    void positional(const char* name, const char* what) {
        app_.add_option(std::string("--model,") + name, o_.model.path, what)->type_name("FILE");
        needs_ = name;
    }
    void shapes() {
        app_.add_option("--shape,--input_shape", o_.model.shapes,
                        "sizes that the model leaves open: image:Nx3x224x224 (N: the batch stays free)")
            ->allow_extra_args(false);
        app_.add_flag("--follow-links", o_.model.follow_links, "external data may be symbolic links");
    }
    void config() {
        app_.add_option("--config,--calibration_config", o_.config,
                        "the distillation configuration, or a plan in JSON; none: every layer INT8");
        app_.add_option("--target", o_.target, "whose rules hold: generic or ascend")
            ->capture_default_str()
            ->check(CLI::IsMember({"generic", "ascend"}));
        app_.add_flag("--patterns", o_.patterns, "names of layers may have * and ?");
        app_.add_flag("--group-parts", o_.group_parts, "a distill_group may have several paths");
    }
    void data() {
        DataOptions& d = o_.data;
        app_.add_option("--data,--data_dir", d.data,
                        "the samples: .npy, .npz, .bin, images, or a folder or list of those; of several "
                        "inputs NAME=PATH each")
            ->allow_extra_args(false);
        needs_data_ = true;
        app_.add_option("--labels", d.labels, "the samples' class numbers (.npy): adds accuracy");
        app_.add_option("--batch", d.batch, "samples a batch")
            ->capture_default_str()
            ->check(CLI::Range(1, 1 << 20));
        app_.add_option("--limit", d.limit, "take the first so many samples");
        app_.add_option("--seed", d.seed, "shuffle the samples with this number");
        app_.add_option("--type,--data_types", d.types, "of raw .bin files: float32, uint8, ...");
        app_.add_option("--size", d.size, "of images, height x width: 224x224 (default: the model's)");
        app_.add_option("--resize", d.resize, "fill (stretch), fit (pad) or crop")
            ->capture_default_str()
            ->check(CLI::IsMember({"fit", "fill", "crop"}));
        app_.add_option("--mean", d.mean, "subtracted from a scaled pixel, per channel: a,b,c");
        app_.add_option("--std", d.std, "divides it, per channel: a,b,c");
        app_.add_option("--scale", d.scale, "multiplies the pixels 0..255")->capture_default_str();
        app_.add_option("--order", d.order, "of the channels: rgb or bgr")
            ->capture_default_str()
            ->check(CLI::IsMember({"rgb", "bgr"}));
        app_.add_option("--layout", d.layout, "nchw or nhwc (default: as the model's input looks)")
            ->check(CLI::IsMember({"nchw", "nhwc"}));
    }
    /// What is done before anything is learned.
    void preparation() {
        app_.add_option("--recipe", o_.recipe,
                        "options that go together, where they are not given: amct, AMCT's steps alone; fast, "
                        "--equalize depthwise --epochs 0; best, --equalize depthwise --blocks automatic "
                        "--drop-probability 0.5 --batch 2 --epochs 5")
            ->capture_default_str()
            ->check(CLI::IsMember({"amct", "fast", "best"}));
        app_.add_option("--equalize", o_.equalize,
                        "scale channels to one range first, inversely in the weights that read them: into "
                        "depthwise convolutions, all convolutions, or none")
            ->capture_default_str()
            ->check(CLI::IsMember({"none", "depthwise", "convolutions"}));
        app_.add_option("--calibration", o_.calibration,
                        "of inputs: ifmr, AMCT's search, or range, from the smallest to the largest value")
            ->capture_default_str()
            ->check(CLI::IsMember({"ifmr", "range"}));
        app_.add_flag("--bias-correction", o_.bias_correction,
                      "after calibration, take the shift of each channel's mean back by the biases");
    }
    void threads() {
        app_.add_option("--threads", o_.threads, "the result does not depend on it (default: the machine's)")
            ->check(CLI::Range(1, 1024));
    }
    void memory(const char* what) {
        app_.add_option("--memory", o_.memory,
                        std::string(what) + ": 512M, 4G (default: a quarter of the machine's)");
    }
    void out(const char* what) { app_.add_option("--out,--save_path", o_.out, what); }
    void quiet() {
        app_.add_flag("-q,--quiet", o_.quiet, "say nothing but warnings and errors");
        app_.add_option("--log", o_.log, "text, or json: an object a line")
            ->capture_default_str()
            ->check(CLI::IsMember({"text", "json"}));
    }
    void runs(int (*f)(const Options&)) {
        app_.callback([f, app = &app_, o = &o_, needs = needs_, data = needs_data_, is_shared = is_shared_] {
            if (!needs.empty() && o->model.path.empty())
                bad_command_line(app->get_name(), ": ", needs, " is missing; amct-distill ", app->get_name(),
                                 " --help says how");
            if (data && o->data.data.empty())
                bad_command_line(app->get_name(), ": --data is missing: the samples; amct-distill ",
                                 app->get_name(), " --help says how");
            follow_recipe(*app, *o);
            chosen = f;
            shared = is_shared;
        });
    }
    static void follow_recipe(const CLI::App& app, Options& o) {
        if (o.recipe == "amct") return;
        auto const is_given = [&](const char* name) {
            const CLI::Option* const option = app.get_option_no_throw(name);
            return option != nullptr && option->count() != 0;
        };
        if (!is_given("--equalize")) o.equalize = "depthwise";
        if (app.get_option_no_throw("--epochs") == nullptr) return;  // nothing is learned
        bool const best = o.recipe == "best";
        if (!is_given("--epochs")) o.epochs = best ? 5 : 0;
        if (best && !is_given("--batch")) o.data.batch = 2;
        if (best && !is_given("--blocks")) o.blocks = "automatic";
        if (best && !is_given("--drop-probability")) o.drop_probability = 0.5;
    }

    /// What all ranks do together; of the others, the first rank does the work.
    void is_shared() { is_shared_ = true; }

    static inline int (*chosen)(const Options&) = nullptr;
    static inline bool shared = false;

private:
    CLI::App& app_;
    Options& o_;
    std::string needs_{};
    bool needs_data_ = false, is_shared_ = false;
};

void add_inspecting(CLI::App& program, Options& o) {
    Verb inspect(program, "inspect", "what a model has: layers, names, shapes, what can be quantized",
                 "amct-distill inspect model.onnx", o);
    inspect.model();
    inspect.app()
        .add_option("--json", o.json, "as JSON, to this file; -: to standard output")
        ->expected(0, 1)
        ->default_str("-");
    inspect.runs(run_inspect);

    Verb check(program, "check", "read configurations, records and plans, and say what is wrong",
               "amct-distill check quant.cfg --model model.onnx", o);
    check.app().add_option("FILE", o.files, "what to read")->required();
    check.app().add_option("--model", o.model.path, "check them against this model");
    check.shapes();
    check.app()
        .add_option("--target", o.target, "whose rules hold: generic or ascend")
        ->capture_default_str()
        ->check(CLI::IsMember({"generic", "ascend"}));
    check.app().add_flag("--patterns", o.patterns, "names of layers may have * and ?");
    check.app().add_flag("--group-parts", o.group_parts, "a distill_group may have several paths");
    check.runs(run_check);

    Verb plan(program, "plan", "what would be done to each layer, and why",
              "amct-distill plan model.onnx --config quant.cfg", o);
    plan.model();
    plan.config();
    plan.app().add_option("--json", o.json, "write the plan as AMCT's JSON");
    plan.app().add_option("--dot", o.dot, "write the graph, blocks boxed, for Graphviz");
    plan.runs(run_plan);
}

void add_working(CLI::App& program, Options& o) {
    Verb analyze(program, "analyze",
                 "what each layer costs, and a configuration that spends bits where they count",
                 "amct-distill analyze model.onnx --data images.npy --suggest quant.cfg --budget 25dB", o);
    analyze.model();
    analyze.config();
    analyze.data();
    analyze.out("the folder of a distillation: leaves sensitivity.json there, which the report shows");
    analyze.app().add_option("--json", o.json, "write all that was measured to this file");
    analyze.app().add_option("--suggest", o.suggest, "write the suggested configuration to this file");
    analyze.app().add_option(
        "--budget", o.budget,
        "of the suggestion: 25dB (signal to noise at the outputs), 0.01 (noise to signal) "
        "or 5bits (a weight)");
    analyze.preparation();
    analyze.threads();
    analyze.memory("bounds what is kept of the layers' inputs");
    analyze.quiet();
    analyze.is_shared();
    analyze.runs(run_analyze);

    Verb distill(program, "distill", "calibrate, distill, deploy, verify, report: the main job",
                 "amct-distill distill model.onnx --config quant.cfg --data images.npy --out result", o);
    distill.model();
    distill.config();
    distill.data();
    distill.out("the folder for the results");
    distill.app()
        .add_option("--epochs", o.epochs, "of each block; 0: calibrate only")
        ->capture_default_str()
        ->check(CLI::Range(0, 1000000));
    distill.app().add_option("--batch-num,--batch_num", o.batch_num,
                             "batches that calibration looks at, instead of the configuration's batch_num");
    distill.app()
        .add_option("--blocks", o.blocks, "amct, residual or automatic")
        ->capture_default_str()
        ->check(CLI::IsMember({"amct", "residual", "automatic"}));
    distill.app()
        .add_option("--slices", o.slices,
                    "into how many a batch is cut; not fewer than processes (mpirun); another number changes "
                    "the last bits")
        ->capture_default_str()
        ->check(CLI::Range(1, 1024));
    distill.app()
        .add_option("--input", o.input, "of a block in training: the student's, the teacher's or mix")
        ->capture_default_str()
        ->check(CLI::IsMember({"student", "teacher", "mix"}));
    distill.app()
        .add_option("--rates", o.rates,
                    "learning rates of parameters, of clips and of weights' scales (default: AMCT's, "
                    "0.001,0.1,0.0001); the first, the first two, or all")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(CLI::Range(0.0, 1000.0));
    distill.app()
        .add_option("--loss", o.loss,
                    "of a block: mean_squared_error, or fisher, in which an element counts as much as it "
                    "moves the model's outputs")
        ->capture_default_str()
        ->check(CLI::IsMember({"mean_squared_error", "fisher"}));
    distill.app()
        .add_option("--drop-probability", o.drop_probability,
                    "how likely an input's element is not quantized in a training step (QDrop: 0.5)")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 0.999));
    distill.preparation();
    distill.threads();
    distill.memory("bounds the process, but for the model; files in DIR hold the rest");
    distill.app().add_flag("--resume", o.resume, "go on where a run that was interrupted left the folder");
    distill.app().add_flag("--force", o.force, "replace what is in the folder");
    distill.app().add_flag("--dry-run", o.dry_run, "print the plan, the memory and the time, and stop");
    distill.quiet();
    distill.is_shared();
    distill.runs(run_distill);

    Verb infer(program, "infer", "run a model, or a deployed folder in integers, and write the outputs",
               "amct-distill infer result --data images.npy --out outputs.npz", o);
    infer.positional("MODEL_OR_DIR", "a model, or the folder of a distillation");
    infer.shapes();
    infer.data();
    infer.out("an .npz: an array for each output");
    infer.app().add_flag("--simulate", o.simulate, "a folder's network in float, not in integers");
    infer.threads();
    infer.quiet();
    infer.runs(run_infer);

    Verb verify(program, "verify", "compare a folder's integers with their simulation, layer by layer",
                "amct-distill verify result --data images.npy", o);
    verify.positional("DIR", "the folder of a distillation");
    verify.data();
    verify.threads();
    verify.quiet();
    verify.is_shared();
    verify.runs(run_verify);

    Verb export_(program, "export", "write a model, or a folder's network, for other programs",
                 "amct-distill export result --format qdq-int8,ascend --out net", o);
    export_.positional("MODEL_OR_DIR", "a model, or the folder of a distillation");
    export_.shapes();
    export_.app()
        .add_option("--format", o.formats, "one or several, with commas. " + export_formats_text())
        ->default_val("float");
    export_.out("the file to write; of several: what their names begin with, or a folder");
    export_.app()
        .add_option("--source", o.source,
                    "the float model that the folder was made of, where it is not where it was")
        ->type_name("FILE");
    export_.app()
        .add_option("--weights", o.weights,
                    "of qdq-int8: 8bit, or 7bit, other numbers, for x86 processors without VNNI")
        ->capture_default_str()
        ->check(CLI::IsMember({"8bit", "7bit"}));
    export_.quiet();
    export_.runs(run_export);

    Verb report(program, "report", "draw a folder's report.html again", "amct-distill report result", o);
    report.positional("DIR", "the folder of a distillation");
    report.quiet();
    report.runs(run_report);
}

int run(int argc, char** argv) {
    Options o;
    o.ranks = begin_ranks(argc, argv);
    CLI::App program("Quantizes and distills a model, block by block, for integer devices.", "amct-distill");
    program.require_subcommand(1);
    program.set_version_flag("--version", version);
    program.footer("amct-distill VERB --help says more of each.");
    for (int i = 0; i != argc; ++i)
        o.command += (i == 0 ? "" : " ") + std::string(i == 0 ? "amct-distill" : argv[i]);
    add_inspecting(program, o);
    add_working(program, o);
    if (argc > 1 && argv[1][0] != '-') {
        bool known = false;
        for (const CLI::App* verb : program.get_subcommands({})) known = known || verb->get_name() == argv[1];
        if (!known) bad_command_line("there is no verb `", argv[1], "`; amct-distill --help lists them");
    }
    try {
        program.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        if (e.get_exit_code() == 0) return program.exit(e);
        std::fprintf(stderr, "amct-distill: %s\n", e.what());
        const CLI::App* verb = &program;
        for (const CLI::App* used : program.get_subcommands()) verb = used;
        std::fprintf(stderr, "amct-distill %s%s--help says how.\n",
                     verb == &program ? "" : verb->get_name().c_str(), verb == &program ? "" : " ");
        return exit_command_line;
    }
    return is_first(o) || Verb::shared ? Verb::chosen(o) : exit_done;
}

}  // namespace

int main(int argc, char** argv) {
    auto const failed = [](const std::string& text, int code) { return end_ranks(code, text, true); };
    try {
        keep_no_freed_memory();
        return end_ranks(run(argc, argv), {}, false);
    } catch (const Stop& stop) {
        return failed(stop.what(), stop.code());
    } catch (const std::bad_alloc&) {
        return failed(no_memory, exit_input);
    } catch (const amct_distill::ConfigError& e) {
        return failed(e.what(), exit_input);
    } catch (const std::exception& e) {
        return failed(std::string("error: ") + e.what(), exit_input);
    }
}
