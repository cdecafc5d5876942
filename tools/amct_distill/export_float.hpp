// SPDX-License-Identifier: Apache-2.0
/// A network in float as an ONNX model. (A unit of its own, because it compiles for long.)
///
///     std::string const bytes = float_bytes(model);
#pragma once
#include <string>

#include "model.hpp"

namespace tool {

/// Throws ConfigError with every layer that cannot be written.
std::string float_bytes(const Model& model);

}  // namespace tool
