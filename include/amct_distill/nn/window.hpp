/// A window that slides over the images of a batch: the arithmetic that convolution and pooling share.
///
///     detail::Window w{.input = {28, 28}, .kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}};
///     w.output(0);                    // 14 rows
///     w.inside(0, w.offset(0, 2));    // the outputs [first, last) for which tap 2 reads inside the image
#pragma once
#include <algorithm>
#include <array>
#include <string>

#include "tensor.hpp"

namespace amct_distill::nn {

/// Height and width.
using Size2 = std::array<Index, 2>;

/// "3x3"
inline std::string to_string(const Size2& size) { return detail::concat(size[0], 'x', size[1]); }

}  // namespace amct_distill::nn

namespace amct_distill::detail {

struct Window {
    nn::Size2 input{};  ///< height and width of the image
    nn::Size2 kernel{1, 1};
    nn::Size2 stride{1, 1};
    nn::Size2 padding{0, 0};
    nn::Size2 dilation{1, 1};

    /// Positions of the window along `axis`, as PyTorch counts them; 0 or less when it does not fit.
    nn::Index output(std::size_t axis) const {
        nn::Index const room = input[axis] + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1;
        return room < 0 ? 0 : room / stride[axis] + 1;
    }
    nn::Index positions() const { return output(0) * output(1); }
    nn::Index taps() const { return kernel[0] * kernel[1]; }

    /// What tap `k` of the window at output 0 reads; at output `o` it is `o * stride` further on.
    nn::Index offset(std::size_t axis, nn::Index k) const { return k * dilation[axis] - padding[axis]; }

    struct Range {
        nn::Index first = 0, last = 0;
    };
    /// The outputs [first, last) at which a tap with this offset reads inside the image, not the padding.
    Range inside(std::size_t axis, nn::Index offset) const {
        nn::Index const s = stride[axis], end = input[axis] - offset;  // o * s in [-offset, end)
        nn::Index const last = end <= 0 ? 0 : (std::min)((end - 1) / s + 1, output(axis));
        nn::Index const first = offset >= 0 ? 0 : (-offset + s - 1) / s;
        return {(std::min)(first, last), last};
    }
};

/// Lays out one image [channels, height, width] as a matrix [channels * taps, positions] whose column is
/// what the window sees at one position; padding reads as 0. A convolution is then a matrix product.
template <class T>
void image_to_columns(const T* image, nn::Index channels, const Window& w, T* columns) {
    nn::Index const rows = w.output(0), cols = w.output(1);
    for (nn::Index c = 0; c != channels; ++c, image += w.input[0] * w.input[1])
        for (nn::Index ky = 0; ky != w.kernel[0]; ++ky)
            for (nn::Index kx = 0; kx != w.kernel[1]; ++kx) {
                nn::Index const dy = w.offset(0, ky), dx = w.offset(1, kx);
                auto const y_inside = w.inside(0, dy), x_inside = w.inside(1, dx);
                for (nn::Index y = 0; y != rows; ++y, columns += cols) {
                    if (y < y_inside.first || y >= y_inside.last) {
                        std::fill_n(columns, cols, T(0));
                        continue;
                    }
                    const T* const line = image + (y * w.stride[0] + dy) * w.input[1];
                    std::fill(columns, columns + x_inside.first, T(0));
                    if (w.stride[1] == 1)
                        std::copy(line + x_inside.first + dx, line + x_inside.last + dx,
                                  columns + x_inside.first);
                    else
                        for (nn::Index x = x_inside.first; x < x_inside.last; ++x)
                            columns[x] = line[x * w.stride[1] + dx];
                    std::fill(columns + x_inside.last, columns + cols, T(0));
                }
            }
}

/// The transpose of `image_to_columns`: adds every entry of the columns to the pixel that it came from.
template <class T>
void add_columns_to_image(const T* columns, nn::Index channels, const Window& w, T* image) {
    nn::Index const rows = w.output(0), cols = w.output(1);
    for (nn::Index c = 0; c != channels; ++c, image += w.input[0] * w.input[1])
        for (nn::Index ky = 0; ky != w.kernel[0]; ++ky)
            for (nn::Index kx = 0; kx != w.kernel[1]; ++kx, columns += rows * cols) {
                nn::Index const dy = w.offset(0, ky), dx = w.offset(1, kx);
                auto const y_inside = w.inside(0, dy), x_inside = w.inside(1, dx);
                nn::Index const width = x_inside.last - x_inside.first;
                for (nn::Index y = y_inside.first; y < y_inside.last; ++y) {
                    const T* const from = columns + y * cols;
                    T* const line = image + (y * w.stride[0] + dy) * w.input[1];
                    if (w.stride[1] == 1)  // Eigen, because g++ at -O2 leaves the loop scalar
                        nn::ArrayMap<T>(line + x_inside.first + dx, width) +=
                            nn::ConstArrayMap<T>(from + x_inside.first, width);
                    else
                        for (nn::Index x = x_inside.first; x < x_inside.last; ++x)
                            line[x * w.stride[1] + dx] += from[x];
                }
            }
}

}  // namespace amct_distill::detail
