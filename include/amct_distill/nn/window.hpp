// SPDX-License-Identifier: Apache-2.0
/// A window that slides over the images of a batch: the arithmetic that convolution and pooling share.
///
///     detail::Window w{.input = {28, 28}, .kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}};
///     w.output(0);                    // 14 rows
///     w.inside(0, w.offset(0, 2));    // the outputs [first, last) for which tap 2 reads inside the image
#pragma once
#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "tensor.hpp"

namespace amct_distill::nn {

/// Height and width.
using Size2 = std::array<Index, 2>;

/// "3x3"
inline std::string to_string(const Size2& size) { return detail::concat(size[0], 'x', size[1]); }

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// std::copy for the some tens of values of a row: without a call, and without a loop for the last ones,
/// which are copied again where need be. The arrays do not overlap.
template <class T>
void copy_row(const T* from, nn::Index n, T* to) {
    constexpr nn::Index step = 8;
    if (n < step) {
        for (nn::Index i = 0; i < n; ++i) to[i] = from[i];
        return;
    }
    for (nn::Index i = 0; i < n - step; i += step) std::memcpy(to + i, from + i, step * sizeof(T));
    std::memcpy(to + n - step, from + n - step, step * sizeof(T));
}

/// to += from, in vectors that g++ at -O2 does not make by itself.
template <class T>
void add_row(const T* from, nn::Index n, T* to) {
    nn::Index i = 0;
#if defined(__GNUC__)
    typedef T vector __attribute__((vector_size(16)));
    for (constexpr nn::Index step = 16 / sizeof(T); i + step <= n; i += step) {
        vector a, b;
        std::memcpy(&a, from + i, sizeof a);
        std::memcpy(&b, to + i, sizeof b);
        b += a;
        std::memcpy(to + i, &b, sizeof b);
    }
#endif
    for (; i < n; ++i) to[i] += from[i];
}

struct Window {
    nn::Size2 input{};  ///< height and width of the image
    nn::Size2 kernel{1, 1};
    nn::Size2 stride{1, 1};
    nn::Size2 padding{0, 0};
    nn::Size2 dilation{1, 1};
    nn::Size2 count{0, 0};  ///< of positions, where they are others than those that fit; 0: those

    /// Positions of the window along `axis`, as PyTorch counts them; 0 or less when it does not fit.
    nn::Index output(std::size_t axis) const {
        if (count[axis] != 0) return count[axis];
        nn::Index const room = input[axis] + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1;
        return room < 0 ? 0 : steps(axis, room) + 1;
    }
    nn::Index positions() const { return output(0) * output(1); }
    nn::Index taps() const { return kernel[0] * kernel[1]; }

    /// What tap `k` of the window at output 0 reads; at output `o` it is `o * stride` further on.
    nn::Index offset(std::size_t axis, nn::Index k) const { return k * dilation[axis] - padding[axis]; }

    /// n / stride: this is computed for every tap, and a division takes as long as copying a row of it.
    nn::Index steps(std::size_t axis, nn::Index n) const { return stride[axis] == 1 ? n : n / stride[axis]; }

    struct Range {
        nn::Index first = 0, last = 0;
    };
    /// The outputs [first, last) at which a tap with this offset reads inside the image, not the padding.
    Range inside(std::size_t axis, nn::Index offset) const {
        nn::Index const end = input[axis] - offset;  // o * stride in [-offset, end)
        nn::Index const last = end <= 0 ? 0 : (std::min)(steps(axis, end - 1) + 1, output(axis));
        nn::Index const first = offset >= 0 ? 0 : steps(axis, -offset + stride[axis] - 1);
        return {(std::min)(first, last), last};
    }
};

/// Calls f(y, x, last, k) for the parts in rows of the positions [first, first + n): columns [x, last) of
/// row y, the k-th and so on of them.
template <class F>
void for_each_row_of(const Window& w, nn::Index first, nn::Index n, F f) {
    nn::Index const cols = w.output(1);
    nn::Index y = first / cols, x = first % cols;
    for (nn::Index k = 0; k != n; x = 0, ++y) {
        nn::Index const last = (std::min)(cols, x + n - k);
        f(y, x, last, k);
        k += last - x;
    }
}

/// What tap (ky, kx) of the window sees of an image's plane at the positions [first, first + n); padding
/// reads as 0. A convolution is a matrix product whose second factor has these as rows.
template <class T>
void read_tap(const T* plane, const Window& w, nn::Index ky, nn::Index kx, nn::Index first, nn::Index n,
              T* line) {
    nn::Index const dy = w.offset(0, ky), dx = w.offset(1, kx), step = w.stride[1];
    auto const y_inside = w.inside(0, dy), x_inside = w.inside(1, dx);
    for_each_row_of(w, first, n, [&](nn::Index y, nn::Index x, nn::Index last, nn::Index k) {
        T* const to = line + k - x;
        if (y < y_inside.first || y >= y_inside.last) {
            std::fill(to + x, to + last, T(0));
            return;
        }
        const T* const from = plane + (y * w.stride[0] + dy) * w.input[1] + dx;
        nn::Index const begin = std::clamp(x_inside.first, x, last),
                        end = std::clamp(x_inside.last, begin, last);
        std::fill(to + x, to + begin, T(0));
        if (step == 1)
            copy_row(from + begin, end - begin, to + begin);
        else
            for (nn::Index i = begin; i != end; ++i) to[i] = from[i * step];
        std::fill(to + end, to + last, T(0));
    });
}

/// The transpose of `read_tap`: adds every value of the line to the pixel that it came from.
template <class T>
void add_tap(const T* line, const Window& w, nn::Index ky, nn::Index kx, nn::Index first, nn::Index n,
             T* plane) {
    nn::Index const dy = w.offset(0, ky), dx = w.offset(1, kx), step = w.stride[1];
    auto const y_inside = w.inside(0, dy), x_inside = w.inside(1, dx);
    for_each_row_of(w, first, n, [&](nn::Index y, nn::Index x, nn::Index last, nn::Index k) {
        if (y < y_inside.first || y >= y_inside.last) return;
        const T* const from = line + k - x;
        T* const to = plane + (y * w.stride[0] + dy) * w.input[1] + dx;
        nn::Index const begin = std::clamp(x_inside.first, x, last),
                        end = std::clamp(x_inside.last, begin, last);
        if (step == 1)
            add_row(from + begin, end - begin, to + begin);
        else
            for (nn::Index i = begin; i != end; ++i) to[i * step] += from[i];
    });
}

}  // namespace amct_distill::detail
