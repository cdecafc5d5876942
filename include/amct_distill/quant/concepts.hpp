/// What a quantizer must offer to take part in distillation: models are Arq and Ulq for weights, ActUlq for
/// activations with Ifmr as its calibrator; a quantizer of your own needs nothing else, no base class.
///
///     static_assert(WeightQuantizer<MyPow2<Int4, ChannelWise>>);
///
/// Forward and backward are const: a quantizer changes in `initialize`, in `constrain`, and through
/// `parameters()`, which an optimizer writes to. Copies are independent (a snapshot is a copy).
#pragma once
#include <concepts>
#include <span>
#include <vector>

#include "../core/result.hpp"
#include "../policy/bits.hpp"
#include "../policy/granularity.hpp"
#include "affine.hpp"
#include "range.hpp"

namespace amct_distill {

/// `parameters()`: what is trained; may be empty. `constrain()`: after each change of them, before the next
/// forward, restores what must hold (scales positive, clips ordered).
template <class Q>
concept HasParameters = std::copyable<Q> && std::default_initializable<Q> && requires(Q q, const Q& c) {
    { q.parameters() } -> std::same_as<std::span<float>>;
    { c.parameters() } -> std::same_as<std::span<const float>>;
    { q.constrain() } -> std::same_as<void>;
};

/// `w` is the float weight, a row per output channel; the other matrices have its shape, and
/// `grad_parameters` the size of `parameters()`. Gradients are written, not added.
template <class Q>
concept WeightQuantizer = HasParameters<Q> && BitWidth<typename Q::bits> &&
    Granularity<typename Q::granularity> &&
    requires(Q q, const Q& c, const ConstMatrixRef& w, MatrixRef out, std::span<float> grad_parameters) {
    { q.initialize(w) } -> std::same_as<result<void>>;
    { c.fake_quantize(w, out) } -> std::same_as<void>;
    { c.backward(w, /*grad_out*/ w, /*grad_w*/ out, grad_parameters) } -> std::same_as<void>;
    { c.scale_offsets(w) } -> std::same_as<std::vector<ScaleOffset>>;
    { c.quantize(w) } -> std::same_as<result<QuantizedMatrix>>;
};

/// Finds the clips from the values of some batches.
template <class C>
concept Calibrator = std::default_initializable<C> && requires(C c, const C& done, std::span<const float> x) {
    { c.observe(x) } -> std::same_as<result<void>>;
    { done.finish()->clip } -> std::convertible_to<ClipRange>;
    { done.finish().has_value() } -> std::same_as<bool>;
};

/// Constructed from the initial clips and fixed_min (the lower clip is 0 and stays it). `x` is the input of
/// the layer, of any shape; the other spans of elements have its size, `grad_parameters` is
/// {d clip_max, d clip_min}, as `parameters()` is {clip_max, clip_min}. Gradients are written, not added.
template <class Q>
concept ActivationQuantizer = HasParameters<Q> && BitWidth<typename Q::bits> &&
    Calibrator<typename Q::calibrator> && std::constructible_from<Q, ClipRange, bool> &&
    requires(const Q& c, std::span<const float> x, std::span<float> y, std::span<float> grad_parameters) {
    { c.clip() } -> std::same_as<ClipRange>;
    { c.scale_offset() } -> std::same_as<ScaleOffset>;
    { c.fake_quantize(x, y) } -> std::same_as<void>;
    { c.backward(x, /*grad_out*/ x, /*grad_in*/ y, grad_parameters) } -> std::same_as<void>;
};

}  // namespace amct_distill
