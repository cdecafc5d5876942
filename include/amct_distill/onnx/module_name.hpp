// SPDX-License-Identifier: Apache-2.0
/// What a module of an imported network is called, and where that name was found.
///
///     for (const onnx::ImportedName& n : imported.names)
///         std::cout << n.module << " is " << n.node << '\n';
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace amct_distill::onnx {

enum class NameSource { weight, bias, metadata, scope, node, output, made_up };

struct ModuleName {
    std::string name{};
    NameSource source = NameSource::made_up;
};

/// How a module was named: the model's node, and the name that configurations use.
struct ImportedName {
    std::string node{};
    std::string module{};
    NameSource source = NameSource::made_up;
    /// Places in GraphProto::node of those that the module is; the first is the one it is named after.
    std::vector<std::size_t> nodes{};
};

}  // namespace amct_distill::onnx
