// SPDX-License-Identifier: Apache-2.0
// distill MODEL --config FILE --data D --out DIR: the main job.
#include <amct_distill/adapters/json.hpp>
#include <amct_distill/definitions.hpp>
#include <amct_distill/report/make_page.hpp>
#include <ctime>
#include <filesystem>
#include <new>
#include <optional>

#include "compare.hpp"
#include "configuration.hpp"
#include "console.hpp"
#include "data.hpp"
#include "interrupt.hpp"
#include "layer_facts.hpp"
#include "memory.hpp"
#include "model.hpp"
#include "model_json.hpp"
#include "page.hpp"
#include "preparation.hpp"
#include "program.hpp"
#include "session.hpp"

namespace tool {
namespace {

namespace ad = amct_distill;
namespace fs = std::filesystem;
using ad::detail::concat;

ad::BlockShape block_shape(const Options& options) {
    return options.blocks == "residual"    ? ad::BlockShape::residual
           : options.blocks == "automatic" ? ad::BlockShape::automatic
                                           : ad::BlockShape::amct;
}

ad::BlockInput block_input(const Options& options) {
    return options.input == "teacher" ? ad::BlockInput::teacher
           : options.input == "mix"   ? ad::BlockInput::mix
                                      : ad::BlockInput::student;
}
ad::LearningRates learning_rates(const Options& options) {
    ad::LearningRates rates;
    if (options.rates.size() > 3)
        bad_command_line("--rates: expected three at most, found ", options.rates.size());
    double* const each[] = {&rates.parameters, &rates.clips, &rates.scales};
    for (std::size_t k = 0; k != options.rates.size(); ++k) *each[k] = options.rates[k];
    return rates;
}
ad::DistillOptions distill_options(const Options& options) {
    return {.epochs = options.epochs,
            .learning_rates = learning_rates(options),
            .blocks = block_shape(options),
            .input = block_input(options),
            .drop_probability = options.drop_probability,
            .loss_weights = options.loss == "fisher" ? ad::LossWeights::fisher : ad::LossWeights::none,
            .seed = options.data.seed.value_or(1),
            .slices = options.slices};
}

struct Phases {
    std::vector<std::pair<std::string, double>> seconds{};
    double last = 0;
    void end(std::string name, double now) {
        seconds.emplace_back(std::move(name), now - last);
        last = now;
    }
};

class Distillation {
public:
    Distillation(const Options& options, Console& console)
        : o_(options),
          console_(console),
          model_(load_model(options.model)),
          configuration_((notes(), load_configuration(options, model_.network, console))),
          data_(open_data(options.data, model_)) {}

    int run() {
        check_labels(data_, model_.network);
        console_.table("The plan: each layer's settings, and where they come from",
                       ad::to_table(configuration_.plan, console_.width()));
        std::optional<OutputFolder> folder;
        if (is_first(o_)) {
            if (!o_.dry_run) folder.emplace(o_.out, o_.resume, o_.force);
            facts_ = look_at(data_, console_);
        }
        phases_.end("read", console_.seconds());
        int const threads = thread_count(o_);
        MemoryPlan const memory =
            plan_memory(o_, model_.network, configuration_.plan, data_.batch_size(), threads);
        run_.threads = threads;
        run_.ranks = o_.ranks;
        run_.memory_bytes = memory.cache();
        console_.line();
        console_.say(concat("memory: at most ", bytes_text(memory.bound), " and the model's ",
                            bytes_text(memory.model), "; the work takes about ", bytes_text(memory.work),
                            ", and the rest may hold what is computed once, before a file in the folder does",
                            "; threads: ", threads));
        if (memory.work > memory.bound)
            console_.warn(concat(
                "warning: a batch of ", data_.batch_size(), " takes about ", bytes_text(memory.work),
                ", more than ", bytes_text(memory.bound), ", a quarter of this machine's memory; --batch ",
                (std::max)(std::size_t{1}, data_.batch_size() * memory.bound / memory.work / 2),
                " takes less"));
        if (ad::detail::are_several(o_.ranks))
            console_.say(concat("ranks: ", o_.ranks->size(), ", each with that memory and so many threads"));
        if (o_.dry_run) return is_first(o_) ? estimate() : exit_done;
        if (folder) {
            folder->make();
            console_.log_to(folder->path() / "log.txt").value();
            log_beginning();
        }
        ad::detail::meet(o_.ranks);  // no rank writes to the folder before it is made
        return work_in(folder ? &*folder : nullptr);
    }

private:
    int notes() const {
        for (const std::string& n : model_.notes) console_.say(concat("note: ", n));
        return 0;
    }
    void log_beginning() { console_.say(concat(o_.resume ? "resumed: " : "started: ", o_.command)); }

