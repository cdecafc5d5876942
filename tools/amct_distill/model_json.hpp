// SPDX-License-Identifier: Apache-2.0
/// How a model's inputs and outputs are called, kept beside its deployment.
///
///     write_file("out/model.json", model_json(model)).value();
///     Model deployed = deployed_model("out", deployment.network());
#pragma once
#include <filesystem>
#include <string>

#include "model.hpp"

namespace tool {

std::string model_json(const Model& model);
/// What the folder's model.json says of the model that it was made of; empty where there is none.
struct SourceOfFolder {
    std::string path{}, hash{};
    std::vector<std::string> shapes{};  ///< that were given for it
};
SourceOfFolder source_of_folder(const std::filesystem::path& directory);
/// The network with the names of the folder's model.json; with its own names where there is none.
Model deployed_model(const std::filesystem::path& directory, amct_distill::nn::Network network);

}  // namespace tool
