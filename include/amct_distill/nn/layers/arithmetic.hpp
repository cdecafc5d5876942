// SPDX-License-Identifier: Apache-2.0
/// Arithmetic of activations and constants, broadcast as numpy does it: Add, Sub, Mul, Div, Pow; Sum, Mean.
///
///     x = net.add_function("/Add", Add{}, {x, shortcut});
///     NodeId half = net.constant("half", Tensor({1}, {0.5f}));
///     x = net.add_function("/Mul", Mul{}, {x, half});
///     x = net.add_function("/Mean", Mean{}, {x, y, z});           // as Add and Sum, of any number of inputs
///
/// The gradient of an operand is summed, in double, over what it was broadcast to.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>

#include "../module.hpp"
#include "broadcast_operands.hpp"

namespace amct_distill::detail {

struct Plus {
    template <class A, class B>
    static auto value(const A& a, const B& b) {
        return a + b;
    }
};

/// What Add, Sum and Mean share: the sum of at least so many inputs, or their mean.
template <class T, std::size_t Least, bool IsMean>
class SumOfInputs {
public:
    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        if (inputs.size() < Least)
            return unexpected_inputs(Least == 1 ? "one or more inputs" : "two or more inputs", inputs);
        return nn::broadcast_shape(inputs);
    }
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        if (inputs.size() == 1) std::copy(inputs[0]->begin(), inputs[0]->end(), output.begin());
        for (std::size_t i = 1; i < inputs.size(); ++i)
            broadcast_forward<Plus>(i == 1 ? *inputs[0] : output, *inputs[i], output, scratch);
        if constexpr (IsMean) nn::array(output) /= T(inputs.size());
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>&, const nn::BasicTensor<T>& grad_output,
                  std::span<nn::BasicTensor<T>* const> grad_inputs, std::span<nn::BasicTensor<T>>,
                  nn::BasicScratch<T>& scratch, nn::Mode) const {
        for (nn::BasicTensor<T>* gx : grad_inputs)
            if (gx) add_broadcast_gradient(grad_output, *gx, scratch, IsMean ? 1 / double(inputs.size()) : 1);
    }
};

/// What Sub, Mul, Div and Pow share. `Op` has `value(a, b)` and the output's gradient g carried to a, and to
/// b: `to_a(a, b, y, g)`, `to_b(b, a, y, g)`.
template <class T, class Op>
class BinaryOperation {
public:
    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        if (inputs.size() != 2) return unexpected_inputs("two inputs", inputs);
        return nn::broadcast_shape(inputs);
    }
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        broadcast_forward<Op>(*inputs[0], *inputs[1], output, scratch);
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>& output,
                  const nn::BasicTensor<T>& grad_output, std::span<nn::BasicTensor<T>* const> grad_inputs,
                  std::span<nn::BasicTensor<T>>, nn::BasicScratch<T>& scratch, nn::Mode) const {
        const nn::BasicTensor<T>&a = *inputs[0], &b = *inputs[1];
        if (grad_inputs[0])
            broadcast_backward(
                a, b, output, grad_output, *grad_inputs[0], scratch,
                [](const auto& x, const auto& other, const auto& y,
                   const auto& g) -> decltype(Op::to_a(x, other, y, g)) { return Op::to_a(x, other, y, g); });
        if (grad_inputs[1])
            broadcast_backward(
                b, a, output, grad_output, *grad_inputs[1], scratch,
                [](const auto& x, const auto& other, const auto& y,
                   const auto& g) -> decltype(Op::to_b(x, other, y, g)) { return Op::to_b(x, other, y, g); });
    }
};

struct Minus {
    template <class A, class B>
    static auto value(const A& a, const B& b) {
        return a - b;
    }
    template <class X, class Other, class Y, class G>
    static auto to_a(const X&, const Other&, const Y&, const G& g) {
        return g;
    }
    template <class X, class Other, class Y, class G>
    static auto to_b(const X&, const Other&, const Y&, const G& g) {
        return -g;
    }
};
struct Times {
    template <class A, class B>
    static auto value(const A& a, const B& b) {
        return a * b;
    }
    template <class X, class Other, class Y, class G>
    static auto to_a(const X&, const Other& other, const Y&, const G& g) {
        return g * other;
    }
    template <class X, class Other, class Y, class G>
    static auto to_b(const X&, const Other& other, const Y&, const G& g) {
        return g * other;
    }
};
struct Over {
    template <class A, class B>
    static auto value(const A& a, const B& b) {
        return a / b;
    }
    template <class X, class Other, class Y, class G>
    static auto to_a(const X&, const Other& other, const Y&, const G& g) {
        return g / other;
    }
    template <class X, class Other, class Y, class G>
    static auto to_b(const X& x, const Other&, const Y& y, const G& g) {
        return -(g * y) / x;
    }
};
/// The gradients of x^0, and of 0^b, are 0, as PyTorch's.
struct Power {
    template <class T>
    requires std::is_floating_point_v<T>
    static T value(T a, T b) { return b == T(2) ? a * a : std::pow(a, b); }
    template <class T>
    static T to_a(T a, T b, T, T g) {
        if (b == T(2)) return g * (T(2) * a);
        return b == T(0) ? T(0) : g * (b * value(a, b - T(1)));
    }
    template <class T>
    static T to_b(T b, T a, T y, T g) {
        return a == T(0) && b >= T(0) ? T(0) : g * (y * std::log(a));
    }
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// The sum of two or more inputs.
template <class T>
struct BasicAdd : detail::SumOfInputs<T, 2, false> {
    static constexpr std::string_view type_name = "Add";
};
/// The same, of one or more, as ONNX has it.
template <class T>
struct BasicSum : detail::SumOfInputs<T, 1, false> {
    static constexpr std::string_view type_name = "Sum";
};
template <class T>
struct BasicMean : detail::SumOfInputs<T, 1, true> {
    static constexpr std::string_view type_name = "Mean";
};
template <class T>
struct BasicSub : detail::BinaryOperation<T, detail::Minus> {
    static constexpr std::string_view type_name = "Sub";
};
template <class T>
struct BasicMul : detail::BinaryOperation<T, detail::Times> {
    static constexpr std::string_view type_name = "Mul";
};
template <class T>
struct BasicDiv : detail::BinaryOperation<T, detail::Over> {
    static constexpr std::string_view type_name = "Div";
};
/// The first input to the power of the second.
template <class T>
struct BasicPow : detail::BinaryOperation<T, detail::Power> {
    static constexpr std::string_view type_name = "Pow";
};

using Add = BasicAdd<float>;
using Sum = BasicSum<float>;
using Mean = BasicMean<float>;
using Sub = BasicSub<float>;
using Mul = BasicMul<float>;
using Div = BasicDiv<float>;
using Pow = BasicPow<float>;

}  // namespace amct_distill::nn
