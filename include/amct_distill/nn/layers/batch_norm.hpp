// SPDX-License-Identifier: Apache-2.0
/// Batch normalization as in torch.nn, with affine parameters: BatchNorm1d of [N, C] or [N, C, L],
/// BatchNorm2d of [N, C, H, W], BatchNorm3d of [N, C, D, H, W].
///
///     BatchNorm2d bn({.num_features = 8});
///     bn.weight(), bn.bias(), bn.running_mean(), bn.running_var();   // [8] each
///     if (const BatchNorm* norm = as_batch_norm(module)) norm->options().eps;   // any of the three
///
/// y = (x - mean) / sqrt(var + eps) * weight + bias, per channel. Mode::evaluate takes the running
/// statistics; Mode::train the batch's own (variance divided by n), and `update_statistics` then moves the
/// running ones towards them (variance divided by n - 1). Sums are taken in double.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../channel_loops.hpp"
#include "../module.hpp"

namespace amct_distill::nn {

struct BatchNormOptions {
    Index num_features = 0;
    double eps = 1e-5;
    double momentum = 0.1;
    friend bool operator==(const BatchNormOptions&, const BatchNormOptions&) = default;
};

/// What the three are, but for the shapes that they take.
template <class T>
class BasicBatchNorm {
public:
    static constexpr std::string_view operation = "BatchNormalization";

    const BatchNormOptions& options() const { return options_; }
    BasicTensor<T>& weight() { return weight_; }
    const BasicTensor<T>& weight() const { return weight_; }
    BasicTensor<T>& bias() { return bias_; }
    const BasicTensor<T>& bias() const { return bias_; }
    BasicTensor<T>& running_mean() { return running_mean_; }
    const BasicTensor<T>& running_mean() const { return running_mean_; }
    BasicTensor<T>& running_var() { return running_var_; }
    const BasicTensor<T>& running_var() const { return running_var_; }

    void parameters(std::vector<BasicParameter<T>>& list) {
        list.push_back({"weight", Role::affine, &weight_});
        list.push_back({"bias", Role::affine, &bias_});
        list.push_back({"running_mean", Role::statistic, &running_mean_});
        list.push_back({"running_var", Role::statistic, &running_var_});
    }

    /// Error: one has not a value for each feature.
    result<void> check_parameters() const {
        std::array const expected{options_.num_features};
        for (auto const& [name, tensor] :
             {std::pair{"weight", &weight_}, std::pair{"bias", &bias_},
              std::pair{"running_mean", &running_mean_}, std::pair{"running_var", &running_var_}})
            if (auto ok = detail::check_shape(name, *tensor, expected); !ok) return ok;
        return {};
    }

    /// Throws std::invalid_argument in Mode::train when a channel has one value: it has no variance.
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch, Mode mode) const {
        const BasicTensor<T>& x = *inputs[0];
        auto const set = scratch.execution().instructions;
        for_each_channel(scratch, x, [&](std::size_t c) {
            Normalization const n = normalization(x, c, mode, set);
            T const factor = weight_[c] * T(n.inverse_deviation);
            T const shift = bias_[c] - T(n.mean) * factor;
            for (Index i = 0; i != x.dim(0); ++i)
                detail::run_on(
                    set, detail::ScaleLoop<T>{plane(x, i, c), factor, shift, plane(output, i, c), pixels(x)});
        });
    }

    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                  BasicScratch<T>& scratch, Mode mode) const {
        const BasicTensor<T>& x = *inputs[0];
        auto const set = scratch.execution().instructions;
        for_each_channel(scratch, x, [&](std::size_t c) {
            Normalization const n = normalization(x, c, mode, set);
            double sum = 0, dot = 0;  // of the output's gradient: itself, and with the normalized input
            for (Index i = 0; i != x.dim(0); ++i) {
                auto const part = detail::run_on(
                    set, detail::DotLoop<T>{plane(grad_output, i, c), plane(x, i, c), pixels(x)});
                sum += part.first;
                dot += part.second;
            }
            dot = (dot - n.mean * sum) * n.inverse_deviation;
            grad_parameters[0][c] += T(dot);
            grad_parameters[1][c] += T(sum);
            if (!grad_inputs[0]) return;
            // In train the mean and the variance depend on every input, which takes away from the gradient
            // its mean and its component along the normalized input.
            T const factor = T(weight_[c] * n.inverse_deviation);
            T const mean_gradient = mode == Mode::train ? T(sum / n.count) : T(0);
            T const slope = mode == Mode::train ? T(dot / n.count * n.inverse_deviation) : T(0);
            for (Index i = 0; i != x.dim(0); ++i)
                detail::run_on(set, detail::NormGradientLoop<T>{plane(grad_output, i, c), plane(x, i, c),
                                                                mean_gradient, T(n.mean), slope, factor,
                                                                plane(*grad_inputs[0], i, c), pixels(x)});
        });
    }

    /// The running statistics after a batch in Mode::train: running += momentum * (batch - running).
    void update_statistics(BasicInputs<T> inputs) {
        for (std::size_t c = 0; c != weight_.size(); ++c) {
            Normalization const n = normalization(*inputs[0], c, Mode::train, best_instructions());
            double const unbiased = n.variance * n.count / (n.count - 1);
            running_mean_[c] =
                T((1 - options_.momentum) * double(running_mean_[c]) + options_.momentum * n.mean);
            running_var_[c] =
                T((1 - options_.momentum) * double(running_var_[c]) + options_.momentum * unbiased);
        }
    }

