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

#include "../broadcast.hpp"
#include "../module.hpp"
#include "../reduction.hpp"

namespace amct_distill::detail {

/// gx += factor * g, of the output's shape, summed over what gx was broadcast to.
template <class T>
void add_broadcast_gradient(const nn::BasicTensor<T>& g, nn::BasicTensor<T>& gx,
                            const nn::BasicScratch<T>& scratch, double factor = 1) {
    if (g.size() == gx.size()) {
        T const by = T(factor);
        scratch.in_parts(g.size(), [&](std::size_t begin, std::size_t end) {
            auto const n = static_cast<nn::Index>(end - begin);
            nn::ArrayMap<T>(gx.data() + begin, n) += nn::ConstArrayMap<T>(g.data() + begin, n) * by;
        });
        return;
    }
    const nn::Shape& narrow = gx.shape();
    std::size_t const missing = g.rank() - narrow.size();
    nn::Reduction const over(g.shape(),
                             [&](std::size_t i) { return i < missing || narrow[i - missing] == 1; });
    over.for_each(scratch, [&](nn::Index out, nn::Index width, auto each_line) {
        double sums[nn::Reduction::strip] = {};
        each_line([&](nn::Index at, nn::Index n) {
            if (over.step() == 0)
                sums[0] += sum_of(g.data() + at, n);
            else
                for (nn::Index j = 0; j != n; ++j) sums[j] += double(g.data()[at + j]);
        });
        for (nn::Index j = 0; j != width; ++j) gx.data()[out + j] += T(sums[j] * factor);
    });
}

/// y = Op(a, b), element by element.
template <class Op, class T>
void broadcast_forward(const nn::BasicTensor<T>& a, const nn::BasicTensor<T>& b, nn::BasicTensor<T>& y,
                       const nn::BasicScratch<T>& scratch) {
    nn::Broadcast const pair(y.shape(), a.shape(), b.shape());
    pair.for_each_run(scratch, [&](nn::Index o, nn::Index i, nn::Index j, nn::Index n) {
        nn::ArrayMap<T> to(y.data() + o, n);
        nn::ConstArrayMap<T> const left(a.data() + i, pair.step_a() == 0 ? 1 : n),
            right(b.data() + j, pair.step_b() == 0 ? 1 : n);
        if (pair.step_a() == 0)
            for (nn::Index k = 0; k != n; ++k) to[k] = Op::value(left[0], right[k * pair.step_b()]);
        else if (pair.step_b() == 0)
            for (nn::Index k = 0; k != n; ++k) to[k] = Op::value(left[k], right[0]);
        else if constexpr (requires { to = Op::value(left, right); })
            to = Op::value(left, right);
        else
            for (nn::Index k = 0; k != n; ++k) to[k] = Op::value(left[k], right[k]);
    });
}

/// gx += what `slope(x, other, y, g)` gives, element by element, summed over what x was broadcast to.
template <class T, class Slope>
void broadcast_backward(const nn::BasicTensor<T>& x, const nn::BasicTensor<T>& other,
                        const nn::BasicTensor<T>& y, const nn::BasicTensor<T>& g, nn::BasicTensor<T>& gx,
                        nn::BasicScratch<T>& scratch, Slope slope) {
    bool const same = gx.size() == g.size();
    nn::BasicTensor<T>& to = same ? gx : scratch.tensor(0);
    if (!same) {
        to.resize(g.shape());
        to.fill(T(0));
    }
    nn::Broadcast const pair(y.shape(), x.shape(), other.shape());
    nn::Index const p = pair.step_a(), q = pair.step_b();
    pair.for_each_run(scratch, [&](nn::Index o, nn::Index i, nn::Index j, nn::Index n) {
        const T *const left = x.data() + i, *const right = other.data() + j;
        const T *const ys = y.data() + o, *const gs = g.data() + o;
        T* const sums = to.data() + o;
        for (nn::Index k = 0; k != n; ++k) sums[k] += slope(left[k * p], right[k * q], ys[k], gs[k]);
    });
    if (!same) add_broadcast_gradient(to, gx, scratch);
}

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
            broadcast_backward(a, b, output, grad_output, *grad_inputs[0], scratch,
                               [](T x, T other, T y, T g) { return Op::to_a(x, other, y, g); });
        if (grad_inputs[1])
            broadcast_backward(b, a, output, grad_output, *grad_inputs[1], scratch,
                               [](T x, T other, T y, T g) { return Op::to_b(x, other, y, g); });
    }
};

struct Minus {
    template <class A, class B>
    static auto value(const A& a, const B& b) {
        return a - b;
    }
    template <class T>
    static T to_a(T, T, T, T g) {
        return g;
    }
    template <class T>
    static T to_b(T, T, T, T g) {
        return -g;
    }
};
struct Times {
    template <class A, class B>
    static auto value(const A& a, const B& b) {
        return a * b;
    }
    template <class T>
    static T to_a(T, T b, T, T g) {
        return g * b;
    }
    template <class T>
    static T to_b(T, T a, T, T g) {
        return g * a;
    }
};
struct Over {
    template <class A, class B>
    static auto value(const A& a, const B& b) {
        return a / b;
    }
    template <class T>
    static T to_a(T, T b, T, T g) {
        return g / b;
    }
    template <class T>
    static T to_b(T b, T, T y, T g) {
        return -g * (y / b);
    }
};
/// The gradients of x^0, and of 0^b, are 0, as PyTorch's.
struct Power {
    template <class T>
    requires std::is_floating_point_v<T>
    static T value(T a, T b) { return b == T(2) ? a * a : std::pow(a, b); }
    template <class T>
    static T to_a(T a, T b, T, T g) {
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
