// SPDX-License-Identifier: Apache-2.0
#include "sensitivity_file.hpp"

#include <amct_distill/adapters/report_json.hpp>
#include <amct_distill/io/file.hpp>

#include "exact_json.hpp"
#include "fields_from_json.hpp"

namespace tool {
namespace {

namespace ad = amct_distill;
using ad::detail::concat;

/// Of model.json; empty: it is not known.
std::string model_hash(const std::filesystem::path& directory) {
    std::error_code none;
    if (!std::filesystem::exists(directory / "model.json", none)) return {};
    boost::json::value const json = read_json(directory / "model.json");
    const auto* const hash = json.is_object() ? json.get_object().if_contains("hash") : nullptr;
    return hash == nullptr || !hash->is_string() ? std::string() : std::string(hash->get_string());
}

}  // namespace

void write_sensitivity(const SensitivityFile& file, const std::filesystem::path& path) {
    ad::write_file(path, ad::print_json(ad::fields_to_json(file)) + '\n').value();
}

void add_sensitivity(ad::ReportPage& page, const std::filesystem::path& directory) {
    std::filesystem::path const path = directory / sensitivity_name;
    std::error_code none;
    if (!std::filesystem::exists(path, none)) return;
    SensitivityFile file;
    boost::json::value const json = read_json(path);
    try {
        fields_from_json(json, file, "");
    } catch (const std::invalid_argument& e) {
        throw std::invalid_argument(
            concat(path.string(), ": ", e.what(), "; is it an analysis of this version?"));
    }
    auto const fact = [&](std::string value) { page.run.facts.push_back({"sensitivity", std::move(value)}); };
    if (std::string const hash = model_hash(directory); !hash.empty() && hash != file.model_hash)
        return fact(concat(sensitivity_name, " is of another model and was not used"));
    bool const same = file.config_text == page.run.config_text;
    page.sensitivity.clear();
    for (const AnalyzedLayer& l : file.layers) {
        ad::LayerSensitivity& s = page.sensitivity.emplace_back();
        s.name = l.name;
        s.weights_int4 = l.weights_int4;
        s.weights_int8 = l.weights_int8;
        s.data_int4 = l.data_int4;
        s.data_int8 = l.data_int8;
        if (!same) continue;
        s.all_but_this = l.all_but_this;
        s.noise_share = l.noise_share;
    }
    std::string from =
        concat(sensitivity_name, ", of ", file.samples, file.samples == 1 ? " sample" : " samples");
    for (const std::string& data : file.data)
        ad::detail::append(from, concat(from.ends_with(data) ? "" : ", ", data));
    fact(concat(from, same ? "" : ", with another configuration: without each layer's share of the noise"));
}

}  // namespace tool
