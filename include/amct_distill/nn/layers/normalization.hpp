// SPDX-License-Identifier: Apache-2.0
/// Normalizations of each sample by itself, as in torch.nn: InstanceNorm1d, 2d, 3d, GroupNorm, LayerNorm.
///
///     InstanceNorm2d instance({.num_features = 8, .affine = true});   // each channel of each image
///     GroupNorm group({.num_groups = 2, .num_channels = 8});          // four channels together
///     LayerNorm layer({.normalized_shape = {64}});                    // the last dimension
///
/// y = (x - mean) / sqrt(var + eps) * weight + bias; the variance is divided by n. Means and variances are
/// taken in double, and the same in both modes.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "../block_normalization.hpp"
#include "../module.hpp"

namespace amct_distill::detail {

/// `Derived` has `output_shape` and `blocks(shape)`, a BlockNormalization.
template <class Derived, class T, class Options>
class NormalizationLayer {
public:
    const Options& options() const { return options_; }
    /// Empty where the options say that there is none.
    nn::BasicTensor<T>& weight() { return weight_; }
    const nn::BasicTensor<T>& weight() const { return weight_; }
    nn::BasicTensor<T>& bias() { return bias_; }
    const nn::BasicTensor<T>& bias() const { return bias_; }

    void parameters(std::vector<nn::BasicParameter<T>>& list) {
        if (has_weight_) list.push_back({"weight", nn::Role::affine, &weight_});
        if (has_bias_) list.push_back({"bias", nn::Role::affine, &bias_});
    }
    /// Error: one has not the shape that the options ask for.
    result<void> check_parameters() const {
        std::span<const nn::Index> const shape = shape_, none;
        if (auto ok = check_shape("weight", weight_, has_weight_ ? shape : none); !ok) return ok;
        return check_shape("bias", bias_, has_bias_ ? shape : none);
    }

    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        self()
            .blocks(output.shape())
            .forward(inputs[0]->data(), data(weight_), data(bias_), output.data(), scratch);
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>&, const nn::BasicTensor<T>& grad_output,
                  std::span<nn::BasicTensor<T>* const> grad_inputs,
                  std::span<nn::BasicTensor<T>> grad_parameters, nn::BasicScratch<T>& scratch,
                  nn::Mode) const {
        T* const grad_weight = has_weight_ ? grad_parameters[0].data() : nullptr;
        T* const grad_bias = has_bias_ ? grad_parameters[has_weight_ ? 1 : 0].data() : nullptr;
        self()
            .blocks(grad_output.shape())
            .backward(inputs[0]->data(), data(weight_), grad_output.data(),
                      grad_inputs[0] ? grad_inputs[0]->data() : nullptr, grad_weight, grad_bias, scratch);
    }

protected:
    /// Weight 1, bias 0, of this shape.
    NormalizationLayer(const Options& options, const nn::Shape& shape, bool has_weight, bool has_bias)
        : options_(options), shape_(shape), has_weight_(has_weight), has_bias_(has_bias) {
        if (has_weight_) weight_.resize(shape_);
        if (has_bias_) bias_.resize(shape_);
        weight_.fill(1);
    }
    ~NormalizationLayer() = default;
    NormalizationLayer(const NormalizationLayer&) = default;
    NormalizationLayer& operator=(const NormalizationLayer&) = default;

private:
    const Derived& self() const { return static_cast<const Derived&>(*this); }
    static const T* data(const nn::BasicTensor<T>& tensor) {
        return tensor.empty() ? nullptr : tensor.data();
    }

    Options options_;
    nn::Shape shape_;
    bool has_weight_, has_bias_;
    nn::BasicTensor<T> weight_{}, bias_{};
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

struct InstanceNormOptions {
    Index num_features = 0;
    double eps = 1e-5;
    bool affine = false;
    friend bool operator==(const InstanceNormOptions&, const InstanceNormOptions&) = default;
};

/// Of images with `Dims` dimensions: each channel of each image.
template <class T, std::size_t Dims>
class BasicInstanceNorm
    : public detail::NormalizationLayer<BasicInstanceNorm<T, Dims>, T, InstanceNormOptions> {
public:
    static constexpr std::string_view type_name = Dims == 1   ? "InstanceNorm1d"
                                                  : Dims == 2 ? "InstanceNorm2d"
                                                              : "InstanceNorm3d";
    static constexpr std::string_view operation = "InstanceNormalization";

    /// Throws std::invalid_argument without features.
    explicit BasicInstanceNorm(const InstanceNormOptions& options)
        : detail::NormalizationLayer<BasicInstanceNorm, T, InstanceNormOptions>(
              options, {(std::max)(options.num_features, Index(0))}, options.affine, options.affine) {
        if (options.num_features < 1)
            throw std::invalid_argument(detail::concat(type_name, ": num_features must be at least 1"));
    }
    result<Shape> output_shape(std::span<const Shape> inputs) const {
        Index const features = this->options().num_features;
        if (inputs.size() != 1 || inputs[0].size() != Dims + 2 || inputs[0][1] != features)
            return detail::unexpected_inputs(detail::concat("one input [N, ", features,
                                                            Dims == 1   ? ", L]"
                                                            : Dims == 2 ? ", H, W]"
                                                                        : ", D, H, W]"),
                                             inputs);
        return inputs[0];
    }
    detail::BlockNormalization<T> blocks(const Shape& shape) const {
        Index const pixels = product(shape, 2, shape.size());
        return {shape[0], shape[1], 1, pixels, this->options().eps};
    }
};

struct GroupNormOptions {
    Index num_groups = 1;
    Index num_channels = 0;
    double eps = 1e-5;
    bool affine = true;
    friend bool operator==(const GroupNormOptions&, const GroupNormOptions&) = default;
};

/// [N, C, ...]: the channels in groups of each image.
template <class T>
class BasicGroupNorm : public detail::NormalizationLayer<BasicGroupNorm<T>, T, GroupNormOptions> {
public:
    static constexpr std::string_view type_name = "GroupNorm";
    static constexpr std::string_view operation = "GroupNormalization";

