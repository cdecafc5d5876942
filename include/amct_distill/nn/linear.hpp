/// A fully connected layer, [N, in] -> [N, out], as torch.nn.Linear.
///
///     Linear fc({.in_features = 64, .out_features = 10});
///     fc.weight();   // [out, in]
///     fc.bias();     // [out]; empty when the options say `.bias = false`
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "matrix_product.hpp"
#include "module.hpp"

namespace amct_distill::nn {

struct LinearOptions {
    Index in_features = 0;
    Index out_features = 0;
    bool bias = true;
    friend bool operator==(const LinearOptions&, const LinearOptions&) = default;
};

template <class T>
class BasicLinear {
public:
    static constexpr std::string_view type_name = "Linear";
    /// A module around this one that needs buffers of its own takes them from here on.
    static constexpr std::size_t scratch_tensors = 0;

    /// Weight and bias are 0; throws std::invalid_argument when the options make no sense.
    explicit BasicLinear(const LinearOptions& options) : options_(options) {
        if (options.in_features < 1 || options.out_features < 1)
            throw std::invalid_argument("Linear: in_features and out_features must be at least 1");
        weight_.resize({options.out_features, options.in_features});
        if (options.bias) bias_.resize({options.out_features});
    }

    const LinearOptions& options() const { return options_; }
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
        if (inputs.size() != 1 || inputs[0].size() != 2 || inputs[0][1] != options_.in_features)
            return detail::unexpected_inputs(detail::concat("one input [N, ", options_.in_features, "]"),
                                             inputs);
        return Shape{inputs[0][0], options_.out_features};
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

    /// The layer with other weights in the place of its own, such as quantized ones, and its own bias.
    void forward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input, BasicTensor<T>& output,
                      BasicScratch<T>&) const {
        Index const n = input.dim(0), in = options_.in_features, out = options_.out_features;
        output.fill(0);
        if (options_.bias)
            for (Index i = 0; i != n; ++i) std::copy(bias_.begin(), bias_.end(), output.data() + i * out);
        detail::add_product_transposed<T>(matrix(output, n, out), matrix(input, n, in),
                                          matrix(weight, out, in));
    }

    /// The gradients of `forward_with`, added to those that are wanted (not null).
    void backward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input,
                       const BasicTensor<T>& grad_output, BasicTensor<T>* grad_input,
                       BasicTensor<T>* grad_weight, BasicTensor<T>* grad_bias, BasicScratch<T>&) const {
        Index const n = input.dim(0), in = options_.in_features, out = options_.out_features;
        ConstMatrixMap<T> const gy = matrix(grad_output, n, out);
        if (grad_weight)
            detail::add_transposed_product<T>(matrix(*grad_weight, out, in), gy, matrix(input, n, in));
        if (grad_bias)
            for (Index i = 0; i != n; ++i) array(*grad_bias) += gy.row(i).array().transpose();
        if (grad_input) detail::add_product<T>(matrix(*grad_input, n, in), gy, matrix(weight, out, in));
    }

private:
    LinearOptions options_;
    BasicTensor<T> weight_{};
    BasicTensor<T> bias_{};
};

using Linear = BasicLinear<float>;

}  // namespace amct_distill::nn
