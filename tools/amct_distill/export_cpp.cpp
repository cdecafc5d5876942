// SPDX-License-Identifier: Apache-2.0
// export --format cpp: a deployment as a C++ header, of a namespace that has the file's name.
#include <amct_distill/deploy/cpp_header.hpp>
#include <filesystem>
#include <string>

#include "exporting.hpp"

namespace tool {

void write_cpp(Exporting& e) {
    std::string const file = e.file_name(".hpp");
    std::string const name = std::filesystem::path(file).stem().string();
    auto text =
        amct_distill::write_cpp_header(e.deployment(), {.name = amct_distill::detail::CppNames().add(name)});
    if (e.take(text)) e.add(file, *std::move(text));
}

}  // namespace tool
