// SPDX-License-Identifier: Apache-2.0
/// A layer with weights that the library does not have, whose output channels are not dimension 0 of its
/// weight: y = x W + b, W [groups * in, out], in `groups` independent parts, along the last dimension of x
/// and y.
#pragma once
#include <amct_distill/nn/module.hpp>
#include <span>
#include <string_view>
#include <vector>

namespace support {

struct TransposedLinearOptions {
    amct_distill::nn::Index in = 1, out = 1, groups = 1;
    bool bias = true;
};

class TransposedLinear {
public:
    using Index = amct_distill::nn::Index;
    using Tensor = amct_distill::nn::Tensor;
    using Scratch = amct_distill::nn::Scratch;
    static constexpr std::string_view type_name = "TransposedLinear";
    static constexpr std::size_t scratch_tensors = 0;

    explicit TransposedLinear(const TransposedLinearOptions& options)
        : o_(options), weight_({o_.groups * o_.in, o_.out}) {
        if (o_.bias) bias_.resize({o_.groups * o_.out});
    }
    const TransposedLinearOptions& options() const { return o_; }
    Tensor& weight() { return weight_; }
    const Tensor& weight() const { return weight_; }
    Tensor& bias() { return bias_; }
    const Tensor& bias() const { return bias_; }
    std::size_t output_axis() const { return 1; }
    Index weight_groups() const { return o_.groups; }
    TransposedLinear with_parameters(const Tensor& weight, const Tensor& bias) const {
        TransposedLinearOptions options = o_;
        options.bias = !bias.empty();
        TransposedLinear made(options);
        made.weight_ = weight;
        made.bias_ = bias;
        return made;
    }

    amct_distill::result<amct_distill::nn::Shape> output_shape(
        std::span<const amct_distill::nn::Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() < 2 || inputs[0].back() != o_.groups * o_.in)
            return amct_distill::detail::unexpected_inputs("one input [N, ..., in]", inputs);
        auto shape = inputs[0];
        shape.back() = o_.groups * o_.out;
        return shape;
    }
    void forward_with(const Tensor& weight, const Tensor& x, Tensor& y, Scratch&) const {
        for (Index i = 0; i != static_cast<Index>(y.size()); ++i)
            y.data()[i] = o_.bias ? bias_.data()[i % (o_.groups * o_.out)] : 0.0f;
        for_each_product(
            x, [&](Index w, Index from, Index to) { y.data()[to] += weight.data()[w] * x.data()[from]; });
    }
    void backward_with(const Tensor& weight, const Tensor& x, const Tensor& grad_y, Tensor* grad_x,
                       Tensor* grad_weight, Tensor* grad_bias, Scratch&) const {
        for_each_product(x, [&](Index w, Index from, Index to) {
            if (grad_x) grad_x->data()[from] += weight.data()[w] * grad_y.data()[to];
            if (grad_weight) grad_weight->data()[w] += x.data()[from] * grad_y.data()[to];
        });
        if (grad_bias)
            for (Index i = 0; i != static_cast<Index>(grad_y.size()); ++i)
                grad_bias->data()[i % (o_.groups * o_.out)] += grad_y.data()[i];
    }

    void parameters(std::vector<amct_distill::nn::Parameter>& list) {
        list.push_back({"weight", amct_distill::nn::Role::weight, &weight_});
        if (o_.bias) list.push_back({"bias", amct_distill::nn::Role::bias, &bias_});
    }
    void forward(amct_distill::nn::Inputs inputs, Tensor& y, Scratch& scratch, amct_distill::nn::Mode) const {
        forward_with(weight_, *inputs[0], y, scratch);
    }
    void backward(amct_distill::nn::Inputs inputs, const Tensor&, const Tensor& grad_y,
                  std::span<Tensor* const> grad_inputs, std::span<Tensor> grad_parameters, Scratch& scratch,
                  amct_distill::nn::Mode) const {
        backward_with(weight_, *inputs[0], grad_y, grad_inputs[0], &grad_parameters[0],
                      o_.bias ? &grad_parameters[1] : nullptr, scratch);
    }

private:
    template <class F>
    void for_each_product(const Tensor& x, F f) const {
        Index const ins = o_.groups * o_.in, rows = static_cast<Index>(x.size()) / ins;
        for (Index n = 0; n != rows; ++n)
            for (Index i = 0; i != ins; ++i)
                for (Index k = 0; k != o_.out; ++k)
                    f(i * o_.out + k, n * ins + i, (n * o_.groups + i / o_.in) * o_.out + k);
    }

    TransposedLinearOptions o_;
    Tensor weight_, bias_{};
};

}  // namespace support
