// SPDX-License-Identifier: Apache-2.0
// analyze MODEL --data D: what each layer costs, and a configuration that spends bits where they count.
#include <algorithm>
#include <amct_distill/definitions.hpp>
#include <charconv>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>

#include "configuration.hpp"
#include "console.hpp"
#include "data.hpp"
#include "interrupt.hpp"
#include "layer_facts.hpp"
#include "model.hpp"
#include "page.hpp"
#include "preparation.hpp"
#include "program.hpp"
#include "sensitivity.hpp"
#include "sensitivity_file.hpp"
#include "session.hpp"
#include "verbs.hpp"

namespace tool {
namespace {

namespace ad = amct_distill;
using ad::detail::concat;

std::string decibel(const OutputNoise& n) {
    return n.noise == 0 ? std::string("exact")
                        : concat(ad::number(n.sqnr(), std::chars_format::fixed, 1), " dB");
}

/// What a layer has in a suggestion.
enum class Choice { low, int8, in_float };

struct Suggestion {
    std::string text{};
    double bits = 0;  ///< mean of the weights', those in float counting 32
    OutputNoise noise{};
};

/// "25dB", "5bits", or a share of the outputs' power, "0.01".
struct Budget {
    bool bits = false;
    double value = 0;  ///< bits, or decibels
    std::string text{};
};

class Analysis {
public:
    Analysis(const Options& options, Console& console)
        : o_(options),
          console_(console),
          model_(load_model(options.model)),
          configuration_(load_configuration(options, model_.network, console)),
          data_(open_data(options.data, model_)) {
        run_.threads = thread_count(options);
        run_.ranks = options.ranks;
        run_.memory_bytes = memory_bound(options);
    }

    int run() {
        std::optional<Budget> const asked = budget();
        if (!o_.out.empty()) check_analysis_folder(o_.out);
        if (is_first(o_)) look_at(data_, console_);
        if (ad::detail::are_several(o_.ranks))
            console_.say(concat("ranks: ", o_.ranks->size(), ", which share the layers"));
        batch_num_ = (std::min)(std::size_t{configuration_.plan.batch_num.value}, data_.size());
        preparation_.emplace(o_, batch_num_, console_);
        if (!preparation_->equalize(model_.network, data_, run_)) stop();
        for (const auto& l : configuration_.plan.layers)
            if (l.quant_enable) layers_.push_back(l.name);
        ad::ExtendedStudent const int8 = calibrated(text_of(all(Choice::int8), false)),
                                  int4 = calibrated(uniform_int4()),
                                  planned = calibrated(configuration_.plan);
        Costs const costs = layer_costs(model_.network, {&int8, &int4, &planned}, data_, run_, console_);
        print(costs);
        suggest(costs, asked);
        if (is_first(o_)) write(costs);
        return exit_done;
    }

private:
    std::optional<Budget> budget() const {
        const std::string& text = o_.budget;
        if (text.empty()) return std::nullopt;
        double value = 0;
        auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        std::string const unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
        bool const known = unit.empty() || unit == "dB" || unit == "bits";
        if (error != std::errc{} || !known || !(value > 0))
            bad_command_line(
                "--budget: expected 25dB (signal to noise), 0.01 (noise to signal) or 5bits, found `", text,
                "`");
        if (unit == "bits")
            return Budget{true, value, concat("at most ", ad::number(value), " bits a weight")};
        double const db = unit == "dB" ? value : -10 * std::log10(value);
        return Budget{false, db, concat("at least ", ad::number(db, std::chars_format::fixed, 1), " dB")};
    }

    // ---- configurations

