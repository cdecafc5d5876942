// SPDX-License-Identifier: Apache-2.0
/// Rows of images, moved by vectors inside a kernel (run/instructions.hpp): copied, added, with a stride, and
/// whole planes with zeros around them.
///
///     template <int Bytes> [[gnu::always_inline]] void run() const {
///         copy_run<Bytes>(from, n, to);
///         lay_out<Bytes>(plane, {.height = 7, .width = 7, .top = -1, .left = -1}, 9, 9, 9, buffer);
///     }
///
/// Rows are often shorter than a vector, and a call of memcpy or memset takes as long as some of them: here
/// is no call, and no loop for the last values, which are copied again where need be.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "../run/vectors.hpp"
#include "tensor.hpp"

namespace amct_distill::detail {

/// Vectors of any arithmetic type; 4 bytes: the scalar instruction set, whatever the type.
#if defined(__GNUC__)
template <class T, int Bytes>
struct Lanes {
    typedef T type __attribute__((vector_size(Bytes)));
    static constexpr int count = Bytes / int(sizeof(T));
};
#else
template <class T, int Bytes>
struct Lanes;
#endif
template <class T>
struct Lanes<T, 4> {
    using type = T;
    static constexpr int count = 1;
};

/// to = from; the arrays do not overlap.
template <int Bytes, class T>
[[gnu::always_inline]] inline void copy_run(const T* from, nn::Index n, T* to) {
    using V = typename Lanes<T, Bytes>::type;
    constexpr nn::Index count = Lanes<T, Bytes>::count;
    V v;
    if (n >= count) {
        for (nn::Index i = 0; i < n - count; i += count) {
            load(from + i, v);
            store(v, to + i);
        }
        load(from + n - count, v);
        store(v, to + n - count);
    } else if constexpr (Bytes > 16) {
        copy_run<Bytes / 2>(from, n, to);
    } else {
        for (nn::Index i = 0; i < n; ++i) to[i] = from[i];
    }
}

/// to += from.
template <int Bytes, class T>
[[gnu::always_inline]] inline void add_run(const T* from, nn::Index n, T* to) {
    using V = typename Lanes<T, Bytes>::type;
    constexpr nn::Index count = Lanes<T, Bytes>::count;
    nn::Index i = 0;
    for (; i + count <= n; i += count) {
        V a, b;
        load(from + i, a);
        load(to + i, b);
        b += a;
        store(b, to + i);
    }
    if constexpr (Bytes > 16) {
        if (i < n) add_run<Bytes / 2>(from + i, n - i, to + i);
    } else {
        for (; i < n; ++i) to[i] += from[i];
    }
}

/// The same value n times, or up to a vector more.
template <int Bytes, class T>
[[gnu::always_inline]] inline void fill_run(T* to, nn::Index n, T value) {
    using V = typename Lanes<T, Bytes>::type;
    V values = V{} + value;
    keep_rounded(values);  // else the loop becomes a call of memset
    for (nn::Index i = 0; i < n; i += Lanes<T, Bytes>::count) store(values, to + i);
}
template <int Bytes, class T>
[[gnu::always_inline]] inline void zero_run(T* to, nn::Index n) {
    fill_run<Bytes>(to, n, T(0));
}

#if defined(__GNUC__)
/// Every second element of two vectors.
template <class V, int... I>
[[gnu::always_inline]] inline void every_second(const V& a, const V& b, V& out,
                                                std::integer_sequence<int, I...>) {
    out = __builtin_shufflevector(a, b, (2 * I)...);
}
/// The elements of a vector with those of another between them.
template <class V, int... I>
[[gnu::always_inline]] inline void zip(const V& a, const V& b, V& low, V& high,
                                       std::integer_sequence<int, I...>) {
    constexpr int n = sizeof...(I);
    low = __builtin_shufflevector(a, b, (I / 2 + I % 2 * n)...);
    high = __builtin_shufflevector(a, b, (n / 2 + I / 2 + I % 2 * n)...);
}
#endif

/// to[i] = from[i * step]; nothing is read after the last of them.
template <int Bytes, class T>
[[gnu::always_inline]] inline void gather_run(const T* from, nn::Index n, nn::Index step, T* to) {
    if (step == 1) return copy_run<Bytes>(from, n, to);
    nn::Index i = 0;
#if defined(__GNUC__)
    if constexpr (Bytes > 4) {
        using V = typename Lanes<T, Bytes>::type;
        constexpr int count = Lanes<T, Bytes>::count;
        if (step == 2)
            for (; i + count < n; i += count) {
                V a, b;
                load(from + 2 * i, a);
                load(from + 2 * i + count, b);
                every_second(a, b, a, std::make_integer_sequence<int, count>{});
                store(a, to + i);
            }
    }
#endif
    for (; i < n; ++i) to[i] = from[i * step];
}

/// to[i * step] += from[i]; between them, -0 may become +0.
template <int Bytes, class T>
[[gnu::always_inline]] inline void add_spread_run(const T* from, nn::Index n, nn::Index step, T* to) {
    if (step == 1) return add_run<Bytes>(from, n, to);
    nn::Index i = 0;
#if defined(__GNUC__)
    if constexpr (Bytes > 4) {
        using V = typename Lanes<T, Bytes>::type;
        constexpr int count = Lanes<T, Bytes>::count;
        if (step == 2)
            for (; i + count < n; i += count) {
                V a, low, high, old;
                load(from + i, a);
                zip(a, V{}, low, high, std::make_integer_sequence<int, count>{});
                load(to + 2 * i, old);
                old += low;
                store(old, to + 2 * i);
                load(to + 2 * i + count, old);
                old += high;
                store(old, to + 2 * i + count);
            }
    }
#endif
    for (; i < n; ++i) to[i * step] += from[i];
}

/// Which pixels of a plane: column c of row r is (top + r * row_step, left + c * col_step), perhaps outside.
struct PlanePart {
    nn::Index height = 0, width = 0;  ///< of the plane
    nn::Index top = 0, left = 0;
    nn::Index row_step = 1, col_step = 1;

