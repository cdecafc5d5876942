// SPDX-License-Identifier: Apache-2.0
/// Sums over the taps of a window, of planes that are laid out as runs: inside a kernel, for vectors of any
/// width.
///
///     // y[i] = value + the sum over the taps t of weights[taps.weight[t]] * x[taps.offset[t] + i]
///     tap_sums<Bytes>(x, taps, weights, value, false, y, n);
///     // sums[taps.weight[t]] += the sum over i of g[i] * x[taps.offset[t] + i]
///     tap_products<Bytes>({.x = x, .g = g}, taps, n, sums);
///
/// The taps are added in their order, and the products in 16 lanes that are added in the end: the same bits
/// for any width of vectors (where there are fused multiply-adds).
#pragma once
#include <cstddef>

#include "runs.hpp"

namespace amct_distill::detail {

struct Taps {
    const nn::Index* offset = nullptr;  ///< of what each sees of the laid out plane
    const nn::Index* weight = nullptr;  ///< which one it is multiplied with
    nn::Index count = 0;

    [[gnu::always_inline]] Taps part(nn::Index first, nn::Index n) const {
        return {offset + first, weight + first, n};
    }
};

/// What is read and written in whole vectors ends at most here after the last value.
inline constexpr nn::Index run_slack = 16;

template <int Bytes, int Vectors, class T>
[[gnu::always_inline]] inline void tap_sums_block(const T* x, const Taps& taps, const T* weights,
                                                  const T* start, T value, T* y) {
    using V = typename Lanes<T, Bytes>::type;
    constexpr nn::Index lanes = Lanes<T, Bytes>::count;
    V sums[std::size_t(Vectors)];
#pragma GCC unroll 8
    for (int v = 0; v != Vectors; ++v) {
        if (start)
            load(y + v * lanes, sums[v]);
        else
            sums[v] = V{} + value;
    }
    nn::Index const count = taps.count;
    for (nn::Index t = 0; t != count; ++t) {
        const T* const from = x + taps.offset[t];
        T const weight = weights[taps.weight[t]];
#pragma GCC unroll 8
        for (int v = 0; v != Vectors; ++v) {
            V values;
            load(from + v * lanes, values);
            sums[v] += weight * values;
        }
    }
#pragma GCC unroll 8
    for (int v = 0; v != Vectors; ++v) store(sums[v], y + v * lanes);
}

/// Begins with `value`, or where `add`, with what is in y. Up to `run_slack` values more are read and
/// written.
template <int Bytes, class T>
[[gnu::always_inline]] inline void tap_sums(const T* x, const Taps& taps, const T* weights, T value, bool add,
                                            T* y, nn::Index n) {
    constexpr nn::Index lanes = Lanes<T, Bytes>::count;
    const T* const start = add ? y : nullptr;
    nn::Index i = 0;
    for (; i + 8 * lanes <= n; i += 8 * lanes)
        tap_sums_block<Bytes, 8>(x + i, taps, weights, start, value, y + i);
    for (; i + 4 * lanes <= n; i += 4 * lanes)
        tap_sums_block<Bytes, 4>(x + i, taps, weights, start, value, y + i);
    for (; i + lanes < n; i += 2 * lanes) tap_sums_block<Bytes, 2>(x + i, taps, weights, start, value, y + i);
    if (i < n) tap_sums_block<Bytes, 1>(x + i, taps, weights, start, value, y + i);
}

/// The same of a square of Side x Side taps whose rows are `pitch` apart, in order, for several rows at once:
/// what the rows have in common is loaded once, and the weights stay in registers. y[row * y_pitch + col].
template <int Bytes, int Side, int Rows, class T>
[[gnu::always_inline]] inline void square_block(const T* x, nn::Index pitch,
                                                const typename Lanes<T, Bytes>::type* weights, T value, T* y,
                                                nn::Index y_pitch) {
    using V = typename Lanes<T, Bytes>::type;
    V sums[std::size_t(Rows)];
#pragma GCC unroll 8
    for (int r = 0; r != Rows; ++r) sums[r] = V{} + value;
#pragma GCC unroll 16
    for (int i = 0; i != Rows + Side - 1; ++i)
#pragma GCC unroll 8
        for (int k = 0; k != Side; ++k) {
            V values;
            load(x + i * pitch + k, values);
#pragma GCC unroll 8
            for (int r = 0; r != Rows; ++r)
                if (i >= r && i - r < Side) sums[r] += weights[(i - r) * Side + k] * values;
        }
#pragma GCC unroll 8
    for (int r = 0; r != Rows; ++r) store(sums[r], y + r * y_pitch);
}

/// The outputs rows x cols, in rows of y_pitch. More values of x are read, up to `run_slack`, and where
/// rows are
/// shorter than 16 values, as many are written after the last one; y is not x.
template <int Bytes, int Side, class T>
[[gnu::always_inline]] inline void square_sums(const T* x, nn::Index pitch, const Taps& taps,
                                               const T* weights, T value, nn::Index rows, nn::Index cols,
                                               T* y, nn::Index y_pitch) {
    using V = typename Lanes<T, Bytes>::type;
    constexpr nn::Index lanes = Lanes<T, Bytes>::count;
    if constexpr (Bytes > 16)
        if (cols <= lanes / 2)
            return square_sums<Bytes / 2, Side>(x, pitch, taps, weights, value, rows, cols, y, y_pitch);
    V factors[std::size_t(Side * Side)];
#pragma GCC unroll 32
    for (int t = 0; t != Side * Side; ++t) factors[t] = V{} + weights[taps.weight[t]];
    // The last rows and vectors end where the tile ends, and compute again what others have. Of rows shorter
    // than a vector, each writes into the next one, which comes later.
    nn::Index const last = (std::max)(nn::Index(0), cols - lanes);
    if (rows < 4) {
        for (nn::Index r = 0; r != rows; ++r)
            for (nn::Index c = 0; c < cols; c += lanes) {
                nn::Index const at = (std::min)(c, last);
                square_block<Bytes, Side, 1>(x + r * pitch + at, pitch, factors, value, y + r * y_pitch + at,
                                             y_pitch);
            }
        return;
    }
    for (nn::Index row = 0; row < rows; row += 4) {
        nn::Index const r = (std::min)(row, rows - 4);
        for (nn::Index c = 0; c < cols; c += lanes) {
            nn::Index const at = (std::min)(c, last);
            square_block<Bytes, Side, 4>(x + r * pitch + at, pitch, factors, value, y + r * y_pitch + at,
                                         y_pitch);
        }
    }
}

/// Planes that are laid out and gradients that are so too, several of them.
template <class T>
struct Runs {
    const T* x = nullptr;
    nn::Index x_step = 0;
    const T* g = nullptr;
    nn::Index g_step = 0;
    nn::Index count = 1;
};

template <int Bytes, int Count, class T>
[[gnu::always_inline]] inline void tap_products_block(const Runs<T>& runs, const Taps& taps, nn::Index n,
                                                      T* sums) {
    using V = typename Lanes<T, Bytes>::type;
    constexpr int lanes = Lanes<T, Bytes>::count;
    constexpr std::size_t vectors = 16 / std::size_t(lanes);
    V products[std::size_t(Count)][vectors] = {};
    for (nn::Index run = 0; run != runs.count; ++run) {
        const T* const x = runs.x + run * runs.x_step;
        const T* const g = runs.g + run * runs.g_step;
        for (nn::Index i = 0; i < n; i += 16)
#pragma GCC unroll 16
            for (std::size_t v = 0; v != vectors; ++v) {
                nn::Index const at = i + nn::Index(v) * lanes;
                V factor;
                load(g + at, factor);
#pragma GCC unroll 16
                for (int t = 0; t != Count; ++t) {
                    V values;
                    load(x + taps.offset[t] + at, values);
                    products[t][v] += factor * values;
                }
            }
    }
#pragma GCC unroll 16
    for (int t = 0; t != Count; ++t) {
        T lane[16];
        std::memcpy(lane, products[t], sizeof lane);
        T sum = 0;
        for (T l : lane) sum += l;
        sums[taps.weight[t]] += sum;
    }
}

/// Every g ends with zeros up to the next multiple of 16; as many values more of x are read, which must be
/// numbers.
template <int Bytes, class T>
[[gnu::always_inline]] inline void tap_products(const Runs<T>& runs, const Taps& taps, nn::Index n, T* sums) {
    // As many sums at a time as there are registers.
    constexpr int vectors = 16 / Lanes<T, Bytes>::count;
    constexpr int most = Bytes == 64 && vectors == 1 ? 9 : (std::max)(1, 12 / vectors);
    nn::Index t = 0;
    nn::Index const count = taps.count;
    for (; t + most <= count; t += most) tap_products_block<Bytes, most>(runs, taps.part(t, 0), n, sums);
    if constexpr (most > 5)
        for (; t + 5 <= count; t += 5) tap_products_block<Bytes, 5>(runs, taps.part(t, 0), n, sums);
    if constexpr (most > 3)
        for (; t + 3 <= count; t += 3) tap_products_block<Bytes, 3>(runs, taps.part(t, 0), n, sums);
    for (; t != count; ++t) tap_products_block<Bytes, 1>(runs, taps.part(t, 0), n, sums);
}

}  // namespace amct_distill::detail
