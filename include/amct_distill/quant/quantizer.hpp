// SPDX-License-Identifier: Apache-2.0
/// What a quantizer must offer to take part in distillation: models are Arq and Ulq for weights, ActUlq for
/// activations with Ifmr as its calibrator; a quantizer of your own needs nothing else, no base class.
///
///     static_assert(WeightQuantizer<MyPow2<Int4, ChannelWise>>);
///     static_assert(check_weight_quantizer<MyPow2<Int4, ChannelWise>>());     // says what is missing
///
/// Forward and backward are const: a quantizer changes in `initialize`, in `constrain`, and through
/// `parameters()`, which an optimizer writes to. Copies are independent (a snapshot is a copy).
#pragma once
#include <concepts>
#include <span>

#include "../core/result.hpp"
#include "../policy/bits.hpp"
#include "../policy/granularity.hpp"
#include "../run/training_step.hpp"
#include "affine.hpp"
#include "calibrator.hpp"
#include "matrix.hpp"
#include "quantized_matrix.hpp"
#include "scale.hpp"
#include "scales.hpp"

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
    { c.scale_offsets(w) } -> std::convertible_to<Scales>;
    { c.quantize(w) } -> std::same_as<result<QuantizedMatrix>>;
};

// ---- what a weight quantizer may have besides; each part is found by its members
//
// A misspelt one is not there: check_weight_quantizer() names what looks like a half of it.

/// Is told where the training is: `begin_step` before each step, and `end_steps` before its loss is judged,
/// and at the end: from then on `fake_quantize` must be what `quantize` deploys. It begins like that. With
/// `bool is_settled() const`, whether a step computes what is deployed already, it is judged in such steps
/// only, and at the end.
template <class Q>
concept SteppedQuantizer = requires(Q q, const TrainingStep& at) {
    { q.begin_step(at) } -> std::same_as<void>;
    { q.end_steps() } -> std::same_as<void>;
};

/// Trains its parameters at a rate of its own, at the step it was told last, in the place of that which the
/// options have for scales; they are then kept out of the weight decay, too.
template <class Q>
concept HasLearningRate = requires(const Q& c) {
    { c.learning_rate() } -> std::convertible_to<double>;
};

/// The float weight stays as it is: no update, no decay.
template <class Q>
concept FreezesWeights = requires {
    requires Q::freezes_weights;
};