    int estimate() {
        auto const batch = data_.load(0);
        const ad::Batch& tensors = batch.value();
        ad::nn::Executor const executor(run_.threads);
        ad::SliceRunner runner(model_.network, &executor);
        std::vector<ad::nn::Tensor> values(model_.network.outputs().size());
        runner.run_batch(tensors, model_.network.outputs(), values);
        double const begin = console_.seconds();
        runner.run_batch(tensors, model_.network.outputs(), values);
        double const once = console_.seconds() - begin, batches = static_cast<double>(data_.size());
        // An epoch: a step is a run forward and two backward, and each of two evaluations one of both
        // networks and one of the average. Besides: calibration, reports, comparison.
        double const all = once * batches * (o_.epochs * 9.0 + 10.0);
        console_.say(concat("time: about ", duration_text(all), " for ", o_.epochs, " epochs of ",
                            data_.size(), " batches in ", configuration_.plan.blocks.size(),
                            " blocks; nothing was written"));
        return exit_done;
    }

    /// `folder`: the first rank's.
    int work_in(OutputFolder* folder) {
        run_.directory = fs::path(o_.out) / OutputFolder::run_name;
        run_.resume = o_.resume;
        console_.line();
        std::size_t const observed =
            (std::min)(std::size_t{configuration_.plan.batch_num.value}, data_.size());
        preparation_.emplace(o_, observed, console_);
        if (broke_off(preparation_->equalize(model_.network, data_, run_))) return stopped(folder);
        ad::ExtendedStudent student = taken(ad::make_student(model_.network, configuration_.plan));
        console_.say(concat("Calibrating on ", observed, observed == 1 ? " batch ..." : " batches ..."));
        auto const calibration = ad::calibrate(student, data_, run_, preparation_->calibration());
        if (are_interrupted()) return stopped(folder);
        taken(calibration);
        if (broke_off(preparation_->correct(model_.network, student, data_, run_))) return stopped(folder);
        preparation_->print();
        ad::nn::Network const calibrated = student.network();
        phases_.end("calibrate", console_.seconds());

        console_.say(concat("Distilling ", configuration_.plan.blocks.size(), " blocks, ", o_.epochs,
                            " epochs of ", data_.size(),
                            data_.size() == 1 ? " step each ..." : " steps each ..."));
        run_.on_progress = [&](const ad::Progress& p) {
            double const epoch = (p.epoch + static_cast<double>(p.step + 1) / static_cast<double>(p.steps)) /
                                 (std::max)(p.epochs, 1);
            console_.progress(
                concat("block ", p.block + 1, " of ", p.blocks),
                concat("epoch ", p.epoch + 1, " of ", p.epochs, ", loss ", ad::detail::short_number(p.loss)),
                (static_cast<double>(p.block) + epoch) / static_cast<double>(p.blocks));
            return !interrupted();
        };
        auto distilled = distilled_student(student, folder);
        console_.finish();
        if (are_interrupted()) return stopped(folder);
        if (!distilled && folder != nullptr) folder_stays(*folder);
        ad::DistillReport const report = taken(std::move(distilled));
        phases_.end("distill", console_.seconds());
        console_.table("The quantized layers (SQNR: signal to quantization noise), and the blocks",
                       ad::to_table(report, console_.width()));

        ad::Deployment const device = taken(ad::deploy(student));
        phases_.end("deploy", console_.seconds());
        ad::VerifyReport const verified = checked(ad::verify(device, student, data_, run_), console_);
        console_.table("The integers, layer by layer, against the simulation",
                       ad::to_table(verified, console_.width()));
        ad::nn::Network const integers = ad::integer_network(device);
        std::vector<NetworkResult> const results =
            compare(data_, model_.network,
                    {{"calibrated", &calibrated}, {"distilled", &student.network()}, {"integers", &integers}},
                    run_, console_);
        console_.table("The whole network, on the data", to_table(results, console_.width()));
        phases_.end("verify", console_.seconds());
        if (are_interrupted()) return stopped(folder);

        if (folder != nullptr) write_results(*folder, device, page(student, report, verified, results));
        return verified.agrees() ? exit_done : exit_difference;
    }

    /// Without memory, what was finished is kept too.
    ad::result<ad::DistillReport> distilled_student(ad::ExtendedStudent& student, OutputFolder* folder) {
        try {
            return ad::distill(model_.network, student, data_, distill_options(o_), run_);
        } catch (const std::bad_alloc&) {
            console_.finish();
            if (folder != nullptr) folder_stays(*folder);
            throw;
        }
    }

    /// An error after blocks were finished: they can be resumed.
    void folder_stays(OutputFolder& folder) {
        if (std::size_t const n = folder.finished_blocks(); n != 0) {
            folder.keep();
            console_.warn(concat(n, n == 1 ? " block is" : " blocks are", " kept in ", folder.run().string(),
                                 "; --resume continues"));
        }
    }
    /// After what each rank does alone.
    bool broke_off(bool went) const {
        if (!went && o_.ranks != nullptr) o_.ranks->fail("interrupted");
        return !went;
    }
    /// The same on all ranks.
    bool are_interrupted() const {
        try {
            return ad::detail::first_says(o_.ranks, interrupted());
        } catch (const ad::RankFailure&) {
            return interrupted();
        }
    }
    int stopped(OutputFolder* of_first) {
        console_.finish();
        if (of_first == nullptr) return exit_interrupted;
        OutputFolder& folder = *of_first;
        std::size_t const n = folder.finished_blocks();
        if (n == 0) {
            console_.warn("interrupted; no block was finished, and nothing is kept");
        } else {
            folder.keep();
            console_.warn(concat("interrupted; ", n, " of ", configuration_.plan.blocks.size(),
                                 n == 1 ? " blocks is" : " blocks are", " kept in ", folder.run().string(),
                                 ". The same command with --resume continues:\n  ", o_.command,
                                 o_.resume ? "" : " --resume"));
        }
        console_.close_log();
        return exit_interrupted;
    }

