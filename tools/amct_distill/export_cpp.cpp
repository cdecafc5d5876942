// SPDX-License-Identifier: Apache-2.0
#include "export_cpp.hpp"

#include <amct_distill/deploy/cpp_header.hpp>
#include <amct_distill/io/file.hpp>
#include <filesystem>

namespace tool {

namespace ad = amct_distill;

void export_cpp(const ad::Deployment& deployment, const std::string& out) {
    // The file's name is the network's.
    std::string const name = std::filesystem::path(out).stem().string();
    ad::write_file(out, ad::write_cpp_header(deployment, {.name = ad::detail::CppNames().add(name)}).value())
        .value();
}

}  // namespace tool
