// SPDX-License-Identifier: Apache-2.0
#include "model_json.hpp"

#include <amct_distill/adapters/json.hpp>
#include <amct_distill/io/file.hpp>
#include <boost/json/parse.hpp>

#include "layer_facts.hpp"

namespace tool {

namespace ad = amct_distill;

std::string model_json(const Model& model) {
    boost::json::object out;
    out["model"] = model.path;
    out["producer"] = model.producer;
    out["hash"] = hash_text(model.hash);
    out["bytes"] = model.bytes;
    for (auto const& [key, names] : {std::pair("inputs", &model.inputs), std::pair("outputs", &model.outputs),
                                     std::pair("shapes", &model.shapes)}) {
        boost::json::array list;
        for (const std::string& name : *names) list.emplace_back(name);
        out[key] = std::move(list);
    }
    return ad::print_json(out) + '\n';
}

SourceOfFolder source_of_folder(const std::filesystem::path& directory) {
    SourceOfFolder out;
    auto const text = ad::read_file(directory / "model.json");
    boost::json::error_code error;
    boost::json::value const json = text ? boost::json::parse(*text, error) : boost::json::value();
    if (error || !json.is_object()) return out;
    auto const take = [](const boost::json::value* v, std::string& to) {
        if (v != nullptr && v->is_string()) to = std::string(v->get_string());
    };
    take(json.get_object().if_contains("model"), out.path);
    take(json.get_object().if_contains("hash"), out.hash);
    const boost::json::value* const shapes = json.get_object().if_contains("shapes");
    if (shapes != nullptr && shapes->is_array())
        for (const boost::json::value& v : shapes->get_array()) take(&v, out.shapes.emplace_back());
    return out;
}

Model deployed_model(const std::filesystem::path& directory, ad::nn::Network network) {
    Model out;
    out.path = directory.string();
    out.network = std::move(network);
    for (ad::NodeId id : out.network.inputs()) out.inputs.push_back(out.network.name(id));
    for (ad::NodeId id : out.network.outputs()) out.outputs.push_back(out.network.name(id));
    auto const text = ad::read_file(directory / "model.json");
    if (!text) return out;
    boost::json::error_code error;
    boost::json::value const json = boost::json::parse(*text, error);
    if (error || !json.is_object()) return out;
    for (auto [key, names] : {std::pair("inputs", &out.inputs), std::pair("outputs", &out.outputs)}) {
        auto const* const list = json.get_object().if_contains(key);
        if (list == nullptr || !list->is_array() || list->get_array().size() != names->size()) continue;
        for (std::size_t k = 0; k != names->size(); ++k)
            if (list->get_array()[k].is_string())
                (*names)[k] = std::string(list->get_array()[k].get_string());
    }
    return out;
}

}  // namespace tool
