// SPDX-License-Identifier: Apache-2.0
/// The deployment in a folder. (A unit of its own, because it compiles for long.)
///
///     amct_distill::Deployment device = load_deployment("result");
#pragma once
#include <amct_distill/deploy/deployment.hpp>
#include <string>

namespace tool {

/// Throws ConfigError with what is wrong with the folder.
amct_distill::Deployment load_deployment(const std::string& folder);

}  // namespace tool
