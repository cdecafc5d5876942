// SPDX-License-Identifier: Apache-2.0
#include "deployed.hpp"

#include <amct_distill/deploy/read.hpp>
#include <utility>

namespace tool {

amct_distill::Deployment load_deployment(const std::string& folder) {
    auto device = amct_distill::read_deployment(folder);
    return std::move(device).value();
}

}  // namespace tool
