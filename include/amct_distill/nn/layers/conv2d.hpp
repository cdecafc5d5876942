// SPDX-License-Identifier: Apache-2.0
/// Two-dimensional convolution, [N, in, H, W] -> [N, out, H', W'], as torch.nn.Conv2d with zero padding.
///
///     Conv2d conv({.in_channels = 1, .out_channels = 8, .kernel = {3, 3}, .stride = {2, 2}});
///     conv.weight();   // [out, in / groups, kernel height, kernel width]
///     conv.bias();     // [out]; empty when the options say `.bias = false`
///
/// Each image and group is one matrix product; matrix_product.hpp says what its bits depend on. Measured
/// against Eigen's product of the same columns, and against a product per tap of images that are laid out
/// with their channels last (no columns, but twice a transposition): see tests/bench/conv.cpp.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>

#include "../matrix_product.hpp"
#include "../window.hpp"
#include "weighted_layer.hpp"

namespace amct_distill::nn {

struct Conv2dOptions {
    Index in_channels = 0;
    Index out_channels = 0;
    Size2 kernel{1, 1};
    Size2 stride{1, 1};
    Size2 padding{0, 0};
    Size2 dilation{1, 1};
    Index groups = 1;
    bool bias = true;
    friend bool operator==(const Conv2dOptions&, const Conv2dOptions&) = default;
};

template <class T>
class BasicConv2d : public detail::WeightedLayer<BasicConv2d<T>, T, Conv2dOptions> {
public:
    static constexpr std::string_view type_name = "Conv2d";
    /// A module around this one that needs buffers of its own takes them from here on.
    static constexpr std::size_t scratch_tensors = 3;

    /// Weight and bias are 0; throws std::invalid_argument when the options make no sense.
    explicit BasicConv2d(const Conv2dOptions& options)
        : detail::WeightedLayer<BasicConv2d, T, Conv2dOptions>(options) {
        const auto& o = options;
        auto const least = [](const Size2& size, Index bound) {
            return size[0] >= bound && size[1] >= bound;
        };
        if (o.in_channels < 1 || o.out_channels < 1 || o.groups < 1 || !least(o.kernel, 1) ||
            !least(o.stride, 1) || !least(o.dilation, 1) || !least(o.padding, 0))
            throw std::invalid_argument(
                "Conv2d: channels, groups, kernel, stride, dilation must be at least 1, padding at least 0");
        if (o.in_channels % o.groups != 0 || o.out_channels % o.groups != 0)
            throw std::invalid_argument(detail::concat("Conv2d: ", o.groups, " groups must divide the ",
                                                       o.in_channels, " input and the ", o.out_channels,
                                                       " output channels"));
        this->make();
    }
    std::array<Index, 4> weight_shape() const {
        const auto& o = this->options();
        return {o.out_channels, o.in_channels / o.groups, o.kernel[0], o.kernel[1]};
    }
    Index output_channels() const { return this->options().out_channels; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != 4 || inputs[0][1] != this->options().in_channels)
            return detail::unexpected_inputs(
                detail::concat("one input [N, ", this->options().in_channels, ", H, W]"), inputs);
        detail::Window const w = window(inputs[0]);
        if (w.positions() == 0)
            return detail::unexpected_inputs(
                detail::concat("an image that holds the kernel ", to_string(this->options().kernel),
                               " (padding ", to_string(this->options().padding), ", dilation ",
                               to_string(this->options().dilation), ")"),
                inputs);
        return Shape{inputs[0][0], this->options().out_channels, w.output(0), w.output(1)};
    }

    /// The convolution with other weights in the place of its own, such as quantized ones, and its own bias.
    void forward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input, BasicTensor<T>& output,
                      BasicScratch<T>& scratch) const {
        Sizes const s = sizes(input);
        Index const step = s.outputs < few_outputs ? 16 * detail::product_cols : detail::product_cols;
        Index const blocks = detail::parts(s.positions, step);
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(s.images * s.groups * blocks, s.work, [&](Index task, Index worker) {
            Index const first = task % blocks * step, image = task / blocks;
            Index const channel = image % s.groups * s.outputs;  // the first output of the group
            Index const n = (std::min)(step, s.positions - first);
            T* const y = output.data() + image * s.outputs * s.positions + first;
            for (Index c = 0; c != s.outputs; ++c)
                std::fill_n(y + c * s.positions, n,
                            this->options().bias ? this->bias().data()[channel + c] : T(0));
            const T* const x = input.data() + image * s.pixels;
            T* const buffer = buffers + worker * detail::product_buffer;
            if (s.outputs < few_outputs) {
                for (Index tap = 0; tap != s.taps; ++tap) {
                    s.read(x, tap, first, n, buffer);
                    for (Index c = 0; c != s.outputs; ++c)
                        detail::run_on(set, detail::add_scaled_loop<T>{
                                                buffer, weight.data()[(channel + c) * s.taps + tap],
                                                y + c * s.positions, n});
                }
                return;
            }
            detail::multiply<T>(
                set,
                {.c = y,
                 .c_stride = s.positions,
                 .a = weight.data() + channel * s.taps,
                 .a_stride = s.taps,
                 .rows = s.outputs,
                 .depth = s.taps,
                 .cols = n},
                [&](Index tap, T* line) {
                    s.read(x, tap, first, n, line);
                    return line;
                },
                buffers + worker * detail::product_buffer);
        });
    }

    /// The gradients of `forward_with`, added to those that are wanted (not null).
    void backward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input,
                       const BasicTensor<T>& grad_output, BasicTensor<T>* grad_input,
                       BasicTensor<T>* grad_weight, BasicTensor<T>* grad_bias,
                       BasicScratch<T>& scratch) const {
        Sizes const s = sizes(input);
        if (grad_weight) add_weight_gradient(s, input, grad_output, *grad_weight, scratch);
        if (grad_bias) add_bias_gradient(s, grad_output, *grad_bias, scratch);
        if (grad_input) add_input_gradient(s, weight, grad_output, *grad_input, scratch);
    }