    bool ascend() const { return o_.target == "ascend"; }
    std::vector<Choice> all(Choice c) const { return std::vector<Choice>(layers_.size(), c); }
    /// The settings of a layer: an INT4 one reads INT8 data where the target lets them differ.
    std::string settings(Choice c, bool low_data) const {
        std::string_view const weights = c == Choice::low ? "INT4" : "INT8",
                               data = c == Choice::low && (ascend() || low_data) ? "INT4" : "INT8";
        return concat("  distill_data_quant_config { ulq_quantize { dst_type: ", data,
                      " } }\n  distill_weight_quant_config { arq_distill { dst_type: ", weights,
                      ascend() ? "" : " channel_wise: true", " } }\n");
    }
    std::string uniform_int4() const { return text_of(all(Choice::low), true); }
    std::string text_of(const std::vector<Choice>& choices, bool low_data) const {
        std::string out = concat("batch_num: ", batch_num_, '\n');
        for (const auto& l : configuration_.plan.layers)
            if (!l.quant_enable) ad::detail::append(out, concat("quant_skip_layers: ", quoted(l.name), '\n'));
        for (std::size_t l = 0; l != layers_.size(); ++l)
            if (choices[l] == Choice::in_float)
                ad::detail::append(out, concat("quant_skip_layers: ", quoted(layers_[l]), '\n'));
        auto const count = [&](Choice c) { return std::ranges::count(choices, c); };
        Choice const most = count(Choice::low) >= count(Choice::int8) ? Choice::low : Choice::int8;
        std::string common = settings(most, low_data);
        // Without the indentation: these hold for all layers.
        for (std::size_t at = 0; (at = common.find("  distill", at)) != common.npos;) common.erase(at, 2);
        out += common;
        for (std::size_t l = 0; l != layers_.size(); ++l)
            if (choices[l] != most && choices[l] != Choice::in_float)
                ad::detail::append(
                    out, concat("distill_override_layers {\n  layer_name: ", quoted(layers_[l]), '\n',
                                settings(choices[l], low_data), "}\n"));
        return out;
    }
    static std::string quoted(std::string_view name) {
        std::string out = "\"";
        for (char c : name) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        return out += '"';
    }

    [[noreturn]] static void stop() { throw Stop(exit_interrupted, "interrupted; nothing was written"); }
    ad::ExtendedStudent calibrated(const ad::ExtendedPlan& plan) {
        auto made = ad::make_student(model_.network, plan);
        ad::ExtendedStudent student = std::move(made).value();
        auto const ok = ad::calibrate(student, data_, run_, preparation_->calibration());
        if (interrupted()) stop();
        ok.value();
        if (!preparation_->correct(model_.network, student, data_, run_)) stop();
        return student;
    }
    ad::ExtendedStudent calibrated(const std::string& config) {
        Options options = o_;
        options.patterns = options.group_parts = false;
        return calibrated(plan_of({"the suggestion", config}, options, model_.network.graph()).value());
    }

    Suggestion measured(const std::vector<Choice>& choices) {
        Suggestion out{.text = text_of(choices, false)};
        out.bits = bits_of(choices);
        out.noise = output_noise(model_.network, calibrated(out.text).network(), data_, run_.threads);
        return out;
    }
    double bits_of(const std::vector<Choice>& choices) const {
        double bits = 0, count = 0;
        for (std::size_t l = 0; l != layers_.size(); ++l) {
            double const n = static_cast<double>(weights_[l]);
            bits += n * (choices[l] == Choice::low ? 4 : choices[l] == Choice::int8 ? 8 : 32);
            count += n;
        }
        return count == 0 ? 0 : bits / count;
    }

    // ---- what is said

    void print(const Costs& costs) {
        ad::Table table({{.heading = "layer", .least = 10},
                         {.heading = "weights", .drop = 2},
                         {"weights INT8"},
                         {"weights INT4"},
                         {"data INT8"},
                         {"data INT4"},
                         {.heading = "all but this", .drop = 1},
                         {.heading = "of the noise", .drop = 1}});
        for (const LayerCost& c : costs.layers)
            table.add({c.name, ad::number(c.weights), decibel(c.weights_int8), decibel(c.weights_int4),
                       decibel(c.data_int8), decibel(c.data_int4),
                       c.quantized ? decibel(c.all_but_this) : std::string("skipped"),
                       c.quantized ? ad::detail::percent(c.noise_share) : std::string()});
        console_.table(
            "What quantizing one layer alone costs: signal to noise of the network's outputs; and all "
            "layers as planned but this one",
            table.text(console_.width()));
        console_.say(concat("  all layers as planned: ", decibel(costs.planned)));
    }

