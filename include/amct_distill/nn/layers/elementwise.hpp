// SPDX-License-Identifier: Apache-2.0
/// What modules share that compute element by element.
///
///     template <class T>
///     struct Square : detail::Elementwise<Square<T>, T> {
///         static constexpr std::string_view type_name = "Square";
///         static T value(T x) { return x * x; }
///         static T slope_times(T x, T y, T g) { return 2 * x * g; }
///     };
#pragma once
#include <cstddef>
#include <span>

#include "../module.hpp"

namespace amct_distill::detail {

/// `Derived` has `value(x)`, or `values(x, y)` of arrays, or `loop(x, y, n)`: a kernel
/// (run/instructions.hpp). And
/// `slope_times(x, y, g)`: the gradient `g` of the output `y`, carried to the input `x`; or a kernel that
/// adds it,
/// `gradient_loop(x, y, g, gx, n)`.
template <class Derived, class T>
class Elementwise {
public:
    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        if (inputs.size() != 1) return unexpected_inputs("one input", inputs);
        return inputs[0];
    }
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        const T* const x = inputs[0]->data();
        T* const y = output.data();
        scratch.in_parts(output.size(), [&](std::size_t begin, std::size_t end) {
            auto const n = static_cast<nn::Index>(end - begin);
            nn::ConstArrayMap<T> const from(x + begin, n);
            nn::ArrayMap<T> to(y + begin, n);
            if constexpr (requires { self().loop(x, y, n); })
                run_on(scratch.execution().instructions, self().loop(x + begin, y + begin, n));
            else if constexpr (requires { self().values(from, to); })
                self().values(from, to);
            else
                for (nn::Index i = 0; i != n; ++i) to[i] = self().value(from[i]);
        });
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>& output,
                  const nn::BasicTensor<T>& grad_output, std::span<nn::BasicTensor<T>* const> grad_inputs,
                  std::span<nn::BasicTensor<T>>, nn::BasicScratch<T>& scratch, nn::Mode) const {
        if (!grad_inputs[0]) return;
        const T* const x = inputs[0]->data();
        const T* const y = output.data();
        const T* const g = grad_output.data();
        T* const gx = grad_inputs[0]->data();
        scratch.in_parts(output.size(), [&](std::size_t begin, std::size_t end) {
            if constexpr (requires { self().gradient_loop(x, y, g, gx, nn::Index(0)); })
                run_on(scratch.execution().instructions,
                       self().gradient_loop(x + begin, y + begin, g + begin, gx + begin,
                                            static_cast<nn::Index>(end - begin)));
            else
                for (std::size_t i = begin; i != end; ++i) gx[i] += self().slope_times(x[i], y[i], g[i]);
        });
    }

private:
    const Derived& self() const { return static_cast<const Derived&>(*this); }
};

}  // namespace amct_distill::detail
