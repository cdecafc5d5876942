// SPDX-License-Identifier: Apache-2.0
/// A text and its name: what read(), resolve() and check_engine() need to show the line of a diagnostic.
///
///     SourceText const source = SourceText::file("quant.cfg").value();      // needs io/file.hpp
///     auto config = read<AMCTDistillConfig>(source).value();
///     auto plan = resolve(config, graph, target::generic, {.source = source}).value();
///     check_engine<engine>(plan, source).value();
///     SourceText{"quant.cfg", text};                                        // of a text that is at hand
#pragma once
#include <string>

namespace amct_distill {

template <class T>
class result;

struct SourceText {
    std::string name{};  ///< for diagnostics; may be empty
    std::string text{};  ///< may be empty: diagnostics then have no excerpt

    /// The whole file, named by its path. Error: it cannot be opened or read.
    static result<SourceText> file(const std::string& path);

    friend bool operator==(const SourceText&, const SourceText&) = default;
};

}  // namespace amct_distill