    /// The result, its warnings being kept for the report.
    template <class T>
    T taken(ad::result<T> r) {
        warnings_.insert(warnings_.end(), r.diagnostics().begin(), r.diagnostics().end());
        return checked(std::move(r), console_);
    }

    ad::ReportPage page(const ad::ExtendedStudent& student, const ad::DistillReport& report,
                        const ad::VerifyReport& verified, const std::vector<NetworkResult>& results) {
        ad::ReportPage out = taken(ad::make_page(fs::path(model_.path).stem().string(), model_.network,
                                                 student, data_, report, run_));
        out.verified = verified;
        out.test.samples = data_.samples();
        for (const NetworkResult& r : results) {
            ad::TestedNetwork& one = out.test.networks.emplace_back();
            one.network = r.network;
            one.error = r.error;
            if (r.accuracy >= 0) one.accuracy = r.accuracy;
        }
        ad::Diagnostics all = plan_of(configuration_.source, o_, model_.network.graph()).diagnostics();
        for (const std::string& w : facts_.warnings) all.push_back(ad::general_warning(w));
        all.insert(all.end(), warnings_.begin(), warnings_.end());
        out.warnings = std::move(all);

        ad::PageRun& run = out.run;
        run.date = date();
        run.command = o_.command;
        run.config_name = o_.config;
        run.config_text = configuration_.source.text;
        auto const fact = [&](std::string name, std::string value) {
            run.facts.push_back({std::move(name), std::move(value)});
        };
        fact("amct_distill", concat(AMCT_DISTILL_VERSION_MAJOR, ".", AMCT_DISTILL_VERSION_MINOR, ".",
                                    AMCT_DISTILL_VERSION_PATCH));
        fact("compiler", __VERSION__);
        fact("instructions", std::string(ad::name(ad::best_instructions())));
        fact("threads", ad::number(run_.threads));
        fact("memory", bytes_text(memory_bound(o_)));
        fact("model", concat(model_.path, ", ", bytes_text(model_.bytes), ", hash ", hash_text(model_.hash)));
        if (!model_.producer.empty()) fact("exporter", model_.producer);
        for (const InputRange& r : facts_.inputs) fact(concat("data of ", r.name), r.path);
        fact("data hash", hash_text(facts_.hash));
        if (!o_.data.labels.empty()) fact("labels", o_.data.labels);
        if (o_.data.seed) fact("seed", ad::number(*o_.data.seed));
        for (const ad::PageFact& f : preparation_->facts()) run.facts.push_back(f);
        for (const std::string& n : model_.notes) fact("note of the import", n);
        for (auto const& [name, s] : phases_.seconds) run.phases.push_back({name, s});
        return out;
    }
    static std::string date() {
        std::time_t const now = std::time(nullptr);
        std::tm parts{};
        ::localtime_r(&now, &parts);
        auto const two = [](int n) { return concat(n < 10 ? "0" : "", n); };
        return concat(parts.tm_year + 1900, "-", two(parts.tm_mon + 1), "-", two(parts.tm_mday), " ",
                      two(parts.tm_hour), ":", two(parts.tm_min));
    }

    void write_results(OutputFolder& folder, const ad::Deployment& device, const ad::ReportPage& report) {
        const fs::path& dir = folder.path();
        folder.keep();
        checked(ad::write(device, dir, {.network = true}), console_);
        ad::write_file(dir / "plan.json", ad::print_json(ad::to_json(configuration_.plan))).value();
        ad::write_file(dir / "model.json", model_json(model_)).value();
        write_report(report, dir);
        std::error_code ignored;
        fs::remove_all(folder.run(), ignored);  // nothing is left to resume
        console_.line();
        console_.say(concat("written to ", dir.string(),
                            ": report.html, record.txt, the weights and biases of ", device.layers().size(),
                            " layers (weights/), network.npz, plan.json, report.json, log.txt; ",
                            duration_text(console_.seconds())));
        console_.close_log();
    }

    const Options& o_;
    Console& console_;
    Model model_;
    Configuration configuration_;
    Dataset data_;
    DataFacts facts_{};
    ad::RunOptions run_{};
    Phases phases_{};
    std::optional<Preparation> preparation_{};
    ad::Diagnostics warnings_{};
};

}  // namespace

int run_distill(const Options& options) {
    if (options.out.empty() && !options.dry_run)
        bad_command_line("--out is missing: the folder for the results");
    Console console(options);
    InterruptGuard const guard;
    int const code = Distillation(options, console).run();
    console.event("done", {{"exit_code", ad::number(code)}});
    return code;
}

}  // namespace tool
