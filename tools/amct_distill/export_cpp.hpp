// SPDX-License-Identifier: Apache-2.0
/// export --format cpp: a deployment as a C++ header, of a namespace that has the file's name.
#pragma once
#include <amct_distill/deploy/deployment.hpp>
#include <string>

namespace tool {

void export_cpp(const amct_distill::Deployment& deployment, const std::string& out);

}  // namespace tool
