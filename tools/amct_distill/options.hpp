// SPDX-License-Identifier: Apache-2.0
/// What the command line says, as text that the verbs take apart.
///
///     Options o = ...;                  // main.cpp
///     return run_distill(o);            // program.hpp
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace amct_distill {
class Ranks;
}  // namespace amct_distill

namespace tool {

/// The model, and what it leaves open.
struct ModelOptions {
    std::string path{};
    std::vector<std::string> shapes{};  ///< "image:Nx3x224x224", "a:1,3,8,8;b:1,4"
    bool follow_links = false;          ///< of external data
};

/// Where samples come from, and what is done to images.
struct DataOptions {
    std::vector<std::string> data{};  ///< "PATH" or "input=PATH"
    std::string labels{};
    std::string types{};  ///< of raw files: "float32", "float32;int32"
    std::string size{};   ///< "224x224": height and width; empty: the model's
    std::string resize = "fill";
    std::string mean{}, std{};  ///< "0.485,0.456,0.406"
    std::string scale = "1/255";
    std::string order = "rgb", layout{};  ///< layout: as the model's input has it unless it is given
    std::size_t batch = 32;
    std::size_t limit = 0;                ///< of samples; 0: all
    std::optional<std::uint64_t> seed{};  ///< shuffled with it
};

struct Options {
    ModelOptions model{};
    DataOptions data{};
    std::string config{}, target = "generic";
    bool patterns = false, group_parts = false;
    std::vector<std::string> files{};  ///< check
    std::string out{};                 ///< a directory, or a file
    std::string json{}, dot{};         ///< files to write; inspect: "-" is standard output
    std::string suggest{}, budget{};   ///< analyze
    std::string formats{};             ///< export
    std::string source{};              ///< export: the float model of a folder
    std::string weights = "8bit";      ///< export, of qdq-int8
    int epochs = 5;
    std::optional<std::uint32_t> batch_num{};
    std::size_t slices = 8;  ///< of a batch; at least the ranks
    int threads = 0;         ///< 0: the machine's
    std::string memory{};
    std::string blocks = "amct";
    std::string recipe = "amct";              ///< what these are where they are not given
    std::string input = "student";            ///< of blocks
    std::string loss = "mean_squared_error";  ///< or fisher
    std::vector<double> rates{};  ///< of parameters, clips and weights' scales; those not given: AMCT's
    double drop_probability = 0;
    std::string equalize = "none";     ///< or depthwise, convolutions
    std::string calibration = "ifmr";  ///< or range
    bool bias_correction = false;
    std::string log = "text";
    bool quiet = false, resume = false, force = false, dry_run = false, simulate = false;
    amct_distill::Ranks* ranks = nullptr;  ///< the processes that share the work; null: this one is alone
    std::string command{};                 ///< as it was typed, for the log and the report
};

}  // namespace tool