/// Adds a term to the block's loss: the sum that `regularize` returns, over all of the block's quantizers,
/// divided by the number of their weights. `factor` times its gradients is added. The loss itself is then
/// divided by the variance of what the block shall give, so that one weight of the term fits all blocks.
template <class Q>
concept RegularizedQuantizer = requires(const Q& c, const ConstMatrixRef& w, MatrixRef grad_w,
                                        std::span<float> grad_parameters) {
    { c.regularize(w, /*factor*/ 1.0, grad_w, grad_parameters) } -> std::convertible_to<double>;
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

namespace detail {

template <class Q>
concept HasBits = BitWidth<typename Q::bits>;
template <class Q>
concept HasGranularity = Granularity<typename Q::granularity>;
template <class Q>
concept HasCalibrator = Calibrator<typename Q::calibrator>;
template <class Q>
concept ReturnsParameters = requires(Q q, const Q& c) {
    { q.parameters() } -> std::same_as<std::span<float>>;
    { c.parameters() } -> std::same_as<std::span<const float>>;
};
template <class Q>
concept Constrains = requires(Q q) {
    { q.constrain() } -> std::same_as<void>;
};

template <class Q>
concept InitializesWeights = requires(Q q, const ConstMatrixRef& w) {
    { q.initialize(w) } -> std::same_as<result<void>>;
};
template <class Q>
concept FakeQuantizesWeights = requires(const Q& c, const ConstMatrixRef& w, MatrixRef out) {
    { c.fake_quantize(w, out) } -> std::same_as<void>;
};
template <class Q>
concept BackwardOfWeights = requires(const Q& c, const ConstMatrixRef& w, MatrixRef out,
                                     std::span<float> grad) {
    { c.backward(w, w, out, grad) } -> std::same_as<void>;
};
template <class Q>
concept ScalesOfWeights = requires(const Q& c, const ConstMatrixRef& w) {
    { c.scale_offsets(w) } -> std::convertible_to<Scales>;
};
template <class Q>
concept NamesBeginStep = requires {
    &Q::begin_step;
};
template <class Q>
concept NamesEndSteps = requires {
    &Q::end_steps;
};
template <class Q>
concept NamesRegularize = requires {
    &Q::regularize;
};
template <class Q>
concept QuantizesWeights = requires(const Q& c, const ConstMatrixRef& w) {
    { c.quantize(w) } -> std::same_as<result<QuantizedMatrix>>;
};

template <class Q>
concept ScaleOfActivations = requires(const Q& c) {
    { c.clip() } -> std::same_as<ClipRange>;
    { c.scale_offset() } -> std::same_as<ScaleOffset>;
};
template <class Q>
concept FakeQuantizesActivations = requires(const Q& c, std::span<const float> x, std::span<float> y) {
    { c.fake_quantize(x, y) } -> std::same_as<void>;
};
template <class Q>
concept BackwardOfActivations = requires(const Q& c, std::span<const float> x, std::span<float> y) {
    { c.backward(x, x, y, y) } -> std::same_as<void>;
};

/// What both kinds must have.
template <class Q>
consteval bool check_quantizer() {
    static_assert(std::copyable<Q> && std::default_initializable<Q>,
                  "a quantizer must be copyable and default-constructible: a snapshot of it is a copy");
    static_assert(HasBits<Q>,
                  "a quantizer names its width: add `using bits = Int4;`, Int8 or bits of your own");
    static_assert(ReturnsParameters<Q>,
                  "a quantizer shows what is trained: add `std::span<float> parameters()` and "
                  "`std::span<const float> parameters() const`, empty if nothing is");
    static_assert(
        Constrains<Q>,
        "a quantizer restores what must hold after a training step: add `void constrain()`, empty if "
        "nothing need be");
    return true;
}

}  // namespace detail

/// Whether Q is a WeightQuantizer; if not, a line of compile error for each part that it lacks.
template <class Q>
consteval bool check_weight_quantizer() {
    detail::check_quantizer<Q>();
    static_assert(detail::HasGranularity<Q>,
                  "a weight quantizer names its granularity: add `using granularity = ChannelWise;` or "
                  "TensorWise");
    static_assert(detail::InitializesWeights<Q>,
                  "a weight quantizer begins with the float weights: add "
                  "`result<void> initialize(const ConstMatrixRef& w)`");
    static_assert(detail::FakeQuantizesWeights<Q>,
                  "a weight quantizer has a forward: add "
                  "`void fake_quantize(const ConstMatrixRef& w, MatrixRef out) const`");
    static_assert(detail::BackwardOfWeights<Q>,
                  "a weight quantizer has a backward: add `void backward(const ConstMatrixRef& w, const "
                  "ConstMatrixRef& grad_out, MatrixRef grad_w, std::span<float> grad_parameters) const`");
    static_assert(detail::ScalesOfWeights<Q>,
                  "a weight quantizer tells its scales: add "
                  "`Scales scale_offsets(const ConstMatrixRef& w) const`");
    static_assert(detail::QuantizesWeights<Q>,
                  "a weight quantizer gives the integers: add "
                  "`result<QuantizedMatrix> quantize(const ConstMatrixRef& w) const`");
    static_assert(SteppedQuantizer<Q> || !(detail::NamesBeginStep<Q> || detail::NamesEndSteps<Q>),
                  "a weight quantizer that is told its steps has both: `void begin_step(const TrainingStep& "
                  "at)` and `void end_steps()`");
    static_assert(RegularizedQuantizer<Q> || !detail::NamesRegularize<Q>,
                  "a weight quantizer's regularizer is `double regularize(const ConstMatrixRef& w, double "
                  "factor, MatrixRef grad_w, std::span<float> grad_parameters) const`");
    return WeightQuantizer<Q>;
}

/// Whether Q is an ActivationQuantizer; if not, a line of compile error for each part that it lacks.
template <class Q>
consteval bool check_activation_quantizer() {
    detail::check_quantizer<Q>();
    static_assert(detail::HasCalibrator<Q>,
                  "an activation quantizer names what finds its first clips: add `using calibrator = "
                  "Ifmr<bits>;` or one of your own with observe() and finish()");
    static_assert(std::constructible_from<Q, ClipRange, bool>,
                  "an activation quantizer is made from its clips: add a constructor `(ClipRange clip, bool "
                  "fixed_min)`");
    static_assert(detail::ScaleOfActivations<Q>,
                  "an activation quantizer tells its scale: add `ClipRange clip() const` and `ScaleOffset "
                  "scale_offset() const`");
    static_assert(detail::FakeQuantizesActivations<Q>,
                  "an activation quantizer has a forward: add `void fake_quantize(std::span<const float> x, "
                  "std::span<float> y) const`");
    static_assert(detail::BackwardOfActivations<Q>,
                  "an activation quantizer has a backward: add `void backward(std::span<const float> x, "
                  "std::span<const float> grad_out, std::span<float> grad_in, std::span<float> "
                  "grad_parameters) const`");
    return ActivationQuantizer<Q>;
}

}  // namespace amct_distill
