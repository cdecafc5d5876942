// SPDX-License-Identifier: Apache-2.0
/// proto2's `bytes`: a string that need not be UTF-8.
///
///     struct Blob { optional<bytes> data{}; };
///     read<Blob>(R"(data: "\377\000")")->data->size() == 2      // as a string, this would be an error
///
/// Raw bytes in a text are UTF-8, as the text is; escapes may spell any.
#pragma once
#include <string>
#include <utility>

namespace amct_distill {

class bytes : public std::string {
public:
    using std::string::string;
    bytes() = default;
    bytes(std::string s) : std::string(std::move(s)) {}
};

}  // namespace amct_distill
