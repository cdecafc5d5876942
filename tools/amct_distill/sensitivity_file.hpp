// SPDX-License-Identifier: Apache-2.0
/// sensitivity.json: what an analysis found, for the report page and for other programs.
///
///     write_sensitivity(file, "result/sensitivity.json");     // analyze
///     add_sensitivity(page, "result");                        // the page shows it, where it is there
///
/// JSON has no infinities: the signal to noise of what is exact is null.
#pragma once
#include <amct_distill/report/page.hpp>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

namespace tool {

inline constexpr const char* sensitivity_name = "sensitivity.json";

/// Signal to noise of the network's outputs, dB: see LayerSensitivity.
struct AnalyzedLayer {
    std::string name{}, type{};
    std::size_t weights = 0;
    bool quantized = false;  ///< by the configuration
    double weights_int4 = 0, weights_int8 = 0, data_int4 = 0, data_int8 = 0;
    double all_but_this = 0;  ///< of a layer that is not quantized: as all are planned
    double noise_share = std::numeric_limits<double>::quiet_NaN();
};
struct AnalyzedConfiguration {
    std::string name{};  ///< "all INT4, data INT8", "suggested", "all INT8"
    double bits = 0;     ///< a weight, on average
    double sqnr = 0;
    std::string text{};
};
struct SensitivityFile {
    std::string model{}, model_hash{};
    std::string config_name{}, config_text{};
    std::vector<std::string> data{};
    std::size_t samples = 0, batches = 0;
    double planned_sqnr = 0;  ///< everything quantized as the configuration says
    std::vector<AnalyzedLayer> layers{};
    std::vector<AnalyzedConfiguration> configurations{};
};

/// Throws ConfigError when it cannot be written.
void write_sensitivity(const SensitivityFile& file, const std::filesystem::path& path);

/// What the folder's analysis says of the page's layers, where there is one and it is of the folder's model.
/// How much of the noise each layer makes holds for one configuration: it is left out when the page has
/// another. Throws std::invalid_argument when the file is none of ours.
void add_sensitivity(amct_distill::ReportPage& page, const std::filesystem::path& directory);

}  // namespace tool
