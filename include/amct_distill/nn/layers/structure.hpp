// SPDX-License-Identifier: Apache-2.0
/// What the networks of classifiers are joined with: Identity, Dropout; and, in headers of their own, Add,
/// Concat, Flatten and Reshape.
///
///     x = net.add("dropout", Dropout{}, {x});                   // the identity
#pragma once
#include <span>
#include <string_view>

#include "../module.hpp"
#include "arithmetic.hpp"
#include "concat.hpp"
#include "reshape.hpp"

namespace amct_distill::nn {

template <class T>
class BasicIdentity : public detail::PassThrough<T> {
public:
    static constexpr std::string_view type_name = "Identity";
    static constexpr bool is_homogeneous = true;
    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1) return detail::unexpected_inputs("one input", inputs);
        return inputs[0];
    }
};

/// The identity, in train too: a place for the name. What is trained here learns to follow a teacher, and a
/// random teacher or student has nothing to teach or to be compared.
template <class T>
class BasicDropout : public BasicIdentity<T> {
public:
    static constexpr std::string_view type_name = "Dropout";
};

using Identity = BasicIdentity<float>;
using Dropout = BasicDropout<float>;

}  // namespace amct_distill::nn
