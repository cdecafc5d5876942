// SPDX-License-Identifier: Apache-2.0
/// The definitions of result.hpp.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <utility>

#include "inline.hpp"
#include "result.hpp"

namespace amct_distill {

AMCT_DISTILL_INLINE std::string to_string(std::span<const Diagnostic> all) {
    std::string out;
    for (const Diagnostic& d : all) {
        if (!out.empty()) out += '\n';
        out += to_string(d);
    }
    return out;
}

AMCT_DISTILL_INLINE ConfigError::ConfigError(Diagnostics diagnostics)
    : diagnostics_(std::move(diagnostics)), text_(to_string(diagnostics_)) {}

namespace detail {
[[noreturn]] AMCT_DISTILL_INLINE void raise(const Diagnostics& diagnostics) {
#if defined(__cpp_exceptions)
    throw ConfigError(diagnostics);
#else
    std::fprintf(stderr, "%s\n", to_string(diagnostics).c_str());
    std::abort();  // -fno-exceptions: ask has_value() first
#endif
}
}  // namespace detail

}  // namespace amct_distill
