// SPDX-License-Identifier: Apache-2.0
/// How a text is read: what a second value means, whether an unknown field is an error.
///
///     read<AMCTDistillConfig>(text, {.on_duplicate = Duplicates::last_wins});
#pragma once
#include <cstddef>
#include <string_view>

namespace amct_distill {

/// What a second value for a singular field, or a second member of a oneof, means.
enum class Duplicates {
    error,      ///< it is an error that names both places
    last_wins,  ///< as protobuf's Merge: a scalar or a oneof is replaced, a message merged; with a warning
                ///< each
};

struct ReaderOptions {
    std::string_view source = {};  ///< name of a text that is no SourceText, for diagnostics
    Duplicates on_duplicate = Duplicates::error;
    bool unknown_fields_are_warnings = false;
    std::size_t max_depth = 100;  ///< of nested messages
};

}  // namespace amct_distill