    /// Layers from the most sensitive: noise that INT8 takes away, for each bit that it adds.
    std::vector<std::size_t> by_sensitivity(const Costs& costs) const {
        std::vector<double> gain(layers_.size(), 0);
        for (std::size_t l = 0; l != layers_.size(); ++l)
            for (const LayerCost& c : costs.layers)
                if (c.name == layers_[l]) {
                    double noise = c.weights_int4.noise - c.weights_int8.noise;
                    if (ascend()) noise += c.data_int4.noise - c.data_int8.noise;
                    gain[l] = noise / static_cast<double>(c.weights);
                }
        std::vector<std::size_t> order(layers_.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::stable_sort(order, std::greater<>{}, [&](std::size_t l) { return gain[l]; });
        return order;
    }
    /// After so many steps: first from the low width to INT8, then from INT8 to float.
    std::vector<Choice> after(std::size_t steps, const std::vector<std::size_t>& order) const {
        std::vector<Choice> out = all(Choice::low);
        for (std::size_t s = 0; s != steps; ++s)
            out[order[s % order.size()]] = s < order.size() ? Choice::int8 : Choice::in_float;
        return out;
    }

    /// What was raised although the budget is kept without it: of the layers at INT8, those with the most
    /// weights are tried, one after the other.
    template <class Reaches>
    Suggestion without_needless(std::vector<Choice> choices, Suggestion found, Reaches reaches) {
        std::vector<std::size_t> raised;
        for (std::size_t l = 0; l != choices.size(); ++l)
            if (choices[l] == Choice::int8) raised.push_back(l);
        std::ranges::stable_sort(raised, std::greater<>{}, [&](std::size_t l) { return weights_[l]; });
        if (raised.size() > 12) raised.resize(12);
        for (std::size_t l : raised) {
            console_.progress("suggesting", concat("without layer `", layers_[l], "`"), 0.75);
            choices[l] = Choice::low;
            if (Suggestion s = measured(choices); reaches(s))
                found = std::move(s);
            else
                choices[l] = Choice::int8;
        }
        return found;
    }

    void suggest(const Costs& costs, const std::optional<Budget>& asked) {
        if (layers_.empty()) return;
        for (const std::string& name : layers_)
            for (const LayerCost& c : costs.layers)
                if (c.name == name) weights_.push_back(c.weights);
        auto const order = by_sensitivity(costs);
        Suggestion const low = measured(all(Choice::low)), high = measured(all(Choice::int8));
        // What is always there, and better than all INT4 where a layer fits.
        Budget const want = asked.value_or(
            Budget{true, 6,
                   "at most 6 bits a weight, half way from all INT4 to all INT8 (--budget says otherwise)"});
        Suggestion found = low;
        if (want.bits) {
            if (low.bits > want.value)
                bad_input("--budget: ", ad::number(want.value), " bits cannot be reached: INT4 takes 4");
            // Layers that do not fit are passed by, and smaller ones after them taken.
            std::vector<Choice> choices = all(Choice::low);
            for (std::size_t l : order) {
                choices[l] = Choice::int8;
                if (bits_of(choices) > want.value) choices[l] = Choice::low;
            }
            found = measured(choices);
        } else {
            auto const reaches = [&](const Suggestion& s) {
                return s.noise.noise == 0 || s.noise.sqnr() >= want.value;
            };
            if (!reaches(low)) {
                // More steps, less noise, but for accidents: halving finds the fewest.
                std::size_t below = 0, enough = 2 * order.size() - 1;
                std::optional<Suggestion> best;
                if (reaches(high)) {
                    enough = order.size();
                    best = high;
                } else {
                    below = order.size();
                    best = measured(after(enough, order));
                    if (!reaches(*best))
                        console_.warn(concat("warning: ", want.text,
                                             " is not reached: with one layer quantized it is ",
                                             decibel(best->noise)));
                }
                while (enough - below > 1) {
                    std::size_t const middle = below + (enough - below) / 2;
                    console_.progress("suggesting", concat(enough - below, " left to choose from"), 0.5);
                    Suggestion s = measured(after(middle, order));
                    if (reaches(s))
                        enough = middle, best = std::move(s);
                    else
                        below = middle;
                }
                found = *std::move(best);
                if (enough <= order.size())
                    found = without_needless(after(enough, order), std::move(found), reaches);
                console_.finish();
            }
        }
        ad::Table table({{"configuration"}, {"bits a weight"}, {"SQNR of the outputs"}});
        auto const row = [&](std::string name, const Suggestion& s) {
            table.add({name, ad::number(s.bits, std::chars_format::fixed, 2), decibel(s.noise)});
            configurations_.push_back({std::move(name), s.bits, s.noise.sqnr(), s.text});
        };
        row(ascend() ? "all INT4" : "all INT4, data INT8", low);
        row("suggested", found);
        row("all INT8", high);
        console_.table(concat("A suggestion for ", want.text, ", calibrated and measured on this data"),
                       table.text(console_.width()));
        std::string const text =
            concat("# amct-distill analyze: ", ad::number(found.bits, std::chars_format::fixed, 2),
                   " bits a weight, ", decibel(found.noise), " at the outputs, calibrated on batches of ",
                   data_.batch_size(), '\n', found.text);
        if (o_.suggest.empty()) {
            console_.table("The configuration:", text);
        } else {
            if (is_first(o_)) ad::write_file(o_.suggest, text).value();
            console_.say(concat("written: ", o_.suggest));
        }
    }

    // ---- what is written

    void write(const Costs& costs) {
        if (o_.json.empty() && o_.out.empty()) return;
        SensitivityFile file{.model = model_.path,
                             .model_hash = hash_text(model_.hash),
                             .config_name = o_.config,
                             .config_text = configuration_.source.text,
                             .data = data_.paths(),
                             .samples = data_.samples(),
                             .batches = data_.size(),
                             .planned_sqnr = costs.planned.sqnr(),
                             .configurations = std::move(configurations_)};
        for (const LayerCost& c : costs.layers)
            file.layers.push_back(
                {.name = c.name,
                 .type = c.type,
                 .weights = c.weights,
                 .quantized = c.quantized,
                 .weights_int4 = c.weights_int4.sqnr(),
                 .weights_int8 = c.weights_int8.sqnr(),
                 .data_int4 = c.data_int4.sqnr(),
                 .data_int8 = c.data_int8.sqnr(),
                 .all_but_this = c.quantized ? c.all_but_this.sqnr() : costs.planned.sqnr(),
                 .noise_share = c.quantized ? c.noise_share : std::numeric_limits<double>::quiet_NaN()});
        auto const write_to = [&](const std::filesystem::path& path) {
            write_sensitivity(file, path);
            console_.say(concat("written: ", path.string()));
        };
        if (!o_.json.empty()) write_to(o_.json);
        if (o_.out.empty()) return;
        std::filesystem::path const folder = o_.out;
        std::error_code error;
        std::filesystem::create_directories(folder, error);
        if (error) throw ad::ConfigError({ad::detail::file_error("create", folder, error.value())});
        auto const lock = ad::DirectoryLock::take(folder);
        lock.value();
        write_to(folder / sensitivity_name);
        if (!std::filesystem::exists(folder / "report.json", error)) return;
        draw_report(folder);
        console_.say(concat("written: ", (folder / "report.html").string(), ", with what was measured"));
    }

    const Options& o_;
    Console& console_;
    Model model_;
    Configuration configuration_;
    Dataset data_;
    ad::RunOptions run_{};
    std::size_t batch_num_ = 1;
    std::optional<Preparation> preparation_{};
    std::vector<std::string> layers_{};   // that the configuration quantizes
    std::vector<std::size_t> weights_{};  // of each
    std::vector<AnalyzedConfiguration> configurations_{};
};

}  // namespace

int run_analyze(const Options& options) {
    Console console(options);
    InterruptGuard const guard;
    return Analysis(options, console).run();
}

}  // namespace tool
