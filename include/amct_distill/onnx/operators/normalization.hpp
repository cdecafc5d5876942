// SPDX-License-Identifier: Apache-2.0
/// ONNX's BatchNormalization, InstanceNormalization, GroupNormalization and LayerNormalization as torch.nn's.
///
///     inline constexpr std::array normalization_rules{
///         OperatorRule{"BatchNormalization", convert_batch_norm}, ...};
///     add_layer_norm(o, -1, eps, 1, 2);                          // scale and bias are inputs 1 and 2
///
/// BatchNorm is imported as it runs in Mode::evaluate; it takes part in training as any other.
#pragma once
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "../../core/number.hpp"
#include "../../nn/layers/arithmetic.hpp"
#include "../../nn/layers/batch_norm.hpp"
#include "../../nn/layers/normalization.hpp"
#include "../../nn/layers/reduce.hpp"
#include "../../nn/layers/unary.hpp"
#include "../../text/decimal.hpp"
#include "../operation.hpp"

namespace amct_distill::onnx::detail {

/// The number that a float was meant to be: 1e-5, not 9.999999747378752e-06.
inline double as_written(float value) {
    if (!std::isfinite(value)) return double(value);
    double const out = amct_distill::detail::to_floating<double>(number(std::abs(value)));
    return std::signbit(value) ? -out : out;
}

/// A constant of `n` values; fails where it has others.
inline nn::Tensor values_of(Operation& o, std::size_t i, nn::Index n) {
    nn::Tensor value = o.constant(i);
    if (!o.failed() && value.shape() != nn::Shape{n})
        o.fail(amct_distill::detail::concat("input ", i, ": expected ", n, " values, found ",
                                            nn::to_string(value.shape())));
    return value;
}
inline bool is_all(const nn::Tensor& values, float value) {
    for (float v : values)
        if (v != value) return false;
    return true;
}

/// `f` with a module for images of 1, 2 or 3 dimensions: std::integral_constant of their number.
template <class F>
void with_dimensions(Operation& o, std::size_t dims, F f) {
    if (dims == 1)
        f(std::integral_constant<std::size_t, 1>{});
    else if (dims == 2)
        f(std::integral_constant<std::size_t, 2>{});
    else if (dims == 3)
        f(std::integral_constant<std::size_t, 3>{});
    else
        o.fail("expected images of one, two or three dimensions");
}

inline void convert_batch_norm(Operation& o) {
    Attributes& a = o.attributes();
    bool const trains = o.opset() >= 14  ? a.integer("training_mode", 0) != 0
                        : o.opset() >= 7 ? false
                                         : a.integer("is_test", 0) == 0;
    bool const wants_more = o.wants(1) || o.wants(2) || o.wants(3) || o.wants(4);
    if (trains || wants_more) return o.fail("it is in training mode; export the model after model.eval()");
    a.ignore("consumed_inputs");
    if (o.opset() < 9 && a.integer("spatial", 1) != 1)
        return o.fail("it normalizes each pixel by itself (spatial is 0), which is not supported");
    nn::BatchNormOptions options;
    options.eps = as_written(a.real("epsilon", 1e-5f));
    // ONNX's momentum is what stays of the old value; PyTorch's, what is taken of the new one.
    options.momentum = std::round((1 - as_written(a.real("momentum", 0.9f))) * 1e9) / 1e9;
    nn::Shape const shape = o.shape(0);
    if (o.failed()) return;
    if (shape.size() < 2) return o.fail("expected an input with channels, [N, C, ...]");
    options.num_features = shape[1];
    nn::Tensor parameters[4];
    for (std::size_t i = 0; i != 4; ++i) parameters[i] = values_of(o, i + 1, shape[1]);
    if (o.failed()) return;
    with_dimensions(o, shape.size() == 2 ? 1 : shape.size() - 2, [&](auto dims) {
        nn::BasicBatchNormOf<float, dims> bn(options);
        bn.weight() = std::move(parameters[0]);
        bn.bias() = std::move(parameters[1]);
        bn.running_mean() = std::move(parameters[2]);
        bn.running_var() = std::move(parameters[3]);
        o.add(std::move(bn), {0}, 1, 2);
    });
}

inline void convert_instance_norm(Operation& o) {
    o.attributes().ignore("consumed_inputs");
    nn::InstanceNormOptions options;
    options.eps = as_written(o.attributes().real("epsilon", 1e-5f));
    nn::Shape const shape = o.shape(0);
    if (o.failed()) return;
    if (shape.size() < 3) return o.fail("expected images, [N, C, ...]");
    options.num_features = shape[1];
    nn::Tensor weight = values_of(o, 1, shape[1]), bias = values_of(o, 2, shape[1]);
    if (o.failed()) return;
    // PyTorch writes 1 and 0 for one without parameters.
    options.affine = !is_all(weight, 1) || !is_all(bias, 0);
    with_dimensions(o, shape.size() - 2, [&](auto dims) {
        nn::BasicInstanceNorm<float, dims> norm(options);
        if (options.affine) {
            norm.weight() = std::move(weight);
            norm.bias() = std::move(bias);
        }
        o.add(std::move(norm), {0}, 1, 2);
    });
}

/// Until opset 20 scale and bias have a value for each group, then for each channel.
inline void convert_group_norm(Operation& o) {
    using amct_distill::detail::concat;
    Attributes& a = o.attributes();
    a.ignore("stash_type");
    std::int64_t const groups = a.integer("num_groups", 0);
    nn::Shape const shape = o.shape(0);
    if (o.failed()) return;
    if (shape.size() < 2) return o.fail("expected an input with channels, [N, C, ...]");
    nn::Index const channels = shape[1];
    if (groups < 1 || groups > channels || channels % groups != 0)
        return o.fail(concat(groups, " groups do not divide its ", channels, " channels"));
    if (!o.take(2 * static_cast<std::size_t>(channels))) return;
    nn::GroupNorm norm(
        {.num_groups = groups, .num_channels = channels, .eps = as_written(a.real("epsilon", 1e-5f))});
    nn::Index const n = o.opset() < 21 ? groups : channels;
    nn::Tensor const weight = values_of(o, 1, n), bias = values_of(o, 2, n);
    if (o.failed()) return;
    for (nn::Index c = 0; c != channels; ++c) {
        norm.weight().data()[c] = weight.data()[c / (channels / n)];
        norm.bias().data()[c] = bias.data()[c / (channels / n)];
    }
    o.add(std::move(norm), {0}, 1, 2);
}

/// A constant, broadcast to a shape; fails where it cannot be.
inline nn::Tensor broadcast_constant(Operation& o, std::size_t i, const nn::Shape& shape) {
    nn::Tensor const value = o.constant(i);
    if (o.failed() || value.shape() == shape) return value;
    bool fits = value.rank() <= shape.size();
    for (std::size_t d = 0; fits && d != value.rank(); ++d)
        fits = value.dim(d) == 1 || value.dim(d) == shape[shape.size() - value.rank() + d];
    nn::Tensor out;
    if (!fits) {
        o.fail(amct_distill::detail::concat("input ", i, ": expected values for ", nn::to_string(shape),
                                            ", found ", nn::to_string(value.shape())));
        return out;
    }
    out.resize(shape);
    for (std::size_t k = 0; k != out.size(); ++k) {
        std::size_t rest = k, at = 0, step = 1;
        for (std::size_t d = value.rank(); d-- != 0;) {
            auto const n = static_cast<std::size_t>(shape[shape.size() - value.rank() + d]);
            if (value.dim(d) != 1) at += rest % n * step;
            rest /= n;
            step *= static_cast<std::size_t>(value.dim(d));
        }
        out[k] = value[at];
    }
    return out;
}

/// LayerNorm over the model's last dimensions, from `first` on, which may be counted from the end; `weight`
/// and `bias` are inputs, or not given: a bias only beside a weight.
inline void add_layer_norm(Operation& o, std::int64_t first, double eps, std::optional<std::size_t> weight,
                           std::optional<std::size_t> bias) {
    nn::Shape const shape = o.shape(0);
    std::size_t const axis = o.axis(first, 0);
    if (!o.layout().is_plain())  // the batch may be in none of them
        for (std::size_t i = o.axis_of(first, o.model_shape(0).size()); i < o.model_shape(0).size(); ++i)
            o.axis(static_cast<std::int64_t>(i), 0);
    if (o.failed()) return;
    if (shape.at(axis) == nn::any_batch)
        return o.fail(
            "it normalizes over the batch; give the inputs' shapes with a number in the batch's place");
    nn::LayerNormOptions options{
        .normalized_shape = {shape.begin() + static_cast<std::ptrdiff_t>(axis), shape.end()},
        .eps = eps,
        .elementwise_affine = weight.has_value(),
        .bias = bias.has_value()};
    std::size_t const count = static_cast<std::size_t>(nn::product(shape, axis, shape.size()));
    if (weight && !o.take(2 * count)) return;
    nn::LayerNorm norm(options);
    if (weight) norm.weight() = broadcast_constant(o, *weight, options.normalized_shape);
    if (bias) norm.bias() = broadcast_constant(o, *bias, options.normalized_shape);
    if (!o.failed()) o.add(std::move(norm), {0}, weight, bias);
}

/// LayerNorm's outputs 1 and 2, the mean and the inverse of the deviation.
inline void add_moments(Operation& o, std::int64_t first, double eps) {
    nn::ReduceOptions over;
    for (std::size_t i = o.axis(first, 0); i < o.rank(0); ++i) over.axes.push_back(static_cast<nn::Index>(i));
    if (o.failed()) return;
    amct_distill::NodeId const x = o.value(0), mean = o.step("Mean", nn::ReduceMean(over), {x});
    amct_distill::NodeId const centered = o.step("Sub", nn::Sub{}, {x, mean});
    amct_distill::NodeId const variance =
        o.step("Variance", nn::ReduceMean(over), {o.step("Mul", nn::Mul{}, {centered, centered})});
    amct_distill::NodeId const least = o.constant_node("epsilon", nn::Tensor({1}, {static_cast<float>(eps)}));
    amct_distill::NodeId const sum = o.step("Add", nn::Add{}, {variance, least});
    o.output_is(1, mean);
    o.output_is(2, o.step("InvStdDev", nn::Reciprocal{}, {o.step("Sqrt", nn::Sqrt{}, {sum})}));
}

inline void convert_layer_norm(Operation& o) {
    o.attributes().ignore("stash_type");
    std::int64_t const axis = o.attributes().integer("axis", -1);
    double const eps = as_written(o.attributes().real("epsilon", 1e-5f));
    if (o.wants(1) || o.wants(2)) add_moments(o, axis, eps);
    add_layer_norm(o, axis, eps, 1, o.has(2) ? std::optional<std::size_t>(2) : std::nullopt);
}

inline constexpr std::array normalization_rules{
    OperatorRule{"BatchNormalization", convert_batch_norm},
    OperatorRule{"GroupNormalization", convert_group_norm},
    OperatorRule{"InstanceNormalization", convert_instance_norm},
    OperatorRule{"LayerNormalization", convert_layer_norm, Accepts::floats, BatchAt::anywhere},
};

}  // namespace amct_distill::onnx::detail
