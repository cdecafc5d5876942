// SPDX-License-Identifier: Apache-2.0
/// Whether a network can compute with its parameters: each of the shape that its layer needs, finite, and no
/// variance below 0.
///
///     Diagnostics errors = detail::check_parameters(teacher);
///     // layer `bn1`: running_var: value at [3] is -1; a variance is above 0, ...
#pragma once
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../nn/layers/batch_norm.hpp"
#include "../nn/network.hpp"
#include "../quant/finite.hpp"

namespace amct_distill::detail {

/// "2, 0, 1": of element i of a tensor.
inline std::string index_text(std::span<const nn::Index> shape, std::size_t i) {
    std::string text;
    for (std::size_t d = shape.size(); d-- != 0;) {
        auto const n = static_cast<std::size_t>(shape[d]);
        text = text.empty() ? concat(i % n) : concat(i % n, ", ", text);
        i /= n;
    }
    return text;
}

/// All that is wrong; empty when nothing is.
inline Diagnostics check_parameters(const nn::Network& network) {
    Diagnostics errors;
    for (const auto& m : network.modules()) {
        if (auto const ok = m.module.check_parameters(); !ok) {
            errors.push_back(general_error(concat("layer `", m.name, "`: ", ok.diagnostics()[0].message)));
            continue;
        }
        const auto* const norm = nn::as_batch_norm(m.module);
        double const eps = norm ? norm->options().eps : 1;
        for (const auto& p : m.module.parameters()) {
            std::span<const float> const values = p.values;
            for (std::size_t i = 0; i != values.size(); ++i) {
                // The normalization divides by the root of variance + eps.
                bool const negative =
                    p.name == "running_var" && (values[i] < 0 || static_cast<double>(values[i]) + eps <= 0);
                if (std::isfinite(values[i]) && !negative) continue;
                errors.push_back(general_error(concat(
                    "layer `", m.name, "`: ", p.name, ": value at [", index_text(p.shape(), i), "] is ",
                    number(values[i]),
                    negative ? "; a variance is above 0, or 0 with an eps above it: check where it comes from"
                             : "; only finite values can be used: check where they come from")));
                break;
            }
        }
    }
    return errors;
}

}  // namespace amct_distill::detail
