// SPDX-License-Identifier: Apache-2.0
/// The model that the user names, imported.
///
///     Model model = load_model(options.model);         // an .onnx; an .npz of nn::save is taken too
///     model.network, model.notes, model.hash
#pragma once
#include <amct_distill/nn/network.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "options.hpp"

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
    std::uint64_t hash = 0;                        ///< of the file's bytes
    std::size_t bytes = 0;
    std::string producer{};
    std::int64_t opset = 0;
    std::vector<std::string> shapes{};  ///< that the user gave
};

/// The sizes that --shape gives.
std::map<std::string, std::vector<std::int64_t>, std::less<>> user_shapes(
    const std::vector<std::string>& given);

/// Throws ConfigError with every reason why it cannot be imported.
Model load_model(const ModelOptions& options);

}  // namespace tool
