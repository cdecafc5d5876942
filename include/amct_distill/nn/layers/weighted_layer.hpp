// SPDX-License-Identifier: Apache-2.0
/// What Conv2d and Linear share: options, a weight and perhaps a bias, and the module's members around them.
///
///     class Linear : public detail::WeightedLayer<Linear, float, LinearOptions> {
///         ... output_shape, weight_shape() as a std::array, output_channels(), and
///         void forward_with(weight, input, output, scratch) const;    // with another weight than its own
///         void backward_with(weight, input, grad_output, grad_input, grad_weight, grad_bias, scratch) const;
///     };
#pragma once
#include <array>
#include <span>
#include <vector>

#include "../module.hpp"

namespace amct_distill::detail {

template <class Derived, class T, class Options>
class WeightedLayer {
public:
    const Options& options() const { return options_; }
    nn::BasicTensor<T>& weight() { return weight_; }
    const nn::BasicTensor<T>& weight() const { return weight_; }
    nn::BasicTensor<T>& bias() { return bias_; }
    const nn::BasicTensor<T>& bias() const { return bias_; }

    void parameters(std::vector<nn::BasicParameter<T>>& list) {
        list.push_back({"weight", nn::Role::weight, &weight_});
        if (options_.bias) list.push_back({"bias", nn::Role::bias, &bias_});
    }
    /// Error: the weight or the bias has not the shape that the options ask for.
    result<void> check_parameters() const {
        if (auto ok = check_shape("weight", weight_, self().weight_shape()); !ok) return ok;
        if (!options_.bias && !bias_.empty())
            return general_error(
                "bias: the options say that there is none; set their `bias` to true, or leave it empty");
        return options_.bias ? check_shape("bias", bias_, std::array{self().output_channels()})
                             : result<void>{};
    }
    /// The layer with these in the place of its own; `bias` empty: without one.
    Derived with_parameters(const nn::BasicTensor<T>& weight, const nn::BasicTensor<T>& bias) const {
        Options options = options_;
        options.bias = !bias.empty();
        Derived made(options);
        made.weight() = weight;
        made.bias() = bias;
        return made;
    }
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        self().forward_with(weight_, *inputs[0], output, scratch);
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>&, const nn::BasicTensor<T>& grad_output,
                  std::span<nn::BasicTensor<T>* const> grad_inputs,
                  std::span<nn::BasicTensor<T>> grad_parameters, nn::BasicScratch<T>& scratch,
                  nn::Mode) const {
        self().backward_with(weight_, *inputs[0], grad_output, grad_inputs[0], &grad_parameters[0],
                             options_.bias ? &grad_parameters[1] : nullptr, scratch);
    }

protected:
    explicit WeightedLayer(const Options& options) : options_(options) {}

    /// Zeros.
    void make() {
        auto const shape = self().weight_shape();
        weight_.resize(nn::Shape(shape.begin(), shape.end()));
        if (options_.bias) bias_.resize({self().output_channels()});
    }

private:
    const Derived& self() const { return static_cast<const Derived&>(*this); }

    Options options_;
    nn::BasicTensor<T> weight_{}, bias_{};
};

}  // namespace amct_distill::detail