    /// Throws std::invalid_argument when the groups do not divide the channels.
    explicit BasicGroupNorm(const GroupNormOptions& options)
        : detail::NormalizationLayer<BasicGroupNorm, T, GroupNormOptions>(
              options, {(std::max)(options.num_channels, Index(0))}, options.affine, options.affine) {
        if (options.num_groups < 1 || options.num_channels < 1 ||
            options.num_channels % options.num_groups != 0)
            throw std::invalid_argument(detail::concat("GroupNorm: ", options.num_groups,
                                                       " groups must divide the ", options.num_channels,
                                                       " channels"));
    }
    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() < 2 || inputs[0][1] != this->options().num_channels)
            return detail::unexpected_inputs(
                detail::concat("one input [N, ", this->options().num_channels, ", ...]"), inputs);
        return inputs[0];
    }
    detail::BlockNormalization<T> blocks(const Shape& shape) const {
        const auto& o = this->options();
        Index const pixels = product(shape, 2, shape.size());
        return {shape[0], o.num_groups, o.num_channels / o.num_groups, pixels, o.eps};
    }
};

struct LayerNormOptions {
    std::vector<Index> normalized_shape{};  ///< the last dimensions, which are normalized together
    double eps = 1e-5;
    bool elementwise_affine = true;
    bool bias = true;  ///< where it is affine
    friend bool operator==(const LayerNormOptions&, const LayerNormOptions&) = default;
};

template <class T>
class BasicLayerNorm : public detail::NormalizationLayer<BasicLayerNorm<T>, T, LayerNormOptions> {
public:
    static constexpr std::string_view type_name = "LayerNorm";
    static constexpr std::string_view operation = "LayerNormalization";

    /// Throws std::invalid_argument without dimensions.
    explicit BasicLayerNorm(const LayerNormOptions& options)
        : detail::NormalizationLayer<BasicLayerNorm, T, LayerNormOptions>(
              options, checked(options.normalized_shape), options.elementwise_affine,
              options.elementwise_affine && options.bias) {}

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        const Shape& last = this->options().normalized_shape;
        bool const fits = inputs.size() == 1 && inputs[0].size() >= last.size() &&
                          std::equal(last.rbegin(), last.rend(), inputs[0].rbegin());
        if (!fits)
            return detail::unexpected_inputs(
                detail::concat("one input whose last dimensions are ", to_string(last)), inputs);
        return inputs[0];
    }
    detail::BlockNormalization<T> blocks(const Shape& shape) const {
        std::size_t const first = shape.size() - this->options().normalized_shape.size();
        return {product(shape, 0, first), 1, product(shape, first, shape.size()), 1, this->options().eps};
    }

private:
    static const Shape& checked(const Shape& shape) {
        if (shape.empty() || *std::min_element(shape.begin(), shape.end()) < 1)
            throw std::invalid_argument("LayerNorm: normalized_shape needs dimensions of at least 1");
        return shape;
    }
};

template <class T>
using BasicInstanceNorm1d = BasicInstanceNorm<T, 1>;
template <class T>
using BasicInstanceNorm2d = BasicInstanceNorm<T, 2>;
template <class T>
using BasicInstanceNorm3d = BasicInstanceNorm<T, 3>;

using InstanceNorm1d = BasicInstanceNorm1d<float>;
using InstanceNorm2d = BasicInstanceNorm2d<float>;
using InstanceNorm3d = BasicInstanceNorm3d<float>;
using GroupNorm = BasicGroupNorm<float>;
using LayerNorm = BasicLayerNorm<float>;

}  // namespace amct_distill::nn
