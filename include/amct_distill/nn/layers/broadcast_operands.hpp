// SPDX-License-Identifier: Apache-2.0
/// What operators with two operands do that are broadcast: forward, and the gradients, summed over what an
/// operand was broadcast to.
///
///     detail::broadcast_forward<Times>(a, b, y, scratch);          // y = Times::value(a, b)
///     detail::broadcast_backward(a, b, y, g, ga, scratch,          // ga += what the lambda gives
///                                [](T x, T other, T y, T g) { return g * other; });
#pragma once
#include <cstddef>
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

/// gx += what `slope(x, other, y, g)` gives, element by element, summed over what x was broadcast to. Each is
/// a number, or an array of them where `slope` takes those.
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
        using Array = nn::ConstArrayMap<T>;
        if constexpr (std::is_invocable_v<Slope, T, T, Array, Array>) {
            Array const ya(ys, n), ga(gs, n);
            nn::ArrayMap<T> out(sums, n);
            if (p == 0)
                q == 0 ? void(out += slope(*left, *right, ya, ga))
                       : void(out += slope(*left, Array(right, n), ya, ga));
            else if (q == 0)
                out += slope(Array(left, n), *right, ya, ga);
            else
                out += slope(Array(left, n), Array(right, n), ya, ga);
        } else {
            for (nn::Index k = 0; k != n; ++k) sums[k] += slope(left[k * p], right[k * q], ys[k], gs[k]);
        }
    });
    if (!same) add_broadcast_gradient(to, gx, scratch);
}

}  // namespace amct_distill::detail
