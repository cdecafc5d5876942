// SPDX-License-Identifier: Apache-2.0
/// A list on the command line, cut at its separators.
///
///     split("image;mask", ';');                            // "image", "mask"; "" is one empty piece
#pragma once
#include <string_view>
#include <vector>

namespace tool {

/// The pieces are parts of `text`.
inline std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> out;
    for (std::size_t end; (end = text.find(at)) != text.npos; text.remove_prefix(end + 1))
        out.push_back(text.substr(0, end));
    out.push_back(text);
    return out;
}

}  // namespace tool
