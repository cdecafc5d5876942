// SPDX-License-Identifier: Apache-2.0
// export --format cpp: a deployment as a C++ header, of a namespace that has the file's name.
#include <amct_distill/definitions.hpp>
#include <amct_distill/deploy/cpp_header.hpp>
#include <filesystem>
#include <string>
#include <utility>

#include "export_formats.hpp"

namespace tool {

namespace ad = amct_distill;

ad::result<ExportFiles> write_cpp(ExportJob& job) {
    std::string const name = std::filesystem::path(job.file()).stem().string();
    auto text = ad::write_cpp_header(job.deployment(), {.name = ad::detail::CppNames().add(name)});
    if (!text) return text.diagnostics();
    ExportFiles files;
    files.push_back({job.file(), *std::move(text)});
    return {std::move(files), text.diagnostics()};
}

}  // namespace tool