    struct Range {
        nn::Index first = 0, last = 0;
    };
    /// Of `n` rows or columns, those inside.
    static Range inside(nn::Index start, nn::Index step, nn::Index size, nn::Index n) {
        auto const up = [step](nn::Index d) { return d <= 0 ? 0 : step == 1 ? d : (d + step - 1) / step; };
        nn::Index const last = (std::min)(n, up(size - start));
        return {(std::min)(up(-start), last), last};
    }
    Range rows_inside(nn::Index n) const { return inside(top, row_step, height, n); }
    Range cols_inside(nn::Index n) const { return inside(left, col_step, width, n); }
};

/// rows x cols pixels, in rows of `pitch` >= cols values: `outside` where they are outside, and after the
/// columns.
/// Up to a vector after the last row is written.
template <int Bytes, class T>
[[gnu::always_inline]] inline void lay_out(const T* plane, const PlanePart& part, nn::Index rows,
                                           nn::Index cols, nn::Index pitch, T* to, T outside = T(0)) {
    auto const y = part.rows_inside(rows), x = part.cols_inside(cols);
    nn::Index const n = x.last - x.first, step = part.col_step, next = part.row_step * part.width;
    fill_run<Bytes>(to, y.first * pitch, outside);
    to += y.first * pitch;
    const T* from = plane + (part.top + y.first * part.row_step) * part.width + part.left + x.first * step;
    for (nn::Index r = y.first; r < y.last; ++r, from += next, to += pitch) {
        fill_run<Bytes>(to, x.first, outside);
        gather_run<Bytes>(from, n, step, to + x.first);
        fill_run<Bytes>(to + x.last, pitch - x.last, outside);
    }
    fill_run<Bytes>(to, (rows - y.last) * pitch, outside);
}

/// The same of `count` planes, where the zeros are already: of planes that are alike they stay in their
/// places.
template <int Bytes, class T>
[[gnu::always_inline]] inline void lay_out_inside(const T* plane, nn::Index plane_step, const PlanePart& part,
                                                  nn::Index rows, nn::Index cols, nn::Index pitch, T* to,
                                                  nn::Index to_step, nn::Index count) {
    auto const y = part.rows_inside(rows), x = part.cols_inside(cols);
    nn::Index const n = x.last - x.first, step = part.col_step, next = part.row_step * part.width;
    plane += (part.top + y.first * part.row_step) * part.width + part.left + x.first * step;
    to += y.first * pitch + x.first;
    for (nn::Index k = 0; k != count; ++k, plane += plane_step, to += to_step)
        for (nn::Index r = 0; r < y.last - y.first; ++r)
            gather_run<Bytes>(plane + r * next, n, step, to + r * pitch);
}

/// The transpose: rows in `pitch` are added to the pixels that they are; what is outside is left out.
template <int Bytes, class T>
[[gnu::always_inline]] inline void add_back(const T* from, nn::Index pitch, nn::Index rows, nn::Index cols,
                                            const PlanePart& part, T* plane) {
    auto const y = part.rows_inside(rows), x = part.cols_inside(cols);
    for (nn::Index r = y.first; r < y.last; ++r)
        add_spread_run<Bytes>(
            from + r * pitch + x.first, x.last - x.first, part.col_step,
            plane + (part.top + r * part.row_step) * part.width + part.left + x.first * part.col_step);
}

}  // namespace amct_distill::detail
