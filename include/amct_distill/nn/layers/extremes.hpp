// SPDX-License-Identifier: Apache-2.0
/// The largest or smallest of activations and constants, element by element, broadcast as numpy does it.
///
///     x = net.add_function("/Max", Max{}, {x, floor});
///     x = net.add_function("/Min", Min{}, {x, y, z});
///
/// NaN is passed on. The gradient is shared equally among inputs that are equal, as PyTorch's of two is.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>

#include "../module.hpp"
#include "broadcast_operands.hpp"

namespace amct_distill::detail {

struct Larger {
    template <class T>
    static T value(T a, T b) {
        return a > b || std::isnan(a) ? a : b;
    }
};
struct Smaller {
    template <class T>
    static T value(T a, T b) {
        return a < b || std::isnan(a) ? a : b;
    }
};

template <class T, class Op>
class ExtremeOfInputs {
public:
    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        if (inputs.empty()) return unexpected_inputs("one or more inputs", inputs);
        return nn::broadcast_shape(inputs);
    }
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        if (inputs.size() == 1) std::copy(inputs[0]->begin(), inputs[0]->end(), output.begin());
        for (std::size_t i = 1; i < inputs.size(); ++i)
            broadcast_forward<ElementOp>(i == 1 ? *inputs[0] : output, *inputs[i], output, scratch);
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>& output,
                  const nn::BasicTensor<T>& grad_output, std::span<nn::BasicTensor<T>* const> grad_inputs,
                  std::span<nn::BasicTensor<T>>, nn::BasicScratch<T>& scratch, nn::Mode) const {
        nn::BasicTensor<T>& shares =
            scratch.tensor(1);  // of the gradient, for each input that is the extreme
        shares.resize(output.shape());
        shares.fill(T(0));
        for (const nn::BasicTensor<T>* x : inputs)
            broadcast_backward(*x, output, output, grad_output, shares, scratch,
                               [](T value, T y, T, T) { return value == y ? T(1) : T(0); });
        nn::array(shares) = nn::array(grad_output) / (nn::array(shares).max)(T(1));
        for (std::size_t i = 0; i != inputs.size(); ++i)
            if (grad_inputs[i])
                broadcast_backward(*inputs[i], output, output, shares, *grad_inputs[i], scratch,
                                   [](T value, T y, T, T share) { return value == y ? share : T(0); });
    }

private:
    struct ElementOp {
        static T value(T a, T b) { return Op::value(a, b); }
    };
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

template <class T>
struct BasicMax : detail::ExtremeOfInputs<T, detail::Larger> {
    static constexpr std::string_view type_name = "Max";
};
template <class T>
struct BasicMin : detail::ExtremeOfInputs<T, detail::Smaller> {
    static constexpr std::string_view type_name = "Min";
};

using Max = BasicMax<float>;
using Min = BasicMin<float>;

}  // namespace amct_distill::nn