private:
    /// A batch as matrices: for each image and group, outputs x taps (the weights) times taps x positions
    /// (what the window sees) gives outputs x positions.
    struct Sizes {
        detail::Window window{};
        Index images = 0, groups = 0, channels = 0, outputs = 0, taps = 0, positions = 0;
        Index pixels = 0;  ///< of the channels of a group
        double work = 0;   ///< multiplications in all

        /// The row `tap` of taps x positions, columns [first, first + n), of an image's group.
        void read(const T* image, Index tap, Index first, Index n, T* line) const {
            Index const k = tap % window.taps();
            detail::read_tap(image + tap / window.taps() * window.input[0] * window.input[1], window,
                             k / window.kernel[1], k % window.kernel[1], first, n, line);
        }
        void add(const T* line, Index tap, Index first, Index n, T* image) const {
            Index const k = tap % window.taps();
            detail::add_tap(line, window, k / window.kernel[1], k % window.kernel[1], first, n,
                            image + tap / window.taps() * window.input[0] * window.input[1]);
        }
    };

    detail::Window window(const Shape& input) const {
        return {{input[2], input[3]},
                this->options().kernel,
                this->options().stride,
                this->options().padding,
                this->options().dilation};
    }
    Sizes sizes(const BasicTensor<T>& input) const {
        Sizes s{.window = window(input.shape())};
        s.images = input.dim(0);
        s.groups = this->options().groups;
        s.channels = this->options().in_channels / s.groups;
        s.outputs = this->options().out_channels / s.groups;
        s.taps = s.channels * s.window.taps();
        s.positions = s.window.positions();
        s.pixels = s.channels * input.dim(2) * input.dim(3);
        s.work = double(s.images * s.groups * s.outputs) * double(s.taps * s.positions);
        return s;
    }

    // Below, as in a depthwise convolution, panels would mostly hold what is not used.
    static constexpr Index few_outputs = 4;
    // Of a product for the weights' gradient.
    static constexpr Index gradient_taps = 576, gradient_positions = 128;

    /// taps x positions times positions x outputs, the sum over all images: the images go in parts, whose
    /// sums are added in the end, from the first to the last. How many parts there are depends on the sizes
    /// alone: at most 8, and at most 8 MB of them unless one is larger.
    void add_weight_gradient(const Sizes& s, const BasicTensor<T>& input, const BasicTensor<T>& grad_output,
                             BasicTensor<T>& grad_weight, BasicScratch<T>& scratch) const {
        auto const size = static_cast<Index>(grad_weight.size());
        Index const most = std::clamp((Index(8) << 20) / Index(sizeof(T)) / size, Index(1), Index(8));
        Index const in_part = detail::parts(s.images, (std::min)(most, s.images));  // images
        Index const image_parts = detail::parts(s.images, in_part);
        Index const tap_parts = detail::parts(s.taps, gradient_taps);
        Index const tap_step = detail::parts(s.taps, tap_parts);

        T* const sums = scratch.buffer(1, image_parts * size, 1);
        constexpr Index line_buffer = (gradient_taps + detail::product_cols) * gradient_positions;
        T* const lines = scratch.buffer(2, line_buffer);
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(image_parts * s.groups * tap_parts, s.work, [&](Index task, Index worker) {
            Index const tap = task % tap_parts * tap_step, taps = (std::min)(tap_step, s.taps - tap);
            Index const group = task / tap_parts % s.groups, part = task / tap_parts / s.groups;
            T* const sum = sums + part * size + (group * s.taps + tap) * s.outputs;
            T* const columns = lines + worker * line_buffer;
            T* const transposed = columns + gradient_taps * gradient_positions;
            Index const last = (std::min)(s.images, (part + 1) * in_part);
            bool add = false;
            for (Index image = part * in_part; image != last; ++image)
                for (Index first = 0; first < s.positions; first += gradient_positions, add = true) {
                    Index const n = (std::min)(gradient_positions, s.positions - first);
                    const T* const x = input.data() + (image * s.groups + group) * s.pixels;
                    for (Index k = 0; k != taps; ++k)
                        s.read(x, tap + k, first, n, columns + k * gradient_positions);
                    const T* const g =
                        grad_output.data() + (image * s.groups + group) * s.outputs * s.positions + first;
                    if (s.outputs < few_outputs) {
                        for (Index k = 0; k != taps; ++k)
                            for (Index c = 0; c != s.outputs; ++c) {
                                T& to = sum[k * s.outputs + c];
                                T const dot =
                                    detail::run_on(set, detail::dot_loop<T>{columns + k * gradient_positions,
                                                                            g + c * s.positions, n});
                                to = add ? to + dot : dot;
                            }
                        continue;
                    }
                    for (Index out = 0; out < s.outputs; out += detail::product_cols) {
                        Index const outs = (std::min)(detail::product_cols, s.outputs - out);
                        detail::transpose(g + out * s.positions, s.positions, outs, n, transposed, outs);
                        detail::multiply<T>(
                            set,
                            {.c = sum + out,
                             .c_stride = s.outputs,
                             .a = columns,
                             .a_stride = gradient_positions,
                             .rows = taps,
                             .depth = n,
                             .cols = outs,
                             .add = add},
                            [&](Index k, T*) { return transposed + k * outs; },
                            buffers + worker * detail::product_buffer);
                    }
                }
        });
        scratch.parallel_for(s.groups * s.outputs, double(size) * double(image_parts), [&](Index out, Index) {
            T* const to = grad_weight.data() + out * s.taps;
            const T* const from = sums + out / s.outputs * s.taps * s.outputs + out % s.outputs;
            for (Index tap = 0; tap != s.taps; ++tap) {
                T sum = from[tap * s.outputs];
                for (Index part = 1; part != image_parts; ++part) sum += from[part * size + tap * s.outputs];
                to[tap] += sum;
            }
        });
    }

    void add_bias_gradient(const Sizes& s, const BasicTensor<T>& grad_output, BasicTensor<T>& grad_bias,
                           BasicScratch<T>& scratch) const {
        Index const outputs = this->options().out_channels;
        scratch.parallel_for(outputs, double(grad_output.size()), [&](Index c, Index) {
            double sum = 0;
            for (Index image = 0; image != s.images; ++image)
                sum += detail::sum_of(grad_output.data() + (image * outputs + c) * s.positions, s.positions);
            grad_bias.data()[c] += T(sum);
        });
    }

    /// taps x outputs times outputs x positions gives taps x positions, added to the pixels they came from.
    void add_input_gradient(const Sizes& s, const BasicTensor<T>& weight, const BasicTensor<T>& grad_output,
                            BasicTensor<T>& grad_input, BasicScratch<T>& scratch) const {
        T* const transposed = scratch.buffer(1, static_cast<Index>(weight.size()), 1);
        for (Index group = 0; group != s.groups; ++group)
            detail::transpose(weight.data() + group * s.outputs * s.taps, s.taps, s.outputs, s.taps,
                              transposed + group * s.outputs * s.taps, s.outputs);

        // Channels go in parts of some 144 taps.
        Index const step = std::clamp(Index(144) / s.window.taps(), Index(1), s.channels);
        Index const channel_parts = detail::parts(s.channels, step);
        Index const line_buffer = step * s.window.taps() * detail::product_cols;
        T* const lines = scratch.buffer(2, line_buffer);
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(s.images * s.groups * channel_parts, s.work, [&](Index task, Index worker) {
            Index const channel = task % channel_parts * step, image = task / channel_parts;
            Index const tap = channel * s.window.taps();
            Index const taps = (std::min)(step, s.channels - channel) * s.window.taps();
            T* const columns = lines + worker * line_buffer;
            for (Index first = 0; first < s.positions; first += detail::product_cols) {
                Index const n = (std::min)(detail::product_cols, s.positions - first);
                const T* const g = grad_output.data() + image * s.outputs * s.positions + first;
                detail::multiply<T>(
                    set,
                    {.c = columns,
                     .c_stride = detail::product_cols,
                     .a = transposed + (image % s.groups * s.taps + tap) * s.outputs,
                     .a_stride = s.outputs,
                     .rows = taps,
                     .depth = s.outputs,
                     .cols = n,
                     .add = false},
                    [&](Index k, T*) { return g + k * s.positions; },
                    buffers + worker * detail::product_buffer);
                for (Index k = 0; k != taps; ++k)
                    s.add(columns + k * detail::product_cols, tap + k, first, n,
                          grad_input.data() + image * s.pixels);
            }
        });
    }
};

using Conv2d = BasicConv2d<float>;

}  // namespace amct_distill::nn
