// SPDX-License-Identifier: Apache-2.0
/// What the report page shows: aggregates, of which all but the report of the distillation may be left out.
///
///     ReportPage page{.model = "digits", .report = report, .network = page_network(teacher, plan)};
///     page.observed = observe_layers(teacher, student, batches).value();
///     page.test = {.samples = 397, .networks = {{"FP32", 0.99, 0}, {"distilled", 0.985, 0.09}}};
///     write_file("report.html", to_html(page)).value();                   // html.hpp
///
/// The page says of what is left out that it was not measured or not recorded. JSON of it is made by
/// reflection: fields_to_json(page) of adapters/report_json.hpp.
#pragma once
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "../core/diagnostic.hpp"
#include "../deploy/verify_report.hpp"
#include "../distill/layer_values.hpp"
#include "../distill/report.hpp"

namespace amct_distill {

/// A layer with weights, as the network and the plan know it.
struct PageLayer {
    std::string name{};
    std::string type{};   ///< "Conv2d"
    std::string shape{};  ///< "3×3 /2 8→16"
    std::size_t weights = 0;
    std::size_t channels = 0;         ///< output channels
    std::size_t multiplications = 0;  ///< for one sample
    bool quantized = false;
    std::string from{};         ///< where the weights' setting, or that it is skipped, came from
    std::size_t from_line = 0;  ///< of the configuration; 0: none
};

/// A node of the picture: a layer with weights, a place where values meet, or an input. Other operations are
/// not drawn.
struct PageNode {
    std::string label{};                 ///< of an input its name, of a layer too; of others the operation
    std::optional<std::size_t> layer{};  ///< index of `PageNetwork::layers`
    std::vector<std::size_t> inputs{};   ///< earlier nodes
    std::optional<std::size_t> block{};  ///< from 0
};

/// See page_network.hpp.
struct PageNetwork {
    std::vector<PageLayer> layers{};  ///< every layer that could be quantized, in definition order
    std::vector<PageNode> nodes{};    ///< in graph order
};

/// How one of the networks does on test data.
struct TestedNetwork {
    std::string network{};  ///< "FP32", "calibrated", "distilled", "integers", or another name
    double accuracy = std::numeric_limits<double>::quiet_NaN();  ///< 0 to 1
    double error = std::numeric_limits<double>::quiet_NaN();     ///< mean squared, of the outputs to FP32's
};
struct PageTest {
    std::size_t samples = 0;
    std::vector<TestedNetwork> networks{};  ///< the first is the float network
};

/// What quantizing one layer costs: the signal to noise of the network's outputs, dB, when nothing else is
/// quantized. NaN: not measured; infinite: no noise.
struct LayerSensitivity {
    std::string name{};
    double weights_int4 = std::numeric_limits<double>::quiet_NaN();
    double weights_int8 = std::numeric_limits<double>::quiet_NaN();
    double data_int4 = std::numeric_limits<double>::quiet_NaN();
    double data_int8 = std::numeric_limits<double>::quiet_NaN();
    double all_but_this = std::numeric_limits<double>::quiet_NaN();  ///< dB, all quantized but this layer
    /// How much of the outputs' noise goes away when all but this layer are quantized, 0 to 1.
    double noise_share = std::numeric_limits<double>::quiet_NaN();
};

/// A picture of a sample, as the network sees it.
struct Thumbnail {
    std::size_t width = 0, height = 0;
    std::string png{};  ///< in base64
    std::string caption{};
};
struct ChannelSummary {
    std::string name{};
    double min = 0, max = 0, mean = 0, deviation = 0;
};
/// See data_summary.hpp.
struct DataSummary {
    std::string input{};  ///< its name
    std::size_t batches = 0, samples = 0;
    std::string shape{};  ///< of a batch, "[N, 1, 8, 8]"
    std::vector<ChannelSummary> channels{};
    std::vector<Thumbnail> thumbnails{};
};

struct PageFact {
    std::string name{}, value{};
};
struct PagePhase {
    std::string name{};
    double seconds = 0;
};
/// How to do it again.
struct PageRun {
    std::string date{};
    std::string command{};
    std::string config_name{}, config_text{};
    std::vector<PageFact> facts{};    ///< versions, hashes, threads, files
    std::vector<PagePhase> phases{};  ///< and how long they took
};

struct ReportPage {
    std::string model{};  ///< its name
    DistillReport report{};
    PageNetwork network{};
    std::optional<ObservedValues> observed{};
    std::optional<VerifyReport> verified{};
    PageTest test{};
    std::vector<LayerSensitivity> sensitivity{};
    std::vector<DataSummary> data{};  ///< of each input
    std::vector<Diagnostic> warnings{};
    PageRun run{};
};

/// In which language a page opens. It holds both, and has a switch.
enum class PageLanguage {
    automatic,  ///< what the reader chose last, else the browser's
    english,
    chinese,
};
struct HtmlOptions {
    PageLanguage language = PageLanguage::automatic;
    std::size_t histograms = 40;  ///< of how many layers, those with the most noise first
};

}  // namespace amct_distill