protected:
    /// Weight and running variance are 1, the others 0; throws std::invalid_argument without features.
    BasicBatchNorm(std::string_view type, const BatchNormOptions& options) : type_(type), options_(options) {
        if (options.num_features < 1)
            throw std::invalid_argument(detail::concat(type, ": num_features must be at least 1"));
        for (auto* tensor : {&weight_, &bias_, &running_mean_, &running_var_})
            tensor->resize({options.num_features});
        weight_.fill(1);
        running_var_.fill(1);
    }
    ~BasicBatchNorm() = default;
    BasicBatchNorm(const BasicBatchNorm&) = default;
    BasicBatchNorm& operator=(const BasicBatchNorm&) = default;

private:
    template <class F>
    void for_each_channel(const BasicScratch<T>& scratch, const BasicTensor<T>& x, F f) const {
        scratch.parallel_for(options_.num_features, double(x.size()),
                             [&](Index c, Index) { f(static_cast<std::size_t>(c)); });
    }

    struct Normalization {
        double count = 0, mean = 0, variance = 0, inverse_deviation = 0;
    };
    Normalization normalization(const BasicTensor<T>& x, std::size_t c, Mode mode, InstructionSet set) const {
        Normalization n;
        n.count = double(x.size()) / double(x.dim(1));
        if (mode == Mode::evaluate) {
            n.mean = double(running_mean_[c]);
            n.variance = double(running_var_[c]);
        } else {
            if (n.count < 2)
                throw std::invalid_argument(detail::concat(
                    type_, ": Mode::train needs more than one value per channel, found an input ",
                    to_string(x.shape())));
            // Of the differences to one of the values, from which neither sum loses digits.
            double const shift = double(*plane(x, 0, c));
            double first = 0, second = 0;
            for (Index i = 0; i != x.dim(0); ++i) {
                auto const part =
                    detail::run_on(set, detail::MomentsLoop<T>{plane(x, i, c), pixels(x), shift});
                first += part.first;
                second += part.second;
            }
            first /= n.count;
            n.mean = shift + first;
            n.variance = (std::max)(second / n.count - first * first, 0.0);
        }
        n.inverse_deviation = 1 / std::sqrt(n.variance + options_.eps);
        return n;
    }

    static Index pixels(const BasicTensor<T>& x) { return product(x.shape(), 2, x.rank()); }
    /// Channel c of image i.
    template <class Tensor>
    static auto plane(Tensor& tensor, Index i, std::size_t c) {
        return tensor.data() + (i * tensor.dim(1) + Index(c)) * pixels(tensor);
    }

    std::string_view type_;
    BatchNormOptions options_;
    BasicTensor<T> weight_{}, bias_{}, running_mean_{}, running_var_{};
};

/// Of images with `Dims` dimensions.
template <class T, std::size_t Dims>
class BasicBatchNormOf : public BasicBatchNorm<T> {
public:
    static constexpr std::string_view type_name = Dims == 1   ? "BatchNorm1d"
                                                  : Dims == 2 ? "BatchNorm2d"
                                                              : "BatchNorm3d";

    /// Weight and running variance are 1, the others 0; throws std::invalid_argument without features.
    explicit BasicBatchNormOf(const BatchNormOptions& options) : BasicBatchNorm<T>(type_name, options) {}

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        Index const features = this->options().num_features;
        bool const fits = inputs.size() == 1 && inputs[0].size() > 1 && inputs[0][1] == features &&
                          (inputs[0].size() == Dims + 2 || (Dims == 1 && inputs[0].size() == 2));
        if (!fits)
            return detail::unexpected_inputs(
                detail::concat("one input [N, ", features,
                               Dims == 1   ? detail::concat("] or [N, ", features, ", L]")
                               : Dims == 2 ? ", H, W]"
                                           : ", D, H, W]"),
                inputs);
        return inputs[0];
    }
};

template <class T>
using BasicBatchNorm1d = BasicBatchNormOf<T, 1>;
template <class T>
using BasicBatchNorm2d = BasicBatchNormOf<T, 2>;
template <class T>
using BasicBatchNorm3d = BasicBatchNormOf<T, 3>;

using BatchNorm = BasicBatchNorm<float>;
using BatchNorm1d = BasicBatchNorm1d<float>;
using BatchNorm2d = BasicBatchNorm2d<float>;
using BatchNorm3d = BasicBatchNorm3d<float>;

/// The module when it is one of them, else null.
template <class T>
const BasicBatchNorm<T>* as_batch_norm(const BasicModule<T>& module) {
    if (const auto* bn = module.template get_if<BasicBatchNorm2d<T>>()) return bn;
    if (const auto* bn = module.template get_if<BasicBatchNorm1d<T>>()) return bn;
    return module.template get_if<BasicBatchNorm3d<T>>();
}

}  // namespace amct_distill::nn
