// SPDX-License-Identifier: Apache-2.0
/// Pooling of images, [N, C, H, W] -> [N, C, H', W'], as in torch.nn: maximum, average, average of it all.
///
///     net.add("pool1", MaxPool2d({.kernel = {2, 2}}), {x});          // the stride is the kernel
///     net.add("pool2", AvgPool2d({.kernel = {3, 3}, .stride = {1, 1}, .padding = {1, 1}}), {x});
///     net.add("pool3", GlobalAveragePool{}, {x});                    // [N, C, 1, 1]
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>

#include "../module.hpp"
#include "../window.hpp"

namespace amct_distill::nn {

struct PoolOptions {
    Size2 kernel{1, 1};
    Size2 stride{0, 0};  ///< {0, 0}: the kernel's
    Size2 padding{0, 0};
    friend bool operator==(const PoolOptions&, const PoolOptions&) = default;
};

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// What the two sliding pools share: options, shapes, and the walk over planes and window positions.
/// `Derived` has, for the patch of a plane that a window covers, `pooled(plane, patch)`, and
/// `carry_back(g, plane, patch, grad_plane)`: adds the gradient of what `pooled` gave.
template <class Derived, class T>
class SlidingPool {
public:
    /// Throws std::invalid_argument when the options make no sense.
    explicit SlidingPool(const nn::PoolOptions& options) : options_(options) {
        nn::PoolOptions& o = options_;
        if (o.stride == nn::Size2{0, 0}) o.stride = o.kernel;
        for (std::size_t axis : {0u, 1u}) {
            if (o.kernel[axis] < 1 || o.stride[axis] < 1 || o.padding[axis] < 0)
                throw std::invalid_argument(
                    "pooling: kernel and stride must be at least 1, padding at least 0");
            // Else a window could lie in the padding alone.
            if (2 * o.padding[axis] > o.kernel[axis])
                throw std::invalid_argument(concat("pooling: padding ", nn::to_string(o.padding),
                                                   " must be at most half the kernel ",
                                                   nn::to_string(o.kernel)));
        }
    }

    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        const T* const x = inputs[0]->data();
        T* const y = output.data();
        for_each_patch(inputs[0]->shape(), scratch, [&](nn::Index plane, const Patch& patch, nn::Index out) {
            y[out] = self().pooled(x + plane, patch);
        });
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>&, const nn::BasicTensor<T>& grad_output,
                  std::span<nn::BasicTensor<T>* const> grad_inputs, std::span<nn::BasicTensor<T>>,
                  nn::BasicScratch<T>& scratch, nn::Mode) const {
        if (!grad_inputs[0]) return;
        const T* const x = inputs[0]->data();
        const T* const g = grad_output.data();
        T* const gx = grad_inputs[0]->data();
        for_each_patch(inputs[0]->shape(), scratch, [&](nn::Index plane, const Patch& patch, nn::Index out) {
            self().carry_back(g[out], x + plane, patch, gx + plane);
        });
    }

    /// With the stride filled in.
    const nn::PoolOptions& options() const { return options_; }

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != 4)
            return unexpected_inputs("one input [N, C, H, W]", inputs);
        Window const w = window(inputs[0]);
        if (w.positions() == 0)
            return unexpected_inputs(concat("an image that holds the kernel ", nn::to_string(options_.kernel),
                                            " (padding ", nn::to_string(options_.padding), ")"),
                                     inputs);
        return nn::Shape{inputs[0][0], inputs[0][1], w.output(0), w.output(1)};
    }

protected:
    Window window(const nn::Shape& input) const {
        return {{input[2], input[3]}, options_.kernel, options_.stride, options_.padding, {1, 1}};
    }

    /// What a window covers of a plane, without the padding: rows [top, bottom) of columns [left, right).
    struct Patch {
        nn::Index top = 0, bottom = 0, left = 0, right = 0;
        nn::Index width = 0;  ///< of the plane

        /// Calls f(offset in the plane) for every pixel.
        template <class F>
        void for_each_pixel(F f) const {
            for (nn::Index row = top; row != bottom; ++row)
                for (nn::Index i = row * width + left; i != row * width + right; ++i) f(i);
        }
    };

