/// Two-dimensional convolution, [N, in, H, W] -> [N, out, H', W'], as torch.nn.Conv2d with zero padding.
///
///     Conv2d conv({.in_channels = 1, .out_channels = 8, .kernel = {3, 3}, .stride = {2, 2}});
///     conv.weight();   // [out, in / groups, kernel height, kernel width]
///     conv.bias();     // [out]; empty when the options say `.bias = false`
///
/// Each image and group is one matrix product; matrix_product.hpp says what its bits depend on.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "matrix_product.hpp"
#include "module.hpp"
#include "window.hpp"

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
class BasicConv2d {
public:
    static constexpr std::string_view type_name = "Conv2d";
    /// A module around this one that needs buffers of its own takes them from here on.
    static constexpr std::size_t scratch_tensors = 1;

    /// Weight and bias are 0; throws std::invalid_argument when the options make no sense.
    explicit BasicConv2d(const Conv2dOptions& options) : options_(options) {
        const auto& o = options_;
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
        weight_.resize({o.out_channels, o.in_channels / o.groups, o.kernel[0], o.kernel[1]});
        if (o.bias) bias_.resize({o.out_channels});
    }

    const Conv2dOptions& options() const { return options_; }
    BasicTensor<T>& weight() { return weight_; }
    const BasicTensor<T>& weight() const { return weight_; }
    BasicTensor<T>& bias() { return bias_; }
    const BasicTensor<T>& bias() const { return bias_; }

    std::vector<BasicParameter<T>> parameters() {
        std::vector<BasicParameter<T>> out{{"weight", Role::weight, &weight_}};
        if (options_.bias) out.push_back({"bias", Role::bias, &bias_});
        return out;
    }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != 4 || inputs[0][1] != options_.in_channels)
            return detail::unexpected_inputs(
                detail::concat("one input [N, ", options_.in_channels, ", H, W]"), inputs);
        detail::Window const w = window(inputs[0]);
        if (w.positions() == 0)
            return detail::unexpected_inputs(
                detail::concat("an image that holds the kernel ", to_string(options_.kernel), " (padding ",
                               to_string(options_.padding), ", dilation ", to_string(options_.dilation), ")"),
                inputs);
        return Shape{inputs[0][0], options_.out_channels, w.output(0), w.output(1)};
    }

    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch, Mode) const {
        forward_with(weight_, *inputs[0], output, scratch);
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                  BasicScratch<T>& scratch, Mode) const {
        backward_with(weight_, *inputs[0], grad_output, grad_inputs[0], &grad_parameters[0],
                      options_.bias ? &grad_parameters[1] : nullptr, scratch);
    }

    /// The convolution with other weights in the place of its own, such as quantized ones, and its own bias.
    void forward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input, BasicTensor<T>& output,
                      BasicScratch<T>& scratch) const {
        Products const p = products(input.shape());
        for (Index i = 0; i != p.count; ++i) {
            Index const first = i % options_.groups * p.outputs;  // output channel
            T* const y = output.data() + i * p.outputs * p.positions;
            for (Index c = 0; c != p.outputs; ++c)
                std::fill_n(y + c * p.positions, p.positions, options_.bias ? bias_.data()[first + c] : T(0));
            detail::add_product<T>({y, p.outputs, p.positions},
                                   {weight.data() + first * p.taps, p.outputs, p.taps},
                                   {columns_of(input, i, p, scratch), p.taps, p.positions});
        }
    }

    /// The gradients of `forward_with`, added to those that are wanted (not null).
    void backward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input,
                       const BasicTensor<T>& grad_output, BasicTensor<T>* grad_input,
                       BasicTensor<T>* grad_weight, BasicTensor<T>* grad_bias,
                       BasicScratch<T>& scratch) const {
        Products const p = products(input.shape());
        for (Index i = 0; i != p.count; ++i) {
            Index const first = i % options_.groups * p.outputs;
            ConstMatrixMap<T> const gy(grad_output.data() + i * p.outputs * p.positions, p.outputs,
                                       p.positions);
            if (grad_weight)
                detail::add_product_transposed<T>({grad_weight->data() + first * p.taps, p.outputs, p.taps},
                                                  gy,
                                                  {columns_of(input, i, p, scratch), p.taps, p.positions});
            if (grad_bias)
                for (Index c = 0; c != p.outputs; ++c) grad_bias->data()[first + c] += gy.row(c).sum();
            if (grad_input) {
                ConstMatrixMap<T> const w(weight.data() + first * p.taps, p.outputs, p.taps);
                T* const image = grad_input->data() + i * p.pixels;
                if (p.pointwise) {
                    detail::add_transposed_product<T>({image, p.taps, p.positions}, w, gy);
                } else {
                    BasicTensor<T>& columns = column_buffer(p, scratch);
                    columns.fill(0);
                    detail::add_transposed_product<T>(matrix(columns, p.taps, p.positions), w, gy);
                    detail::add_columns_to_image(columns.data(), p.channels, p.window, image);
                }
            }
        }
    }

private:
    /// The matrix products of a batch, one per image and group, image by image: outputs x taps times
    /// taps x positions.
    struct Products {
        detail::Window window{};
        Index count = 0, channels = 0, pixels = 0, outputs = 0, taps = 0, positions = 0;
        bool pointwise = false;  ///< the image is its own columns
    };

    detail::Window window(const Shape& input) const {
        return {{input[2], input[3]}, options_.kernel, options_.stride, options_.padding, options_.dilation};
    }
    Products products(const Shape& input) const {
        const auto& o = options_;
        Products p{.window = window(input)};
        p.count = input[0] * o.groups;
        p.channels = o.in_channels / o.groups;
        p.pixels = p.channels * input[2] * input[3];
        p.outputs = o.out_channels / o.groups;
        p.taps = p.channels * p.window.taps();
        p.positions = p.window.positions();
        p.pointwise = o.kernel == Size2{1, 1} && o.stride == Size2{1, 1} && o.padding == Size2{0, 0};
        return p;
    }
    static BasicTensor<T>& column_buffer(const Products& p, BasicScratch<T>& scratch) {
        scratch.tensor(0).resize({p.taps, p.positions});
        return scratch.tensor(0);
    }
    static const T* columns_of(const BasicTensor<T>& input, Index i, const Products& p,
                               BasicScratch<T>& scratch) {
        const T* const image = input.data() + i * p.pixels;
        if (p.pointwise) return image;
        BasicTensor<T>& columns = column_buffer(p, scratch);
        detail::image_to_columns(image, p.channels, p.window, columns.data());
        return columns.data();
    }

    Conv2dOptions options_;
    BasicTensor<T> weight_{};
    BasicTensor<T> bias_{};
};

using Conv2d = BasicConv2d<float>;

}  // namespace amct_distill::nn
