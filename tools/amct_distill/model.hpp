// SPDX-License-Identifier: Apache-2.0
/// The model that the user names, imported.
///
///     Model model = load_model(options.model);         // an .onnx; an .npz of nn::save is taken too
///     model.network, model.notes, model.hash
#pragma once
#include <amct_distill/nn/network.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "options.hpp"
#include "source_model.hpp"

namespace tool {

struct ModelName {
    std::string module{}, node{};
    std::string_view source{};  ///< where the name was found
};

struct Model {
    amct_distill::nn::Network network{};
    std::string path{};
    std::vector<std::string> notes{};
    std::vector<ModelName> names{};
    std::vector<std::string> inputs{}, outputs{};  ///< as the model calls them
    std::vector<std::string> shapes{};             ///< that were given for it
    std::uint64_t hash = 0;                        ///< of the file's bytes
    std::size_t bytes = 0;
    std::string producer{};
    std::int64_t opset = 0;
};

/// Throws ConfigError with every reason why it cannot be imported.
Model load_model(const ModelOptions& options);
std::uint64_t hash_of_file(const std::string& path);
/// The file, or these bytes of a model, as ONNX has it.
SourceModel read_source_model(std::unique_ptr<std::string> bytes, const ModelOptions& options);

}  // namespace tool