private:
    const Derived& self() const { return static_cast<const Derived&>(*this); }

    /// Calls f(offset of the plane in the input, patch, offset in the output) for every output value.
    template <class F>
    void for_each_patch(const nn::Shape& input, const nn::BasicScratch<T>& scratch, F f) const {
        Window const w = window(input);
        nn::Index const rows = w.output(0), cols = w.output(1), height = input[2], width = input[3];
        nn::Index const planes = input[0] * input[1];
        scratch.parallel_for(
            planes, double(planes * w.positions() * w.taps()), [&](nn::Index plane, nn::Index) {
                nn::Index out = plane * rows * cols;
                for (nn::Index y = 0; y != rows; ++y)
                    for (nn::Index x = 0; x != cols; ++x, ++out) {
                        nn::Index const top = y * w.stride[0] - w.padding[0],
                                        left = x * w.stride[1] - w.padding[1];
                        f(plane * height * width,
                          Patch{(std::max)(top, nn::Index(0)), (std::min)(top + w.kernel[0], height),
                                (std::max)(left, nn::Index(0)), (std::min)(left + w.kernel[1], width), width},
                          out);
                    }
            });
    }

    nn::PoolOptions options_;
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// The largest value of each window; the gradient goes to the first that is largest, and NaN is larger than
/// all.
template <class T>
class BasicMaxPool2d : public detail::SlidingPool<BasicMaxPool2d<T>, T> {
    using Base = detail::SlidingPool<BasicMaxPool2d, T>;

public:
    static constexpr std::string_view type_name = "MaxPool2d";
    static constexpr std::string_view operation = "MaxPool";
    using Base::Base;

    static T pooled(const T* plane, const typename Base::Patch& patch) {
        return plane[largest(plane, patch)];
    }
    static void carry_back(T g, const T* plane, const typename Base::Patch& patch, T* grad_plane) {
        grad_plane[largest(plane, patch)] += g;
    }

private:
    static Index largest(const T* plane, const typename Base::Patch& patch) {
        Index best = patch.top * patch.width + patch.left;
        patch.for_each_pixel([&](Index i) {
            if (plane[i] > plane[best] || (std::isnan(plane[i]) && !std::isnan(plane[best]))) best = i;
        });
        return best;
    }
};

/// The mean of each window; padding counts as zeros (`count_include_pad=True`).
template <class T>
class BasicAvgPool2d : public detail::SlidingPool<BasicAvgPool2d<T>, T> {
    using Base = detail::SlidingPool<BasicAvgPool2d, T>;

public:
    static constexpr std::string_view type_name = "AvgPool2d";
    static constexpr std::string_view operation = "AveragePool";
    using Base::Base;

    T pooled(const T* plane, const typename Base::Patch& patch) const {
        T sum = 0;
        patch.for_each_pixel([&](Index i) { sum += plane[i]; });
        return sum / window_size();
    }
    void carry_back(T g, const T*, const typename Base::Patch& patch, T* grad_plane) const {
        T const share = g / window_size();
        patch.for_each_pixel([&](Index i) { grad_plane[i] += share; });
    }

private:
    T window_size() const { return T(this->options().kernel[0] * this->options().kernel[1]); }
};

/// The mean of each plane, as torch.nn.AdaptiveAvgPool2d(1).
template <class T>
class BasicGlobalAveragePool {
public:
    static constexpr std::string_view type_name = "AdaptiveAvgPool2d";
    static constexpr std::string_view operation = "GlobalAveragePool";

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != 4)
            return detail::unexpected_inputs("one input [N, C, H, W]", inputs);
        return Shape{inputs[0][0], inputs[0][1], 1, 1};
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>&, Mode) const {
        Index const n = pixels(*inputs[0]);
        const T* plane = inputs[0]->data();
        for (T& mean : output) {
            mean = T(detail::sum_of(plane, n) / double(n));
            plane += n;
        }
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        if (!grad_inputs[0]) return;
        Index const n = pixels(*inputs[0]);
        T* plane = grad_inputs[0]->data();
        for (T g : grad_output) {
            ArrayMap<T>(plane, n) += g / T(n);
            plane += n;
        }
    }

private:
    static Index pixels(const BasicTensor<T>& input) { return input.dim(2) * input.dim(3); }
};

using MaxPool2d = BasicMaxPool2d<float>;
using AvgPool2d = BasicAvgPool2d<float>;
using GlobalAveragePool = BasicGlobalAveragePool<float>;

}  // namespace amct_distill::nn
