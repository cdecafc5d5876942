// SPDX-License-Identifier: Apache-2.0
/// The definitions of reader.hpp.
#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reader.hpp"
#include "text_reader.hpp"

namespace amct_distill {
namespace detail {

template <class M>
result<M> read_text(std::string_view name, std::string_view text, const ReaderOptions& options) {
    M message = blank_message<M>();
    TextReader reader(text, options);
    bool const ok = reader.read(message);
    std::vector<ReaderNote> notes = reader.notes();
    std::stable_sort(notes.begin(), notes.end(),
                     [](const auto& a, const auto& b) { return a.offset < b.offset; });
    Diagnostics diagnostics;
    for (const ReaderNote& n : notes)
        diagnostics.push_back(diagnostic_at(n.severity, name, text, n.offset, std::string(n.path.view()),
                                            std::string(n.message.view())));
    if (!ok) return diagnostics;
    return {std::move(message), std::move(diagnostics)};
}

}  // namespace detail

template <class M>
result<M> read(const SourceText& source, const ReaderOptions& options) {
    return detail::read_text<M>(source.name, source.text, options);
}
template <class M>
result<M> read(std::string_view text, const ReaderOptions& options) {
    return detail::read_text<M>(options.source, text, options);
}

}  // namespace amct_distill
