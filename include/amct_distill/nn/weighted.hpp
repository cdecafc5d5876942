// SPDX-License-Identifier: Apache-2.0
/// What it takes for a module's weights to be quantized, and such a module without its type.
///
///     struct LocallyConnected {                               // besides a module's members
///         Tensor& weight();  Tensor& bias();                  // and const; an empty bias: none
///         void forward_with(weight, input, output, scratch) const;       // with another weight than its own
///         void backward_with(weight, input, grad_output, grad_input, grad_weight, grad_bias, scratch) const;
///         LocallyConnected with_parameters(weight, bias) const;           // the same layer with others
///         static constexpr std::size_t scratch_tensors = 2;   // how many of the node's buffers it uses
///     };
///     if (const Weighted* layer = module.weighted()) layer->weight();
///
/// The layer is linear in its input and in its weight: an output is a sum of products of a weight and an
/// input value, each weight serving one output channel, plus the channel's bias. Quantizers see the weight as
/// a matrix with a row per output channel (`weight_rows`); dimension 0 of the weight is the output channel
/// unless `output_axis()` says otherwise.
#pragma once
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <utility>

#include "scratch.hpp"
#include "tensor.hpp"

namespace amct_distill::nn {

/// Optionally `output_axis()`: the dimension of the weight that counts output channels, 0 if it is not said;
/// and `weight_groups()`: where that is not 0, into how many groups the dimensions before it fall, as in a
/// transposed convolution, [in, out / groups, ...], whose channel g * (out / groups) + k has the weights of
/// group g; and `input_groups()`: of a layer whose input and output have their channels in dimension 1, as a
/// convolution's, into how many groups the input's fall. Where dimension 0 of its weight is the output
/// channel, dimension 1 is the input's within its group. Without it the layer takes no part in what goes
/// channel by channel (`equalize`). Its `parameters(list)` are the weight and, where there is one, the bias,
/// in this order and no others. `forward_with` writes the output, with the layer's own bias; `backward_with`
/// adds to the gradients that are wanted (not null).
template <class M, class T>
concept WeightedModuleOf = std::copyable<M> &&
    requires(M m, const M c, const BasicTensor<T>& tensor, BasicTensor<T>& output, BasicTensor<T>* gradient,
             BasicScratch<T>& scratch) {
    { m.weight() } -> std::same_as<BasicTensor<T>&>;
    { c.weight() } -> std::same_as<const BasicTensor<T>&>;
    { m.bias() } -> std::same_as<BasicTensor<T>&>;
    { c.bias() } -> std::same_as<const BasicTensor<T>&>;
    { M::scratch_tensors } -> std::convertible_to<std::size_t>;
    c.forward_with(tensor, tensor, output, scratch);
    c.backward_with(tensor, tensor, tensor, gradient, gradient, gradient, scratch);
    { c.with_parameters(tensor, tensor) } -> std::same_as<M>;
};

template <class T>
class BasicModule;

/// A module with weights, of whatever type: see `BasicModule::weighted`.
template <class T>
class BasicWeighted {
public:
    virtual BasicTensor<T>& weight() = 0;
    virtual const BasicTensor<T>& weight() const = 0;
    virtual BasicTensor<T>& bias() = 0;
    virtual const BasicTensor<T>& bias() const = 0;
    virtual std::size_t output_axis() const = 0;
    virtual Index weight_groups() const = 0;
    virtual Index input_groups() const = 0;  ///< 0: the module does not say
    virtual std::size_t scratch_tensors() const = 0;
    virtual void forward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input,
                              BasicTensor<T>& output, BasicScratch<T>& scratch) const = 0;
    virtual void backward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input,
                               const BasicTensor<T>& grad_output, BasicTensor<T>* grad_input,
                               BasicTensor<T>* grad_weight, BasicTensor<T>* grad_bias,
                               BasicScratch<T>& scratch) const = 0;
    /// The same layer with another weight, of the same shape, and another bias, [channels], or none (empty).
    virtual BasicModule<T> with_parameters(const BasicTensor<T>& weight,
                                           const BasicTensor<T>& bias) const = 0;

    Index output_channels() const {
        return weight().dim(output_axis()) * (output_axis() == 0 ? 1 : weight_groups());
    }

protected:
    ~BasicWeighted() = default;
};

using Weighted = BasicWeighted<float>;

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// The erased view of a module that lies elsewhere: in the holder that has both.
template <class M, class T>
class WeightedView final : public nn::BasicWeighted<T> {
public:
    explicit WeightedView(M& module) : module_(module) {}
    WeightedView(const WeightedView&) = delete;
    WeightedView& operator=(const WeightedView&) = delete;
    ~WeightedView() = default;

    nn::BasicTensor<T>& weight() override { return module_.weight(); }
    const nn::BasicTensor<T>& weight() const override { return std::as_const(module_).weight(); }
    nn::BasicTensor<T>& bias() override { return module_.bias(); }
    const nn::BasicTensor<T>& bias() const override { return std::as_const(module_).bias(); }
    std::size_t output_axis() const override {
        if constexpr (requires(const M& m) { m.output_axis(); })
            return module_.output_axis();
        else
            return 0;
    }
    nn::Index weight_groups() const override {
        if constexpr (requires(const M& m) { m.weight_groups(); })
            return module_.weight_groups();
        else
            return 1;
    }
    nn::Index input_groups() const override {
        if constexpr (requires(const M& m) { m.input_groups(); })
            return module_.input_groups();
        else
            return 0;
    }
    std::size_t scratch_tensors() const override { return M::scratch_tensors; }
    void forward_with(const nn::BasicTensor<T>& weight, const nn::BasicTensor<T>& input,
                      nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch) const override {
        std::as_const(module_).forward_with(weight, input, output, scratch);
    }
    void backward_with(const nn::BasicTensor<T>& weight, const nn::BasicTensor<T>& input,
                       const nn::BasicTensor<T>& grad_output, nn::BasicTensor<T>* grad_input,
                       nn::BasicTensor<T>* grad_weight, nn::BasicTensor<T>* grad_bias,
                       nn::BasicScratch<T>& scratch) const override {
        std::as_const(module_).backward_with(weight, input, grad_output, grad_input, grad_weight, grad_bias,
                                             scratch);
    }
    nn::BasicModule<T> with_parameters(const nn::BasicTensor<T>& weight,
                                       const nn::BasicTensor<T>& bias) const override {
        return std::as_const(module_).with_parameters(weight, bias);
    }

private:
    M& module_;
};

}  // namespace amct_distill::detail
