// SPDX-License-Identifier: Apache-2.0
/// Whether a network can compute with its parameters: each of the shape that its layer needs, finite, and no
/// variance below 0.
///
///     Diagnostics errors = detail::check_parameters(teacher);
///     // layer `bn1`: running_var: value at [3] is -1; a variance is above 0, ...
#pragma once
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../nn/layers/batch_norm.hpp"
#include "../nn/layers/conv2d.hpp"
#include "../nn/layers/linear.hpp"
#include "../nn/network.hpp"
#include "../quant/finite.hpp"

namespace amct_distill::detail {

/// "2, 0, 1": of element i of a tensor.
inline std::string index_text(const nn::Shape& shape, std::size_t i) {
    std::string text;
    for (std::size_t d = shape.size(); d-- != 0;) {
        auto const n = static_cast<std::size_t>(shape[d]);
        text = text.empty() ? concat(i % n) : concat(i % n, ", ", text);
        i /= n;
    }
    return text;
}

/// The parameters of a module against those of one just made by the same options; false when it is not an M.
template <class M>
bool check_shapes(const nn::Module& module, std::string_view layer, Diagnostics& errors) {
    const M* const found = module.get_if<M>();
    if (found == nullptr) return false;
    nn::Module const expected = M(found->options());
    auto const is = module.parameters(), must = expected.parameters();
    for (std::size_t k = 0; k != must.size(); ++k)
        if (is[k].value->shape() != must[k].value->shape())
            errors.push_back(general_error(concat(
                "layer `", layer, "`: ", must[k].name, ": expected the shape ",
                nn::to_string(must[k].value->shape()), ", found ", nn::to_string(is[k].value->shape()))));
    if constexpr (requires { found->options().bias; })
        if (!found->options().bias && !found->bias().empty())
            errors.push_back(general_error(concat("layer `", layer,
                                                  "`: bias: the layer's options say that it has none, found ",
                                                  nn::to_string(found->bias().shape()))));
    return true;
}

/// All that is wrong; empty when nothing is.
inline Diagnostics check_parameters(const nn::Network& network) {
    Diagnostics errors;
    for (const auto& m : network.modules()) {
        std::size_t const before = errors.size();
        check_shapes<nn::Conv2d>(m.module, m.name, errors) ||
            check_shapes<nn::Linear>(m.module, m.name, errors) ||
            check_shapes<nn::BatchNorm2d>(m.module, m.name, errors);
        if (errors.size() != before) continue;
        const auto* const norm = m.module.get_if<nn::BatchNorm2d>();
        double const eps = norm ? norm->options().eps : 1;
        for (const auto& p : m.module.parameters()) {
            const nn::Tensor& values = *p.value;
            for (std::size_t i = 0; i != values.size(); ++i) {
                // The normalization divides by the root of variance + eps.
                bool const negative =
                    p.name == "running_var" && (values[i] < 0 || static_cast<double>(values[i]) + eps <= 0);
                if (std::isfinite(values[i]) && !negative) continue;
                errors.push_back(general_error(concat(
                    "layer `", m.name, "`: ", p.name, ": value at [", index_text(values.shape(), i), "] is ",
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
