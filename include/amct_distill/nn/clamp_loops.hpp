// SPDX-License-Identifier: Apache-2.0
/// The loops of ReLU and of what else cuts its input at bounds, and of their gradients.
///
///     run_on(set, ClampLoop<float>{x, 0, 6, y, n});   // min(max(x, 0), 6); NaN passes, -0 becomes 0
///     run_on(set, GateLoop<float>{x, 0, 6, g, gx, n});          // gx += x <= 0 || x >= 6 ? 0 : g
///
/// A bound that is NaN is none.
#pragma once
#include "../run/instructions.hpp"
#include "runs.hpp"

namespace amct_distill::detail {

template <class T>
struct ClampLoop {
    const T* x;
    T low, high;
    T* y;
    nn::Index n;

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        nn::Index i = 0;
        if constexpr (Bytes > 4)
            for (; i + Lanes<T, Bytes>::count <= n; i += Lanes<T, Bytes>::count) step<Bytes>(i);
        for (; i < n; ++i) step<4>(i);
    }
    template <int Bytes>
    [[gnu::always_inline]] void step(nn::Index i) const {
        using V = typename Lanes<T, Bytes>::type;
        V v;
        V const least = V{} + low, most = V{} + high;
        load(x + i, v);
        v = v <= least ? least : v;
        keep_rounded(v);  // else g++ 12 joins the comparisons, element by element
        v = v >= most ? most : v;
        v += V{};
        store(v, y + i);
    }
};

template <class T>
struct GateLoop {
    const T* x;
    T low, high;
    const T* g;
    T* gx;
    nn::Index n;

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        nn::Index i = 0;
        if constexpr (Bytes > 4)
            for (; i + Lanes<T, Bytes>::count <= n; i += Lanes<T, Bytes>::count) step<Bytes>(i);
        for (; i < n; ++i) step<4>(i);
    }
    template <int Bytes>
    [[gnu::always_inline]] void step(nn::Index i) const {
        using V = typename Lanes<T, Bytes>::type;
        V v, gradient, old, zero{};
        keep_rounded(zero);  // else it is a mask of a comparison, likewise
        load(x + i, v);
        load(g + i, gradient);
        load(gx + i, old);
        gradient = v <= V{} + low ? zero : gradient;
        keep_rounded(gradient);
        gradient = v >= V{} + high ? zero : gradient;
        keep_rounded(gradient);
        old += gradient;
        store(old, gx + i);
    }
};

}  // namespace amct_distill::detail
