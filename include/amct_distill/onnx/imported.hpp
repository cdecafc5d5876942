// SPDX-License-Identifier: Apache-2.0
/// What an import gives: the network, and how it belongs to the model.
///
///     onnx::Imported const net = onnx::import_network("net.onnx").value();      // import.hpp
///     for (const onnx::ImportedName& n : net.names) std::cout << n.module << " is " << n.node << '\n';
#pragma once
#include <string>
#include <vector>

#include "../nn/network.hpp"
#include "module_name.hpp"

namespace amct_distill::onnx {

struct Imported {
    nn::Network network{};
    std::vector<std::string> notes{};              ///< what was converted, guessed or kept
    std::vector<ImportedName> names{};             ///< of the named modules, in order
    std::vector<std::string> inputs{}, outputs{};  ///< as the model calls them
};

/// A FloatModel (float_model.hpp), whose header need not be read to write what was made of it.
template <class M>
concept HasFileAndImport = requires(const M& m) {
    m.file();
    m.imported();
};

}  // namespace amct_distill::onnx
