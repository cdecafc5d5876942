// SPDX-License-Identifier: Apache-2.0
/// What the networks of classifiers are joined with: Add, Identity, Dropout; and, in headers of their own,
/// Concat, Flatten and Reshape.
///
///     x = net.add_function("/Add", Add{}, {x, shortcut});
///     x = net.add("dropout", Dropout{}, {x});                   // the identity
#pragma once
#include <algorithm>
#include <functional>
#include <span>
#include <string_view>

#include "../module.hpp"
#include "concat.hpp"
#include "reshape.hpp"

namespace amct_distill::nn {

/// The sum of two or more inputs of one shape.
template <class T>
class BasicAdd {
public:
    static constexpr std::string_view type_name = "Add";

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() < 2 ||
            std::adjacent_find(inputs.begin(), inputs.end(), std::not_equal_to<>{}) != inputs.end())
            return detail::unexpected_inputs("two or more inputs of one shape", inputs);
        return inputs[0];
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>&, Mode) const {
        array(output) = array(*inputs[0]) + array(*inputs[1]);
        for (const BasicTensor<T>* x : inputs.subspan(2)) array(output) += array(*x);
    }
    void backward(BasicInputs<T>, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        for (BasicTensor<T>* gx : grad_inputs)
            if (gx) array(*gx) += array(grad_output);
    }
};

template <class T>
class BasicIdentity : public detail::PassThrough<T> {
public:
    static constexpr std::string_view type_name = "Identity";
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

using Add = BasicAdd<float>;
using Identity = BasicIdentity<float>;
using Dropout = BasicDropout<float>;

}  // namespace amct_distill::nn
