// SPDX-License-Identifier: Apache-2.0
/// Loops over the values of a channel: sums in double, and what batch normalization does with each value.
///
///     double const sum = run_on(set, SumLoop<float>{x, n});
///     Moments const m = run_on(set, MomentsLoop<float>{x, n, shift});          // of x - shift
///     run_on(set, ScaleLoop<float>{x, factor, shift, y, n});                    // y = x * factor + shift
///
/// A sum is one of 16 lanes, which are added in the end: the same bits for any width of vectors, with fused
/// multiply-adds or without. (A product of two floats is exact in double; others are kept rounded.)
#pragma once
#include <cstddef>
#include <type_traits>

#include "../run/instructions.hpp"
#include "runs.hpp"

namespace amct_distill::detail {

/// 16 values in double, as vectors of `Bytes`.
template <int Bytes>
struct DoubleLanes {
    using V = typename Lanes<double, Bytes>::type;
    static constexpr int lanes = Lanes<double, Bytes>::count;
    static constexpr std::size_t count = 16 / std::size_t(lanes);

    /// The next 16 values.
    template <class T>
    [[gnu::always_inline]] static void load16(const T* x, V (&to)[count]) {
        if constexpr (std::is_same_v<T, double> || Bytes == 4) {
#pragma GCC unroll 16
            for (std::size_t v = 0; v != count; ++v)
                if constexpr (Bytes == 4)
                    to[v] = double(x[v]);
                else
                    load(x + v * std::size_t(lanes), to[v]);
        } else {
#pragma GCC unroll 16
            for (std::size_t v = 0; v != count; v += 2) {
                typename Vectors<Bytes>::floats f;
                load(x + v * std::size_t(lanes), f);
                widen(f, to[v], to[v + 1]);
            }
        }
    }
    /// The sum of the lanes, and of the values that fill no more 16.
    template <class F>
    [[gnu::always_inline]] static double total(const V (&sums)[count], nn::Index rest, F value) {
        double lane[16];
        std::memcpy(lane, sums, sizeof lane);
        for (nn::Index i = 0; i < rest; ++i) lane[i] += value(i);
        for (int half = 8; half != 0; half /= 2)
            for (int k = 0; k != half; ++k) lane[k] += lane[k + half];
        return lane[0];
    }
};

template <class T>
struct SumLoop {
    const T* x;
    nn::Index n;

    template <int Bytes>
    [[gnu::always_inline]] double run() const {
        using D = DoubleLanes<Bytes>;
        typename D::V sums[D::count] = {}, v[D::count];
        nn::Index i = 0;
        for (; i + 16 <= n; i += 16) {
            D::load16(x + i, v);
#pragma GCC unroll 16
            for (std::size_t k = 0; k != D::count; ++k) sums[k] += v[k];
        }
        const T* const rest = x + i;
        return D::total(sums, n - i, [rest](nn::Index k) { return double(rest[k]); });
    }
};

struct Moments {
    double first = 0, second = 0;
};

/// The sums of x - shift and of its square.
template <class T>
struct MomentsLoop {
    const T* x;
    nn::Index n;
    double shift;

    template <int Bytes>
    [[gnu::always_inline]] Moments run() const {
        using D = DoubleLanes<Bytes>;
        typename D::V sums[D::count] = {}, squares[D::count] = {}, v[D::count];
        nn::Index i = 0;
        for (; i + 16 <= n; i += 16) {
            D::load16(x + i, v);
#pragma GCC unroll 16
            for (std::size_t k = 0; k != D::count; ++k) {
                v[k] -= shift;
                sums[k] += v[k];
                v[k] *= v[k];
                keep_rounded(v[k]);
                squares[k] += v[k];
            }
        }
        const T* const rest = x + i;
        double const s = shift;
        return {D::total(sums, n - i, [rest, s](nn::Index k) { return double(rest[k]) - s; }),
                D::total(squares, n - i, [rest, s](nn::Index k) {
                    double square = (double(rest[k]) - s) * (double(rest[k]) - s);
                    keep_rounded(square);
                    return square;
                })};
    }
};

/// The sums of g, and of g * x.
template <class T>
struct DotLoop {
    const T *g, *x;
    nn::Index n;

    template <int Bytes>
    [[gnu::always_inline]] Moments run() const {
        using D = DoubleLanes<Bytes>;
        typename D::V sums[D::count] = {}, dots[D::count] = {}, a[D::count], b[D::count];
        nn::Index i = 0;
        for (; i + 16 <= n; i += 16) {
            D::load16(g + i, a);
            D::load16(x + i, b);
#pragma GCC unroll 16
            for (std::size_t k = 0; k != D::count; ++k) {
                sums[k] += a[k];
                b[k] *= a[k];
                if constexpr (!std::is_same_v<T, float>) keep_rounded(b[k]);
                dots[k] += b[k];
            }
        }
        const T *const rest_g = g + i, *const rest_x = x + i;
        return {D::total(sums, n - i, [rest_g](nn::Index k) { return double(rest_g[k]); }),
                D::total(dots, n - i, [rest_g, rest_x](nn::Index k) {
                    double product = double(rest_g[k]) * double(rest_x[k]);
                    keep_rounded(product);
                    return product;
                })};
    }
};

/// y = x * factor + shift
template <class T>
struct ScaleLoop {
    const T* x;
    T factor, shift;
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
        typename Lanes<T, Bytes>::type v;
        load(x + i, v);
        v *= factor;
        keep_rounded(v);
        v += shift;
        store(v, y + i);
    }
};

/// gx += (g - mean - (x - center) * slope) * factor
template <class T>
struct NormGradientLoop {
    const T *g, *x;
    T mean, center, slope, factor;
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
        typename Lanes<T, Bytes>::type v, from, old;
        load(g + i, v);
        load(gx + i, old);
        if (slope != 0 || mean != 0) {  // in evaluate the input is not read
            load(x + i, from);
            from = (from - center) * slope;
            keep_rounded(from);
            v = v - mean - from;
        }
        v *= factor;
        keep_rounded(v);
        old += v;
        store(old, gx + i);
    }
};

}  // namespace amct_distill::detail
